"""A guided run on the screen: what stands above, what a page says, and which keys go on."""

from __future__ import annotations

from collections.abc import Sequence

from snapshots.guide_model import Guide
from steps.model import Stage
from steps.todo import Todo
from steps.window_model import BY_WINDOW
from tui.board import DONE, STAGE_TITLES, Board
from tui.lead import PAGE_TITLES, PAGES, Page
from tui.running import Work, ending
from tui.text import BLANK, Line, Span, aligned, counted, paragraph
from tui.theme import STATUS_MEANINGS
from tui.views import preview, step
from tui.views import todo as todo_view
from tui.views.history import when
from tui.wire import PlanAnswer


def title(
    board: Board, stage: Stage, order: Sequence[str], step_id: str, pages: Sequence[Page],
    page: Page, width: int,
) -> list[Line]:  # fmt: skip
    """The stage with its count, and the pages with the one that is shown in brackets."""
    counts = board.counts(order)
    done: Line = ((f"{counts.done} of {counts.total} done", "dim"),)
    if not step_id:
        return [aligned(((f"{STAGE_TITLES[stage]}: the end of the run", "bold"),), done, width)]
    place = f"step {order.index(step_id) + 1}: " if step_id in order else ""
    name: Line = ((f"{STAGE_TITLES[stage]}, {place}", "bold"), (step_id, "key"))
    return [aligned(name, done, width), tabs(pages, page)]


def tabs(pages: Sequence[Page], page: Page) -> Line:
    """ "[1 Why]  2 State now   3 Change   4 Proof "; what is not there yet is dim."""
    spans: list[Span] = []
    for number, one in enumerate(PAGES, 1):
        text = f"{number} {PAGE_TITLES[one]}"
        if one == page:
            spans.append((f"[{text}]", "key"))
        else:
            spans.append((f" {text} ", "" if one in pages else "dim"))
        spans.append((" ", ""))
    return tuple(spans)


def why(board: Board, step_id: str, width: int) -> list[Line]:
    return [
        *step.head(board, step_id, width, narrow=False), BLANK, *step.why(board, step_id, width)
    ]  # fmt: skip


def state(board: Board, step_id: str, width: int) -> list[Line]:
    return [
        *step.head(board, step_id, width, narrow=False), BLANK,
        *step.state(board.results.get(step_id), width, board.drifted(step_id)),
    ]  # fmt: skip


def change(
    board: Board, step_id: str, width: int, guarded: Sequence[str], window_s: int
) -> list[Line]:
    """What applying it would do; of what only a person can tell, the question."""
    status = board.status(step_id)
    if step_id in BY_WINDOW:
        return _by_window(board, step_id, width)
    head = [*step.head(board, step_id, width, narrow=False), BLANK]
    if status == "manual":
        result = board.results[step_id]
        questions = [one.note for one in result.findings if one.note and one.ok is None]
        return [
            *head,
            *(line for text in questions or [result.note] for line in paragraph(text, width)),
            BLANK,
            *paragraph(
                "No program can measure this. Look, then answer for it with t: your name, the date "
                "and your note are kept, and it is asked again after a year.", width, "dim",
            ),
        ]  # fmt: skip
    plan = board.plans.get(step_id)
    lines = preview.plan_lines(plan, width, guarded, window_s)
    if isinstance(plan, PlanAnswer) and preview.refusals(plan) and not preview.can_change(plan):
        lines += [BLANK, *paragraph(
            "It stays open. l puts it off: the list of what is left (T) keeps the reason.",
            width, "dim",
        )]  # fmt: skip
    return [*head, *lines]


_IN_WINDOW = {
    "window.open": "a shows the update window, where o opens one: how long, and which databases "
    "to keep, are asked there. Then come back here with Esc, and go on with Enter.",
    "window.application": "a shows the update window, where s opens a shell for the application's "
    "own update. When it is made, come back here with Esc, and go on with Enter.",
    "window.close": "a shows the update window, where c closes it: it seals again, checks "
    "everything, and shows what changed.",
}


def _by_window(board: Board, step_id: str, width: int) -> list[Line]:
    result = board.results.get(step_id)
    lines = [*step.head(board, step_id, width, narrow=False), BLANK]
    for finding in result.findings if result is not None else ():
        lines += paragraph(f"Now: {finding.running}.", width)
    return [*lines, BLANK, *paragraph(_IN_WINDOW[step_id], width)]


def proof(board: Board, step_id: str, work: Work | None, width: int) -> list[Line]:
    """How the work on the step ended, and the answers of the host after it."""
    lines = [*step.head(board, step_id, width, narrow=False), BLANK]
    if work is not None and work.done is not None:
        word, role = ending(work.done.exit)
        lines += [((word[:1].upper() + word[1:], role),), *paragraph(work.done.summary, width)]
        lines.append(BLANK)
    if board.checking:
        return [*lines, (("Asking the host again…", "dim"),)]
    status = board.status(step_id)
    asked = "Asked again" if work is not None else "Asked"
    meaning = next((text for one, text in STATUS_MEANINGS.items() if one == status), "")
    lines += paragraph(f"{asked}: {meaning}.", width, "ok" if status in DONE else "warn")
    undoable = board.undoable(step_id)
    if undoable:
        lines += paragraph(f"Transaction {undoable[0].id}; u undoes it at any time.", width, "dim")
    result = board.results.get(step_id)
    if result is not None and result.note:
        lines += [BLANK, *paragraph(result.note, width)]
    for finding in result.findings if result is not None else ():
        lines += [BLANK, *step.finding_lines(finding, width)]
    return lines


def end(
    board: Board, stage: Stage, order: Sequence[str], later: Sequence[str],
    todo: Todo | str | None, width: int,
) -> list[Line]:  # fmt: skip
    """Everything of the stage was come to: what was done, and what is left to a person."""
    counts = board.counts(order)
    lines = paragraph(f"You were led through “{STAGE_TITLES[stage]}”.", width, "bold")
    lines += [BLANK, *paragraph(f"{counts.sentence()}.", width)]
    if later:
        lines += paragraph(f"Put off: {', '.join(later)}.", width, "warn")
    return [*lines, BLANK, *todo_view.lines(todo, width)]


def keys(
    page: Page | None, status: str, *, undoable: bool, parameters: bool
) -> list[tuple[str, str, bool]]:
    """The keys that mean something on this page; with `page` None, at the end of the run."""
    if page is None:
        found = [("e", "export"), ("T", "to do"), ("←", "back"), ("g", "from the start"),
                 ("Enter", "close")]  # fmt: skip
        return [(key, label, True) for key, label in found]
    found = [("Enter", "go on")] if page != "change" else []
    if page == "change":
        what = {"manual": ("t", "attest"), "window": ("a", "window")}
        found.append(what.get(status, ("a", "apply")))
        found += [("Enter", "go on")] if status == "window" else [("x", "leave out")]
        found.append(("l", "later"))
    if page == "proof" and undoable:
        found.append(("u", "undo"))
    if parameters and page in ("why", "change"):
        found.append(("e", "values"))
    found += [("←", "back"), ("n", "next step"), ("T", "to do"), ("Esc", "stop here")]
    return [(key, label, True) for key, label in found]


def resumed(guide: Guide) -> str:
    """Said when a run goes on: who stopped it, and when."""
    off = f"; {counted(len(guide.later), 'step')} put off" if guide.later else ""
    return f"Goes on where {guide.by} stopped, {when(guide.when)} UTC{off}. g starts it over."
