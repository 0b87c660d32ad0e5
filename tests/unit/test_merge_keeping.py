"""Merging what merges: where both changed the same lines, one side stays."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from snapshots.merge import merge3
from snapshots.merge_keeping import merge_keeping
from tests.unit.test_merge import CONTENT


@given(base=CONTENT, ours=CONTENT, theirs=CONTENT)
@settings(max_examples=400)
def test_what_merges_is_merged_and_what_only_ours_has_stays(
    base: bytes, ours: bytes, theirs: bytes
) -> None:
    merged = merge_keeping(base, ours, theirs)
    whole = merge3(base, ours, theirs)
    if whole is not None:
        assert merged == whole
        return
    assert merged is not None
    known = set(base.split(b"\n")) | set(theirs.split(b"\n"))
    only_ours = Counter(line for line in ours.split(b"\n") if line not in known)
    assert not only_ours - Counter(merged.split(b"\n"))


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        # A step wrote three lines into a new file, and one of them was changed since.
        ("a 1\nb 2\nc 3\n", "a 1\nb 9\nc 3\n", "", "b 9\n"),
        # One of them was taken out since: the others go.
        ("x\nA\nB\nC\n", "x\nB\nC\n", "x\n", "x\n"),
        ("x\nA\nB\nC\n", "x\nA\nC\n", "x\n", "x\n"),
        ("x\nA\nB\nC\ny\n", "x\nC\nmine\ny\n", "x\ny\n", "x\nmine\ny\n"),
        ("A\nB\nC\n", "B\nC\n", "", ""),
        # It replaced three lines one for one, and the middle one was changed since.
        ("A\nB\nC\n", "A\nmine\nC\n", "a\nb\nc\n", "a\nmine\nc\n"),
        # What it removed comes back beside what was changed in another place.
        ("x\ny\nz 1\n", "x\ny\nz 2\n", "x\nremoved\ny\nz 0\n", "x\nremoved\ny\nz 2\n"),
        # One line became another, and another since: nothing can be told apart.
        ("Port 1022\n", "Port 2022\n", "Port 22\n", "Port 2022\n"),
    ],
)
def test_one_changed_line_keeps_only_itself(base: str, ours: str, theirs: str, merged: str) -> None:
    assert merge3(base.encode(), ours.encode(), theirs.encode()) is None
    assert merge_keeping(base.encode(), ours.encode(), theirs.encode()) == merged.encode()


def test_what_is_no_text_is_not_merged() -> None:
    assert merge_keeping(b"\0a", b"\0b", b"\0c") is None
