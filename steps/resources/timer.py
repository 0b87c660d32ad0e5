"""A systemd timer of ours: its two unit files, enabled and waiting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.timers import Timer as State
from host.facts.timers import timer
from snapshots.model import Activation, Change, Root, RunCommand, Validation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

UNITS = "/etc/systemd/system"
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_WORD = re.compile(r"[A-Za-z0-9_./:=@+,-]+")
"""What systemd takes as it stands: no quotes, no specifiers, no variables."""
_CALENDAR = re.compile(r"[A-Za-z0-9*:,./~ -]+")
_TIME = re.compile(r"\d+(s|min|h|d)?")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """`command` words of a program and its arguments; `calendar` as in systemd.time(7); `delay`
    a random wait before it; `fine` exit statuses that are no failure; `needs` programs without
    which it would be of no use, with what brings them."""

    name: str
    description: str
    command: list[str]
    calendar: str
    delay: str = "0"
    fine: list[int] = []
    needs: dict[str, str] = {}


class Timer(Resource):
    """`timer: {name: …, description: …, command: […], calendar: daily}`."""

    kind: ClassVar[str] = "timer"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.body = body
        self.fact = timer(body.name)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Timer:
        given = msgspec.convert(body, _Body)
        given = msgspec.structs.replace(given, command=[word for word in given.command if word])
        if not _NAME.fullmatch(given.name):
            raise StepError(f"name: expected small letters, digits and -, not {given.name!r}")
        if not given.command or not given.command[0].startswith("/"):
            raise StepError("command: expected a program's absolute path and its arguments")
        for word in given.command:
            if not _WORD.fullmatch(word):
                raise StepError(f"command: {word!r} has characters that systemd would read itself")
        for field, text, pattern in (
            ("calendar", given.calendar, _CALENDAR),
            ("delay", given.delay, _TIME),
            ("description", given.description, re.compile(r"[^\n%]+")),
        ):
            if not pattern.fullmatch(text):
                raise StepError(f"{field}: {text!r} is not what systemd.time(7) describes")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (self.fact,)

    @property
    def files(self) -> dict[str, str]:
        """Path -> text of the two unit files."""
        body = self.body
        head = f"# Written by harden-tui for the step {self.step_id}.\n[Unit]\n"
        fine = f"SuccessExitStatus={' '.join(map(str, body.fine))}\n" if body.fine else ""
        return {
            f"{UNITS}/{body.name}.service": f"{head}Description={body.description}\n\n[Service]\n"
            f"Type=oneshot\nExecStart={' '.join(body.command)}\n{fine}Nice=10\n",
            f"{UNITS}/{body.name}.timer": f"{head}Description={body.description}\n\n[Timer]\n"
            f"OnCalendar={body.calendar}\nRandomizedDelaySec={body.delay}\nPersistent=true\n\n"
            "[Install]\nWantedBy=timers.target\n",
        }

    def observe(self, ctx: Context) -> list[Finding]:
        state, body = ctx.facts.get(self.fact), self.body
        different = self._different(ctx)
        path = f"{UNITS}/{body.name}.timer"
        findings = [
            self._finding(
                "unit files", "as the step has them", ", ".join(different) or "the same",
                not different, origin=path, note="different or absent" if different else "",
            ),
            self._finding(
                "timer", "waiting, and enabled at boot", _words(state),
                state.waiting and state.enabled and not state.stale, origin=path,
                note=f"runs next {state.next_run}" if state.next_run else "",
            ),
        ]  # fmt: skip
        if state.result:
            findings.append(
                self._finding(
                    "last run", "success", f"{state.result}, {state.last_run}",
                    state.result == "success",
                    note="" if state.result == "success"
                    else f"journalctl -u {body.name}.service",
                )
            )  # fmt: skip
        return findings

    def plan(self, ctx: Context) -> Planned:
        state, body = ctx.facts.get(self.fact), self.body
        different = self._different(ctx)
        lacking = [f"{program} (package {brings})" for program, brings in body.needs.items()
                   if ctx.host.which(program) is None]  # fmt: skip
        if not different and state.waiting and state.enabled and not state.stale:
            return Planned()
        if lacking:
            return Planned(
                refusals=(
                    f"{body.name}.timer would be of no use: {', '.join(lacking)} is not installed."
                    " Install it first, or take a step that does.",
                )
            )
        changes: list[Change] = [
            WriteFile(path=path, content=self.files[path].encode()) for path in different
        ]
        changes += [
            RunCommand(argv=("systemctl", "daemon-reload"), why="have systemd read the unit files"),
            RunCommand(
                argv=("systemctl", "enable", f"{body.name}.timer"), why="wait for it after a boot"
            ),
            RunCommand(
                argv=("systemctl", "restart", f"{body.name}.timer"), why="wait for it from now on"
            ),
        ]
        return Planned(
            changes=tuple(changes),
            validations=(Validation(("systemd-analyze", "calendar", body.calendar)),),
            activations=(Activation(how="daemon-reload"),),
            roots=(Root(f"/var/lib/systemd/timers/stamp-{body.name}.timer", content=True),),
            notes=(f"To try it at once: sudo systemctl start {body.name}.service",),
        )

    def _different(self, ctx: Context) -> Sequence[str]:
        found = []
        for path, text in self.files.items():
            try:
                there = ctx.host.state(path)
                same = there is not None and ctx.host.read_bytes(path) == text.encode()
            except HostError:
                same = False
            if not same:
                found.append(path)
        return found

    def _finding(
        self, setting: str, expected: str, running: str, ok: bool, *, origin: str = "",
        note: str = "",
    ) -> Finding:  # fmt: skip
        return Finding(
            resource=f"{self.body.name}.timer", setting=setting, expected=expected,
            running=running, persistent=running, origin=origin, ok=ok, note=note,
        )  # fmt: skip


def _words(state: State) -> str:
    parts = ["waiting" if state.waiting else "not waiting"]
    parts.append("enabled" if state.enabled else "not enabled")
    if state.stale:
        parts.append("systemd has read older files")
    return ", ".join(parts)
