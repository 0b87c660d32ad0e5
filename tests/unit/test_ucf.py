"""ucf's tables are what they were, however much of them a power cut left."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots import ucf
from snapshots.model import WriteFile
from snapshots.progress import Silent
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench

HASHES, REGISTRY = ucf.TABLES
THEN = {
    HASHES: "2f1ad364c25bfd8dcee21c2d6ea97a3a  /etc/papersize\n",
    REGISTRY: "libpaper1 \t /etc/papersize\n",
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for path, text in THEN.items():
        _say(bench, path, text)
    return bench


def _say(bench: Bench, path: str, text: str) -> None:
    place = bench.host.directory / "root" / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def _said(bench: Bench) -> dict[str, str]:
    return {path: bench.host.read_bytes(path).decode() for path in ucf.TABLES}


@pytest.mark.parametrize("left", ["", "2f1ad364c25bfd", "other  /etc/papersize\n"])
def test_what_a_power_cut_left_is_made_whole_again(bench: Bench, left: str) -> None:
    tx = bench.begin("site.one")
    tx.perform(WriteFile(path="/etc/one", content=b"one\n"))
    tx._held.close()  # the process is gone
    _say(bench, HASHES, left)
    (bench.host.directory / "root" / REGISTRY.lstrip("/")).unlink()
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    assert _said(bench) == THEN
    assert list((bench.state.path / "transactions").rglob("tables.json")) == []


def test_lines_of_a_file_that_somebody_installed_since_stay(bench: Bench) -> None:
    tx = bench.begin("site.one")
    tx.perform(WriteFile(path="/etc/one", content=b"one\n"))
    new = "0877786daf8479dd91be0f89f223a102  /opt/tool.conf\n"
    gone = "72def1d4663c5350713006af725f21ae  /opt/of-a-package-that-went\n"
    _say(bench, HASHES, gone + THEN[HASHES] + new)
    _say(bench, "/opt/tool.conf", "hello\n")
    assert tx.roll_back("a test").status == "rolled-back"
    assert _said(bench) == THEN | {HASHES: THEN[HASHES] + new}


def test_a_committed_change_leaves_them_alone(bench: Bench) -> None:
    tx = bench.begin("site.one")
    tx.perform(WriteFile(path="/etc/one", content=b"one\n"))
    _say(bench, HASHES, "")
    assert tx.commit().status == "committed"
    assert _said(bench)[HASHES] == ""
    assert list((bench.state.path / "transactions").rglob("tables.json")) == []


def test_a_purged_package_is_taken_out_of_the_registry(bench: Bench) -> None:
    """unattended-upgrades tells ucf only of the hashes when it is purged."""
    left = "unattended-upgrades \t /etc/apt/apt.conf.d/50unattended-upgrades\n"
    stays = "unattended-upgrades \t /etc/papersize\n"
    _say(bench, "/etc/papersize", "a4\n")
    _say(bench, REGISTRY, THEN[REGISTRY] + left + stays)
    ucf.forget(bench.host, ["unattended-upgrades", "libpaper1:amd64"])
    assert _said(bench)[REGISTRY] == THEN[REGISTRY] + stays
    before = bench.host.state(REGISTRY)
    ucf.forget(bench.host, ["unattended-upgrades"])
    assert bench.host.state(REGISTRY) == before
