"""A systemd timer and what it starts: whether it waits, when it runs next, how it ended last."""

from __future__ import annotations

from typing import Final

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts

_PROPERTIES: Final = (
    "Id", "LoadState", "UnitFileState", "ActiveState", "NextElapseUSecRealtime", "Result",
    "ExecMainStatus", "ExecMainExitTimestamp", "NeedDaemonReload",
)  # fmt: skip


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """`enabled` at boot, `waiting` now. `next_run` and `last_run` as systemd writes times, "" for
    none. `result` ("success", "exit-code", …) and `status` (of its program) are of the last run;
    `stale`: its files are newer than what systemd has read."""

    enabled: bool = False
    waiting: bool = False
    next_run: str = ""
    last_run: str = ""
    result: str = ""
    status: str = ""
    stale: bool = False


def parse_show(text: str) -> dict[str, dict[str, str]]:
    """`systemctl show -p …` of several units, blank lines between them: unit -> property -> value.

    Lines that are none are passed over.
    """
    units: dict[str, dict[str, str]] = {}
    for block in text.split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        properties = {name: value for name, _, value in pairs}
        if properties.get("Id"):
            units[properties["Id"]] = properties
    return units


def timer_of(units: dict[str, dict[str, str]], name: str) -> Timer:
    """The timer `name`.timer with its `name`.service."""
    timer, service = units.get(f"{name}.timer", {}), units.get(f"{name}.service", {})
    return Timer(
        enabled=timer.get("UnitFileState", "") == "enabled",
        waiting=timer.get("ActiveState", "") == "active",
        next_run=timer.get("NextElapseUSecRealtime", ""),
        last_run=service.get("ExecMainExitTimestamp", ""),
        result=service.get("Result", "") if service.get("ExecMainExitTimestamp") else "",
        status=service.get("ExecMainStatus", ""),
        stale="yes" in (timer.get("NeedDaemonReload"), service.get("NeedDaemonReload")),
    )


def timer(name: str) -> Fact[Timer]:
    """The timer of that name, without ".timer"."""

    def read(host: Host, facts: Facts) -> Timer:
        argv = ("systemctl", "show", "-p", ",".join(_PROPERTIES), f"{name}.timer",
                f"{name}.service")  # fmt: skip
        return timer_of(parse_show(host.run(argv, ok=None).stdout), name)

    return Fact(f"timer {name}", read)
