"""Drafts that apt and dpkg leave where they find no room: they go, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from host.base import FileState
from host.practice import PracticeHost
from snapshots import scraps

LONG_AGO, LATER = "2020-01-01T00:00:00+00:00", "2090-01-01T00:00:00+00:00"

STATES = "/var/lib/apt/extended_states"
DRAFT = f"{STATES}.o3FORh"
JOURNAL = "/var/lib/dpkg/updates/tmp.i"
CONTROL = "/var/lib/dpkg/tmp.ci/control"
LINK = "/usr/sbin/ebtables.dpkg-tmp"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PracticeHost:
    monkeypatch.setattr(PracticeHost, "changed_ns", lambda *_: time.time_ns())
    made = PracticeHost(tmp_path / "host")
    for path in (STATES, DRAFT, JOURNAL, CONTROL, LINK):
        parts = path.split("/")
        for depth in range(2, len(parts)):
            above = "/".join(parts[:depth])
            if made.state(above) is None:
                made.put(above, FileState(kind="dir", mode=0o755))
    for path in (DRAFT, JOURNAL, CONTROL):
        made.write_file(path, b"half\n", FileState(kind="file", mode=0o644))
    link(made, LINK, "/etc/alternatives/ebtables")
    return made


def link(host: PracticeHost, path: str, target: str) -> None:
    state = FileState(kind="symlink", mode=0o777, target=target)
    host.put(path, state)


def there(host: PracticeHost, *paths: str) -> list[str]:
    return [path for path in paths if host.state(path) is not None]


def test_drafts_go(host: PracticeHost) -> None:
    scraps.clear(host, LONG_AGO)
    assert there(host, DRAFT, JOURNAL, CONTROL, LINK) == []


def test_what_was_there_before_and_what_is_no_draft_stays(host: PracticeHost) -> None:
    link(host, "/usr/sbin/mine.dpkg-tmp", "/opt/mine")
    host.write_file("/usr/sbin/yours.dpkg-tmp", b"#!/bin/sh\n")
    kept = ("/usr/sbin/mine.dpkg-tmp", "/usr/sbin/yours.dpkg-tmp")
    scraps.clear(host, LATER)
    assert there(host, DRAFT, LINK) == [DRAFT, LINK]
    scraps.clear(host, LONG_AGO)
    assert there(host, *kept) == list(kept)


def test_while_dpkg_has_to_go_on_its_journal_stays(host: PracticeHost) -> None:
    host.write_file("/var/lib/dpkg/updates/0001", b"Package: ufw\n")
    scraps.clear(host, LONG_AGO)
    assert there(host, JOURNAL) == [JOURNAL]
