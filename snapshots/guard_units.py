"""The guard's systemd units: a timer with its service, and a service for the next boot.

They lie in /usr/local, not in /etc: a restore point holds all of /etc, and putting it back must
not take away what is putting it back.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from host.base import FileState, Host
from snapshots.unit_removal import remove_units

NAME: Final = "harden-tui-guard"
DIRECTORY: Final = "/usr/local/lib/systemd/system"

SERVICE: Final = f"{NAME}.service"
TIMER: Final = f"{NAME}.timer"
BOOT_SERVICE: Final = f"{NAME}-boot.service"
WATCH: Final = f"{NAME}-watch-"
"""How the scope of the detached `sh` is called; a number follows."""

WANTS: Final = (f"multi-user.target.wants/{BOOT_SERVICE}", f"timers.target.wants/{TIMER}")
"""Links that have them started at boot."""

DIRECTORIES: Final = (
    os.path.dirname(DIRECTORY),
    DIRECTORY,
    *(f"{DIRECTORY}/{os.path.dirname(link)}" for link in WANTS),
)

_ABOUT: Final = "Takes a change by harden-tui back that nobody confirmed"

_SERVICE: Final = """\
[Unit]
Description={about}
DefaultDependencies=no
{after}RequiresMountsFor={place}
StartLimitIntervalSec=0

[Service]
Type={type}
ExecStart=/bin/sh {script} {word}
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=2
KillMode=process
OOMScoreAdjust=-900
"""

_TIMER: Final = """\
[Unit]
Description={about}
DefaultDependencies=no

[Timer]
OnActiveSec={window_s}
AccuracySec=1s
Unit={service}
"""


def install(host: Host, script: str, window_s: int) -> None:
    """Put the units there, start the timer, and see that it waits. Raises `HostError`."""
    for path in missing(host):
        host.put(path, FileState("dir", 0o755))
    for name, content in units(script, window_s).items():
        host.write_file(f"{DIRECTORY}/{name}", content.encode("utf-8", "surrogateescape"))
    for link in WANTS:
        target = f"../{os.path.basename(link)}"
        host.put(f"{DIRECTORY}/{link}", FileState("symlink", 0o777, target=target))
    host.run(("systemctl", "daemon-reload"), timeout_s=60.0)
    host.run(("systemctl", "start", TIMER))
    host.run(("systemctl", "is-active", "--quiet", TIMER))


def take_away(host: Host, made: Sequence[str], *, waiters_too: bool) -> None:
    """Stop the timer and remove all of it, with the directories that were `made` for it.

    Without `waiters_too` whatever has waited for the deadline ends by itself: it is what calls us.
    """
    waiters = (SERVICE, BOOT_SERVICE, f"{WATCH}*.scope") if waiters_too else ()
    host.run(("systemctl", "stop", TIMER, *waiters), ok=None)
    paths = [f"{DIRECTORY}/{name}" for name in (*WANTS, SERVICE, TIMER, BOOT_SERVICE)]
    units = (TIMER, SERVICE, BOOT_SERVICE)
    remove_units(host, paths, units, directories=DIRECTORIES, made=made)


def missing(host: Host) -> list[str]:
    """The directories that `install` will make, outermost first."""
    return [path for path in DIRECTORIES if host.state(path) is None]


def units(script: str, window_s: int) -> dict[str, str]:
    """Name -> content of each unit file."""
    word, place = quoted(script), quoted(os.path.dirname(script))
    at_deadline = _SERVICE.format(
        about=_ABOUT, after="", type="oneshot", place=place, script=word, word="deadline"
    )
    # It may wait there for the deadline: the boot is complete without it.
    at_boot = _SERVICE.format(
        about=_ABOUT, after="After=multi-user.target\n", type="exec", place=place, script=word,
        word="boot",
    )  # fmt: skip
    timer = _TIMER.format(about=_ABOUT, window_s=window_s, service=SERVICE)
    return {SERVICE: at_deadline, BOOT_SERVICE: at_boot, TIMER: timer}


def quoted(text: str) -> str:
    """A word of a unit file: quoted, with `%` and backslashes taken literally (systemd.syntax)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
