"""Directories that a change made outside of /etc, for a file of its own to lie in.

No restore point has them: what else comes into one is nothing of ours. They go, once nothing of
the change is in force any more, if nothing lies in them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from host.base import FileState, Host, HostError
from host.names import exact_json, read_exact_json
from snapshots import kept_files, sums
from snapshots.directories import parents
from snapshots.durable import sync_directory, write_durably
from snapshots.model import UNFINISHED, Item, Root
from snapshots.records import Records

NAME: Final = "made-directories.json"

AS_MADE: Final = FileState(kind="dir", mode=0o755)


class _Made(msgspec.Struct, frozen=True):
    """Outermost first."""

    paths: list[str]


def missing(host: Host, path: str, roots: Iterable[Root]) -> list[str]:
    """The directories that writing `path` makes and that nothing captures, outermost first."""
    captured = tuple(f"{top}/" for top in ("/etc", *(root.path.rstrip("/") for root in roots)))
    found: list[str] = []
    for above in parents(path):
        if host.state(above) is not None:
            break
        if not f"{above}/".startswith(captured):
            found.insert(0, above)
    return found


def note(records: Records, tx_id: str, paths: Iterable[str]) -> None:
    """Keep them with the transaction; durable on return. Raises `OSError`."""
    made = _Made(list(dict.fromkeys((*_noted(records, tx_id), *paths))))
    text = exact_json(made, indent=2) + b"\n"
    write_durably(records.where(tx_id) / NAME, sums.with_sum(text))


def make_again(host: Host, records: Records, files: Mapping[str, Item]) -> None:
    """Those that are gone, where one of `files` shall lie in them and is not there. Raises
    `HostError`."""
    noted = {one for tx_id in records.ids() for one in _noted(records, tx_id)}
    inside = tuple(f"{top}/" for top in noted)
    for path in files if noted else ():
        if not path.startswith(inside) or host.state(path) is not None:
            continue
        for above in reversed([*parents(path)]):
            if above in noted and host.state(above) is None:
                host.put(above, AS_MADE, within=f"/{above.split('/')[1]}")


def remove_empty(host: Host, records: Records) -> None:
    """Remove those of changes that are in force no more. What is not empty, or not as it was made,
    is somebody's from then on, unless another change has a file of its own in it."""
    with contextlib.suppress(HostError, OSError):  # a record that is damaged says so elsewhere
        _remove_empty(host, records)


def _remove_empty(host: Host, records: Records) -> None:
    noted = [tx_id for tx_id in records.ids() if (records.where(tx_id) / NAME).exists()]
    known = records.all() if noted else []
    if any(record.status in UNFINISHED for record in known):
        return  # what waits may have to go back, and put a file there again
    in_force = {record.id: record for record in known if record.in_force}
    used = [root.path for record in in_force.values() for root in record.roots]
    for tx_id in noted:
        if tx_id in in_force:
            continue
        with contextlib.suppress(HostError, OSError):
            left = [one for one in reversed(_noted(records, tx_id)) if not _is_gone(host, one)]
            if not any(path.startswith(f"{one}/") for one in left for path in used):
                (records.where(tx_id) / NAME).unlink()
                sync_directory(records.where(tx_id))


def _is_gone(host: Host, path: str) -> bool:
    now = host.state(path)
    if now is not None and now.same_as(AS_MADE) and not host.listdir(path):
        host.put(path, None, within=f"/{path.split('/')[1]}")
        return True
    return now is None


def _noted(records: Records, tx_id: str) -> list[str]:
    """None where what was kept is damaged: then they stay."""
    try:
        text = sums.without_sum(kept_files.read(records.where(tx_id) / NAME))
        return read_exact_json(text, _Made).paths
    except (OSError, ValueError):
        return []
