"""AIDE as Debian sets it up, with the web tree told apart from what may change in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from host.base import HostError
from host.facts.aide import (
    AIDE_CHECKSUMS,
    AIDE_DATABASE,
    AIDE_LAST,
    CHECK,
    CONFIG,
    DATABASE,
    checksums_replaced,
)
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Change, Root, RunCommand, Validation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned

PACKAGE: Final = "aide-common"
RULES_FILE: Final = "/etc/aide/aide.conf.d/70_harden-tui"
TIMER: Final = "dailyaidecheck.timer"
INIT_TIMEOUT_S: Final = 4 * 3600.0
"""All files of a large host are read and hashed."""

CHECKSUMS: Final = ("sha256", "sha512")
"""Debian has H, all that AIDE knows, down to MD5: measured, six times the time to read /usr/lib."""

_ERROR: Final = 14
"""From this exit status on AIDE could not do its work (aide(1), EXIT STATUS)."""


def rules(step_id: str, web_tree: str, writable: Sequence[str], exclude: Sequence[str]) -> bytes:
    """The file for aide.conf.d: what is left out, and the web tree with everything AIDE knows."""
    tree = web_tree.rstrip("/") or "/"
    inside = [f"{tree}/{name.strip('/')}" for name in writable if name.strip("/")]
    left_out = dict.fromkeys([*(path.rstrip("/") for path in exclude if path != "/"), *inside])
    return "".join(
        [
            f"# Written by harden-tui for the step {step_id}.\n",
            *(f"!{_literally(path)}(/.*)?$\n" for path in left_out),
            f"{_literally(tree)} Full\n",
        ]
    ).encode()


def _literally(path: str) -> str:
    """A path as a regular expression for itself alone."""
    return re.sub(r"([.+*?()\[\]{}|^$\\])", r"\\\1", path)


def observe(ctx: Context, wanted: bytes) -> list[Finding]:
    database = ctx.facts.get(AIDE_DATABASE)
    shown = "none"
    if database is not None:
        shown = f"{database.size_bytes // 1024} KiB, made {_days(database.age_days)} ago"
    return [
        Finding(
            resource="integrity",
            setting="database",
            expected="made",
            running=shown,
            persistent=shown,
            origin=database.origin if database is not None else CONFIG,
            ok=database is not None and database.size_bytes > 0,
            note="" if database is not None else "without it the daily check does nothing",
        ),
        *_checksums(ctx),
        _file(ctx, wanted),
        _timer(ctx),
        _last(ctx),
    ]


def _checksums(ctx: Context) -> list[Finding]:
    """A database is compared by what it was made with: one that is there keeps its checksums."""
    group = ctx.facts.get(AIDE_CHECKSUMS)
    if group is None:
        return []
    value = "+".join(group.names)
    made = ctx.facts.get(AIDE_DATABASE) is not None
    strong = any(name in group.names for name in CHECKSUMS)
    return [
        Finding(
            resource="integrity",
            setting="checksums",
            expected="+".join(CHECKSUMS),
            running=value,
            persistent=value,
            origin=group.origin,
            ok=strong,
            applicable=strong or not made,
            note="" if strong or not made else "the database was made with them, and keeps them",
        )
    ]


def _file(ctx: Context, wanted: bytes) -> Finding:
    try:
        there = ctx.host.read_bytes(RULES_FILE)
    except HostError:
        there = b""
    running = "as the step has them" if there == wanted else "others" if there else "none"
    return Finding(
        resource="integrity",
        setting="rules for the web tree",
        expected="as the step has them",
        running=running,
        persistent=running,
        origin=RULES_FILE if there else "",
        ok=there == wanted,
    )


def _timer(ctx: Context) -> Finding:
    unit = ctx.facts.get(UNITS).get(TIMER)
    active = unit.active if unit is not None else "not there"
    enabled = unit.enabled if unit is not None else "not there"
    return Finding(
        resource="integrity",
        setting=TIMER,
        expected="active and enabled",
        running=active,
        persistent=enabled,
        ok=active == "active" and enabled == "enabled",
    )


def _last(ctx: Context) -> Finding:
    """What the last daily check said; a host on which none ran yet is not at fault."""
    last = ctx.facts.get(AIDE_LAST)
    unit = ctx.facts.get(UNITS).get(CHECK)
    failed = unit is not None and unit.active == "failed"
    if last.exit is None and not failed:
        return Finding(
            resource="integrity",
            setting="last check",
            expected="ran to its end",
            running="none ran yet",
            applicable=False,
        )
    broke = failed or last.exit is None or last.exit < 0 or last.exit >= _ERROR
    said = "it broke off" if broke else "differences" if last.exit else "no difference"
    return Finding(
        resource="integrity",
        setting="last check",
        expected="ran to its end",
        running=f"{said} ({last.when})" if last.when else said,
        ok=not broke,
        note=f"see `systemctl status {CHECK}` and /var/log/aide" if broke else "",
    )


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"


def plan(ctx: Context, wanted: bytes) -> Planned:
    installed = PACKAGE in ctx.facts.get(PACKAGES)
    fresh = not installed or ctx.facts.get(AIDE_DATABASE) is None
    changes: list[Change] = []
    if not installed or not _file(ctx, wanted).ok:
        changes.append(WriteFile(path=RULES_FILE, content=wanted))
    notes = []
    if fresh:
        changes += _weigh_less(ctx, installed)
        changes.append(
            RunCommand(
                argv=("aideinit", "--yes", "--force"),
                why="read every file once and keep its checksum (minutes, on a large host longer)",
                timeout_s=INIT_TIMEOUT_S,
            )
        )
        notes.append(
            "The database is made of the files as they are now: it finds what changes from now on,"
            " not what was changed before. Keep a copy elsewhere, for whoever is root can change"
            " it too."
        )
    elif not _file(ctx, wanted).ok:
        notes.append(
            "The database stays as it is: the next check reports what the new rules add to it."
            " Run `aideinit --yes --force` when you have looked at that."
        )
    if installed and not _timer(ctx).ok:
        why = "check every day"
        changes.append(RunCommand(argv=("systemctl", "enable", "--now", TIMER), why=why))
    if not changes:
        return Planned()
    return Planned(
        changes=tuple(changes),
        validations=(Validation(("aide", "--config", CONFIG, "--config-check")),),
        roots=(Root(DATABASE.rpartition("/")[0]),),
        notes=tuple(notes),
    )


def _weigh_less(ctx: Context, installed: bool) -> list[Change]:
    """Two checksums instead of all, before the database is made."""
    line = f"Checksums = {'+'.join(CHECKSUMS)}"
    if not installed:
        argv = ("sed", "-i", "-E", f"s/^Checksums[[:space:]]*=[[:space:]]*H$/{line}/", CONFIG)
        return [RunCommand(argv=argv, why="compare by two good checksums, not by all there are")]
    if all(finding.ok for finding in _checksums(ctx)):
        return []
    text = ctx.host.read_bytes(CONFIG).decode("utf-8", "surrogateescape")
    changed = checksums_replaced(text, line).encode("utf-8", "surrogateescape")
    return [WriteFile(path=CONFIG, content=changed)]
