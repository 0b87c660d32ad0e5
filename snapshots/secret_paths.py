"""Files whose content must not be copied: which they are, and how they are compared all the same.

A path is registered before secret content is first written to it. From then on captures hold a
keyed hash instead of the content. Only when a transaction is about to replace what a registered
file holds is that content kept, root only, because nothing else could bring it back.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
from collections.abc import Iterable

import msgspec

from host.base import Host, HostError
from host.names import exact_json, read_exact_json
from snapshots import kept_files, twins
from snapshots.durable import write_durably
from snapshots.model import SnapshotError
from snapshots.state import StateDir

_GONE = os.strerror(errno.ENOENT)
SCHEMA = "harden-tui/secret-paths/1"
PREFIX = "hmac:"
LIMIT_BYTES = 16 * 1024 * 1024


class _File(msgspec.Struct, frozen=True):
    schema: str
    paths: list[str]


class SecretPaths:
    """The registered paths of one host and the few contents kept for an undo."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._paths: frozenset[str] | None = None

    @property
    def paths(self) -> frozenset[str]:
        """Raises `SnapshotError` where the register is damaged or gone, or the key: nothing may
        be captured then, or a secret would be copied as it is.
        """
        if self._paths is None:
            self._paths = self._read()
        return self._paths

    def _read(self) -> frozenset[str]:
        try:
            found = read_exact_json(twins.read(self._state.secret_paths), _File)
        except FileNotFoundError as error:
            if self._state.key() is None:  # there never was a secret: the register comes first
                return frozenset()
            raise self._lost(error) from None
        except (OSError, ValueError) as error:
            raise self._lost(error) from None
        if found.paths and self._state.key() is None:
            raise self._state.lost_key(_GONE)
        return frozenset(found.paths)

    def _lost(self, error: OSError | ValueError) -> SnapshotError:
        return SnapshotError(
            f"{self._state.secret_paths} cannot be read ({twins.why(error)}), nor its copy beside "
            "it, so it is not known which files are secret; nothing was changed. Put one of the "
            "two back from a backup of the state directory. Without one, the restore.sh of a "
            f"restore point in {self._state.points} still puts files back."
        )

    def _key(self) -> bytes:
        """Made on first use. With another one each secret would look changed: once there was one,
        `SnapshotError` is raised.
        """
        key = self._state.key()
        if key is not None:
            return key
        if self.paths or any(self._state.secret_contents.iterdir()):
            raise self._state.lost_key(_GONE)
        if not twins.exists(self._state.secret_paths):
            self._write_down(frozenset())  # where there is a key and no register, it was lost
        return self._state.make_key()

    def register(self, paths: Iterable[str]) -> None:
        """From now on these are secret; durable on return."""
        self._key()  # there before the first secret is: later its loss is seen
        self._write(self.paths | set(paths))

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forget every path that no standing transaction made secret."""
        self._write(self.paths & set(paths))

    def _write(self, paths: frozenset[str]) -> None:
        if paths != self.paths:
            self._write_down(paths)

    def _write_down(self, paths: frozenset[str]) -> None:
        text = exact_json(_File(SCHEMA, sorted(paths)), indent=2)
        twins.write(self._state.secret_paths, text + b"\n")
        self._paths = paths

    def hashed(self, sha256: str) -> str:
        """What stands in a capture instead of the content's SHA-256, which could be guessed at."""
        digest = hmac.new(self._key(), sha256.encode("ascii"), hashlib.sha256)
        return PREFIX + digest.hexdigest()

    def keep_content(self, host: Host, path: str) -> str:
        """Keep what a registered file holds now, because it is about to be replaced.

        Returns its keyed hash, or "" where something was kept under it already.
        """
        content = host.read_bytes(path, limit_bytes=LIMIT_BYTES)
        hashed = self.hashed(hashlib.sha256(content).hexdigest())
        return hashed if self.keep_known(hashed, content) else ""

    def keep_known(self, hashed: str, content: bytes) -> bool:
        """Keep `content`, whose keyed hash is `hashed`; durable on return.

        False where something was kept under it already, which others may need. Where that was
        damaged it is whole again.
        """
        kept = self._state.secret_contents / hashed.removeprefix(PREFIX)
        was_there = kept.exists()
        try:
            is_whole = was_there and self.content(hashed) is not None
        except (SnapshotError, OSError):
            is_whole = False
        if not is_whole:
            write_durably(kept, content)
        return not was_there

    def drop(self, hashed: str) -> None:
        """Let go of a content that was kept."""
        (self._state.secret_contents / hashed.removeprefix(PREFIX)).unlink(missing_ok=True)

    def content(self, hashed: str) -> bytes | None:
        """The kept content with this keyed hash; `None` where it was not kept."""
        kept = self._state.secret_contents / hashed.removeprefix(PREFIX)
        try:
            content = kept_files.read(kept)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SnapshotError(
                f"The kept content {kept} cannot be read ({error.strerror}). Put it back from a "
                "backup of the state directory."
            ) from None
        if self.hashed(hashlib.sha256(content).hexdigest()) != hashed:
            raise SnapshotError(
                f"The kept content {kept} was altered on the disk; it was not used. Put it back "
                "from a backup of the state directory."
            )
        return content


class KnownSecrets:
    """What a merge may know of secret files: what was kept, and what the host holds."""

    def __init__(self, host: Host, secrets: SecretPaths) -> None:
        self._host = host
        self._secrets = secrets

    def hashed(self, content: bytes) -> str:
        """What stands for it in captures."""
        return self._secrets.hashed(hashlib.sha256(content).hexdigest())

    def content(self, hashed: str) -> bytes | None:
        """What was kept; `None` where nothing was, or it is damaged."""
        try:
            return self._secrets.content(hashed)
        except SnapshotError:
            return None

    def stands(self, path: str) -> bytes | None:
        """What the file holds now; `None` where it cannot be read."""
        try:
            return self._host.read_bytes(path, limit_bytes=LIMIT_BYTES, follow=False)
        except HostError:
            return None
