"""How roles look, and the signs for a status.

Only the sixteen colours of the terminal itself are used, on its own background: it works on dark
and light terminals and on the console, costs few bytes over a slow line, and what `NO_COLOR` takes
away is nothing that a word or a sign does not say too.
"""

from __future__ import annotations

from typing import Final

from steps.model import Status
from tui.text import Role, cells

STYLES: Final[dict[Role, str]] = {
    "": "",
    "dim": "dim",
    "bold": "bold",
    "ok": "green",
    "bad": "bold red",
    "warn": "yellow",
    "info": "cyan",
    "key": "bold cyan",
    "add": "green",
    "del": "red",
    "hunk": "cyan",
    "banner": "bold yellow reverse",
    "mark": "reverse",
}
"""Roles as Rich styles."""

STATUS_WORDS: Final[dict[str, str]] = {
    "pass": "pass",
    "fail": "open",
    "not-applicable": "n/a",
    "manual": "manual",
    "attested": "attested",
    "waived": "waived",
    "unknown": "unknown",
    "error": "error",
    "": "…",
}

STATUS_ROLES: Final[dict[str, Role]] = {
    "pass": "ok",
    "fail": "bad",
    "not-applicable": "dim",
    "manual": "warn",
    "attested": "ok",
    "waived": "dim",
    "unknown": "warn",
    "error": "bad",
    "": "dim",
}

STATUS_MEANINGS: Final[dict[Status, str]] = {
    "pass": "measured, and as it should be",
    "fail": "open: measured, and not as it should be",
    "not-applicable": "this host does not have what the step is about",
    "manual": "only a person can answer this; attest it",
    "attested": "a person answered, with name, date and expiry",
    "waived": "left out on purpose, with a reason",
    "unknown": "could not be measured, so it does not count as good",
    "error": "the check itself failed; see State",
}

STATUS_SIGNS: Final[dict[str, str]] = {
    "pass": "✓",
    "fail": "✗",
    "not-applicable": "–",
    "manual": "✎",
    "attested": "✓",
    "waived": "»",
    "unknown": "?",
    "error": "!",
    "": "·",
}

DRIFT_SIGN: Final = "≠"
DRIFT_WORD: Final = "drifted"
DRIFT_MEANING: Final = "changed outside harden-tui since its last transaction; see State"

CURSOR: Final = "▸"

_ASCII: Final = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "≠": "#",
        "✎": "m",
        "»": "w",
        "▸": ">",
        "·": ".",
        "–": "-",
        "—": "-",
        "…": "~",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "│": "|",
        "─": "-",
        "┼": "+",
        "“": '"',
        "”": '"',
        "’": "'",
        "×": "x",
    }
)
"""One column for one column, so that nothing moves."""

_ascii_only = False


def use_ascii(yes: bool) -> None:
    """Choose once, before anything is drawn, whether only ASCII can be shown."""
    global _ascii_only
    _ascii_only = yes


def is_ascii() -> bool:
    return _ascii_only


def drawable(text: str) -> str:
    """`text` as this terminal can draw it; its width in columns stays the same."""
    if not _ascii_only or text.isascii():
        return text
    return "".join(
        character if character.isascii() else "?" * cells(character)
        for character in text.translate(_ASCII)
    )
