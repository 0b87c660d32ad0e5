"""A journal that outlives a reboot, within limits, and who keeps logs as text beside it."""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.journald import JOURNALD, UNIT, size_bytes
from host.facts.packages import PACKAGES
from host.facts.systemd_conf import Setting, configuration
from host.facts.units import UNITS
from snapshots.model import Activation, Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.package import installed_finding, plan_install

CONFIGURATION: Final = configuration("journald")
PAGE_BYTES: Final = 4096
"""journald rounds its limit to whole pages."""

RSYSLOG: Final = "rsyslog.service"
TEXT_LOGS: Final = ("/var/log/syslog", "/var/log/user.log", "/var/log/messages")
ARRIVES_S: Final = 5.0


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`max_use` as SystemMaxUse takes it; `text_logs`: whether rsyslog writes text beside it."""

    max_use: str
    text_logs: Literal["rsyslog", "journald"] = "journald"


class Journal(Resource):
    """`journald: {max-use: 1G, text-logs: rsyslog}`."""

    kind: ClassVar[str] = "journald"

    def __init__(self, step_id: str, body: _Body, most_bytes: int) -> None:
        self.step_id = step_id
        self.body = body
        self.most_bytes = most_bytes
        name = step_id.replace(".", "-")
        self.path = f"/etc/systemd/journald.conf.d/zz-harden-tui-{name}.conf"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Journal:
        given = msgspec.convert(body, _Body)
        most = size_bytes(given.max_use) if re.fullmatch(r"[0-9]+[KMGT]?", given.max_use) else None
        if not most:
            raise StepError(f"max-use: expected a size such as 1G, not {given.max_use!r}")
        return cls(step_id, given, most)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (JOURNALD, CONFIGURATION, PACKAGES, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        return [*self._settings(ctx), *self._text_logs(ctx)]

    def plan(self, ctx: Context) -> Planned:
        changes: list[Change] = []
        activations: list[Activation] = []
        if not all(finding.ok for finding in self._settings(ctx)):
            lines = {"Storage": "persistent", "Compress": "yes", "SystemMaxUse": self.body.max_use}
            written = "".join(f"{key}={value}\n" for key, value in lines.items())
            text = f"# Written by harden-tui for the step {self.step_id}.\n[Journal]\n{written}"
            changes.append(WriteFile(path=self.path, content=text.encode()))
            activations = [
                Activation("restart", UNIT),
                # A journal that was in memory is moved to the disk only when it is asked to.
                Activation("command", argv=("journalctl", "--flush")),
            ]
        beside = self._plan_text_logs(ctx)
        return msgspec.structs.replace(
            beside,
            changes=(*changes, *beside.changes),
            activations=tuple(activations),
            refusals=(*self._outweighed(ctx), *beside.refusals),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """A line goes in and is found in the journal on the disk, and in rsyslog's file."""
        mark = f"harden-tui-{time.time_ns()}"
        try:
            ctx.host.run(("logger", "-t", "harden-tui", "-p", "user.notice", mark))
            found = _found(ctx, mark, self.body.text_logs == "rsyslog")
        except HostError as error:
            raise FactUnavailable(str(error)) from None
        return [
            Finding(
                resource="journald", setting=f"a test line in {where}", expected="arrives",
                running="arrived" if arrived else "did not arrive", ok=arrived,
            )
            for where, arrived in found.items()
        ]  # fmt: skip

    def _settings(self, ctx: Context) -> list[Finding]:
        running, lines = ctx.facts.get(JOURNALD), ctx.facts.get(CONFIGURATION)
        storage, most = lines.get(("Journal", "Storage")), lines.get(("Journal", "SystemMaxUse"))
        limit = size_bytes(most.value) if most else None
        told = running.maximum_bytes
        compress = lines.get(("Journal", "Compress"))
        squeezes = compress is None or compress.value.lower() not in ("no", "false", "off", "0")
        fresh = self._is_fresh(ctx, running.started_s, compress)
        return [
            _finding(
                "Storage", "persistent", "persistent" if running.is_persistent else "volatile",
                storage, "auto", running.is_persistent and _is(storage, "persistent"),
                note="" if running.is_persistent else "the journal is gone after the next reboot",
            ),
            _finding(
                "SystemMaxUse", f"at most {self.body.max_use}",
                "not told since the boot" if told is None else _size(told),
                most, "a tenth of the file system",
                limit is not None and limit <= self.most_bytes
                and told is not None and told <= self.most_bytes + PAGE_BYTES,
            ),
            _finding(
                "Compress", "yes",
                "yes" if squeezes and fresh else "as it was when journald started",
                compress, "yes", squeezes and fresh,
            ),
        ]  # fmt: skip

    def _is_fresh(self, ctx: Context, started_s: float, line: Setting | None) -> bool:
        """Whether journald started after the line that decides was written."""
        return line is None or ctx.host.changed_ns(line.file) / 1e9 <= started_s + 1

    def _outweighed(self, ctx: Context) -> tuple[str, ...]:
        """A drop-in that is read after ours and says otherwise."""
        lines = ctx.facts.get(CONFIGURATION)
        ours = self.path.rpartition("/")[2]
        later = [
            f"{line.origin} ({key}={line.value})"
            for key in ("Storage", "SystemMaxUse", "Compress")
            if (line := lines.get(("Journal", key))) and line.file.rpartition("/")[2] > ours
        ]
        if not later or all(finding.ok for finding in self._settings(ctx)):
            return ()
        return (
            f"{later[0]} is read after {self.path} and would outweigh it; nothing was changed."
            " Take that line away first, or rename its file.",
        )

    def _text_logs(self, ctx: Context) -> list[Finding]:
        unit = ctx.facts.get(UNITS).get(RSYSLOG)
        active = unit is not None and unit.active == "active"
        if self.body.text_logs == "journald":
            return [
                Finding(
                    resource="rsyslog", setting="text logs", expected="the journal alone",
                    running="rsyslog writes them too" if active else "the journal alone",
                    persistent=unit.enabled if unit is not None else "not installed",
                    ok=not active,
                )
            ]  # fmt: skip
        installed = installed_finding(ctx, "rsyslog")
        if not installed.ok:
            return [installed]
        at_boot = unit.enabled if unit is not None else "not there"
        return [
            installed,
            Finding(
                resource="rsyslog", setting=RSYSLOG, expected="active and enabled",
                running=unit.active if unit is not None else "not there", persistent=at_boot,
                ok=active and at_boot == "enabled",
            ),
        ]  # fmt: skip

    def _plan_text_logs(self, ctx: Context) -> Planned:
        findings = self._text_logs(ctx)
        if all(finding.ok for finding in findings):
            return Planned()
        if self.body.text_logs == "journald":
            return Planned(
                refusals=(
                    "rsyslog runs on this host, and fail2ban, logwatch or a monitoring agent may"
                    " read its files; nothing was changed. Keep it (text-logs=rsyslog), or look"
                    " who reads /var/log/syslog and /var/log/auth.log, remove rsyslog, and look"
                    " again.",
                )
            )
        install = plan_install(ctx, ("rsyslog",))
        if install.changes or install.refusals:
            return install
        return Planned(
            changes=(
                RunCommand(
                    argv=("systemctl", "enable", "--now", RSYSLOG),
                    why="start rsyslog, now and at every boot",
                ),
            )
        )


