"""A guided run through a stage: where it goes next. No Textual, no effects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal

from steps.model import Stage
from steps.window_model import BY_WINDOW
from tui.board import DONE, Board

Page = Literal["why", "state", "change", "proof"]
PAGES: Final[tuple[Page, ...]] = ("why", "state", "change", "proof")

PAGE_TITLES: Final[dict[Page, str]] = {
    "why": "Why",
    "state": "State now",
    "change": "Change",
    "proof": "Proof",
}


def of_window(board: Board) -> set[str]:
    """What an update is led through although it is not open: opening a window, or, in one, the
    administrator's own part."""
    in_one = board.status("window.close") == "fail"
    return {"window.application" if in_one else "window.open"} & set(board.order)


def steps_of(board: Board, stage: Stage) -> list[str]:
    """The steps of a stage, in the checklist's order."""
    return [step_id for step_id in board.order if board.stage(step_id) == stage]


def following(
    board: Board,
    order: Sequence[str],
    after: str,
    later: Collection[str],
    seen: Collection[str] = (),
) -> str:
    """The next step with something left to do, from `after` on and round; empty where the run is
    over. What was put off is not come to again, nor what of a window was `seen`."""
    start = order.index(after) + 1 if after in order else 0
    around = [*order[start:], *order[:start]]
    window = of_window(board) - set(seen)
    return next(
        (
            one
            for one in around
            if (board.is_open(one) or one in window) and one not in later and one != after
        ),
        "",
    )


def before(board: Board, order: Sequence[str], this: str) -> str:
    """The step before this one that the run had to do with: everything but what is no matter of
    this host. Empty at the first."""
    end = order.index(this) if this in order else len(order)
    there = [one for one in order[:end] if board.status(one) not in ("not-applicable", "")]
    return there[-1] if there else ""


def resumes_at(board: Board, order: Sequence[str], at: str, later: Collection[str]) -> str:
    """Where a run goes on that stood at `at`: there, if it is still open, else at the next."""
    if at in order and at not in later and (board.is_open(at) or at in of_window(board)):
        return at
    return following(board, order, at, later)


def pages_of(step_id: str, status: str, *, tried: bool) -> tuple[Page, ...]:
    """What there is to read of a step: a proof once something was done about it."""
    if step_id in BY_WINDOW:
        return ("why", "state", "change")
    if status == "not-applicable":
        return ("why", "state")
    if status in DONE:
        return ("why", "state", "proof")
    return PAGES if tried else ("why", "state", "change")
