"""Every command, in the order an administrator meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from tui import cli_parsers_change as change
from tui import cli_parsers_look as look

_ORDER: Final = (
    "check",
    "plan",
    "apply",
    "confirm",
    "rollback",
    "drift",
    "window",
    "recover",
    "follow",
    "history",
    "log",
    "steps",
    "todo",
    "guide",
    "live",
    "ban",
    "unban",
)

COMMANDS: Final[dict[str, Callable[[Any], None]]] = {
    name: {**look.COMMANDS, **change.COMMANDS}[name] for name in _ORDER
}
"""Every command and what adds it."""


def add_all(commands: Any) -> None:
    """Every command."""
    add(commands, COMMANDS)


def add(commands: Any, names: Iterable[str]) -> None:
    """These commands."""
    for name in names:
        COMMANDS[name](commands)
