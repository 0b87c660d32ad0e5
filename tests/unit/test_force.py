"""`apply --force`: only a lock-out can be forced, with the host's name typed, on the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from snapshots.model import SnapshotError
from steps.engine import Engine, Prepared
from steps.plan import Work
from tui import typed_word
from tui.entry import main
from tui.failures import Stop
from tui.options import Options
from tui.session import Session, open_session

STEP = "ssh.key-only"
DROP_IN = "00-harden-tui-ssh-key-only.conf"
KEYS = "host/root/home/admin/.ssh/authorized_keys"
NAME = "practice"
REFUSED, USAGE = 3, 2

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Commands on a practice host whose only administrator has no key: he would be locked out."""

    def call(*arguments: str) -> tuple[int, str, str]:
        exit_status = main(["--practice", "--state-dir", str(tmp_path / "state"), *arguments])
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    call("steps")
    (tmp_path / "state" / KEYS).unlink()
    return call


def test_the_preview_says_who_is_locked_out_and_how_to_insist(run: Run, tmp_path: Path) -> None:
    exit_status, out, _ = run("plan", STEP)
    assert exit_status == 1
    assert "Locks out: No administrator with sudo could still log in" in out
    insisting = f"harden-tui --practice --state-dir {tmp_path}/state apply {STEP} --force"
    assert insisting in " ".join(out.split())
    step = json.loads(run("plan", STEP, "--format", "json")[1])["steps"][0]
    assert step["refusals"] == [] and "has no key in" in step["lockouts"][0]
    assert step["changes"], "what is forced is the whole change"


@pytest.mark.parametrize(
    ("options", "exit_status", "said"),
    [
        (["--yes"], REFUSED, "`--force` does it all the same"),
        (["--yes", "--force"], USAGE, "add --word NAME"),
        (["--yes", "--force", "--word", "web1"], REFUSED, "not the name of this host (practice)"),
        (["--yes", "--word", NAME], USAGE, "--word goes with --force"),
    ],
)
def test_not_without_the_word(run: Run, options: list[str], exit_status: int, said: str) -> None:
    status, out, err = run("apply", STEP, *options)
    assert status == exit_status
    assert said in out + err
    assert json.loads(run("history", "--format", "json")[1])["transactions"] == []


def test_what_is_forced_is_done_and_on_the_record(run: Run) -> None:
    exit_status, out, err = run("apply", STEP, "--yes", "--no-wait", "--force", "--word", NAME)
    assert exit_status == 0, out + err
    entries = json.loads(run("log", "show", "--format", "json")[1])["entries"]
    forced = next(entry for entry in entries if entry["kind"] == "guard")
    assert (forced["fields"]["what"], forced["fields"]["step"]) == ("forced", STEP)
    assert "has no key in" in forced["fields"]["reasons"][0]
    assert entries.index(forced) < [entry["kind"] for entry in entries].index("apply")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return open_session(
        Options(practice=True, state_dir=tmp_path, log_dir=tmp_path / "log", checklist="server")
    )


def planning(monkeypatch: pytest.MonkeyPatch, **found: tuple[str, ...]) -> None:
    """Every step finds `found` beside what it would change."""
    real = Engine.work

    def work(engine: Engine, one: Prepared) -> Work:
        return msgspec.structs.replace(real(engine, one), **found)

    monkeypatch.setattr(Engine, "work", work)


def test_what_cannot_be_done_is_not_forced(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning(monkeypatch, refusals=("There is no such file.",), lockouts=("Nobody comes in.",))
    outcome = session.engine.apply([STEP], forced=True)
    assert outcome.exit == REFUSED
    assert "no such file" in outcome.summary and "--force" not in outcome.summary


def test_what_cannot_be_put_on_record_is_not_forced(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SnapshotError("The session log cannot be written.")

    planning(monkeypatch, lockouts=("Nobody comes in.",))
    monkeypatch.setattr(session.log, "append", full)
    outcome = session.engine.apply([STEP], forced=True)
    assert outcome.exit == REFUSED
    assert "was not begun" in outcome.summary
    assert session.host.state(f"/etc/ssh/sshd_config.d/{DROP_IN}") is None


def test_on_the_terminal_the_name_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed_word, "is_terminal", lambda stream: True)
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "web1 "

    monkeypatch.setattr("builtins.input", answer)
    typed_word.insist("web1.example.org", None, "apply it")
    assert "type this host's short name (web1)" in asked[0]
    with pytest.raises(Stop, match="nothing was changed"):
        typed_word.insist("db1", None, "apply it")
