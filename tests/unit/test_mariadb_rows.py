"""Accounts and grants in restore points: exact there, and never shown with what lets them in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import CommandFailed, Completed, HostError
from host.local import LocalHost
from host.mariadb import SESSION
from snapshots.captured import differences
from snapshots.differences_text import as_text, between
from snapshots.disputes import Unmergeable, settle, why_no_merge, why_no_restore
from snapshots.domains.base import Scope
from snapshots.domains.mariadb import ACCOUNTS, LARGEST_BYTES, Mariadb
from snapshots.goal import Goal, what_is_left
from snapshots.inverse import Contents
from snapshots.mariadb_rows import (
    KEYS,
    Unreadable,
    dump_of,
    dump_value,
    is_row,
    key_of,
    parse,
    shown,
    split_key,
    statements,
)
from snapshots.model import Delta, Item, ValueItem
from snapshots.progress import Silent
from snapshots.secret_paths import SecretPaths
from snapshots.state import StateDir
from tests.unit.given import RELEASES, recorded

HASH = "*F142931D9296BB66D4600D47418DBC1475D27D29"
APP = 'mysql.global_priv ["%","app"]'


class Told(LocalHost):
    """A machine whose MariaDB answers what is recorded, and keeps what it is told."""

    def __init__(self, *, test_dump: str = "", test_bytes: int = 16384) -> None:
        super().__init__()
        self.said: list[str] = []
        self.argv: list[str] = []
        self.dump = test_dump
        self.bytes = test_bytes

    def which(self, program: str) -> str | None:
        return f"/usr/sbin/{program}"

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        text = bytes(more.get("stdin", b"")).decode().removeprefix(SESSION)
        self.argv += argv
        self.said.append(text)
        out = ""
        if argv[0] == "mariadb-dump":
            out = self.dump
        elif "harden_tui_marker" in text:
            out = recorded("trixie", "mariadb/privileges")
        elif "SCHEMATA" in text:
            out = f"1\t{self.bytes}\n" if self.dump else "0\t0\n"
        return Completed(tuple(argv), 0, out, "", 0.0)


@pytest.mark.parametrize("release", RELEASES)
def test_the_recorded_tables(release: str) -> None:
    found = parse(recorded(release, "mariadb/privileges"))
    assert {split_key(key)[0] for key in found} == set(KEYS)
    assert HASH in found[APP]
    assert 'mysql.db ["%","test\\\\_%",""]' in found
    assert 'mysql.columns_priv ["%","app","app","items","name"]' in found
    assert all(is_row(value) for value in found.values())


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_that_is_shown_holds_a_password(release: str) -> None:
    for key, value in parse(recorded(release, "mariadb/privileges")).items():
        item = ValueItem(value)
        texts = [shown(value), as_text(item), between(key, None, item, _no_content)]
        assert not any("*F14" in text or "*5FD" in text for text in texts)
    assert "max_user_connections" in shown(parse(recorded(release, "mariadb/privileges"))[APP])


@given(st.text(min_size=8, alphabet="0123456789ABCDEF"), st.booleans())
def test_no_form_of_an_account_shows_it(secret: str, alternatives: bool) -> None:
    priv: dict[str, Any] = {"plugin": "x", "authentication_string": f"*{secret}*"}
    if alternatives:
        priv = {"auth_or": [{}, priv, {"nested": [priv]}]}
    text = msgspec.json.encode(priv).decode()
    value = msgspec.json.encode({"Host": "%", "User": "bob", "Priv": text}).decode()
    assert f"*{secret}*" not in shown(value)


@given(st.text())
def test_any_value_is_shown_or_hidden(text: str) -> None:
    shown(text)
    shown('{"Host":' + text)


@given(st.text())
def test_any_answer_is_rows_or_unreadable(text: str) -> None:
    for answer in (text, f"harden_tui_marker\tharden_tui_table\n\tdb\n{text}"):
        try:
            parse(answer)
        except Unreadable:
            continue


@given(st.sampled_from(sorted(KEYS)), st.lists(st.text(), min_size=1, max_size=5))
def test_keys_come_back(table: str, parts: list[str]) -> None:
    assert split_key(key_of(table, parts)) == (table, parts)


@given(st.text(), st.none() | st.text())
def test_any_saved_row_is_statements_or_unreadable(key: str, value: str | None) -> None:
    try:
        list(statements({key: value}))
    except Unreadable:
        return


def test_rows_are_written_back_and_read_by_the_server() -> None:
    value = msgspec.json.encode({"Host": "%", "User": "o'b", "Priv": '{"a": "\\\\"}'}).decode()
    told = list(statements({'mysql.global_priv ["%","o\'b"]': value, APP: None}))
    assert told == [
        "REPLACE INTO mysql.global_priv (`Host`, `User`, `Priv`)"
        r""" VALUES ('%', 'o\'b', '{"a": "\\\\"}');""",
        "DELETE FROM mysql.global_priv WHERE `Host` = BINARY '%' AND `User` = BINARY 'app';",
        "FLUSH PRIVILEGES;",
    ]


def test_a_dump_is_a_value_and_not_shown() -> None:
    value = dump_value("INSERT INTO a VALUES ('secret');")
    assert dump_of(value) == "INSERT INTO a VALUES ('secret');"
    assert shown(value) == "a dump of 32 bytes (not shown)"
    assert as_text(ValueItem(value)) == shown(value)


def test_a_transaction_that_does_not_declare_it_asks_nothing(tmp_path: Path) -> None:
    host = Told()
    assert _domain(tmp_path).capture(host, Scope()) == {}
    assert host.said == []


def test_declared_accounts_are_captured_with_the_database_test(tmp_path: Path) -> None:
    host = Told(test_dump="CREATE DATABASE test;")
    items = _domain(tmp_path).capture(host, Scope((ACCOUNTS,)))
    assert HASH in getattr(items[APP], "value", "")
    assert items['mysql.database ["test"]'] == ValueItem(dump_value("CREATE DATABASE test;"))


@pytest.mark.parametrize("goal", [None, ValueItem(dump_value("CREATE DATABASE test;"))])
def test_a_large_database_test_is_seen_and_never_dropped(
    tmp_path: Path, goal: ValueItem | None
) -> None:
    host = Told(test_dump="x", test_bytes=LARGEST_BYTES + 1)
    key = 'mysql.database ["test"]'
    found = _domain(tmp_path).capture(host, Scope((ACCOUNTS,)))[key]
    assert as_text(found) == "too large to be kept" and "mariadb-dump" not in host.argv
    why = why_no_restore(Delta("mariadb", key, goal, None), found)
    assert why == "what stands there now is too large to be kept; drop it yourself first"
    with pytest.raises(HostError, match="test is too large to be kept, so it was not dropped"):
        _domain(tmp_path).restore(host, {key: goal}, Silent())
    assert not any("DROP" in text for text in host.said)
    with pytest.raises(HostError, match="was too large to be kept and is otherwise now"):
        _domain(tmp_path).restore(host, {key: found}, Silent())


def test_no_password_is_in_an_argument(tmp_path: Path) -> None:
    host = Told(test_dump="x")
    items = _domain(tmp_path).capture(host, Scope((ACCOUNTS,)))
    _domain(tmp_path).restore(host, {APP: items[APP], 'mysql.database ["test"]': None}, Silent())
    assert any(HASH in text for text in host.said)
    assert not any(HASH in word for word in host.argv)
    assert any("DROP DATABASE IF EXISTS test" in text for text in host.said)


def test_a_server_that_is_down_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Told()

    def down(argv: Sequence[str], **more: Any) -> Completed:
        raise CommandFailed(Completed(tuple(argv), 1, "", "ERROR 2002 (HY000): no", 0.0))

    monkeypatch.setattr(host, "run", down)
    with pytest.raises(HostError, match="systemctl start mariadb"):
        _domain(tmp_path).capture(host, Scope((ACCOUNTS,)))


def test_an_answer_on_one_side_only_is_no_difference() -> None:
    row: dict[str, Item] = {APP: ValueItem('{"Host":"%"}')}
    assert differences({"mariadb": row}, {"mariadb": {}}) == []
    assert differences({"mariadb": {}}, {"mariadb": row}) == []
    assert what_is_left(Goal(captured={"mariadb": row}), {"mariadb": {}}) == []
    other: dict[str, Item] = {'mysql.global_priv ["%","bob"]': ValueItem('{"Host":"%"}')}
    assert len(differences({"mariadb": row}, {"mariadb": other})) == 2


def test_an_account_that_somebody_made_anew_is_never_merged() -> None:
    delta = Delta("mariadb", APP, ValueItem('{"Host":"%"}'), ValueItem('{"Host":"b"}'))
    found = ValueItem('{"Host":"c"}')
    assert "no lines" in why_no_merge(delta, found, Contents(_no_content))
    with pytest.raises(Unmergeable):
        settle("merge", delta, found, Contents(_no_content))
    assert settle("restore", delta, found, Contents(_no_content)).item == delta.before


def _domain(directory: Path) -> Mariadb:
    return Mariadb(SecretPaths(StateDir(directory / "state")))


def _no_content(sha256: str) -> bytes:
    raise AssertionError("no file is in it")
