"""How far a change reaches beyond what it names: which tables of the packet filter, which of the
kernel's settings. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from snapshots.model import Key
from snapshots.programs import ALL, FILTERING, Reach, of_units

Reached = Mapping[Reach, frozenset[str] | None]
"""A kind of state -> the parts of it that may change, as `part_of` names them; `None`: all of it.

Of units there are no parts.
"""

_OF_IPTABLES: Final = frozenset(("ip filter", "ip6 filter"))
"""Where ufw and fail2ban have their chains."""

_OF_INTERFACES: Final = re.compile(r"(net\.ipv[46]\.(?:conf|neigh))\..+\.([^.]+)")
"""Set for "all" or "default" it is set for each interface."""

_SETS_MORE: Final = re.compile(r"vm\..*|mount .*|.*\.(ip_forward|forwarding|disable_ipv6)")
"""What sets others, too: one limit of memory unsets its twin; forwarding, what hosts do (the
kernel's Documentation/networking/ip-sysctl.rst, admin-guide/sysctl/vm.rst)."""


def part_of(kind: str, key: str) -> str:
    """ "ip nat" of the packet filter; of the kernel a setting, of whatever interface."""
    if kind == "firewall":
        return " ".join(key.split(" ")[:2])
    return _OF_INTERFACES.sub(r"\1.*.\2", key)


def of_change(kinds: Collection[Reach], summary: str) -> Reached:
    """Of a change that reaches these kinds and that the journal describes so."""
    found: dict[Reach, frozenset[str] | None] = dict.fromkeys(kinds)
    if not found:
        return found
    program, *words = shlex.split(summary)
    name = program.rpartition("/")[2]
    if "firewall" in found and name == "ufw":
        found["firewall"] = _OF_IPTABLES
    elif "firewall" in found and name == "systemctl":
        found["firewall"] = _tables_of(words)
    if "kernel" in found and name == "sysctl":
        found["kernel"] = _settings(_assigned(words))
    return found


def with_twin(reached: Reached) -> Reached:
    """With the other table that ufw fills together with one of these."""
    tables = reached.get("firewall")
    if not tables or not tables & _OF_IPTABLES:
        return reached
    return {**reached, "firewall": tables | _OF_IPTABLES}


def of_moved(units: Iterable[str]) -> Reached:
    """Of units that start, stop or take a change."""
    units = tuple(units)
    tables = _tables_of(units)
    return {kind: tables if kind == "firewall" else None for kind in of_units(units)}


def of_keys(keys: Iterable[Key]) -> Reached:
    """Of what is put back: a setting for all interfaces is one of each. Of units it is known which
    start and stop."""
    there: dict[str, list[str]] = {}
    for domain, key in keys:
        there.setdefault(domain, []).append(key)
    found: dict[Reach, frozenset[str] | None] = {
        kind: None for kind in ALL - {"units"} if kind in there
    }
    if "firewall" in found:
        found["firewall"] = frozenset(part_of("firewall", key) for key in there["firewall"])
    if "kernel" in found:
        found["kernel"] = _settings(there["kernel"])
    return found


def both(one: Reached, other: Reached) -> dict[Reach, frozenset[str] | None]:
    """As far as either reaches."""
    found = dict(one)
    for kind, parts in other.items():
        known = found.get(kind, frozenset())
        found[kind] = None if parts is None or known is None else known | parts
    return found


def reaches(reached: Reached, kind: str, key: str) -> bool:
    """Whether this may have changed."""
    for one, parts in reached.items():
        if one == kind:
            return parts is None or part_of(kind, key) in parts
    return False


def _tables_of(units: Iterable[str]) -> frozenset[str] | None:
    filtering = {unit for unit in units if FILTERING.fullmatch(unit)}
    return _OF_IPTABLES if filtering <= {"ufw.service", "fail2ban.service"} else None


def _assigned(words: Iterable[str]) -> list[str]:
    """The settings that `sysctl` is told to write, as it prints them; none where it reads them
    from files."""
    given = [word.partition("=")[0] for word in words if not word.startswith("-")]
    return [key.translate(_SWAPPED) if "/" in key else key for key in given]


_SWAPPED: Final = str.maketrans("/.", "./")
"""Written with slashes, a dot is part of a name (sysctl.d(5))."""


def _settings(keys: Collection[str]) -> frozenset[str] | None:
    if not keys or any(map(_SETS_MORE.fullmatch, keys)):
        return None
    return frozenset(part_of("kernel", key) for key in keys)
