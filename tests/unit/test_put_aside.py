"""What an upgrade puts aside, told by content and time from what scripts make."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host.base import Completed, FileState
from host.practice import PracticeHost
from snapshots.decision import Later, by_key
from snapshots.drift_origin import Deed
from snapshots.model import Delta, FileItem, Item, TransactionRecord
from snapshots.put_aside import edited
from tests.unit.undo_world import text

CONF = "/etc/thing/main.conf"
STARTED, ENDED, DEED = 1_764_000_000, 1_764_000_010, 1_764_000_500
PACKAGED, OURS, THEIRS = "packaged\n", "packaged\nours\n", "packaged\nmine\n"


def md5(content: str) -> str:
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


class Host(PracticeHost):
    """dpkg knows one configuration file; ucf another."""

    def run(self, argv: Sequence[str], **how: Any) -> Completed:
        if tuple(argv[:2]) == ("dpkg-query", "-W"):
            return Completed(tuple(argv), 0, f" {CONF} {md5(PACKAGED)}\n", "", 0.0)
        return super().run(argv, **how)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path / "host")
    for folder in ("/etc/thing", "/var/lib/ucf"):
        parts = folder.split("/")
        for number in range(2, len(parts) + 1):
            above = "/".join(parts[:number])
            if made.state(above) is None:
                made.put(above, FileState(kind="dir", mode=0o755))
    made.write_file("/var/lib/ucf/hashfile", f"{md5('new')}  /etc/thing/ucf.conf\n".encode())
    made.write_file("/var/lib/ucf/hashfile.0", f"{md5('old')}  /etc/thing/ucf.conf\n".encode())
    return made


def record(tx_id: str = "1", started: int = STARTED) -> TransactionRecord:
    when = [f"2025-11-24T16:{at // 60:02}:{at % 60:02}+00:00" for at in (0, ENDED - started)]
    return TransactionRecord(
        id=tx_id, kind="apply", steps=("x",), title="", status="committed",
        started=when[0], ended=when[1],
    )  # fmt: skip


def written(content: str, at_s: float) -> Item:
    item = text(content)
    state = item.state
    return FileItem(
        FileState(kind="file", mode=0o644, sha256=state.sha256, mtime_ns=int(at_s * 10**9))
    )


def asked(
    host: Host, path: str, content: str, at_s: float, *, later: tuple[Delta, ...] = ()
) -> bool:
    host.write_file(path, content.encode())
    found = edited(
        host, [path], record(), [Delta("files", CONF, None, text(OURS))],
        [Later(record(str(n)), by_key([delta])) for n, delta in enumerate(later, 2)],
        [Deed("thing", "upgrade", "1", "2", DEED, DEED + 1)], ["thing"],
        {path: written(content, at_s)},
    )  # fmt: skip
    return found == {path}


@pytest.mark.parametrize(
    ("path", "content", "is_asked"),
    [
        (f"{CONF}.dpkg-old", THEIRS, True),
        (f"{CONF}.dpkg-old", OURS, False),
        (f"{CONF}.dpkg-dist", PACKAGED, False),
        (f"{CONF}.dpkg-dist", THEIRS, True),
        ("/etc/thing/ucf.conf.ucf-old", "old", False),
        ("/etc/thing/ucf.conf.ucf-old", "mine", True),
        ("/etc/thing/ucf.conf.ucf-dist", "new", False),
    ],
)
def test_what_dpkg_and_ucf_put_aside(host: Host, path: str, content: str, is_asked: bool) -> None:
    for at_s in (STARTED - 1000, ENDED + 100):  # the time says nothing: dpkg renames
        assert asked(host, path, content, at_s) is is_asked


def test_what_a_later_step_left_is_known_unless_it_found_an_edit(host: Host) -> None:
    old, content = f"{CONF}.dpkg-old", "packaged\nours\ntheirs\n"
    theirs = Delta("files", CONF, text(OURS), text(content))
    assert not asked(host, old, content, ENDED + 100, later=(theirs,))
    with_edit = Delta("files", CONF, text(THEIRS), text(content))
    assert asked(host, old, content, ENDED + 100, later=(with_edit,))


@pytest.mark.parametrize(
    ("at_s", "is_asked"),
    [
        (ENDED + 100, True),  # copied with its time, or moved, while dpkg was at work
        (DEED + 0.5, False),  # a script wrote it
        (STARTED + 1, False),  # what the installation wrote
        (STARTED - 10**6, False),  # of the package's own data
    ],
)
def test_what_was_written_before_dpkg_was_at_work_is_a_persons(
    host: Host, at_s: float, is_asked: bool
) -> None:
    assert asked(host, f"{CONF}.keep", "whatever\n", at_s) is is_asked


def test_what_ucf_copied_with_the_time_of_its_package_is_nobodys(host: Host) -> None:
    """An upgrade that was built after the installation brings a new configuration file."""
    for content, is_asked in (("new", False), ("mine", True)):
        assert asked(host, "/etc/thing/ucf.conf", content, ENDED + 100) is is_asked
