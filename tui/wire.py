"""What the hands answer to `--format json`, as the screen reads it (fields it ignores may come)."""

from __future__ import annotations

from typing import Any

import msgspec

from host.base import Service
from snapshots.guide_model import Guide
from snapshots.model import Told, TransactionRecord, UndoPlan
from steps.login_failures import LoginReport
from steps.model import GuardKind, Parameter, Stage


class StepInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the checklist: what the catalogue says, and the values it has now.

    `values` are the effective ones (chosen, from the host or by default), never secrets;
    `missing` names parameters that still need one.
    """

    id: str
    stage: Stage
    title: str
    why: str = ""
    breaks: str = ""
    source: str = ""
    references: dict[str, list[str]] = {}
    after: list[str] = []
    guard: GuardKind = ""
    irreversible: list[str] = []
    parameters: dict[str, Parameter] = {}
    values: dict[str, Any] = {}
    missing: list[str] = []


class StepsAnswer(msgspec.Struct, frozen=True):
    steps: tuple[StepInfo, ...]
    checklist: str = ""
    guides: tuple[Guide, ...] = ()


class GuidesAnswer(msgspec.Struct, frozen=True):
    guides: tuple[Guide, ...] = ()


class PlannedChange(msgspec.Struct, frozen=True):
    """One change of a plan: what, its unified diff, the command that makes it."""

    summary: str
    diff: str = ""
    command: str = ""


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What applying one step would do."""

    id: str
    title: str
    fingerprint: str = ""
    changes: tuple[PlannedChange, ...] = ()
    then: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    lockouts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    irreversible: tuple[str, ...] = ()


class PlanAnswer(msgspec.Struct, frozen=True):
    fingerprint: str
    steps: tuple[StepPlan, ...]


class AtWork(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes the host at this moment. `run` is what `follow` takes; "" where it is no run."""

    what: str
    pid: int = 0
    since: str = ""
    run: str = ""


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`waits`: what is pending waits for its confirmation, and is taken back by itself.

    `own_record`: it was read without root, so that it is not what root did on this host.
    """

    transactions: tuple[TransactionRecord, ...]
    at_work: AtWork | None = None
    waits: tuple[str, ...] = ()
    own_record: bool = False


class TouchedItem(msgspec.Struct, frozen=True):
    """One thing that a transaction changed."""

    domain: str
    key: str
    diff: str = ""


class SinceAnswer(msgspec.Struct, frozen=True):
    """What a transaction answers for otherwise, since the steps `undone` were."""

    undone: tuple[str, ...] = ()
    deltas: tuple[TouchedItem, ...] = ()
    let_go: tuple[TouchedItem, ...] = ()


class TransactionAnswer(msgspec.Struct, frozen=True):
    deltas: tuple[TouchedItem, ...] = ()
    since: SinceAnswer | None = None
    told: Told = "all"


class UndoAnswer(msgspec.Struct, frozen=True):
    """`fingerprint` stands for all plans together, as `rollback --fingerprint` takes it."""

    plans: tuple[UndoPlan, ...]
    fingerprint: str = ""


class SettleItem(msgspec.Struct, frozen=True, kw_only=True):
    """What settling will do to one thing that drifted."""

    domain: str
    key: str
    diff: str = ""
    refused: str = ""


class SettleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    choice: str
    items: tuple[SettleItem, ...]
    commands: tuple[str, ...] = ()
    fingerprint: str = ""


class RecoverAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What `recover` would take back, and the files that others edited since, which it writes
    over; `unknown` says why these are not known."""

    transactions: tuple[str, ...] = ()
    written_over: tuple[str, ...] = ()
    unknown: str = ""


class AcceptedAnswer(msgspec.Struct, frozen=True):
    summary: str


class RunAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended that was not followed."""

    run: str
    exit: int
    summary: str = ""


class LivePort(msgspec.Struct, frozen=True, kw_only=True):
    """A listening socket. `step` is the one that deals with it; `expected` `None`: nobody said."""

    protocol: str
    address: str
    port: int
    process: str = ""
    pid: int = 0
    unit: str = ""
    exposed: bool = False
    expected: bool | None = None
    step: str = ""


class LiveService(Service, frozen=True, kw_only=True):
    """A unit; `step` is the one that deals with it."""

    step: str = ""


class LiveAnswer(msgspec.Struct, frozen=True):
    """`logins` is `None` in the first answer, which must not wait for them."""

    services: tuple[LiveService, ...] = ()
    ports: tuple[LivePort, ...] = ()
    logins: LoginReport | None = None


class LogSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of the log. `counts`: entries by kind."""

    id: str
    start: str = ""
    end: str = ""
    user: str = ""
    host: str = ""
    counts: dict[str, int] = {}


class LogAnswer(msgspec.Struct, frozen=True):
    sessions: tuple[LogSession, ...] = ()


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done."""

    time: str
    kind: str
    user: str = ""
    fields: dict[str, Any] = {}


class EntriesAnswer(msgspec.Struct, frozen=True):
    entries: tuple[LogEntry, ...] = ()


class LogVerdict(msgspec.Struct, frozen=True):
    ok: bool
    problem: str = ""


class VerdictAnswer(msgspec.Struct, frozen=True):
    verdict: LogVerdict


class HandsError(Exception):
    """The hands could not do what they were asked; one sentence for a person."""
