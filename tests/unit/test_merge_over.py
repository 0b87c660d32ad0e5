"""A step's lines come back, whatever was made of them; every other line stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.merge_over import merge_over

STEP = b"# by a step\nMaxTries 3\nGrace 30\n"
MAIN = b"Port 22\nMaxTries 6\nGrace 120\nX11 yes\n"
EDITED_BY_STEP = b"Port 22\nMaxTries 3\nGrace 120\nX11 yes\nGuard on\n"


@pytest.mark.parametrize(
    ("before", "expected", "now", "merged"),
    [
        pytest.param(b"", STEP, b"# by a step\nMaxTries 6\nGrace 30\nMine 1\n",
                     b"# by a step\nMaxTries 3\nGrace 30\nMine 1\n", id="changed, and added"),
        pytest.param(b"", STEP, b"# by a step\nGrace 30\n", STEP, id="a line taken out"),
        pytest.param(b"", STEP, b"# by a step\n#MaxTries 3\nGrace 30\n", STEP, id="commented out"),
        pytest.param(b"", STEP, b"# by a step\nMaxTries 6\nMine 1\nGrace 30\n",
                     b"# by a step\nMaxTries 3\nMine 1\nGrace 30\n", id="one line became two"),
        pytest.param(b"", STEP, b"", STEP, id="emptied"),
        pytest.param(b"", STEP, b"Mine 1\nMine 2\n", STEP + b"Mine 1\nMine 2\n", id="rewritten"),
        pytest.param(MAIN, EDITED_BY_STEP, MAIN + b"Mine 1\n",
                     EDITED_BY_STEP + b"Mine 1\n", id="as before the step, with an edit"),
        pytest.param(MAIN, EDITED_BY_STEP,
                     b"Port 2222\nMaxTries 5\nGrace 120\nX11 yes\nGuard on\n",
                     b"Port 2222\nMaxTries 3\nGrace 120\nX11 yes\nGuard on\n",
                     id="the step's line and the one above it"),
        pytest.param(b"a\nold\nb\n", b"a\nb\nnew\n", b"a\nold\nb\nother\n", b"a\nb\nnew\nother\n",
                     id="what the step took out came again"),
        pytest.param(b"H a 1\n", b"H a 1\nH b 1\n", b"H a 1\nH b 2\nH c 1\n",
                     b"H a 1\nH b 1\nH c 1\n", id="only the likest line of the same name goes"),
        pytest.param(b"", b"a\n" * 4, b"x\na\nz\na\na\ny\n", b"x\nz\na\na\na\na\ny\n",
                     id="equal lines, one of them gone, are not too many afterwards"),
    ],
)  # fmt: skip
def test_what_comes_back_and_what_stays(
    before: bytes, expected: bytes, now: bytes, merged: bytes
) -> None:
    assert merge_over(before, expected, now) == merged


def test_what_is_no_text_is_not_merged() -> None:
    assert merge_over(b"", b"a\n", b"a\0\n") is None


lines = st.lists(st.sampled_from([b"alpha 1", b"beta 2", b"gamma 3", b"delta 4"]), max_size=4)
theirs = st.lists(st.sampled_from([b"x 1", b"y 2", b"z 3"]), max_size=3, unique=True)


@given(lines, theirs, st.data())
def test_no_line_of_the_step_and_none_of_the_administrator_is_lost(
    step: list[bytes], mine: list[bytes], data: st.DataObject
) -> None:
    kept = [line for line in step if data.draw(st.booleans())]
    mixed = list(kept)
    for line in mine:
        mixed.insert(data.draw(st.integers(0, len(mixed))), line)
    merged = merge_over(b"", _text(step), _text(mixed))
    assert merged is not None
    found = merged.splitlines()
    assert [line for line in found if line in step] == step
    assert sorted(line for line in found if line in mine) == sorted(mine)


def _text(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
