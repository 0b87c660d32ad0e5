"""`check --mail`: what is new is mailed once, and only once it was handed over."""

from __future__ import annotations

import email
import os
from collections.abc import Callable
from email.policy import default
from pathlib import Path

import msgspec
import pytest

from host.base import CommandFailed, CommandMissing, Completed
from host.practice import PracticeHost
from steps.drift_model import DriftReport, DriftRow
from steps.model import Finding, StepResult
from steps.news import Told, news, remembered
from tui.entry import main

Run = Callable[..., tuple[int, str, str]]


def _result(step: str, status: str) -> StepResult:
    finding = Finding(resource="sshd", setting="MaxAuthTries", expected="3", running="6", ok=False)
    given = {"id": step, "stage": "pre-install", "title": step, "status": status}
    return msgspec.convert({**given, "findings": [msgspec.to_builtins(finding)]}, StepResult)


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        ("pass", "fail", "worse"),
        ("pass", "unknown", "worse"),
        ("fail", "unknown", "worse"),
        ("waived", "fail", "worse"),
        ("fail", "fail", ""),
        ("fail", "pass", "better"),
        ("unknown", "attested", "better"),
        ("pass", "not-applicable", ""),
        (None, "fail", "worse"),
        (None, "pass", ""),
    ],
)
def test_what_is_news(was: str | None, now: str, kind: str) -> None:
    told = Told({} if was is None else {"ssh.limits": was})
    found = news(told, [_result("ssh.limits", now)], DriftReport())
    assert (bool(found.worse), bool(found.better)) == (kind == "worse", kind == "better")
    again = remembered(told, [_result("ssh.limits", now)], DriftReport())
    assert not news(again, [_result("ssh.limits", now)], DriftReport())


def test_drift_is_told_once_and_when_it_is_settled() -> None:
    row = DriftRow(domain="files", key="/etc/motd", kind="edited")
    drifted = DriftReport(things=(row,))
    found = news(Told(), [], drifted)
    assert found.drifted == (row,)
    told = remembered(Told(), [], drifted)
    assert not news(told, [], drifted)
    assert not news(told, [], DriftReport(problem="no root")), "not known is not settled"
    assert remembered(told, [], DriftReport(problem="no root")).drifted == told.drifted
    assert news(told, [], DriftReport()).settled == ("files /etc/motd edited",)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the practice host's sendmail took."""
    taken: list[bytes] = []
    run = PracticeHost.run

    def instead(self: PracticeHost, argv: tuple[str, ...], **more: object) -> Completed:
        if argv[0] != "/usr/sbin/sendmail":
            return run(self, argv, **more)  # type: ignore[arg-type]  # passed on as they came
        taken.append(more["stdin"])  # type: ignore[arg-type]  # bytes, as the protocol says
        return Completed(tuple(argv), 0, "", "", 0.0)

    monkeypatch.setattr(PracticeHost, "run", instead)
    return taken


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        exit_status = main(["--practice", "--state-dir", str(tmp_path / "state"), *arguments])
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    return call


CHECK = ("check", "apache.banner", "php.settings", "--mail", "root@example.org")


def test_mailed_once(run: Run, sent: list[bytes]) -> None:
    exit_status, out, _ = run(*CHECK)
    assert exit_status == 1
    assert "Mailed to root@example.org: 2 worse." in out
    message = email.message_from_bytes(sent[0], policy=default)
    assert message["To"] == "root@example.org"
    assert message["Subject"] == "harden-tui on practice: 2 worse"
    text = message.get_content()
    assert "apache.banner  fail" in text and "ServerTokens: expected Prod" in text
    assert "Nothing new; nothing was mailed." in run(*CHECK)[1]
    assert len(sent) == 1
    assert "Mailed to" in run(*CHECK, "--mail-always")[1]
    assert run("apply", "apache.banner", "--yes")[0] == 0
    assert "Mailed to root@example.org: 1 good again." in run(*CHECK)[1]
    assert b"Good again:" in sent[-1]


def test_a_name_that_is_not_utf8_is_mailed(
    run: Run, sent: list[bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("apply", "apache.banner", "--yes")[0] == 0
    place = os.fsencode(tmp_path) + b"/state/host/root/etc/caf\xe9.conf"
    with open(place, "w") as file:
        file.write("x\n")
    check = ("check", "apache.banner", "--mail", "root@example.org")
    _, out, err = run(*check)
    assert "Mailed to root@example.org: 1 drifted." in out, err
    text = email.message_from_bytes(sent[0], policy=default).get_content()
    assert "  /etc/caf\\xe9.conf  new" in text
    assert "Nothing new" in run(*check)[1]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (CommandMissing("sendmail"), "this host has no /usr/sbin/sendmail"),
        (
            CommandFailed(Completed(("sendmail",), 75, "", "first\nno route to relay\n", 0.0)),
            "did not take the message (no route to relay)",
        ),
    ],
)
def test_what_was_not_handed_over_is_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str
) -> None:
    run("steps")
    ask = PracticeHost.run
    fails = True

    def instead(self: PracticeHost, argv: tuple[str, ...], **more: object) -> Completed:
        if argv[0] == "/usr/sbin/sendmail":
            if fails:
                raise failure
            return Completed(tuple(argv), 0, "", "", 0.0)
        return ask(self, argv, **more)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(PracticeHost, "run", instead)
    exit_status, _, err = run(*CHECK)
    assert (exit_status, said in err) == (3, True), err
    fails = False
    assert "Mailed to root@example.org: 2 worse." in run(*CHECK)[1]


@pytest.mark.parametrize("to", ["a b", "-oops", "x@y,z@w", "a\nBcc: x@y"])
def test_an_address_that_is_none(run: Run, to: str) -> None:
    exit_status, _, err = run("check", f"--mail={to}")
    assert (exit_status, "neither a mail address nor a user" in err) == (2, True)


def test_a_broken_memory_is_named(run: Run, sent: list[bytes], tmp_path: Path) -> None:
    run("steps")
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state/told.json").write_text("{")
    exit_status, _, err = run(*CHECK)
    assert exit_status == 3 and "told.json cannot be read" in err and sent == []
