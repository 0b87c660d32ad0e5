"""A monitoring system may have this host checked: by NRPE, or as a local check of Checkmk."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.base import Host, HostError
from host.facts import Fact, Facts, FactUnavailable
from host.facts.login import ACCOUNTS
from host.facts.nrpe import NRPE_FILES, NRPE_SINCE, UNIT, parse_nrpe
from host.facts.owners import GROUPS
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Activation, Change, Root, RunCommand, Validation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.package import installed_finding, plan_install

PACKAGE: Final = "nagios-nrpe-server"
USER: Final = "nagios"
COMMAND: Final = "check_harden_tui"
DROP_IN: Final = "/etc/nagios/nrpe.d/zz-harden-tui.cfg"
SUDOERS: Final = "/etc/sudoers.d/harden-tui-monitoring"
LOOPBACK: Final = ("127.0.0.1", "::1")
LOCAL: Final = "/usr/lib/check_mk_agent/local/600"
"""Checks in a folder named by a number run beside the agent, each so many seconds."""

SUDO: Final = "/usr/bin/sudo"
SCRIPT: Final = f"{LOCAL}/harden-tui"
AGENT: Final = "check_mk_agent"
RUNS_S: Final = 60.0


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`by` whom it is asked, `hosts` that may ask (NRPE), and about which checklist."""

    by: Literal["nrpe", "checkmk"]
    hosts: list[str]
    checklist: str