def _found(ctx: Context, mark: str, with_text: bool) -> dict[str, bool]:
    """Where the line `mark` arrives within `ARRIVES_S`."""
    until = time.monotonic() + ARRIVES_S
    found = {"the journal on the disk": False, **({"rsyslog's files": False} if with_text else {})}
    while not all(found.values()):
        if not found["the journal on the disk"]:
            argv = ("journalctl", "-q", "-b", "-o", "cat", "-t", "harden-tui", "-n", "50",
                    "-D", "/var/log/journal")  # fmt: skip
            answer = ctx.host.run(argv, ok=None)
            found["the journal on the disk"] = mark in answer.stdout
        if with_text and not found["rsyslog's files"]:
            logs = [path for path in TEXT_LOGS if ctx.host.state(path) is not None]
            answer = ctx.host.run(("grep", "-qsF", "--", mark, *logs, "/dev/null"), ok=None)
            found["rsyslog's files"] = answer.ok
        if all(found.values()) or time.monotonic() > until:
            break
        time.sleep(0.2)
    return found


def _is(line: Setting | None, value: str) -> bool:
    return line is not None and line.value.lower() == value


def _size(count_bytes: int) -> str:
    return f"{count_bytes / 1024**2:.0f}M"


def _finding(
    setting: str, expected: str, running: str, line: Setting | None, default: str, ok: bool, *,
    note: str = "",
) -> Finding:  # fmt: skip
    return Finding(
        resource="journald",
        setting=setting,
        expected=expected,
        running=running,
        persistent=line.value if line else f"{default} (default)",
        origin=line.origin if line else "",
        ok=ok,
        note=note,
    )
