"""What opening, closing and undoing a window have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from snapshots import window_units
from snapshots.guard_switch import has_service_manager
from steps import window_store
from steps.apply import LOCK_WAIT_S
from steps.events import WindowEvent
from steps.health import port_name
from steps.window_model import Window, WindowReport

if TYPE_CHECKING:
    from steps.engine import Engine

Ended = tuple[int, str, list[str]]

_OF_A_LOGIN = ("session-", "user@")


@contextmanager
def at_work(engine: Engine, what: str) -> Iterator[None]:
    """Be the only one who changes the host, and no window is in the way. Raises `Busy`."""
    with engine.state.lock(what, LOCK_WAIT_S):
        engine.works_on_window = True
        try:
            yield
        finally:
            engine.works_on_window = False


def now() -> datetime:
    """In whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def spoken(stamp: str) -> str:
    """ "14:03 UTC", with the day where it is another one."""
    moment = datetime.fromisoformat(stamp).astimezone(UTC)
    day = "" if moment.date() == datetime.now(UTC).date() else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M} UTC"


def save(engine: Engine, window: Window) -> Window:
    """Durable on return, and told to whoever listens."""
    window_store.write(engine.state, window)
    engine.emit(WindowEvent(window=window))
    return window


def install_units(engine: Engine, window: Window) -> None:
    """What closes the window at its deadline; also with a new one. Raises `HostError`."""
    if has_service_manager(engine.host) and engine.guarding.program:
        deadline = datetime.fromisoformat(window.deadline)
        window_units.install(engine.host, engine.guarding.program, deadline)


def over(engine: Engine, window: Window, report: WindowReport | None) -> None:
    """There is no window any more. First its file goes: what the timer still starts finds none,
    and takes the units away. Raises `HostError`."""
    window_store.forget(engine.state)
    engine.emit(WindowEvent(window=None, report=report))
    remove_units(engine, window.made)


def remove_units(engine: Engine, made: tuple[str, ...] = ()) -> None:
    """Nothing closes anything any more."""
    if has_service_manager(engine.host):
        window_units.take_away(engine.host, made)


def listening(engine: Engine) -> tuple[str, ...]:
    """TCP ports that listen now, as "tcp 0.0.0.0 443", but for those of logins."""
    ports = engine.host.ports()
    return tuple(
        sorted(
            {
                port_name((p.protocol, p.address, p.port))
                for p in ports
                if p.protocol == "tcp" and not p.unit.startswith(_OF_A_LOGIN)
            }
        )
    )
