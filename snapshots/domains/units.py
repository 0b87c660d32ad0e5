"""Units: what runs now. What starts at boot lies in /etc and belongs to files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import ClassVar

from host.base import CommandMissing, Host, HostError, Service
from snapshots.activation import is_masked
from snapshots.captured import CHANGING, WITHOUT_FILE
from snapshots.domains.base import Domain, Scope
from snapshots.model import DomainName, Item, ValueItem
from snapshots.progress import Progress

KINDS = (".service", ".socket", ".timer", ".path")
TRIGGERS = (".socket", ".timer", ".path")
STOP_TIMEOUT_S = 200.0
"""systemd itself gives a unit 90 s to start or stop, and MariaDB's has more."""

MASK = "mask --runtime "
"""Before the name of a unit that is masked until the next boot; the value is "masked"."""

NOT_FOUND = (
    "systemctl", "list-units", "--all", "--state=not-found", "--no-legend", "--plain", "--full",
)  # fmt: skip
"""Units whose file is gone, with what may still run of them (a purged package's daemon)."""

BY_THEMSELVES = re.compile(
    r"(user|user-runtime-dir|modprobe|sshd?|systemd-fsck|systemd-coredump|systemd-backlight)@.*"
    r"|(session-|run-|systemd-ask-password-|initrd-).*"
    r"|systemd-(hostnamed|localed|timedated|importd|portabled|machined|tmpfiles-clean)\..*"
    r"|systemd-.*-clean\..*"
    r"|(packagekit|polkit|colord|fwupd|udisks2|geoclue|realmd|accounts-daemon)\.service"
    r"|(ldconfig|sshd-keygen|systemd-(firstboot|sysusers|journal-catalog-update|hwdb-update"
    r"|update-done|machine-id-commit))\.service"
    r"|harden-tui-(guard|window).*"
)
"""Started and ended by logins, connections, D-Bus or time, or by us, not by an administrator; and
what runs in some boots only, as ConditionNeedsUpdate and ConditionFirstBoot have it."""


class Units(Domain):
    """Values: "active", "failed", "changing" (on its way), "without-file"; an inactive unit is
    absent."""

    name: ClassVar[DomainName] = "units"

    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        found: dict[str, Item] = {}
        try:
            services = host.services()
        except HostError:
            if host.state("/run/systemd/system") is not None:
                raise  # it is there and does not answer
            return found  # a host without a service manager has no units
        for service in services:
            value = value_of(service)
            if value:
                found[service.unit] = ValueItem(value)
        for unit, active, sub in _without_file(host):
            if BY_THEMSELVES.fullmatch(unit):
                continue
            if unit not in found and unit.endswith(KINDS) and active in ("active", "failed"):
                found[unit] = ValueItem(WITHOUT_FILE if sub == "exited" else active)
        for path in host.glob("/run/systemd/system/*"):
            unit = path.rpartition("/")[2]
            if masked_until_boot(host, unit):
                found[MASK + unit] = ValueItem("masked")
        return found

    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        now = self.capture(host, Scope())
        for verb in ("unmask", "mask"):
            units = [
                key.removeprefix(MASK)
                for key, item in wanted.items()
                if key.startswith(MASK) and (item is None) == (verb == "unmask")
            ]
            if units:
                _systemctl(host, progress, verb, "--runtime", *sorted(units))
        plain = {
            key: getattr(item, "value", "")
            for key, item in wanted.items()
            if not key.startswith(MASK)
        }
        # One command for all: a socket left behind would start its service again.
        stop = [
            u
            for u, v in plain.items()
            if v in ("", "failed") and _is(now, u, "active", CHANGING, WITHOUT_FILE)
        ]
        if stop:
            _systemctl(host, progress, "stop", *sorted(stop))
        # One that ran although it was masked stays as it is: systemd starts none.
        start = [
            u
            for u, v in plain.items()
            if v == "active" and not _is(now, u, "active") and not is_masked(host, u)
        ]
        # systemd opens no socket for a service that runs without it.
        sockets = {unit for unit in start if unit.endswith(".socket")}
        held = _running_behind(host, sockets)
        if held:
            _systemctl(host, progress, "stop", *held)
        errors = []
        for unit in sorted({*start, *held}, key=lambda unit: (not unit.endswith(TRIGGERS), unit)):
            try:
                _systemctl(host, progress, "start", unit)
            except HostError as error:  # the others shall run even so
                errors.append(error)
        now = self.capture(host, Scope())
        linger = [u for u, v in plain.items() if v in ("", WITHOUT_FILE) and _is(now, u, "failed")]
        for unit in linger:
            _systemctl(host, progress, "reset-failed", unit)
        if errors:
            raise errors[0]


def masked_until_boot(host: Host, unit: str) -> bool:
    """Whether `systemctl mask --runtime` laid its link over a unit."""
    state = host.state(f"/run/systemd/system/{unit}")
    return state is not None and state.kind == "symlink" and state.target == "/dev/null"


def value_of(service: Service) -> str:
    """What a capture holds of a unit; "" where it is inactive or not ours to look at."""
    if not service.unit.endswith(KINDS) or BY_THEMSELVES.fullmatch(service.unit):
        return ""
    if service.enabled == "transient":
        return ""
    is_service = service.unit.endswith(".service")
    if is_service and service.enabled == "static" and service.triggered_by:
        return ""  # a timer or a socket starts it whenever it likes
    if service.active in ("active", "failed"):
        return service.active
    if service.active in ("activating", "deactivating", "reloading", "refreshing"):
        return "active" if service.active in ("reloading", "refreshing") else CHANGING
    return ""


def _is(now: Mapping[str, Item], unit: str, *values: str) -> bool:
    return getattr(now.get(unit), "value", "") in values


def _running_behind(host: Host, sockets: Collection[str]) -> list[str]:
    """The active services that these sockets start."""
    if not sockets:
        return []
    services = {service.unit: service for service in host.services()}
    behind = {
        name for socket in sockets if socket in services for name in services[socket].triggers
    }
    return sorted(name for name in behind if name in services and services[name].active == "active")


def _without_file(host: Host) -> list[tuple[str, str, str]]:
    """Unit, ACTIVE and SUB as `systemctl list-units` has them."""
    try:
        answer = host.run(NOT_FOUND, ok=None)
    except CommandMissing:
        return []
    lines = [line.split() for line in answer.stdout.splitlines()]
    return [
        (words[0], words[2], words[3])
        for words in lines
        if len(words) >= 4 and words[1] == "not-found"
    ]


def _systemctl(host: Host, progress: Progress, *words: str) -> None:
    argv = ("systemctl", *words)
    progress.command(" ".join(argv))
    try:
        host.run(argv, timeout_s=STOP_TIMEOUT_S, on_line=progress.output)
    except CommandMissing:
        raise HostError("There is no systemctl on this host, so no unit can be put back") from None
