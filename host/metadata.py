"""Giving an entry the owner, mode, extended attributes and flags of a `FileState`."""

from __future__ import annotations

import os
import stat
from typing import Final

from host import attributes
from host.base import FileState

_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def give(fd: int, wanted: FileState) -> bool:
    """Shape an open regular file or directory; whether anything had to change.

    If it cannot be done, immutable and append-only flags are put back. Raises `OSError`.
    """
    there = os.fstat(fd)
    raw = attributes.raw_flags(fd)
    flags = raw & attributes.FLAGS_OF_CHATTR
    owner = (there.st_uid, there.st_gid) != (wanted.uid, wanted.gid)
    mode = stat.S_IMODE(there.st_mode) != wanted.mode
    xattrs = attributes.get_xattrs(fd) != wanted.xattrs
    if not (owner or mode or xattrs):
        if flags == wanted.flags:
            return False
        attributes.change_flags(fd, raw, wanted.flags)
        return True
    if flags & attributes.LOCKING:
        raw = attributes.change_flags(fd, raw, flags & ~attributes.LOCKING)
    try:
        # In this order: a change of owner drops set-id bits and capabilities, an ACL rewrites the
        # group bits, and chmod at last makes them what they were (they are the ACL's mask).
        if owner:
            os.fchown(fd, wanted.uid, wanted.gid)
        if xattrs or (owner and wanted.xattrs):
            attributes.set_xattrs(fd, wanted.xattrs)
        if mode or xattrs or (owner and wanted.mode & _SET_ID):
            os.fchmod(fd, wanted.mode)
    except OSError:
        if flags & attributes.LOCKING:
            attributes.change_flags(fd, raw, flags)
        raise
    attributes.change_flags(fd, raw, wanted.flags)
    return True


def give_at(dir_fd: int, name: str, wanted: FileState) -> bool:
    """Shape the existing entry `name` of an open directory, of any kind, following no link.

    Raises `OSError`.
    """
    if wanted.kind in ("file", "dir"):
        fd = os.open(name, _LOOK, dir_fd=dir_fd)
        try:
            return give(fd, wanted)
        finally:
            os.close(fd)
    there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    changed = False
    if (there.st_uid, there.st_gid) != (wanted.uid, wanted.gid):
        os.chown(name, wanted.uid, wanted.gid, dir_fd=dir_fd, follow_symlinks=False)
        changed = True
    # No system call sets attributes relative to a directory; this path names the same entry.
    if attributes.set_xattrs(f"/proc/self/fd/{dir_fd}/{name}", wanted.xattrs):
        changed = True
    if wanted.kind != "symlink" and stat.S_IMODE(there.st_mode) != wanted.mode:
        _chmod_node(dir_fd, name, wanted.mode)
        changed = True
    return changed


def _chmod_node(dir_fd: int, name: str, mode: int) -> None:
    """chmod of a pipe, socket or device without opening it (which could block or ring a bell)."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)
