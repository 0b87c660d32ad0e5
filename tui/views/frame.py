"""What frames every place: header, places, rule with a message, footer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tui.actions import PLACES, Place, actions_of
from tui.board import Counts
from tui.text import Line, Role, Span, aligned, cells, clean, cut, length

BANNER = "PRACTICE HOST – nothing here touches this machine"

PLACE_TITLES: dict[Place, str] = {
    "checklist": "Checklist",
    "live": "Live",
    "history": "History",
    "log": "Log",
    "help": "Help",
}


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What the header shows. `work` is the state line of a run; empty where nothing runs."""

    host: str
    checklist: str
    place: Place
    counts: Counts = Counts()
    practice: bool = False
    rights: str = "root"
    work: str = ""
    attention: bool = False


def header(frame: Frame, width: int) -> list[Line]:
    """The banner of a practice host, the title line with the counts, the places."""
    lines: list[Line] = practice_banner(width) if frame.practice else []
    title: Line = (
        ("harden-tui", "bold"),
        (f" · {frame.host} · {frame.checklist}", ""),
    )
    role: Role = "ok" if frame.counts.total and frame.counts.done == frame.counts.total else "bold"
    lines.append(aligned(title, ((frame.counts.sentence(), role),), width))
    places: list[Span] = []
    for number, place in enumerate(PLACES, 1):
        here = place == frame.place
        text = f"[{number} {PLACE_TITLES[place]}]" if here else f" {number} {PLACE_TITLES[place]} "
        places.append((text, "key" if here else "dim"))
    state = frame.work or ("not root: read only" if frame.rights == "user" else "")
    state = cut(state, width - length(places) - 1)
    right: Line = ((state, "warn" if frame.attention or not frame.work else "info"),)
    lines.append(aligned(tuple(places), right if state else (), width))
    return lines


def practice_banner(width: int) -> list[Line]:
    room = width - cells(BANNER)
    return [((" " * (room // 2) + BANNER + " " * (room - room // 2), "banner"),)]


def rule(message: str, place: str, width: int, *, warn: bool = False) -> Line:
    """A line across, with the last message in it, and where the pane is scrolled to."""
    right = f" {place} ─" if place else ""
    room = width - cells(right)
    if not message:
        return (("─" * room, "dim"), (right, "dim"))
    said = cut(clean(message), room - 4)
    fill = "─" * (room - cells(said) - 3)
    return (("─ ", "dim"), (said, "warn" if warn else ""), (f" {fill}{right}", "dim"))


def footer(place: Place, width: int, enabled: Callable[[str], bool]) -> list[Line]:
    """The keys of a place in as many lines as they need; those disabled now are dim."""
    return key_lines(
        [
            (action.shown_key, action.label, enabled(action.name))
            for action in actions_of(place)
            if action.footer
        ],
        width,
    )


def key_lines(keys: Sequence[tuple[str, str, bool]], width: int) -> list[Line]:
    """Keys with what they mean and whether they can be taken now.

    A key is never on two lines, and the last one, which leads out, never on a line by itself.
    """
    rows: list[list[tuple[str, str, bool]]] = [[]]
    used = 0
    for one in keys:
        size = cells(one[0]) + 1 + cells(one[1])
        if used and used + 2 + size > width:
            rows.append([])
            used = 0
        used += size + (2 if used else 0)
        rows[-1].append(one)
    if len(rows) > 1 and len(rows[-1]) == 1 and len(rows[-2]) > 1:
        rows[-1].insert(0, rows[-2].pop())
    return [_key_line(row) for row in rows]


def _key_line(row: Sequence[tuple[str, str, bool]]) -> Line:
    spans: list[Span] = []
    for key, label, on in row:
        if spans:
            spans.append(("  ", ""))
        spans += [(key, "key" if on else "dim"), (f" {label}", "" if on else "dim")]
    return tuple(spans)
