"""debsums: packaged files against the checksums their packages came with."""

from __future__ import annotations

import re
from typing import Final

from host.base import HostError
from host.facts.packages import PACKAGES
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned

PACKAGE: Final = "debsums"
SETTINGS: Final = "/etc/default/debsums"
_LINE: Final = re.compile(r"(?m)^\s*CRON_CHECK\s*=\s*[\"']?(\w*)[\"']?.*$")
_PERIODS: Final = ("daily", "weekly", "monthly")
PROOF_TIMEOUT_S: Final = 1800.0


def period(text: str) -> tuple[str, int]:
    """How often cron checks by /etc/default/debsums, and the line that decides (the last).

    ("never", 0) where no line says it: that is what the package does by itself.
    """
    found = list(_LINE.finditer(text))
    if not found:
        return "never", 0
    return found[-1][1], text.count("\n", 0, found[-1].start(1)) + 1


def observe(ctx: Context) -> list[Finding]:
    often, line = period(_text(ctx))
    return [
        Finding(
            resource="integrity",
            setting="CRON_CHECK",
            expected="daily, weekly or monthly",
            running=often,
            persistent=often,
            origin=f"{SETTINGS}:{line}" if line else "",
            ok=often in _PERIODS,
        )
    ]


def plan(ctx: Context, *, beside: bool) -> Planned:
    """`beside`: AIDE looks every day already, and debsums once a week is enough."""
    often = "weekly" if beside else "daily"
    line = f"CRON_CHECK={often}"
    why = f"check the files of packages {often}"
    changes: list[Change] = []
    if PACKAGE not in ctx.facts.get(PACKAGES):
        pattern = f"s/^#?[[:space:]]*CRON_CHECK=.*/{line}/"
        changes.append(RunCommand(argv=("sed", "-i", "-E", pattern, SETTINGS), why=why))
    elif period(_text(ctx))[0] not in _PERIODS:
        text = _text(ctx)
        changed = _LINE.sub(line, text)
        if changed == text:
            changed = f"{text.rstrip()}\n{line}\n".lstrip("\n")
        changes.append(WriteFile(path=SETTINGS, content=changed.encode()))
    if not changes:
        return Planned()
    return Planned(
        changes=tuple(changes),
        notes=(
            "debsums knows the files of packages only, and their checksums lie on the same disk:"
            " it finds damage and carelessness, not somebody who knows what he does.",
        ),
    )


def prove(ctx: Context) -> list[Finding]:
    """Every packaged file but configuration, once now."""
    answer = ctx.host.run(("debsums", "--silent", "--changed"), timeout_s=PROOF_TIMEOUT_S, ok=None)
    changed = answer.stdout.split("\n")[:5] if answer.stdout.strip() else []
    return [
        Finding(
            resource="integrity",
            setting="files of packages",
            expected="as packaged",
            running=", ".join(filter(None, changed)) or "as packaged",
            applicable=False,
            note="changed since they were installed; look at them" if changed else "",
        )
    ]


def _text(ctx: Context) -> str:
    try:
        return ctx.host.read_bytes(SETTINGS).decode("utf-8", "replace")
    except HostError:
        return ""
