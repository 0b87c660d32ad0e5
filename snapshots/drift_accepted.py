"""What a person accepted: changes by others that are what is expected from then on."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from host.names import exact_json, read_exact_json
from snapshots.drift import Key
from snapshots.durable import write_durably
from snapshots.model import DomainName, Item, SnapshotError
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
        content = state.accepted.read_bytes()
    except FileNotFoundError:
        return []
    try:
        return read_exact_json(content, _File).accepted
    except ValueError as error:
        raise SnapshotError(
            f"{state.accepted} cannot be read ({error}), so it is not known which changes by "
            "others were accepted; nothing was changed. Put it back from a backup, or remove it: "
            "then they are shown, and can be accepted, again."
        ) from None


def write(state: StateDir, accepted: Iterable[Accepted]) -> None:
    """Replace the list; durable on return."""
    latest = {one.thing: one for one in accepted}
    document = _File(SCHEMA, list(latest.values()))
    write_durably(state.accepted, exact_json(document, encode=msgspec.json.encode) + b"\n")
