"""Which daemons take what was put back, and what a person is shown of it before.

A daemon that is stopped right afterwards is told nothing: it has nothing to take, and what masks
its unit lies there again by then, so that systemd would refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from host.base import Host, HostError
from snapshots.activation import command_of, is_active, is_masked
from snapshots.domains.units import MASK
from snapshots.model import Activation, FileItem, Item, Key, ValueItem

Targets = Mapping[Key, Item | None]
"""What will become of things, those that change."""

FOLDER = "/etc/systemd/system"


_PULLS = ("Wants", "Requires", "BindsTo", "Upholds", "Triggers")
_FOLLOWS = ("RequiredBy", "BoundBy", "ConsistsOf", "Conflicts")
_KINDS = (".service", ".socket", ".timer", ".path")


def pulled(host: Host, units: Iterable[str]) -> set[str]:
    """These units and those that systemd starts or stops with them, by what it says itself."""
    found: set[str] = set()
    new = set(units)
    properties: tuple[str, ...] = (*_PULLS, *_FOLLOWS)
    while new:
        found |= new
        asked = ("systemctl", "show", *(f"--property={one}" for one in properties), *sorted(new))
        try:
            lines = host.run(asked, ok=None).stdout.splitlines()
        except HostError:
            return found
        words = (word for line in lines for word in line.partition("=")[2].split())
        new = {word for word in words if word.endswith(_KINDS)} - found
        properties = _PULLS
    return found


def taking(
    host: Host,
    activations: Iterable[Activation],
    now: Mapping[str, Item],
    wanted: Mapping[str, Item],
    notes: list[str],
) -> list[Activation]:
    """Those that can be done: without units that will be stopped, or are masked.

    `now` and `wanted` are the units that run and that shall; what a person should know of one that
    goes on running is added to `notes`.
    """
    found = []
    for activation in activations:
        unit = activation.unit
        if activation.how in ("reload", "restart"):
            if unit in now and _ends(wanted.get(unit)):
                continue
            if is_masked(host, unit):
                if is_active(host, unit):
                    notes.append(
                        f"{unit} is masked, so systemd takes no {activation.how} for it: it runs "
                        "as before, with the settings it had."
                    )
                continue
        found.append(activation)
    return found


def commands_of(host: Host, activations: Iterable[Activation], targets: Targets) -> list[str]:
    """What will be run of `activations` where things become `targets`; asks only."""
    return [
        command_of(activation)
        for activation in activations
        if activation.how not in ("reload", "restart")
        or (
            is_active(host, activation.unit)
            and not _will_stop(activation.unit, targets)
            and not _will_be_masked(host, activation.unit, targets)
        )
    ]


def unit_commands(targets: Targets) -> list[str]:
    """How units become `targets`, in the order in which it is done."""
    units = {key: item for (domain, key), item in targets.items() if domain == "units"}
    masks = {key: item for key, item in units.items() if key.startswith(MASK)}
    plain = {key: item for key, item in units.items() if not key.startswith(MASK)}
    return [
        *(f"systemctl un{key}" for key, item in masks.items() if item is None),
        *(f"systemctl {key}" for key, item in masks.items() if item is not None),
        *(f"systemctl stop {key}" for key, item in plain.items() if _ends(item)),
        *(f"systemctl start {key}" for key, item in plain.items() if item == ValueItem("active")),
    ]


def mask_file(unit: str) -> str:
    """Where `systemctl mask` lays its link."""
    return f"{FOLDER}/{unit}"


def is_mask(item: Item | None) -> bool:
    """Whether a file in `FOLDER` masks its unit."""
    return isinstance(item, FileItem) and item.state.target == "/dev/null"


def _ends(item: Item | None) -> bool:
    """Whether a unit that becomes this does not run any more."""
    return getattr(item, "value", "") in ("", "failed")


def _will_stop(unit: str, targets: Targets) -> bool:
    return ("units", unit) in targets and _ends(targets["units", unit])


def _will_be_masked(host: Host, unit: str, targets: Targets) -> bool:
    """A runtime mask that comes is laid after daemons were told, one that goes is lifted before."""
    file: Key = ("files", mask_file(unit))
    if file in targets:
        return is_mask(targets[file])
    if ("units", MASK + unit) in targets:
        return False
    return is_masked(host, unit)
