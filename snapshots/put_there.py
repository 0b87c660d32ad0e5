"""What somebody put into a directory that came with packages: no undo takes it away.

dpkg leaves such a file where it lies, and so does an undo. What programs write on their own goes
with them; it is told apart by its owner, its place and its name.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from host.base import CommandMissing, FileState, Host, HostError
from host.names import visible
from snapshots import leftovers
from snapshots.captured import is_metadata_only
from snapshots.directories import parents
from snapshots.model import Delta, FileItem, Item, SnapshotError, TransactionRecord
from snapshots.package_owners import AT_ONCE, owners
from snapshots.package_ties import listed
from snapshots.persons import FIRST_PERSON
from snapshots.records import Records

if TYPE_CHECKING:
    from snapshots.capture import Keeper
    from snapshots.inversion import Inversion

KEPT_BYTES: Final = 64 * 1024 * 1024
"""So much of it all is kept for where a package's own script takes it away."""

WHY: Final = "it came later and no package has it, so it may be yours"
TOO_MUCH: Final = f"{WHY}; it is too large to be kept if a package's own script removes it"

_OF_PROGRAMS: Final = re.compile(r"/var/(log|cache|spool/(?!cron/))/?.*|.*/__pycache__/.*")
"""Logs, caches and queues (FHS 3.0, 5): what is root's there was written by a program."""

_OF_NOBODY: Final = range(61184, 65536)
"""systemd's dynamic users, and nobody."""

_SAYS_NOTHING: Final = re.compile(r"/etc/.*|/usr/share/(doc|man|locale|info)/.*")
"""What an administrator writes, or a program never reads."""


def put_there(
    host: Host, came: Mapping[str, Item], known: Container[str], going: Iterable[str]
) -> dict[str, str]:
    """Which of the files that `came` somebody put there -> why it stays, as one clause.

    Not those `known`, as a transaction or dpkg has them, nor what belongs to a program's account,
    nor where the programs of the packages `going` name the very path.
    """
    there = {
        path: item
        for path, item in came.items()
        if path not in known and isinstance(item, FileItem) and _may_be_somebodys(path, item.state)
    }
    of_root = [path for path, item in there.items() if item.state.uid == 0]
    if of_root:
        for path in _named_by(host, of_root, going):
            there.pop(path, None)
    kept = _kept_of(host, there)
    return {path: WHY if path in kept else TOO_MUCH for path in sorted(there)}


def put_since(host: Host, records: Records, record: TransactionRecord) -> dict[str, Item]:
    """What somebody put there while `record` waits for its confirmation. Where its list is damaged,
    all that may be somebody's."""
    came = leftovers.states(host, records.came(record.id)) if record.status == "pending" else {}
    if not came:
        return {}
    try:
        deltas = list(records.each_delta(record.id, {}))
    except SnapshotError:
        deltas = []
    known = {one.key for one in deltas if one.domain == "files"} | owners(host, came).keys()
    going = [one.key for one in deltas if one.domain == "packages" and one.before is None]
    return {path: came[path] for path in put_there(host, came, known, going)}


def sentence(paths: Collection[str]) -> str:
    """About what stays; empty where nothing does."""
    if not paths:
        return ""
    first = ", ".join(map(visible, sorted(paths)[: leftovers.NAMED]))
    more = f" and {len(paths) - leftovers.NAMED} more" if len(paths) > leftovers.NAMED else ""
    if len(paths) == 1:
        return f"1 file came later and no package has it, so it may be yours and stays: {first}."
    return (
        f"{len(paths)} files came later and no package has them, so they may be yours and stay: "
        f"{first}{more}."
    )


