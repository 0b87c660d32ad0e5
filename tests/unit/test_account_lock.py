"""Lists of accounts are written while passwd and useradd wait, and what came before stays."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host import account_lock
from host.base import HostError
from host.practice import PracticeHost
from snapshots.progress import Silent
from tests.unit.snapshots_host import Bench
from tests.unit.test_others_edits import Programs, lists
from tests.unit.test_package_lock import HOLD
from tests.unit.test_persons import AGED, put
from tests.unit.test_snapshots_meanwhile import Meanwhile, undone, write

LOCKED = AGED["shadow"].replace("ann:a", "ann:!a")
TRY = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    put(bench, AGED)
    return bench


def locks_ann(bench: Bench, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile) -> str:
    """The number of a change that locks ann out and writes a file, besides."""
    programs = Programs(monkeypatch)
    tx = bench.begin("s", progress=meanwhile)
    tx.perform(write("/etc/motd", "ours\n"))
    programs.perform(
        tx, "usermod", "--lock", "ann", act=lambda: lists(bench, shadow=LOCKED)
    )  # fmt: skip
    return tx.commit().id


def root_gets_another(bench: Bench) -> Callable[[], None]:
    return lambda: lists(bench, shadow=bench.read("/etc/shadow").replace("root:r:1:", "root:R:2:"))


def is_free(path: Path) -> bool:
    argv = [sys.executable, "-c", TRY, str(path)]
    return subprocess.run(argv, stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("when", ["putting files", "comparing with"])
def test_a_password_set_while_files_go_back_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    tx_id = locks_ann(bench, monkeypatch, Meanwhile("nothing", print))
    record = undone(bench, tx_id, Meanwhile(when, root_gets_another(bench)))
    assert record.status == "committed"
    assert bench.read("/etc/shadow") == AGED["shadow"].replace("root:r:1:", "root:R:2:")


def test_what_came_until_the_lock_was_ours_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    @contextlib.contextmanager
    def locked(host: PracticeHost) -> Iterator[int]:
        asked.append(bench.read("/etc/shadow"))
        root_gets_another(bench)()
        yield 0
        asked.append(bench.read("/etc/shadow"))

    tx_id = locks_ann(bench, monkeypatch, Meanwhile("nothing", print))
    monkeypatch.setattr(PracticeHost, "account_lists_locked", locked, raising=False)
    undone(bench, tx_id, Meanwhile("nothing", print))
    assert asked == [LOCKED, AGED["shadow"].replace("root:r:1:", "root:R:2:")]


def test_whoever_edits_a_list_is_not_waited_for_where_none_goes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = bench.apply("s", write("/etc/motd", "ours\n"))
    monkeypatch.setattr(PracticeHost, "account_lists_locked", None, raising=False)
    assert bench.undo(record.id).status == "committed"


def test_the_lock_is_the_one_of_passwd_and_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / ".pwd.lock"
    with account_lock.held(str(path)) as holder:
        assert holder == 0 and not is_free(path)
        path.read_bytes()  # a capture may do so
        assert not is_free(path)
    assert is_free(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_who_does_not_let_go_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".pwd.lock"
    argv = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with account_lock.held(str(path), wait_s=0.1) as holder:
            assert holder == other.pid
        other.kill()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".pwd.lock").symlink_to(tmp_path / "elsewhere")
    with account_lock.held(str(tmp_path / ".pwd.lock")) as holder:
        assert holder == 0
    assert not (tmp_path / "elsewhere").exists()


def test_who_may_write_over_what_goes_back_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx_id = locks_ann(bench, monkeypatch, Meanwhile("nothing", print))
    monkeypatch.setattr(
        PracticeHost, "account_lists_locked", lambda host: contextlib.nullcontext(-1), raising=False
    )
    record = undone(bench, tx_id, Silent())
    assert record.reason == (
        "The lists of accounts were locked by a process that cannot be named: it may write over "
        "what went back in /etc/shadow. Look at them when it has ended."
    )
    assert bench.read("/etc/shadow") == AGED["shadow"]


def test_a_password_stays_where_a_list_cannot_be_written_for_a_moment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(monkeypatch)
    tx = bench.begin("s", progress=Meanwhile("putting accounts", root_gets_another(bench)))
    programs.perform(tx, "usermod", "--lock", "ann", act=lambda: lists(bench, shadow=LOCKED))
    real, refused = PracticeHost.put, list[str]()

    def put_once_refused(host: PracticeHost, path: str, *rest: Any, **how: Any) -> None:
        if path == "/etc/shadow" and not refused:
            refused.append(path)
            raise HostError("/etc/shadow cannot be written: no space left on device")
        real(host, path, *rest, **how)

    monkeypatch.setattr(PracticeHost, "put", put_once_refused)
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert refused and bench.read("/etc/shadow") == AGED["shadow"].replace("root:r:1:", "root:R:2:")
