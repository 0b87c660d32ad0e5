"""`apply --all --keep-going`: what is refused or fails is named, and does not hold up the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from steps.outcome import not_begun
from tui.entry import main

REFUSED, USAGE = 3, 2
KEYS = "host/root/home/admin/.ssh/authorized_keys"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def usual(state: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Commands on a practice host as it is made."""

    def call(*arguments: str) -> tuple[int, str, str]:
        exit_status = main(["--practice", "--state-dir", str(state), *arguments])
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    return call


@pytest.fixture
def run(usual: Run, state: Path) -> Run:
    """The same on one whose only administrator has no key: he would be locked out."""
    usual("steps")
    (state / KEYS).unlink()
    return usual


STEPS = ("ssh.key-only", "apache.banner", "php.settings")


def test_without_it_one_refusal_holds_up_all(run: Run) -> None:
    exit_status, out, _ = run("apply", *STEPS, "--yes")
    assert exit_status == REFUSED
    assert "Refused, nothing was changed" in out
    assert json.loads(run("history", "--format", "json")[1])["transactions"] == []


def test_the_others_are_applied_and_the_refused_is_named(run: Run) -> None:
    exit_status, out, _ = run("apply", *STEPS, "--yes", "--keep-going")
    assert exit_status == REFUSED
    said = " ".join(out.split())
    assert "Applied and proved: apache.banner, php.settings." in said or (
        "Applied and proved: php.settings, apache.banner." in said
    )
    assert "Refused, for the reasons above: ssh.key-only." in said
    assert "has no key in" in said, "the reason is above"
    rows = json.loads(run("history", "--format", "json")[1])["transactions"]
    assert sorted(row["steps"][0] for row in rows) == ["apache.banner", "php.settings"]


def test_what_waits_is_not_called_kept_and_all_that_is_left_is_named(usual: Run) -> None:
    """A guarded change that is not waited for ends the run: exit 0 would say that all was done."""
    steps = ("ssh.limits", "files.banners", "apache.banner", "kernel.sysctl")
    exit_status, out, _ = usual("apply", *steps, "--yes", "--no-wait")
    said = " ".join(out.split())
    assert exit_status == REFUSED
    assert "kept" not in said, said
    assert "apache.banner, kernel.sysctl, files.banners were not begun." in said


def test_where_it_ends_early_what_was_refused_is_named_too(usual: Run) -> None:
    arguments = ("apply", "--all", "--keep-going", "--yes", "--no-wait", "--format", "json")
    exit_status, out, _ = usual(*arguments)
    summary = json.loads(out)["summary"]
    assert exit_status == REFUSED
    assert " more were not begun." in summary
    assert "Refused, for the reasons above: " in summary and "ssh.crypto" in summary


def test_an_undo_that_is_not_begun_is_no_success(usual: Run) -> None:
    assert usual("apply", "apache.banner", "files.banners", "--yes")[0] == 0
    assert usual("apply", "ssh.limits", "--yes", "--no-wait")[0] == 0
    assert usual("confirm", "--without-login", "--word", "practice")[0] == 0
    exit_status, out, _ = usual("rollback", "--all", "--yes", "--no-wait")
    assert exit_status == REFUSED
    said = " ".join(out.split())
    assert "The undo of files.banners, apache.banner was not begun." in said


def test_of_many_steps_a_few_are_named() -> None:
    assert not_begun(["a"]) == "a was not begun."
    assert not_begun(["a", "b"], of="The undo of ") == "The undo of a, b was not begun."
    many = [str(number) for number in range(30)]
    assert not_begun(many).endswith("7 and 22 more were not begun.")


def test_the_whole_checklist_is_refused_as_one(run: Run) -> None:
    exit_status, out, _ = run("apply", "--checklist", "lamp", "--all", "--yes")
    assert exit_status == REFUSED
    assert "ssh.key-only" in out and "Refused, nothing was changed" in out
    assert json.loads(run("history", "--format", "json")[1])["transactions"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["apply", "--yes"], "or give --all for the whole checklist"),
        (["apply", "ssh.limits", "--all"], "either steps or --all"),
        (["apply", "ssh.limits", "--stage", "pre-install"], "--stage goes with --all"),
        (["apply", "--all", "--stage", "update-window", "--yes"], "no steps of the stage"),
        (["apply", "--all", "--stage", "pre", "--yes"], "There is no stage 'pre'"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], said: str) -> None:
    exit_status, _, err = run(*arguments)
    assert (exit_status, said in err) == (USAGE, True), err


def test_what_an_earlier_step_makes_possible_is_done_in_the_same_run(run: Run, state: Path) -> None:
    """At first the second of these has nothing to change: what it is about is not there yet."""
    place = state / "host/root/etc/harden-tui/steps.d"
    place.mkdir(parents=True)
    text = """\
- id: site.{name}
  stage: pre-install
  title: {name}
  why: For this test.
  breaks: Nothing.
  source: this test
  ensure:
    - {ensure}
"""
    first = text.format(name="directive", ensure="apache: {ServerTokens: {is: Prod}}")
    second = text.format(name="mode", ensure="file: {path: /etc/motd, content: hello}")
    (place / "site.yaml").write_text(first + second)
    assert run("apply", "site.mode", "--yes")[0] == 0
    (state / "host/root/etc/motd").unlink()
    exit_status, out, _ = run("apply", "site.directive", "site.mode", "--yes")
    assert exit_status == 0
    assert "Applied and proved: site.directive, site.mode." in " ".join(out.split())
