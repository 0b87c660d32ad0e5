"""Cells of applications' tables: captured and put back to the byte, and no password in the open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import Completed
from host.local import LocalHost
from snapshots.captured import Captured, differences
from snapshots.differences_text import as_text, between
from snapshots.domains.base import Scope
from snapshots.domains.mariadb import Mariadb
from snapshots.intact import Stores
from snapshots.inverse import Contents, Inverse
from snapshots.mariadb_cells import (
    TABLES,
    Selection,
    is_cells,
    parse,
    rows,
    secrets_of,
    selected,
    shown,
    statements,
    value_of,
)
from snapshots.mariadb_rows import Unreadable
from snapshots.model import Delta, Root, SnapshotError, ValueItem
from snapshots.progress import Silent
from snapshots.prune import _need
from snapshots.secret_paths import PREFIX, SecretPaths
from snapshots.state import StateDir

TENANT = 'idoit_system.isys_mandator ["1"]'
CSRF = 'idoit_system.isys_settings ["system.security.csrf","0"]'
ROOTS = (rows("idoit_system", "isys_mandator", ["1"]), rows("idoit_system", "isys_settings"))
PASSWORD = "S3cret\xdf'\\"


class Server(LocalHost):
    """A MariaDB with one tenant; keeps what it is told."""

    def __init__(self, cells: str, settings: str = "") -> None:
        super().__init__()
        self.cells, self.settings = cells, settings
        self.told: list[str] = []

    def which(self, program: str) -> str | None:
        return program

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        text = bytes(more.get("stdin", b"")).decode()
        self.told.append(text)
        assert not any(PASSWORD in word for word in argv)
        out = ""
        if "information_schema.COLUMNS" in text:
            for table in ("isys_mandator", "isys_settings"):
                for column in (*TABLES[table].key, *TABLES[table].columns):
                    out += f"idoit_system\t{table}\t{column}\n"
        elif "HEX" in text:
            out = self.cells + self.settings
        return Completed(tuple(argv), 0, out, "", 0.0)


def cells_of(password: str | None, encrypted: str | None = None) -> str:
    words = ["idoit_system.isys_mandator", "1"]
    for column, cell in (("db_pass", password), ("db_password", encrypted)):
        said = "null" if cell is None else f"x{cell.encode().hex().upper()}"
        words += [f"isys_mandator__{column}", said]
    return "\t".join(words) + "\n"


def domain(directory: Path) -> Mariadb:
    return Mariadb(SecretPaths(StateDir(directory / "state")))


def test_rows_are_declared_as_roots_and_only_known_tables_count() -> None:
    assert selected(ROOTS) == [
        Selection("idoit_system", "isys_mandator", ("1",)),
        Selection("idoit_system", "isys_settings"),
    ]
    others = (
        "/var/lib/mysql/a/b",
        "/var/lib/mysql/mysql",
        "/etc",
        "/var/lib/mysql/a/isys_mandator/x",
    )
    assert selected(Root(path) for path in others) == []


def test_a_password_is_captured_as_a_keyed_hash_and_put_back_to_the_byte(tmp_path: Path) -> None:
    server, kept = Server(cells_of(PASSWORD)), domain(tmp_path)
    items = kept.capture(server, Scope(ROOTS))
    value = items[TENANT]
    assert isinstance(value, ValueItem)
    assert PASSWORD.encode().hex() not in value.value.lower()
    assert PREFIX in value.value
    assert not list((tmp_path / "state/snapshots/secrets").iterdir())
    assert len(kept.keep()) == 1
    assert kept.keep() == []
    assert [one.read_bytes() for one in (tmp_path / "state/snapshots/secrets").iterdir()] == [
        PASSWORD.encode()
    ]
    domain(tmp_path).restore(server, {TENANT: value}, Silent())
    told = server.told[-1]
    assert told.index("sql_log_off=ON") < told.index("UPDATE")
    assert (
        f"UPDATE `idoit_system`.`isys_mandator` USE INDEX () SET `isys_mandator__db_pass` ="
        f" X'{PASSWORD.encode().hex()}', `isys_mandator__db_password` = NULL"
        " WHERE `isys_mandator__id` = '1';"
    ) in told


def test_the_same_password_is_the_same_and_another_is_not(tmp_path: Path) -> None:
    def capture(password: str | None) -> Captured:
        items = domain(tmp_path).capture(Server(cells_of(password)), Scope(ROOTS))
        return {"mariadb": items}

    first = capture("a")
    assert differences(first, capture("a")) == []
    (delta,) = differences(first, capture(None))
    assert delta.key == TENANT


def test_a_password_that_was_not_kept_is_said_and_nothing_written(tmp_path: Path) -> None:
    server = Server(cells_of(PASSWORD))
    items = domain(tmp_path).capture(server, Scope(ROOTS))
    before = len(server.told)
    with pytest.raises(SnapshotError, match="was not kept"):
        domain(tmp_path).restore(server, {TENANT: items[TENANT]}, Silent())
    assert len(server.told) == before
    stores = Stores(StateDir(tmp_path / "state"))
    assert "was not kept" in stores.lacks(Delta("mariadb", TENANT, items[TENANT], None))


def test_a_setting_that_was_not_there_is_taken_away_again(tmp_path: Path) -> None:
    there = "idoit_system.isys_settings\tsystem.security.csrf\t0\tisys_settings__value\tx31\n"
    before = domain(tmp_path).capture(Server(""), Scope(ROOTS))
    server = Server("", there)
    after = domain(tmp_path).capture(server, Scope(ROOTS))
    (delta,) = differences({"mariadb": before}, {"mariadb": after})
    assert (delta.key, delta.before) == (CSRF, None)
    assert as_text(delta.after) == "value='1'"
    domain(tmp_path).restore(server, {CSRF: None}, Silent())
    assert "DELETE FROM `idoit_system`.`isys_settings` WHERE" in server.told[-1]
    domain(tmp_path).restore(server, {CSRF: delta.after}, Silent())
    assert "VALUES ('system.security.csrf', '0', X'31') ON DUPLICATE KEY" in server.told[-1]


def test_what_the_application_wrote_anew_since_is_a_conflict(tmp_path: Path) -> None:
    kept = domain(tmp_path)
    before, after, now = (
        kept.capture(Server(cells_of(one)), Scope(ROOTS))[TENANT] for one in ("a", "b", "c")
    )
    delta = Delta("mariadb", TENANT, before, after)
    assert Inverse(delta, Contents(_none)).of(now) == (now, "failed")
    assert Inverse(delta, Contents(_none)).of(after) == (before, "exact")


def test_nothing_that_is_shown_tells_a_password(tmp_path: Path) -> None:
    item = domain(tmp_path).capture(Server(cells_of(PASSWORD)), Scope(ROOTS))[TENANT]
    assert as_text(item) == "db_pass=(not shown) db_password=NULL"
    assert PREFIX not in between(TENANT, None, item, _none)
    needed: set[str] = set()
    _need(item, set(), needed)
    assert len(needed) == 1


@given(st.binary(min_size=1), st.none() | st.binary(min_size=1))
def test_any_cells_come_back(plain: bytes, encrypted: bytes | None) -> None:
    kept: dict[str, bytes] = {}

    def hashed(cell: bytes) -> str:
        kept[f"{PREFIX}{len(kept)}"] = cell
        return f"{PREFIX}{len(kept) - 1}"

    line = cells_of("x").rstrip("\n").split("\t")
    line[3] = f"x{plain.hex()}"
    line[5] = "null" if encrypted is None else f"x{encrypted.hex()}"
    ((key, cells),) = parse([line])
    value = value_of(key, cells, hashed)
    assert is_cells(value)
    assert len(secrets_of(value)) == len(kept)
    (told,) = statements({key: value}, kept.__getitem__)
    assert re.findall(r"X'([0-9a-f]*)'", told) == [
        cell.hex() for cell in (plain, encrypted) if cell is not None
    ]


@given(st.text(), st.none() | st.text())
def test_any_saved_row_is_statements_or_unreadable(key: str, value: str | None) -> None:
    for name in (key, TENANT, CSRF):
        for text in (value, None if value is None else '{"Cells":' + value):
            try:
                list(statements({name: text}, lambda hashed: b""))
            except Unreadable:
                continue
    shown(value or "")


@given(st.lists(st.lists(st.text())))
def test_any_answer_is_cells_or_unreadable(answer: list[list[str]]) -> None:
    for given_rows in (answer, [["a.isys_mandator", "1", *row] for row in answer]):
        try:
            list(parse(given_rows))
        except Unreadable:
            continue


def _none(sha256: str) -> bytes:
    raise AssertionError("no file is in it")
