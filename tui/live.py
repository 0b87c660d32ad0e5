"""`live`: services, listening ports and failed logins as they are now, once or each second."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from host.base import HostError, Port, Service
from steps.exposure import Exposure, exposure
from steps.resource import StepError
from tui.login_text import DEFAULT_WINDOW, Watch, show_logins, window_of
from tui.options import Options
from tui.out import Out
from tui.session import Session, open_session

INTERVAL_S: Final = 1.0


def live(options: Options, arguments: argparse.Namespace) -> int:
    """Show services and ports; repeated on a terminal and with --format events."""
    out = Out()
    window_s = window_of(arguments.window or DEFAULT_WINDOW)
    session = open_session(options)
    expected = expectations(session)
    watch = Watch(session.host, window_s)
    repeat = not arguments.once and (
        options.format == "events" or (options.format == "text" and out.terminal)
    )
    first = repeat
    try:
        while True:
            began = time.monotonic()
            services, ports = session.host.services(), session.host.ports()
            if options.format == "text":
                if repeat and out.colour:
                    out.raw("\x1b[H\x1b[J")
                show(out, session, services, ports, expected, everything=arguments.all)
                if not first:
                    show_logins(out, watch.look())
            else:
                # What is asked in a moment is shown at once, what takes longer a second later.
                logins = {} if first else {"logins": watch.look()}
                out.json({**document(services, ports, expected), **logins})
            first = False
            if not repeat or out.closed:
                return 0
            time.sleep(max(0.0, INTERVAL_S - (time.monotonic() - began)))
    except KeyboardInterrupt:
        return 0 if repeat else 130


def expectations(session: Session) -> Exposure:
    """What this host is expected to run, by its catalogue and the values chosen."""

    def value(step_id: str, name: str) -> Any:
        if step_id not in session.catalogue.steps:
            return None
        try:
            return session.engine.prepare(session.catalogue.step(step_id)).values.get(name)
        except (HostError, StepError):
            return None  # what cannot be asked adds nothing to what is expected everywhere

    return exposure(
        session.catalogue.steps,
        remove=value("minimal.services", "remove"),
        allow=value("firewall.ufw", "allow"),
    )


def document(
    services: Sequence[Service], ports: Sequence[Port], expected: Exposure
) -> dict[str, Any]:
    """`harden-tui/live/1`, without `logins`."""
    return {
        "schema": "harden-tui/live/1",
        "services": [
            {**msgspec.to_builtins(service), "step": expected.step_of_service(service)}
            for service in services
        ],
        "ports": [_port(port, expected) for port in ports],
    }


def _port(port: Port, expected: Exposure) -> dict[str, Any]:
    good, step = expected.judge(port)
    return {
        **msgspec.to_builtins(port),
        "exposed": port.exposed,
        "expected": good,
        "step": step,
    }


def show(
    out: Out,
    session: Session,
    services: Sequence[Service],
    ports: Sequence[Port],
    expected: Exposure,
    *,
    everything: bool,
) -> None:
    """Both as tables: ports first, then what runs, is enabled or failed."""
    if session.host.is_practice:
        out.line("PRACTICE HOST: nothing here is real.", "warn")
    out.line(f"{'PORT':<10} {'ADDRESS':<24} {'REACHABLE':<10} {'PROCESS':<16} EXPECTED", "bold")
    for port in sorted(ports, key=lambda p: (not p.exposed, p.protocol, p.port, p.address)):
        good, step = expected.judge(port)
        out.parts(
            (f"{port.port}/{port.protocol:<{9 - len(str(port.port))}} ", ""),
            (f"{port.address:<24} ", ""),
            (f"{'anywhere' if port.exposed else 'from here':<10} ", ""),
            (f"{port.process or port.unit or '?':<16} ", ""),
            ("yes" if good else "NO", "ok" if good else "bad"),
            (f"  {step}" if step and not good else "", "dim"),
        )
    out.line()
    out.line(f"{'UNIT':<36} {'NOW':<10} {'AT START':<10} DESCRIPTION", "bold")
    for service in sorted(services, key=lambda s: (s.active != "failed", s.unit)):
        if not everything and not _worth_showing(service):
            continue
        role = {"active": "ok", "failed": "bad"}.get(service.active, "")
        out.parts(
            (f"{service.unit:<36} ", ""),
            (f"{service.active:<10} ", role),
            (f"{service.enabled or '-':<10} ", ""),
            (service.description, "dim"),
        )


def _worth_showing(service: Service) -> bool:
    if service.active == "failed":
        return True
    if not service.unit.endswith((".service", ".socket")) or service.unit.startswith("systemd-"):
        return False
    return service.active == "active" or service.enabled == "enabled"
