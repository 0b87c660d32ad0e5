"""`check` and `drift` on the practice host: what is told, settled and refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.practice import PracticeHost
from steps.guard_settings import Guarding
from tui import cli_drift
from tui.entry import main

STEP = "apache.banner"
CONF = "/etc/apache2/conf-available/zz-harden-tui-apache.banner.conf"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The practice host's file system."""
    return tmp_path / "state/host/root"


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a practice host: (exit status, standard output, standard error)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        exit_status = main(
            ["--practice", "--state-dir", str(tmp_path / "state"), "--checklist", "lamp",
             *arguments]
        )  # fmt: skip
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    return call


@pytest.fixture
def edited(run: Run, root: Path) -> Path:
    """The step is applied; its file and another one were edited since."""
    status, out, err = run("apply", STEP, "--yes")
    assert status == 0, out + err
    conf = root / CONF.lstrip("/")
    left = conf.read_text()
    conf.write_text(left.replace("ServerTokens Prod", "ServerTokens Full") + "Mine 1\n")
    (root / "etc/hostname").write_text("renamed\n")
    return conf


def answer(run: Run, *arguments: str) -> dict[str, Any]:
    _, out, err = run(*arguments, "--format", "json")
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return document


def test_a_new_host_has_no_drift_and_a_check_says_nothing_of_it(run: Run) -> None:
    assert answer(run, "check", STEP)["drift"] == {
        "since": "", "transaction": "", "problem": "", "things": [],
    }  # fmt: skip
    assert "outside" not in run("check", STEP)[1]
    status, out, _ = run("drift")
    assert status == 0 and "nothing can have drifted" in out


def test_a_check_tells_who_wins_and_its_exit_status_is_that_of_the_steps(
    run: Run, edited: Path, root: Path
) -> None:
    rows = answer(run, "check")["drift"]["things"]
    assert [(row["key"], row["kind"], row["steps"]) for row in rows] == [
        (CONF, "edited", [STEP]),
        ("/etc/hostname", "edited", []),
    ]
    assert rows[0]["choices"] == ["accept", "restore", "merge"]
    assert [row["key"] for row in answer(run, "check", STEP)["drift"]["things"]] == [CONF]
    _, out, _ = run("check")
    assert "Changed outside harden-tui since" in out and "(2)" in out
    assert "harden-tui drift show" in out

    _, events, _ = run("check", STEP, "--format", "events")
    (event,) = [e for e in map(json.loads, events.splitlines()) if e["event"] == "drift"]
    assert event["asked"] == [STEP] and len(event["drift"]["things"]) == 2

    edited.write_text(edited.read_text().replace("ServerTokens Full", "ServerTokens Prod"))
    status, out, _ = run("check", STEP)
    assert (root / "etc/hostname").read_text() == "renamed\n"
    assert status == 0, "drift alone does not change it"


def test_list_and_show(run: Run, edited: Path) -> None:
    status, out, _ = run("drift")
    assert status == 1 and CONF in out and "Mine 1" not in out
    status, out, _ = run("drift", "show", "/etc/apache2")
    assert status == 1 and "+Mine 1" in out and "hostname" not in out
    assert [row["key"] for row in answer(run, "drift", "show", STEP)["things"]] == [CONF]
    assert out.splitlines()[3].endswith(" (1)"), "the one that is shown, not all there are"
    status, _, err = run("drift", "show", "/etc/hostnam")
    assert status == 2 and "Did you mean /etc/hostname?" in err


def test_a_name_that_is_not_utf8_is_given_as_it_is_shown(run: Run, root: Path) -> None:
    assert run("apply", STEP, "--yes")[0] == 0
    folder, latin = os.fsencode(root) + b"/etc/d\xe9r", os.fsencode(root) + b"/etc/caf\xe9.conf"
    os.mkdir(folder)
    for path in (latin, latin + b"2", folder + b"/inner"):
        with open(path, "w") as file:
            file.write("x\n")
    keys = [row["key"] for row in answer(run, "drift")["things"]]
    assert "/etc/caf\\xe9.conf" in keys and "/etc/caf\\xe9.conf" in run("drift")[1]
    status, _, err = run("drift", "show", "/etc/caf\\xe9.con")
    assert status == 2 and "Did you mean '/etc/caf\\xe9.conf'?" in err
    shown = answer(run, "drift", "restore", *keys, "--dry-run")
    assert [item["key"] for item in shown["items"]] == keys, "all of it, as the screen asks"
    status, out, err = run("drift", "restore", "/etc/caf\\xe9.conf", "--yes")
    assert status == 0 and "Put back: /etc/caf\\xe9.conf." in out, out + err
    assert not os.path.exists(latin) and os.path.exists(latin + b"2")
    assert run("drift", "restore", "/etc/d\\xe9r", "--yes")[0] == 0
    assert not os.path.exists(folder)
    assert run("drift", "accept", "/etc/caf\\xe9.conf2", "--yes")[0] == 0
    assert run("drift")[0] == 0
    assert "things: /etc/caf\\xe9.conf2" in run("log", "show", "--all")[1]
    assert json.loads(run("log", "export", "--all", "--as", "json", "--output", "-")[1])


