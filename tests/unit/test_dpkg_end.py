"""What dpkg left for later is done before a change counts as taken back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host.base import CommandFailed, Completed
from host.practice import PracticeHost
from snapshots.dpkg_end import JOURNAL, bring_to_its_end
from snapshots.model import SnapshotError
from snapshots.progress import Silent


class Dpkg(PracticeHost):
    """dpkg has this left, and ends so when it is asked to do it."""

    statuses = "bash\tinstalled\nlibc-bin\ttriggers-pending\n"
    journal: Sequence[str] = ()
    ends = 0
    asked = 0

    def listdir(self, path: str) -> list[str]:
        assert path == JOURNAL
        return list(self.journal)

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        if argv[0] == "dpkg-query":
            return Completed(tuple(argv), 0, self.statuses, "", 0.0)
        assert argv == ("dpkg", "--configure", "--pending")
        self.asked += 1
        done = Completed(tuple(argv), self.ends, "", "dpkg: error: no space", 0.0)
        if self.ends:
            raise CommandFailed(done)
        return done


@pytest.fixture
def host(tmp_path: Path) -> Dpkg:
    return Dpkg(tmp_path / "host")


def test_a_trigger_runs(host: Dpkg) -> None:
    assert bring_to_its_end(host, Silent()) == "" and host.asked == 1


def test_its_journal_is_written_to_its_status(host: Dpkg) -> None:
    host.statuses, host.journal = "bash\tinstalled\n", ["0000"]
    assert bring_to_its_end(host, Silent()) == "" and host.asked == 1


def test_where_nothing_is_left_it_is_not_asked(host: Dpkg) -> None:
    host.statuses = "bash\tinstalled\n"
    assert bring_to_its_end(host, Silent()) == "" and host.asked == 0


def test_a_full_disk_leaves_it_to_recover(host: Dpkg) -> None:
    host.ends = 2
    with pytest.raises(SnapshotError, match=r"triggers of libc-bin.*no space"):
        bring_to_its_end(host, Silent())


def test_a_trigger_that_fails_is_said_and_no_dead_end(host: Dpkg) -> None:
    host.ends = 1
    assert "triggers of libc-bin" in bring_to_its_end(host, Silent())
