"""MariaDB's accounts at undo: an account, its grants and both ends of a rename stay together."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from snapshots.account_rows import Name, account_of, moved_row
from snapshots.decision import Decision
from snapshots.model import RESOLUTIONS, FileItem, Item, Resolutions, ValueItem
from snapshots.together import NOT_INSTALLED
from tests.unit.undo_world import World, undone

OLD, NEW = Name("app", "%"), Name("app", "localhost")
BOB = Name("bob", "%")
CONFIG = "/var/www/i-doit/src/config.inc.php"
TENANT = 'idoit.isys_mandator ["1"]'


def key(table: str, *parts: str) -> str:
    return f"mysql.{table} {json.dumps(list(parts), separators=(',', ':'))}"


def login(name: Name, password: str) -> dict[str, Item | None]:
    row = {"Host": name.host, "User": name.user, "Priv": json.dumps({"auth": password})}
    return {key("global_priv", name.host, name.user): _item(row)}


def grant(name: Name, database: str, rights: str = "ALL") -> dict[str, Item | None]:
    row = {"Host": name.host, "Db": database, "User": name.user, "Rights": rights}
    return {key("db", name.host, database, name.user): _item(row)}


def gone(rows: dict[str, Item | None]) -> dict[str, Item | None]:
    return dict.fromkeys(rows)


def _item(row: dict[str, str]) -> ValueItem:
    return ValueItem(msgspec.json.encode(row).decode())


def secret(content: str) -> FileItem:
    return FileItem(FileState(kind="file", mode=0o640, sha256=f"hmac:{content}", size_bytes=9))


def cell(content: str) -> ValueItem:
    return ValueItem(json.dumps({"Cells": {"db_pass": [content]}}, separators=(",", ":")))


ROOT = login(Name("root", "localhost"), "socket")
HAD = {**ROOT, **login(OLD, "old"), **grant(OLD, "appdb"), **login(BOB, ""), **grant(BOB, "appdb")}
RENAMED = {
    **gone(login(OLD, "")), **gone(grant(OLD, "appdb")),
    **login(NEW, "old"), **grant(NEW, "appdb"),
}  # fmt: skip
DROPPED = {**gone(login(BOB, "")), **gone(grant(BOB, "appdb"))}


def applied() -> tuple[World, str]:
    """The step renamed app@% and dropped bob@%."""
    world = World({})
    world.edit(HAD)
    return world, world.apply("mariadb.accounts", {**RENAMED, **DROPPED})


def there(world: World) -> set[str]:
    """Accounts with their password, and their grants."""
    found = set()
    for one, item in world.now["mariadb"].items():
        name = account_of(one)
        assert isinstance(item, ValueItem)
        if name is not None and name.user != "root":
            row = json.loads(item.value)
            what = json.loads(row["Priv"])["auth"] if "Priv" in row else row["Db"]
            found.add(f"{name.user}@{name.host} {what}")
    return found


FIRST = {"app@% old", "app@% appdb", "bob@% ", "bob@% appdb"}


def asked(world: World, tx_id: str) -> list[Decision]:
    return [one for one in world.invert(tx_id).decisions if one.how == "conflict"]


def test_nobody_touched_them_and_all_come_back() -> None:
    world, one = applied()
    assert set(world.undo(one).values()) == {"restore"}
    assert there(world) == FIRST


def test_who_got_a_new_password_keeps_grants_and_host() -> None:
    world, one = applied()
    world.edit(login(NEW, "new"))
    (conflict,) = asked(world, one)
    assert conflict.delta.key == key("global_priv", "localhost", "app")
    waiting = [d for d in world.invert(one).decisions if "what is chosen there" in d.note]
    assert {d.delta.key for d in waiting} == {*RENAMED} - {conflict.delta.key}
    world.undo(one, "keep-current")
    assert there(world) == {"app@localhost new", "app@localhost appdb", "bob@% ", "bob@% appdb"}


def test_given_up_the_old_one_comes_back_as_a_whole() -> None:
    world, one = applied()
    world.edit({**login(NEW, "new"), **grant(NEW, "more")})
    world.undo(one, "restore")
    assert there(world) == FIRST


def test_who_was_made_anew_with_less_gets_no_more() -> None:
    world, one = applied()
    world.edit(login(BOB, "bobs own"))
    world.undo(one, "keep-current")
    assert there(world) == {"app@% old", "app@% appdb", "bob@% bobs own"}


def test_who_comes_back_without_a_password_has_no_grant_that_was_made_since() -> None:
    world, one = applied()
    world.edit({**login(BOB, "bobs own"), **grant(BOB, "payroll")})
    world.undo(one, "restore")
    assert there(world) == FIRST


def test_who_was_dropped_since_stays_away() -> None:
    world, one = applied()
    world.edit({**gone(login(NEW, "")), **gone(grant(NEW, "appdb"))})
    decisions = world.decided(one, Resolutions())
    assert there(world) == {"bob@% ", "bob@% appdb"}
    told = {d.note for d in decisions if account_of(d.delta.key) == OLD}
    assert told == {"somebody removed 'app'@'localhost' since; it stays away"}


def test_a_grant_that_was_taken_away_since_is_asked_about() -> None:
    world, one = applied()
    world.edit(gone(grant(NEW, "appdb")))
    (conflict,) = asked(world, one)
    assert (conflict.delta.key, conflict.note) == (
        key("db", "localhost", "appdb", "app"), "somebody took it away since",
    )  # fmt: skip
    kept = World({})
    kept.now, kept.history = {**world.now, "mariadb": dict(world.now["mariadb"])}, world.history[:]
    kept.undo(one, "keep-current")
    assert there(kept) == {"app@localhost old", "bob@% ", "bob@% appdb"}
    world.undo(one, "restore")
    assert there(world) == FIRST


def test_a_grant_that_the_step_made_and_somebody_took_away_is_asked_about() -> None:
    world = World({})
    world.edit(HAD)
    one = world.apply("rights", {**gone(grant(OLD, "appdb")), **grant(OLD, "less")})
    world.edit(gone(grant(OLD, "less")))
    (conflict,) = asked(world, one)
    assert conflict.delta.key == key("db", "%", "less", "app")


def test_a_grant_does_not_come_back_to_an_account_that_is_gone() -> None:
    world = World({})
    world.edit(HAD)
    one = world.apply("rights", gone(grant(BOB, "appdb")))
    world.edit(gone(login(BOB, "")))
    (decision,) = world.decided(one, Resolutions())
    assert decision.note == "somebody removed 'bob'@'%' since; its grants stay away"
    assert there(world) == {"app@% old", "app@% appdb"}


def test_what_was_given_since_moves_with_a_rename() -> None:
    world, one = applied()
    world.edit(grant(NEW, "more"))
    world.undo(one)
    assert there(world) == {*FIRST, "app@% more"}
    moved = world.now["mariadb"][key("db", "%", "more", "app")]
    assert moved == grant(OLD, "more")[key("db", "%", "more", "app")]


def test_what_was_given_since_to_an_account_that_only_goes_is_asked_about() -> None:
    found = {}
    for choice in RESOLUTIONS[:2]:
        world = World({})
        world.edit(ROOT)
        one = world.apply("made", login(NEW, "new"))
        world.edit(grant(NEW, "more"))
        (conflict,) = asked(world, one)
        assert conflict.delta.key == key("db", "localhost", "more", "app")
        assert set(conflict.cannot) == {"merge"}
        world.undo(one, choice)
        found[choice] = there(world)
    assert found == {
        "keep-current": {"app@localhost new", "app@localhost more"},
        "restore": set(),
    }


def test_a_choice_for_one_row_counts_for_all_and_two_that_differ_are_refused() -> None:
    world, one = applied()
    world.edit({**login(NEW, "new"), **grant(NEW, "appdb", "SELECT")})
    first, second = (conflict.delta.key for conflict in asked(world, one))
    differ = world.invert(one, Resolutions(None, {first: "restore", second: "keep-current"}))
    assert set(differ.conflicts) == {first, second}
    (told,) = [d.cannot["restore"] for d in differ.decisions if d.delta.key == first]
    assert told == (
        f"it belongs to {second}, for which --keep-current is chosen; one way counts for both"
    )
    world.decided(one, Resolutions(None, {second: "keep-current"}))
    assert "app@localhost new" in there(world)
    assert "app@% old" not in there(world)


@pytest.mark.parametrize("changed", [login(NEW, "newer"), grant(NEW, "more")])
@pytest.mark.parametrize("oldest_first", [True, False])
def test_a_later_step_that_changed_the_account_inherits_all_of_it(
    changed: dict[str, Item | None], oldest_first: bool
) -> None:
    world, one = applied()
    two = world.apply("app.later", changed)
    left = there(world)
    if oldest_first:
        hows = world.undo(one)
        assert {hows[k] for k in RENAMED} == {"handed-over"}
        assert there(world) == left | {"bob@% ", "bob@% appdb"}
        world.undo(two)
    else:
        world.undo(two)
        world.undo(one)
    assert there(world) == FIRST


def rotated() -> tuple[World, str]:
    """A step replaced the password in the account, the file and the tenants' table."""
    world = World({CONFIG: secret("old")})
    world.edit({**ROOT, **login(NEW, "old"), TENANT: cell("old")})
    changes = {CONFIG: secret("new"), TENANT: cell("new"), **login(NEW, "new")}
    return world, world.apply("app.database-password", changes)