def test_each_way_of_settling(run: Run, edited: Path, root: Path) -> None:
    before = edited.read_text()
    shown = answer(run, "drift", "merge", CONF, "--dry-run")
    assert shown["schema"] == "harden-tui/drift-plan/1"
    assert edited.read_text() == before, "a dry run changes nothing"
    status, out, err = run("drift", "merge", CONF, "--yes", "--fingerprint", shown["fingerprint"])
    assert status == 0, out + err
    merged = before.replace("ServerTokens Full", "ServerTokens Prod")
    assert edited.read_text() == merged and merged.endswith("Mine 1\n")

    edited.unlink()
    status, out, err = run("drift", "restore", STEP, "--yes")
    assert status == 0 and f"Put back and proved: {CONF}." in out, out + err
    assert edited.read_text() == merged

    status, out, err = run("drift", "accept", "--all", "--yes")
    assert status == 0 and "Accepted as it stands: /etc/hostname" in out, out + err
    assert run("drift")[0] == 0
    _, out, _ = run("log", "show", "--all")
    assert [word for word in ("drift-merge", "drift-restore", "drift-accept") if word in out] == [
        "drift-merge", "drift-restore", "drift-accept",
    ]  # fmt: skip
    _, out, _ = run("history")
    assert f"merge {CONF}" in out and f"put back {CONF}" in out

    status, out, err = run("rollback", "--all", "--yes")
    assert status == 0, out + err
    assert edited.read_text() == "Mine 1\n"
    assert (root / "etc/hostname").read_text() == "renamed\n"


def test_what_no_step_was_asked_about_is_put_back_and_not_called_proved(
    run: Run, edited: Path, root: Path
) -> None:
    assert edited.exists()
    status, out, err = run("drift", "restore", "/etc/hostname", "--yes")
    assert status == 0 and "Put back: /etc/hostname." in out, out + err
    assert (root / "etc/hostname").read_text() != "renamed\n"


def test_what_could_not_be_measured_is_not_called_proved(
    run: Run, root: Path, tmp_path: Path
) -> None:
    assert run("apply", "apache.headers", "--yes")[0] == 0
    (conf,) = (root / "etc/apache2/conf-available").glob("*apache.headers*")
    conf.unlink()
    PracticeHost(tmp_path / "state/host").run(("systemctl", "stop", "apache2.service"))
    status, out, err = run("drift", "restore", "apache.headers", "--yes")
    assert status == 0 and conf.exists(), out + err
    said = f"Put back: {conf.relative_to(root)}. apache.headers could not be measured (unknown)."
    assert said.replace("back: ", "back: /") in " ".join(out.split())


@pytest.mark.parametrize(
    ("exit_status", "said", "arguments"),
    [
        (2, "Name what to accept", ["accept"]),
        (2, "either what it is about or --all", ["restore", CONF, "--all", "--yes"]),
        (2, "add --yes", ["restore", CONF]),
        (2, "did not drift", ["accept", "/etc/motd", "--yes"]),
        (3, "No step wrote /etc/hostname", ["merge", "/etc/hostname", "--yes"]),
        (3, "has changed since", ["restore", CONF, "--yes", "--fingerprint", "0" * 64]),
        (3, "has changed since", ["accept", CONF, "--yes", "--fingerprint", "0" * 64]),
    ],
)
def test_refusals_change_nothing(
    run: Run, edited: Path, exit_status: int, said: str, arguments: list[str]
) -> None:
    before = edited.read_text()
    status, out, err = run("drift", *arguments)
    assert status == exit_status, out + err
    assert said in out + err and "Traceback" not in out + err
    assert edited.read_text() == before
    assert len(answer(run, "drift")["things"]) == 2


