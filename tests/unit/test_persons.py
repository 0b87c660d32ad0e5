"""What somebody changes of persons' accounts while packages come or go stays theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.merge import lines_of
from snapshots.model import InstallPackages, RunCommand
from snapshots.persons import with_persons_of
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench
from tests.unit.test_snapshots_meanwhile import drifted, undone, write

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
    "group": "root:x:0:\nold:x:105:\nsudo:x:27:daemon,ann,bob\nann:x:1000:\nbob:x:1002:\n",
    "gshadow": "root:*::\nold:!::\nsudo:*::daemon,ann,bob\nann:!::\nbob:!::\n",
}
WITHOUT_THE_PERSONS = {
    "passwd": "root:x:0:0\nann:x:1000:1000\nnew:x:106:106\neve:x:1001:1001\n",
    "shadow": "root:r\nann:a\nnew:*\neve:e\n",
    "group": "root:x:0:\nsudo:x:27:daemon,new,ann\nann:x:1000:\nnew:x:106:\neve:x:1001:\n",
    "gshadow": "root:*::\nsudo:*::daemon,new,ann\nann:!::\nnew:!::\neve:!::\n",
}


def book(texts: dict[str, str]) -> dict[str, list[bytes]]:
    return {f"/etc/{name}": lines_of(text.encode()) for name, text in texts.items()}


def test_either_half_of_what_came_together() -> None:
    assert with_persons_of(book(BEFORE), book(NOW)) == book(WITHOUT_THE_PACKAGE)
    assert with_persons_of(book(NOW), book(BEFORE)) == book(WITHOUT_THE_PERSONS)
    assert with_persons_of(book(NOW), book(NOW)) == book(NOW)


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


def test_where_the_change_is_about_accounts_all_of_it_is_its_own(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("snapshots.transaction.execute", lambda *_: put(bench, NOW))
        tx.perform(RunCommand(argv=("usermod", "--lock", "ann"), why="a test"))
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert there(bench) == BEFORE
    assert Records(bench.state).left(tx.id) == {}
