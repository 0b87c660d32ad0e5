"""Merging three ways: what undo in any order rests on."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.merge import merge3, merge_lists

LINE = st.sampled_from([b"a", b"b", b"c", b"", b"}", b"\xff\xfe", b"Port 22", b"x:1"])
CONTENT = st.builds(
    lambda lines, newline: b"\n".join(lines) + (b"\n" if newline and lines else b""),
    st.lists(LINE, max_size=8),
    st.booleans(),
)


@given(base=CONTENT, theirs=CONTENT)
def test_without_drift_the_merge_is_theirs(base: bytes, theirs: bytes) -> None:
    assert merge3(base, base, theirs) == theirs
    assert merge3(base, theirs, base) == theirs
    assert merge3(base, theirs, theirs) == theirs


@given(base=CONTENT, ours=CONTENT, theirs=CONTENT)
@settings(max_examples=300)
def test_no_line_that_only_ours_has_is_lost(base: bytes, ours: bytes, theirs: bytes) -> None:
    merged = merge3(base, ours, theirs)
    if merged is None:
        return
    known = set(base.split(b"\n")) | set(theirs.split(b"\n"))
    only_ours = Counter(line for line in ours.split(b"\n") if line not in known)
    assert not only_ours - Counter(merged.split(b"\n"))


@given(
    kept=st.lists(st.integers(0, 10**6), min_size=6, max_size=20, unique=True),
    data=st.data(),
)
def test_disjoint_edits_both_survive(kept: list[int], data: st.DataObject) -> None:
    base = [b"line %d" % number for number in kept]
    half = len(base) // 2
    mine = data.draw(st.integers(0, half - 2))
    undone = data.draw(st.integers(half, len(base) - 1))
    ours, theirs, both = list(base), list(base), list(base)
    ours[mine] = both[mine] = b"changed by an administrator"
    theirs[undone] = both[undone] = b"as it was before"
    joined = [b"\n".join(lines) + b"\n" for lines in (base, ours, theirs, both)]
    assert merge3(*joined[:3]) == joined[3]


@given(
    start=st.lists(st.integers(0, 10**6).map(lambda n: b"l%d" % n), max_size=5, unique=True),
    blocks=st.permutations([[b"one", b"1"], [b"two", b"2"], [b"three"]]),
    order=st.permutations([0, 1, 2]),
    newline=st.booleans(),
)
def test_appends_are_undone_in_any_order(
    start: list[bytes], blocks: list[list[bytes]], order: list[int], newline: bool
) -> None:
    """Three transactions append; undone in any order, the first state comes back exactly."""
    first = b"\n".join(start) + (b"\n" if newline and start else b"")
    states = [first]
    for block in blocks:
        before = states[-1]
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        states.append(before + gap + b"\n".join(block) + b"\n")
    now = states[-1]
    for index in order:
        merged = merge3(states[index + 1], now, states[index])
        assert merged is not None
        assert not set(merged.split(b"\n")) & set(blocks[index])
        now = merged
    assert now == first


def test_an_appended_account_goes_and_the_next_one_stays() -> None:
    before = b"root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n"
    after = before + b"first:x:1001:1001::/srv:/bin/sh\n"
    now = after + b"second:x:1002:1002::/srv:/bin/sh\n"
    assert merge3(after, now, before) == before + b"second:x:1002:1002::/srv:/bin/sh\n"


def test_a_neighbouring_line_changed_later_stays() -> None:
    assert merge3(b"a\nNEW\nc\n", b"a\nNEW\nC\n", b"a\nold\nc\n") == b"a\nold\nC\n"


def test_the_same_line_changed_by_both_is_a_conflict() -> None:
    assert merge3(b"a\nNEW\nc\n", b"a\nNEWER\nc\n", b"a\nold\nc\n") is None


def test_two_insertions_at_one_place_are_a_conflict() -> None:
    assert merge3(b"a\nb\n", b"a\nx\nb\n", b"a\ny\nb\n") is None


def test_what_both_sides_changed_alike_is_taken_once() -> None:
    assert merge3(b"a\nb\nc\nd\n", b"a\nB\nc\nd\ne\n", b"a\nB\nc\nD\n") == b"a\nB\nc\nD\ne\n"


def test_a_line_that_was_moved_elsewhere_is_found_and_removed() -> None:
    assert merge3(b"x\na\nb\nc\n", b"a\nb\nc\nx\n", b"a\nb\nc\n") == b"a\nb\nc\n"


def test_of_a_line_added_again_one_is_left() -> None:
    now = b"x\na\nb\nc\nx\n"
    assert merge3(b"x\na\nb\nc\n", now, b"a\nb\nc\n") == b"a\nb\nc\nx\n"


def test_which_of_two_equal_lines_is_meant_is_not_guessed() -> None:
    assert merge3(b"x\n", b"x\ny\nx\n", b"w\n") is None


def test_blocks_between_blank_lines() -> None:
    first = b"Host a\n  Port 1\n\n"
    second = first + b"Host b\n  Port 2\n\n"
    third = second + b"Host c\n  Port 3\n\n"
    assert merge3(second, third, first) == first + b"Host c\n  Port 3\n\n"


def test_carriage_returns_and_other_encodings_are_kept() -> None:
    assert merge3(b"\xe4\r\nb\r\n", b"\xe4\r\nb\r\nc\r\n", b"\xf6\r\nb\r\n") == (
        b"\xf6\r\nb\r\nc\r\n"
    )


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        (b"a\nx", b"a\nx\ny\n", b"a\n", b"a\ny\n"),
        (b"a\nx\n", b"A\nx\n", b"a\nx", b"A\nx"),
        (b"a\nx", b"A\nx", b"a\nx\n", b"A\nx\n"),
        (b"a\n\n", b"A\n\n", b"a", b"A"),
    ],
)
def test_the_newline_at_the_end(base: bytes, ours: bytes, theirs: bytes, merged: bytes) -> None:
    assert merge3(base, ours, theirs) == merged


def test_binary_files_are_not_merged_line_by_line() -> None:
    assert merge3(b"\0a\nb\n", b"\0a\nb\nc\n", b"\0x\nb\n") is None
    assert merge3(b"\0a\n", b"\0a\n", b"\0b\n") == b"\0b\n"


def test_long_files_are_merged_in_no_time() -> None:
    lines = [b"line %d" % n if n % 3 == 0 else (b"" if n % 3 == 1 else b"}") for n in range(12000)]
    base = b"\n".join(lines)
    ours = b"\n".join([b"first", *lines[:-1], b"last"])
    theirs = b"\n".join([*lines[:60], *lines[61:-60], *lines[-59:]])
    same = b"x\n" * 100_000
    began = time.monotonic()
    merged = merge3(base, ours, theirs)
    assert merged is not None
    assert merged.startswith(b"first\n") and merged.endswith(b"\nlast")
    older = b"y\n" + same[4:] + b"z\n"
    around = merge3(same, b"a\n" + same + b"b\n", older) == b"a\n" + older + b"b\n"
    assert around, "no equality of the contents here: explaining it would take minutes"
    assert time.monotonic() - began < 5


def test_lists_of_rules() -> None:
    assert merge_lists(["a", "mine"], ["a", "mine", "f2b"], ["a"]) == ["a", "f2b"]
    assert merge_lists(["a"], ["b"], ["c"]) is None


@pytest.mark.skipif(shutil.which("diff3") is None, reason="diff3 (diffutils) is not installed")
@given(base=st.lists(LINE, max_size=8), ours=st.lists(LINE, max_size=8), theirs=st.lists(LINE))
@settings(max_examples=80, deadline=None)
def test_where_diff3_merges_we_merge_alike_or_refuse(
    base: list[bytes],
    ours: list[bytes],
    theirs: list[bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Lines that repeat are aligned differently by both, so the lines are made unlike first."""
    directory = tmp_path_factory.mktemp("diff3", numbered=True)
    sides = [_numbered(side) for side in (base, ours, theirs)]
    paths = [directory / name for name in ("base", "ours", "theirs")]
    for path, content in zip(paths, sides, strict=True):
        path.write_bytes(content)
    said = _diff3(paths[1], paths[0], paths[2])
    merged = merge3(*sides)
    if said is not None and merged is not None:
        assert merged == said


def _numbered(lines: list[bytes]) -> bytes:
    seen: Counter[bytes] = Counter()
    out = []
    for line in lines:
        seen[line] += 1
        out.append(b"%s#%d\n" % (line, seen[line]))
    return b"".join(out)


def _diff3(ours: Path, base: Path, theirs: Path) -> bytes | None:
    done = subprocess.run(
        ["diff3", "-m", str(ours), str(base), str(theirs)], capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None
