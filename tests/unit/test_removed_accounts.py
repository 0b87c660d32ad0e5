"""Accounts that somebody removes while a change or an undo of ours waits or is at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.account_fields import with_changes
from snapshots.model import TransactionRecord
from snapshots.recover import recover
from snapshots.whole_accounts import made_whole
from tests.unit.snapshots_host import Bench
from tests.unit.test_others_edits import Programs, recovered
from tests.unit.test_persons import book, put
from tests.unit.test_snapshots_meanwhile import Meanwhile, undone

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
    return bench


def there(bench: Bench) -> dict[str, str]:
    return {name: bench.read(f"/etc/{name}") for name in WITHOUT_BOB}


def gives_sudo(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> TransactionRecord:
    tx = bench.begin("s")
    Programs(monkeypatch).perform(
        tx, "usermod", "--append", "--groups", "sudo", "bob",
        act=lambda: put(bench, in_sudo(WITH_BOB)),
    )  # fmt: skip
    return tx.commit()


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
