"""The session log: whoever changes it is found out, whatever they change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots import durable, sessionlog
from snapshots.logchain import FIRST_PREV, canonical, digest
from snapshots.model import SnapshotError
from snapshots.sessionlog import SessionLog


@pytest.fixture
def log(tmp_path: Path) -> SessionLog:
    log = SessionLog(tmp_path / "log", user="alice", host="web1", syslog=False)
    for number in range(5):
        log.append("apply", step=f"step.{number}", transaction=f"t{number}")
    return log


def lines(log: SessionLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def rewrite(log: SessionLog, changed: list[bytes]) -> None:
    log.path.write_bytes(b"".join(changed))


def forged(line: bytes, **changes: object) -> bytes:
    """The line altered by someone who also computes its hash anew."""
    body = json.loads(line)
    body.update(changes)
    del body["hash"]
    return canonical({**body, "hash": digest(body)}) + b"\n"


def test_an_untouched_log_is_sound(log: SessionLog) -> None:
    verdict = log.verify()
    assert verdict.ok
    assert verdict.entries == 5
    assert [entry.seq for entry in log.entries()] == [1, 2, 3, 4, 5]
    assert log.entries()[0].prev == FIRST_PREV
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert log.head_path.stat().st_mode & 0o777 == 0o600
    assert log.path.parent.stat().st_mode & 0o777 == 0o700


def test_an_empty_log_is_sound(tmp_path: Path) -> None:
    assert SessionLog(tmp_path / "none").verify().ok
    assert SessionLog(tmp_path / "none").sessions() == []


def test_an_altered_entry_is_named(log: SessionLog) -> None:
    changed = lines(log)
    changed[2] = changed[2].replace(b'"apply"', b'"check"')
    rewrite(log, changed)
    verdict = log.verify()
    assert (verdict.ok, verdict.seq) == (False, 3)
    assert "entry 3 was altered" in verdict.problem


def test_a_blank_added_inside_an_entry_is_an_alteration(log: SessionLog) -> None:
    changed = lines(log)
    changed[1] = changed[1].replace(b'":', b'": ', 1)
    rewrite(log, changed)
    assert log.verify().seq == 2


def test_an_entry_forged_with_a_new_hash_is_named(log: SessionLog) -> None:
    changed = lines(log)
    changed[2] = forged(changed[2], user="mallory")
    rewrite(log, changed)
    verdict = log.verify()
    assert (verdict.ok, verdict.seq) == (False, 3)


def test_a_forged_last_entry_is_named(log: SessionLog) -> None:
    changed = lines(log)
    changed[4] = forged(changed[4], user="mallory")
    rewrite(log, changed)
    verdict = log.verify()
    assert (verdict.ok, verdict.seq) == (False, 5)


@pytest.mark.parametrize("index", [0, 1, 3])
def test_a_removed_entry_is_named(log: SessionLog, index: int) -> None:
    changed = lines(log)
    del changed[index]
    rewrite(log, changed)
    verdict = log.verify()
    assert (verdict.ok, verdict.seq) == (False, index + 1)
    assert f"entry {index + 1} is missing" in verdict.problem


def test_a_moved_entry_is_named(log: SessionLog) -> None:
    first, second, third, *rest = lines(log)
    rewrite(log, [first, third, second, *rest])
    verdict = log.verify()
    assert (verdict.ok, verdict.seq) == (False, 2)
    assert "moved" in verdict.problem


def test_a_doubled_entry_is_named(log: SessionLog) -> None:
    first, second, *rest = lines(log)
    rewrite(log, [first, second, second, *rest])
    verdict = log.verify()
    assert not verdict.ok
    assert "entry 2 stands twice" in verdict.problem


def test_a_log_cut_off_at_the_end_is_named(log: SessionLog) -> None:
    rewrite(log, lines(log)[:3])
    verdict = log.verify()
    assert (verdict.ok, verdict.seq) == (False, 4)
    assert "entry 4 to entry 5 missing" in verdict.problem
    log.append("apply", step="after")
    assert log.verify().seq == 4, "going on does not cover it up"


def test_a_log_removed_altogether_is_named(log: SessionLog) -> None:
    log.path.unlink()
    assert log.verify().seq == 1
    log.append("apply", step="after")
    assert log.verify().seq == 1


def test_a_removed_or_altered_head_is_named(log: SessionLog) -> None:
    head = log.head_path.read_bytes()
    log.head_path.write_bytes(b"{}")
    assert not log.verify().ok
    log.head_path.unlink()
    assert not log.verify().ok
    log.append("apply", step="after")
    verdict = log.verify()
    assert (verdict.ok, verdict.seq) == (False, 6), "going on does not cover it up"
    log.head_path.write_bytes(head)


def test_a_whole_session_taken_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessionlog, "PAUSE", timedelta(0))
    log = SessionLog(tmp_path, user="alice", syslog=False)
    for number in range(3):
        log.append("apply", step=str(number))
    summaries = log.sessions()
    for gone in summaries:
        whole = lines(log)
        rewrite(log, [line for line in whole if gone.id.encode() not in line])
        assert len(lines(log)) == 2
        assert not log.verify().ok
        rewrite(log, whole)
    assert log.verify().ok


@given(where=st.floats(0, 0.999999), flip=st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_changed_byte_is_found(log: SessionLog, where: float, flip: int) -> None:
    good = log.path.read_bytes()
    at = int(where * len(good))
    log.path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
    verdict = log.verify()
    log.path.write_bytes(good)
    assert not verdict.ok
    assert verdict.seq <= good[:at].count(b"\n") + 1
    assert log.verify().ok


def test_an_entry_torn_by_a_crash_is_no_tampering(log: SessionLog) -> None:
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + b'{"fields":{"st')
    assert log.verify().ok, "nobody was told that it had been written"
    log.append("apply", step="next")
    assert log.verify().ok
    assert log.entries()[-1].seq == 6


def test_a_crash_before_the_head_was_written_is_no_tampering(log: SessionLog) -> None:
    head = log.head_path.read_bytes()
    log.append("apply", step="crashed")
    log.head_path.write_bytes(head)
    assert log.verify().ok
    log.append("apply", step="next")
    assert log.verify().ok
    assert [entry.seq for entry in log.entries()][-2:] == [6, 7]


def test_crashes_in_a_row_are_no_tampering(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each after its entry and before the head, with nothing logged in between."""
    write = durable.write_durably

    def crash_at(number: int) -> Callable[[Path, bytes], None]:
        def crash(path: Path, content: bytes) -> None:
            if json.loads(content)["seq"] == number:
                raise KeyboardInterrupt
            write(path, content)

        return crash

    for number in (6, 7, 8):
        monkeypatch.setattr(sessionlog, "write_durably", crash_at(number))
        with pytest.raises(KeyboardInterrupt):
            log.append("recover", step="crashed")
        assert log.verify().ok
    monkeypatch.undo()
    log.append("recover", step="at last")
    assert log.verify().ok
    assert [entry.seq for entry in log.entries()] == [*range(1, 10)]


