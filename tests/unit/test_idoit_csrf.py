"""i-doit's CSRF tokens: what its cache says counts, and clearing it is part of the change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.app_config import Access, Login
from host.base import FileState
from host.facts.app_database import Database
from host.facts.app_settings import CSRF, Setting, parse_cache
from host.facts.applications import Application
from host.idoit_crypt import as_web_user
from host.secret_text import Secret
from snapshots.model import RunSql
from steps.resource import Context
from steps.resources.idoit_csrf import IdoitCsrf
from tests.unit.given import context

PATH = "/var/www/html/i-doit"
APP = Application("i-doit", PATH, PATH, (f"{PATH}/src/config.inc.php",))


def on_a_host(directory: Path, setting: Setting, **more: Any) -> Context:
    there = Access(Login("idoit", Secret("x")), "idoit_system", 3)
    given_facts: dict[str, Any] = {
        "app_databases": (Database(APP, APP.config[0], there),),
        "idoit_csrf": {PATH: setting},
    }
    return context(directory, **{**given_facts, **more})


def parsed(**body: Any) -> IdoitCsrf:
    return IdoitCsrf.parse("app.csrf", body)


@pytest.mark.parametrize(
    ("setting", "ok", "running", "persistent"),
    [
        (Setting({"0": "1"}), True, "1", "1"),
        (Setting({"0": "1"}, "1", has_cache=True), True, "1", "1"),
        (Setting({}), False, "unset (off)", "unset (off)"),
        (Setting({"0": "1"}, "0", has_cache=True), False, "0", "1"),
        (Setting({"0": "1"}, None, has_cache=True), False, "unset (off)", "1"),
        (Setting({"0": "0"}, "1", has_cache=True), False, "1", "0"),
        (Setting({"4": "1"}), False, "unset (off), of tenants 1", "unset (off), of tenants 1"),
        (Setting({}, problem="no table"), None, "", ""),
    ],
)
def test_what_counts(
    tmp_path: Path, setting: Setting, ok: bool | None, running: str, persistent: str
) -> None:
    ctx = on_a_host(tmp_path, setting)
    (finding,) = parsed().observe(ctx)
    assert (finding.ok, finding.running, finding.persistent) == (ok, running, persistent)
    planned = parsed().plan(ctx)
    assert bool(planned.changes) == (ok is False)
    assert bool(planned.refusals) == (ok is None)


def test_the_row_is_set_and_the_cache_cleared_as_the_web_server(tmp_path: Path) -> None:
    planned = parsed().plan(on_a_host(tmp_path, Setting({}, "0", has_cache=True)))
    (change,) = planned.changes
    assert isinstance(change, RunSql)
    begin, look, insert, update, end = change.sql
    assert (begin, end) == ("START TRANSACTION", "COMMIT")
    assert "INSERT INTO `idoit_system`.isys_settings" in insert
    for told in (look, update):
        assert "`idoit_system`.`isys_settings` USE INDEX ()" in told, "a view is refused"
    assert f"+{CSRF} = 1" in change.diff
    assert [root.path for root in planned.roots] == ["/var/lib/mysql/idoit_system/isys_settings"]
    (clear,) = planned.activations
    assert clear.argv[:2] == ("setpriv", "--reuid=33")
    assert clear.argv[-3:] == ("rm", "-f", f"{PATH}/temp/settings.cache")


@pytest.mark.parametrize(
    ("folder", "config", "runs_as"),
    [(33, 33, 33), (0, 0, 33), (33, 1000, 33), (1000, 33, 33), (1000, 1000, 1000), (0, 1000, 33)],
)
def test_the_code_of_one_runs_as_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: int, config: int, runs_as: int
) -> None:
    """Whoever owns the tree may make src a link to another person's."""
    host = context(tmp_path).host
    owners = {PATH: folder, APP.config[0]: config}
    monkeypatch.setattr(
        host, "state", lambda path: FileState(kind="dir", uid=owners[path], gid=owners[path])
    )
    assert as_web_user(host, PATH)[1:3] == (f"--reuid={runs_as}", f"--regid={runs_as}")


def test_without_an_i_doit_it_does_not_apply(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, Setting({}), app_databases=())
    assert [one.applicable for one in parsed().observe(ctx)] == [False]
    assert not parsed(path="/srv/x").plan(on_a_host(tmp_path, Setting({}))).changes


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"system.security.csrf":"1"}', "1"),
        (b'{"system.security.csrf":true}', "1"),
        (b'{"system.security.csrf":0}', "0"),
        (b'{"a":1}', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_the_cache(content: bytes, value: str | None) -> None:
    assert parse_cache(content, CSRF) == value


@given(st.binary())
def test_any_cache_is_a_value_or_none(content: bytes) -> None:
    assert isinstance(parse_cache(content, CSRF), str | None)
