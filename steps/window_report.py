"""What changed during a window, out of the differences of its two restore points. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from snapshots.domains.packages import Package
from snapshots.drift import kind_of
from snapshots.model import Delta, ValueItem
from steps.model import StepResult
from steps.window_model import Changed, CheckChanged, FilesChanged

EXAMPLES = 5
"""How many paths are named for each tree; the transaction has all of them."""

GOOD = ("pass", "attested", "waived", "not-applicable")


def packages(deltas: Iterable[Delta]) -> tuple[Changed, ...]:
    """Those that came, went, or have another version; a mark alone is no change here."""
    found = []
    for delta in deltas:
        if delta.domain != "packages":
            continue
        before, after = Package.of(delta.before), Package.of(delta.after)
        old = before.version if before is not None else ""
        new = after.version if after is not None else ""
        if old != new:
            found.append(Changed(name=delta.key, before=old, after=new))
    return tuple(found)


def units(deltas: Iterable[Delta]) -> tuple[Changed, ...]:
    """Those in another state than they were."""
    return tuple(
        Changed(name=delta.key, before=_value(delta.before), after=_value(delta.after))
        for delta in deltas
        if delta.domain == "units"
    )


def files(deltas: Iterable[Delta], tops: Sequence[str]) -> tuple[FilesChanged, ...]:
    """For each of `tops` what changed below it; the innermost has an entry."""
    counts: dict[str, dict[str, int]] = {}
    examples: dict[str, list[str]] = {}
    ordered = sorted(tops, key=len, reverse=True)
    for delta in deltas:
        if delta.domain != "files":
            continue
        top = next((t for t in ordered if delta.key == t or delta.key.startswith(f"{t}/")), "/")
        kind = kind_of(delta.before, delta.after)
        field = {"replaced": "edited", "value": "edited"}.get(kind, str(kind))
        of_top = counts.setdefault(top, {})
        of_top[field] = of_top.get(field, 0) + 1
        few = examples.setdefault(top, [])
        if len(few) < EXAMPLES:
            few.append(delta.key)
    return tuple(
        FilesChanged(top=top, examples=tuple(examples[top]), **counts[top])
        for top in sorted(counts)
    )


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Changed, ...]:
    """What is not the same in two tables of versions."""
    return tuple(
        Changed(name=name, before=before.get(name, ""), after=after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name, "") != after.get(name, "")
    )


def ports(before: Iterable[str], after: Iterable[str]) -> tuple[Changed, ...]:
    """Ports ("tcp 0.0.0.0 443") that listen now and did not, or the other way round."""
    return differing(dict.fromkeys(before, "listens"), dict.fromkeys(after, "listens"))


def worse(passing: Iterable[str], results: Iterable[StepResult]) -> tuple[CheckChanged, ...]:
    """The steps that were as wanted before, and are not now."""
    was = set(passing)
    return tuple(
        CheckChanged(step=result.id, status=result.status, note=result.note or _first(result))
        for result in results
        if result.id in was and result.status not in GOOD
    )


def counted(results: Iterable[StepResult]) -> dict[str, int]:
    """Status -> how many steps have it."""
    found: dict[str, int] = {}
    for result in results:
        found[result.status] = found.get(result.status, 0) + 1
    return dict(sorted(found.items()))


def _first(result: StepResult) -> str:
    return next(
        (
            f"{one.setting} is {one.running or one.persistent or 'unset'}, not {one.expected}"
            for one in result.findings
            if one.ok is False and one.applicable
        ),
        "",
    )


def _value(item: object) -> str:
    return item.value if isinstance(item, ValueItem) else ""
