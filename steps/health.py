"""The rest of the host, before and after: what ran and listened must still do so."""

from __future__ import annotations

import msgspec

from host.base import Host, HostError

_STEADY = ("active", "reloading")
_COME_AND_GO = ("user@", "user-runtime-dir@", "getty@", "serial-getty@", "systemd-fsck@")
"""Units that begin and end with a login or a device, whatever we do."""


class Health(msgspec.Struct, frozen=True):
    """Units that were active and ports that listened at one moment.

    `ports` are (protocol, address, port); `holders` names the unit of each, where known.
    """

    active: frozenset[str]
    failed: frozenset[str]
    ports: frozenset[tuple[str, str, int]]
    holders: dict[tuple[str, str, int], str]


def measure(host: Host) -> Health:
    """Ask the host now. A host without a service manager has no units to lose.

    Raises `HostError` where it cannot be asked.
    """
    try:
        services = host.services()
    except HostError:
        if host.state("/run/systemd/system") is not None:
            raise  # it is there and does not answer: nobody could say what was lost
        services = ()
    ports = host.ports()
    watched = [
        s
        for s in services
        if s.unit.endswith((".service", ".socket")) and not s.unit.startswith(_COME_AND_GO)
    ]
    return Health(
        active=frozenset(s.unit for s in watched if s.active in _STEADY and _stays(s.sub)),
        failed=frozenset(s.unit for s in watched if s.active == "failed"),
        ports=frozenset((p.protocol, p.address, p.port) for p in ports if p.protocol == "tcp"),
        holders={(p.protocol, p.address, p.port): p.unit for p in ports},
    )


def lost(before: Health, after: Health, meant: tuple[str, ...]) -> list[str]:
    """What worked before and does not now, one sentence each; `meant` units are not missed."""
    gone = []
    for unit in sorted(before.active - after.active - set(meant)):
        word = "has failed" if unit in after.failed else "is not running any more"
        gone.append(f"{unit} was running and {word}")
    gone += [f"{unit} has failed" for unit in sorted(after.failed - before.failed - before.active)]
    for port in sorted(before.ports - after.ports):
        unit = before.holders.get(port, "")
        if unit in meant:
            continue
        protocol, address, number = port
        gone.append(f"nothing listens on {protocol} port {number} ({address}) any more")
    return gone


def _stays(sub: str) -> bool:
    """One-shot units that merely count as active (exited) and user sessions come and go."""
    return sub in ("running", "listening", "exited")
