"""Answers as text: readable without colour, harmless to the terminal whatever the host says."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from snapshots.model import Side, UndoItem, UndoPlan
from steps.exposure import exposure
from steps.model import Finding, StepResult
from tui import hands, launch, output, runs
from tui.failures import Stop
from tui.options import Options
from tui.out import Out

ROOT = Path(__file__).resolve().parents[2]


def test_a_finding_says_what_is_now_and_what_after_a_restart() -> None:
    wrong = Finding(
        resource="sshd", setting="MaxAuthTries", expected="at most 3", running="6",
        persistent="6", origin="/etc/ssh/sshd_config:34", ok=False,
    )  # fmt: skip
    assert output.finding_text(wrong) == (
        "MaxAuthTries: expected at most 3, is 6 (/etc/ssh/sshd_config:34)"
    )
    later = Finding(resource="unit", setting="cups.service", expected="stopped", running="",
                    persistent="enabled", ok=False)  # fmt: skip
    assert output.finding_text(later) == (
        "cups.service: expected stopped, is not set now, enabled after a restart"
    )
    unknown = Finding(resource="sshd", setting="Ciphers", expected="strong", note="needs root")
    assert output.finding_text(unknown) == "Ciphers: could not be measured. needs root"


@pytest.mark.parametrize(
    ("steps", "said"),
    [("a.b", "a.b is done, and waits"), ("a.b, c.d", "a.b, c.d are done, and wait for")],
)
def test_one_or_several_that_wait(
    capsys: pytest.CaptureFixture[str], steps: str, said: str
) -> None:
    event = {"event": "guard", "phase": "waiting", "step": steps, "attempt": "", "deadline": ""}
    output.event_text(Out(), event)
    assert f"  {said}" in capsys.readouterr().out


def test_an_answer_nobody_gave_yet_is_not_called_a_failed_measurement() -> None:
    asked = Finding(resource="attest", setting="answer of a person", expected="", note="Who?")
    assert output.finding_text(asked) == "answer of a person: not given yet. Who?"
    unknown = Finding(resource="sshd", setting="Port", expected="22", note="No sshd.")
    assert output.finding_text(unknown) == "Port: could not be measured. No sshd."


def test_escape_sequences_of_the_host_never_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Out()
    output.event_text(out, {"event": "output", "line": "\x1b]0;owned\x07\x1b[2J\u202eevil"})
    output.diff(out, "+\x1b[31mred\n-\x9bred\n")
    output.check_table(
        out,
        [StepResult(id="a.b", stage="pre-install", title="\x1b[2Jtitle", status="fail")],
        every_finding=False,
    )
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "evil" in shown and "^[[2Jtitle" in shown


def test_a_conflict_shows_its_three_sides(capsys: pytest.CaptureFixture[str]) -> None:
    sides = (Side("before", "a"), Side("now", "b"), Side("after", "c"))
    item = UndoItem(
        domain="files", key="/etc/a b", how="conflict", sides=sides,
        did="-a\n+c", since="-c\n+b", cannot={"merge": "it is not text"},
    )  # fmt: skip
    plan = UndoPlan(transaction="t1", steps=("a.b",), items=(item,), commands=(), fingerprint="f")
    output.undo_text(Out(), [plan])
    shown = capsys.readouterr().out
    assert "/etc/a b: CONFLICT" in shown
    did, since = shown.index("what the step did"), shown.index("what was changed since")
    assert did < shown.index("+c\n") < since < shown.index("+b\n")
    for option in ("keep-current", "restore", "merge"):
        assert f"--{option}='/etc/a b'\n" in shown
    assert "not possible: it is not text" in shown


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_only_on_a_terminal_that_wants_them(
    tmp_path: Path, environment: dict[str, str], coloured: bool
) -> None:
    master, slave = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "tui.entry", "--practice", "--state-dir", str(tmp_path), "plan",
         "apache.banner"],
        cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, env={**inherited, **environment},
    ) as process:  # fmt: skip
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 65536):
                shown += data
        except OSError:
            pass  # EIO: the program has closed the terminal
        process.wait()
    os.close(master)
    assert b"ServerTokens Prod" in shown
    assert (b"+ServerTokens Prod\x1b[0m" in shown) == coloured
    assert (b"\x1b" in shown) == coloured


def options(state: Path) -> Options:
    return Options(practice=True, state_dir=state, log_dir=state / "log", checklist="lamp")


def test_without_a_working_systemd_the_worker_starts_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "prefixes", lambda _run: [["/bin/false"], []])
    directory = hands.start(options(tmp_path), "recover")
    assert hands.follow(directory, lambda _event, _line: None) == 0


def test_a_worker_that_cannot_start_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "prefixes", lambda _run: [["/nonexistent/program"]])
    with pytest.raises(Stop, match="Nothing was changed: the working process") as stopped:
        hands.start(options(tmp_path), "recover")
    assert stopped.value.exit == 3
    found = runs.find(tmp_path, "")
    assert found is not None and runs.read(found).status == "interrupted"


@pytest.mark.parametrize(
    ("port", "expected", "step"),
    [
        ({"port": 22, "process": "sshd", "unit": "ssh.service"}, True, "ssh.root-login"),
        ({"port": 2222, "process": "sshd", "unit": "ssh.service"}, True, "ssh.root-login"),
        ({"port": 80, "process": "apache2", "unit": "apache2.service"}, True, "apache.banner"),
        ({"port": 8443, "process": "java"}, True, ""),
        ({"port": 9000, "process": "java"}, False, "firewall.ufw"),
        ({"port": 9000, "process": "java", "address": "127.0.0.1"}, True, ""),
        ({"port": 631, "process": "cupsd", "unit": "cups.service", "address": "127.0.0.1"},
         False, "minimal.services"),
        ({"port": 631, "process": "systemd", "unit": "cups.socket"}, False, "minimal.services"),
        ({"port": 3306, "process": "mariadbd", "unit": "mariadb.service"}, False, "firewall.ufw"),
        ({"port": 68, "process": "dhclient", "protocol": "udp"}, True, ""),
    ],
)  # fmt: skip
def test_which_ports_a_web_server_is_expected_to_have(
    port: dict[str, object], expected: bool, step: str
) -> None:
    import msgspec

    from host.base import Port

    steps = {"ssh.root-login", "apache.banner", "minimal.services", "firewall.ufw"}
    judge = exposure(steps, remove=("cups.service",), allow=("8443/tcp", "443"))
    listening = msgspec.convert({"protocol": "tcp", "address": "0.0.0.0", **port}, Port)
    assert judge.judge(listening) == (expected, step)
