"""Log lines that also go to another host, over TLS, and wait in a queue while it is away."""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.packages import PACKAGES
from host.facts.rsyslog import RSYSLOG_FILES, Forward, connected, forwards
from host.facts.ufw import UFW_CONFIGURATION
from host.facts.units import UNITS
from snapshots.model import Activation, Change, RunCommand, Validation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.package import installed_finding, plan_install
from steps.resources.way_out import way_refusals

PACKAGES_NEEDED: Final = ("rsyslog", "rsyslog-gnutls")
UNIT: Final = "rsyslog.service"
CONNECTS_S: Final = 10.0
FIRST: Final = ("logger", "-t", "harden-tui", "-p", "syslog.info", "rsyslog was started anew")
"""rsyslog connects with the first line it has to send."""

_NAME = re.compile(r"[A-Za-z0-9.:_*-]+")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """`peer` is the name that the log host's certificate must have; empty for `host`."""

    host: str
    port: int
    authority: str
    peer: str = ""
    queue_mib: int = 1024


class RsyslogRemote(Resource):
    """`rsyslog-remote: {host: logs.example.org, port: 6514, authority: /etc/ssl/…}`."""

    kind: ClassVar[str] = "rsyslog-remote"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.body = body
        self.peer = body.peer or body.host
        self.path = f"/etc/rsyslog.d/60-harden-tui-{step_id.replace('.', '-')}.conf"
        self.connected = connected(body.port)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> RsyslogRemote:
        given = msgspec.convert(body, _Body)
        for field, text in (("host", given.host), ("peer", given.peer or given.host)):
            if not _NAME.fullmatch(text):
                raise StepError(f"{field}: expected a name or an address, not {text!r}")
        if not given.authority.startswith("/") or re.search(r"[\s\"]", given.authority):
            raise StepError(f"authority: expected an absolute path, not {given.authority!r}")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, UNITS, RSYSLOG_FILES, self.connected, UFW_CONFIGURATION)

    def observe(self, ctx: Context) -> list[Finding]:
        installed = [installed_finding(ctx, name) for name in PACKAGES_NEEDED]
        if not all(finding.ok for finding in installed):
            return installed
        return [*installed, _running(ctx), *self._forwarding(ctx)]

    def plan(self, ctx: Context) -> Planned:
        install = plan_install(ctx, PACKAGES_NEEDED)
        if install.refusals:
            return install
        there = not install.changes
        changes: list[Change] = [*install.changes]
        if there and not _running(ctx).ok:
            changes.append(
                RunCommand(
                    argv=("systemctl", "enable", "--now", UNIT),
                    why="start rsyslog, now and at every boot",
                )
            )
        written = self._ours(ctx) is not None
        if not written:
            changes.append(WriteFile(path=self.path, content=self.text.encode()))
        elif there and not changes and not ctx.facts.get(self.connected):
            changes.append(
                RunCommand(argv=("systemctl", "restart", UNIT), why="have rsyslog connect anew")
            )
        if not changes:
            return Planned()
        return msgspec.structs.replace(
            install,
            changes=tuple(changes),
            refusals=self._refusals(ctx),
            notes=(
                *install.notes,
                f"From now on {self.body.host} gets every line, names and addresses among them.",
            ),
            validations=(Validation(("rsyslogd", "-N1")),),
            activations=()
            if written
            else (Activation("restart", UNIT), Activation("command", argv=FIRST)),
        )

    def settle(self, ctx: Context) -> None:
        """It connects with the first line, not when it is started."""
        self._connects(ctx)

    def _connects(self, ctx: Context) -> tuple[str, ...]:
        """The far ends, once there are any."""
        until = time.monotonic() + CONNECTS_S
        while not (far := self.connected.read(ctx.host, ctx.facts)):
            if time.monotonic() > until:
                break
            time.sleep(0.3)
        return far

    def prove(self, ctx: Context) -> list[Finding]:
        """A line is sent, and rsyslog then holds a connection whose certificate it accepted."""
        mark = f"harden-tui-{time.time_ns()}"
        try:
            ctx.host.run(("logger", "-t", "harden-tui", "-p", "auth.notice", mark))
            far = self._connects(ctx)
            # A certificate that is refused ends the connection at once.
            time.sleep(1.0)
            still = self.connected.read(ctx.host, ctx.facts)
        except HostError as error:
            raise FactUnavailable(str(error)) from None
        ok = bool(far and still)
        return [
            Finding(
                resource="rsyslog", setting="a test line", expected=f"sent to {self.body.host}",
                running=f"sent over {still[0]}" if ok else "not sent", ok=ok,
                note=f"look for {mark} on the log host" if ok
                else self._why(ctx) or "journalctl -u rsyslog says why",
            )
        ]  # fmt: skip

    @property
    def text(self) -> str:
        """Our file: one action with a queue of its own, so that nothing else waits for it."""
        body = self.body
        return f"""\
# Written by harden-tui for the step {self.step_id}.
action(
    type="omfwd" name="harden-tui-remote"
    target="{body.host}" port="{body.port}" protocol="tcp"
    StreamDriver="gtls" StreamDriverMode="1"
    StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="{self.peer}"
    StreamDriver.CAFile="{body.authority}"
    queue.type="LinkedList" queue.filename="harden-tui-remote"
    queue.maxDiskSpace="{body.queue_mib}m" queue.saveOnShutdown="on"
    action.resumeRetryCount="-1" action.resumeInterval="10"
)
"""

    def _ours(self, ctx: Context) -> Forward | None:
        """The forwarding that does what is wanted, whoever wrote it."""
        body = self.body
        for one in _all(ctx):
            there = (one.target, one.port, one.protocol) == (body.host, body.port, "tcp")
            if there and one.encrypted and one.peers == self.peer:
                return one
        return None

    def _forwarding(self, ctx: Context) -> list[Finding]:
        body, ours = self.body, self._ours(ctx)
        far = ctx.facts.get(self.connected)
        findings = [
            Finding(
                resource="rsyslog", setting="log lines", expected=f"to {body.host}, over TLS",
                running=f"connected to {', '.join(far)}" if far else "no connection",
                persistent=f"to {ours.target}:{ours.port}, {ours.peers} by certificate"
                if ours is not None else "stay here",
                origin=ours.origin if ours is not None else "",
                ok=ours is not None and bool(far),
                note="" if far or ours is None else "they wait in /var/spool/rsyslog meanwhile",
            )
        ]  # fmt: skip
        findings += [
            Finding(
                resource="rsyslog", setting=f"log lines to {one.target}:{one.port}",
                expected="whatever it is", running=f"{one.protocol}, readable on the way",
                origin=one.origin, ok=True,
                note="this step adds a way that is encrypted and leaves yours as it is",
            )
            for one in _all(ctx) if not one.encrypted
        ]  # fmt: skip
        return findings

    def _refusals(self, ctx: Context) -> tuple[str, ...]:
        authority = ctx.host.state(ctx.host.realpath(self.body.authority))
        if authority is not None and authority.kind == "file":
            return way_refusals(ctx, self.body.host, self.body.port)
        return (
            f"{self.body.authority} does not exist, so the log host's certificate could not be"
            " checked; nothing was changed. Put the certificate of its authority there first.",
        )

    def _why(self, ctx: Context) -> str:
        """What rsyslog itself said last of the connection."""
        argv = ("journalctl", "-q", "-b", "-o", "cat", "-n", "30", "-u", UNIT)
        lines = ctx.host.run(argv, ok=None).stdout.splitlines()
        said = [line for line in lines if re.search(r"omfwd|nsd_gtls|netstream|certificate", line)]
        return said[-1][:200] if said else ""


def _all(ctx: Context) -> list[Forward]:
    texts = ctx.facts.get(RSYSLOG_FILES)
    return forwards(texts)


def _running(ctx: Context) -> Finding:
    unit = ctx.facts.get(UNITS).get(UNIT)
    active = unit.active if unit is not None else "not there"
    at_boot = unit.enabled if unit is not None else "not there"
    return Finding(
        resource="rsyslog", setting=UNIT, expected="active and enabled", running=active,
        persistent=at_boot, ok=active == "active" and at_boot == "enabled",
    )  # fmt: skip
