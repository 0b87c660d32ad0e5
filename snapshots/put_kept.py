"""What is kept of files that somebody put into directories of packages, until the transaction ends.

A package's own script may remove such a directory. So what lies there is listed beside the record
before anything is removed, with its contents in the store, and no other list is written over it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from host.base import Host, HostError
from snapshots import delta_list, leftovers
from snapshots.capture import Keeper
from snapshots.captured import is_metadata_only, same_state
from snapshots.directories import parents
from snapshots.durable import sync_directory, write_durably
from snapshots.journal import BROUGHT
from snapshots.model import Delta, FileItem, Item
from snapshots.records import Records

NAME: Final = "put-there.jsonl"

DATA: Final = "packages-data.jsonl"
"""What programs of the packages made, which goes with them: kept for where an undo goes back."""

GONE: Final = "packages-gone.jsonl"
"""What of it was gone when somebody first went back at a later time."""

MANY: Final = 2000
"""The contents of so many files of `DATA` are kept at most."""

KEPT_BYTES: Final = 64 * 1024 * 1024
"""So much of it all is kept for where a package's own script takes it away."""


def keep(records: Records, tx_id: str, items: Mapping[str, Item], name: str = NAME) -> None:
    """List these; durable on return. Their contents are in the store. Raises `OSError`."""
    listed = (Delta("files", path, item, None) for path, item in sorted(items.items()))
    write_durably(records.where(tx_id) / name, delta_list.encoded(listed))


def listed(records: Records, tx_id: str, name: str = NAME) -> dict[str, Item]:
    """What is kept, by path; without a content where that was too large or found no room.

    Raises `SnapshotError` where the list is damaged.
    """
    try:
        found = list(records.read_list(records.where(tx_id) / name, {}))
    except FileNotFoundError:
        return {}
    return {one.key: one.before for one in found if one.before is not None}


def everything(records: Records, tx_id: str) -> dict[str, Item]:
    """What both lists say is kept. Raises `SnapshotError`."""
    return listed(records, tx_id, DATA) | listed(records, tx_id)


def let_go(records: Records, tx_id: str, name: str = NAME) -> None:
    """The files are there, or nothing will put them back any more."""
    path = records.where(tx_id) / name
    with contextlib.suppress(OSError):
        path.unlink()
        sync_directory(path.parent)


def note_brought(records: Records, tx_id: str, paths: Iterable[str]) -> None:
    """Have the journal say that all of this came with packages, once. Raises `OSError`."""
    names = sorted({*paths} - (brought(records, tx_id) or set()))
    if names:
        what = f"{len(names)} names came with packages"
        records.journal(tx_id, BROUGHT, what, names=names)


def brought(records: Records, tx_id: str) -> frozenset[str] | None:
    """What is known to have come with packages; `None` where nobody noted it."""
    lines = [line for line in records.journal_of(tx_id) if line.what == BROUGHT]
    return frozenset(name for line in lines for name in line.names or ()) if lines else None


def smallest(
    host: Host, paths: Iterable[str], room_bytes: int | None = None, most: int | None = None
) -> set[str]:
    """Those whose contents are kept: the smallest, up to `room_bytes` (`KEPT_BYTES`) of all, and
    at most so many."""
    states = ((path, host.state(path)) for path in paths)
    there = {path: state for path, state in states if state is not None}
    kept = {path for path, state in there.items() if state.kind != "file"}
    sizes = sorted((there[path].size_bytes, path) for path in there.keys() - kept)
    room_bytes = KEPT_BYTES if room_bytes is None else room_bytes
    total = 0
    for size_bytes, path in sizes[:most]:
        total += size_bytes
        if total > room_bytes:
            break
        kept.add(path)
    return kept


def holding(host: Host, paths: Iterable[str]) -> dict[str, Item]:
    """The directories below the trees of packages in which `paths` lie, as they are."""
    above = {one for path in paths for one in parents(path) if _tree_of(one)}
    states = ((one, host.state(one)) for one in sorted(above))
    return {one: FileItem(state) for one, state in states if state and state.kind == "dir"}


def put_back(
    keeper: Keeper, kept: Mapping[str, Item], contents: Mapping[str, bytes]
) -> dict[str, str]:
    """What of it is gone, in the directories that it lay in; path -> why, where that failed.

    `contents`: those that are in no store. Through no link: a daemon's account may have made one
    where it owns a directory. Never raises for what goes wrong on the host.
    """
    failed = {}
    for path, item in kept.items():
        if not isinstance(item, FileItem):
            continue
        try:
            if keeper.host.state(path) is None and (path in contents or not is_metadata_only(item)):
                _put(keeper, path, item, kept, contents.get(path))
        except (HostError, OSError) as error:
            failed[path] = str(error).rstrip(".")
    return failed


def shape_back(keeper: Keeper, kept: Mapping[str, Item]) -> dict[str, str]:
    """Owner, mode and attributes of files and directories that are there, as they are kept; path
    -> why, where that failed. Never raises for what goes wrong on the host."""
    failed, host = {}, keeper.host
    for path, item in kept.items():
        try:
            now = host.state(path)
            if not isinstance(item, FileItem) or now is None or now.kind != item.state.kind:
                continue
            if not same_state(item.state, now):
                place, top = _place(host, path)
                host.put(place, item.state, within=top)
        except (HostError, OSError) as error:
            failed[path] = str(error).rstrip(".")
    return failed


def _place(host: Host, path: str) -> tuple[str, str]:
    """Where it really lies, and below which directory no link may lead it away."""
    tree = _tree_of(path)
    top = host.realpath(tree) if tree else ""
    return f"{top}{path.removeprefix(tree)}", top


def _put(
    keeper: Keeper, path: str, item: FileItem, kept: Mapping[str, Item], content: bytes | None
) -> None:
    host, state, tree = keeper.host, item.state, _tree_of(path)
    if state.kind == "file" and content is None:
        content = keeper.files.content(path, state)
    place, top = _place(host, path)
    for above in reversed([*parents(path)]):
        holder = kept.get(above)
        if isinstance(holder, FileItem) and host.state(above) is None:
            host.put(f"{top}{above.removeprefix(tree)}", holder.state, within=top)
    host.put(place, state, content, within=top)


def _tree_of(path: str) -> str:
    return next((tree for tree in leftovers.TREES if path.startswith(f"{tree}/")), "")
