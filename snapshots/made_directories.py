"""Directories that a change made outside of /etc, for a file of its own to lie in.

No restore point has them: what else comes into one is nothing of ours. They go, once nothing of
the change is in force any more, if nothing lies in them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

import msgspec

from host.base import FileState, Host, HostError
from host.names import exact_json, read_exact_json
from snapshots import kept_files, sums
from snapshots.directories import parents
from snapshots.durable import sync_directory, write_durably
from snapshots.model import UNFINISHED, Root
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


def remove_empty(host: Host, records: Records) -> None:
    """Remove those of changes that are in force no more; what is not empty, or not as it was made,
    stays until then."""
    noted = [tx_id for tx_id in records.ids() if (records.where(tx_id) / NAME).exists()]
    if noted and any(record.status in UNFINISHED for record in records.all()):
        return  # what waits may have to go back, and put a file there again
    for tx_id in noted:
        path = records.where(tx_id) / NAME
        with contextlib.suppress(HostError, OSError):
            if records.read(tx_id).in_force:
                continue
            left = [one for one in reversed(_noted(records, tx_id)) if not _is_gone(host, one)]
            if not left:
                path.unlink()
                sync_directory(path.parent)


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
