"""jail.local: what jails that others add later ignore, beside those of a step.

A jail made after the step, by hand or by a package, begins with [DEFAULT]. Of that only `ignoreip`
is set, and only in a jail.local that nobody else wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from host.base import HostError
from host.facts.fail2ban import DIRECTORY, FAIL2BAN_SOURCES, Line, Sources
from snapshots.model import WriteFile
from steps.resource import Context

JAIL_LOCAL: Final = f"{DIRECTORY}/jail.local"
_HEAD: Final = "# Written by harden-tui"


def is_theirs(ctx: Context) -> bool:
    """Somebody else wrote jail.local: it is left alone."""
    text = _text(ctx)
    return bool(text) and not text.startswith(_HEAD)


def sources_of_others(ctx: Context) -> Sources:
    """The lines of all files but of a jail.local that a step wrote."""
    sources = ctx.facts.get(FAIL2BAN_SOURCES)
    if not _text(ctx).startswith(_HEAD):
        return sources
    return {
        key: [line for line in lines if not line.origin.startswith(f"{JAIL_LOCAL}:")]
        for key, lines in sources.items()
    }


def default_line(ctx: Context) -> Line | None:
    """The `ignoreip` that decides for jails without one of their own."""
    lines = ctx.facts.get(FAIL2BAN_SOURCES).get(("DEFAULT", "ignoreip"))
    return lines[-1] if lines else None


def write_default(ctx: Context, step_id: str, ignored: Sequence[str]) -> WriteFile | None:
    """The file, with what [DEFAULT] ignored before as well; `None` where it needs no change."""
    lines = sources_of_others(ctx).get(("DEFAULT", "ignoreip"))
    kept = [word for word in lines[-1].value.split() if "%" not in word] if lines else []
    words = " ".join(dict.fromkeys((*ignored, *kept)))
    content = (
        f"{_HEAD} for the step {step_id}.\n"
        "# For jails that are added later; the step's own are in jail.d.\n"
        f"[DEFAULT]\nignoreip = {words}\n"
    )
    if is_theirs(ctx) or content == _text(ctx):
        return None
    return WriteFile(path=JAIL_LOCAL, content=content.encode())


def _text(ctx: Context) -> str:
    try:
        return ctx.host.read_bytes(JAIL_LOCAL).decode("utf-8", "replace")
    except HostError:
        return ""
