"""`apply --all --keep-going`: what is refused or fails is named, and does not hold up the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tui.entry import main

REFUSED, USAGE = 3, 2
KEYS = "host/root/home/admin/.ssh/authorized_keys"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def run(state: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Commands on a practice host whose only administrator has no key: he would be locked out."""

    def call(*arguments: str) -> tuple[int, str, str]:
        exit_status = main(["--practice", "--state-dir", str(state), *arguments])
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    call("steps")
    (state / KEYS).unlink()
    return call


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
