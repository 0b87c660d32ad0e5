"""An application's tree: which entries differ from its rules, and which trees are never touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from host.base import FLAG_IMMUTABLE, FileState, TreeRule
from host.local import LocalHost
from host.rules import rule_for
from snapshots.model import Root, SealTree
from steps.resource import Context, Planned, StepError
from steps.resources.tree import Tree
from steps.resources.tree_oddities import findings, half_way, notes, writers
from steps.resources.tree_survey import Survey, measure
from tests.unit.given import context

APP = "/var/www/html/shop"
BODY = {"path": APP, "writable": ["log", "upload/files"], "executable": ["run", "*.sh"]}


def app(directory: Path) -> Context:
    """A small application, as it lies there after it was unpacked by root."""
    ctx = context(directory, user_numbers={"www-data": 33}, group_numbers={"www-data": 33})
    for name in ("", "/src", "/log", "/upload", "/upload/files"):
        ctx.host.put(f"{APP}{name}", FileState(kind="dir", mode=0o755))
    for name in ("index.php", "src/a.php", "run", "src/job.sh", "log/x.log", "upload/files/x.sh"):
        ctx.host.write_file(f"{APP}/{name}", b"x")
    return ctx


def tree(**changed: Any) -> Tree:
    return Tree.parse("app.tree", {**BODY, **changed})


def rules(planned: Planned) -> tuple[TreeRule, ...]:
    change = planned.changes[0]
    assert isinstance(change, SealTree)
    return change.rules


@pytest.mark.parametrize(
    ("name", "mode", "sealed"),
    [
        ("index.php", 0o440, True),
        ("src/a.php", 0o440, True),
        ("run", 0o550, True),
        ("src/job.sh", 0o550, True),
        ("log/x.log", 0o660, False),
        ("upload/files/x.sh", 0o660, False),
    ],
)
def test_what_every_file_shall_be(tmp_path: Path, name: str, mode: int, sealed: bool) -> None:
    rule = rule_for(f"{APP}/{name}", True, rules(tree().plan(app(tmp_path))))
    assert rule is not None
    assert (rule.uid, rule.gid, rule.file_mode) == (33, 33, mode)
    assert bool(rule.flags_set & FLAG_IMMUTABLE) is sealed
    assert bool(rule.flags_clear & FLAG_IMMUTABLE) is not sealed


def test_blank_then_sealed_then_nothing_to_do(tmp_path: Path) -> None:
    ctx = app(tmp_path)
    assert any(finding.ok is False for finding in tree().observe(ctx))
    planned = tree().plan(ctx)
    assert planned.roots == (Root(APP, content=False),)
    change = planned.changes[0]
    assert isinstance(change, SealTree)
    assert ctx.host.apply_rules(change.root, change.rules) == change.entries
    ctx.facts.forget()
    assert all(finding.ok for finding in tree().observe(ctx) if finding.applicable)
    assert tree().plan(ctx) == Planned()


def test_one_entry_that_drifted_is_named(tmp_path: Path) -> None:
    ctx = app(tmp_path)
    ctx.host.apply_rules(APP, rules(tree().plan(ctx)))
    state = ctx.host.state(f"{APP}/src/a.php")
    assert state is not None
    ctx.host.put(f"{APP}/src/a.php", FileState(kind="file", mode=0o644, uid=33, gid=33))
    ctx.facts.forget()
    wrong = {finding.setting: finding for finding in tree().observe(ctx) if finding.ok is False}
    assert "src/a.php" in wrong["file modes"].running
    assert set(wrong) == {"file modes", "immutable"}


@pytest.mark.parametrize(
    ("mode", "uid", "good"),
    [(0o644, 33, True), (0o600, 33, True), (0o666, 33, False), (0o440, 33, False),
     (0o644, 0, False), (0o4755, 33, False)],
)  # fmt: skip
def test_what_the_application_writes_later_is_no_drift(
    tmp_path: Path, mode: int, uid: int, good: bool
) -> None:
    ctx = app(tmp_path)
    ctx.host.apply_rules(APP, rules(tree().plan(ctx)))
    state = FileState(kind="file", mode=mode, uid=uid, gid=uid)
    ctx.host.write_file(f"{APP}/log/new.log", b"x", state)
    ctx.facts.forget()
    findings = tree().observe(ctx)
    assert all(finding.ok for finding in findings if finding.applicable) is good


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/usr", "/var", "/home", "/var/www", "/srv", "/opt/", "/etc/x", "/root/a"]
)
def test_the_system_itself_is_never_sealed(tmp_path: Path, path: str) -> None:
    planned = tree(path=path).plan(app(tmp_path))
    assert "could stop the system" in planned.refusals[0]
    assert not planned.changes


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    ctx = app(tmp_path)
    ctx.host.put("/var/www/html/link", FileState(kind="symlink", target=APP))
    assert f"symbolic link to {APP}" in tree(path="/var/www/html/link").plan(ctx).refusals[0]


def test_no_application_is_not_applicable(tmp_path: Path) -> None:
    ctx = app(tmp_path)
    findings = tree(path="/srv/none").observe(ctx)
    assert [finding.applicable for finding in findings] == [False]
    assert tree(path="/srv/none").plan(ctx).changes == ()


def test_links_that_lead_out_are_told(tmp_path: Path) -> None:
    ctx = app(tmp_path)
    ctx.host.put(f"{APP}/out", FileState(kind="symlink", target="/etc/passwd"))
    ctx.host.put(f"{APP}/in", FileState(kind="symlink", target="src/a.php"))
    notes = " ".join(tree().plan(ctx).notes)
    assert f"{APP}/out -> /etc/passwd" in notes
    assert f"{APP}/in" not in notes


@pytest.mark.parametrize(
    "body",
    [
        {"writable": ["../../etc"]},
        {"writable": ["/etc"]},
        {"executable": ["*"]},
        {"owner": "www-data"},
        {"file-mode": "rw"},
        {"path": "var/www"},
        {"path": "/var/www/html/../../etc"},
    ],
)
def test_what_leads_out_of_the_tree_is_an_error(body: dict[str, Any]) -> None:
    with pytest.raises(StepError):
        tree(**body)


def test_hard_links_sockets_and_counts_on_a_real_file_system(tmp_path: Path) -> None:
    """Through the real host's walk: what a practice host cannot have."""
    root = tmp_path / "app"
    (root / "src").mkdir(parents=True)
    for number in range(20):
        (root / "src" / f"{number}.php").write_text("x")
    os.link(root / "src" / "0.php", tmp_path / "outside")
    os.link(root / "src" / "1.php", root / "inside")
    os.mkfifo(root / "pipe")
    rule = TreeRule(path=str(root), dir_mode=0o750, file_mode=0o440)
    found = measure(LocalHost(), str(root), [rule])
    assert found.shared == [str(root / "src" / "0.php")]
    assert found.special == [str(root / "pipe")]
    assert found.entries == 24
    assert found.counts == {"directory modes": 2, "file modes": 20}
    assert len(found.examples["file modes"]) == 3


