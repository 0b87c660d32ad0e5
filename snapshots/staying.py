"""Which packages of a transaction stay though it is undone, for whoever reads that it is."""

from __future__ import annotations

from snapshots import witnesses
from snapshots.capture import Keeper
from snapshots.decision import Later, by_key, name_of
from snapshots.domains.base import Scope
from snapshots.domains.packages import Package
from snapshots.model import Delta, Item, TransactionRecord
from snapshots.package_ties import brought, ties
from snapshots.records import Records


def staying(keeper: Keeper, record: TransactionRecord) -> dict[str, str]:
    """Package that `record` brought -> why its undo leaves it, as one clause; asks only.

    Raises `HostError`.
    """
    records = Records(keeper.state)
    mine = _of_packages(records, record)
    if not brought(mine):
        return {}
    later = [
        Later(one, by_key(_of_packages(records, one)))
        for one in records.all()
        if one.id != record.id and one.in_force and witnesses.outlasts(one, record)
    ]
    kept = ties(keeper.host, mine, later, {"packages": _installed(keeper), "files": {}}, set())
    names = {one.record.id: name_of(one.record) for one in later}
    return {
        name: kept.wanted.get(name) or _why(name, needer, names.get(kept.heirs.get(name, ""), ""))
        for name, needer in kept.packages.items()
    }


def _why(name: str, needer: str, heir: str) -> str:
    if needer == name:
        return f"it is left to {heir}, and goes when that is undone"
    return f"{needer} needs it" + (f" ({heir})" if heir else "")


def sentences(keeper: Keeper, stays: dict[str, str]) -> list[str]:
    """What to say of those that are still there. Raises `HostError`."""
    if not stays:
        return []
    there = _installed(keeper)
    return [
        f"The package {name} stays installed: {why}."
        for name, why in sorted(stays.items())
        if Package.of(there.get(name)) is not None
    ]


def _installed(keeper: Keeper) -> dict[str, Item]:
    return keeper.packages.capture(keeper.host, Scope())


def _of_packages(records: Records, record: TransactionRecord) -> list[Delta]:
    return [delta for delta in records.each_delta(record.id, {}) if delta.domain == "packages"]
