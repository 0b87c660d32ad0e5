"""Opening the screen: the first check starts before Textual is imported, then it paints."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from tui import terminal
from tui.client import Hands
from tui.options import Options
from tui.wire import HandsError


def run_screen(options: Options) -> int:
    """Open the screen; returns the exit status (2 where there is no terminal to draw on)."""
    refusal = terminal.refusal_here()
    if refusal:
        print(refusal, file=sys.stderr)
        return terminal.EXIT_USAGE
    hands = Hands(options)
    if hands.rights == "user" and os.path.exists("/usr/bin/sudo"):
        hands.rights = "sudo"  # tried without asking; without a ticket it falls back
    try:
        first_check = hands.start(["check"], "events", polite=True)
    except HandsError as error:
        print(f"harden-tui: {error}", file=sys.stderr)
        return terminal.EXIT_USAGE
    from tui import theme

    theme.use_ascii(terminal.only_ascii(sys.stderr.encoding, os.environ))
    terminal.prepare(os.environ)
    with without_tls():
        from tui import mends
        from tui.app import HardenApp

    mends.apply()
    host = "practice" if options.practice else this_host()
    app = HardenApp(hands, host=host, first_check=first_check)
    app.run()
    return app.return_code or 0


@contextlib.contextmanager
def without_tls() -> Iterator[None]:
    """What is imported meanwhile finds no `ssl`, as in a Python that was built without it.

    asyncio would bring it, 5 ms and 4 MB for a screen that speaks to no network.
    """
    modules: dict[str, Any] = sys.modules
    if "ssl" in modules:
        yield
        return
    modules["ssl"] = None
    try:
        yield
    finally:
        del modules["ssl"]


def this_host() -> str:
    return os.uname().nodename
