"""systemd's units: what is loaded, and the unit files nobody loaded yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from host import unit_files
from host.base import Host, HostError, Service

KINDS: Final = ("service", "socket", "timer", "path", "mount")

_PROPERTIES: Final = (
    "Id,Description,LoadState,ActiveState,SubState,UnitFileState,MainPID,"
    "TriggeredBy,Triggers,NeedDaemonReload"
)
LIST: Final = (
    "systemctl", "list-units", "--all", "--plain", "--full", "--no-legend",
    f"--type={','.join(KINDS)}",
)  # fmt: skip
SHOW: Final = (
    "systemctl", "show", "--all", f"--property={_PROPERTIES}",
    "*.socket", "*.timer", "*.path", "*.automount",
)  # fmt: skip


def services(host: Host) -> tuple[Service, ...]:
    """All units of the five kinds, loaded or on disk, sorted by name.

    systemd needs 1 to 2 ms for each unit it is to show (240 ms for the 137 of a small trixie
    host), so it shows those that can tell more than `list-units` and the disk do: what triggers
    others, and services that run, fail or are instances. `need_daemon_reload` is known of these.
    Raises `HostError` where systemd does not answer.
    """
    listed = parse_list(_ask(host, LIST))
    more = [service.unit for service in listed.values() if has_more_to_tell(service)]
    shown = parse_show(_ask(host, (*SHOW, *more)))
    return merge(listed, shown, unit_files.read(KINDS))


def has_more_to_tell(service: Service) -> bool:
    """Whether `systemctl show` knows more of a listed service than list and unit file do."""
    if not service.unit.endswith(".service"):
        return False
    return service.sub not in ("dead", "exited") or "@" in service.unit


def listen_addresses(host: Host) -> dict[str, str]:
    """Which socket unit holds an address: "[::]:3306 (Stream)" -> "mariadb.socket".

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


class Watch:
    """Units again and again, for a screen: 10 ms where a full reading takes 50 to 100 ms.

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


def parse_list(text: str) -> dict[str, Service]:
    """`systemctl list-units --plain --no-legend` -> {"ssh.service": Service(active="active", …)}.

    Units that are only mentioned by others (not-found) are left out.
    """
    found: dict[str, Service] = {}
    for line in text.splitlines():
        words = line.split(None, 4)
        if len(words) < 4 or words[1] == "not-found":
            continue
        found[words[0]] = Service(
            unit=words[0],
            description=words[4].rstrip() if len(words) > 4 else "",
            active=words[2],
            sub=words[3],
            enabled="masked" if words[1] == "masked" else "",
        )
    return found


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


def merge(
    listed: Mapping[str, Service], shown: Mapping[str, Service], files: Mapping[str, str]
) -> tuple[Service, ...]:
    """One entry for each unit: what systemd showed, else listed, else only has a file of.

    Aliases are no units of their own.
    """
    triggers: dict[str, list[str]] = {}
    for service in shown.values():
        for unit in service.triggers:
            triggers.setdefault(unit, []).append(service.unit)
    units = {**listed, **shown}
    for name, enabled in files.items():
        if name in shown or (name not in units and enabled == "alias"):
            continue
        service = units.get(name) or Service(
            unit=name, description="", active="inactive", sub="dead", enabled=enabled
        )
        units[name] = msgspec.structs.replace(
            service, enabled=enabled, triggered_by=tuple(sorted(triggers.get(name, ())))
        )
    return tuple(units[name] for name in sorted(units) if not name.endswith(".automount"))
