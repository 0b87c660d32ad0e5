"""systemd's units: one `systemctl show` of what is loaded, and the unit files nobody loaded yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from host import unit_files
from host.base import Host, HostError, Service

KINDS: Final = ("service", "socket", "timer", "path", "mount")

_PROPERTIES: Final = (
    "Id,Names,Description,LoadState,ActiveState,SubState,UnitFileState,MainPID,"
    "TriggeredBy,Triggers,NeedDaemonReload,Listen"
)
SHOW: Final = (
    "systemctl", "show", "--all", f"--property={_PROPERTIES}", *(f"*.{kind}" for kind in KINDS)
)  # fmt: skip
LIST: Final = (
    "systemctl", "list-units", "--all", "--plain", "--full", "--no-legend",
    f"--type={','.join(KINDS)}",
)  # fmt: skip


def services(host: Host) -> tuple[Service, ...]:
    """All units of the five kinds, loaded or on disk, sorted by name.

    Raises `HostError` where systemd does not answer.
    """
    return merge(parse_show(_ask(host, SHOW)), unit_files.read(KINDS))


class Watch:
    """Units again and again, for a screen: 10 ms where a full reading takes systemd 100 to 250 ms.

    `systemctl list-units` says what changed; only then, and every `full_every_s` for what it does
    not tell (the process id after a restart, a unit enabled meanwhile), all is read anew.
    """

    def __init__(self, host: Host, full_every_s: float = 10.0) -> None:
        self._host = host
        self._full_every_s = full_every_s
        self._listed = ""
        self._read_at = 0.0
        self._units: tuple[Service, ...] = ()

    def read(self) -> tuple[Service, ...]:
        """As `Host.services()`. Raises `HostError`."""
        if self._host.is_practice:
            return self._host.services()
        listed = _ask(self._host, LIST)
        now = time.monotonic()
        if listed != self._listed or now - self._read_at > self._full_every_s:
            self._units = self._host.services()
            self._listed, self._read_at = listed, now
        return self._units


def listen_addresses(host: Host) -> dict[str, str]:
    """Which socket unit holds an address: "[::]:3306" -> "mariadb.socket".

    Raises `HostError` where systemd does not answer.
    """
    shown = _ask(
        host,
        ("systemctl", "show", "--all", "--property=Id,ActiveState,Listen", "*.socket"),
    )
    return parse_listen(shown)


def _ask(host: Host, argv: tuple[str, ...]) -> str:
    answer = host.run(argv, ok=None, timeout_s=15)
    if not answer.ok:
        said = (answer.stderr.strip().splitlines() or ["it gave no reason"])[0]
        raise HostError(f"systemd does not answer on this host: {said.rstrip('.')}")
    return answer.stdout


def blocks(text: str) -> Iterator[dict[str, list[str]]]:
    """The units of a `systemctl show` answer: property -> its lines (Listen comes repeatedly)."""
    unit: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line:
            if unit:
                yield unit
            unit = {}
            continue
        key, equals, value = line.partition("=")
        if equals:
            unit.setdefault(key, []).append(value)
    if unit:
        yield unit


def parse_show(text: str) -> dict[str, Service]:
    """`systemctl show` -> {"ssh.service": Service(unit="ssh.service", active="active", …), …}.

    Units that are only mentioned by others (LoadState not-found) are left out.
    """
    found: dict[str, Service] = {}
    for unit in blocks(text):

        def first(key: str, unit: Mapping[str, list[str]] = unit) -> str:
            return unit.get(key, [""])[0]

        if not first("Id") or first("LoadState") == "not-found":
            continue
        found[first("Id")] = Service(
            unit=first("Id"),
            description=first("Description"),
            active=first("ActiveState"),
            sub=first("SubState"),
            enabled=first("UnitFileState") or ("masked" if first("LoadState") == "masked" else ""),
            main_pid=int(first("MainPID") or 0),
            triggered_by=tuple(first("TriggeredBy").split()),
            triggers=tuple(first("Triggers").split()),
            need_daemon_reload=first("NeedDaemonReload") == "yes",
        )
    return found


def parse_listen(text: str) -> dict[str, str]:
    """`systemctl show` of sockets -> {"[::]:3306 (Stream)": "mariadb.socket", …}, active ones."""
    return {
        address: unit["Id"][0]
        for unit in blocks(text)
        if unit.get("ActiveState") == ["active"] and "Id" in unit
        for address in unit.get("Listen", ())
        if address
    }


def merge(loaded: Mapping[str, Service], files: Mapping[str, str]) -> tuple[Service, ...]:
    """Loaded units, and beside them the unit files nobody loaded yet (inactive, dead).

    Aliases are no units of their own.
    """
    units = dict(loaded)
    for name, enabled in files.items():
        if name not in units and enabled != "alias":
            units[name] = Service(
                unit=name, description="", active="inactive", sub="dead", enabled=enabled
            )
    return tuple(units[name] for name in sorted(units))
