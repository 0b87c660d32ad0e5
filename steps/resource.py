"""What a kind of resource must say: what it sees and what would have to change.

A kind has no undo code and does nothing itself; it turns answers of the host (`ctx.facts`) into
findings and changes. Writing a kind: see docs/writing-a-step.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import Host, Session
from host.facts import Fact, Facts
from snapshots.model import Activation, Change, DomainName, Root, Validation
from snapshots.state import StateDir
from steps.model import Finding, MeantAnswer


class StepError(Exception):
    """A step, checklist or parameter is not valid; the message names file, line and field."""


class Refused(Exception):
    """A change that must not be made now; the message says why and what to do about it."""


class Context(msgspec.Struct, frozen=True):
    """What a resource may ask. `state`: where harden-tui's own state lies."""

    host: Host
    facts: Facts
    session: Session
    state: StateDir | None = None


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What would bring the host to what a resource expects; empty `changes` where it is so.

    `refusals`: reasons why it must not be done now (a person is shown them instead of the diff).
    `lockouts`: what a rehearsal found: afterwards nobody could come in any more, or not the person
    asking. Refused like the others, but a person may force it (`apply --force`), so `changes` must
    be complete all the same.
    `claims`: (domain, key) of what must stay even where it was right already, because an earlier
    step brought it: undoing that step then leaves it to this one.
    `stops`: units that are meant to be gone afterwards, and ports ("tcp 0.0.0.0 3306") that nothing
    shall listen on any more (the health check expects that).
    `answers`: what sites are meant to answer afterwards (likewise; anything else is a failure).
    `notes`: what the person should know beside the diff (what listens, who is logged in …).
    """

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


class Resource(ABC):
    """A thing on the host that a step wants in a certain state."""

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def parse(cls, step_id: str, body: Any) -> Resource:
        """Build from the YAML body, parameters already filled in.

        Raises `msgspec.ValidationError` or `StepError` with the field's name for a bad body.
        """

    @abstractmethod
    def facts(self) -> tuple[Fact[Any], ...]:
        """The facts `observe` will ask for (they are read side by side beforehand)."""

    @abstractmethod
    def observe(self, ctx: Context) -> list[Finding]:
        """What the host has, setting by setting. Raises `FactUnavailable` if it cannot be asked."""

    @abstractmethod
    def plan(self, ctx: Context) -> Planned:
        """What would change it. Asks only; changes nothing, whatever happens."""

    def settle(self, ctx: Context) -> None:
        """After an apply, before it is observed: wait, for a limited time, for what follows from it
        a moment later by itself. Raises `HostError`."""
        return

    def prove(self, ctx: Context) -> list[Finding]:
        """Asked after an apply, beside `observe`: proofs too dear or too intrusive for a check."""
        return []

    def told(self, findings: Sequence[Finding]) -> str:
        """What a check says although all is well, such as when something was measured; mostly
        nothing. `findings` are what `observe` gave."""
        return ""

    def tidy(self, ctx: Context) -> None:
        """Take away what a `plan` or `prove` that was killed left behind. Raises `HostError`."""
        return
