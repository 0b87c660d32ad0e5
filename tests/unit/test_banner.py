"""What a banner tells, and how it is taken out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from snapshots.model import WriteFile
from steps.resource import Planned, StepError
from steps.resources.banner import Banner
from steps.resources.banner_text import (
    AUTHORIZED,
    WIDTH,
    script_tells,
    tells,
    without_telling,
    wrapped,
)
from tests.unit.given import RELEASES, context, recorded

BODY = {"files": ["/etc/issue", "/etc/issue.net"], "exact": True, "motd": True}
KERNEL = "6.1.0-28-amd64"


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_fresh_host_tells(release: str) -> None:
    assert tells(recorded(release, "banners/issue.txt"), (release, KERNEL)) == [
        "Debian",
        "GNU/Linux",
    ]
    assert tells(recorded(release, "banners/issue.net.txt")) == ["Debian", "GNU/Linux"]
    motd = recorded(release, "banners/motd.txt")
    assert "Debian" in tells(motd)
    assert without_telling(motd) == ""
    assert script_tells(recorded(release, "banners/10-uname.txt")) == ["uname"]


def test_what_is_no_telling() -> None:
    assert tells(wrapped(AUTHORIZED), ("bookworm", KERNEL)) == []
    assert tells(r"\n on \l, debianized.example.org and my-debian") == []
    assert tells(r"Kernel \r on an \m (\l)") == [r"\r", r"\m"]
    assert tells(f"running {KERNEL}", ("", KERNEL)) == [KERNEL]
    assert script_tells("#!/bin/sh\n# not uname\necho hello\n") == []


def test_a_site_s_own_paragraphs_stay() -> None:
    text = "Welcome to web1.\n\nThis Debian server\nis ours.\n\nWiki: https://wiki.example.org\n"
    assert without_telling(text) == "Welcome to web1.\n\nWiki: https://wiki.example.org\n"


@given(st.text(), st.lists(st.text(max_size=12), max_size=3))
def test_nothing_is_left_that_tells(text: str, names: list[str]) -> None:
    left = without_telling(text, names)
    assert tells(left, names) == []
    assert without_telling(left, names) == left
    script_tells(text, names)


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "Zs"]), min_size=1))
def test_wrapping_keeps_the_words(text: str) -> None:
    lines = wrapped(text)
    assert lines.split() == text.split()
    assert all(len(line) <= WIDTH or " " not in line for line in lines.splitlines())


def planned(directory: Path, files: dict[str, tuple[str, int]], body: dict[str, object]) -> Planned:
    ctx = context(directory, kernel_release=KERNEL)
    for path, (text, mode) in files.items():
        ctx.host.write_file(path, text.encode(), FileState(kind="file", mode=mode))
    return Banner.parse("x.y", body).plan(ctx)


def test_a_wrong_text_or_mode_is_written_anew(tmp_path: Path) -> None:
    files = {"/etc/issue": (wrapped(AUTHORIZED), 0o666), "/etc/issue.net": ("Hello\n", 0o644)}
    changes = planned(tmp_path, files, BODY).changes
    assert [(one.path, one.mode) for one in changes if isinstance(one, WriteFile)] == [
        ("/etc/issue", 0o644),
        ("/etc/issue.net", 0o644),
    ]
    other = planned(tmp_path / "b", files, {"files": ["/etc/issue.net"]})
    assert other.changes == ()
    assert other.claims == (("files", "/etc/issue.net"),)


def test_a_text_that_names_the_system_is_refused() -> None:
    with pytest.raises(StepError, match="must not name the system"):
        Banner.parse("x.y", {"files": ["/etc/issue"], "text": "Debian at its best"})
    with pytest.raises(StepError, match="below /etc"):
        Banner.parse("x.y", {"files": ["/usr/../etc/issue"]})