def test_who_writes_is_named_unless_it_writes_where_it_may(tmp_path: Path) -> None:
    root = tmp_path / "app"
    (root / "log").mkdir(parents=True)
    host = LocalHost()
    with (root / "log/x.log").open("w"), (root / "half.php").open("w"), (root / "half.php").open():
        there = writers(host, str(root))
        assert [one.path for one in there] == [str(root / "half.php"), str(root / "log/x.log")]
        assert {one.pid for one in there} == {os.getpid()}
        said = half_way(host, str(root), ("log",), there)
        assert f"{root}/half.php is being written by" in said
        assert f"(process {os.getpid()}" in said
        assert "Nothing was changed" in said
    with (root / "log/x.log").open("w"):
        assert half_way(host, str(root), ("log",), writers(host, str(root))) == ""
    assert writers(host, str(root)) == []


def test_what_is_left_alone_is_told_with_its_number_and_counts_for_nothing() -> None:
    found = Survey(special=["/a/1", "/a/2", "/a/3"], special_count=1200, shared=[], leading_out=[])
    (told,) = findings("/a", found)
    assert told.running == "1,200: /a/1, /a/2, /a/3 and more"
    assert not told.applicable
    assert notes(found) == [f"Sockets, pipes and devices are left alone: {told.running}."]
    assert findings("/a", Survey()) == []
