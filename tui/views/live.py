"""Services and listening ports as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tui.text import Line, Role, Row, aligned, clean, cut, fit
from tui.wire import LivePort, LiveService

PORT_ORDERS: Final = ("port", "process", "unit", "reach", "expected")
SERVICE_ORDERS: Final = ("state", "unit", "enabled")

_REACH: Final = {True: "from anywhere", False: "this machine only"}
_EXPECTED: Final[dict[bool | None, tuple[str, Role]]] = {
    True: ("expected", "ok"),
    False: ("unexpected", "bad"),
    None: ("–", "dim"),
}


def port_key(port: LivePort) -> str:
    return f"{port.protocol}/{port.port}/{port.address}/{port.pid}"


def service_state(service: LiveService) -> tuple[str, str, Role]:
    """Sign, word and role of a unit's state now."""
    if service.active == "failed":
        return ("✗", "failed", "bad")
    if service.active == "active":
        running = service.sub == "running"
        return ("✓" if running else "·", service.sub or "active", "ok" if running else "")
    if service.active in ("activating", "deactivating", "reloading"):
        return ("·", service.active, "warn")
    return ("–", service.active or "inactive", "dim")


_RANKS: Final = {"failed": 0, "activating": 1, "deactivating": 1, "reloading": 1, "active": 2}

_PORT_SORTS: Final[dict[str, Callable[[LivePort], Any]]] = {
    "port": lambda port: (),
    "process": lambda port: port.process,
    "unit": lambda port: port.unit,
    "reach": lambda port: not port.exposed,
    "expected": lambda port: {False: 0, None: 1, True: 2}[port.expected],
}

_SERVICE_SORTS: Final[dict[str, Callable[[LiveService], Any]]] = {
    "state": lambda s: (_RANKS.get(s.active, 3), s.sub != "running"),
    "unit": lambda s: (),
    "enabled": lambda s: s.enabled,
}


def _matches(text: str, wanted: str) -> bool:
    return all(word in text.lower() for word in wanted.lower().split())


def port_rows(ports: Sequence[LivePort], order: str, wanted: str, width: int) -> list[Row]:
    """Listening sockets, sorted, those that match."""
    sort = _PORT_SORTS[order]
    rows = []
    for port in sorted(ports, key=lambda p: (sort(p), p.port, p.protocol, p.address)):
        text = (
            f"{port.protocol}/{port.port} {port.process} {port.unit} {port.address} "
            f"{_REACH[port.exposed]} {_EXPECTED[port.expected][0]}"
        )
        if _matches(text, wanted):
            rows.append(Row(port_key(port), _port_line(port, width - 2)))
    return rows or [Row("", (("No port matches." if ports else "Asking the host…", "dim"),))]


def _port_widths(width: int) -> tuple[int, int, int]:
    """Columns for process, unit and address."""
    room = max(36, width - 10 - 18 - 10)
    process, unit = room * 11 // 40, room * 16 // 40
    return process, unit, room - process - unit


def _port_line(port: LivePort, width: int) -> Line:
    process, unit, address = _port_widths(width)
    word, role = _EXPECTED[port.expected]
    return (
        (fit(f"{port.protocol}/{port.port}", 10), "bold"),
        (fit(clean(port.process) or "–", process - 1) + " ", ""),
        (fit(port.unit.removesuffix(".service") or "–", unit - 1) + " ", ""),
        (fit(port.address, address - 1) + " ", "dim"),
        (fit(_REACH[port.exposed], 18), "warn" if port.exposed else ""),
        (word, role),
    )


def port_header(order: str, count: int, width: int) -> list[Line]:
    process, unit, address = _port_widths(width - 2)

    def title(name: str, room: int, label: str = "") -> tuple[str, Role]:
        label = label or name
        return (fit(f"[{label}]" if name == order else label, room), "dim")

    return [
        aligned((("Listening ports", "bold"),), ((f"{count}", "dim"),), width),
        (
            ("  ", ""),
            title("port", 10),
            title("process", process),
            title("unit", unit),
            (fit("address", address), "dim"),
            title("reach", 18, "reachable"),
            title("expected", 10, "expected"),
        ),
    ]


def worth_showing(service: LiveService) -> bool:
    """Whether a unit is shown where not all are: it failed, or it runs or starts by choice."""
    if service.active == "failed":
        return True
    if not service.unit.endswith((".service", ".socket")) or service.unit.startswith("systemd-"):
        return False
    return service.active == "active" or service.enabled == "enabled"


def service_rows(services: Sequence[LiveService], order: str, wanted: str, width: int) -> list[Row]:
    """Units, sorted, those that match."""
    sort = _SERVICE_SORTS[order]
    rows = []
    for service in sorted(services, key=lambda s: (sort(s), s.unit)):
        text = f"{service.unit} {service.description} {service_state(service)[1]} {service.enabled}"
        if _matches(text, wanted):
            rows.append(Row(service.unit, _service_line(service, width - 2)))
    return rows or [Row("", (("No unit matches." if services else "Asking the host…", "dim"),))]


def _service_line(service: LiveService, width: int) -> Line:
    sign, word, role = service_state(service)
    return (
        (fit(f"{sign} {word}", 13), role),
        (fit(service.enabled or "–", 11), "" if service.enabled == "enabled" else "dim"),
        (fit(service.unit, 28) + " ", ""),
        (cut(clean(service.description), width - 53), "dim"),
    )


def service_header(order: str, services: Sequence[LiveService], width: int) -> list[Line]:
    running = sum(service.sub == "running" for service in services)
    failed = sum(service.active == "failed" for service in services)
    counts: Line = (
        (f"{running} running, ", "dim"),
        (f"{failed} failed", "bad" if failed else "dim"),
    )

    def title(name: str, room: int) -> tuple[str, Role]:
        return (fit(f"[{name}]" if name == order else name, room), "dim")

    return [
        aligned((("Services", "bold"),), counts, width),
        (("  ", ""), title("state", 13), title("enabled", 11), title("unit", 29),
         ("what it is", "dim")),
    ]  # fmt: skip


def port_sentence(port: LivePort) -> str:
    """What the chosen port's row has no room for."""
    parts = [f"Enter: {port.step}"] if port.step else []
    parts.append(f"on {port.address}")
    if port.process:
        parts.append(f"{clean(port.process)} is process {port.pid}")
    if port.unit:
        parts.append(port.unit)
    return " · ".join(parts)


def service_sentence(service: LiveService) -> str:
    """What the chosen unit's row has no room for."""
    parts = [f"Enter: {service.step}"] if service.step else []
    parts += [service.unit, f"{service.active} ({service.sub})"]
    if service.triggered_by:
        parts.append(f"started by {', '.join(service.triggered_by)}")
    return " · ".join(parts)
