"""Reading, replacing and shaping single files, exactly and durably.

Every function takes real paths of this machine. Whatever goes wrong is one `HostError` that names
the file and says what state it is in.
"""

from __future__ import annotations

import contextlib
import glob as _glob
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import Final

import msgspec

from host import attributes, metadata, paths
from host.base import FileKind, FileState, HostError, UnsafePath

TEMPORARY_PREFIX: Final = ".harden-tui."
"""Of files on their way to be renamed; a leading dot, so that no `*.conf` pattern finds them."""

KINDS: Final[dict[int, FileKind]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
_TYPES: Final = {kind: bits for bits, kind in KINDS.items()}
_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


# --- reading ------------------------------------------------------------------------------------


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
                    sha256=hash_fd(fd) if content and stat.S_ISREG(there.st_mode) else "",
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


def read_bytes(path: str, *, limit_bytes: int) -> bytes:
    """The content of a regular file, links followed. Raises `HostError`."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        fd = open_quietly(path, flags=flags)
    except (OSError, ValueError) as error:
        raise _error("read", path, error) from error
    try:
        there = os.fstat(fd)
        if stat.S_ISDIR(there.st_mode):
            raise HostError(f"{path} could not be read: it is a directory")
        if not stat.S_ISREG(there.st_mode):
            raise HostError(f"{path} could not be read: it is not a regular file")
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
        raise HostError(f"{path} could not be read: it is larger than {limit_bytes} bytes")
    return b"".join(chunks)


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


# --- writing ------------------------------------------------------------------------------------


def write_file(path: str, content: bytes, wanted: FileState | None = None) -> None:
    """Replace or create a regular file; see `host.base.Host.write_file`.

    With `wanted.mtime_ns` the modification time is given too. Raises `HostError`.
    """
    with _changing("written", path) as (dir_fd, name):
        there = _lstat(dir_fd, name)
        if there is not None and stat.S_ISLNK(there.st_mode):
            raise UnsafePath(f"{path} was not written: it is a symbolic link; nothing was changed")
        if there is not None and not stat.S_ISREG(there.st_mode):
            kind = KINDS[stat.S_IFMT(there.st_mode)]
            raise HostError(
                f"{path} was not written: a {kind} stands where a file is expected; "
                "nothing was changed"
            )
        _replace(path, dir_fd, name, content, wanted)


def put(path: str, wanted: FileState | None, content: bytes | None = None) -> None:
    """Make `path` exactly what `wanted` says; see `host.base.Host.put`. Raises `HostError`."""
    with _changing("restored", path) as (dir_fd, name):
        there = _lstat(dir_fd, name)
        kind = KINDS[stat.S_IFMT(there.st_mode)] if there else None
        if wanted is None:
            if there is not None:
                _remove(dir_fd, name, there)
                os.fsync(dir_fd)
            return
        if there is not None and kind != wanted.kind and "dir" in (kind, wanted.kind):
            _remove(dir_fd, name, there)  # rename cannot exchange a directory and a file
            there = kind = None
        if wanted.kind == "file":
            if content is not None:
                _replace(path, dir_fd, name, content, wanted)
            elif kind == "file":
                metadata.give_at(dir_fd, name, wanted)
            else:
                raise HostError(
                    f"{path} could not be restored: there is no file whose content could be kept"
                )
        elif wanted.kind == "dir":
            if there is None:
                with attributes.unlocked(dir_fd):
                    os.mkdir(name, 0o700, dir_fd=dir_fd)
                os.fsync(dir_fd)
            metadata.give_at(dir_fd, name, wanted)
        else:
            if there is None or not _same_node(dir_fd, name, there, wanted):
                _make_node(dir_fd, name, there, wanted)
            metadata.give_at(dir_fd, name, wanted)


def _replace(path: str, dir_fd: int, name: str, content: bytes, wanted: FileState | None) -> None:
    """The new content under a temporary name, with its metadata, synced; then the rename."""
    with contextlib.ExitStack() as stack:
        old_fd = _open_regular(dir_fd, name)
        if old_fd is not None:
            stack.callback(os.close, old_fd)
        if wanted is None:
            wanted = _kept(old_fd)
        stack.enter_context(attributes.unlocked(dir_fd))
        temporary = TEMPORARY_PREFIX + secrets.token_hex(8)
        create = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, create, 0o600, dir_fd=dir_fd)
        stack.callback(os.close, fd)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            # Flags come last: an immutable file cannot be renamed.
            metadata.give(fd, msgspec.structs.replace(wanted, flags=0))
            if wanted.mtime_ns:
                os.utime(fd, ns=(wanted.mtime_ns, wanted.mtime_ns))
            os.fsync(fd)
            with attributes.unlocked(old_fd) if old_fd is not None else contextlib.nullcontext():
                os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=dir_fd)
            raise
        os.fsync(dir_fd)
        try:
            attributes.set_flags(fd, wanted.flags)
        except OSError as error:
            raise HostError(
                f"{path} has its new content, but its flags (chattr) could not be set: "
                f"{paths.because(error)}"
            ) from error


def _kept(old_fd: int | None) -> FileState:
    """The metadata a file has when nobody says otherwise: that of the file it replaces."""
    if old_fd is None:
        return FileState(kind="file", mode=0o644, uid=os.geteuid(), gid=os.getegid())
    return state_of(
        os.fstat(old_fd),
        flags=attributes.get_flags(old_fd),
        xattrs=attributes.get_xattrs(old_fd),
        mtime=False,
    )


def _open_regular(dir_fd: int, name: str) -> int | None:
    """The regular file `name`, opened; `None` where there is none (or another kind)."""
    there = _lstat(dir_fd, name)
    if there is None or not stat.S_ISREG(there.st_mode):
        return None
    return open_quietly(name, dir_fd=dir_fd)


def _lstat(dir_fd: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _remove(dir_fd: int, name: str, there: os.stat_result) -> None:
    """Take away what stands there, immutable or not; a directory only when empty."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(attributes.unlocked(dir_fd))
        if stat.S_ISDIR(there.st_mode) or stat.S_ISREG(there.st_mode):
            fd = open_quietly(name, dir_fd=dir_fd)
            stack.callback(os.close, fd)
            stack.enter_context(attributes.unlocked(fd))
        if stat.S_ISDIR(there.st_mode):
            os.rmdir(name, dir_fd=dir_fd)
        else:
            os.unlink(name, dir_fd=dir_fd)


def _same_node(dir_fd: int, name: str, there: os.stat_result, wanted: FileState) -> bool:
    if stat.S_IFMT(there.st_mode) != _TYPES[wanted.kind]:
        return False
    if wanted.kind == "symlink":
        return os.readlink(name, dir_fd=dir_fd) == wanted.target
    return wanted.kind not in ("char", "block") or there.st_rdev == wanted.rdev


def _make_node(dir_fd: int, name: str, there: os.stat_result | None, wanted: FileState) -> None:
    """A link, pipe, socket or device, put in place in one move."""
    temporary = TEMPORARY_PREFIX + secrets.token_hex(8)
    with contextlib.ExitStack() as stack:
        stack.enter_context(attributes.unlocked(dir_fd))
        old_fd = _open_regular(dir_fd, name) if there is not None else None
        if old_fd is not None:
            stack.callback(os.close, old_fd)
            stack.enter_context(attributes.unlocked(old_fd))
        if wanted.kind == "symlink":
            os.symlink(wanted.target, temporary, dir_fd=dir_fd)
        else:
            os.mknod(temporary, 0o600 | _TYPES[wanted.kind], wanted.rdev, dir_fd=dir_fd)
        try:
            metadata.give_at(dir_fd, temporary, wanted)
            if wanted.mtime_ns:
                times = (wanted.mtime_ns, wanted.mtime_ns)
                os.utime(temporary, ns=times, dir_fd=dir_fd, follow_symlinks=False)
            os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=dir_fd)
            raise
        os.fsync(dir_fd)


@contextlib.contextmanager
def _changing(verb: str, path: str) -> Iterator[tuple[int, str]]:
    """The directory of `path`, safely opened, and its name in it; failures become sentences."""
    above, name = paths.split(path)
    with contextlib.ExitStack() as stack:
        try:
            dir_fd = stack.enter_context(paths.directory(above))
        except OSError as error:
            raise HostError(
                f"{path} could not be {verb}: the directory {above} could not be opened: "
                f"{paths.because(error)}; nothing was changed"
            ) from error
        try:
            yield dir_fd, name
        except OSError as error:
            raise HostError(
                f"{path} could not be {verb}: {paths.because(error)}; it was left as it was"
            ) from error


def _error(verb: str, path: str, error: OSError | ValueError) -> HostError:
    reason = paths.because(error) if isinstance(error, OSError) else "the name is not valid"
    return HostError(f"{path} could not be {verb}: {reason}")
