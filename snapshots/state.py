"""The state directory: where it lies, who may use it now, and that nobody else can reach in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from snapshots import twins
from snapshots.durable import private_directory
from snapshots.model import Busy, SnapshotError, Unwritable
from snapshots.ownership import refuse_foreign_way

KEY_BYTES = 32
LOCK_POLL_S = 0.1
RESERVE_BYTES = 1024 * 1024
"""A record, a list of differences and the largest file of /etc that a step edits."""

_held: dict[tuple[str, int], int] = {}
"""How many times this thread holds the lock of a directory: a transaction inside a run that
already holds it must not wait for itself."""
_descriptors: dict[tuple[str, int], int] = {}
_held_guard = threading.Lock()


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock. `since` is ISO 8601 UTC."""

    pid: int
    what: str
    since: str

    def __str__(self) -> str:
        if not self.pid:
            return "which one cannot be read from the lock"
        return f"{self.what} (process {self.pid}, since {self.since})"


class _Key(msgspec.Struct):
    key: bytes


class StateDir:
    """Our own directory. Raises `SnapshotError` where somebody else could have written in it."""

    def __init__(self, path: Path, log_dir: Path | None = None) -> None:
        self.path = path
        self.log_dir = log_dir or path / "log"
        self._make_private()
        for part in (self.objects, self.points, self.debs, self.secret_contents):
            private_directory(part)
        private_directory(self.transactions)

    @property
    def objects(self) -> Path:
        return self.path / "snapshots" / "objects"

    @property
    def points(self) -> Path:
        return self.path / "snapshots" / "points"

    @property
    def debs(self) -> Path:
        return self.path / "snapshots" / "debs"

    @property
    def secret_contents(self) -> Path:
        return self.path / "snapshots" / "secrets"

    @property
    def secret_paths(self) -> Path:
        return self.path / "secret-paths.json"

    @property
    def transactions(self) -> Path:
        return self.path / "transactions"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def answers(self) -> Path:
        return self.path / "answers.json"

    @property
    def accepted(self) -> Path:
        return self.path / "accepted.json"

    @property
    def carried(self) -> Path:
        return self.path / "carried.json"

    @property
    def kept_twice(self) -> tuple[Path, ...]:
        """What `twins` keeps, beside the records."""
        return (
            self._key, self.secret_paths, self.accepted, self.carried, self.window, self.last_window
        )  # fmt: skip

    @property
    def window(self) -> Path:
        return self.path / "window.json"

    @property
    def last_window(self) -> Path:
        return self.path / "windows" / "last.json"

    @property
    def hashes(self) -> Path:
        return self.path / "hashes"

    def reserve(self) -> None:
        """Set room aside, so that going back can still be written down when the disk is full."""
        descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give that room back."""
        self._reserve.unlink(missing_ok=True)

    @property
    def _reserve(self) -> Path:
        return self.path / "reserve"

    def key(self) -> bytes | None:
        """The key of this host's keyed hashes; `None` where there is none.

        Raises `SnapshotError` where it is damaged.
        """
        try:
            return msgspec.json.decode(twins.read(self._key), type=_Key).key
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self.lost_key(twins.why(error)) from None

    def make_key(self) -> bytes:
        """The first key; durable on return."""
        key = _Key(secrets.token_bytes(KEY_BYTES))
        twins.write(self._key, msgspec.json.format(msgspec.json.encode(key)) + b"\n")
        return key.key

    def lost_key(self, why: str) -> SnapshotError:
        """What it means that secrets can no longer be compared."""
        return SnapshotError(
            f"{self._key} cannot be read ({why}), nor its copy beside it, so "
            "secret files cannot be compared; nothing was changed. Put one of the two back from a "
            "backup of the state directory. Without one, the restore.sh of a restore point in "
            f"{self.points} still puts files back."
        )

    @property
    def _key(self) -> Path:
        return self.path / "key"

    @contextmanager
    def lock(self, holder: str, wait_s: float = 0.0) -> Iterator[None]:
        """Be the only one who changes the host. The same thread may ask again.

        Raises `Busy` naming the holder after `wait_s` seconds. The kernel lets go of the lock
        when the process dies, however it dies.
        """
        mine = (os.path.realpath(self.path), threading.get_ident())
        with _held_guard:
            again = _held.get(mine, 0) > 0
            if again:
                _held[mine] += 1
        if again:
            try:
                yield
            finally:
                with _held_guard:
                    _held[mine] -= 1
            return
        descriptor = self._acquire(wait_s)
        with _held_guard:
            _held[mine] = 1
            _descriptors[mine] = descriptor
        try:
            told = Holder(os.getpid(), holder, datetime.now(UTC).isoformat(timespec="seconds"))
            _tell_holder(descriptor, msgspec.json.encode(told))
            yield
        finally:
            with _held_guard:
                del _held[mine], _descriptors[mine]
            os.close(descriptor)

    @contextmanager
    def let_go(self, wait_s: float = 60.0) -> Iterator[None]:
        """Let others change the host meanwhile, and be the only one again afterwards.

        For whoever holds the lock. Raises `Busy` where somebody else holds it after `wait_s`.
        """
        mine = (os.path.realpath(self.path), threading.get_ident())
        with _held_guard:
            descriptor = _descriptors[mine]
        told = os.pread(descriptor, 4096, 0)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        try:
            yield
        finally:
            self._wait_for(descriptor, wait_s)
            _tell_holder(descriptor, told)

    def holder(self) -> Holder | None:
        """Who holds the lock now; `None` where it is free."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            # Shared: two who only look at once must not take each other for the holder.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._read_holder()
        finally:
            os.close(descriptor)
        return None

    def _acquire(self, wait_s: float) -> int:
        path = self.path / "lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise Unwritable(
                f"{path} cannot be opened for writing: {error.strerror}; nothing was changed on "
                "the host. Mend that, then try again."
            ) from error
        try:
            self._wait_for(descriptor, wait_s)
        except Busy:
            os.close(descriptor)
            raise
        return descriptor

    def _wait_for(self, descriptor: int, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Busy(
                        f"Another harden-tui is at work on this host: {self._read_holder()}; it "
                        f"was waited for {wait_s:.0f} s, and nothing was changed. "
                        "`harden-tui follow` shows it."
                    ) from None
                time.sleep(LOCK_POLL_S)

    def _read_holder(self) -> Holder:
        try:
            return msgspec.json.decode((self.path / "lock").read_bytes(), type=Holder)
        except (OSError, msgspec.DecodeError):
            return Holder(0, "", "")

    def _make_private(self) -> None:
        if os.geteuid() == 0:
            refuse_foreign_way(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        except OSError as error:
            raise SnapshotError(
                f"The state directory {self.path} cannot be created: {error.strerror}; nothing "
                "was changed. As another user, choose one with --state-dir."
            ) from None
        seen = os.lstat(self.path)
        if not stat.S_ISDIR(seen.st_mode):
            raise SnapshotError(
                f"The state directory {self.path} is a link or no directory; nothing was changed. "
                "Find out who put it there, then remove it."
            )
        if seen.st_uid != os.geteuid():
            raise SnapshotError(
                f"The state directory {self.path} belongs to user id {seen.st_uid}, not to "
                f"{os.geteuid()}; nothing was read from it or changed. Use --state-dir, or find "
                "out who made it."
            )
        if seen.st_mode & 0o077:
            os.chmod(self.path, 0o700)


def _tell_holder(descriptor: int, told: bytes) -> None:
    """For others who wait. Written in place, which needs no room on a full disk; where it cannot
    be said all the same, nobody is named."""
    try:
        os.pwrite(descriptor, told, 0)
        os.ftruncate(descriptor, len(told))
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
