"""The rest of the host, before and after: what ran, listened and answered must still do so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from host.base import Host, HostError
from host.facts import Facts, FactUnavailable
from host.facts.apache import APACHE, UNIT, Apache
from host.facts.apache_http import Target
from snapshots.model import Answered, Worked
from steps import sites
from steps.model import MeantAnswer
from steps.sites import Page

_STEADY = ("active", "reloading")
_COME_AND_GO = ("user@", "user-runtime-dir@", "getty@", "serial-getty@", "systemd-fsck@")
"""Units that begin and end with a login or a device, whatever we do."""

_OF_A_LOGIN = ("session-", "user@")
"""Who holds ports that end with a login: a forwarded X display, a tunnel."""

_FPM = re.compile(r"php[0-9.]*-fpm\.service")
_GATEWAY = (502, 503, 504)

Listening = tuple[str, str, int]
"""Protocol, address, port."""


class Health(msgspec.Struct, frozen=True):
    """Units that were active, ports that listened and sites that answered at one moment.

    `holders` names the unit of each port, where known; `apache` is why Apache cannot read its
    configuration, "" where it can or there is none; `logs` is how many bytes Apache's error logs
    had.
    """

    active: frozenset[str]
    failed: frozenset[str]
    ports: frozenset[Listening]
    holders: dict[Listening, str]
    sites: tuple[Page, ...] = ()
    apache: str = ""
    logs: dict[str, int] = {}


class Loss(msgspec.Struct, frozen=True):
    """What worked and does not: a sentence without its full stop, and whose logs may say why."""

    what: str
    units: tuple[str, ...] = ()
    is_site: bool = False


class Meant(msgspec.Struct, frozen=True):
    """What a change is meant to stop: units, ports ("tcp :: 3306"), and what sites answered."""

    stops: tuple[str, ...] = ()
    answers: tuple[MeantAnswer, ...] = ()


def measure(host: Host, facts: Facts, earlier: Health | None = None) -> Health:
    """Ask the host now. A host without a service manager has no units to lose.

    The sites of `earlier` are asked too, although Apache may not know them any more; those that
    were broken then are not asked again. Raises `HostError` where the host cannot be asked.
    """
    with ThreadPoolExecutor(1) as aside:
        web = aside.submit(_web, host, facts, earlier)
        try:
            services = host.services()
        except HostError:
            if host.state("/run/systemd/system") is not None:
                raise  # it is there and does not answer: nobody could say what was lost
            services = ()
        ports = host.ports()
        pages, complaint, logs = web.result()
    watched = [
        s
        for s in services
        if s.unit.endswith((".service", ".socket")) and not s.unit.startswith(_COME_AND_GO)
    ]
    listening = [p for p in ports if p.protocol == "tcp" and not p.unit.startswith(_OF_A_LOGIN)]
    return Health(
        active=frozenset(s.unit for s in watched if s.active in _STEADY and _stays(s.sub)),
        failed=frozenset(s.unit for s in watched if s.active == "failed"),
        ports=frozenset((p.protocol, p.address, p.port) for p in listening),
        holders={(p.protocol, p.address, p.port): p.unit for p in listening},
        sites=tuple(pages),
        apache=complaint,
        logs=logs,
    )


def ask_again(host: Host, facts: Facts, before: Health, after: Health) -> Health:
    """`after`, with the sites asked anew that answered `before`."""
    apache, _ = _apache(facts)
    answered = [earlier.target for earlier, _ in both(before, after) if earlier.kind != "broken"]
    pages = {page.target: page for page in after.sites}
    pages |= {page.target: page for page in sites.ask(host, answered, apache)}
    return msgspec.structs.replace(after, sites=tuple(pages.values()))


def lost(before: Health, after: Health, meant: Meant) -> list[Loss]:
    """What worked before and does not now, the gravest first; what is `meant` is not missed."""
    gone = []
    for unit in sorted(before.active - after.active - set(meant.stops)):
        word = "has failed" if unit in after.failed else "is not running any more"
        gone.append(Loss(f"{unit} was running and {word}", (unit,)))
    gone += [
        Loss(f"{unit} has failed", (unit,))
        for unit in sorted(after.failed - before.failed - before.active)
    ]
    if UNIT not in meant.stops:
        if after.apache and not before.apache:
            gone.append(Loss(f"{after.apache}; its next start would fail", (UNIT,)))
        gone += [
            Loss(what, whose(before, page), is_site=True)
            for earlier, page in both(before, after)
            if (what := sites.worse(earlier, page, meant.answers))
        ]
    return gone + lost_ports(before, after, meant.stops)


def lost_ports(before: Health, after: Health, stops: Sequence[str] = ()) -> list[Loss]:
    """A port is not lost where the same address, or every address, has it."""
    gone = []
    for port in sorted(before.ports - after.ports):
        unit = before.holders.get(port, "")
        if unit in stops or port_name(port) in stops or _covered(port, before, after):
            continue
        protocol, address, number = port
        what = f"nothing listens on {protocol} port {number} ({address}) any more"
        gone.append(Loss(what, (unit,) if unit else ()))
    return gone


def both(before: Health, after: Health) -> list[tuple[Page, Page]]:
    """The sites that were asked both times."""
    now = {page.target: page for page in after.sites}
    return [(page, now[page.target]) for page in before.sites if page.target in now]


def whose(health: Health, page: Page) -> tuple[str, ...]:
    """The units behind a site: who holds its port, and where Apache found nobody, PHP-FPM too."""
    holders = {
        unit
        for (_, address, port), unit in health.holders.items()
        if port == page.target.port and address in (page.target.address, "::", "0.0.0.0")
    }
    fpm = [unit for unit in sorted(health.active) if _FPM.fullmatch(unit)]
    units = sorted(filter(None, holders)) or [UNIT]
    return (*units, *(fpm if page.status in _GATEWAY else ()))


def worked(health: Health) -> Worked:
    """What of it an undo is held to, in the terms of a transaction's record."""
    return Worked(
        ports=tuple(sorted(map(port_name, health.ports))),
        sites={site_name(p): Answered(p.status, p.modified_s) for p in health.sites},
    )


