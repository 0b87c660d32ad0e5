"""Files: all of /etc and the trees a step declares, each entry with everything that makes it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec

from host.base import LARGEST_READ_BYTES, FileState, Host, HostError
from snapshots.accounts import FILES
from snapshots.captured import REPOSITORIES, TOO_LARGE, is_metadata_only, is_too_large
from snapshots.domains.base import Domain, Scope
from snapshots.model import DomainName, FileItem, Item, Root, SnapshotError
from snapshots.objects import ObjectStore
from snapshots.progress import Progress
from snapshots.secret_paths import PREFIX, SecretPaths
from snapshots.ways import Ways

ETC = Root("/etc", content=True, without=REPOSITORIES)


class Filled(HostError):
    """A directory that was to go is not empty: somebody put something into it just now."""


class Files(Domain):
    """Contents go to `store` as they are met; a capture is safe to rely on after `store.sync()`.

    That of a file that is too large is not kept: nothing is written over it, nor is it removed.
    """

    name: ClassVar[DomainName] = "files"

    def __init__(self, store: ObjectStore, secret_paths: SecretPaths) -> None:
        self._store = store
        self._secret_paths = secret_paths
        self.keeping = True
        """Off while going back: what is only compared needs no room on a disk that may be full."""
        self.about_to_change: frozenset[str] = frozenset()
        """Files whose content will be needed if a change fails. What is kept of them from earlier
        is read, and where it was damaged kept anew: now the true content is on the host still."""
        self._ways = Ways(("/etc",))

    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        found: dict[str, Item] = {}
        shared: dict[int, FileItem] = {}
        secret = self._secret_paths.paths
        self._ways = Ways(root.path for root in roots_of(scope))
        for root in roots_of(scope):
            walked = None if root.content else host.walked(root.path, scope.seen_since_s)
            without = frozenset(root.without if root.content else ())
            for path, state in walked or host.walk(
                root.path, content=root.content, without=without
            ):
                if path in REPOSITORIES:
                    continue
                if not root.content:
                    # Equal states are one object there, mostly; so are the items made of them,
                    # which keep them alive, so that an id stands for one state.
                    item = shared.get(id(state))
                    if item is None:
                        item = shared[id(state)] = FileItem(state)
                    found.setdefault(path, item)
                    continue
                if path in secret and state.sha256:
                    hashed = self._secret_paths.hashed(state.sha256)
                    state = msgspec.structs.replace(state, sha256=hashed)
                elif state.sha256 and self.keeping and not self._is_kept(path, state):
                    kept = self._keep(host, path, state)
                    if kept is None:
                        continue
                    state = kept
                found[path] = FileItem(state)
        return found

    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        there: dict[str, FileState] = {}
        gone: list[str] = []
        linked = self._ways.linked(host, wanted)
        mounted = self._ways.mounted(host, wanted)
        if linked or mounted:
            off = linked.keys() | mounted.keys()
            wanted = {path: item for path, item in wanted.items() if path not in off}
        for path, item in wanted.items():
            if item is None:
                gone.append(path)
            elif isinstance(item, FileItem) and not is_metadata_only(item):
                there[path] = item.state
        gone.sort(key=_depth, reverse=True)
        total = len(wanted)
        kept: list[str] = []
        filled: list[str] = []
        large = [path for path in wanted if _is_in_the_way(host, path, wanted[path])]
        gone = [path for path in gone if path not in large]
        for path in large:
            there.pop(path, None)
        for path in gone:
            # What stands in the way of a directory's new shape goes first, the deepest first.
            if not self._remove(host, path):
                kept.append(path)
        for done, path in enumerate(sorted(there, key=_depth)):
            if done % 50 == 0:
                progress.doing("putting files back", done, total)
            if there[path].kind != "dir" and _is_filled(host, path):
                filled.append(path)
                continue
            self._put(host, path, there[path])
        if any(is_metadata_only(item) for item in wanted.values()):
            # Directories above them were shaped already; no content is touched here.
            host.apply_states(
                _metadata_only(wanted),
                on_progress=lambda done: progress.doing("putting modes back", done, total),
            )
        lost = [path for path, item in wanted.items() if is_too_large(item) and _lacks(host, path)]
        problems = _problems(large, lost, filled, linked, mounted)
        if problems:
            raise HostError(
                f"{' '.join(problems)} Everything else was put back; then run `harden-tui recover`."
            )
        if kept:
            raise Filled(
                f"The directory {kept[-1]} was not there before and could not be removed, because "
                "something else has put files into it; everything else was put back. Move them "
                "away and run `harden-tui recover`."
            )

    def item(self, host: Host, path: str, *, keep: bool = True) -> FileItem | None:
        """What lies there, as `capture` has it in a tree with content; not kept for a look."""
        state = host.state(path, content=True)
        if state is None:
            return None
        if path in self._secret_paths.paths and state.sha256:
            state = msgspec.structs.replace(state, sha256=self._secret_paths.hashed(state.sha256))
        elif keep and state.sha256 and not self._is_kept(path, state):
            kept = self._keep(host, path, state)
            return None if kept is None else FileItem(kept)
        return FileItem(state)

    def _is_kept(self, path: str, state: FileState) -> bool:
        if path in self.about_to_change or path in FILES:  # those are merged at each way back
            return self._store.is_whole(state.sha256)
        return self._store.has(state.sha256, state.size_bytes)

    def _keep(self, host: Host, path: str, state: FileState) -> FileState | None:
        try:
            content = host.read_bytes(path, limit_bytes=LARGEST_READ_BYTES, follow=False)
        except HostError:
            now = host.state(path)
            if now is None:
                return None  # an editor's temporary file, gone since it was listed
            if now.kind != "file":
                return now  # a link since it was listed: its target's content is not the file's
            raise
        sha256 = self._store.add(content)
        if sha256 == state.sha256:
            return state
        # It was replaced since it was listed; what counts is the content that was kept.
        return msgspec.structs.replace(state, sha256=sha256, size_bytes=len(content))

    def _put(self, host: Host, path: str, state: FileState) -> None:
        if state.kind != "file":
            host.put(path, state, within=self._ways.top(path))
            return
        now = host.state(path, content=True)
        if (
            now is not None
            and now.kind == "file"
            and self._hash_of(path, now, state) == state.sha256
        ):
            host.put(
                path, state, within=self._ways.top(path)
            )  # only what is around the content differs
            return
        host.put(path, state, self.content(path, state), within=self._ways.top(path))

    def _hash_of(self, path: str, now: FileState, wanted: FileState) -> str:
        if wanted.sha256.startswith(PREFIX):
            return self._secret_paths.hashed(now.sha256)
        return now.sha256

    def content(self, path: str, state: FileState) -> bytes:
        """What the file held. Raises `SnapshotError` where it was secret and not kept."""
        if not state.sha256.startswith(PREFIX):
            return self._store.get(state.sha256)
        content = self._secret_paths.content(state.sha256)
        if content is None:
            raise SnapshotError(
                f"{path} holds a secret, so its former content was not copied and cannot be put "
                "back; the file is as it is now. Write the secret again, for example by applying "
                "the step that set it."
            )
        return content

    def _remove(self, host: Host, path: str) -> bool:
        now = host.state(path)
        if now is None:
            return True
        if now.kind == "dir" and host.listdir(path):
            return False
        host.put(path, None, within=self._ways.top(path))
        return True


def _is_in_the_way(host: Host, path: str, wanted: Item | None) -> bool:
    """Whether a file whose content is kept nowhere would go, or be written over."""
    if is_metadata_only(wanted):
        return False
    now = host.state(path)
    return now is not None and now.is_too_large


def _is_filled(host: Host, path: str) -> bool:
    now = host.state(path)
    return now is not None and now.kind == "dir" and bool(host.listdir(path))


def _lacks(host: Host, path: str) -> bool:
    now = host.state(path)
    return now is None or not now.is_too_large


def roots_of(scope: Scope) -> Iterator[Root]:
    """/etc and the declared trees; those with content last, so that theirs is the word."""
    declared = {root.path.rstrip("/") or "/": root for root in scope.roots}
    for path, root in sorted(declared.items(), key=lambda pair: pair[1].content):
        if path != "/etc" and not (path.startswith("/etc/")):
            yield Root(path, root.content, root.without)
    yield ETC


def _problems(
    large: Sequence[str],
    lost: Sequence[str],
    filled: Sequence[str],
    linked: Mapping[str, str],
    mounted: Mapping[str, str],
) -> list[str]:
    """Why what could not be put back was not, sentences."""
    found = []
    if large:
        found.append(
            f"{large[0]} is {TOO_LARGE}, so its content is kept nowhere and it was left as it is:"
            " move it away."
        )
    if lost:
        found.append(
            f"The content of {lost[0]} was {TOO_LARGE}, so it was not kept and is gone: put it"
            " back from a backup."
        )
    if filled:
        found.append(
            f"{_first(filled)} could not be put back: it is a directory now, in which something"
            " else lies: move it away."
        )
    if linked:
        link = next(iter(linked.values()))
        found.append(
            f"{_first(linked)} could not be put back: {link}, in which it lay, is a symbolic link"
            " now, and nothing is changed through that. Move the link away first."
        )
    if mounted:
        at = next(iter(mounted.values()))
        found.append(
            f"{_first(mounted)} could not be put back: {at} is covered by what is mounted on it,"
            " and nothing is changed there. Unmount it first."
        )
    return found


def _metadata_only(wanted: Mapping[str, Item | None]) -> Iterator[tuple[str, FileState]]:
    for path, item in wanted.items():
        if isinstance(item, FileItem) and is_metadata_only(item):
            yield path, item.state


def content_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _first(paths: Collection[str]) -> str:
    """ "/etc/a and 2 more"."""
    return f"{next(iter(paths))}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}"
