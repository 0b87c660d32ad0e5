"""What another session changed meanwhile is noticed where it is looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from snapshots.model import TransactionRecord
from tests.tui.test_terminal import opened
from tui.board import has_news, outdated

CHANGED = "Another session changed this host; r checks again."


def test_a_change_of_another_session_is_seen_when_the_history_is_opened(tmp_path: Path) -> None:
    others = tmp_path / "others"
    with opened({"RECORDED_OTHERS": str(others)}) as terminal:
        terminal.press("3")
        terminal.wait_for("1 transaction ")
        terminal.wait_for("Touched 1 thing")
        terminal.press("1")
        terminal.wait_for("[1 Checklist]")
        terminal.press("3")
        terminal.settle()
        assert CHANGED not in terminal.text
        terminal.press("1")
        terminal.wait_for("[1 Checklist]")
        others.touch()
        terminal.press("3")
        terminal.wait_for("2 transactions")
        terminal.wait_for(CHANGED)
        terminal.press("\x1b[F")
        terminal.wait_for("Left to it since ssh.limits was undone")  # asked anew
        terminal.press("1")
        terminal.wait_for(CHANGED)
        terminal.press("r")
        terminal.wait_for(lambda text: CHANGED not in text)


def record(number: int, **changes: Any) -> TransactionRecord:
    first = TransactionRecord(
        id=f"{number}", kind="apply", steps=("a.b",), title="", status="committed", started=""
    )
    return msgspec.structs.replace(first, **changes)


def test_what_is_known_of_a_transaction_holds_until_it_or_a_later_one_changes() -> None:
    known = [record(1), record(2), record(3)]
    assert outdated(known, known) == frozenset()
    assert outdated(known, [record(1), record(2, status="undone"), record(3)]) == {"1", "2"}
    assert outdated(known, [*known, record(4)]) == {"1", "2", "3"}
    assert outdated([], known) == frozenset()


def test_a_window_that_closed_by_itself_is_no_other_session() -> None:
    window = record(1, kind="window", status="under-way")
    assert not has_news([window], [record(1, kind="window")])
    assert has_news([window], [window, record(2)])
    assert has_news([record(1)], [record(1, status="undone")])
