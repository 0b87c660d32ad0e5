"""systemd's units: one `systemctl show` of what is loaded, one `list-unit-files` for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from host.base import Host, HostError, Service

KINDS: Final = ("service", "socket", "timer", "path", "mount")

_PROPERTIES: Final = (
    "Id,Names,Description,LoadState,ActiveState,SubState,UnitFileState,MainPID,"
    "TriggeredBy,Triggers,NeedDaemonReload,Listen"
)
SHOW: Final = (
    "systemctl", "show", "--all", f"--property={_PROPERTIES}", *(f"*.{kind}" for kind in KINDS)
)  # fmt: skip
LIST_UNIT_FILES: Final = (
    "systemctl", "list-unit-files", "--no-legend", "--plain", "--full", f"--type={','.join(KINDS)}"
)  # fmt: skip


def services(host: Host) -> tuple[Service, ...]:
    """All units of the five kinds, loaded or on disk, sorted by name.

    Raises `HostError` where systemd does not answer.
    """
    shown = _ask(host, SHOW)
    listed = _ask(host, LIST_UNIT_FILES)
    return merge(parse_show(shown), parse_unit_files(listed))


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


def parse_unit_files(text: str) -> dict[str, str]:
    """`systemctl list-unit-files` -> {"rsync.service": "disabled", "sshd.service": "alias", …}."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2:
            found[words[0]] = words[1]
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

    Aliases and templates without an instance are no units of their own.
    """
    units = dict(loaded)
    for name, enabled in files.items():
        if name not in units and enabled != "alias" and not name.partition(".")[0].endswith("@"):
            units[name] = Service(
                unit=name, description="", active="inactive", sub="dead", enabled=enabled
            )
    return tuple(units[name] for name in sorted(units))
