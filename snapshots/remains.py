"""What holds something else: a directory or a firewall table stays while anything is in it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from host.base import FileState
from snapshots.model import Delta, FileItem, Item

if TYPE_CHECKING:
    from snapshots.inversion import Decision, Inversion, Later


def settle_directories(inversion: Inversion) -> None:
    """Keep a directory that something lies in, and give a file the directories above it."""
    gone: dict[str, Decision] = {}
    come: dict[str, Item] = {}
    for decision in inversion.decisions:
        if decision.delta.domain == "files" and decision.changes:
            if decision.target is None:
                gone[decision.delta.key] = decision
            else:
                come[decision.delta.key] = decision.target
    _add_parents(inversion, come, gone.keys())
    if not gone:
        return
    needed: dict[str, str] = {}
    for path in (*inversion.current.get("files", {}), *come):
        if path in gone:
            continue
        above = path.rpartition("/")[0]
        while above and above not in needed:
            needed[above] = path
            above = above.rpartition("/")[0]
    for path, decision in gone.items():
        now = inversion.current["files"].get(path)
        if path in needed and isinstance(now, FileItem) and now.state.kind == "dir":
            _keep_directory(inversion, decision, now, needed[path])


def _add_parents(inversion: Inversion, come: dict[str, Item], gone: Collection[str]) -> None:
    """Directories that somebody removed since, for files that come back."""
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
            come[above] = FileItem(FileState(kind="dir", mode=0o755))
            delta = Delta("files", above, come[above], None)
            inversion.say(delta, "restore", come[above], note=f"made anew for {path}")
            above = above.rpartition("/")[0]


def _keep_directory(inversion: Inversion, decision: Decision, now: Item, holds: str) -> None:
    path = decision.delta.key
    heir = _heir(inversion, "files", f"{path}/")
    decision.how = "handed-over" if heir else "already"
    decision.note = f"stays: {holds} lies in it"
    if heir is not None:
        inversion.rebase(heir, Delta("files", path, decision.delta.before, now))


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
            decision.how = "handed-over" if heir else "already"
            decision.note = f"stays: {stays} lies in it"
        elif not delta.key.rpartition(" ")[2].isupper():
            continue  # a chain of its own, unlike "ip filter INPUT"
        if heir is not None:
            now = inversion.now(delta)
            inversion.rebase(heir, Delta("firewall", delta.key, delta.before, now))
            inversion.refresh["firewall", delta.key] = heir.record.id


def _heir(inversion: Inversion, domain: str, inside: str) -> Later | None:
    """The first later transaction that put something there."""
    for later in inversion.later:
        for key, delta in inversion.theirs(later).items():
            there = delta is not None and delta.after is not None
            if there and key[0] == domain and key[1].startswith(inside):
                return later
    return None
