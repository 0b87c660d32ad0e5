"""Inode flags (what chattr sets) and extended attributes (ACLs, capabilities, labels).

ACLs are the `system.posix_acl_*` attributes and are read and written raw.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from typing import Final

from host.base import FLAG_APPEND, FLAG_IMMUTABLE

# From linux/fs.h, 64-bit: _IOR('f', 1, long) and _IOW('f', 2, long). The kernel reads and writes
# an int all the same.
_FS_IOC_GETFLAGS: Final = 0x80086601
_FS_IOC_SETFLAGS: Final = 0x40086602

FLAGS_OF_CHATTR: Final = 0x0083C0FF
"""The bits a person can set: FS_FL_USER_MODIFIABLE (0x380FF), data journalling (j, 0x4000) and
no copy-on-write (C, 0x800000). The others (extents, index …) belong to the file system."""

LOCKING: Final = FLAG_IMMUTABLE | FLAG_APPEND

_NO_FLAGS_HERE: Final = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def _get_raw(fd: int) -> int:
    buffer = array.array("I", (0,))
    fcntl.ioctl(fd, _FS_IOC_GETFLAGS, buffer)
    return buffer[0]


def get_flags(fd: int) -> int:
    """The chattr bits of an open file or directory; 0 where its file system has none."""
    return raw_flags(fd) & FLAGS_OF_CHATTR


def set_flags(fd: int, flags: int) -> None:
    """Give exactly these chattr bits, leaving the file system's own. Raises `OSError`.

    Where the file system has no flags, asking for none is granted and for any is refused.
    """
    try:
        raw = _get_raw(fd)
    except OSError as error:
        if error.errno in _NO_FLAGS_HERE and not flags:
            return
        raise
    change_flags(fd, raw, flags)


def raw_flags(fd: int) -> int:
    """The chattr bits and the file system's own, for `change_flags`; 0 where it has none."""
    try:
        return _get_raw(fd)
    except OSError as error:
        if error.errno in _NO_FLAGS_HERE:
            return 0
        raise


def change_flags(fd: int, raw: int, flags: int) -> int:
    """As `set_flags`, of a file whose `raw_flags` were just asked; returns what they are now."""
    wanted = (raw & ~FLAGS_OF_CHATTR) | (flags & FLAGS_OF_CHATTR)
    if wanted != raw:
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, array.array("I", (wanted,)))
    return wanted


@contextlib.contextmanager
def unlocked(fd: int) -> Iterator[int]:
    """Take immutable and append-only off while the block runs; yields the flags there were.

    They are put back whatever happens in the block.
    """
    before = get_flags(fd)
    if before & LOCKING:
        set_flags(fd, before & ~LOCKING)
    try:
        yield before
    finally:
        # A removed file keeps its open inode; there is nobody left to lock it for.
        if before & LOCKING and os.fstat(fd).st_nlink:
            set_flags(fd, before)


def get_xattrs(target: int | str) -> dict[str, bytes]:
    """All extended attributes we may read of an open file, or of what lies at a path.

    A path is not followed in its last component. Empty where the file system has none.
    """
    # Follow only what is open already: for a descriptor there is nothing to follow.
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return {}
        raise
    found = {}
    for name in names:
        try:
            found[name] = os.getxattr(target, name, follow_symlinks=follow)
        except OSError as error:
            # Gone since it was listed, or not for us to read (no root).
            if error.errno not in (errno.ENODATA, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP):
                raise
    return found


def set_xattrs(target: int | str, wanted: Mapping[str, bytes]) -> bool:
    """Give exactly these extended attributes; others are removed. Whether anything changed.

    Raises `OSError`.
    """
    follow = isinstance(target, int)
    there = get_xattrs(target)
    if there == wanted:
        return False
    for name in there.keys() - wanted.keys():
        os.removexattr(target, name, follow_symlinks=follow)
    for name, value in wanted.items():
        if there.get(name) != value:
            os.setxattr(target, name, value, follow_symlinks=follow)
    return True
