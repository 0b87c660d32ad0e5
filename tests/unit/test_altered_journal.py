"""What an altered line of a journal says is never acted on, and going back says that it was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from host.base import FileState
from snapshots import history, leaving, settle
from snapshots.model import WriteFile
from snapshots.progress import Silent
from snapshots.records import NAMES, TABLES, Records
from snapshots.recover import recover
from snapshots.secret_paths import SecretPaths
from snapshots.transaction import Transaction
from steps import rollback
from tests.unit.snapshots_host import Bench

CAME, SURE, OTHER = "/var/lib/phq", "/var/lib/sure", "/var/lib/php"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for path in (CAME, SURE, OTHER):
        bench.host.put(path, FileState("dir", 0o755))
        bench.host.write_file(f"{path}/data", b"x")
    return bench


def journal_of(bench: Bench, tx: Transaction) -> Path:
    return Records(bench.state).where(tx.id) / "journal.jsonl"


def with_two_that_came(bench: Bench) -> Transaction:
    tx = bench.begin("packages")
    for path in (SURE, CAME):
        Records(bench.state).journal(tx.id, "came", f"{path} came with packages", path=path)
    return tx


def last_line(content: bytes) -> int:
    """Where it begins."""
    return content[:-1].rindex(b"\n") + 1


def altered(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_what_an_altered_line_names_is_left_and_a_person_is_told(bench: Bench) -> None:
    tx = with_two_that_came(bench)
    before = bench.fingerprint()
    tx.perform(WriteFile(path="/etc/motd", content=b"changed\n"))
    journal = journal_of(bench, tx)
    altered(journal, b'"path":"/var/lib/phq"', b'"path":"/var/lib/php"')
    ended = tx.roll_back("It failed.")
    assert bench.host.state(f"{OTHER}/data") is not None
    assert bench.host.state(f"{CAME}/data") is not None
    assert bench.host.state(SURE) is None
    assert ended.status == "needs-person"
    assert f"{journal} was altered on the disk (line 3)" in ended.reason
    assert "everything else was put back" in ended.reason
    assert bench.fingerprint() == before


def test_a_recovery_after_it_says_so_again(bench: Bench) -> None:
    tx = with_two_that_came(bench)
    altered(journal_of(bench, tx), b'"path":"/var/lib/phq"', b'"path":"/var/lib/php"')
    tx._held.close()  # as if the process had ended
    for _ in range(2):
        (ended,) = recover(bench.host, bench.state, Silent())
        assert ended.status == "needs-person" and "(line 3)" in ended.reason
        assert bench.host.state(OTHER) is not None


def test_whose_a_file_is_that_an_altered_line_named_is_not_guessed(bench: Bench) -> None:
    tx = bench.begin("motd")
    before = bench.fingerprint()
    tx.perform(WriteFile(path="/etc/motd", content=b"changed\n"))
    altered(journal_of(bench, tx), b'"path":"/etc/motd"', b'"path":"/etc/mote"')
    tx._held.close()  # as if the process had ended
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "needs-person" and "(line 2)" in ended.reason
    assert bench.fingerprint() == before


def test_every_flipped_bit_of_a_line_is_doubted(bench: Bench) -> None:
    tx = with_two_that_came(bench)
    records, journal = Records(bench.state), journal_of(bench, tx)
    whole = journal.read_bytes()
    first = last_line(whole)
    for where in range(first, len(whole) - 1):
        for bit in range(8):
            content = bytearray(whole)
            content[where] ^= 1 << bit
            journal.write_bytes(content)
            assert records.came(tx.id) == [SURE], (where, bit)
            assert records.doubt(tx.record), (where, bit)
    journal.write_bytes(whole)
    assert (records.came(tx.id), records.doubt(tx.record)) == ([SURE, CAME], "")


def test_a_line_that_a_crash_cut_off_is_no_doubt(bench: Bench) -> None:
    """What it was about to say was not done yet."""
    tx = with_two_that_came(bench)
    records, journal = Records(bench.state), journal_of(bench, tx)
    whole = journal.read_bytes()
    for length in range(last_line(whole), len(whole) - 2):
        journal.write_bytes(whole[:length])
        assert (records.came(tx.id), records.doubt(tx.record)) == ([SURE], "")
    records.journal(tx.id, "undo", "going back")
    assert (records.came(tx.id), records.doubt(tx.record)) == ([SURE], "")


def test_an_altered_line_lets_no_secret_be_forgotten(bench: Bench) -> None:
    tx = bench.begin("secret")
    tx.perform(WriteFile(path="/etc/s", content=b"one\n", mode=0o600, secret=True))
    altered(journal_of(bench, tx), b'"path":"/etc/s"', b'"path":"/etc/r"')
    settle.forget_secrets(bench.state)
    assert SecretPaths(bench.state).paths == {"/etc/s"}


def test_an_undo_is_guarded_where_it_is_not_known_what_was_written(bench: Bench) -> None:
    record = bench.apply("motd", WriteFile(path="/etc/motd", content=b"changed\n"))
    catalogue = SimpleNamespace(steps={}, lacks_steps=False)
    engine = cast(Any, SimpleNamespace(state=bench.state, catalogue=catalogue))
    assert not rollback.is_guarded(engine, record)
    journal = Records(bench.state).where(record.id) / "journal.jsonl"
    whole = journal.read_bytes()
    for damage in (whole.replace(b"/etc/motd", b"/etc/mote"), b"", None):
        journal.unlink() if damage is None else journal.write_bytes(damage)
        assert rollback.is_guarded(engine, record)


def alter_names(bench: Bench, tx: Transaction) -> Path:
    Records(bench.state).keep_names(tx.id, ["/var/lib/a"])
    return Records(bench.state).where(tx.id) / NAMES


def alter_tables(bench: Bench, tx: Transaction) -> Path:
    Records(bench.state).keep_tables(tx.id, {"/var/lib/ucf/hashfile": "x\n"})
    return Records(bench.state).where(tx.id) / TABLES


@pytest.mark.parametrize("alter", [alter_names, alter_tables])
def test_what_else_is_kept_for_going_back_is_proved_too(
    bench: Bench, alter: Callable[[Bench, Transaction], Path]
) -> None:
    tx = bench.begin("packages")
    path = alter(bench, tx)
    altered(path, b"/var/lib/", b"/var/lic/")
    assert any(said.startswith(f"{path} ") for said in history.verify(bench.state))
    ended = tx.roll_back("It failed.")
    assert ended.status == "needs-person" and f"{path} was altered on the disk" in ended.reason


def test_an_altered_list_of_what_goes_takes_nothing_away(bench: Bench) -> None:
    record = bench.apply("motd", WriteFile(path="/etc/motd", content=b"changed\n"))
    undo = bench.undo(record.id)
    leaving.prepare(Records(bench.state), undo.id, [CAME], [])
    path = Records(bench.state).where(undo.id) / leaving.NAME
    whole = path.read_bytes()
    altered(path, CAME.encode(), OTHER.encode())
    assert any(said.startswith(f"{path} ") for said in history.verify(bench.state))
    assert leaving.finish(bench.host, bench.state) == []
    assert bench.host.state(OTHER) is not None and bench.host.state(CAME) is not None
    path.write_bytes(whole)
    later = msgspec.structs.replace(undo, ended="2100-01-01T00:00:00+00:00")
    Records(bench.state).write(later)  # what is younger than the undo stays
    assert leaving.finish(bench.host, bench.state) == []
    assert bench.host.state(CAME) is None