def test_sessions_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = SessionLog(tmp_path, user="alice", host="web1", syslog=False)
    alice.append("apply", step="a")
    SessionLog(tmp_path, user="bob", host="web1", syslog=False).append("apply", step="b")
    again = SessionLog(tmp_path, user="alice", host="web1", syslog=False)
    again.append("rollback", step="a")
    again.append("apply", step="c")
    first, second = alice.sessions()
    assert (first.user, first.entries, first.counts) == ("alice", 3, {"apply": 2, "rollback": 1})
    assert (second.user, second.host, second.entries) == ("bob", "web1", 1)
    assert [entry.fields["step"] for entry in alice.entries(second.id)] == ["b"]
    monkeypatch.setattr(sessionlog, "PAUSE", timedelta(0))
    again.append("apply", step="much later")
    assert [s.entries for s in alice.sessions()] == [3, 1, 1]


def test_any_value_can_be_logged(log: SessionLog) -> None:
    log.append("apply", path=os.fsdecode(b"/etc/\xff"), words=("a", "b"), number=1.5, nothing=None)
    fields = log.entries()[-1].fields
    assert fields["words"] == ["a", "b"]
    assert log.verify().ok


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from snapshots.sessionlog import SessionLog\n"
        "log = SessionLog(Path(sys.argv[1]), user=sys.argv[2], syslog=False)\n"
        "for n in range(40): log.append('apply', step=str(n))\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), user])
        for user in ("alice", "bob", "carol")
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    log = SessionLog(tmp_path, syslog=False)
    assert log.verify().ok
    assert log.verify().entries == 120


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "sessions.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(SnapshotError, match=r"sessions\.jsonl cannot be written"):
        SessionLog(tmp_path, syslog=False).append("apply", step="a")


def test_a_full_disk_leaves_the_log_sound(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(SnapshotError, match="No space left"):
            log.append("apply", step="lost")
    assert log.verify().ok
    assert log.append("apply", step="next").seq == 6


def test_syslog_gets_no_values_and_no_forged_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import syslog

    said: list[tuple[int, str]] = []
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/dev/log")
    monkeypatch.setattr(syslog, "syslog", lambda level, text: said.append((level, text)))
    log = SessionLog(tmp_path, user="alice")
    log.append("apply", step="a b\nroot", values={"password": "hidden"})
    log.append("set", step="x", value="hidden")
    assert len(said) == 1
    level, text = said[0]
    assert level == syslog.LOG_NOTICE
    assert text.startswith("apply by=alice step=a_b_root entry=1 hash=")
    assert "hidden" not in text
