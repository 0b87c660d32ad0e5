"""Taking back and keeping go by the records: a broken file of the site or of the answers is said,
and stops neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots.history import transactions
from snapshots.state import StateDir
from tui.entry import main

GUARDED, PLAIN = "ssh.limits", "apache.banner"

OWN_STEP = """\
id: mine.motd
stage: pre-install
title: A message of our own
why: A test.
breaks: Nothing.
source: Our own rules.
ensure:
  - file:
      path: /etc/motd.own
      content: "ours\\n"
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def run(state: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a fresh practice host: (exit status, standard output, standard error)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        exit_status = main(["--practice", "--state-dir", str(state), *arguments])
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    return call


def site_file(state: Path, name: str, text: str) -> Path:
    path = state / "host/root/etc/harden-tui" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def break_site(state: Path) -> None:
    site_file(state, "checklists.d/mine.yaml", "name: mine\n")


def break_answers(state: Path) -> None:
    (state / "answers.json").write_text("{\n", encoding="utf-8")


BREAKING = pytest.mark.parametrize(
    ("breaks", "named", "refusal"),
    [(break_site, "checklists.d/mine.yaml:1: ", 2), (break_answers, "answers.json is damaged", 3)],
)


def statuses(state: Path) -> list[str]:
    return [record.status for record in transactions(StateDir(state, state / "log"))]


@BREAKING
def test_recover_takes_back_what_waits(
    run: Run, state: Path, breaks: Callable[[Path], None], named: str, refusal: int
) -> None:
    assert run("apply", GUARDED, "--yes", "--no-wait")[0] == 0
    breaks(state)
    status, _, err = run("check", GUARDED)
    assert (status, named in err) == (refusal, True), "whoever needs the file is refused"
    status, out, err = run("recover", "--yes")
    assert status == 0, err
    assert f"Brought back to the state before: {GUARDED}." in out
    assert (named in err, err.count("\n")) == (True, 1), "said once"
    assert statuses(state) == ["rolled-back"]


@BREAKING
def test_confirm_tells_and_keeps(
    run: Run, state: Path, breaks: Callable[[Path], None], named: str, refusal: int
) -> None:
    assert run("apply", GUARDED, "--yes", "--no-wait")[0] == 0
    breaks(state)
    status, out, err = run("confirm", "--status")
    assert status == 0, err
    assert f"{GUARDED}: waits for your confirmation" in out and named in err
    status, _, err = run("confirm", "--without-login", "--word", "practice")
    assert status == 0, err
    assert statuses(state) == ["committed"]
    assert run("check", GUARDED)[0] == refusal


def test_damaged_answers_stay_as_they_are(run: Run, state: Path) -> None:
    assert run("apply", PLAIN, "--yes")[0] == 0
    break_answers(state)
    assert run("rollback", PLAIN, "--yes")[0] == 0
    assert (state / "answers.json").read_text() == "{\n"


def test_a_checklist_that_cannot_be_read_is_not_needed(run: Run, state: Path) -> None:
    own = site_file(
        state, "checklists.d/mine.yaml",
        f"name: mine\ntitle: Mine\ndescription: Ours.\nsteps: [{GUARDED}]\n",
    )  # fmt: skip
    assert run("apply", GUARDED, "--yes", "--no-wait", "--checklist", "mine")[0] == 0
    own.write_text("name: mine\n", encoding="utf-8")
    status, _, err = run("recover", "--yes", "--checklist", "mine")
    assert (status, err.count("\n")) == (0, 1), err
    assert statuses(state) == ["rolled-back"]


def test_an_undo_needs_no_step(run: Run, state: Path) -> None:
    """A step that cannot be read any more may guard the way in, so its undo waits."""
    own = site_file(state, "steps.d/mine.yaml", OWN_STEP)
    good = site_file(state, "steps.d/other.yaml", OWN_STEP.replace("motd", "issue"))
    status, _, err = run("apply", "mine.motd", "mine.issue", PLAIN, "--yes", "--keep-going")
    assert status == 0, err
    own.write_text(f"{OWN_STEP}nonsense: 1\n", encoding="utf-8")

    status, out, err = run("rollback", PLAIN, "--yes")
    assert (status, "waits for your confirmation" in out) == (0, False), err
    assert ("steps.d/mine.yaml" in err, err.count("\n")) == (True, 1)
    status, out, err = run("rollback", "mine.issue", "--yes")
    assert (status, "waits for your confirmation" in out) == (0, False), err
    status, out, err = run("rollback", "mine.motd", "--yes", "--no-wait")
    assert (status, "waits for your confirmation" in out) == (0, True), err
    assert run("confirm", "--without-login", "--word", "practice")[0] == 0
    assert not (state / "host/root/etc/motd.own").exists()
    assert own.exists() and good.exists()


def test_a_window_is_closed_and_undone(run: Run, state: Path) -> None:
    assert run("window", "open", "--yes")[0] == 0
    break_site(state)
    assert run("window", "open", "--yes")[0] == 2
    status, out, err = run("window", "close", "--yes")
    assert status == 0, err
    assert "The update window is closed." in out
    assert ("mine.yaml" in err, err.count("\n")) == (True, 1)
    status, out, err = run("window", "undo", "--yes")
    assert status == 0, err
    assert "The update window was undone." in out


def test_a_window_is_not_closed_without_its_answers(run: Run, state: Path) -> None:
    """What is sealed again is checked by them; to take back none are needed."""
    assert run("window", "open", "--yes")[0] == 0
    break_answers(state)
    assert run("window", "close", "--yes")[0] == 3
    status, _, err = run("window", "undo", "--yes")
    assert status == 0, err
