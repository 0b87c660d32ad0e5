"""What of the packet filter and of the kernel's settings others changed, and is written over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from snapshots.captured import Captured, each_difference, same
from snapshots.found import MEANWHILE
from snapshots.model import Delta, DomainName
from snapshots.others import name_of

_PARTS: Final[tuple[DomainName, ...]] = ("firewall", "kernel")


def sentence(after: Captured, found: Captured, before: Captured, kept: Path | None) -> str:
    """About what is neither as a change left it, `after`, nor as it was `before` it, to which it
    goes back; empty where there is none. As it was `found` it lies in `kept`."""
    moved = _only(after, _PARTS), _only(found, _PARTS)
    names = [
        name_of(one.domain, one.key)
        for one in each_difference(*moved)
        if not same(one.after, before.get(one.domain, {}).get(one.key))
    ]
    if not names:
        return ""
    more = f" and {len(names) - 1} more were" if len(names) > 1 else " was"
    where = f"as it was found it is kept in {kept}" if kept else "it could not be kept"
    return f"{names[0]}{more} changed {MEANWHILE}; {where}."


def differing(before: Captured, found: Captured) -> Iterator[Delta]:
    """What is written over of files, units, the kernel and the packet filter."""
    domains: tuple[DomainName, ...] = ("files", "units", *_PARTS)
    return each_difference(_only(before, domains), _only(found, domains))


def _only(state: Captured, domains: tuple[DomainName, ...]) -> Captured:
    return {domain: state.get(domain, {}) for domain in domains}
