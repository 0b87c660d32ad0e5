"""Where MariaDB can be reached: its own addresses, and the sockets that systemd opens for it."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec

from host.base import CommandFailed, HostError, Port
from host.facts import Fact
from host.facts.mariadb import MARIADB, SERVICE, Server
from host.facts.mariadb_files import OPTIONS
from host.facts.ports import PORTS
from host.facts.units import UNITS
from host.mariadb import ask
from snapshots.model import Change, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.mariadb_settings import IS_SOUND, RESTART, draft, setting

SOCKETS = ("mariadb.socket", "mariadb-extra.socket", "mysql.socket")
"""They listen on every address, whatever bind_address says, and start the server on connection."""

_STARTS = ("enabled", "enabled-runtime", "linked", "linked-runtime")
_LOOPBACK = re.compile(r"127\.[0-9.]+|::1|localhost")
_UNREACHABLE = re.compile(r"ERROR 200[23]\b")
MOST_ADDRESSES = 8

REMOTE = """\
SELECT DISTINCT SUBSTRING_INDEX(HOST, ':', 1), USER FROM information_schema.PROCESSLIST
  WHERE HOST <> '' AND HOST NOT LIKE 'localhost%' AND HOST NOT LIKE '127.%'
    AND HOST NOT LIKE '::1%' AND COMMAND <> 'Daemon' ORDER BY 1, 2;
