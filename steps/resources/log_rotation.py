"""Logs that are rotated before they fill the disk, those of applications among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Final

import msgspec

from host.facts import Fact
from host.facts.applications import APPLICATIONS, Application
from host.facts.logrotate import FOLDER, LOGROTATE, LOGROTATE_FILES, Rotation, origin_of
from host.facts.owners import GROUPS, USERS
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Change, RunCommand, Validation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.package import installed_finding, plan_install

TIMER: Final = "logrotate.timer"
LOGS: Final = {
    ("i-doit", ""): "log",
    ("typo3", "composer"): "var/log",
    ("typo3", "classic"): "typo3temp/var/log",
}
"""Kind of application and its layout -> where it writes *.log, below its own folder."""

EXAMPLE: Final = "any-name.log"
_PLAIN = re.compile(r"[A-Za-z0-9_./+@:,=-]+")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    keep_weeks: int


class _Logs(msgspec.Struct, frozen=True):
    """Where an application logs, and whose folder that is."""

    kind: str
    folder: str
    owner: str
    group: str

    @property
    def pattern(self) -> str:
        return f"{self.folder}/*.log"


class LogRotation(Resource):
    """`log-rotation: {keep-weeks: 12}`."""

    kind: ClassVar[str] = "log-rotation"

    def __init__(self, step_id: str, keep_weeks: int) -> None:
        self.step_id = step_id
        self.keep_weeks = keep_weeks
        self.path = f"{FOLDER}/harden-tui-{step_id.replace('.', '-')}"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> LogRotation:
        given = msgspec.convert(body, _Body)
        if not 1 <= given.keep_weeks <= 520:
            raise StepError(f"keep-weeks: expected 1 to 520, not {given.keep_weeks}")
        return cls(step_id, given.keep_weeks)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APPLICATIONS, LOGROTATE, LOGROTATE_FILES, PACKAGES, UNITS, USERS, GROUPS)

    def observe(self, ctx: Context) -> list[Finding]:
        installed = installed_finding(ctx, "logrotate")
        if not installed.ok:
            return [installed]
        rotation = ctx.facts.get(LOGROTATE)
        errors = rotation.errors
        return [
            installed,
            _timer(ctx),
            Finding(
                resource="logrotate", setting="logrotate -d", expected="no errors",
                running=errors[0] if errors else "no errors", ok=not errors,
                note=f"and {len(errors) - 1} more" if len(errors) > 1 else "",
            ),
            *(self._covered(ctx, logs, rotation) for logs in _logs(ctx)),
        ]  # fmt: skip

    def plan(self, ctx: Context) -> Planned:
        install = plan_install(ctx, ("logrotate",))
        if install.refusals:
            return install
        there = "logrotate" in ctx.facts.get(PACKAGES)
        rotation = ctx.facts.get(LOGROTATE) if there else Rotation()
        logs = _logs(ctx)
        # An error about our own rule, or one of these folders, is mended by writing it anew.
        foreign = [error for error in rotation.errors if not self._is_about(error, logs)]
        odd = [one.folder for one in logs if not _PLAIN.fullmatch(one.folder)]
        refusals = [
            f"logrotate says: {error}. Nothing was changed; mend that rule in {FOLDER} first."
            for error in foreign[:1]
        ] + [
            f"{path} has characters that a rule of logrotate cannot name safely; nothing was"
            " changed. Write a rule for it by hand."
            for path in odd[:1]
        ]
        changes: list[Change] = [*install.changes]
        if there and not _timer(ctx).ok:
            changes.append(
                RunCommand(
                    argv=("systemctl", "enable", "--now", TIMER),
                    why="rotate every day, now and after every boot",
                )
            )
        lacking = [one for one in logs if not self._covered(ctx, one, rotation).ok]
        # What our file names already stays in it.
        ours = [one for one in logs if self._names(ctx, one) or one in lacking]
        if lacking or self._broken(rotation, logs):
            changes.append(WriteFile(path=self.path, content=self.text(ours).encode()))
        return msgspec.structs.replace(
            install,
            changes=tuple(changes),
            refusals=tuple(refusals),
            validations=(Validation(("logrotate", "-d", self.path), quiet=True),)
            if lacking
            else (),
        )

    def text(self, logs: Sequence[_Logs]) -> str:
        """The rules, one for each folder."""
        rules = "".join(
            f"""
{one.pattern} {{
    su {one.owner} {one.group}
    weekly
    rotate {self.keep_weeks}
    compress
    delaycompress
    copytruncate
    missingok
    notifempty
}}
"""
            for one in logs
        )
        return f"# Written by harden-tui for the step {self.step_id}.\n{rules}"

    def _covered(self, ctx: Context, logs: _Logs, rotation: Rotation) -> Finding:
        found = next(
            (one for one in rotation.patterns if fnmatchcase(f"{logs.folder}/{EXAMPLE}", one)), ""
        )
        refused = [error for error in rotation.errors if logs.folder in error]
        running = rotation.patterns[found] if found else "never rotated"
        return Finding(
            resource=logs.kind,
            setting=logs.pattern,
            expected="rotated",
            running=refused[0] if refused else running,
            persistent=running,
            origin=origin_of(found, ctx.facts.get(LOGROTATE_FILES)) if found else "",
            ok=bool(found) and not refused,
        )

    def _names(self, ctx: Context, logs: _Logs) -> bool:
        return logs.pattern in ctx.facts.get(LOGROTATE_FILES).get(self.path, "").split()

    def _is_about(self, error: str, logs: Sequence[_Logs]) -> bool:
        return self.path in error or any(one.folder in error for one in logs)

    def _broken(self, rotation: Rotation, logs: Sequence[_Logs]) -> bool:
        return any(self._is_about(error, logs) for error in rotation.errors)


def _logs(ctx: Context) -> list[_Logs]:
    """The log folders of the applications that are installed here."""
    found = []
    for application in ctx.facts.get(APPLICATIONS):
        folder = _folder(ctx, application)
        state = ctx.host.state(folder) if folder else None
        if state is None or state.kind != "dir":
            continue
        users = {number: name for name, number in ctx.facts.get(USERS).items()}
        groups = {number: name for name, number in ctx.facts.get(GROUPS).items()}
        owner = users.get(state.uid, str(state.uid))
        found.append(_Logs(application.kind, folder, owner, groups.get(state.gid, str(state.gid))))
    return found


def _folder(ctx: Context, application: Application) -> str:
    below = LOGS.get((application.kind, application.layout))
    if below is None:
        return ""
    return ctx.host.realpath(f"{application.path.rstrip('/')}/{below}")


def _timer(ctx: Context) -> Finding:
    unit = ctx.facts.get(UNITS).get(TIMER)
    active = unit.active if unit is not None else "not there"
    at_boot = unit.enabled if unit is not None else "not there"
    return Finding(
        resource="logrotate",
        setting=TIMER,
        expected="active and enabled",
        running=active,
        persistent=at_boot,
        ok=active == "active" and at_boot == "enabled",
    )
