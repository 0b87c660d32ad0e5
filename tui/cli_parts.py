"""What the help of several commands has in common."""

from __future__ import annotations

import argparse
from typing import Any


def command(
    commands: Any, name: str, run: str, summary: str, text: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    """A command with its help; `run` is "module:function"."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.\n\n{text}".strip(),
        epilog=f"examples:\n{examples}" if examples else None,
    )
    parser.set_defaults(run=run)
    return parser


def steps_argument(parser: argparse.ArgumentParser, *, nargs: str = "*") -> None:
    """Which steps."""
    parser.add_argument("steps", metavar="STEP", nargs=nargs, help="a step, such as ssh.limits")


def approval(parser: argparse.ArgumentParser, what: str) -> None:
    """How to go on without being asked, or only if nothing moved."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--fingerprint",
        metavar="FP",
        help=f"go on only if the {what} still has this fingerprint (exit 3 if it has not)",
    )


def guarded(parser: argparse.ArgumentParser) -> None:
    """Of what changes how administrators come in."""
    parser.add_argument(
        "--confirm-within",
        metavar="TIME",
        help="how long a guarded change waits for its confirmation (5m): see confirm",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="end where a guarded change waits, instead of waiting with it; exit 3 if more was"
        " to be done",
    )
