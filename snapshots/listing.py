"""The list of files in a restore point: one line an entry, for a person, for us and for sh.

    kind mode uid gid flags rdev size_bytes mtime_ns sha256 path target xattrs acl

`mode` is octal, `flags` hexadecimal, `sha256` is "-" where the content was not captured, `xattrs`
is `name=hex,…` or "-", `acl` the POSIX ACLs among them once more as `setfacl -m` reads them. In
names every byte but letters, digits and `/._-+:@%,=~` is `\\0ooo`,
three octal digits, which `printf %b` of any POSIX shell turns back. So no field holds a space.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import cast

from host.base import FileKind, FileState
from snapshots.model import SnapshotError

HEADER = "# kind mode uid gid flags rdev size_bytes mtime_ns sha256 path target xattrs acl\n"

PART_LINES = 4096
"""Encoded at a time: some 300 KB."""

_PLAIN = re.compile(r"[A-Za-z0-9/._\-+:@%,=~]*")
_OCTAL = re.compile(rb"\\0([0-7]{3})")


def encode(entries: Iterable[tuple[str, FileState]]) -> bytes:
    """The lines of `entries` in the order given."""
    return b"".join(encode_parts(entries))


def encode_parts(entries: Iterable[tuple[str, FileState]]) -> Iterator[bytes]:
    """The same, some thousand lines at a time: those of a tree of 50,000 files are 4 MB.

    Size and time of an entry without content are left out: they change on their own, and equal
    lists must be equal bytes to be stored once.
    """
    plain = _PLAIN.fullmatch
    lines = [HEADER]
    last: FileState | None = None
    front = back = ""
    for path, state in entries:
        if state is not last:  # in a large tree many entries in a row share one state
            front, back = _around(state)
            last = state
        name = path if plain(path) else escape(path)
        lines.append(f"{front}{name}{back}")
        if len(lines) == PART_LINES:
            yield "".join(lines).encode("ascii")
            lines.clear()
    yield "".join(lines).encode("ascii")


def _around(state: FileState) -> tuple[str, str]:
    """A line before and after its path."""
    target = escape(state.target) if state.target else "-"
    xattrs = _encode_xattrs(state.xattrs) if state.xattrs else "-"
    acl = acl_text(state.xattrs) if state.xattrs else "-"
    told = state.sha256 or state.is_too_large
    size, mtime = (state.size_bytes, state.mtime_ns) if told else (0, 0)
    return (
        f"{state.kind} {state.mode:o} {state.uid} {state.gid} {state.flags:x} {state.rdev} "
        f"{size} {mtime} {state.sha256 or '-'} ",
        f" {target} {xattrs} {acl}\n",
    )


def decode(content: bytes) -> Iterator[tuple[str, FileState]]:
    """Raises `SnapshotError` for a line that is not one of ours."""
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), start=1):
        if line.startswith("#"):
            continue
        try:
            (
                kind, mode, uid, gid, flags, rdev, size, mtime, sha, path, target, xattrs, _
            ) = line.split()  # fmt: skip
            yield (
                unescape(path),
                FileState(
                    kind=cast(FileKind, kind),
                    mode=int(mode, 8),
                    uid=int(uid),
                    gid=int(gid),
                    flags=int(flags, 16),
                    rdev=int(rdev),
                    size_bytes=int(size),
                    mtime_ns=int(mtime),
                    sha256="" if sha == "-" else sha,
                    target="" if target == "-" else unescape(target),
                    xattrs={} if xattrs == "-" else _decode_xattrs(xattrs),
                ),
            )
        except ValueError:
            raise SnapshotError(
                f"Line {number} of a saved list of files cannot be read ({line[:60]!r}); it was "
                "not used. `harden-tui history verify` shows what else was altered."
            ) from None


def escape(name: str) -> str:
    """A name as one word of ASCII."""
    if name == "-":
        return "\\0055"
    raw = name.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"\\0{byte:03o}" for byte in raw)


def unescape(word: str) -> str:
    if "\\" not in word:
        return word
    raw = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), word.encode("ascii"))
    return raw.decode("utf-8", "surrogateescape")


def _encode_xattrs(xattrs: dict[str, bytes]) -> str:
    pairs = sorted(xattrs.items())
    return ",".join(
        f"{escape(name).replace(',', chr(92) + '0054')}={value.hex()}" for name, value in pairs
    )


def _decode_xattrs(word: str) -> dict[str, bytes]:
    found = {}
    for pair in word.split(","):
        name, _, value = pair.rpartition("=")
        found[unescape(name)] = bytes.fromhex(value)
    return found


_ACL_TAGS = {0x01: "u:", 0x02: "u", 0x04: "g:", 0x08: "g", 0x10: "m:", 0x20: "o:"}
_ACL_NAMED = (0x02, 0x08)


def acl_text(xattrs: dict[str, bytes]) -> str:
    """The ACLs among `xattrs` as `setfacl -m` takes them ("u::rw-,u:33:r--,m::r--"), or "-".

    The kernel's form (linux/posix_acl_xattr.h): a version, then tag, permission and id each.
    """
    words = []
    for name, prefix in (("system.posix_acl_access", ""), ("system.posix_acl_default", "d:")):
        for tag, permission, number in struct.iter_unpack("<HHI", xattrs.get(name, b"")[4:]):
            who = f"{_ACL_TAGS[tag]}:{number}" if tag in _ACL_NAMED else _ACL_TAGS[tag]
            may = "".join(
                c if permission & bit else "-" for c, bit in zip("rwx", (4, 2, 1), strict=True)
            )
            words.append(f"{prefix}{who}:{may}")
    return ",".join(words) or "-"
