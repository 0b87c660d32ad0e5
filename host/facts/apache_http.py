"""What Apache really answers: one page and one missing page of every virtual host."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

import msgspec

from host.base import Host, HostError, HttpAnswer
from host.facts.apache import APACHE, RUNNING, Apache
from host.facts.apache_config import VirtualHost, parse_address
from host.facts.base import Fact, Facts

MISSING = "/harden-tui-no-such-page"
MOST_TARGETS = 40
"""Of a host with more names only the first ones are asked, so that a check stays short."""
_PATTERN = frozenset("*?")
_ASIDE = 4
"""Requests side by side: a web application needs a worker process for each."""


class Target(msgspec.Struct, frozen=True):
    """Whom to ask: an address and port Apache listens on, and the name to ask for.

    `section_line` is the "file:line" of its `<VirtualHost>`, "" for the main server.
    """

    name: str
    address: str
    port: int
    tls: bool
    section_line: str = ""

    @property
    def label(self) -> str:
        return f"{self.name}:{self.port}"

    @property
    def url(self) -> str:
        """As a browser shows it, but for the address where that is the host's own."""
        scheme, usual = ("https", 443) if self.tls else ("http", 80)
        return f"{scheme}://{self.name}{'' if self.port == usual else f':{self.port}'}/"


class Asked(msgspec.Struct, frozen=True):
    """What came back: `None` where nothing did, and `problem` says why. Bodies are cut to 8 KiB."""

    target: Target
    page: HttpAnswer | None = None
    missing: HttpAnswer | None = None
    trace: HttpAnswer | None = None
    problem: str = ""


class Answers(msgspec.Struct, frozen=True):
    """All answers; `left_out` counts the targets beyond `MOST_TARGETS`."""

    asked: tuple[Asked, ...]
    left_out: int = 0


def targets(apache: Apache, *, aliases: bool = False) -> list[Target]:
    """One target per port and name that Apache is configured to answer.

    With `aliases`, after these one for each ServerAlias that is a name, not a pattern.
    """
    listening: dict[int, list[tuple[str, str]]] = {}
    for directive in apache.config.named("Listen"):
        words = directive.words
        if words:
            host, port = parse_address(words[0])
            protocol = words[1].lower() if len(words) > 1 else ""
            listening.setdefault(port, []).append((host, protocol))
    found: dict[tuple[str, int, str], Target] = {}
    others: list[Target] = []
    for port, sockets in sorted(listening.items()):
        here = [v for v in apache.hosts if any(p in (port, 0) for _, p in v.addresses)]
        for virtual in here:
            address = _reach(virtual, port, [host for host, _ in sockets])
            name = virtual.name or "localhost"
            found.setdefault(
                (name, port, address),
                Target(name, address, port, virtual.tls, virtual.section.origin),
            )
            others += [
                Target(alias, address, port, virtual.tls, virtual.section.origin)
                for alias in virtual.aliases
                if aliases and not _PATTERN.intersection(alias)
            ]
        if not here:
            address = _loopback(sockets[0][0])
            tls = any(protocol == "https" for _, protocol in sockets)
            found.setdefault(("localhost", port, address), Target("localhost", address, port, tls))
    for other in others:
        found.setdefault((other.name, other.port, other.address), other)
    return list(found.values())


def has_host(apache: Apache, target: Target) -> bool:
    """Whether a virtual host there has the target's name; else the first one answers for it."""
    name = target.name.lower()
    return any(
        name == virtual.name.lower()
        or any(fnmatchcase(name, alias.lower()) for alias in virtual.aliases)
        for virtual in apache.hosts
        if any(
            port in (target.port, 0) and host in ("*", target.address)
            for host, port in virtual.addresses
        )
    )


def _reach(virtual: VirtualHost, port: int, bound: list[str]) -> str:
    """The address at which this virtual host answers on `port`."""
    for host, its_port in virtual.addresses:
        if its_port in (port, 0) and host != "*":
            return host
    return _loopback("*" if "*" in bound else bound[0])


def _loopback(bound: str) -> str:
    if bound in ("*", "0.0.0.0"):
        return "127.0.0.1"
    return "::1" if bound == "::" else bound


def _read_answers(host: Host, facts: Facts) -> Answers:
    apache = facts.get(APACHE)
    if not facts.get(RUNNING).pid:
        return Answers(())
    everyone = targets(apache)
    chosen = everyone[:MOST_TARGETS]
    with ThreadPoolExecutor(_ASIDE) as pool:
        asked = tuple(pool.map(lambda target: _ask(host, target), chosen))
    return Answers(asked, len(everyone) - len(chosen))


def _ask(host: Host, target: Target) -> Asked:
    asked = Asked(target)
    for what, method, path in (
        ("page", "GET", "/"), ("missing", "GET", MISSING), ("trace", "TRACE", "/")
    ):  # fmt: skip
        try:
            answer = host.http(
                path, port=target.port, tls=target.tls, host_header=target.name, method=method,
                address=target.address,
            )  # fmt: skip
        except HostError as error:
            return msgspec.structs.replace(asked, problem=str(error))
        cut = msgspec.structs.replace(answer, body=answer.body[-8192:])
        asked = msgspec.structs.replace(asked, **{what: cut})
    return asked


ANSWERS: Fact[Answers] = Fact("apache-answers", _read_answers)
