"""The help: keys from the registry, signs, what a practice host is, how undo works."""

from __future__ import annotations

from steps.model import Status
from tui.actions import PLACES, Action, actions_of
from tui.text import BLANK, Line, fit, paragraph, wrap
from tui.theme import (
    DRIFT_MEANING,
    DRIFT_SIGN,
    DRIFT_WORD,
    STATUS_MEANINGS,
    STATUS_ROLES,
    STATUS_SIGNS,
    STATUS_WORDS,
)
from tui.views.frame import PLACE_TITLES

_UNDO = (
    "Before the first change of a step, everything it may touch is kept in a restore point on "
    "disk: all of /etc, the trees and units it declares, packages, kernel settings, the firewall. "
    "After it the host is asked again; what cannot be proved goes back by itself. u undoes a "
    "step at any later time and in any order. What was changed since, by a later step or by hand, "
    "is kept where it can be merged; where not, it is a conflict: its sides are shown, and you "
    "choose whether what stands stays, what was comes back, or what merges is merged. Every "
    "restore point has a restore.sh beside it that needs no Python."
)

_GUARD = (
    "A change of the way in (SSH, the firewall) waits for a confirmation, and without one is taken "
    "back by itself, also after a kill or a reboot. Log in anew and press c, or run sudo "
    "harden-tui confirm there."
)

_LEAD = (
    "l leads through a stage one step at a time: why, how it stands, the exact change, your "
    "choice, the proof. Where you stop is kept, and anybody goes on there. T lists what is left "
    "to a person: values to choose, what must be answered for, what is refused and why; e there "
    "exports it."
)

_WINDOW = (
    "W opens an update window: seals are lifted until a deadline, which a line above every screen "
    "counts down to. In it are package upgrades, a shell of yours, restarts of what runs old code; "
    "closing it seals again, checks everything and shows what changed. At the deadline it closes "
    "by itself, unless something still writes. A failed update is undone to the start."
)

_PRACTICE = (
    "harden-tui --practice opens a pretend server in a directory of your own: real files, a "
    "pretend service manager. Everything can be tried, applied and undone there; a banner says so "
    "on every screen, and nothing on this machine is touched."
)

_HANDS = (
    "This screen changes nothing. Each change is made by a second process, which leaves the "
    "terminal: if the SSH line drops, it finishes or goes back, and the next start shows how. Only "
    "that process is root. The same can be done on the command line: harden-tui --help."
)


def keys_of(actions: list[Action], width: int) -> list[Line]:
    lines: list[Line] = []
    for action in actions:
        keys = fit(action.shown_key, 9)
        pieces = wrap(action.description, width - 11)
        lines.append((("  ", ""), (keys, "key"), (pieces[0], "")))
        lines += [((" " * 11 + piece, ""),) for piece in pieces[1:]]
    return lines


def lines(width: int) -> list[Line]:
    """The whole help."""
    found: list[Line] = []
    everywhere = [a for a in actions_of("help") if "everywhere" in a.where]
    for place in PLACES[:-1]:
        own = [action for action in actions_of(place) if action not in everywhere]
        found += [((PLACE_TITLES[place], "bold"),), *keys_of(own, width), BLANK]
    found += [(("Everywhere", "bold"),), *keys_of(everywhere, width), BLANK]
    found.append((("Signs", "bold"),))
    for status, meaning in STATUS_MEANINGS.items():
        found.append(_sign(status, meaning))
    mark = fit(f"{DRIFT_SIGN} {DRIFT_WORD}", 12)
    pieces = wrap(DRIFT_MEANING, width - 14)
    found.append((("  ", ""), (mark, "warn"), (pieces[0], "")))
    found += [((" " * 14 + piece, ""),) for piece in pieces[1:]]
    for title, text in (
        ("What waits for your confirmation", _GUARD),
        ("Being led, and what is left", _LEAD),
        ("Update windows", _WINDOW),
        ("How undo works", _UNDO),
        ("The practice host", _PRACTICE),
        ("The screen and the hands", _HANDS),
    ):
        found += [BLANK, ((title, "bold"),), *paragraph(text, width, indent=2)]
    return found


def _sign(status: Status, meaning: str) -> Line:
    return (
        ("  ", ""),
        (fit(f"{STATUS_SIGNS[status]} {STATUS_WORDS[status]}", 12), STATUS_ROLES[status]),
        (meaning, ""),
    )
