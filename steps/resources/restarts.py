"""No service runs code that an update replaced, and needrestart sees to it after each update."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.needrestart_config import DEFAULT, NEEDRESTART_MODE, PARTS
from host.facts.restarts import GONE_CODE, KERNEL, NEED_RESTART
from host.facts.units import UNITS
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource

MODES = {"a": "restarts by itself", "i": "asks", "l": "only lists"}
NOT_WITHOUT_THE_HOST = (
    "dbus.service", "dbus-broker.service", "systemd-*", "user@*", "getty@*", "serial-getty@*",
    "console-getty.service", "container-getty@*", "NetworkManager.service", "networking.service",
    "gdm*.service", "lightdm.service",
)  # fmt: skip
"""What takes sessions or the network with it: a restart of the host is the safe way."""

RESTART_TIMEOUT_S = 600.0

_WAYS_OUT = "Restart the host at a quiet time (`systemctl reboot`), then look again."


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: Literal["", "a", "i", "l"] = "a"
    """What needrestart does after an update; "": whatever it does."""


class Restarts(Resource):
    """`restarts: {mode: a}`."""

    kind: ClassVar[str] = "restarts"

    def __init__(self, step_id: str, mode: str) -> None:
        self.step_id = step_id
        self.mode = mode
        # Perl files that needrestart reads in the order of their names, after its own.
        self.path = f"{PARTS}/zz-harden-tui-{step_id.replace('.', '-')}.conf"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Restarts:
        return cls(step_id, msgspec.convert(body, _Body).mode)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (NEED_RESTART, NEEDRESTART_MODE, GONE_CODE, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = [self._mode_finding(ctx)] if self.mode else []
        old = _old(ctx)
        for unit, why in old.items():
            findings.append(
                Finding(
                    resource="unit",
                    setting=unit,
                    expected="runs what is installed",
                    running="runs old code",
                    ok=False,
                    note=f"{why}; only a restart of the host helps" if _is_bound(unit) else why,
                )
            )
        if not old:
            findings.append(
                Finding(
                    resource="unit", setting="services that run old code", expected="none",
                    running="none", ok=True,
                )
            )  # fmt: skip
        findings.append(_kernel_finding(ctx))
        return findings

    def plan(self, ctx: Context) -> Planned:
        asked = ctx.facts.get(NEED_RESTART)
        if asked is not None and asked.waits_for_reboot:
            return Planned(
                refusals=(
                    f"The kernel {asked.kernel_expected or 'that was installed last'} is used only"
                    f" after a restart of the host, which takes care of every service too."
                    f" Nothing was changed. {_WAYS_OUT}",
                )
            )
        old = _old(ctx)
        bound = [unit for unit in old if _is_bound(unit)]
        if bound:
            return Planned(
                refusals=(
                    f"{', '.join(bound)} runs old code and would take sessions or the network with"
                    f" it. Nothing was changed. {_WAYS_OUT}",
                )
            )
        units = ctx.facts.get(UNITS)
        lost = [unit for unit in old if unit not in units or not units[unit].enabled]
        if lost:
            return Planned(
                refusals=(
                    f"{', '.join(lost)} was left running by a package that is gone, and could not"
                    f" be started again. Nothing was changed. Run `systemctl stop"
                    f" {' '.join(lost)}` if nobody needs it, then look again.",
                )
            )
        changes: list[Change] = []
        if self.mode and _mode(ctx) != self.mode:
            text = (
                f"# Written by harden-tui for the step {self.step_id}.\n"
                f"$nrconf{{restart}} = '{self.mode}';\n"
            )
            changes.append(WriteFile(path=self.path, content=text.encode()))
        if old:
            changes.append(
                RunCommand(
                    argv=("systemctl", "restart", *old),
                    why="let them take the code that is installed",
                    timeout_s=RESTART_TIMEOUT_S,
                )
            )
        return Planned(
            changes=tuple(changes),
            notes=tuple(f"{unit} {why}; it restarts." for unit, why in old.items()),
            refusals=self._overruled(ctx) if self.mode else (),
        )

    def _overruled(self, ctx: Context) -> tuple[str, ...]:
        return tuple(
            f"{line.origin} is read after our file and sets {line.value}; nothing was changed."
            " Remove that line, then look again."
            for line in ctx.facts.get(NEEDRESTART_MODE)
            if line.file > self.path and line.file.startswith(f"{PARTS}/")
            and line.value != self.mode
        )  # fmt: skip

    def _mode_finding(self, ctx: Context) -> Finding:
        lines = ctx.facts.get(NEEDRESTART_MODE)
        mode = _mode(ctx)
        return Finding(
            resource="needrestart",
            setting="what it does with old services",
            expected=f"{self.mode} ({MODES[self.mode]})",
            running=f"{mode} ({MODES.get(mode, 'unknown')})",
            persistent=f"{mode} ({MODES.get(mode, 'unknown')})",
            origin=lines[-1].origin if lines else "needrestart's own default",
            ok=mode == self.mode,
        )


def _mode(ctx: Context) -> str:
    lines = ctx.facts.get(NEEDRESTART_MODE)
    return lines[-1].value if lines else DEFAULT


def _old(ctx: Context) -> dict[str, str]:
    """Unit -> why it must restart; needrestart's word first, then the kernel's."""
    asked = ctx.facts.get(NEED_RESTART)
    gone = ctx.facts.get(GONE_CODE)
    names = sorted({*(asked.services if asked is not None else ()), *gone})
    return {name: _why(gone.get(name, ())) for name in names}


def _why(gone: tuple[str, ...]) -> str:
    if not gone:
        return "runs a program that was replaced"
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return f"uses {gone[0]}{more}, which was replaced"


def _is_bound(unit: str) -> bool:
    return any(fnmatchcase(unit, pattern) for pattern in NOT_WITHOUT_THE_HOST)


def _kernel_finding(ctx: Context) -> Finding:
    asked = ctx.facts.get(NEED_RESTART)
    finding = Finding(
        resource="kernel", setting="the running kernel", expected="the newest one installed"
    )
    if asked is None or asked.kernel_state in ("", "0"):
        note = (
            "needrestart is not installed"
            if asked is None
            else "needrestart cannot tell (a container, or a kernel that dpkg does not know)"
        )
        return msgspec.structs.replace(finding, applicable=False, note=note)
    return msgspec.structs.replace(
        finding,
        running=asked.kernel_running,
        persistent=asked.kernel_expected,
        ok=not asked.waits_for_reboot,
        note=KERNEL.get(asked.kernel_state, ""),
    )
