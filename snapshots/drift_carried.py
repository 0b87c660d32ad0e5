"""What drifted before restore points were pruned, and stays a difference until it is settled.

What is expected in place of what the last transaction left is read off all restore points since
the first standing one. Before some of them go, the answer is written down.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from host.names import exact_json, read_exact_json
from snapshots import twins
from snapshots.model import DomainName, Item, Key, SnapshotError
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
        return read_exact_json(twins.read(state.carried), _File).carried
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{state.carried} cannot be read ({twins.why(error)}), nor its copy beside it, so it "
            "is not known what others changed before the last prune; nothing was changed. Put one "
            "of the two back from a backup, or remove both: then those changes are no longer shown."
        ) from None


def write(state: StateDir, transaction: str, expected: Mapping[Key, Item | None]) -> None:
    """Replace the list; durable on return."""
    carried = [Carried(transaction, domain, key, item) for (domain, key), item in expected.items()]
    if carried or twins.exists(state.carried):
        twins.write(state.carried, exact_json(_File(SCHEMA, carried), indent=2) + b"\n")
