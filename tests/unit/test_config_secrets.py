"""Files with an application's passwords: for the web server only, and nothing in plain text."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import FLAG_IMMUTABLE, FileState
from host.facts.applications import Application
from snapshots.model import SealTree
from steps.model import Finding
from steps.resource import Context
from steps.resources.config_secrets import ConfigSecrets
from tests.unit.given import context

PATH = "/srv/cmdb"
CONFIG = f"{PATH}/src/config.inc.php"
HASH = "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
STEP = ConfigSecrets.parse("app.config-secrets", {})


def site(
    directory: Path, password: str = HASH, *, mode: int = 0o640, uid: int = 33, flags: int = 0
) -> Context:
    ctx = context(
        directory,
        applications=(Application("i-doit", PATH, PATH, (CONFIG,)),),
        user_numbers={"root": 0, "www-data": 33},
        group_numbers={"root": 0, "www-data": 33},
    )
    for folder in ("/srv", PATH, f"{PATH}/src"):
        ctx.host.put(folder, FileState(kind="dir", mode=0o755))
    text = f"<?php\n$g_admin_auth = ['admin' => '{password}'];\n"
    ctx.host.write_file(CONFIG, text.encode(), FileState(kind="file", mode=mode, uid=uid, gid=33))
    if flags:
        ctx.host.put(CONFIG, FileState(kind="file", mode=mode, uid=uid, gid=33, flags=flags))
    return ctx


def wrong(findings: list[Finding]) -> dict[str, str]:
    return {one.setting: one.running for one in findings if one.ok is False}


@pytest.mark.parametrize(
    ("mode", "uid", "wanted"),
    [
        (0o640, 33, None),
        (0o440, 33, None),
        (0o640, 0, None),
        (0o644, 33, (33, 33, 0o640)),
        (0o600, 0, (0, 33, 0o640)),
        (0o660, 1000, (33, 33, 0o640)),
    ],
)
def test_who_may_read_it(
    tmp_path: Path, mode: int, uid: int, wanted: tuple[int, int, int] | None
) -> None:
    planned = STEP.plan(site(tmp_path, mode=mode, uid=uid))
    rules = [rule for c in planned.changes if isinstance(c, SealTree) for rule in c.rules]
    given = [(rule.path, rule.uid, rule.gid, rule.file_mode) for rule in rules]
    assert given == ([(CONFIG, *wanted)] if wanted else [])
    assert [root.path for root in planned.roots] == ([CONFIG] if wanted else [])


def test_a_copy_is_held_to_the_same(tmp_path: Path) -> None:
    ctx = site(tmp_path)
    for name in ("config.inc.php.1700000000", "config.inc.php~", ".config.inc.php.swp"):
        ctx.host.write_file(f"{PATH}/src/{name}", b"", FileState(kind="file", mode=0o644, uid=33))
    ctx.host.write_file(f"{PATH}/src/other.php", b"", FileState(kind="file", mode=0o644, uid=33))
    bad = [one for one in STEP.observe(ctx) if one.ok is False]
    assert len(bad) == 3
    assert all("copy" in one.note for one in bad)


@pytest.mark.parametrize(
    ("password", "ok"),
    [
        (HASH, True),
        ("$argon2id$v=19$m=65536,t=4,p=1$c29tZQ$aGFzaA", True),
        ("", True),
        ("Summer-24", False),
        ("21232f297a57a5a743894a0e4a801fc3", False),
    ],
)
def test_how_the_admin_centers_password_is_kept(tmp_path: Path, password: str, ok: bool) -> None:
    findings = STEP.observe(site(tmp_path, password))
    assert all(one.ok for one in findings) is ok
    assert findings[1].origin == f"{CONFIG}:2"
    assert not password or all(password not in repr(one) for one in findings)


def test_without_php_nothing_is_hashed_and_nothing_changed(tmp_path: Path) -> None:
    planned = STEP.plan(site(tmp_path, "admin"))
    assert planned.changes == ()
    assert "Nothing was changed" in planned.refusals[0].replace("Nothing was\n", "Nothing was ")


def test_what_is_written_there_was_read_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns the tree may put a link there after it was looked at, and the file back."""
    ctx = site(tmp_path, HASH)
    state = ctx.host.state(CONFIG)
    ctx.host.write_file("/srv/theirs.php", ctx.host.read_bytes(CONFIG).replace(HASH.encode(), b"x"))
    ctx.host.put(CONFIG, FileState(kind="symlink", target="/srv/theirs.php"))
    monkeypatch.setattr(ctx.host, "state", lambda path, **more: state)
    monkeypatch.setattr("steps.resources.config_secrets._hash_of", lambda *given: HASH)
    planned = STEP.plan(ctx)
    assert planned.changes == ()
    assert "symbolic link" in planned.refusals[0]


def test_a_sealed_file_stays_sealed(tmp_path: Path) -> None:
    ctx = site(tmp_path, mode=0o644, flags=FLAG_IMMUTABLE)
    (change,) = STEP.plan(ctx).changes
    assert isinstance(change, SealTree)
    ctx.host.apply_rules(change.root, change.rules)
    state = ctx.host.state(CONFIG)
    assert state is not None
    assert (state.mode, state.flags) == (0o640, FLAG_IMMUTABLE)


def test_a_host_without_applications_has_nothing_to_keep(tmp_path: Path) -> None:
    ctx = context(tmp_path, applications=(), user_numbers={}, group_numbers={})
    assert [one.applicable for one in STEP.observe(ctx)] == [False]
    assert STEP.plan(ctx).changes == ()
