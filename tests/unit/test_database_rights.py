"""What an application's account may do: read from SHOW GRANTS, and trimmed without a gap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.app_config import Access, Login
from host.base import Host
from host.facts.app_database import Database
from host.facts.app_grants import Granted, Holder
from host.facts.applications import Application
from host.facts.mariadb import Account, Server
from host.grants import (
    ALL,
    NEWER,
    OF_A_DATABASE,
    OPTION,
    UPGRADE,
    Right,
    Unreadable,
    of_a_database,
    parse,
    trim,
)
from host.secret_text import Secret
from snapshots.model import RunSql
from steps.resource import Context
from steps.resources.database_rights import DatabaseRights
from tests.unit.given import RELEASES, context, recorded

NAME = "'app'@'localhost'"


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_grants(release: str) -> None:
    lines = [line for line in recorded(release, "mariadb/grants").splitlines() if "`app`@" in line]
    rights, roles = parse(lines)
    assert roles == ["readers"]
    assert Right(("SELECT", "INSERT"), "app") in rights
    assert Right(("UPDATE (`name`)", "DELETE"), "app", "items") in rights
    assert Right(("EXECUTE",), "app", "nothing", "PROCEDURE") in rights
    assert "F142" not in repr(rights)


def test_all_of_everything_becomes_what_is_needed_and_first_it_is_given() -> None:
    rights, _ = parse(["GRANT ALL PRIVILEGES ON *.* TO `a`@`b` WITH GRANT OPTION"])
    trimmed = trim(NAME, rights, ["cmdb"], [ALL])
    assert trimmed.statements == (
        f"GRANT ALL PRIVILEGES ON `cmdb`.* TO {NAME}",
        f"REVOKE ALL PRIVILEGES ON *.* FROM {NAME}",
        f"REVOKE GRANT OPTION ON *.* FROM {NAME}",
    )
    narrow = trim(NAME, rights, ["cmdb"], UPGRADE)
    assert narrow.statements[0] == f"GRANT {', '.join(UPGRADE)} ON `cmdb`.* TO {NAME}"


def test_no_gap_where_a_database_keeps_some_of_its_rights() -> None:
    rights = [Right((ALL,), "typo3")]
    (only,) = trim(NAME, rights, ["typo3"], UPGRADE, of_a_database("11.8")).statements
    assert only.startswith("REVOKE ")
    words = only.removeprefix("REVOKE ").partition(" ON ")[0].split(", ")
    assert set(words) == {*OF_A_DATABASE, NEWER} - set(UPGRADE)
    assert NEWER not in trim(NAME, rights, ["typo3"], UPGRADE, of_a_database("10.11")).statements[0]


def test_what_is_little_enough_stays() -> None:
    rights, _ = parse(
        ["GRANT USAGE ON *.* TO `a`@`b`", r"GRANT SELECT, UPDATE ON `cm\_db`.* TO `a`@`b`"]
    )
    assert trim(NAME, rights, ["cm_db"], UPGRADE).statements == ()
    assert trim(NAME, [Right((ALL,), "cmdb")], ["cmdb"], [ALL]).statements == ()


def test_a_pattern_goes_and_the_databases_it_meant_get_their_own() -> None:
    rights = [Right((ALL,), "idoit\\_%")]
    trimmed = trim(NAME, rights, ["idoit_data", "other"], [ALL])
    assert trimmed.statements == (
        f"GRANT ALL PRIVILEGES ON `idoit_data`.* TO {NAME}",
        f"REVOKE ALL PRIVILEGES ON `idoit\\_%`.* FROM {NAME}",
    )
    assert trimmed.comes == ("ALL PRIVILEGES on `idoit_data`.*",)


@pytest.mark.parametrize(
    "line", ["GRANT PROXY ON ``@`%` TO `a`@`b`", "REVOKE x", "GRANT `r` , TO `a`@`b`"]
)
def test_lines_that_are_not_understood(line: str) -> None:
    with pytest.raises(Unreadable):
        parse([line])


@given(st.lists(st.text()))
def test_any_lines_are_rights_or_unreadable(lines: list[str]) -> None:
    for some in (lines, [f"GRANT {line} ON `a`.* TO x" for line in lines]):
        try:
            rights, _ = parse(some)
        except Unreadable:
            continue
        trim(NAME, rights, ["a"], UPGRADE)


_WORDS = st.sets(st.sampled_from([*OF_A_DATABASE, ALL, OPTION]), min_size=1)


@given(st.lists(st.tuples(_WORDS, st.sampled_from(["*", "a", "b", "a%", "c"]))))
def test_nothing_is_gained_and_nothing_needed_is_lost(
    given_rights: list[tuple[set[str], str]],
) -> None:
    rights = [
        Right(tuple(words - {OPTION}) or ("USAGE",), name, passes_on=OPTION in words)
        for words, name in given_rights
    ]
    trimmed = trim(NAME, rights, ["a", "b"], UPGRADE)
    had = set().union(*(right.words for right in rights)) if rights else set()
    for statement in trimmed.statements:
        verb, _, rest = statement.partition(" ")
        words = set(rest.partition(" ON ")[0].split(", "))
        if verb == "GRANT":
            assert words <= set(UPGRADE)
            assert ALL in had or words <= had
        elif " ON `a`.*" in statement or " ON `b`.*" in statement:
            assert not words & set(UPGRADE)


def on_a_host(directory: Path, entries: tuple[Granted, ...], **more: Any) -> Context:
    application = Application("typo3", "/var/www/t", "/var/www/t/public", ("/var/www/t/s.php",))
    login = Login("app", Secret("x"))
    answers: dict[str, Any] = {
        "app_databases": (Database(application, "/var/www/t/s.php", Access(login, "t", 3)),),
        "app_grants": (
            Holder("app", (application.label,), ("typo3",), ("/var/www/t",), ("t",), entries),
        ),
        "app_logins": {login: ""},
        "mariadb": Server({}),
    }
    return context(directory, **{**answers, **more})


def parsed(**body: Any) -> DatabaseRights:
    return DatabaseRights.parse("app.database-rights", body)


def test_an_entry_for_everywhere_is_bound_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Granted(Account("app", "%"), (Right(UPGRADE, "t"),))
    ctx = on_a_host(tmp_path, (entry,))
    monkeypatch.setattr("steps.resources.database_rights.ask", lambda host, sql: [])
    assert [one.ok for one in parsed().observe(ctx)] == [False, True, True]
    planned = parsed().plan(ctx)
    assert [change.sql for change in planned.changes if isinstance(change, RunSql)] == [
        ("RENAME USER 'app'@'%' TO 'app'@'localhost'",)
    ]
    both = on_a_host(tmp_path, (entry, Granted(Account("app", "localhost"))))
    (only,) = parsed().plan(both).changes
    assert isinstance(only, RunSql)
    assert only.sql == ("DROP USER 'app'@'%'",)

    def used(host: Host, sql: str) -> list[list[str]]:
        return [["app", "192.0.2.7", "2"]] if "PROCESSLIST" in sql else [["app@%", "view t.v"]]

    monkeypatch.setattr("steps.resources.database_rights.ask", used)
    first, second = parsed().plan(ctx).refusals
    assert "in use right now from 192.0.2.7" in first
    assert "view t.v belongs to 'app'@'%'" in second


def test_an_account_that_does_not_let_it_in_is_left_alone(tmp_path: Path) -> None:
    """Whoever writes the application's files may name any account there."""
    entry = Granted(Account("app", "%"), (Right((ALL,), "*"),))
    ctx = on_a_host(tmp_path, (entry,), app_logins={Login("app", Secret("x")): "no such password"})
    planned = parsed().plan(ctx)
    assert planned.changes == ()
    assert "no such password" in planned.refusals[0]


def test_rights_that_cannot_be_told_are_unknown_and_refused(tmp_path: Path) -> None:
    entry = Granted(Account("app", "localhost"), problem="it may become another account (PROXY)")
    ctx = on_a_host(tmp_path, (entry,))
    assert [one.ok for one in parsed().observe(ctx)] == [True, None, True]
    assert "cannot be told" in parsed().plan(ctx).refusals[0]


def test_at_runtime_it_changes_no_tables(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, (Granted(Account("app", "localhost"), (Right(UPGRADE, "t"),)),))
    assert not parsed().plan(ctx).changes
    (change,) = parsed(rights="runtime").plan(ctx).changes
    assert isinstance(change, RunSql)
    assert change.sql == ("REVOKE ALTER, CREATE, DROP, INDEX ON `t`.* FROM 'app'@'localhost'",)
    assert "-GRANT ALTER, CREATE, DROP, INDEX on `t`.*" in change.diff


def test_without_an_application_it_does_not_apply(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, (), app_databases=(), app_grants=())
    assert [one.applicable for one in parsed().observe(ctx)] == [False]
