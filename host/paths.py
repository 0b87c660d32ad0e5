"""Reaching a file without following a link that somebody else placed.

Root writes below directories that others own (application trees, /home, /tmp). Each component is
opened from the one before with O_NOFOLLOW; a link is followed only when root (or we ourselves)
made it in a directory where nobody else could have.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Final

from host.base import HostError, UnsafePath

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MOST_LINKS: Final = 40
"""As in the kernel (MAXSYMLINKS)."""


def because(error: OSError) -> str:
    """The reason of an `OSError` as words in a sentence ("no space is left on the device")."""
    return _REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()


_REASONS: Final = {
    errno.ENOSPC: "no space is left on the file system",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is mounted read-only",
    errno.EACCES: "access was denied (this needs root)",
    errno.EPERM: "the operation is not permitted (it needs root, or the file is immutable)",
    errno.ENOENT: "it does not exist",
    errno.ENOTDIR: "something that is not a directory stands above it",
    errno.EISDIR: "it is a directory",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.ELOOP: "a symbolic link stands there",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk reported an input/output error",
    errno.EOPNOTSUPP: "the file system does not support it",
    errno.EBUSY: "it is in use (a mount point?)",
    errno.EXDEV: "it lies on another file system",
}


def split(path: str) -> tuple[str, str]:
    """Directory and name of an absolute path. Raises `HostError` for one that has none."""
    directory, _, name = path.rstrip("/").rpartition("/")
    if not path.startswith("/") or name in ("", ".", "..") or "\0" in path:
        raise HostError(f"{path!r} is not the absolute path of a file; nothing was done")
    return directory or "/", name


def linked(path: str, link: str) -> str:
    """Why nothing is done to `path`, as a sentence."""
    return (
        f"{path} was not touched: {link}, in which it lay, is a symbolic link now, and nothing is "
        "changed through that; move the link away first"
    )


@contextlib.contextmanager
def directory(path: str, within: str = "", of: str = "") -> Iterator[int]:
    """Open the directory at `path` safely, for work below it.

    From `within` on, which `path` is or lies in, no link at all is followed. Raises `UnsafePath`
    for a link of somebody else and for such a one (`of`: the file that it is about), `OSError` for
    what the kernel says.
    """
    strictly = within and f"{path}/".startswith(f"{within}/")
    fd = _open_within(path, within, of or path) if strictly else _open(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _open_within(path: str, within: str, of: str) -> int:
    at = within.rpartition("/")[0]
    fd = _open(at)
    for part in path[len(at) + 1 :].split("/"):
        above, at = fd, f"{at}/{part}"
        try:
            fd = os.open(part, _DIRECTORY, dir_fd=above)
        except OSError as error:
            is_link = error.errno in (errno.ELOOP, errno.ENOTDIR)
            if is_link and stat.S_ISLNK(os.lstat(part, dir_fd=above).st_mode):
                raise UnsafePath(linked(of, at)) from None
            raise
        finally:
            os.close(above)
    return fd


def _open(path: str) -> int:
    opened = [os.open("/", _DIRECTORY)]
    try:
        left = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while left:
            part = left.pop()
            if part == "..":
                if len(opened) > 1:
                    os.close(opened.pop())
                continue
            try:
                opened.append(os.open(part, _DIRECTORY, dir_fd=opened[-1]))
            except OSError as error:
                # For a link Linux says ENOTDIR when O_DIRECTORY is asked as well.
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                target = _trusted_link(opened[-1], part, path)
                if target is None:
                    raise
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
                if target.startswith("/"):
                    while len(opened) > 1:
                        os.close(opened.pop())
                left += [piece for piece in reversed(target.split("/")) if piece not in ("", ".")]
        return opened.pop()
    finally:
        for fd in opened:
            os.close(fd)


def _trusted_link(directory_fd: int, name: str, path: str) -> str | None:
    """The target of a link that only root or we can have made; `None` if it is no link."""
    there = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    if not stat.S_ISLNK(there.st_mode):
        return None
    above = os.fstat(directory_fd)
    trusted = (0, os.geteuid())
    others_may_write = above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX
    if there.st_uid not in trusted or above.st_uid not in trusted or others_may_write:
        raise UnsafePath(
            f"{path} was not touched: {name!r} on the way there is a symbolic link that someone "
            "other than root could have placed; remove the link or correct the owner first"
        )
    return os.readlink(name, dir_fd=directory_fd)
