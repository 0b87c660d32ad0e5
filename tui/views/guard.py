"""What waits for a confirmation: the count-down, what to try, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from snapshots.typed import TYPED
from tui.text import BLANK, Line, Role, aligned, labelled, paragraph, wrap
from tui.waiting import Waiting, clock, spoken_window

_COLUMN = 22


def banner(waiting: Waiting, left_s: int, width: int, *, program: str = TYPED) -> list[Line]:
    """Above every place while something waits: what, how long, and what to do about it.

    `program`: what is typed to start it for this host and state.
    """
    confirm = f"{program} confirm"
    what: Line = (("! ", "warn"), (waiting.sentence, "warn"))
    lines = [
        aligned(what, (*_count(left_s), (" · ", "dim"), ("c", "key"), (" answers", "")), width)
    ]
    if waiting.login:
        lines += labelled("  New login", waiting.login, width, role="ok", column=_COLUMN)
        return [*lines, *labelled("  Keep it", f"c, or there: {confirm}", width, column=_COLUMN)]
    lines += labelled("  In a new terminal", waiting.attempt, width, role="bold", column=_COLUMN)
    return [*lines, *labelled("  and there", confirm, width, role="bold", column=_COLUMN)]


def _count(left_s: int) -> Line:
    if not left_s:
        return (("being taken back", "bad"),)
    return ((clock(left_s), "bold"), (" left", ""))


def title(waiting: Waiting, left_s: int, width: int) -> Line:
    """The first line of the question about it; nothing else in it changes each second."""
    if waiting.phase != "waiting":
        word = "Kept" if waiting.phase == "kept" else "Taken back"
        return ((f"{word}: {waiting.names}", "bold"),)
    return aligned(((waiting.sentence, "bold"),), _count(left_s), width)


def panel(waiting: Waiting, width: int, *, practice: bool, program: str = TYPED) -> list[Line]:
    """What has happened, what to try from a second terminal, and who has logged in since."""
    if waiting.phase != "waiting":
        return _ending(waiting, width)
    lines = paragraph(
        "It is made and proved, and in force. It is kept once somebody has logged in anew over SSH "
        "and confirms it. Otherwise it is taken back when the time is up: also if this line "
        "drops, this program is killed, or the host is started anew.", width,
    )  # fmt: skip
    lines += [
        BLANK,
        *_item("1  ", "Leave this session as it is. In a second terminal, try:", width),
        *_command(waiting.attempt, width),
        *_item("2  ", "If it lets you in, keep the change: press c here, or type there:", width),
        *_command(f"{program} confirm", width),
        BLANK,
    ]
    if waiting.login:
        lines += labelled("✓ New login", waiting.login, width, role="ok")
        lines += paragraph("The way in works: c keeps the change.", width, "bold")
    else:
        lines += labelled("? New login", "nobody yet", width, role="warn")
    if practice:
        lines += [BLANK, *paragraph(
            "Pretended here: on the practice host somebody logs in anew every ten seconds. On a "
            "server it is you who tries.", width, "dim",
        )]  # fmt: skip
    return lines


def _item(number: str, text: str, width: int, role: Role = "") -> list[Line]:
    pieces = wrap(text, width - len(number))
    blank = " " * len(number)
    return [((number if n == 0 else blank, role), (p, role)) for n, p in enumerate(pieces)]


def _command(command: str, width: int) -> list[Line]:
    return [((f"     {piece}", "key"),) for piece in wrap(command, width - 5, hanging=2)]


def _ending(waiting: Waiting, width: int) -> list[Line]:
    if waiting.phase == "kept":
        lines = paragraph("Confirmed: it stays, and nothing takes it back by itself.", width, "ok")
    else:
        lines = paragraph(waiting.reason or "It was taken back.", width, "bad")
    return [*lines, BLANK, *paragraph("The checklist is checked again.", width, "dim")]


def said(hint: str, warns: bool, width: int) -> list[Line]:
    """What came of a key, whole: a refusal says what to do next."""
    return [BLANK, *paragraph(hint, width, "warn" if warns else "info")] if hint else []


def why_without_login(waiting: Waiting, name: str, width: int) -> list[Line]:
    """Before it is kept although nobody has proved anything."""
    return [
        *paragraph(
            f"Nobody has logged in anew since this change ({waiting.names}). This session proves "
            "nothing: it began before. If the way in is shut now, keeping the change locks you "
            "out as soon as you leave.", width, "warn",
        ),
        BLANK,
        *labelled("Better try", waiting.attempt, width, role="key"),
        BLANK,
        *paragraph(f"To keep it all the same, type this host's name ({name}):", width),
    ]  # fmt: skip


def before_taking_back(waiting: Waiting, width: int) -> list[Line]:
    return paragraph(
        f"The host goes back to what it was before this change ({waiting.names}), now and not "
        "only when the time is up. It can be made again at any time.", width,
    )  # fmt: skip


def notice(window_s: int, width: int, *, undo: bool = False) -> list[Line]:
    """In a preview: that the step is guarded, what that means, and the time."""
    what = "The undo is taken back" if undo else "It is taken back"
    return _item("! ", (
        f"Guarded: you have {spoken_window(window_s)} to log in anew from a second terminal and "
        f"confirm. {what} by itself if nobody does."
    ), width, "warn")  # fmt: skip


def notice_of_several(guarded: Sequence[str], window_s: int, width: int) -> list[Line]:
    """The same for a run of several steps."""
    return _item("! ", (
        f"Guarded: {', '.join(guarded)}. There the work stops and waits until you have logged in "
        f"anew from a second terminal and confirmed ({spoken_window(window_s)}); if nobody does, "
        "these are taken back by themselves and the steps after them are not begun."
    ), width, "warn")  # fmt: skip
