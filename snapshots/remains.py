"""What holds something else: a directory or a firewall table stays while anything is in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from host.base import FileState
from snapshots.captured import same
from snapshots.decision import Clash
from snapshots.disputes import KEPT
from snapshots.model import Delta, FileItem, Item

if TYPE_CHECKING:
    from snapshots.decision import Decision, Later
    from snapshots.inversion import Inversion


def settle_directories(
    inversion: Inversion, former: Callable[[], Mapping[str, Item]] = dict
) -> None:
    """Keep a directory that something lies in, and give a file the directories above it.

    `former`: the files as they were before what is undone, by path; asked only if needed.
    """
    if not _moves(inversion):
        return  # no directory is in question: everything stays what it is, and where it is
    gone: dict[str, Decision] = {}
    come: dict[str, Item] = {}
    for decision in inversion.decisions:
        if decision.delta.domain == "files" and decision.changes:
            if decision.target is None:
                gone[decision.delta.key] = decision
            else:
                come[decision.delta.key] = decision.target
    _add_parents(inversion, come, gone.keys(), former)
    there = inversion.current.get("files", {})
    emptied = any(_is_dir(there.get(path)) and not _is_dir(item) for path, item in come.items())
    needed = _needed(there, gone.keys(), come) if gone or emptied else {}
    for path, decision in gone.items():
        now = there.get(path)
        if now is not None and path in needed and _is_dir(now):
            _keep_directory(inversion, decision, now, needed[path])

    def stands(path: str) -> Item | None:
        return come.get(path) or (None if path in gone else there.get(path))

    sound: set[str] = set()  # directories in which something can lie; a tree has few
    for decision in list(inversion.decisions):
        if decision.delta.domain == "files" and decision.changes and decision.target is not None:
            obstacle = _in_the_way(decision, stands, needed, sound)
            if obstacle:
                _blocked(inversion, decision, obstacle)


def _moves(inversion: Inversion) -> bool:
    """Whether a file comes, goes, or becomes something else than a file, link or directory."""
    there = inversion.current.get("files", {})
    last: tuple[Item | None, Item | None] = (None, None)
    for decision in inversion.decisions:
        if decision.delta.domain == "files" and decision.changes:
            now, target = there.get(decision.delta.key), decision.target
            if now is last[0] and target is last[1]:
                continue  # most of 50,000 files are as alike as the one before
            if not isinstance(now, FileItem) or not isinstance(target, FileItem):
                return True
            if now.state.kind != target.state.kind:
                return True
            last = (now, target)
    return False


def _needed(there: dict[str, Item], gone: Collection[str], come: dict[str, Item]) -> dict[str, str]:
    """Directory -> something that will lie in it."""
    needed: dict[str, str] = {}
    for path in (*there, *come):
        if path in gone:
            continue
        above = path.rpartition("/")[0]
        while above and above not in needed:
            needed[above] = path
            above = above.rpartition("/")[0]
    return needed


def _is_dir(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"


def _in_the_way(
    decision: Decision,
    stands: Callable[[str], Item | None],
    needed: dict[str, str],
    sound: set[str],
) -> str:
    """Why this cannot stand where it should: only a directory holds something else."""
    path, target = decision.delta.key, decision.target
    if path in needed and isinstance(target, FileItem) and target.state.kind != "dir":
        return f"{needed[path]} lies in the directory that is there now"
    above = path.rpartition("/")[0]
    while above and above not in sound:
        item = stands(above)
        if isinstance(item, FileItem) and item.state.kind != "dir":
            return f"{above}, in which it lay, is no directory now"
        sound.add(above)
        above = above.rpartition("/")[0]
    return ""


def _blocked(inversion: Inversion, decision: Decision, stands: str) -> None:
    """What cannot come back is a conflict, too: it stays as it is only if a person wants that."""
    now = inversion.now(decision.delta)
    decision.clashes = (*decision.clashes, Clash(decision.delta.after, now))
    if inversion.resolutions.of(decision.delta.key) == "keep-current":
        decision.how, decision.chosen, decision.note = "kept", "keep-current", KEPT
        return
    decision.how, decision.chosen, decision.note = "conflict", "", stands
    way_out = f"{stands}; move that away first"
    decision.cannot = {"restore": way_out, "merge": way_out}


def _add_parents(
    inversion: Inversion,
    come: dict[str, Item],
    gone: Collection[str],
    former: Callable[[], Mapping[str, Item]],
) -> None:
    """Directories that somebody removed since, for files that come back: as they were, or as
    Debian makes them."""
    as_they_were: Mapping[str, Item] | None = None
    roots = inversion.record.roots
    inside = ("/etc/", *(f"{root.path.rstrip('/')}/" for root in roots))
    there = inversion.current.get("files", {})
    # Most of 50,000 files lie in the directory of the one before.
    last = ""
    for path in list(come):
        above = path.rpartition("/")[0]
        if above == last:
            continue
        last = above
        while (
            above.startswith(inside) and above not in come and (above in gone or above not in there)
        ):
            if as_they_were is None:
                as_they_were = former()
            known = as_they_were.get(above)
            usual = FileItem(FileState(kind="dir", mode=0o755))
            come[above] = known if known is not None and _is_dir(known) else usual
            delta = Delta("files", above, come[above], None)
            inversion.say(delta, "restore", come[above], note=f"made anew for {path}")
            above = above.rpartition("/")[0]


def _keep_directory(inversion: Inversion, decision: Decision, now: Item, holds: str) -> None:
    path = decision.delta.key
    heir = _heir(inversion, "files", f"{path}/")
    _stays(inversion, decision, heir, holds)
    if heir is not None:
        inversion.inherit(heir, decision.delta, now)


def settle_tables(inversion: Inversion) -> None:
    """Keep a firewall table that chains of others stay in; its built-in chains stay, emptied."""
    present = inversion.target("firewall").get("firewall", {})
    for decision in inversion.decisions:
        delta = decision.delta
        if delta.domain != "firewall" or not decision.changes or decision.target is not None:
            continue
        table = " ".join(delta.key.split(" ")[:2])
        stays = next((key for key in present if key.startswith(f"{table} ")), None)
        if stays is None:
            continue
        heir = _heir(inversion, "firewall", f"{table} ")
        if delta.key == table:
            _stays(inversion, decision, heir, stays)
        elif not delta.key.rpartition(" ")[2].isupper():
            continue  # a chain of its own, unlike "ip filter INPUT"
        if heir is not None:
            inversion.inherit(heir, delta, inversion.now(delta))
            inversion.refresh.add((heir.record.id, ("firewall", delta.key)))


def _stays(inversion: Inversion, decision: Decision, heir: Later | None, holds: str) -> None:
    decision.how = "handed-over" if heir else "already"
    decision.note = f"stays: {holds} lies in it"
    decision.heirs = (heir.record,) if heir else ()
    inversion.walks.stop(decision.delta, heir.record.id if heir else "")


def filler(inversion: Inversion, delta: Delta, before: Later) -> Later | None:
    """Of a directory that our step made: who put something in it before `before` changed it."""
    if delta.domain != "files" or delta.before is not None or not _is_dir(delta.after):
        return None
    heir = _heir(inversion, "files", f"{delta.key}/", new=True)
    return heir if heir is not None and heir.record.at_end < before.record.at_end else None


def _heir(inversion: Inversion, domain: str, inside: str, *, new: bool = False) -> Later | None:
    """The first later step or witness that left something there (`new`: that was not there
    before)."""
    found = [
        later
        for later in (*inversion.later, *inversion.witnesses)
        if any(
            delta is not None
            and delta.after is not None
            and not (delta.before is not None if new else same(delta.before, delta.after))
            and key[0] == domain
            and key[1].startswith(inside)
            for key, delta in inversion.theirs(later).items()
        )
    ]
    return min(found, key=lambda one: one.record.at_end, default=None)