def test_what_the_daemon_does_not_accept_is_taken_back(run: Run, root: Path) -> None:
    status, out, err = run("apply", "ssh.limits", "--yes", "--no-wait")
    assert status == 0, out + err
    assert run("confirm", "--without-login", "--word", "practice")[0] == 0
    (file,) = (root / "etc/ssh/sshd_config.d").glob("*limits*")
    file.write_text(file.read_text().replace("LoginGraceTime 30", "LoginGraceTime 99\nNonsense 1"))
    edited = file.read_text()
    status, out, err = run("drift", "merge", "ssh.limits", "--yes")
    assert status == 4, out + err
    assert "sshd -t" in out + err
    assert file.read_text() == edited
    assert answer(run, "history")["transactions"][-1]["status"] == "rolled-back"


def test_password_hashes_are_masked(run: Run, edited: Path, root: Path) -> None:
    assert edited.exists()
    shadow = root / "etc/shadow"
    shadow.write_text(shadow.read_text() + "mallory:$6$saltsalt$abcdefghijklmnop:19000::::::\n")
    shown = run("drift", "show", "/etc/shadow")[1]
    planned = run("drift", "accept", "/etc/shadow", "--dry-run")[1]
    document = json.dumps(answer(run, "check"))
    for text in (shown, planned, document):
        assert "mallory" in text and "abcdefghijklmnop" not in text


def test_what_is_put_back_under_guard_can_be_taken_back_by_us(
    run: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead-man's switch needs the words that start harden-tui."""
    assert run("apply", "ssh.limits", "--yes", "--no-wait")[0] == 0
    assert run("confirm", "--without-login", "--word", "practice")[0] == 0
    limits = root / "etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"
    limits.write_text(limits.read_text() + "# mine\n")
    started: list[Guarding] = []

    def start(*_: object, guarding: Guarding, **__: object) -> int:
        started.append(guarding)
        return 0

    monkeypatch.setattr(cli_drift, "start_and_follow", start)
    assert run("drift", "restore", "ssh.limits", "--yes")[0] == 0
    state = str(tmp_path / "state")
    assert started[0].program[-3:] == ("--practice", "--state-dir", state)
    assert started[0].typed == f"harden-tui --practice --state-dir {state}"


def test_the_undo_of_what_was_put_back_is_not_told_as_the_steps(run: Run, edited: Path) -> None:
    """The step stands on; who reads that it was undone would think it gone."""
    assert run("drift", "restore", CONF, "--yes")[0] == 0
    settling = answer(run, "history", "list")["transactions"][-1]["id"]
    _, shown, _ = run("rollback", settling, "--dry-run")
    assert shown.splitlines()[0] == f"Put back {CONF}  {settling}"
    status, out, err = run("rollback", settling, "--yes")
    assert status == 0, out + err
    assert f"Undone: Put back {CONF}." in out + err and f"Undone: {STEP}" not in out + err
    _, listed, _ = run("history", "list")
    assert f"undo of put back {CONF}" in listed and f"undo of {STEP}" not in listed
    _, logged, _ = run("log", "show")
    assert f"Put back {CONF}" in logged
    assert answer(run, "check", STEP)["drift"]["things"], "it drifts again, and the step stands"


def test_a_refused_undo_of_what_was_put_back_does_not_name_the_step_to_type(
    run: Run, edited: Path
) -> None:
    assert run("drift", "restore", CONF, "--yes")[0] == 0
    settling = answer(run, "history", "list")["transactions"][-1]["id"]
    edited.write_text(edited.read_text().replace("ServerTokens Prod", "ServerTokens Min"))
    status, out, err = run("rollback", settling, "--yes")
    said = " ".join((out + err).split())
    assert status == 3 and "since it was settled" in said
    assert f"`harden-tui rollback {settling} --dry-run`" in said


def test_why_drift_is_not_known_is_said_in_a_sentence(run: Run, edited: Path, root: Path) -> None:
    (lists,) = (root.parents[1] / "transactions").glob("*/delta.jsonl")
    content = bytearray(lists.read_bytes())
    content[len(content) // 2] ^= 1
    lists.write_bytes(content)
    out = "".join(run("check", STEP)[1].split())
    assert f"Whatchangedoutsideharden-tui:{lists}" in out
    assert out.endswith(".") and not out.endswith("..")
