"""What a trial of one step on a real host is made of, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.hosts.fingerprint import Fingerprint, differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, furnish, harden, statuses

Answers = list[tuple[str, bool]]
"""Sentences about the host, each with whether it holds."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How one step is tried.

    `furnish` brings a furnished host (tests.hosts.program.furnish) to where the step fails, and
    `tidy` takes that away again; `holds` asks the daemons, without the program, after the apply.
    `given` are more arguments for check, apply and rollback ("--set", "step.name=value"), `roots`
    more trees whose content is compared, `rows` statements whose answers are. `stays`: patterns of
    whole paths that no undo takes away -> the phrase of the step's `irreversible` that says so.
    `before` and `after` are what a check answers.
    `changes` is false for a step that only looks, on any host. `unmeasured`: why one that changes
    much elsewhere can do nothing on these hosts, "" where it can. Each is tried on every release.
    """

    step: str
    holds: Callable[[LabHost], Answers]
    furnish: Callable[[LabHost], None] | None = None
    tidy: Callable[[LabHost], None] | None = None
    given: tuple[str, ...] = ()
    values: str | None = None
    roots: tuple[str, ...] = ()
    rows: str = ""
    stays: Mapping[str, str] = field(default_factory=dict)
    before: str = "fail"
    after: str = "pass"
    changes: bool = True
    unmeasured: str = ""

    @property
    def acts(self) -> bool:
        """Whether it changes anything on these hosts."""
        return self.changes and not self.unmeasured


def measured(host: LabHost, trial: Trial) -> Fingerprint:
    found = fingerprint(host, APP, *trial.roots)
    if trial.rows:
        answer = host.run("mariadb", "-N", "-B", stdin=trial.rows).stdout
        found["rows"] = dict.fromkeys(answer.splitlines(), "yes")
    return found


def attempt(host: LabHost, trial: Trial, before: Fingerprint | None = None) -> Fingerprint:
    """Fails first, is applied, holds, changes nothing when applied again, comes back identical.

    `before`: the host's fingerprint now, where it is known. Gives the one after, which is the same.
    Raises `AssertionError` with what was not so.
    """
    if trial.furnish:
        trial.furnish(host)
        before = None
    before = before or measured(host, trial)
    assert statuses(host, trial.step, more=trial.given)[trial.step] == trial.before

    if trial.acts:
        applied = harden(host, "apply", trial.step, *arguments(trial), stdin=trial.values)
        wrong = [sentence for sentence, holds in trial.holds(host) if not holds]
        assert wrong == [], f"{wrong}\n{applied.stdout}"
        assert host.can_log_in(), f"after {trial.step} nobody can log in"
        assert statuses(host, trial.step, more=trial.given)[trial.step] == trial.after
        again = harden(host, "apply", trial.step, *arguments(trial), stdin=trial.values)
        nothing = "othing to change" if trial.after == "pass" else "there is nothing that could be"
        assert nothing in again.stdout, again.stdout
        harden(host, "rollback", trial.step, "--yes")
    else:
        wrong = [sentence for sentence, holds in trial.holds(host) if not holds]
        assert wrong == [], wrong
    left = measured(host, trial)
    remained = differences(before, left, trial.stays)
    assert remained == [], remained
    if trial.tidy:
        trial.tidy(host)
        furnish(host)  # the stand-in that an installation took the place of
    return left


def arguments(trial: Trial) -> tuple[str, ...]:
    """What follows the step's name on the command line of an apply."""
    values = ("--values", "-") if trial.values is not None else ()
    return (*trial.given, *values, "--yes")
