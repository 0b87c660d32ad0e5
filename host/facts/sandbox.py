"""How systemd confines a service: its settings as they are in force, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts
from host.facts.mounts import parse_mountinfo
from host.facts.systemd_conf import Setting, parse_cat_config
from host.facts.unit_process import process_of
from host.services import blocks

_OVERALL = re.compile(r"Overall exposure level for \S+: (\d+\.\d) (\w+)")


class Confinement(msgspec.Struct, frozen=True):
    """`settings` by systemd's names as `systemctl show` prints them; `lines` by the same names."""

    loaded: bool
    active: bool
    stale: bool
    """Its files changed since systemd read them."""
    settings: dict[str, str]
    lines: dict[str, Setting]
    read_only: frozenset[str] | None = None
    """Mount points its process sees read-only; `None` where no process can be looked at."""
    filtered: bool = False
    """Whether the kernel filters the process's system calls."""


def parse_show(text: str) -> dict[str, str]:
    """`systemctl show UNIT`: {"ProtectSystem": "full", "ActiveState": "active", …}."""
    return {key: values[0] for block in blocks(text) for key, values in block.items()}


def parse_exposure(text: str) -> tuple[float, str] | None:
    """`systemd-analyze security UNIT`: (9.2, "UNSAFE"), 0.0 is best; `None` where it says none."""
    found = _OVERALL.search(text)
    return (float(found[1]), found[2]) if found else None


def says(wanted: str, shown: str) -> bool:
    """Whether systemd's answer for a setting is what a unit file would say.

    Lists come in another order; a list of names may be longer by what an architecture implies.
    "RestrictNamespaces=yes" is shown as such, and "no" of a list is "~" or nothing.
    """
    left, right = wanted.lower().split(), shown.lower().split()
    if left in (["yes"], ["true"]):
        return right in (["yes"], ["true"])
    return set(left) == set(right)


def confinement(unit: str, names: Sequence[str]) -> Fact[Confinement]:
    """The named settings of a service."""

    def read(host: Host, facts: Facts) -> Confinement:
        wanted = ",".join(("LoadState", "ActiveState", "NeedDaemonReload", *names))
        shown = parse_show(
            host.run(("systemctl", "show", f"--property={wanted}", unit), timeout_s=10).stdout
        )
        lines = parse_cat_config(
            host.run(("systemctl", "cat", "--no-pager", unit), ok=None, timeout_s=10).stdout
        )
        pid = process_of(host, unit)
        return Confinement(
            read_only=_read_only(host, pid),
            filtered="Seccomp:\t2" in _text(host, f"/proc/{pid}/status").splitlines(),
            loaded=shown.get("LoadState") == "loaded",
            active=shown.get("ActiveState") == "active",
            stale=shown.get("NeedDaemonReload") == "yes",
            settings={name: shown.get(name, "") for name in names},
            lines=_of_section(lines, "Service"),
        )

    return Fact(f"confinement {unit} {' '.join(names)}", read)


def exposure(unit: str) -> Fact[float | None]:
    """What `systemd-analyze security` makes of a service (0.0 best, 10.0 worst). It looks at
    all the unit says, so it is for proofs and plans only."""

    def read(host: Host, facts: Facts) -> float | None:
        argv = ("systemd-analyze", "--no-pager", "security", unit)
        try:
            found = parse_exposure(host.run(argv, ok=None, timeout_s=30).stdout)
        except (CommandMissing, HostError):
            return None
        return found[0] if found else None

    return Fact(f"exposure {unit}", read)


def _of_section(lines: Mapping[tuple[str, str], Setting], section: str) -> dict[str, Setting]:
    return {key: line for (where, key), line in lines.items() if where == section}


def _read_only(host: Host, pid: int) -> frozenset[str] | None:
    mounts = parse_mountinfo(_text(host, f"/proc/{pid}/mountinfo"))
    if not mounts:
        return None
    return frozenset(point for point, mount in mounts.items() if "ro" in mount.flags)


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""
