"""Conflicts on the command line: shown, settled by flags, refused where nothing was chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snapshots.model import Resolution, TransactionRecord
from steps.undo_told import chosen_sentences
from tests.unit.test_cli_commands import Run, answer, refused, run, state
from tui.cli import build_parser
from tui.cli_parsers_change import BARE
from tui.text import plain_text
from tui.views import history
from tui.wire import TransactionAnswer

__all__ = ["run", "state"]  # the fixtures

STEP = "apache.banner"


@pytest.fixture
def conflict(run: Run, state: Path) -> Path:
    """A file of an applied step in which one line was changed since; returns it."""
    assert run("apply", STEP, "--yes")[0] == 0
    (delta,) = [
        delta
        for delta in answer(run, "history", "show", STEP)["deltas"]
        if "ServerTokens Prod" in delta["diff"] and "conf-available" in delta["key"]
    ]
    file = state / "host/root" / str(delta["key"]).removeprefix("/")
    file.write_text(file.read_text().replace("ServerTokens Prod", "ServerTokens Full"))
    return file


def path_of(file: Path) -> str:
    return "/" + str(file).partition("/host/root/")[2]


def item(document: dict[str, Any], path: str) -> dict[str, Any]:
    (found,) = [one for one in document["plans"][0]["items"] if one["key"] == path]
    return dict(found)


def test_a_conflict_is_shown_and_refused(run: Run, conflict: Path) -> None:
    path = path_of(conflict)
    status, out, err = run("rollback", STEP, "--dry-run")
    assert status == 3
    assert "-ServerTokens Prod\n" in out and "+ServerTokens Full\n" in out
    assert f"--restore={path}" in out
    assert "then choose --keep-current, --restore or --merge" in err
    found = item(json.loads(run("rollback", STEP, "--dry-run", "--format", "json")[1]), path)
    assert (found["how"], found["chosen"]) == ("conflict", "")
    assert [side["label"] for side in found["sides"]] == ["before", "now", "after"]
    before = conflict.read_text()
    status, out, _ = run("rollback", STEP, "--yes")
    assert status == 3
    assert "nothing was touched" in out
    assert conflict.read_text() == before


@pytest.mark.parametrize(
    ("flag", "how", "left"),
    [
        ("--keep-current", "kept", "ServerTokens Full"),
        ("--restore", "restore", None),
        ("--merge", "merge", "ServerTokens Full\n"),
    ],
)
def test_a_choice_settles_it_as_the_preview_said(
    run: Run,
    conflict: Path,
    flag: str,
    how: str,
    left: str | None,
) -> None:
    path = path_of(conflict)
    document = answer(run, "rollback", STEP, "--dry-run", f"{flag}={path}")
    found = item(document, path)
    assert (found["how"], found["chosen"]) == (how, flag.removeprefix("--"))
    assert len(found["sides"]) == 3
    fingerprint = document["fingerprint"]
    refused_out = run("rollback", STEP, "--yes", "--fingerprint", fingerprint)
    assert refused_out[0] == 3, "another plan was approved"
    status, out, _ = run("rollback", flag, STEP, "--yes", "--fingerprint", fingerprint)
    assert status == 0, out
    if left is None:
        assert not conflict.exists()
    else:
        assert left in conflict.read_text()
        assert ("ServerSignature" in conflict.read_text()) is (how == "kept")
    assert f"{path}={flag.removeprefix('--')}" in run("log", "show")[1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--restore", "--merge"], "Give either --restore or --merge for all conflicts"),
        (["--restore=/etc/x", "--merge=/etc/x"], "Give either --restore or --merge for /etc/x"),
        (["--restore=/etc/hosts"], "--restore=/etc/hosts: not in conflict; nothing is"),
        (["--restore", "/etc/hosts"], "is written --restore=/etc/hosts"),
        ([STEP, "--merge", "/etc/hosts"], "is written --merge=/etc/hosts"),
        (["--restore="], "--restore= names no path"),
        (["--keep-current", "--merge="], "--merge= names no path"),
    ],
)
def test_a_choice_that_means_nothing_is_a_usage_error(
    run: Run, flags: list[str], said: str
) -> None:
    assert run("apply", STEP, "--yes")[0] == 0
    refused(run, 2, said, "rollback", *flags, STEP, "--yes")


def test_a_bare_choice_takes_no_step_for_its_path() -> None:
    parsed = build_parser().parse_args(
        ["rollback", "--restore", STEP, "--merge=/etc/a", "--merge=/etc/b=c", "--yes"]
    )
    assert (parsed.steps, parsed.restore, parsed.merge) == ([STEP], [BARE], ["/etc/a", "/etc/b=c"])
    assert parsed.keep_current is None


def test_one_conflict_stops_every_undo_that_was_asked_for(run: Run, conflict: Path) -> None:
    assert run("apply", "apache.headers", "--yes")[0] == 0
    status, out, _ = run("rollback", "--all", "--yes")
    assert status == 3
    assert "nothing was touched" in out
    statuses = [one["status"] for one in answer(run, "history", "list")["transactions"]]
    assert statuses == ["committed", "committed"]
    assert run("rollback", "--all", "--yes", f"--restore={path_of(conflict)}")[0] == 0
    kinds = [one["status"] for one in answer(run, "history", "list")["transactions"]][:2]
    assert kinds == ["undone", "undone"]
    assert not conflict.exists()


def test_what_others_undid_since_the_preview_is_not_said_to_be_done_now(run: Run) -> None:
    assert run("apply", STEP, "--yes")[0] == 0
    fingerprint = answer(run, "rollback", STEP, "--dry-run")["fingerprint"]
    assert run("rollback", STEP, "--yes")[0] == 0
    status, out, _ = run("rollback", STEP, "--yes", "--fingerprint", fingerprint)
    assert status == 3 and f"{STEP} was undone since this preview" in out
    for option in ("--yes", "--dry-run"):
        status, out, _ = run("rollback", STEP, option)
        assert status == 0 and f"Nothing to undo: no change of {STEP} is in force." in out


def test_what_was_chosen_is_told_by_the_result_and_the_history(run: Run, conflict: Path) -> None:
    path = path_of(conflict)
    status, out, _ = run("rollback", STEP, "--keep-current", "--yes")
    said = " ".join(out.split())
    assert status == 0 and f"Undone: {STEP}. As you chose, {path} was left as it stood." in said
    shown = "".join(run("history", "show", STEP)[1].split())
    assert f"chosen:leftasitstood:{path}" in shown


def test_of_a_step_applied_twice_the_name_and_the_choice_are_told_once(
    run: Run, conflict: Path
) -> None:
    assert run("apply", STEP, "--yes")[0] == 0
    conflict.write_text(conflict.read_text().replace("ServerTokens Prod", "ServerTokens OS"))
    plans = answer(run, "rollback", STEP, "--dry-run", "--keep-current")["plans"]
    assert [one["items"][0]["chosen"] for one in plans] == ["keep-current", "keep-current"]
    status, out, _ = run("rollback", STEP, "--keep-current", "--yes")
    said = " ".join(out.split())
    assert status == 0 and said.endswith(
        f"Undone: {STEP}. As you chose, {path_of(conflict)} was left as it stood."
    )


def test_of_many_choices_the_first_is_named_for_each_way() -> None:
    choices: dict[str, Resolution] = {
        "/etc/a": "keep-current", "/etc/b": "restore", "/etc/c": "keep-current", "/etc/d": "merge",
    }  # fmt: skip
    assert chosen_sentences(choices) == [
        "As you chose, /etc/a and 1 more were left as they stood.",
        "As you chose, /etc/b was put back over what was changed since.",
        "As you chose, /etc/d was merged with what was changed since.",
    ]
    record = TransactionRecord(
        id="1", kind="rollback", steps=("a.b",), title="", status="committed", started="",
        resolved=choices,
    )  # fmt: skip
    text = plain_text(history.detail(record, TransactionAnswer(), 80))
    assert "Chosen     left as it stood: /etc/a, /etc/c\n" in text
    assert "Chosen     put back over what was changed since: /etc/b\n" in text
