"""Units that ran before and cannot be started: told, and no failure where that is no wrong of ours.

A unit may go on running although it is masked, and ends whenever somebody stops it; one that a
change had nothing to do with may have been broken since. Neither is a reason to call that change
not taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from host.base import Host, HostError
from snapshots.activation import is_masked
from snapshots.domains.units import MASK
from snapshots.model import Delta, ValueItem
from snapshots.typed import by_number

ACTIVE = ValueItem("active")


def masked(host: Host, left: Iterable[Delta]) -> list[Delta]:
    """Of what is `left`, from the host as it is to what it shall be, the units that are masked."""
    return [delta for delta in left if _does_not_run(delta) and is_masked(host, delta.key)]


def are_others(left: Sequence[Delta], own: Collection[str] | None) -> bool:
    """Whether all that is `left` are units besides the change's `own`; `None`: not known."""
    if own is None:
        return False
    stems = set(map(_stem, own))
    return all(_does_not_run(delta) and _stem(delta.key) not in stems for delta in left)


def of_masked(units: Sequence[Delta]) -> list[str]:
    """A sentence about them; none where there are none."""
    if not units:
        return []
    names = ", ".join(delta.key for delta in units)
    return [
        f"{names} ran before although {by_number(units, 'it is', 'they are')} masked, and cannot be"
        f" started; {by_number(units, 'it stays', 'they stay')} stopped."
    ]


def of_others(units: Sequence[Delta], errors: Iterable[HostError]) -> str:
    """The same about units that a change had nothing to do with, with systemd's own words."""
    keys = [delta.key for delta in units]
    why = next((str(error) for error in errors if any(key in str(error) for key in keys)), "")
    return (
        f"{', '.join(keys)}, which the change had nothing to do with, ran before it and cannot be"
        f" started now{f' ({why})' if why else ''}. Everything else was put back."
    )


def _does_not_run(delta: Delta) -> bool:
    return delta.domain == "units" and not delta.key.startswith(MASK) and delta.after == ACTIVE


def _stem(unit: str) -> str:
    """A service and the socket or timer before it are one."""
    return unit.rpartition(".")[0]
