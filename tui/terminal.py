"""What the terminal can do, asked before Textual is imported (its mends are in `tui.mends`)."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Final

EXIT_USAGE: Final = 2
EXIT_HANGUP: Final = 129
"""128 + SIGHUP, what a shell says of a program that a hang-up ended."""
EXIT_TERMINATED: Final = 143
"""128 + SIGTERM."""

SMALLEST: Final = (80, 24)
"""Columns and rows below which the screen only says that it needs more room."""

_INSTEAD: Final = "Use the command line instead: harden-tui --help."


def refusal(environ: Mapping[str, str], *, input_is_tty: bool, output_is_tty: bool) -> str:
    """Why the screen cannot be opened here, as one line; empty where it can."""
    if not input_is_tty:
        return f"harden-tui: standard input is no terminal, so no screen can be opened. {_INSTEAD}"
    if not output_is_tty:
        return f"harden-tui: standard error is no terminal, so no screen can be drawn. {_INSTEAD}"
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return (
            f"harden-tui: the terminal says it is {term or 'nothing'!r} (TERM), "
            f"which cannot show a screen. {_INSTEAD}"
        )
    return ""


def refusal_here() -> str:
    """`refusal` for this process; Textual draws on standard error and reads standard input."""
    return refusal(
        os.environ,
        input_is_tty=sys.__stdin__ is not None and sys.__stdin__.isatty(),
        output_is_tty=sys.__stderr__ is not None and sys.__stderr__.isatty(),
    )


def only_ascii(encoding: str | None, environ: Mapping[str, str]) -> bool:
    """Whether lines and signs must be ASCII: the stream, or the locale, is not UTF-8.

    Python in UTF-8 mode or under LC_ALL=C turns the stream into UTF-8 although the terminal is
    not, so the locale the person set counts as well.
    """
    try:
        if codecs.lookup(encoding or "ascii").name != "utf-8":
            return True
    except LookupError:
        return True
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    return "utf-8" not in locale.lower().replace("utf8", "utf-8")


def prepare(environ: MutableMapping[str, str]) -> None:
    """Settings that Textual reads while it is imported.

    An ANSI theme from the start (chosen later, `NO_COLOR` would already have put a filter for
    true-colour greys in place), no animations, nothing from a developer's own environment.
    """
    for name in [name for name in environ if name.startswith("TEXTUAL")]:
        del environ[name]
    environ["TEXTUAL_THEME"] = "ansi-dark"
    environ["TEXTUAL_ANIMATIONS"] = "none"
    environ["TEXTUAL_SMOOTH_SCROLL"] = "0"
