"""What is said of a thing that drifted: which steps it concerns, who wins, when and by whom."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from snapshots.drift import Drifted, Standing
from snapshots.drift_look import Drift, Seen
from snapshots.drift_origin import Origin
from snapshots.model import TransactionRecord
from steps import drift as drifting
from steps.drift_model import DriftRow
from steps.model import Finding, Status, StepResult
from tui.drift_words import verdicts

LIMITS = "/etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"
CRON = "/etc/crontab"
MODES = "files.critical-modes"


def row(*results: StepResult, key: str = LIMITS, wrote: str = "ssh.limits") -> DriftRow:
    record = TransactionRecord(
        id="1", kind="apply", steps=(wrote,), title="", status="committed", started="", user=""
    )
    thing = Drifted(
        domain="files",
        key=key,
        kind="edited",
        before=None,
        now=None,
        standing=(Standing(record, {}),),
    )
    seen = Seen(thing=thing, origin=Origin(), diff="", choices=("accept",))
    engine = cast(Any, SimpleNamespace(redact=lambda text: text))
    return drifting.report(engine, Drift(seen=(seen,)), results).things[0]


def stands(step: str, status: Status, *findings: Finding) -> StepResult:
    return StepResult(id=step, stage="pre-install", title="", status=status, findings=findings)


def mode(path: str, value: str, ok: bool | None) -> Finding:
    return Finding(
        resource="modes", setting=path, expected="", persistent=value, origin=path, ok=ok
    )


def tries(origin: str, ok: bool | None = False) -> Finding:
    return Finding(
        resource="sshd", setting="MaxAuthTries", expected="3", persistent="6", origin=origin, ok=ok
    )


def test_a_step_that_fails_over_other_files_says_nothing_of_this_one() -> None:
    limits = stands("ssh.limits", "fail", tries(f"{LIMITS}:1"))
    modes = stands(MODES, "fail", mode(LIMITS, "0600 root:root", True), mode(CRON, "0666", False))
    found = row(limits, modes)
    assert found.concerned == ("ssh.limits",)
    assert verdicts(found) == [
        "ssh.limits does not pass now",
        f"  MaxAuthTries 6: {LIMITS}:1 decides",
    ]


def test_a_mode_that_is_wrong_is_told_of_its_file_only() -> None:
    modes = stands(MODES, "fail", mode(LIMITS, "0666 root:root", False), mode(CRON, "0666", False))
    assert verdicts(row(modes)) == [
        "ssh.limits wrote it; it was not checked now",
        "files.critical-modes does not pass now",
        f"  {LIMITS} 0666 root:root: {LIMITS} decides",
    ]


def test_what_could_not_be_measured_is_told_without_a_verdict_on_other_things() -> None:
    modes = stands(MODES, "fail", mode(LIMITS, "0600", None), mode(CRON, "0666", False))
    assert verdicts(row(modes), only=MODES) == [
        "files.critical-modes asks for it",
        f"  {LIMITS} 0600: {LIMITS} decides",
    ]
    unsure = stands(MODES, "unknown", mode(LIMITS, "0600", None))
    assert verdicts(row(unsure), only=MODES)[0].endswith("is unknown now")


def test_a_step_that_wrote_it_and_fails_over_other_files() -> None:
    modes = stands(MODES, "fail", mode(LIMITS, "0600", True), mode(CRON, "0666", False))
    assert verdicts(row(modes, wrote=MODES)) == [
        "files.critical-modes wrote it; what does not pass is elsewhere"
    ]


def test_who_wins_over_what_a_step_wrote_is_told_and_what_has_no_place_is_not_excused() -> None:
    other = stands("ssh.limits", "fail", tries("/etc/ssh/sshd_config.d/00-first.conf:1"))
    assert verdicts(row(other))[1].endswith("00-first.conf:1 decides")
    missing = stands("ssh.limits", "fail", tries(""))
    assert verdicts(row(missing)) == ["ssh.limits does not pass now"]
    assert verdicts(row(stands("ssh.limits", "pass", tries(f"{LIMITS}:1", True)))) == [
        "ssh.limits still passes"
    ]


@pytest.mark.parametrize(
    ("stands", "said"),
    [
        ({"a.b": "pass", "c.d": "not-applicable"}, "Put back and proved: /etc/x."),
        ({}, "Put back: /etc/x."),
        ({"a.b": "not-applicable"}, "Put back: /etc/x."),
        (
            {"a.b": "unknown", "c.d": "pass", "e.f": "fail"},
            "Put back: /etc/x. a.b could not be measured (unknown). e.f does not pass.",
        ),
        ({"a.b": "manual"}, "Put back: /etc/x. a.b is manual."),
    ],
)
def test_only_what_was_measured_is_called_proved(stands: dict[str, Status], said: str) -> None:
    assert drifting.settled("Put back", "/etc/x", stands) == said
