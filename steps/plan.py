"""What an apply would do, exactly, with a fingerprint that goes stale when the host moves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from host.base import Host
from host.names import exact_json
from snapshots.model import (
    Activation,
    Change,
    DomainName,
    InstallPackages,
    MakeLink,
    RemoveFile,
    Root,
    RunCommand,
    SealTree,
    Validation,
    WriteFile,
)
from steps.model import MeantAnswer, Stage
from steps.redact import Redactor
from steps.render import RenderedChange, render, then_commands
from steps.resource import Planned

T = TypeVar("T")


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What applying one step would do; nothing to do where `changes` is empty.

    `refusals` cannot be overcome; `lockouts` (of the rehearsals) by whoever insists.
    """

    id: str
    stage: Stage
    title: str
    fingerprint: str
    changes: tuple[RenderedChange, ...] = ()
    then: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    lockouts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    irreversible: tuple[str, ...] = ()

    def reasons(self, *, forced: bool = False) -> tuple[str, ...]:
        """Why it is refused; empty where it is not. `forced`: a lock-out is no reason."""
        return self.refusals if forced else (*self.refusals, *self.lockouts)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The plans of the chosen steps, in their order."""

    checklist: str
    steps: tuple[StepPlan, ...]
    fingerprint: str

    @property
    def is_empty(self) -> bool:
        return not any(step.changes or step.reasons() for step in self.steps)


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a step's resources planned, gathered: the part of a plan that is carried out."""

    changes: tuple[Change, ...] = ()
    validations: tuple[Validation, ...] = ()
    activations: tuple[Activation, ...] = ()
    roots: tuple[Root, ...] = ()
    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    lockouts: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    answers: tuple[MeantAnswer, ...] = ()
    claims: tuple[tuple[DomainName, str], ...] = ()


def gather(parts: list[Planned]) -> Work:
    """One step's work from its resources' plans; what several want done after is done once."""

    return Work(
        changes=tuple(change for part in parts for change in part.changes),
        validations=_once(item for part in parts for item in part.validations),
        activations=_strongest(_once(item for part in parts for item in part.activations)),
        roots=_once(item for part in parts for item in part.roots),
        packages=_once(item for part in parts for item in part.packages),
        notes=_once(item for part in parts for item in part.notes),
        refusals=_once(item for part in parts for item in part.refusals),
        lockouts=_once(item for part in parts for item in part.lockouts),
        stops=_once(item for part in parts for item in part.stops),
        answers=_once(item for part in parts for item in part.answers),
        claims=_once(item for part in parts for item in part.claims),
    )


def step_plan(
    *, step_id: str, stage: Stage, title: str, irreversible: list[str], work: Work,
    host: Host, redact: Redactor,
) -> StepPlan:  # fmt: skip
    """The preview of a step's work on the host as it is now."""
    return StepPlan(
        id=step_id,
        stage=stage,
        title=title,
        fingerprint=fingerprint(work, host),
        changes=tuple(render(change, host, redact) for change in work.changes),
        then=then_commands(work.validations, work.activations) if work.changes else (),
        refusals=tuple(redact(refusal) for refusal in work.refusals),
        lockouts=tuple(redact(lockout) for lockout in work.lockouts),
        notes=tuple(redact(note) for note in work.notes),
        irreversible=tuple(irreversible),
    )


def fingerprint(work: Work, host: Host) -> str:
    """SHA-256 (hex) over what would be done and over the files as they are before it.

    Left out: what only informs (how many entries, which dependencies come along), and secrets,
    because a fingerprint is shown and a short secret could be guessed from it.
    """
    parts: list[bytes] = []
    for change in work.changes:
        if isinstance(change, SealTree):
            change = msgspec.structs.replace(change, entries=0)
        elif isinstance(change, InstallPackages):
            change = msgspec.structs.replace(change, brings=())
        elif isinstance(change, RunCommand) and change.stdin:
            change = msgspec.structs.replace(change, stdin=b"")
        hidden = isinstance(change, WriteFile) and change.secret
        if isinstance(change, WriteFile) and change.secret:
            change = msgspec.structs.replace(change, content=b"")
        parts.append(exact_json(change))
        if isinstance(change, WriteFile | RemoveFile | MakeLink):
            state = host.state(change.path, content=not hidden)
            if state is not None:
                state = msgspec.structs.replace(state, mtime_ns=0)
            parts.append(exact_json(state))
    parts.append(exact_json((work.validations, work.activations)))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def combined_fingerprint(steps: tuple[StepPlan, ...]) -> str:
    """The fingerprint of a whole plan, from those of its steps that change something."""
    changing = [f"{step.id} {step.fingerprint}" for step in steps if step.changes]
    return hashlib.sha256("\n".join(changing).encode()).hexdigest()


def _once(items: Iterable[T]) -> tuple[T, ...]:
    seen: list[T] = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return tuple(seen)


def _strongest(activations: tuple[Activation, ...]) -> tuple[Activation, ...]:
    """A restart makes the reload of the same unit superfluous."""
    restarted = {a.unit for a in activations if a.how == "restart"}
    return tuple(a for a in activations if not (a.how == "reload" and a.unit in restarted))
