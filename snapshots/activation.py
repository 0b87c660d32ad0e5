"""Asking whether the merged configuration is sound, and making daemons take it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable

from host.base import CommandFailed, CommandMissing, CommandTimeout, Host
from host.journal import OWN_LOGS, grave_since, in_short, last_lines, size_of
from snapshots.model import Activation, SnapshotError, Validation
from snapshots.progress import Progress

ACTIVATION_TIMEOUT_S = 200.0
"""systemd gives a unit 90 s to stop and 90 s to start."""


def validate(host: Host, validations: Iterable[Validation], progress: Progress) -> None:
    """Run each once. One whose program is not installed is passed over.

    Raises `SnapshotError` with what the program said.
    """
    for validation in dict.fromkeys(validations):
        if host.which(validation.argv[0]) is None:
            continue
        command = shlex.join(validation.argv)
        progress.command(command)
        try:
            told = None if validation.quiet else progress.output
            host.run(validation.argv, timeout_s=validation.timeout_s, on_line=told)
        except CommandFailed as error:
            said = (error.completed.stderr.strip() or error.completed.stdout.strip()).splitlines()
            raise SnapshotError(
                f"`{command}` does not accept the new configuration: "
                + (" ".join(said[-3:]) or f"exit status {error.completed.returncode}")
            ) from None


def activate(host: Host, activations: Iterable[Activation], progress: Progress) -> None:
    """Run each once, then wait and see that the units still run.

    Units that are not active, or not there, are left alone. Raises `SnapshotError`.
    """
    running: dict[str, float] = {}
    before = _Before(host)
    for activation in dict.fromkeys(activations):
        argv = _argv(activation)
        if activation.how in ("reload", "restart"):
            if not is_active(host, activation.unit):
                progress.output(f"{activation.unit} is not running; nothing to {activation.how}")
                continue
            running[activation.unit] = max(running.get(activation.unit, 0.0), activation.settle_s)
        elif activation.unit and is_active(host, activation.unit):
            running[activation.unit] = max(running.get(activation.unit, 0.0), activation.settle_s)
        progress.command(shlex.join(argv))
        try:
            host.run(argv, timeout_s=ACTIVATION_TIMEOUT_S, on_line=progress.output)
        except CommandMissing:
            progress.output(f"{argv[0]} is not installed; passed over")
        except (CommandFailed, CommandTimeout) as error:
            if activation.unit and is_gone(host, activation.unit):
                # Its package went, and its processes are only still ending.
                progress.output(f"{activation.unit} is gone; nothing to {activation.how}")
                running.pop(activation.unit, None)
                continue
            why = before.why(activation.unit, progress)
            raise SnapshotError(f"{error}{why}") from None
    if not running:
        return
    wait_s = max(running.values())
    progress.doing(f"waiting {wait_s:g} s to see that {', '.join(sorted(running))} keeps running")
    if not host.is_practice:
        time.sleep(wait_s)
    for unit in sorted(running):
        if not is_active(host, unit):
            raise SnapshotError(
                f"{unit} stopped running after it took the new configuration"
                f"{before.why(unit, progress)}"
            )


def is_active(host: Host, unit: str) -> bool:
    try:
        return host.run(("systemctl", "is-active", "--quiet", unit), ok=None).ok
    except CommandMissing:
        return False


def is_gone(host: Host, unit: str) -> bool:
    """Whether systemd has no unit file for it any more."""
    return _load_state(host, unit) == "not-found"


def is_masked(host: Host, unit: str) -> bool:
    """Whether systemd takes no order for it, whatever runs of it."""
    return _load_state(host, unit) == "masked"


def _load_state(host: Host, unit: str) -> str:
    argv = ("systemctl", "show", "-p", "LoadState", "--value", unit)
    try:
        return host.run(argv, ok=None).stdout.strip()
    except CommandMissing:
        return ""


def command_of(activation: Activation) -> str:
    """As typed."""
    return shlex.join(_argv(activation))


def _argv(activation: Activation) -> tuple[str, ...]:
    match activation.how:
        case "daemon-reload":
            return ("systemctl", "daemon-reload")
        case "command":
            return activation.argv
        case how:
            return ("systemctl", how, activation.unit)


class _Before:
    """The moment before, to tell what was logged since."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._since_s = time.time()
        self._sizes = {path: size_of(host, path) for path in OWN_LOGS.values()}

    def why(self, unit: str, progress: Progress) -> str:
        """What the unit logged since, which says more than systemctl does; shown, and in short."""
        said = {}
        if unit:
            said[unit] = last_lines(self._host, unit, self._since_s)
        if unit in OWN_LOGS:
            path = OWN_LOGS[unit]
            said[path] = grave_since(self._host, path, self._sizes[path])
        for line in (line for lines in said.values() for line in lines):
            progress.output(line)
        short = [in_short(name, lines) for name, lines in said.items() if lines]
        return f" ({'; '.join(short)})" if short else ""
