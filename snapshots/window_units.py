"""The units that close an update window at its deadline, whoever is gone by then.

A timer and its service in /usr/local, as the guard's and for the same reason: what puts /etc back
must not be put back itself. The timer goes by the clock, and every few minutes besides: so what a
crash left is taken up soon, a window that somebody still writes in is tried again, and a deadline
that passed while the host was off is made up for after boot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from host.base import FileState, Host
from snapshots.guard_units import DIRECTORY, quoted
from snapshots.unit_removal import remove_units

NAME: Final = "harden-tui-window"
SERVICE: Final = f"{NAME}.service"
TIMER: Final = f"{NAME}.timer"
EVERY_MIN: Final = 5
"""Minutes between two attempts."""

WANTS: Final = f"timers.target.wants/{TIMER}"
DIRECTORIES: Final = (
    os.path.dirname(DIRECTORY),
    DIRECTORY,
    f"{DIRECTORY}/{os.path.dirname(WANTS)}",
)

_ABOUT: Final = "Closes an update window of harden-tui at its deadline"

_SERVICE: Final = """\
[Unit]
Description={about}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={words} window close --at-deadline --yes
TimeoutStartSec=infinity
KillMode=process
"""

_TIMER: Final = """\
[Unit]
Description={about}

[Timer]
OnCalendar={moment}
OnActiveSec={every}min
OnUnitInactiveSec={every}min
OnBootSec=1min
AccuracySec=1s
Unit={service}

[Install]
WantedBy=timers.target
"""


def missing(host: Host) -> tuple[str, ...]:
    """The directories that `install` will make, outermost first."""
    return tuple(path for path in DIRECTORIES if host.state(path) is None)


def install(host: Host, program: Sequence[str], deadline: datetime) -> None:
    """Write the units, start the timer, and see that it waits; again with another deadline where
    they are there. Raises `HostError`."""
    for path in missing(host):
        host.put(path, FileState("dir", 0o755))
    for name, content in units(program, deadline).items():
        host.write_file(f"{DIRECTORY}/{name}", content.encode("utf-8", "surrogateescape"))
    host.put(f"{DIRECTORY}/{WANTS}", FileState("symlink", 0o777, target=f"../{TIMER}"))
    host.run(("systemctl", "daemon-reload"), timeout_s=60.0)
    host.run(("systemctl", "restart", TIMER))
    host.run(("systemctl", "is-active", "--quiet", TIMER))


def take_away(host: Host, made: Sequence[str]) -> None:
    """Stop the timer and remove all of it, with the directories that were `made` for it. The
    service is left to end by itself: it may be what called us. May be repeated."""
    host.run(("systemctl", "stop", TIMER), ok=None)
    paths = [f"{DIRECTORY}/{name}" for name in (WANTS, SERVICE, TIMER)]
    remove_units(host, paths, (TIMER, SERVICE), directories=DIRECTORIES, made=made)


def units(program: Sequence[str], deadline: datetime) -> dict[str, str]:
    """Name -> content of each unit file. `deadline` has a time zone."""
    moment = deadline.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    words = " ".join(_argument(word) for word in program)
    return {
        SERVICE: _SERVICE.format(about=_ABOUT, words=words),
        TIMER: _TIMER.format(about=_ABOUT, moment=moment, every=EVERY_MIN, service=SERVICE),
    }


def _argument(word: str) -> str:
    """A word of ExecStart=, where a dollar sign has a meaning besides (systemd.service)."""
    if re.fullmatch(r"[A-Za-z0-9/._=:@+-]+", word):
        return word
    return quoted(word.replace("$", "$$"))
