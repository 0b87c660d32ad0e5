"""Taking back while another package tool is at work: waited for where packages are at stake."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import cast

import pytest

from snapshots import dpkg, recover_packages
from snapshots.guard_switch import Switch
from snapshots.model import Busy, InstallPackages, TransactionRecord, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, Waits

PATH = "/etc/ssh/sshd_config.d/00-test.conf"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """No wait is longer than a moment."""
    for name in ("FILES_WAIT_S", "LOCK_WAIT_S", "OUTLIVED_WAIT_S"):
        monkeypatch.setattr(recover_packages, name, 0)
    return Bench(tmp_path)


def apt_at_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.host, "lock_packages", os.getpid)


def pending(bench: Bench, *changes: WriteFile | InstallPackages) -> TransactionRecord:
    tx = bench.begin("s", packages=("fail2ban",))
    tx._switch = cast(Switch, Waits())
    for change in changes:
        tx.perform(change)
    record = tx.commit()
    assert record.status == "pending"
    return record


def test_files_alone_go_back_beside_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pending(bench, WriteFile(path=PATH, content=b"A 1\n"))
    apt_at_work(bench, monkeypatch)

    def never(*_: object) -> None:
        raise AssertionError("dpkg was waited for")

    monkeypatch.setattr(recover_packages, "settle_dpkg", never)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert bench.host.state(PATH) is None


def test_what_it_changed_meanwhile_is_left_to_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending(bench, WriteFile(path=PATH, content=b"A 1\n"))
    bench.host.run(("apt-get", "install", "-y", "fail2ban"))
    apt_at_work(bench, monkeypatch)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert bench.host.state(PATH) is None
    assert "Another package tool changed fail2ban" in ended.reason
    assert "fail2ban" in bench.host.run(("dpkg-query", "-W")).stdout


def test_packages_of_ours_wait_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    record = pending(bench, WriteFile(path=PATH, content=b"A 1\n"), InstallPackages(("fail2ban",)))
    with monkeypatch.context() as busy:
        apt_at_work(bench, busy)
        began_s = time.monotonic()
        with pytest.raises(Busy, match="Another package tool is at work"):
            recover(bench.host, bench.state, Silent())
        assert time.monotonic() - began_s < dpkg.LOCK_WAIT_S / 2
    assert Records(bench.state).read(record.id).status == "pending"
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
