"""What changed outside harden-tui, as checks and screens tell it."""

from __future__ import annotations

import msgspec

from steps.model import Status


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a step that a drifted thing concerns stands now.

    `decided_by`: who wins, one line for each setting in question ("PermitRootLogin yes:
    /etc/ssh/sshd_config.d/10-mine.conf:1"). `elsewhere`: what the step finds wrong is about other
    things than this one.
    """

    step: str
    status: Status
    decided_by: tuple[str, ...] = ()
    elsewhere: bool = False


class DriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as harden-tui left it.

    `domain` and `key` as in a transaction (files, a path). `kind`: new, gone, edited, attributes,
    replaced, value. `when`: ISO 8601 UTC, "" where nothing tells; of what is gone, when its
    directory last changed; of a unit, since when it is in its state. `owner` owns the file now, or
    the one that sets it; `package` is the one it belongs to, `explained` what dpkg did at that
    moment; `told` are more sentences of its origin, without their ends. `steps` are those whose
    transactions changed it, `transactions` these; `verdicts` also of steps to which it matters.
    `choices`: accept, restore, merge, as far as they are possible; `cannot` says why it cannot be
    put back and what can be done, where it cannot.
    """

    domain: str
    key: str
    kind: str
    when: str = ""
    owner: str = ""
    package: str = ""
    explained: str = ""
    told: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    transactions: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    choices: tuple[str, ...] = ()
    cannot: str = ""
    diff: str = ""

    @property
    def concerned(self) -> tuple[str, ...]:
        """Every step this is about."""
        return tuple(dict.fromkeys([*self.steps, *(one.step for one in self.verdicts)]))


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that drifted since `since`, the end (ISO 8601 UTC) of `transaction`, the last.

    Both are empty where harden-tui never changed this host. `problem`: why it is not known.
    """

    since: str = ""
    transaction: str = ""
    problem: str = ""
    things: tuple[DriftRow, ...] = ()

    def about(self, step_id: str) -> list[DriftRow]:
        """What concerns one step."""
        return [row for row in self.things if step_id in row.concerned]
