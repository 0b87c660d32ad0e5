"""What somebody changes of persons' accounts while packages come or go stays theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snapshots.merge import lines_of
from snapshots.model import InstallPackages, RunCommand
from snapshots.persons import with_persons_of
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_snapshots_meanwhile import Meanwhile, content_in, drifted, undone, write

BEFORE = {
    "passwd": "root:x:0:0\nold:x:105:105\nann:x:1000:1000\neve:x:1001:1001\n",
    "shadow": "root:r\nold:*\nann:a\neve:e\n",
    "group": "root:x:0:\nold:x:105:\nsudo:x:27:ann,daemon\nann:x:1000:\neve:x:1001:\n",
    "gshadow": "root:*::\nold:!::\nsudo:*::ann,daemon\nann:!::\neve:!::\n",
}
"""bob comes, eve goes, ann has a new password; a package brings `new` and takes `old` away."""
NOW = {
    "passwd": "root:x:0:0\nann:x:1000:1000\nnew:x:106:106\nbob:x:1002:1002\n",
    "shadow": "root:r\nann:A\nnew:*\nbob:b\n",
    "group": "root:x:0:\nsudo:x:27:ann,daemon,bob,new\nann:x:1000:\nnew:x:106:\nbob:x:1002:\n",
    "gshadow": "root:*::\nsudo:*::ann,daemon,bob,new\nann:!::\nnew:!::\nbob:!::\n",
}
WITHOUT_THE_PACKAGE = {
    "passwd": "root:x:0:0\nold:x:105:105\nann:x:1000:1000\nbob:x:1002:1002\n",
    "shadow": "root:r\nold:*\nann:A\nbob:b\n",
    "group": "root:x:0:\nold:x:105:\nsudo:x:27:ann,daemon,bob\nann:x:1000:\nbob:x:1002:\n",
    "gshadow": "root:*::\nold:!::\nsudo:*::ann,daemon,bob\nann:!::\nbob:!::\n",
}
WITHOUT_THE_PERSONS = {
    "passwd": "root:x:0:0\nann:x:1000:1000\nnew:x:106:106\neve:x:1001:1001\n",
    "shadow": "root:r\nann:a\nnew:*\neve:e\n",
    "group": "root:x:0:\nsudo:x:27:new,ann,daemon\nann:x:1000:\nnew:x:106:\neve:x:1001:\n",
    "gshadow": "root:*::\nsudo:*::new,ann,daemon\nann:!::\nnew:!::\neve:!::\n",
}


def book(texts: dict[str, str]) -> dict[str, list[bytes]]:
    return {f"/etc/{name}": lines_of(text.encode()) for name, text in texts.items()}


def test_either_half_of_what_came_together() -> None:
    assert with_persons_of(book(BEFORE), book(NOW)) == book(WITHOUT_THE_PACKAGE)
    assert with_persons_of(book(NOW), book(BEFORE)) == book(WITHOUT_THE_PERSONS)
    assert with_persons_of(book(NOW), book(NOW)) == book(NOW)


def test_lines_of_one_account_stay_where_they_stand() -> None:
    ranges = book({**BEFORE, "subuid": "root:1000000:65536\nann:100000:65536\nroot:1000:1\n"})
    assert with_persons_of(ranges, ranges) == ranges


def put(bench: Bench, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        bench.host.write_file(f"/etc/{name}", text.encode())


def there(bench: Bench) -> dict[str, str]:
    return {name: bench.read(f"/etc/{name}") for name in BEFORE}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    put(bench, BEFORE)
    return bench


@pytest.mark.parametrize("killed", [True, False])
def test_where_a_change_with_packages_goes_back_persons_stay_as_they_are(
    bench: Bench, killed: bool
) -> None:
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))
    tx.perform(InstallPackages(("fail2ban",)))
    put(bench, NOW)
    if killed:
        tx._held.close()
        (ended,) = recover(bench.host, bench.state, Silent())
    else:
        ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back", ended.reason
    assert "/etc/group and 3 more were changed by something else meanwhile" in ended.reason
    assert there(bench) == WITHOUT_THE_PACKAGE


def test_an_undo_takes_away_what_packages_brought_alone(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    put(bench, NOW)
    done = tx.commit()
    assert "/etc/group and 3 more were changed by something else meanwhile" in done.reason
    assert drifted(bench) == {f"/etc/{name}" for name in BEFORE}
    assert undone(bench, done.id, Silent()).status == "committed"
    assert {name: sorted(text.split()) for name, text in there(bench).items()} == {
        "passwd": ["ann:x:1000:1000", "bob:x:1002:1002", "old:x:105:105", "root:x:0:0"],
        "shadow": ["ann:A", "bob:b", "old:*", "root:r"],
        "group": ["ann:x:1000:", "bob:x:1002:", "old:x:105:", "root:x:0:",
                  "sudo:x:27:ann,daemon,bob"],
        "gshadow": ["ann:!::", "bob:!::", "old:!::", "root:*::", "sudo:*::ann,daemon,bob"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "stays"),
    [
        (("usermod", "--lock", "ann"), WITHOUT_THE_PACKAGE),
        (("gpasswd", "--add", "ann", "sudo"), BEFORE),
    ],
)
def test_where_a_command_about_accounts_ran_besides_only_what_it_was_told_is_its_own(
    bench: Bench, argv: tuple[str, ...], stays: dict[str, str]
) -> None:
    """Of one that is not known all that is otherwise may be its own."""
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("snapshots.transaction.execute", lambda *_: put(bench, NOW))
        tx.perform(RunCommand(argv=argv, why="a test"))
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert there(bench) == stays
    assert Records(bench.state).left(tx.id) == {}


AGED = {
    "passwd": "root:x:0:0\nann:x:1000:1000\n", "group": "root:x:0:\nsudo:x:27:\nann:x:1000:\n",
    "shadow": "root:r:1:0:99999:7:::\nann:a:1:0:99999:7:::\n",
    "gshadow": "root:*::\nsudo:*::\nann:!::\n",
}  # fmt: skip


def somebody_works(bench: Bench) -> None:
    """ann has a new password, and bob is new and an administrator."""
    now = there(bench)
    put(bench, {
        "passwd": f"{now['passwd']}bob:x:1001:1001\n", "shadow": f"{now['shadow']}bob:b:2::::::\n",
        "group": now["group"].replace("sudo:x:27:", "sudo:x:27:bob") + "bob:x:1001:\n",
        "gshadow": now["gshadow"].replace("sudo:*::", "sudo:*::bob") + "bob:!::\n",
    })  # fmt: skip
    shadow = bench.read("/etc/shadow").replace("ann:a:1:", "ann:A:2:")
    put(bench, {"shadow": shadow})


def test_an_undo_of_packages_and_ageing_takes_nothing_of_others_along(bench: Bench) -> None:
    """What was changed before the commit, after it, and while it is undone."""
    put(bench, AGED)
    somebody_works(bench)
    with_theirs = there(bench)
    put(bench, AGED)
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    somebody_works(bench)

    def ages(*_: object) -> None:
        shadow = bench.read("/etc/shadow")
        put(bench, {"shadow": shadow.replace("ann:A:2:0:99999:", "ann:A:2:0:90:")})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("snapshots.transaction.execute", ages)
        tx.perform(RunCommand(argv=("chage", "--maxdays", "90", "ann"), why="a test"))
    done = tx.commit()
    assert "ann:A:2:0:90:" in bench.read("/etc/shadow")
    assert undone(bench, done.id, Silent()).status == "committed"
    assert there(bench) == with_theirs


@pytest.mark.parametrize("killed", [True, False])
def test_what_is_changed_of_persons_while_packages_are_undone_stays(
    bench: Bench, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bench, AGED)
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    put(bench, {"passwd": f"{AGED['passwd']}f2b:x:105:105\n"})
    done = tx.commit()
    somebody_works(bench)
    with_theirs = there(bench)
    with_theirs["passwd"] = with_theirs["passwd"].replace("f2b:x:105:105\n", "")
    put(bench, {**AGED, "passwd": f"{AGED['passwd']}f2b:x:105:105\n"})
    if killed:

        def work() -> None:
            undone(bench, done.id, Meanwhile("putting accounts", die))

        dies_in_the_middle(bench, work)
        somebody_works(bench)
        (ended,) = recover(bench.host, bench.state, Silent())
        assert ended.status == "rolled-back"
        with_theirs["passwd"] += "f2b:x:105:105\n"
    else:
        act = Meanwhile("putting packages", lambda: somebody_works(bench))
        ended = undone(bench, done.id, act)
        assert ended.status == "committed"
    assert "/etc/group and 3 more were changed by something else meanwhile" in ended.reason
    assert sorted_lines(there(bench)) == sorted_lines(with_theirs)


def sorted_lines(texts: dict[str, str]) -> dict[str, list[str]]:
    return {name: sorted(set(text.split())) for name, text in texts.items()}


def die() -> None:
    os.kill(os.getpid(), 9)


def test_what_is_changed_of_persons_while_packages_are_taken_back_stays(bench: Bench) -> None:
    put(bench, AGED)
    tx = bench.begin("s", progress=Meanwhile("putting packages", lambda: somebody_works(bench)))
    tx.perform(InstallPackages(("fail2ban",)))
    ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back"
    now = there(bench)
    put(bench, AGED)
    somebody_works(bench)
    assert now == there(bench)
    assert "/etc/group and 3 more were changed by something else meanwhile" in ended.reason


def test_what_is_written_while_it_is_compared_is_kept_before_it_is_written_over(
    bench: Bench,
) -> None:
    bench.host.write_file("/etc/a", b"before\n")

    def edits() -> None:
        bench.host.write_file("/etc/a", b"somebody's\n")

    tx = bench.begin("s", progress=Meanwhile("comparing with", edits))
    tx.perform(write("/etc/a", "ours\n"))
    ended = tx.roll_back("a proof failed")
    assert bench.read("/etc/a") == "before\n"
    assert "/etc/a was changed by something else meanwhile" in ended.reason
    assert content_in(bench, f"{tx.id}.found1", "/etc/a") == b"somebody's\n"
