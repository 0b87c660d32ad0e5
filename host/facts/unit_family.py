"""A unit with everything that would start it again: its sockets, paths, timers, and who asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from host.base import Host, Service
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.units import UNITS
from host.services import blocks

PROPERTIES = (
    "Id,Names,LoadState,ActiveState,UnitFileState,FragmentPath,SourcePath,Listen,"
    "TriggeredBy,RequiredBy,BoundBy,UpheldBy,WantedBy"
)
TRIGGERS = ("socket", "path", "timer")


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit as `systemctl show` describes it. Names are unit names with their type.

    `required_by` cannot run without it; `wanted_by` starts it too but does without.
    """

    name: str
    names: tuple[str, ...] = ()
    active: str = "inactive"
    enabled: str = ""
    fragment: str = ""
    source: str = ""
    listens: tuple[str, ...] = ()
    triggered_by: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()
    wanted_by: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        return self.active not in ("inactive", "failed")

    @property
    def is_sysv(self) -> bool:
        """Made from an init script in /etc/init.d."""
        return self.source.startswith("/etc/init.d/")


def parse_units(text: str) -> dict[str, Unit]:
    """`systemctl show UNITS -p PROPERTIES`: {"cups.socket": Unit(name="cups.socket", …), …}.

    Units that do not exist are left out; masked ones are in.
    """
    found = {}
    for block in blocks(text):
        properties = {key: values[0] for key, values in block.items()}
        if properties.get("LoadState") == "not-found" or not properties.get("Id"):
            continue
        unit = Unit(
            name=properties["Id"],
            names=tuple(properties.get("Names", "").split()),
            active=properties.get("ActiveState", ""),
            enabled=properties.get("UnitFileState", ""),
            fragment=properties.get("FragmentPath", ""),
            source=properties.get("SourcePath", ""),
            listens=tuple(value for value in block.get("Listen", []) if value),
            triggered_by=tuple(properties.get("TriggeredBy", "").split()),
            required_by=_words(properties, ("RequiredBy", "BoundBy")),
            wanted_by=_words(properties, ("WantedBy", "UpheldBy")),
        )
        found[unit.name] = unit
    return found


def family_fact(wanted: Sequence[str]) -> Fact[dict[str, Unit]]:
    """The units `wanted`, what triggers them, and the units that pull any of these in.

    Members of the family are those that `members` names; the others are there to be judged.
    """

    def read(host: Host, facts: Facts) -> dict[str, Unit]:
        if host.is_practice:
            return _of_services(facts.get(UNITS))
        known: dict[str, Unit] = {}
        missing = set(wanted) | {name for unit in wanted for name in same_name(unit)}
        # Each round asks for what the last one named; a unit triggers or pulls few others.
        for _ in range(4):
            if not missing:
                break
            known |= parse_units(_show(host, sorted(missing)))
            named = {
                name
                for unit in known.values()
                for name in (*unit.triggered_by, *unit.required_by, *unit.wanted_by)
                if not name.endswith((".target", ".slice"))
            }
            missing = named - set(known) - missing
        return known

    return Fact(f"unit-family {' '.join(wanted)}", read)


def _of_services(services: dict[str, Service]) -> dict[str, Unit]:
    """A practice host knows what its units trigger, but not who asks for them."""
    return {
        name: Unit(
            name=name,
            names=(name,),
            active=service.active,
            enabled=service.enabled,
            triggered_by=service.triggered_by,
        )
        for name, service in services.items()
    }


def members(wanted: Iterable[str], known: dict[str, Unit]) -> list[Unit]:
    """`wanted` and the sockets, paths and timers that would start them, without repetition."""
    family: dict[str, Unit] = {}
    by_any_name = {alias: unit for unit in known.values() for alias in (unit.name, *unit.names)}
    queue = list(wanted)
    while queue:
        asked = queue.pop(0)
        unit = by_any_name.get(asked)
        if unit is None or unit.name in family:
            continue
        family[unit.name] = unit
        queue += [*unit.triggered_by, *same_name(unit.name)]
    return list(family.values())


def same_name(unit: str) -> list[str]:
    """Of "cups.service": cups.socket, cups.path and cups.timer."""
    stem, _, kind = unit.rpartition(".")
    return [f"{stem}.{trigger}" for trigger in TRIGGERS] if kind == "service" else []


def _words(properties: dict[str, str], keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for key in keys for word in properties.get(key, "").split()))


def _show(host: Host, units: Sequence[str]) -> str:
    answer = host.run(
        ["systemctl", "show", "--property", PROPERTIES, "--", *units], timeout_s=15, ok=None
    )
    if not answer.ok:
        said = (answer.stderr.strip().splitlines() or ["it gave no reason"])[0]
        raise FactUnavailable(f"systemd does not answer on this host: {said}")
    return answer.stdout
