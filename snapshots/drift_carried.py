"""What drifted before restore points were pruned, and stays a difference until it is settled.

What is expected in place of what the last transaction left is read off all restore points since
the first standing one. Before some of them go, the answer is written down.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from host.names import exact_json, read_exact_json
from snapshots.drift import Key
from snapshots.durable import write_durably
from snapshots.model import DomainName, Item, SnapshotError
from snapshots.state import StateDir

SCHEMA = "harden-tui/carried/1"


class Carried(msgspec.Struct, frozen=True):
    """One thing and what is expected of it (`None`: absent) as of the transaction."""

    transaction: str
    domain: DomainName
    key: str
    item: Item | None


class _File(msgspec.Struct, frozen=True):
    schema: str
    carried: list[Carried]


def read(state: StateDir) -> list[Carried]:
    """Raises `SnapshotError` where the list is damaged."""
    try:
        content = state.carried.read_bytes()
    except FileNotFoundError:
        return []
    try:
        return read_exact_json(content, _File).carried
    except ValueError as error:
        raise SnapshotError(
            f"{state.carried} cannot be read ({error}), so it is not known what others changed "
            "before the last prune; nothing was changed. Put it back from a backup, or remove it: "
            "then those changes are no longer shown."
        ) from None


def write(state: StateDir, transaction: str, expected: Mapping[Key, Item | None]) -> None:
    """Replace the list; durable on return."""
    carried = [Carried(transaction, domain, key, item) for (domain, key), item in expected.items()]
    if carried or state.carried.exists():
        document = exact_json(_File(SCHEMA, carried))
        write_durably(state.carried, document + b"\n")