def test_a_password_stays_in_all_its_places_or_in_none() -> None:
    world, one = rotated()
    before = {k: dict(v) for k, v in world.now.items()}
    world.edit({CONFIG: secret("new, and edited")})
    assert [conflict.delta.key for conflict in asked(world, one)] == [CONFIG]
    assert set(world.undo(one, "keep-current").values()) == {"kept"}
    assert world.now["mariadb"] == before["mariadb"]
    world, one = rotated()
    world.edit({CONFIG: secret("new, and edited")})
    world.undo(one, "restore")
    assert world.now["files"][CONFIG] == secret("old")
    assert there(world) == {"app@localhost old"}


def test_below_a_later_step_that_saw_only_the_file_it_is_not_undone() -> None:
    world, one = rotated()
    two = world.apply("app.default-logins", {CONFIG: secret("new, and another login")})
    (conflict,) = asked(world, one)
    assert "undo app.default-logins first" in conflict.cannot["restore"]
    assert world.invert(one, Resolutions("restore")).conflicts
    kept, first = rotated()
    second = kept.apply("app.default-logins", {CONFIG: secret("new, and another login")})
    assert set(kept.undo(first, "keep-current").values()) == {"kept"}
    kept.undo(second)
    assert kept.now["files"][CONFIG] == secret("new")
    world.undo(two)
    world.undo(one)
    assert world.now["files"][CONFIG] == secret("old")
    assert there(world) == {"app@localhost old"}


