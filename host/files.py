"""Looking at single files: what they are, what they hold.

Every function takes real paths of this machine. Whatever goes wrong is one `HostError` that names
the file.
"""

from __future__ import annotations

import contextlib
import glob as _glob
import hashlib
import os
import stat
from typing import Final

from host import attributes, base, paths
from host.base import FileKind, FileState, HostError

KINDS: Final[dict[int, FileKind]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def open_quietly(path: str, *, dir_fd: int | None = None, flags: int = _LOOK) -> int:
    """Open for reading without touching the access time where we may. Raises `OSError`."""
    try:
        return os.open(path, flags | os.O_NOATIME, dir_fd=dir_fd)
    except PermissionError:  # not ours: only the owner and root may leave the access time alone
        return os.open(path, flags, dir_fd=dir_fd)


def hash_fd(fd: int) -> str:
    """SHA-256 of what an open file holds, in hex; read again if it changed meanwhile."""
    for _ in range(3):
        before = os.fstat(fd)
        digest = hashlib.sha256()
        os.lseek(fd, 0, os.SEEK_SET)
        while chunk := os.read(fd, 1 << 18):
            digest.update(chunk)
        after = os.fstat(fd)
        if (before.st_ctime_ns, before.st_size) == (after.st_ctime_ns, after.st_size):
            break
    return digest.hexdigest()


def can_be_hashed(there: os.stat_result) -> bool:
    """Whether it is a regular file that is not too large."""
    return stat.S_ISREG(there.st_mode) and there.st_size <= base.LARGEST_READ_BYTES


def state(path: str, *, content: bool = False) -> FileState | None:
    """What lies at `path`; see `host.base.Host.state`. Raises `HostError`.

    Without root, flags and attributes we may not read are missing; content we may not read is an
    error only where it was asked for.
    """
    try:
        there = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _error("examined", path, error) from error
    try:
        if stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode):
            try:
                fd = open_quietly(path)
            except PermissionError:
                if content and stat.S_ISREG(there.st_mode):
                    raise
                return state_of(there, xattrs=_xattrs_of_path(path))
            try:
                there = os.fstat(fd)
                return state_of(
                    there,
                    flags=attributes.get_flags(fd),
                    xattrs=attributes.get_xattrs(fd),
                    sha256=hash_fd(fd) if content and can_be_hashed(there) else "",
                )
            finally:
                os.close(fd)
        target = os.readlink(path) if stat.S_ISLNK(there.st_mode) else ""
        return state_of(there, target=target, xattrs=_xattrs_of_path(path))
    except FileNotFoundError:
        return None  # gone since we looked
    except OSError as error:
        raise _error("examined", path, error) from error


def state_of(
    there: os.stat_result,
    *,
    flags: int = 0,
    sha256: str = "",
    target: str = "",
    xattrs: dict[str, bytes] | None = None,
    mtime: bool = True,
) -> FileState:
    """The `FileState` that belongs to a stat result."""
    return FileState(
        kind=KINDS[stat.S_IFMT(there.st_mode)],
        mode=stat.S_IMODE(there.st_mode),
        uid=there.st_uid,
        gid=there.st_gid,
        flags=flags,
        size_bytes=there.st_size,
        sha256=sha256,
        target=target,
        rdev=there.st_rdev,
        mtime_ns=there.st_mtime_ns if mtime else 0,
        xattrs=xattrs or {},
    )


def _xattrs_of_path(path: str) -> dict[str, bytes]:
    try:
        return attributes.get_xattrs(path)
    except PermissionError:
        return {}


def read_bytes(path: str, *, limit_bytes: int, follow: bool = True) -> bytes:
    """The content of a regular file; see `host.base.Host.read_bytes`. Raises `HostError`."""
    try:
        fd = open_quietly(path, flags=_LOOK & ~os.O_NOFOLLOW) if follow else _open_itself(path)
    except (OSError, ValueError) as error:
        raise _error("read", path, error) from error
    try:
        there = os.fstat(fd)
        if stat.S_ISDIR(there.st_mode):
            raise HostError(f"{path} could not be read: it is a directory")
        if not stat.S_ISREG(there.st_mode):
            raise HostError(f"{path} could not be read: it is not a regular file")
        if there.st_size > limit_bytes:
            raise HostError(_too_large(path, limit_bytes))
        chunks = []
        left = limit_bytes + 1
        while left > 0 and (chunk := os.read(fd, min(left, 1 << 20))):
            chunks.append(chunk)
            left -= len(chunk)
    except OSError as error:
        raise _error("read", path, error) from error
    finally:
        os.close(fd)
    if left <= 0:
        raise HostError(_too_large(path, limit_bytes))
    return b"".join(chunks)


def _too_large(path: str, limit_bytes: int) -> str:
    mib, rest = divmod(limit_bytes, 1024 * 1024)
    shown = f"{limit_bytes} bytes" if rest else f"{mib} MiB"
    return f"{path} could not be read: it is larger than {shown}"


def _open_itself(path: str) -> int:
    """By the way on which `write_file` reaches it. Raises `OSError`, `UnsafePath`."""
    above, name = paths.split(path)
    with contextlib.suppress(OSError):
        fd = open_quietly(path)
        # A tree has tens of thousands of files, and a link on the way to hardly any.
        if os.readlink(f"/proc/self/fd/{fd}") == path:
            return fd
        os.close(fd)
    with paths.directory(above) as dir_fd:
        return open_quietly(name, dir_fd=dir_fd)


def changes_below(top: str) -> dict[str, int]:
    """See `host.base.Host.changes_below`."""
    found: dict[str, int] = {}
    try:
        itself = os.lstat(top)
    except OSError:
        return found
    found[top] = itself.st_ctime_ns
    device = itself.st_dev
    pending = [top]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        there = entry.stat(follow_symlinks=False)
                        found[entry.path] = there.st_ctime_ns
                        if stat.S_ISDIR(there.st_mode) and there.st_dev == device:
                            pending.append(entry.path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
    return found


def listdir(path: str) -> list[str]:
    """Sorted names in a directory; empty where there is none. Raises `HostError`."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise _error("listed", path, error) from error


def glob(pattern: str) -> list[str]:
    """Sorted paths that match; as in the shell, `*` does not match a leading dot."""
    return sorted(_glob.glob(pattern))


def _error(verb: str, path: str, error: OSError | ValueError) -> HostError:
    reason = paths.because(error) if isinstance(error, OSError) else "the name is not valid"
    if isinstance(error, FileNotFoundError) and os.path.islink(path):
        reason = "it is a symbolic link to something that does not exist"
    return HostError(f"{path} could not be {verb}: {reason}")
