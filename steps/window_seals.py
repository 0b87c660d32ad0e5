"""The seals of a window: which stand, lifting them, and putting them back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from snapshots.history import open_for_step
from snapshots.model import Resolutions, Root, TransactionRecord
from steps.model import Step
from steps.outcome import GOOD, NEEDS_PERSON, ROLLED_BACK
from steps.parameters import convert
from steps.resource import StepError
from steps.window_model import Seal

if TYPE_CHECKING:
    from steps.engine import Engine

_SEALED = ("pass", "not-applicable", "waived", "attested")

KEEP_EDITS = Resolutions(everything="keep-current")
"""What somebody already unsealed, or gave another mode, stays so while the seal is lifted."""


def standing(engine: Engine) -> tuple[Seal, ...]:
    """The seals that stand applied, in the order of the checklist.

    Raises `SnapshotError` where records cannot be read.
    """
    sealing = [step.id for step in engine.catalogue.steps.values() if step.seals]
    found = []
    for step in engine.steps(sealing) if sealing else ():
        by_trees: dict[tuple[str, ...], list[TransactionRecord]] = {}
        for record in open_for_step(engine.state, step.id):
            by_trees.setdefault(tuple(root.path for root in record.roots), []).append(record)
        # Applied with one path and then with another it seals both, each with its own values.
        for roots, records in by_trees.items():
            found.append(
                Seal(
                    step=step.id,
                    values=values_of(engine, step, records[-1]),
                    transactions=tuple(record.id for record in records),
                    roots=roots,
                )
            )
    return tuple(found)


def values_of(
    engine: Engine, step: Step, record: TransactionRecord
) -> dict[str, int | str | bool | list[str]]:
    """The values a step was applied with, as the session log has them; where it has not, those
    that it would be applied with now."""
    logged: dict[str, Any] = {}
    for entry in reversed(engine.log.entries()):
        if entry.kind == "apply" and entry.fields.get("transaction") == record.id:
            values = entry.fields.get("values")
            logged = values if isinstance(values, dict) else {}
            break
    found: dict[str, Any] = dict(engine.prepare(step).values)
    for name, value in logged.items():
        if name not in step.parameters:
            continue  # the step has it no longer
        try:
            found[name] = convert(step.id, name, step.parameters[name], value)
        except StepError:
            continue
    return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


def captured(seals: Iterable[Seal]) -> tuple[Root, ...]:
    """The trees with their content, but without what the application writes by itself."""
    roots: dict[str, Root] = {}
    for seal in seals:
        writable = seal.values.get("writable")
        names = writable if isinstance(writable, list) else []
        for path in seal.roots:
            tree = path.rstrip("/")
            left_out = tuple(f"{tree}/{name.strip('/')}" for name in names)
            known = roots.get(tree, Root(tree, content=True))
            roots[tree] = msgspec.structs.replace(
                known, without=tuple(dict.fromkeys((*known.without, *left_out)))
            )
    return tuple(roots.values())


def lift(engine: Engine, seals: Iterable[Seal]) -> tuple[int, str, list[str]]:
    """Undo every transaction of these seals that still stands; as a rollback ends."""
    from steps import rollback

    steps = dict.fromkeys(seal.step for seal in seals)
    ids = [record.id for step in steps for record in open_for_step(engine.state, step)]
    if not ids:
        return GOOD, "", []
    return rollback.rollback(engine, ids, False, None, KEEP_EDITS)


def put_back(engine: Engine, seals: Iterable[Seal]) -> tuple[int, str, list[str]]:
    """Apply the steps again with the values they had, and ask the host whether it is sealed.

    As an apply ends; the first that fails ends it.
    """
    from steps import apply

    done: list[str] = []
    for seal in seals:
        if seal.step not in engine.catalogue.steps:
            gone = f"The catalogue has no step {seal.step} any more, so it was not put back."
            return NEEDS_PERSON, gone, done
        with with_values(engine, seal):
            engine.facts.forget()
            ended, sentence, applied = apply.apply(engine, [seal.step], None)
            done += applied
            if ended != GOOD:
                return ended, sentence, done
            engine.facts.forget()
            result = engine.measure(engine.prepare(engine.catalogue.step(seal.step)))
            if result.status not in _SEALED:
                why = result.note or next(
                    (f"{f.setting}: {f.running}" for f in result.findings if f.ok is False), ""
                )
                said = f"{seal.step} is {result.status} after it was applied ({why})."
                return ROLLED_BACK, said, done
    return GOOD, "", done


@contextmanager
def with_values(engine: Engine, seal: Seal) -> Iterator[None]:
    """The step has these values meanwhile, whatever else was chosen for it."""
    step = engine.catalogue.step(seal.step)
    engine.pinned[seal.step] = {n: v for n, v in seal.values.items() if n in step.parameters}
    try:
        yield
    finally:
        del engine.pinned[seal.step]