class PutThere:
    """What an undo leaves because somebody put it there, kept until it is known that it stayed.

    Made before anything is changed, where contents may be kept. Raises `HostError`, `OSError`.
    """

    def __init__(self, keeper: Keeper, inversion: Inversion) -> None:
        self._keeper = keeper
        self.paths = left_of(inversion)
        self._kept = {
            path: item
            for path in sorted(_kept_of(keeper.host, self.paths))
            if (item := keeper.files.item(keeper.host, path)) is not None
        }
        self._above = {
            above: holder
            for path in self.paths
            for above in parents(path)
            if isinstance(holder := inversion.current["files"].get(above), FileItem)
        }
        lies_in = self._above.keys()
        self.holders = [
            one.delta.key
            for one in inversion.decisions
            if one.delta.domain == "files" and one.how == "already" and one.delta.key in lies_in
        ]
        """Directories that stay only for it, or for something else."""

    @contextlib.contextmanager
    def as_found(self) -> Iterator[None]:
        """Where what is done fails: what a package's script took is put back."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(HostError, OSError):  # what failed first is told
                put_back(self._keeper, {**self._above, **self._kept})
            raise

    def kept(self) -> list[Delta]:
        """All of it as if it had been taken away, with what it lies in."""
        return [Delta("files", path, item, None) for path, item in self._all()]

    def _all(self) -> list[tuple[str, Item]]:
        return sorted({**self._above, **self._kept}.items())

    def taken(self) -> list[Delta]:
        """What packages' own scripts took away, with what was kept of it and what it lay in."""
        host = self._keeper.host
        return [
            Delta("files", path, item, None)
            for path, item in self._all()
            if host.state(path) is None
        ]

    def sentences(self, undo_id: str) -> list[str]:
        """What became of it."""
        gone = set(self._gone())
        told = [sentence([path for path in self.paths if path not in gone])]
        for path in sorted(gone):
            kept = path in self._kept and not is_metadata_only(self._kept[path])
            what = (
                f"what it held is kept, see `harden-tui history show {undo_id}`"
                if kept
                else "it was too large to be kept"
            )
            told.append(f"{visible(path)} was removed by its package's own script; {what}.")
        return [words for words in told if words]

    def _gone(self) -> list[str]:
        return [path for path in self.paths if self._keeper.host.state(path) is None]


def taken_since(records: Records, record: TransactionRecord) -> dict[str, Item]:
    """What packages' own scripts took away in an undo that waits for its confirmation, or may have
    in one that was cut off, and the directories that went; none where its list is damaged."""
    if record.kind != "rollback" or record.status not in ("open", "pending"):
        return {}
    try:
        gone = {
            one.key: one.before
            for one in records.each_delta(record.id, {})
            if one.domain == "files" and one.before is not None and one.after is None
        }
    except SnapshotError:
        return {}
    return {path: gone[path] for path in leftovers.outside(gone, record.roots)}


def put_back(keeper: Keeper, taken: Mapping[str, Item]) -> None:
    """What of it was kept and is gone, in the directories that it lay in. Raises `HostError`.

    Through no link: a daemon's account may have made one where it owns a directory.
    """
    host = keeper.host
    for path, item in taken.items():
        if not isinstance(item, FileItem) or item.state.kind == "dir":
            continue
        if is_metadata_only(item) or host.state(path) is not None:
            continue  # a program's own, of which nothing is kept, or it is there
        tree = next((tree for tree in leftovers.TREES if path.startswith(f"{tree}/")), "")
        top = host.realpath(tree) if tree else ""
        for above in reversed([*parents(path)]):
            holder = taken.get(above)
            if isinstance(holder, FileItem) and host.state(above) is None:
                host.put(f"{top}{above.removeprefix(tree)}", holder.state, within=top)
        state = item.state
        content = keeper.files.content(path, state) if state.kind == "file" else None
        host.put(f"{top}{path.removeprefix(tree)}", state, content, within=top)


def left_of(inversion: Inversion) -> list[str]:
    """What an undo leaves because somebody put it there."""
    return [one.delta.key for one in inversion.decisions if one.how == "left"]


def _may_be_somebodys(path: str, state: FileState) -> bool:
    if state.kind not in ("file", "symlink"):
        return False
    if state.uid == 0:
        return not _OF_PROGRAMS.fullmatch(path)
    return state.uid >= FIRST_PERSON and state.uid not in _OF_NOBODY


def _named_by(host: Host, paths: Iterable[str], packages: Iterable[str]) -> set[str]:
    """Those of `paths` that a program or script of `packages` has in it."""
    names = sorted(packages)
    if not names:
        return set()
    files = [path for path in listed(host, names) if not _SAYS_NOTHING.fullmatch(path)]
    # Programs put "/" before it, or the directory of a chroot.
    wanted = {path.lstrip("/"): path for path in paths}
    patterns = "\n".join(wanted).encode("utf-8", "surrogateescape")
    found = set[str]()
    try:
        for start in range(0, len(files), AT_ONCE):
            argv = (
                "grep", "-aohwsF", "-d", "skip", "-f", "-", "--", *files[start : start + AT_ONCE],
            )  # fmt: skip
            answer = host.run(argv, stdin=patterns, ok=None)
            found |= {wanted[line] for line in answer.stdout.splitlines() if line in wanted}
    except CommandMissing:
        return set()
    return found


def _kept_of(host: Host, paths: Iterable[str]) -> set[str]:
    """Those whose contents are kept: the smallest, up to `KEPT_BYTES` of all."""
    states = ((path, host.state(path)) for path in paths)
    sizes = sorted((state.size_bytes, path) for path, state in states if state is not None)
    kept, total = set[str](), 0
    for size_bytes, path in sizes:
        total += size_bytes
        if total > KEPT_BYTES:
            break
        kept.add(path)
    return kept