"""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tcp: Literal["loopback", "off"] = "loopback"


class MariadbListen(Resource):
    """`mariadb-listen: {tcp: loopback}`, or `off` for the socket file only."""

    kind: ClassVar[str] = "mariadb-listen"

    def __init__(self, step_id: str, tcp: str) -> None:
        self.step_id = step_id
        self.tcp = tcp

    @classmethod
    def parse(cls, step_id: str, body: Any) -> MariadbListen:
        return cls(step_id, msgspec.convert(body, _Body).tcp)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (MARIADB, OPTIONS, UNITS, PORTS)

    def observe(self, ctx: Context) -> list[Finding]:
        units = ctx.facts.get(UNITS)
        findings = [self._setting(ctx)]
        for name in self._sockets(ctx):
            wrong = self._is_wrong(ctx, name)
            findings.append(
                Finding(
                    resource="mariadb-listen",
                    setting=name,
                    expected="stopped and disabled",
                    running=units[name].active,
                    persistent=units[name].enabled,
                    origin=f"systemctl cat {name}",
                    ok=not wrong,
                    note="listens on every address, whatever bind_address says" if wrong else "",
                )
            )
        held = self._ports(ctx)
        wrong_ports = self._unwanted(held)
        findings.append(
            Finding(
                resource="mariadb-listen",
                setting="TCP ports",
                expected="none" if self.tcp == "off" else "loopback only",
                running=", ".join(map(_shown, held)) or "none",
                origin="the kernel's list of listening sockets",
                ok=not wrong_ports,
            )
        )
        return findings

    def plan(self, ctx: Context) -> Planned:
        server, options = ctx.facts.get(MARIADB), ctx.facts.get(OPTIONS)
        name, wanted = self._wanted()
        after = setting(server, options, name).persistent
        targets = {} if self._holds(after) else {name: wanted}
        drafted = draft(ctx.host, self.step_id, server, options, targets)
        sockets = [unit for unit in self._sockets(ctx) if self._is_wrong(ctx, unit)]
        changes: list[Change] = list(drafted.changes)
        if sockets:
            changes.append(
                RunCommand(
                    argv=("systemctl", "disable", "--now", *sockets),
                    why=f"close {', '.join(sockets)}, and open them at boot no more",
                )
            )
        unwanted = self._unwanted(self._ports(ctx))
        stale = unwanted or not self._holds(setting(server, options, name).running)
        if stale and not changes:
            changes.append(
                RunCommand(
                    argv=("systemctl", "restart", SERVICE),
                    why="no file changes; MariaDB only has to listen anew",
                )
            )
        if not changes:
            return Planned(refusals=drafted.refusals)
        return Planned(
            changes=tuple(changes),
            validations=(IS_SOUND,),
            activations=(RESTART,),
            refusals=(*drafted.refusals, *_remote_users(ctx)),
            stops=(*sockets, *(f"{port.protocol} {port.address} {port.port}" for port in unwanted)),
            notes=("MariaDB is restarted: applications lose their connections for a moment.",),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """Real connections: over loopback one is answered, to any other address none."""
        server = ctx.facts.get(MARIADB)
        addresses = [
            address
            for address in ctx.host.run(("hostname", "-I"), ok=None).stdout.split()
            if not _LOOPBACK.fullmatch(address)
        ][:MOST_ADDRESSES]
        findings = [_connection(ctx, server, address, reached=False) for address in addresses]
        if server.value("port") not in ("", "0"):
            findings.append(_connection(ctx, server, "127.0.0.1", reached=self.tcp == "loopback"))
        return findings

    def _wanted(self) -> tuple[str, str]:
        if self.tcp == "off":
            return "skip_networking", "ON"
        return "bind_address", "127.0.0.1"

    def _holds(self, value: str) -> bool:
        if self.tcp == "off":
            return value.upper() == "ON"
        addresses = [word.strip() for word in value.split(",")]
        return all(_LOOPBACK.fullmatch(address) for address in addresses)

    def _setting(self, ctx: Context) -> Finding:
        server, options = ctx.facts.get(MARIADB), ctx.facts.get(OPTIONS)
        name, wanted = self._wanted()
        found = setting(server, options, name)
        no_tcp = setting(server, options, "skip_networking")
        silent = no_tcp.running == no_tcp.persistent == "ON"
        runs = silent or self._holds(found.running)
        stays = silent or self._holds(found.persistent)
        return Finding(
            resource="mariadb-listen",
            setting=name,
            expected=wanted if self.tcp == "off" else "a loopback address",
            running=found.running,
            persistent=found.persistent,
            origin=found.origin or "the default",
            ok=runs and stays,
            note="" if runs == stays else "the server was not restarted since the file changed",
        )

    def _sockets(self, ctx: Context) -> list[str]:
        """Those of the socket units that this host has; a second name of one is left out."""
        units = ctx.facts.get(UNITS)
        return [name for name in SOCKETS if name in units and units[name].enabled != "alias"]

    def _is_wrong(self, ctx: Context, name: str) -> bool:
        unit = ctx.facts.get(UNITS)[name]
        return unit.active not in ("inactive", "failed") or unit.enabled in _STARTS

    def _ports(self, ctx: Context) -> list[Port]:
        server = ctx.facts.get(MARIADB)
        numbers = {server.value("port"), server.value("extra_port")} - {"", "0"}
        return [
            port
            for port in ctx.facts.get(PORTS)
            if port.protocol == "tcp"
            and (str(port.port) in numbers or port.process == "mariadbd" or port.unit == SERVICE)
        ]

    def _unwanted(self, ports: list[Port]) -> list[Port]:
        return [port for port in ports if port.exposed or self.tcp == "off"]


def _connection(ctx: Context, server: Server, address: str, *, reached: bool) -> Finding:
    """One real connection with the client, as somebody whom nobody knows."""
    argv = (
        "mariadb", f"--host={address}", f"--port={server.value('port')}", "--protocol=tcp",
        "--connect-timeout=3", "--user=harden-tui-probe", "--execute=DO 0",
    )  # fmt: skip
    ok: bool | None
    try:
        ctx.host.run(argv, timeout_s=10.0)
        running, ok = "answered, and let a stranger in", reached
    except CommandFailed as error:
        refused = _UNREACHABLE.search(error.completed.stderr) is not None
        running = "no connection" if refused else "answered"
        ok = refused is not reached
    except HostError as error:
        running, ok = str(error), None
    return Finding(
        resource="mariadb-listen",
        setting=f"connection to {address}",
        expected="answered" if reached else "no connection",
        running=running,
        ok=ok,
        note=running if ok is None else "",
    )


def _remote_users(ctx: Context) -> list[str]:
    """Who is connected from another machine right now."""
    return [
        f"{address} is connected to MariaDB right now as {user} and would lose it. Let that"
        " machine go first, or leave this step out: `harden-tui steps waive mariadb.listen`."
        for address, user in ask(ctx.host, REMOTE)
    ]


def _shown(port: Port) -> str:
    address = f"[{port.address}]" if ":" in port.address else port.address
    return f"{address}:{port.port}"
