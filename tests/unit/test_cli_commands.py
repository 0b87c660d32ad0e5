"""Commands on the practice host: answers, exit statuses, and the words of every refusal."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from snapshots.state import StateDir
from tui import runs
from tui.entry import main
from tui.options import Options
from tui.paths import default_state_dir

ROOT = Path(__file__).resolve().parents[2]
STEP = "apache.banner"
LAMP = ("--checklist", "lamp")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def run(state: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a fresh practice host: (exit status, standard output, standard error)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        exit_status = main(
            ["--practice", "--state-dir", str(state), "--checklist", "i-doit", *arguments]
        )
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    return call


def answer(run: Run, *arguments: str) -> dict[str, Any]:
    exit_status, out, err = run(*arguments, "--format", "json")
    assert exit_status in (0, 1), err
    document: dict[str, Any] = json.loads(out)
    return document


def refused(run: Run, exit_status: int, said: str, *arguments: str) -> str:
    """A refusal is one line on standard error that says `said`."""
    status, out, err = run(*arguments)
    assert status == exit_status, out + err
    assert said in err
    assert err.startswith("harden-tui: ") and err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_check_answers_in_text_json_and_events(run: Run) -> None:
    exit_status, out, _ = run("check", STEP)
    assert exit_status == 1
    assert out.startswith("PRACTICE HOST")
    assert f"FAIL     {STEP}" in out and "1 step: 1 fail" in out
    assert "\x1b" not in out, "no colours away from a terminal"

    document = answer(run, "check", STEP)
    assert document["schema"] == "harden-tui/check/1"
    assert document["practice"] is True
    assert document["counts"] == {"fail": 1}
    assert {"id", "stage", "title", "status", "findings", "references", "seconds"} <= set(
        document["steps"][0]
    )

    _, out, _ = run("check", STEP, "--format", "events")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["started", "finding", "done"]
    assert events[-1]["exit"] == 1


def test_check_answers_a_monitoring_system(run: Run) -> None:
    exit_status, out, _ = run("check", STEP, "--monitoring", "nagios")
    first, second = out.splitlines()
    assert exit_status == 2
    assert first.startswith("HARDEN-TUI CRITICAL - 1 fail, 0 open, 0 pass, 0 drifted: ")
    assert second == f"{STEP}: fail"
    exit_status, out, _ = run("check", STEP, "--monitoring", "checkmk")
    assert exit_status == 0
    assert out.startswith('2 "harden-tui" fail=1;;0;0;1|')
    exit_status, out, _ = run("check", "no.such", "--monitoring", "nagios")
    assert exit_status == 3
    assert out.startswith("HARDEN-TUI UNKNOWN - There is no step 'no.such'.")
    exit_status, out, _ = run("check", "--monitoring", "nagios", "--stage", "surroundings", *LAMP)
    assert exit_status == 3
    assert out.startswith("HARDEN-TUI UNKNOWN - The checklist has no steps of the stage")


def test_plan_shows_the_exact_change_and_nothing_once_it_is_made(run: Run) -> None:
    exit_status, out, _ = run("plan", STEP)
    assert exit_status == 1
    assert "+ServerTokens Prod" in out and "$ apache2ctl configtest" in out
    document = answer(run, "plan", STEP)
    assert document["schema"] == "harden-tui/plan/1"
    assert set(document["steps"][0]) >= {"id", "title", "fingerprint", "changes", "then"}

    exit_status, out, _ = run("apply", STEP, "--yes")
    assert exit_status == 0, out
    assert f"Applied and proved: {STEP}." in out
    exit_status, out, _ = run("plan", STEP)
    assert (exit_status, "nothing to change" in out) == (0, True)
    assert run("check", STEP)[0] == 0
    exit_status, out, _ = run("apply", STEP, "--yes", "--format", "json")
    assert (exit_status, json.loads(out)["transactions"]) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "apache.baner"], "Did you mean 'apache.banner'?"),
        (["plan", "nonsense"], "There is no step 'nonsense'."),
        (["check", "--checklist", "idoit"], "Did you mean 'i-doit'?"),
        (["check", "--stage", "pre-instal"], "Did you mean 'pre-install'?"),
        (["check", "--set", "ssh.limits.max-auth-trys=3"], "Did you mean 'max-auth-tries'?"),
        (["check", "--set", "ssh.limits.max-auth-tries=many"], "expected a whole number"),
        (["check", "--set", "ssh.limitss.x=3"], "Did you mean 'ssh.limits'?"),
        (["apply"], "Name the steps to apply"),
        (["apply", STEP], "--yes"),
        (["apply", STEP, "--plan", "x.json"], "either steps or --plan"),
        (["apply", "--plan", "/nonexistent.json"], "No such file"),
        (["rollback"], "or --all"),
        (["rollback", "apache.baner", "--yes"], "Did you mean 'apache.banner'?"),
        (["history", "show", "xyz"], "Nothing was changed yet"),
        (["follow", "xyz"], "There is no run xyz."),
        (["steps", "waive", STEP], "--reason"),
        (["steps", "attest", STEP, "--note", "seen"], "measured by the program"),
        (["steps", "waive", STEP, "--reason", "r", "--until", "tomorrow"], "2027-01-31"),
        (["steps", "waive", STEP, "--reason", "r", "--until", "2001-01-01"], "this day is over"),
        (["steps", "set", "ssh.limits.max-auth-tries=0"], "at least"),
        (["log", "show"], "The log is empty"),
        (["check", "--stage", "surroundings", *LAMP], "no steps of the stage surroundings."),
        (["plan", "--stage", "surroundings", *LAMP], "no steps of the stage surroundings."),
        (["todo", "--stage", "surroundings", *LAMP], "no steps of the stage surroundings."),
        (["check", STEP, "--stage", "post-install"], "None of these steps is of the stage"),
        (["confirm", "--status", "--extend", "10m"], "Give one of --status, --extend"),
        (["confirm", "--extend", "10m", "--without-login", "--word", "practice"], "Give one of"),
        (["confirm", "--extend", ""], "--extend"),
        (["history", "prune", "--keep-days", "0", "--yes"], "from 1 to 36500"),
        (["history", "prune", "--keep-days", "99999999999999", "--yes"], "from 1 to 36500"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(run: Run, arguments: list[str], said: str) -> None:
    refused(run, 2, said, *arguments)


def test_before_anything_ran(run: Run) -> None:
    assert run("follow")[:2] == (0, "Nothing has run yet on this host.\n")
    assert run("recover")[:2] == (0, "Nothing was interrupted; there is nothing to recover.\n")
    assert run("history")[:2] == (0, "Nothing was changed yet.\n")
    assert run("rollback", "--all", "--dry-run")[0] == 0
    assert run("log")[0] == run("log", "verify")[0] == 0


def test_a_kept_plan_is_applied_as_it_is_or_not_at_all(
    run: Run, state: Path, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    assert run("plan", STEP, "--out", str(file))[0] == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("apply", "--plan", str(file), "--yes")[0] == 0
    exit_status, out, _ = run("apply", "--plan", str(file), "--yes")
    assert exit_status == 3, "what it would do is done already: another plan"
    assert "has changed since this preview" in out
    file.write_text('{"schema": "harden-tui/plan/2"}')
    refused(run, 2, "is no plan of harden-tui", "apply", "--plan", str(file), "--yes")


def test_a_stale_fingerprint_is_refused(run: Run) -> None:
    exit_status, out, _ = run("apply", STEP, "--yes", "--fingerprint", "0" * 64)
    assert exit_status == 3
    assert "nothing was changed" in out
    assert run("history")[1] == "Nothing was changed yet.\n"


def test_undo_by_step_by_transaction_and_all(run: Run) -> None:
    for _ in range(2):
        assert run("apply", STEP, "--yes")[0] == 0
        document = answer(run, "rollback", STEP, "--dry-run")
        assert document["schema"] == "harden-tui/undo/1"
        assert document["plans"][0]["steps"] == [STEP]
        exit_status, out, _ = run(
            "rollback", STEP, "--yes", "--fingerprint", document["fingerprint"]
        )
        assert exit_status == 0, out
    assert run("apply", STEP, "--yes")[0] == 0
    latest = answer(run, "history", "list")["transactions"][-1]["id"]
    assert run("rollback", latest, "--yes")[0] == 0
    refused(run, 2, "is undone, so there is nothing of it to undo", "rollback", latest, "--yes")
    its_undo = answer(run, "history", "list")["transactions"][-1]["id"]
    refused(run, 2, "is itself an undo; nothing was touched", "rollback", its_undo, "--yes")
    assert run("rollback", "--all", "--yes")[0] == 0
    assert run("plan", STEP)[0] == 1, "it is as it was in the beginning"

    shown = answer(run, "history", "show", latest)
    assert shown["schema"] == "harden-tui/transaction/1"
    assert any("ServerTokens Prod" in delta["diff"] for delta in shown["deltas"])
    assert run("history", "verify")[0] == 0
    assert answer(run, "log", "list")["schema"] == "harden-tui/log/1"
    assert run("log", "verify")[0] == 0


def test_another_run_that_holds_the_host_is_named(run: Run, state: Path) -> None:
    held = StateDir(state)
    with held.lock("window open", 0.0):
        exit_status, out, err = run("apply", STEP, "--yes")
        assert exit_status == 3
        assert "window open" in out + err
        refused(run, 3, "window open", "recover", "--yes")


def test_a_worker_killed_in_the_middle_is_told_and_recovered(run: Run, state: Path) -> None:
    front = subprocess.Popen(
        [sys.executable, "-m", "tui.entry", "--practice", "--state-dir", str(state),
         "--checklist", "i-doit", "apply", STEP, "--yes"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert front.stdout is not None
    for line in front.stdout:
        if "configtest" in line:
            break
    directory = runs.find(state, "")
    assert directory is not None
    os.kill(runs.read(directory).pid, signal.SIGKILL)
    front.stdout.read()
    assert front.stderr is not None
    assert "ended without finishing; run `harden-tui recover`" in front.stderr.read()
    assert front.wait() == 5

    exit_status, out, _ = run("apply", STEP, "--yes")
    assert (exit_status, "harden-tui recover" in out) == (3, True)
    refused(run, 2, "--yes", "recover")
    exit_status, out, _ = run("recover", "--yes")
    assert exit_status == 0, out
    assert STEP in out
    assert runs.load(directory).status == "interrupted"
    assert run("plan", STEP)[0] == 1
    assert answer(run, "history", "list")["transactions"][-1]["status"] == "rolled-back"
    assert run("apply", STEP, "--yes")[0] == 0


def test_the_worker_shows_no_arguments_and_leads_no_terminal(run: Run, state: Path) -> None:
    front = subprocess.Popen(
        [sys.executable, "-m", "tui.entry", "--practice", "--state-dir", str(state),
         "--checklist", "i-doit", "apply", STEP, "--yes"],
        cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 30
    while not ((found := runs.find(state, "")) and runs.read(found).status == "running"):
        assert time.monotonic() < until
        time.sleep(0.005)
    pid = runs.read(found).pid
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert arguments[1:] == [b"-I", b"-X", b"utf8", str(ROOT / "tui/worker.py").encode()]
    assert fields[4] == "0", "a controlling terminal"
    assert int(fields[3]) not in (pid, os.getsid(0)), "leads no session, and is not in ours"
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert front.wait() == 0


def test_a_waiver_and_a_value_are_kept(run: Run) -> None:
    assert (
        run("steps", "waive", STEP, "--reason", "behind a proxy", "--until", "2099-12-31")[0] == 0
    )
    assert answer(run, "check", STEP)["counts"] == {"waived": 1}
    assert run("steps", "unwaive", STEP)[0] == 0
    refused(run, 2, "is not waived", "steps", "unwaive", STEP)
    assert answer(run, "check", STEP)["counts"] == {"fail": 1}

    assert run("steps", "set", "ssh.limits.max-auth-tries=4")[0] == 0
    document = answer(run, "steps", "list")
    assert document["schema"] == "harden-tui/steps/1"
    limits = next(step for step in document["steps"] if step["id"] == "ssh.limits")
    assert limits["values"]["max-auth-tries"] == 4
    assert "max-auth-tries = 4" in run("steps", "show", "ssh.limits")[1]
    kinds = [entry["kind"] for entry in answer(run, "log", "show")["entries"]]
    assert kinds == ["waive", "unwaive", "set"]


def test_live_judges_every_port(run: Run) -> None:
    document = answer(run, "live", "--once")
    assert document["schema"] == "harden-tui/live/1"
    assert document["ports"] and document["services"]
    for port in document["ports"]:
        assert {"exposed", "expected", "step"} <= set(port)
    ssh = [port for port in document["ports"] if port["port"] == 22]
    assert ssh and all(port["expected"] for port in ssh)
    exit_status, out, _ = run("live", "--once")
    assert exit_status == 0
    assert "EXPECTED" in out and "ssh.service" in out


def test_live_streams_a_line_a_second(state: Path) -> None:
    stream = subprocess.Popen(
        [sys.executable, "-m", "tui.entry", "--practice", "--state-dir", str(state), "live",
         "--format", "events"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Where the tests run in the background of a shell, SIGINT is ignored and stays so.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert stream.stdout is not None
    lines = [json.loads(stream.stdout.readline()) for _ in range(2)]
    assert all(line["schema"] == "harden-tui/live/1" for line in lines)
    stream.send_signal(signal.SIGINT)
    assert stream.communicate(timeout=10)[1] == b""
    assert stream.returncode == 0


def test_reports_in_every_form(run: Run, tmp_path: Path) -> None:
    assert run("apply", STEP, "--yes")[0] == 0
    for ending, beginning in (("md", "# "), ("json", "{"), ("html", "<!doctype html>")):
        file = tmp_path / f"report.{ending}"
        assert run("log", "export", "-o", str(file))[0] == 0
        text = file.read_text()
        assert text.lower().startswith(beginning) and "ServerTokens" in text
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    exit_status, out, _ = run("log", "export", "-")
    assert (exit_status, out[:2]) == (0, "# ")
    missing = str(tmp_path / "missing" / "report.md")
    refused(run, 3, "could not be written", "log", "export", "-o", missing)


def test_a_state_directory_that_cannot_be_used(run: Run, state: Path) -> None:
    state.write_text("a file where a directory should be")
    for command in (["check"], ["history"], ["apply", STEP, "--yes"]):
        refused(run, 3, str(state), *command)


def test_a_mistake_of_ours_is_a_sentence_and_a_private_file(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui import cli_check

    def broken(*_: object) -> int:
        password = "correct horse"
        raise ZeroDivisionError(f"{len(password)} hunter2")

    monkeypatch.setattr(cli_check, "check", broken)
    err = refused(run, 5, "This is a mistake in harden-tui itself (ZeroDivisionError).", "check")
    path = state / "log/debug.log"
    assert str(path) in err
    kept = path.read_text()
    assert "ZeroDivisionError" in kept and "test_cli_commands.py" in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_behind_standard_output_is_told(state: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tui.entry", "--practice", "--state-dir", str(state), "steps"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 5
    assert "No space left on device" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_were_never_open(state: Path, closed: str) -> None:
    script = f"exec {sys.executable} -m tui.entry --practice --state-dir {state} check {closed}"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr and done.stderr.count(b"\n") <= 1


def test_an_address_is_banned_and_let_in_again(run: Run) -> None:
    refused(run, 3, "fail2ban is not installed", "ban", "203.0.113.7", "--yes")
    assert run("apply", "defence.fail2ban", "--yes")[0] == 0
    refused(run, 2, "is no IP address", "ban", "bob", "--yes")
    refused(run, 2, "no terminal to ask on", "ban", "203.0.113.7")
    refused(run, 3, "There is no jail 'nosuch'", "ban", "203.0.113.7", "--jail", "nosuch", "--yes")
    refused(run, 3, "is this host itself", "ban", "127.0.0.1", "--yes")
    refused(run, 3, "is banned by no jail", "unban", "203.0.113.7", "--yes")
    status, out, _ = run("ban", "203.0.113.7", "--yes")
    assert (status, out) == (0, "203.0.113.7 is banned by the jail sshd.\n")
    logins = answer(run, "live", "--once")["logins"]
    assert [(row["address"], row["banned"]) for row in logins["addresses"]] == [
        ("203.0.113.7", ["sshd"])
    ]
    assert "203.0.113.7" in run("live", "--once", "--window", "24h")[1]
    refused(run, 2, "expected a time between", "live", "--once", "--window", "5s")
    assert "is banned by sshd already" in run("ban", "203.0.113.7", "--yes")[1]
    assert "let in again by sshd" in run("unban", "203.0.113.7", "--yes")[1]
    assert answer(run, "live", "--once")["logins"]["addresses"] == []
    kinds = [entry["kind"] for entry in answer(run, "log", "show")["entries"]]
    assert kinds[-2:] == ["ban", "unban"]


def test_what_to_type_next_is_about_this_host_and_state(run: Run, state: Path) -> None:
    """Typed as it is printed, it must not act on the real host."""
    again = f"harden-tui --practice --state-dir {state}"
    exit_status, out, _ = run("plan", STEP, "--out", str(state / "my plan.json"))
    assert f"apply it with: {again} apply --plan '{state}/my plan.json'\n" in out

    exit_status, out, err = run("apply", "ssh.limits", "--yes", "--no-wait")
    assert exit_status == 0, err
    shown = " ".join(out.split())
    assert f"lets you in, there: {again} confirm " in shown
    assert f"(later with `{again} confirm --extend 10m`, now with `{again} recover`)" in shown
    assert f"log in a second time and run `{again} confirm` there" in shown
    assert "sudo" not in shown
    exit_status, out, _ = run("apply", STEP, "--yes")
    assert exit_status == 3
    assert f"run `{again} confirm` there, or take it back with `{again} recover`." in out
    refused(run, 3, f"run `{again} confirm` there (", "confirm")
    assert f"$ {again} --checklist i-doit confirm" in " ".join(run("todo")[1].split())


def test_the_words_for_the_usual_state_directory_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for practice, program in ((False, "sudo harden-tui"), (True, "harden-tui --practice")):
        usual = default_state_dir(practice=practice)
        options = Options(
            practice=practice, state_dir=usual, log_dir=usual / "log", checklist="lamp"
        )
        assert options.program == program
        other = msgspec.structs.replace(options, state_dir=tmp_path / "an other")
        assert other.program == f"{program} --state-dir '{tmp_path}/an other'"


def test_a_log_that_was_taken_away_is_not_called_empty(run: Run, state: Path) -> None:
    assert run("steps", "waive", STEP, "--reason", "a test")[0] == 0
    (state / "log/sessions.jsonl").unlink()
    assert run("log", "verify")[0] == 1
    said = "The log was changed: entries are missing; see `log verify`."
    assert run("log")[:2] == (1, f"{said}\n")
    exit_status, out, _ = run("log", "--format", "json")
    assert (exit_status, json.loads(out)["sessions"]) == (1, [])
    refused(run, 1, said, "log", "show")
    refused(run, 1, said, "log", "export")


def test_a_log_without_an_entry_yet_is_empty(run: Run) -> None:
    assert run("log")[:2] == (0, "The log is empty: nothing was changed yet.\n")


def test_events_are_one_object_a_line_in_todo_and_in_reports(run: Run) -> None:
    assert run("apply", STEP, "--yes")[0] == 0
    for command in (["todo", STEP], ["log", "export", "-"]):
        lines = run(*command, "--format", "events")[1].splitlines()
        assert [json.loads(line)["schema"][:11] for line in lines] == ["harden-tui/"]
        assert run(*command, "--format", "json")[1].count("\n") > 1


def test_a_record_that_cannot_be_read_refuses_an_apply(run: Run, state: Path) -> None:
    """Nothing was changed, so nobody is needed in a hurry: exit 3, as rollback and recover say."""
    assert run("apply", STEP, "--yes")[0] == 0
    for record in (state / "transactions").glob("*/record*.json"):
        os.truncate(record, 50)
    for command in (["apply", "files.banners"], ["rollback", STEP], ["recover"]):
        refused(run, 3, "record.json cannot be read", *command, "--yes")
