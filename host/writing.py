"""Replacing and shaping single files, exactly and durably.

Every function takes real paths of this machine. Whatever goes wrong is one `HostError` that names
the file and says what state it is in.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import Final

import msgspec

from host import attributes, metadata, paths
from host.base import FileState, HostError, UnsafePath
from host.files import KINDS, open_quietly, state_of

TEMPORARY_PREFIX: Final = ".harden-tui."
"""Of files on their way to be renamed; a leading dot, so that no `*.conf` pattern finds them."""

_TYPES: Final = {kind: bits for bits, kind in KINDS.items()}


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


def put(
    path: str, wanted: FileState | None, content: bytes | None = None, *, within: str = ""
) -> None:
    """Make `path` exactly what `wanted` says; see `host.base.Host.put`. Raises `HostError`."""
    with _changing("restored", path, within) as (dir_fd, name):
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
                _shape(dir_fd, name, wanted)
            else:
                raise HostError(
                    f"{path} could not be restored: there is no file whose content could be kept"
                )
        elif wanted.kind == "dir":
            if there is None:
                with attributes.unlocked(dir_fd):
                    os.mkdir(name, 0o700, dir_fd=dir_fd)
                os.fsync(dir_fd)
            _shape(dir_fd, name, wanted)
        else:
            if there is None or not _same_node(dir_fd, name, there, wanted):
                _make_node(dir_fd, name, there, wanted)
            _shape(dir_fd, name, wanted)


def _shape(dir_fd: int, name: str, wanted: FileState) -> None:
    """Its metadata, durable on return."""
    if not metadata.give_at(dir_fd, name, wanted):
        return
    if wanted.kind not in ("file", "dir"):
        os.fsync(dir_fd)  # a link or a node cannot be opened; what holds its name can
        return
    fd = open_quietly(name, dir_fd=dir_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


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
            if wanted.flags:  # it was given none above
                attributes.set_flags(fd, wanted.flags)
                os.fsync(fd)
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
def _changing(verb: str, path: str, within: str = "") -> Iterator[tuple[int, str]]:
    """The directory of `path`, safely opened, and its name in it; failures become sentences."""
    above, name = paths.split(path)
    with contextlib.ExitStack() as stack:
        try:
            dir_fd = stack.enter_context(paths.directory(above, within, path))
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