def port_name(port: Listening) -> str:
    return f"{port[0]} {port[1]} {port[2]}"


def site_name(page: Page) -> str:
    return f"{page.target.url} at {page.target.address}"


def _web(
    host: Host, facts: Facts, earlier: Health | None
) -> tuple[list[Page], str, dict[str, int]]:
    """Pages, why Apache cannot read its configuration, and the sizes of its error logs."""
    apache, complaint = _apache(facts)
    found = sites.known(apache) if apache is not None else []
    broken = [] if earlier is None else [p for p in earlier.sites if p.kind == "broken"]
    others = [] if earlier is None else [page.target for page in earlier.sites]
    skipped = {page.target for page in broken}
    asked = [
        _same_as(target, others) for target in found if _same_as(target, others) not in skipped
    ]
    whom = list(dict.fromkeys([*(t for t in others if t not in skipped), *asked]))
    pages = sites.ask(host, whom, apache)
    logs = _logs(apache) if apache is not None else []
    sizes = {path: size for path in logs if (size := _size(host, path)) >= 0}
    return [*pages, *broken], complaint, sizes


def _same_as(target: Target, others: Iterable[Target]) -> Target:
    """The target as it was known before: a line that moved in a file makes no other site."""
    place = (target.name, target.address, target.port, target.tls)
    for other in others:
        if place == (other.name, other.address, other.port, other.tls):
            return other
    return target


def _apache(facts: Facts) -> tuple[Apache | None, str]:
    try:
        return facts.get(APACHE), ""
    except FactUnavailable as error:
        said = str(error)
    is_broken = said.startswith("Apache cannot read")
    return None, said.partition("; correct it")[0] if is_broken else ""


def _logs(apache: Apache) -> list[str]:
    """The error logs that are files, the server's own first."""
    named = [apache.settings.get("Main ErrorLog", "")]
    named += [" ".join(d.words) for d in apache.config.named("ErrorLog")]
    return list(dict.fromkeys(path for path in named if path.startswith("/")))


def _size(host: Host, path: str) -> int:
    state = host.state(path)
    return state.size_bytes if state is not None and state.kind == "file" else -1


def _covered(port: Listening, before: Health, after: Health) -> bool:
    """Whether a socket for every address has taken its place.

    One for all of IPv6 takes IPv4 too, unless the two stood side by side before.
    """
    protocol, address, number = port
    if ":" in address:
        return (protocol, "::", number) in after.ports
    if (protocol, "0.0.0.0", number) in after.ports:
        return True
    everywhere = (protocol, "::", number)
    return everywhere in after.ports and everywhere not in before.ports


def _stays(sub: str) -> bool:
    """One-shot units that merely count as active (exited) and user sessions come and go."""
    return sub in ("running", "listening", "exited")