class MonitoringAgent(Resource):
    """`monitoring-agent: {by: nrpe, hosts: [192.0.2.10], checklist: lamp}`."""

    kind: ClassVar[str] = "monitoring-agent"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.body = body
        system = "nagios" if body.by == "nrpe" else "checkmk"
        self.argv = ("/usr/bin/harden-tui", "check", "--monitoring", system,
                     "--checklist", body.checklist)  # fmt: skip
        self.may = Fact("nagios-may", self._ask_sudo)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> MonitoringAgent:
        given = msgspec.convert(body, _Body)
        if not re.fullmatch(r"[a-z0-9-]+", given.checklist):
            raise StepError(f"checklist: {given.checklist!r} is no name of a checklist")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        if self.body.by == "checkmk":
            return ()
        return (PACKAGES, UNITS, NRPE_FILES, NRPE_SINCE, GROUPS, ACCOUNTS, self.may)

    def observe(self, ctx: Context) -> list[Finding]:
        return self._checkmk(ctx) if self.body.by == "checkmk" else self._nrpe(ctx)

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok for finding in self.observe(ctx)):
            return Planned()
        return self._plan_checkmk(ctx) if self.body.by == "checkmk" else self._plan_nrpe(ctx)

    def prove(self, ctx: Context) -> list[Finding]:
        """The check runs, as the user who runs it later."""
        argv: tuple[str, ...] = self.argv
        if self.body.by == "nrpe":
            argv = ("runuser", "-u", USER, "--", "sudo", "-n", *argv)
        try:
            answer = ctx.host.run(argv, ok=None, timeout_s=RUNS_S)
        except HostError as error:
            raise FactUnavailable(str(error)) from None
        first = (answer.stdout.splitlines() or answer.stderr.splitlines() or ["nothing"])[0]
        good = bool(re.match(r'HARDEN-TUI (OK|WARNING|CRITICAL) - |[0-2] "harden-tui" ', first))
        return [
            Finding(
                resource="monitoring", setting="the check itself", expected="answers",
                running=first[:160], ok=good,
            )
        ]  # fmt: skip

    @property
    def drop_in(self) -> str:
        command = " ".join(("/usr/bin/sudo", "-n", *self.argv))
        return (
            f"# Written by harden-tui for the step {self.step_id}.\n"
            f"allowed_hosts={','.join(self._hosts)}\n"
            f"dont_blame_nrpe=0\n"
            f"command[{COMMAND}]={command}\n"
        )

    @property
    def sudoers(self) -> str:
        """This one command, with these very arguments."""
        return (
            f"# Written by harden-tui for the step {self.step_id}.\n"
            f"{USER} ALL=(root) NOPASSWD: {' '.join(self.argv)}\n"
        )

    @property
    def script(self) -> str:
        return (
            f"#!/bin/sh\n# Written by harden-tui for the step {self.step_id}.\n"
            f"exec {' '.join(self.argv)}\n"
        )

    @property
    def _hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*LOOPBACK, *self.body.hosts)))

    def _shut_out(self, ctx: Context) -> str:
        """Why NRPE's user cannot even start sudo; empty where it can."""
        state = ctx.host.state(SUDO)
        if state is None or state.mode & 0o001:
            return ""
        user = ctx.facts.get(ACCOUNTS).get(USER)
        mine = user.groups if user is not None else (USER,)
        names = [name for name, gid in ctx.facts.get(GROUPS).items() if gid == state.gid]
        if state.mode & 0o010 and set(names) & set(mine):
            return ""
        return f"{SUDO} can be started by the group {', '.join(names) or state.gid} alone"

    def _ask_sudo(self, host: Host, facts: Facts) -> bool:
        argv = ("sudo", "-n", "-l", "-U", USER, "--", *self.argv)
        return host.run(argv, ok=None).ok

    def _nrpe(self, ctx: Context) -> list[Finding]:
        installed = installed_finding(ctx, PACKAGE)
        if not installed.ok:
            return [installed]
        texts, unit = ctx.facts.get(NRPE_FILES), ctx.facts.get(UNITS).get(UNIT)
        lines = parse_nrpe(texts)
        changed_s = max((ctx.host.changed_ns(path) / 1e9 for path in texts), default=0.0)
        fresh = changed_s <= ctx.facts.get(NRPE_SINCE) + 1
        active = unit.active if unit is not None else "not there"
        at_boot = unit.enabled if unit is not None else "not there"
        wanted = {
            "allowed_hosts": ",".join(self._hosts),
            "dont_blame_nrpe": "0",
            f"command[{COMMAND}]": " ".join(("/usr/bin/sudo", "-n", *self.argv)),
        }
        findings = []
        for name, value in wanted.items():
            line = lines.get(name)
            there = line.value if line is not None else "unset"
            same = _same_hosts(there, value) if name == "allowed_hosts" else there == value
            findings.append(
                Finding(
                    resource="nrpe", setting=name, expected=value,
                    running=there if fresh else "as it was when NRPE started", persistent=there,
                    origin=line.origin if line is not None else "", ok=same and fresh,
                )
            )  # fmt: skip
        shut_out = self._shut_out(ctx)
        may = ctx.facts.get(self.may) and not shut_out
        return [
            installed,
            Finding(
                resource="nrpe", setting=UNIT, expected="active and enabled", running=active,
                persistent=at_boot, ok=active == "active" and at_boot == "enabled",
            ),
            *findings,
            Finding(
                resource="sudo", setting=f"{USER} may run the check", expected="yes, and as root",
                running="yes" if may else "no", persistent="yes" if may else "no",
                origin=SUDOERS if ctx.host.state(SUDOERS) is not None else "", ok=may,
                note=shut_out,
            ),
        ]  # fmt: skip

    def _plan_nrpe(self, ctx: Context) -> Planned:
        install = plan_install(ctx, (PACKAGE,))
        if install.refusals:
            return install
        shut_out = self._shut_out(ctx)
        if shut_out:
            return Planned(
                refusals=(
                    f"NRPE would start the check with sudo, but {shut_out}. Nothing was changed."
                    " Undo accounts.sudo-callers first (it is not for a host where sudoers names"
                    " others than that group), or be asked by Checkmk, whose agent is root:"
                    f" --set {self.step_id}.by=checkmk",
                )
            )
        changes: list[Change] = [*install.changes]
        there = not install.changes
        findings = {finding.setting: finding for finding in self.observe(ctx)}
        nrpe = [f for f in findings.values() if f.resource == "nrpe" and f.setting != UNIT]
        later = [
            finding.origin
            for finding in nrpe
            if not finding.ok and finding.origin.partition(":")[0].rpartition("/")[2] > "zz-harden"
            and not finding.origin.startswith(DROP_IN)
        ]  # fmt: skip
        if later:
            return Planned(
                refusals=(
                    f"{later[0]} is read after {DROP_IN} and would outweigh it; nothing was"
                    " changed. Take that line away first, or rename its file.",
                )
            )
        if not there or not all(finding.ok for finding in nrpe):
            changes.append(WriteFile(path=DROP_IN, content=self.drop_in.encode()))
        if not there or not ctx.facts.get(self.may):
            changes.append(
                WriteFile(path=SUDOERS, content=self.sudoers.encode(), mode=0o440, force_state=True)
            )
        if there and not findings[UNIT].ok:
            changes.append(
                RunCommand(
                    argv=("systemctl", "enable", "--now", UNIT),
                    why="start NRPE, now and at every boot",
                )
            )
        return msgspec.structs.replace(
            install,
            changes=tuple(changes),
            validations=(Validation(("visudo", "-c", "-q")),),
            activations=(Activation("restart", UNIT),),
            notes=(
                *install.notes,
                f"On the monitoring server: check_nrpe -H THIS-HOST -c {COMMAND} -t 60. Open port"
                " 5666/tcp for it in the packet filter (firewall.ufw), for nobody else.",
            ),
        )

    def _checkmk(self, ctx: Context) -> list[Finding]:
        there = ctx.host.which(AGENT) is not None
        state = ctx.host.state(SCRIPT)
        text = _text(ctx.host, SCRIPT) if state is not None else ""
        good = text == self.script and state is not None and state.mode & 0o111 == 0o111
        return [
            Finding(
                resource="checkmk", setting=AGENT, expected="installed",
                running="installed" if there else "not installed", ok=there,
            ),
            Finding(
                resource="checkmk", setting="local check", expected="as the step has it",
                running="the same" if good else ("different" if text else "absent"),
                persistent="the same" if good else "absent", origin=SCRIPT if text else "", ok=good,
            ),
        ]  # fmt: skip

    def _plan_checkmk(self, ctx: Context) -> Planned:
        if ctx.host.which(AGENT) is None:
            return Planned(
                refusals=(
                    "Checkmk's agent is not installed on this host, and Debian does not have it;"
                    " nothing was changed. Install the package your Checkmk site offers (Setup,"
                    " Agents), then look again.",
                )
            )
        return Planned(
            changes=(
                WriteFile(path=SCRIPT, content=self.script.encode(), mode=0o755, force_state=True),
            ),
            roots=(Root("/usr/lib/check_mk_agent/local", content=True),),
        )


def _same_hosts(one: str, other: str) -> bool:
    return {host.strip() for host in one.split(",")} == set(other.split(","))


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""