def test_the_same_step_once_more_inherits_all_places() -> None:
    world, one = rotated()
    changes = {CONFIG: secret("newer"), TENANT: cell("newer"), **login(NEW, "newer")}
    two = world.apply("app.database-password", changes)
    assert set(world.undo(one).values()) == {"handed-over"}
    world.undo(two)
    assert world.now["files"][CONFIG] == secret("old")
    assert world.now["mariadb"][TENANT] == cell("old")
    assert there(world) == {"app@localhost old"}


def test_without_mariadb_nothing_is_said_to_come_back() -> None:
    world, one = applied()
    world.now["mariadb"] = {}
    decisions = world.decided(one, Resolutions())
    assert {(d.how, d.note) for d in decisions} == {("already", NOT_INSTALLED)}


def test_a_row_that_cannot_be_read_moves_nowhere() -> None:
    assert moved_row(key("db", "%", "x", "app"), ValueItem("{"), NEW) is None
    assert account_of("mysql.db nothing") is None
    assert account_of('mysql.database ["test"]') is None


NAMES = st.sampled_from([OLD, NEW, BOB])
ACTIONS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["rename", "drop", "make", "password", "grant", "revoke"]),
        NAMES,
        NAMES,
        st.sampled_from("ab"),
    ),
    min_size=1,
    max_size=7,
)


def done(world: World, what: str, name: Name, other: Name, word: str) -> dict[str, Item | None]:
    """What this changes of the rows there are; nothing where MariaDB would refuse it."""
    rows = world.now["mariadb"]
    mine = {k: item for k, item in rows.items() if account_of(k) == name}
    is_there = key("global_priv", name.host, name.user) in mine
    match what:
        case "rename":
            if not is_there or any(account_of(k) == other for k in rows):
                return {}
            moved = dict(filter(None, (moved_row(k, item, other) for k, item in mine.items())))
            return {**dict.fromkeys(mine), **moved}
        case "drop":
            return dict.fromkeys(mine)
        case "make":
            return {} if is_there else login(name, f"made {word}")
        case "password":
            return login(name, word) if is_there else {}
        case "grant":
            return grant(name, word) if is_there else {}
        case _:
            return {k: None for k in grant(name, word) if k in mine}


@settings(max_examples=400, deadline=None)
@given(st.data(), ACTIONS)
def test_in_any_history_no_grant_is_left_without_its_account(
    data: st.DataObject, actions: list[tuple[bool, str, Name, Name, str]]
) -> None:
    world = World({})
    world.edit({**ROOT, **login(OLD, "old"), **grant(OLD, "a"), **grant(OLD, "b")})
    first, edited = dict(world.now["mariadb"]), False
    for is_step, what, name, other, word in actions:
        changes = done(world, what, name, other, word)
        if is_step and changes:
            world.apply(f"step-{len(world.history)}", changes)
        elif changes:
            edited = True
            world.edit(changes)
    while world.history:
        one = data.draw(st.sampled_from([one.record.id for one in world.history]))
        choice = data.draw(st.sampled_from(RESOLUTIONS))
        undone(world, one, choice)
        accounts = {account_of(k) for k in world.now["mariadb"] if k.startswith("mysql.global")}
        assert {account_of(k) for k in world.now["mariadb"]} == accounts
    if not edited:
        assert world.now["mariadb"] == first
