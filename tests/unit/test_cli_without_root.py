"""Somebody without root: what to type instead, and whose record it is that answers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from host.practice import PracticeHost
from tui import cli_confirm, cli_drift, cli_history, cli_steps, cli_todo, session
from tui.entry import main


@pytest.fixture(autouse=True)
def no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PracticeHost, "is_root", False)


@pytest.mark.parametrize(
    "typed",
    [
        "confirm --extend 10m",
        "confirm --without-login --word web1",
        "window open --for 30m --dump X --note 'two words' --yes",
        "window extend --for 1h --yes",
        "apply ssh.limits --set ssh.limits.max-auth-tries=4 --keep-going --yes",
        "rollback --all --merge --yes",
        "drift accept --all --yes",
    ],
)
def test_what_to_try_is_what_was_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    """`confirm` without its --extend would keep what only more time was wanted for."""
    words = ["--practice", "--state-dir", str(tmp_path), *shlex.split(typed)]
    assert main(words) == 3
    said = capsys.readouterr().err
    assert said == (
        "harden-tui: Changing this host needs root; nothing was changed. Try: sudo harden-tui"
        f" --practice --state-dir {tmp_path} {typed}\n"
    )


@pytest.fixture
def not_practice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands for a real host is a pretended one, so that nothing of this machine is asked."""
    monkeypatch.setattr(session, "open_host", lambda options: PracticeHost(options.practice_root))
    for module in (cli_confirm, cli_drift, cli_history, cli_steps, cli_todo):
        monkeypatch.setattr(module, "is_root", lambda: False)


@pytest.mark.usefixtures("not_practice")
@pytest.mark.parametrize(
    "typed",
    [
        "steps waive ssh.limits --reason 'jump host'",
        "steps set ssh.limits.max-auth-tries=4",
        "steps attest data.disk-encryption --note 'seen on Monday'",
        "guide at ssh.limits",
        "guide",
        "confirm --status",
        "confirm --status --format json",
        "drift",
        "history list",
        "history verify",
        "history prune --dry-run",
    ],
)
def test_a_record_of_ones_own_is_called_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    status = main(["--state-dir", str(tmp_path), *shlex.split(typed)])
    said = capsys.readouterr().err
    assert status == 0, said
    assert (
        said.count("this is your own record; what root did on this host is shown with sudo.") == 1
    )


@pytest.mark.usefixtures("not_practice")
def test_nothing_of_ones_own_is_called_neither_whole_nor_root_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--state-dir", str(tmp_path)]
    assert main([*own, "history", "show"]) == 2
    assert "this is your own record" in capsys.readouterr().err
    assert main([*own, "history", "verify"]) == 0
    said = capsys.readouterr().out
    assert "whole" not in said and "no restore point" in said
    main([*own, "history", "list", "--format", "json"])
    assert json.loads(capsys.readouterr().out)["own_record"] is True
