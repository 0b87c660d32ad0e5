"""apt's marks of packages that never came go with the change that was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.model import WriteFile
from snapshots.progress import Silent
from snapshots.recover import recover
from snapshots.stale_marks import KEY
from tests.unit.snapshots_host import Bench


def _block(name: str, automatic: int = 1) -> str:
    return f"Package: {name}\nArchitecture: amd64\nAuto-Installed: {automatic}\n\n"


HAD = "".join(map(_block, ("went-long-ago", "apache2"))) + _block("chosen", 0)
"""What was there before: a mark that apt never took away, and one of a package that is there."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    _write(bench, HAD)
    return bench


def _write(bench: Bench, text: str) -> None:
    (bench.host.directory / "root" / KEY.lstrip("/")).write_text(text)


def test_what_a_cut_off_apt_marked_goes(bench: Bench) -> None:
    tx = bench.begin("site.one")
    tx.perform(WriteFile(path="/etc/one", content=b"one\n"))
    _write(bench, _block("iptables") + HAD + _block("libnftnl11"))
    tx._held.close()  # the process is gone
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    assert bench.host.read_bytes(KEY).decode() == HAD


def test_marks_of_what_was_kept_stay(bench: Bench) -> None:
    tx = bench.begin("site.one")
    tx.perform(WriteFile(path="/etc/one", content=b"one\n"))
    _write(bench, HAD + _block("iptables"))
    tx.commit()
    assert bench.host.read_bytes(KEY).decode() == HAD + _block("iptables")


def test_without_apts_file_nothing_is_written(bench: Bench) -> None:
    (bench.host.directory / "root" / KEY.lstrip("/")).unlink()
    tx = bench.begin("site.one")
    tx.perform(WriteFile(path="/etc/one", content=b"one\n"))
    assert tx.roll_back("a test").status == "rolled-back"
    assert bench.host.state(KEY) is None
