"""Which system calls change something that outlives a process, and the filter that stops at them.

Numbers and structures: linux/seccomp.h, linux/filter.h and asm/unistd_64.h of x86-64, the only
architecture the packages are built for.
"""

from __future__ import annotations

import struct
from typing import Final

AUDIT_ARCH_X86_64: Final = 0xC000003E
NOTIFY: Final = 0x7FC00000
ALLOW: Final = 0x7FFF0000

NAMES: Final = {
    1: "write", 18: "pwrite64", 20: "writev", 40: "sendfile", 296: "pwritev", 328: "pwritev2",
    326: "copy_file_range", 2: "open", 85: "creat", 257: "openat",
    76: "truncate", 77: "ftruncate", 285: "fallocate",
    82: "rename", 264: "renameat", 316: "renameat2",
    86: "link", 265: "linkat", 88: "symlink", 266: "symlinkat",
    87: "unlink", 263: "unlinkat", 84: "rmdir", 83: "mkdir", 258: "mkdirat",
    133: "mknod", 259: "mknodat",
    90: "chmod", 91: "fchmod", 268: "fchmodat", 92: "chown", 93: "fchown", 94: "lchown",
    260: "fchownat", 188: "setxattr", 189: "lsetxattr", 190: "fsetxattr", 197: "removexattr",
    198: "lremovexattr", 199: "fremovexattr", 16: "ioctl", 280: "utimensat", 235: "utimes",
    261: "futimesat", 74: "fsync", 75: "fdatasync", 306: "syncfs", 162: "sync",
}  # fmt: skip
"""By number. `open` and `openat` count where they create or truncate, `ioctl` where it sets
flags (chattr)."""

ON_DESCRIPTOR: Final = frozenset(
    {"write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range",
     "ftruncate", "fallocate", "fchmod", "fchown", "fsetxattr", "fremovexattr", "ioctl", "fsync",
     "fdatasync", "syncfs"}
)  # fmt: skip
"""Those whose first argument is a descriptor (`copy_file_range`: its third)."""

SYNCING: Final = frozenset({"fsync", "fdatasync", "syncfs", "sync"})

NEEDS_ROOM: Final = frozenset(
    {"write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "openat",
     "open", "creat", "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
     "symlinkat", "mkdir", "mkdirat", "mknod", "mknodat", "setxattr", "lsetxattr", "fsetxattr",
     "fsync", "fdatasync", "syncfs"}
)  # fmt: skip
"""Those that a full disk refuses."""

_CREATE_OR_TRUNCATE: Final = 0o100 | 0o1000
_SET_FLAGS: Final = 0x40086602
_STDERR: Final = 2
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06


def program() -> bytes:
    """The filter, as an array of `struct sock_filter`.

    It looks at the number, at the flags of the three calls that mostly only read, and at where
    `write` goes: the streams of the worker are a pipe and /dev/null, and Apache prints its
    configuration in thousands of pieces.
    """
    looked_into = ("open", "openat", "ioctl", "write")
    plain = sorted(number for number in NAMES if NAMES[number] not in looked_into)
    code: list[tuple[int, int | str, int | str, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, "allow", AUDIT_ARCH_X86_64),
        (_LOAD, 0, 0, 0),
        (_EQUAL, "open", 0, 2),
        (_EQUAL, "openat", 0, 257),
        (_EQUAL, "ioctl", 0, 16),
        (_EQUAL, "write", 0, 1),
        *((_EQUAL, "notify", 0, number) for number in plain),
    ]
    labels = {"allow": len(code)}
    code.append((_RETURN, 0, 0, ALLOW))
    for label, argument, test, value in (
        ("open", 1, _ANY_BIT, _CREATE_OR_TRUNCATE),
        ("openat", 2, _ANY_BIT, _CREATE_OR_TRUNCATE),
        ("ioctl", 1, _EQUAL, _SET_FLAGS),
        ("write", 0, _GREATER, _STDERR),
    ):
        labels[label] = len(code)
        code.append((_LOAD, 0, 0, 16 + 8 * argument))
        code.append((test, "notify", 0, value))
        code.append((_RETURN, 0, 0, ALLOW))
    labels["notify"] = len(code)
    code.append((_RETURN, 0, 0, NOTIFY))
    assembled = b""
    for place, (operation, true, false, value) in enumerate(code):
        jumps = [labels[to] - place - 1 if isinstance(to, str) else to for to in (true, false)]
        assembled += struct.pack("<HBBI", operation, *jumps, value)
    return assembled
