"""Where Apache listens: the sockets of its running process, and the Listen lines behind them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import msgspec

from host.base import Port
from host.facts import Fact
from host.facts.apache import APACHE, RUNNING, UNIT, Apache
from host.facts.apache_config import Directive, parse_address
from host.facts.ports import PORTS
from snapshots.model import Activation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import Edits, planned

_EVERYWHERE = ("*", "0.0.0.0", "::")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ports: list[int | str]
    addresses: list[str] = []


class ApacheListen(Resource):
    """`apache-listen: {ports: [80, 443], addresses: [192.0.2.7]}`.

    Beside `ports`, Apache may listen on loopback. With `addresses`, at these only.
    """

    kind: ClassVar[str] = "apache-listen"

    def __init__(self, ports: list[int], addresses: list[str]) -> None:
        self.ports = ports
        self.addresses = addresses

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheListen:
        given = msgspec.convert(body, _Body, strict=True)
        ports = []
        for port in given.ports:
            text = str(port)
            if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
                raise StepError(f"ports: {text!r} is no port")
            ports.append(int(text))
        if not ports:
            raise StepError("ports: name at least one")
        for address in given.addresses:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise StepError(f"addresses: {address!r} is no IP address") from None
        return cls(ports, given.addresses)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, PORTS)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        lines = _listens(apache)
        open_ones = _sockets(ctx)
        findings = [self._socket(port, lines) for port in open_ones]
        for directive, host, number in lines:
            if any(port.port == number and _same(host, port.address) for port in open_ones):
                continue
            ok = self._fine(host, number)
            findings.append(
                Finding(
                    resource="apache",
                    setting=f"Listen {directive.args}",
                    expected=self._expected(),
                    running="" if not running.pid else "nothing listens",
                    persistent=_shown(host, number),
                    origin=directive.origin,
                    ok=ok if not running.pid or not ok else None,
                    note="Apache does not run; this holds when it starts"
                    if not running.pid
                    else running.stale,
                )
            )
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        wrong = [one for one in _listens(apache) if not self._fine(one[1], one[2])]
        if not wrong:
            return planned([], running)
        edits = Edits(ctx.host)
        notes: list[str] = []
        kept = [one for one in _listens(apache) if one not in wrong]
        # The last of a file first, so that the lines of the others stay where they are.
        for directive, host, number in sorted(wrong, key=lambda one: one[0].line, reverse=True):
            instead = self._instead(host, number, directive, kept)
            edits.replace(
                directive.file,
                partial(_with_lines, directive=directive, lines=instead),
                f"{directive.origin} says Listen {directive.args}, but not in words that can be"
                " replaced safely; change it by hand",
            )
            kept += [(directive, *parse_address(line.split()[1])) for line in instead]
            if not instead:
                notes += _answers_there(apache, number)
        if not kept:
            return Planned(
                refusals=(
                    "Apache would listen nowhere then; nothing was changed. Name the port it shall"
                    " listen on in ports.",
                )
            )
        stops = [
            f"tcp {port.address} {port.port}"
            for port in _sockets(ctx)
            if not any(
                number == port.port and _same(host, port.address) for _, host, number in kept
            )
        ]
        work = planned(edits.changes, running, notes=notes, refusals=edits.refusals)
        # A reload cannot take a single address while the old socket has all of them.
        restart = (Activation("restart", UNIT),) if self.addresses else work.activations
        return msgspec.structs.replace(work, stops=tuple(stops), activations=restart)

    def _fine(self, host: str, number: int) -> bool:
        if _is_loopback(host):
            return True
        if number not in self.ports:
            return False
        return not self.addresses or host in self.addresses

    def _instead(
        self, host: str, number: int, line: Directive, kept: list[tuple[Directive, str, int]]
    ) -> list[str]:
        """The lines in place of a wrong one: none, or one for each address.

        Loopback stays with them: monitoring and cron jobs of this host ask there.
        """
        if number not in self.ports:
            return []
        there = {(other, port) for _, other, port in kept}
        protocol = " ".join(line.words[1:])
        return [
            f"Listen {_shown(address, number)} {protocol}".rstrip()
            for address in ("127.0.0.1", *self.addresses)
            if self.addresses and (address, number) not in there
        ]

    def _socket(self, port: Port, lines: list[tuple[Directive, str, int]]) -> Finding:
        behind = [
            directive
            for directive, host, number in lines
            if number == port.port and _same(host, port.address)
        ]
        fine = self._fine("*" if port.address in _EVERYWHERE else port.address, port.port)
        return Finding(
            resource="apache",
            setting=f"tcp {_shown(port.address, port.port)}",
            expected=self._expected(),
            running="listens",
            persistent="listens" if behind else "nothing listens",
            origin=behind[0].origin if behind else "",
            ok=fine and bool(behind),
            note="" if behind else "no Listen line says so any more; reload Apache",
        )

    def _expected(self) -> str:
        ports = ", ".join(map(str, self.ports))
        where = f" at {', '.join(self.addresses)}" if self.addresses else ""
        return f"port {ports}{where}, or loopback"


def _sockets(ctx: Context) -> list[Port]:
    return [p for p in ctx.facts.get(PORTS) if p.protocol == "tcp" and p.process == "apache2"]


def _listens(apache: Apache) -> list[tuple[Directive, str, int]]:
    found = []
    for directive in apache.config.named("Listen"):
        if directive.words:
            host, number = parse_address(directive.words[0])
            found.append((directive, host, number))
    return found


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address in ("::1", "localhost")


def _same(host: str, bound: str) -> bool:
    """Whether a Listen line makes a socket: one for all of IPv6 takes IPv4 too."""
    if host == "*":
        return bound in _EVERYWHERE
    return host == bound or (host == "localhost" and _is_loopback(bound))


def _shown(host: str, number: int) -> str:
    if host in _EVERYWHERE:
        return str(number)
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def _with_lines(text: str, directive: Directive, lines: list[str]) -> str | None:
    """`text` with these lines in place of a Listen line, which stays as a comment."""
    old = text.splitlines(keepends=True)
    at = directive.line - 1
    if not 0 <= at < len(old) or old[at].split()[:1] != [directive.name]:
        return None
    indent = old[at][: len(old[at]) - len(old[at].lstrip())]
    new = [f"{indent}{line}\n" for line in lines]
    return "".join([*old[:at], f"{indent}# {old[at].lstrip()}", *new, *old[at + 1 :]])


def _answers_there(apache: Apache, number: int) -> Iterator[str]:
    """What will not answer any more."""
    for virtual in apache.hosts:
        if any(port == number for _, port in virtual.addresses):
            yield (
                f"{virtual.label} ({virtual.section.origin}) does not answer on port {number} any"
                " more"
            )
