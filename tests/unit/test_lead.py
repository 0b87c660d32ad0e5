"""Where a guided run goes next: round, past what is done or put off, and through a window."""

from __future__ import annotations

from steps.model import Status, StepResult
from tui import lead
from tui.board import Board


def board(**statuses: Status) -> Board:
    made = Board()
    for name, status in statuses.items():
        step = name.replace("_", ".")
        made.take_result(StepResult(id=step, stage="update-window", title=step, status=status))
    return made


def test_on_and_round_past_what_is_done_or_put_off() -> None:
    known = board(a="fail", b="pass", c="unknown", d="manual", e="waived")
    order = known.order
    assert lead.following(known, order, "", ()) == "a"
    assert lead.following(known, order, "a", ()) == "c"
    assert lead.following(known, order, "d", ()) == "a", "what was passed by is come to again"
    assert lead.following(known, order, "d", ["a"]) == "c"
    assert lead.following(known, order, "d", ["a", "c"]) == "", "the run is over"


def test_a_run_goes_on_where_it_stood_if_something_is_left_there() -> None:
    known = board(a="fail", b="pass", c="fail")
    assert lead.resumes_at(known, known.order, "c", ()) == "c"
    assert lead.resumes_at(known, known.order, "b", ()) == "c", "somebody else did it"
    assert lead.resumes_at(known, known.order, "c", ["c"]) == "a"
    assert lead.resumes_at(known, known.order, "gone", ()) == "a"


def test_back_leaves_out_what_is_no_matter_of_this_host() -> None:
    known = board(a="pass", b="not-applicable", c="fail")
    assert lead.before(known, known.order, "c") == "a"
    assert lead.before(known, known.order, "a") == ""
    assert lead.before(known, known.order, "") == "c", "from the end of the run"


def test_a_window_is_opened_and_used_although_nothing_fails() -> None:
    closed = board(
        window_open="not-applicable", window_application="not-applicable",
        window_close="not-applicable",
    )  # fmt: skip
    assert lead.following(closed, closed.order, "", ()) == "window.open"
    assert lead.following(closed, closed.order, "window.open", (), ["window.open"]) == ""
    opened = board(window_open="pass", window_application="pass", window_close="fail")
    seen = ["window.open"]
    assert lead.following(opened, opened.order, "window.open", (), seen) == "window.application"
    seen.append("window.application")
    assert lead.following(opened, opened.order, "window.application", (), seen) == "window.close"
    assert lead.resumes_at(opened, opened.order, "window.application", ()) == "window.application"
    assert lead.of_window(board(a="fail")) == set(), "only where the checklist has them"


def test_a_proof_is_there_once_something_was_done() -> None:
    assert lead.pages_of("a", "fail", tried=False) == ("why", "state", "change")
    assert lead.pages_of("a", "fail", tried=True)[-1] == "proof"
    assert lead.pages_of("a", "waived", tried=False)[-1] == "proof"
    assert lead.pages_of("a", "not-applicable", tried=False) == ("why", "state")
    assert "proof" not in lead.pages_of("window.close", "pass", tried=False)
