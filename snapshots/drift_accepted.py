"""What a person accepted: changes by others that are what is expected from then on."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from host.names import exact_json, read_exact_json
from snapshots import twins
from snapshots.model import DomainName, Item, Key, SnapshotError
from snapshots.state import StateDir

SCHEMA = "harden-tui/accepted/1"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """One thing as it stood when it was accepted (`item` `None`: absent).

    `transaction` was the last one then; `when` is ISO 8601 UTC.
    """

    transaction: str
    domain: DomainName
    key: str
    item: Item | None
    when: str
    by: str = ""

    @property
    def thing(self) -> Key:
        return (self.domain, self.key)


class _File(msgspec.Struct, frozen=True):
    schema: str
    accepted: list[Accepted]


def read(state: StateDir) -> list[Accepted]:
    """In the order they were accepted. Raises `SnapshotError` where the list is damaged."""
    try:
        return read_exact_json(twins.read(state.accepted), _File).accepted
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{state.accepted} cannot be read ({twins.why(error)}), nor its copy beside it, so it "
            "is not known which changes by others were accepted; nothing was changed. Put one of "
            "the two back from a backup, or remove both: then they are shown, and can be "
            "accepted, again."
        ) from None


def write(state: StateDir, accepted: Iterable[Accepted]) -> None:
    """Replace the list; durable on return."""
    latest = {one.thing: one for one in accepted}
    document = _File(SCHEMA, list(latest.values()))
    twins.write(state.accepted, exact_json(document, indent=2) + b"\n")
