"""Accounts that somebody removes while a change or an undo of ours waits or is at work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from host.base import FileState
from snapshots.account_fields import with_changes
from snapshots.gone_with_accounts import sentence
from snapshots.model import Root, TransactionRecord
from snapshots.progress import Silent
from snapshots.recover import recover
from snapshots.whole_accounts import made_whole
from tests.unit.snapshots_host import Bench
from tests.unit.test_others_edits import Programs, recovered, waiting
from tests.unit.test_persons import book, put
from tests.unit.test_snapshots_meanwhile import DIRECTORY, Meanwhile, undone, write

HOME = "/home/bob"
SSH = f"{HOME}/.ssh"
KEYS = f"{SSH}/authorized_keys"
WITHOUT_BOB = {
    "passwd": "root:x:0:0\nann:x:1000:1000::/home/ann:/bin/sh\n",
    "shadow": "root:r:1::::::\nann:a:1::::::\n",
    "group": "sudo:x:27:ann\nadm:x:4:\n",
    "gshadow": "sudo:*::ann\nadm:*::\n",
}
BOB = {
    "passwd": "bob:x:1001:1001::/home/bob:/bin/sh\n",
    "shadow": "bob:b:1::::::\n",
    "group": "bob:x:1001:\n",
    "gshadow": "bob:!::\n",
}
WITH_BOB = {name: text + BOB[name] for name, text in WITHOUT_BOB.items()}


def in_sudo(texts: dict[str, str]) -> dict[str, str]:
    groups = {name: texts[name].replace("ann\n", "ann,bob\n", 1) for name in ("group", "gshadow")}
    return {**texts, **groups}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    put(bench, WITH_BOB)
    for path in ("/home", HOME, SSH):
        bench.host.put(path, DIRECTORY)
    bench.host.write_file(KEYS, b"one\n")
    return bench


def there(bench: Bench) -> dict[str, str]:
    return {name: bench.read(f"/etc/{name}") for name in WITHOUT_BOB}


def removes_home(bench: Bench) -> None:
    for path in (KEYS, SSH, HOME):
        bench.host.put(path, None)


def userdel_r(bench: Bench) -> None:
    put(bench, WITHOUT_BOB)
    removes_home(bench)


def gives_sudo(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> TransactionRecord:
    tx = bench.begin("s")
    Programs(monkeypatch).perform(
        tx, "usermod", "--append", "--groups", "sudo", "bob",
        act=lambda: put(bench, in_sudo(WITH_BOB)),
    )  # fmt: skip
    return tx.commit()


def lets_in(bench: Bench) -> None:
    tx = waiting(bench, Root(SSH, content=True))
    tx.perform(write(KEYS, "one\ntwo\n"))
    assert tx.commit().status == "pending"


def undoes_letting_in(bench: Bench) -> None:
    tx = bench.begin("s", roots=(Root(SSH, content=True),))
    tx.perform(write(KEYS, "one\ntwo\n"))
    assert bench.guarded_undo(tx.commit().id).status == "pending"


def closes_the_home(bench: Bench) -> None:
    tx = waiting(bench, Root(HOME))
    tx.perform(write("/etc/motd", "closed\n"))
    state = bench.host.state(HOME)
    assert state is not None
    bench.host.put(HOME, FileState(kind="dir", mode=0o700, uid=state.uid, gid=state.gid))
    assert tx.commit().status == "pending"


def test_who_was_removed_while_an_undo_waits_is_in_no_group(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = gives_sudo(bench, monkeypatch)
    assert bench.guarded_undo(made.id).status == "pending"
    put(bench, WITHOUT_BOB)
    recovered(bench)
    assert there(bench) == WITHOUT_BOB


def test_who_was_removed_by_hand_and_left_in_a_group_stays_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = gives_sudo(bench, monkeypatch)
    assert bench.guarded_undo(made.id).status == "pending"
    theirs = {name: text.replace(":4:", ":4:bob") for name, text in WITHOUT_BOB.items()}
    theirs["gshadow"] = theirs["gshadow"].replace("adm:*::", "adm:*::bob")
    put(bench, theirs)
    recovered(bench)
    assert there(bench) == theirs


@pytest.mark.parametrize("at", ["capturing /etc", "putting accounts", "comparing with"])
def test_who_is_removed_while_it_goes_back_is_in_no_group(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    made = gives_sudo(bench, monkeypatch)
    assert bench.guarded_undo(made.id).status == "pending"
    recover(bench.host, bench.state, Meanwhile(at, lambda: put(bench, WITHOUT_BOB)))
    assert there(bench) == WITHOUT_BOB


@pytest.mark.parametrize("at", ["writing the restore", "putting accounts", "comparing with"])
def test_who_is_removed_during_an_undo_that_would_make_him_a_member(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    put(bench, in_sudo(WITH_BOB))
    tx = bench.begin("s")
    Programs(monkeypatch).perform(
        tx, "usermod", "--groups", "", "bob", act=lambda: put(bench, WITH_BOB)
    )  # fmt: skip
    made = tx.commit()
    ended = undone(bench, made.id, Meanwhile(at, lambda: put(bench, WITHOUT_BOB)))
    assert ended.status == "committed" and there(bench) == WITHOUT_BOB


def test_who_goes_is_in_no_group_into_which_somebody_put_him_meanwhile() -> None:
    found = with_changes(book(WITHOUT_BOB), book(WITH_BOB), book(in_sudo(WITH_BOB)))
    assert found == book(WITHOUT_BOB)


def test_a_name_without_an_account_that_was_there_before_comes_back() -> None:
    before, left = book(in_sudo(WITHOUT_BOB)), book(in_sudo(WITH_BOB))
    now = {**left, "/etc/shadow": [*left["/etc/shadow"][:-1], b"bob:other:1::::::"]}
    assert made_whole(before, before, left, now) == before


@pytest.mark.parametrize("makes", [lets_in, undoes_letting_in, closes_the_home])
def test_a_home_that_went_with_its_account_stays_gone(
    bench: Bench, makes: Callable[[Bench], None]
) -> None:
    makes(bench)
    userdel_r(bench)
    ended = recovered(bench)
    assert sentence([HOME]) in ended.reason
    assert "/etc/group and 3 more were changed by something else" in ended.reason
    assert there(bench) == WITHOUT_BOB and bench.host.state(HOME) is None


def test_a_home_that_goes_while_it_goes_back_is_found_at_the_next_attempt(bench: Bench) -> None:
    undoes_letting_in(bench)
    meanwhile = Meanwhile("putting files", lambda: userdel_r(bench))
    assert [one.status for one in recover(bench.host, bench.state, meanwhile)] == ["needs-person"]
    assert sentence([HOME]) in recovered(bench).reason


def test_an_undo_whose_home_goes_meanwhile_is_taken_back_and_can_be_done_then(
    bench: Bench,
) -> None:
    tx = bench.begin("s", roots=(Root(SSH, content=True),))
    tx.perform(write(KEYS, "one\ntwo\n"))
    made = tx.commit()
    progress = Meanwhile("putting files", lambda: userdel_r(bench))
    assert undone(bench, made.id, progress).status == "rolled-back"
    assert undone(bench, made.id, Silent()).status == "committed"
    assert there(bench) == WITHOUT_BOB and bench.host.state(HOME) is None


def test_a_home_that_stays_gets_back_what_lay_in_it(bench: Bench) -> None:
    undoes_letting_in(bench)
    put(bench, WITHOUT_BOB)
    assert "together with the account" not in recovered(bench).reason
    assert bench.read(KEYS) == "one\ntwo\n"


@pytest.mark.parametrize(
    "texts", [WITH_BOB, {name: text.replace("bob", "rob") for name, text in WITH_BOB.items()}]
)
def test_a_home_whose_account_is_there_still_needs_a_person(
    bench: Bench, texts: dict[str, str]
) -> None:
    """Moved, or not mounted: a key that was to go may be in it still."""
    undoes_letting_in(bench)
    put(bench, texts)
    removes_home(bench)
    assert [one.status for one in recover(bench.host, bench.state, Silent())] == ["needs-person"]


def test_what_else_belonged_to_the_account_stays_gone(bench: Bench) -> None:
    place, table = "/srv/tables", "/srv/tables/bob"
    for path in ("/srv", place):
        bench.host.put(path, DIRECTORY)
    bench.host.write_file(table, b"@daily one\n")
    uid = os.getuid()
    put(bench, {"passwd": WITH_BOB["passwd"].replace("1001:1001", f"{uid}9:1001")})
    bench.host.put(table, FileState(kind="file", mode=0o600, uid=int(f"{uid}9")), b"@daily one\n")
    tx = waiting(bench, Root(place, content=True))
    tx.perform(write(table, "@daily two\n"))
    assert tx.commit().status == "pending"
    put(bench, WITHOUT_BOB)
    bench.host.put(table, None)
    assert sentence([table]) in recovered(bench).reason
    assert bench.host.state(table) is None


def test_what_went_with_an_account_is_counted() -> None:
    assert sentence([]) == ""
    assert sentence(["/srv/b", HOME]).startswith("/home/bob and 1 more were removed by")


def test_a_renamed_account_with_a_new_password_is_no_removed_one(bench: Bench) -> None:
    """`usermod -l rob -d /home/rob -m bob; passwd rob`: the key that was to go is in his home."""
    lets_in(bench)
    keys = bench.read(KEYS)
    texts = {name: text.replace("bob", "rob") for name, text in WITH_BOB.items()}
    shadow = [
        f"rob:new:{line.split(':', 2)[2]}" if line.startswith("rob:") else line
        for line in texts["shadow"].splitlines()
    ]
    put(bench, texts | {"shadow": "\n".join([*shadow, ""])})
    removes_home(bench)
    for path in ("/home/rob", "/home/rob/.ssh"):
        bench.host.put(path, DIRECTORY)
    bench.host.write_file("/home/rob/.ssh/authorized_keys", keys.encode())
    assert [one.status for one in recover(bench.host, bench.state, Silent())] == ["needs-person"]
