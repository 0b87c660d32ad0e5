"""What holds something else: a directory or a firewall table stays while anything is in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from host.base import FileState
from snapshots.decision import Clash, name_of
from snapshots.directories import coverer, emptied, first_inside, is_dir, parents
from snapshots.disputes import KEPT
from snapshots.heirs import inherit, leave_hidden
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
    there = inversion.current.get("files", {})
    back = [path for path in come if path not in there]
    first_made = len(inversion.decisions)
    _add_parents(inversion, come, gone.keys(), former)
    made = {id(decision) for decision in inversion.decisions[first_made:]}
    is_emptied = any(is_dir(there.get(path)) and not is_dir(item) for path, item in come.items())
    needed = _needed(there, gone.keys(), come) if gone or is_emptied else {}
    for path, decision in gone.items():
        now = there.get(path)
        if now is None or not is_dir(now):
            continue
        if path in needed:
            _keep_directory(inversion, decision, now, needed[path])
        elif heir := emptied(inversion, decision.delta):
            note = f"stays: {name_of(heir.record)} put something in it"
            _stays(inversion, decision, heir, note)
            inherit(inversion, heir, decision.delta, now)
            for above in parents(path):
                needed.setdefault(above, path)

    def stands(path: str) -> Item | None:
        return come.get(path) or (None if path in gone else there.get(path))

    coming = [
        decision
        for decision in inversion.decisions
        if decision.delta.domain == "files" and decision.changes and decision.target is not None
    ]
    for decision in coming:
        path = decision.delta.key
        if path in needed and not is_dir(decision.target):
            _overlaid(inversion, decision, needed[path])
            del come[path]
    sound: set[str] = set()  # directories in which something can lie; a tree has few
    for decision in coming:
        if decision.changes and (obstacle := _in_the_way(decision.delta.key, stands, sound)):
            _covered(inversion, decision, obstacle)
            if decision.how != "handed-over" and id(decision) in made:
                # All that it was made for is in conflict, too, or kept.
                inversion.decisions = [one for one in inversion.decisions if one is not decision]
    for path in back:
        for above in parents(path):
            if above in inversion.inhabited:
                break
            item = stands(above)
            if item is not None and is_dir(item):
                inversion.inhabited[above] = item


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
        for above in parents(path):
            if above in needed:
                break
            needed[above] = path
    return needed


def _in_the_way(path: str, stands: Callable[[str], Item | None], sound: set[str]) -> str:
    """What is no directory, of those that this should lie in."""
    passed: list[str] = []
    for above in parents(path):
        if above in sound:
            break
        item = stands(above)
        if item is not None and not is_dir(item):
            return above
        passed.append(above)
    sound.update(passed)
    return ""


def _overlaid(inversion: Inversion, decision: Decision, holds: str) -> None:
    """A directory stands there that others put something into: it goes with that."""
    now = inversion.now(decision.delta)
    heir = first_inside(inversion, "files", f"{decision.delta.key}/")
    if heir is None or not is_dir(decision.delta.after):
        _blocked(inversion, decision, f"{holds} lies in the directory that is there now")
        return
    _stays(inversion, decision, heir, f"stays: {holds} lies in it")
    inherit(inversion, heir, decision.delta, now)


def _covered(inversion: Inversion, decision: Decision, obstacle: str) -> None:
    """Something else stands where its directory was: it comes back once that is gone."""
    heir = coverer(inversion, obstacle)
    if heir is None or not leave_hidden(inversion, heir, decision.delta, decision.target):
        _blocked(inversion, decision, f"{obstacle}, in which it lay, is no directory now")
        return
    decision.how, decision.heirs = "handed-over", (heir.record,)
    decision.note = f"{obstacle}, in which it lay, is no directory since {name_of(heir.record)}"


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
        while above.startswith(inside) and above not in come:
            stands = there.get(above)
            if stands is not None and (above not in gone or is_dir(stands)):
                break
            if as_they_were is None:
                as_they_were = former()
            known = as_they_were.get(above)
            usual = FileItem(FileState(kind="dir", mode=0o755))
            come[above] = known if known is not None and is_dir(known) else usual
            delta = Delta("files", above, come[above], None)
            inversion.say(delta, "restore", come[above], note=f"made anew for {path}")
            above = above.rpartition("/")[0]


def _keep_directory(inversion: Inversion, decision: Decision, now: Item, holds: str) -> None:
    path = decision.delta.key
    heir = first_inside(inversion, "files", f"{path}/")
    _stays(inversion, decision, heir, f"stays: {holds} lies in it")
    if heir is not None:
        inherit(inversion, heir, decision.delta, now)
        return
    for later in inversion.everybody:  # what they made of it since is theirs still
        inversion.rebased.get(later.record.id, {}).pop(("files", path), None)
        inversion.moved.get(later.record.id, {}).pop(("files", path), None)


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
        heir = first_inside(inversion, "firewall", f"{table} ")
        if delta.key == table:
            _stays(inversion, decision, heir, f"stays: {stays} lies in it")
        elif not delta.key.rpartition(" ")[2].isupper():
            continue  # a chain of its own, unlike "ip filter INPUT"
        if heir is not None:
            inherit(inversion, heir, delta, inversion.now(delta))
            inversion.refresh.add((heir.record.id, ("firewall", delta.key)))


def _stays(inversion: Inversion, decision: Decision, heir: Later | None, note: str) -> None:
    decision.how = "handed-over" if heir else "already"
    decision.note = note
    decision.heirs = (heir.record,) if heir else ()
    inversion.walks.stop(decision.delta, heir.record.id if heir else "")
