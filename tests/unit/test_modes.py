"""Owners and modes: what counts as loose, what dpkg is told, and dpkg's own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from host.facts.statoverride import parse_overrides, parse_search
from snapshots.model import Root, RunCommand
from steps.resource import Context, StepError
from steps.resources.modes import Modes
from tests.unit.given import RELEASES, context, recorded

NAMES = {"user_numbers": {"root": 0, "alice": 1000}, "group_numbers": {"root": 0, "shadow": 42}}


def modes(*lines: dict[str, Any]) -> Modes:
    found = Modes.parse("x.y", list(lines))
    assert isinstance(found, Modes)
    return found


def with_file(directory: Path, path: str, state: FileState, **answers: Any) -> Context:
    ctx = context(
        directory,
        **{**NAMES, "dpkg_statoverride": {}, "packaged": {}, **answers},
    )
    ctx.host.put("/etc/probe", None)
    ctx.host.put(path, state, b"x")
    return ctx


@pytest.mark.parametrize("release", RELEASES)
def test_dpkgs_tables(release: str) -> None:
    overrides = parse_overrides(recorded(release, "system/statoverride.txt"))
    crontab = overrides["/usr/bin/crontab"]
    assert (crontab.owner, crontab.group, crontab.mode) == ("root", "crontab", 0o2755)
    found = parse_search(recorded(release, "system/dpkg-search.txt"))
    assert found["/etc/sudoers"] == "sudo"
    assert "cron-daemon-common" in found["/etc/cron.d"]
    assert "/etc/ssh/sshd_config" not in found


@settings(max_examples=60)
@given(st.text())
def test_any_table_is_read(text: str) -> None:
    parse_overrides(text)
    parse_search(text)


def test_of_two_overrides_the_last_counts_and_nonsense_is_passed_over() -> None:
    text = "root root 0644 /a\nroot root 999 /b\nroot root\n#1 #2 600 /a\n"
    assert {path: found.mode for path, found in parse_overrides(text).items()} == {"/a": 0o600}


def test_bits_that_are_missing_are_no_fault(tmp_path: Path) -> None:
    ctx = with_file(tmp_path, "/etc/probe", FileState(kind="file", mode=0o400))
    assert [f.ok for f in modes({"path": "/etc/probe", "mode": "0640"}).observe(ctx)] == [True]
    assert modes({"path": "/etc/probe", "mode": "0640"}).plan(ctx).changes == ()


def test_what_is_not_there_is_passed_over(tmp_path: Path) -> None:
    ctx = with_file(tmp_path, "/etc/probe", FileState(kind="file", mode=0o400))
    assert modes({"path": "/etc/no-such", "mode": "0640"}).observe(ctx) == []


def test_a_plain_file_loses_only_the_bits_too_many(tmp_path: Path) -> None:
    ctx = with_file(tmp_path, "/etc/probe", FileState(kind="file", mode=0o466))
    planned = modes({"path": "/etc/pro*", "mode": "0640"}).plan(ctx)
    assert [change.argv for change in planned.changes if isinstance(change, RunCommand)] == [
        ("chmod", "0440", "/etc/probe")
    ]
    assert planned.roots == ()


def test_of_a_packaged_file_dpkg_is_told(tmp_path: Path) -> None:
    packaged = {"/etc/probe": "cron"}
    ctx = with_file(tmp_path, "/etc/probe", FileState(kind="file", mode=0o644), packaged=packaged)
    planned = modes({"path": "/etc/probe", "mode": "0600"}).plan(ctx)
    (change,) = planned.changes
    assert isinstance(change, RunCommand)
    assert change.argv[0] == "dpkg-statoverride"
    assert change.argv[-4:] == ("root", "root", "0600", "/etc/probe")
    assert planned.roots == (Root("/var/lib/dpkg/statoverride", content=True),)


def test_an_override_that_would_loosen_it_again_counts(tmp_path: Path) -> None:
    overrides = parse_overrides("root root 0644 /etc/probe\n")
    ctx = with_file(
        tmp_path, "/etc/probe", FileState(kind="file", mode=0o600), dpkg_statoverride=overrides
    )
    (finding,) = modes({"path": "/etc/probe", "mode": "0600"}).observe(ctx)
    assert finding.ok is False
    assert finding.origin == "/var/lib/dpkg/statoverride:1"
    assert modes({"path": "/etc/probe", "mode": "0600"}).plan(ctx).changes


def test_nothing_is_changed_through_a_link(tmp_path: Path) -> None:
    link = FileState(kind="symlink", mode=0o777, target="/srv/shadow")
    ctx = with_file(tmp_path, "/etc/probe", link)
    planned = modes({"path": "/etc/probe", "mode": "0600"}).plan(ctx)
    assert planned.changes == ()
    assert "symbolic link" in planned.refusals[0]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"path": "etc/x", "mode": "0600"}, "absolute path"),
        ({"path": "/etc/*/x", "mode": "0600"}, "last part"),
        ({"path": "/etc/x", "mode": "rw"}, "octal"),
        ({"path": "/etc/x", "mode": "0600", "groups": []}, "at least one group"),
    ],
)
def test_bad_lines(line: dict[str, Any], problem: str) -> None:
    with pytest.raises(StepError, match=problem):
        modes(line)
