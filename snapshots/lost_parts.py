"""A restore point of which parts are damaged: what is known of the rest, and what that means."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from host.names import visible
from snapshots.captured import Captured
from snapshots.model import Root
from snapshots.points import domain_of, part_name, place_of, tops_of


def leave_as_it_is(
    before: Captured, now: Captured, lost: Collection[str], roots: Iterable[Root]
) -> None:
    """Take for what was there, in the `lost` parts of `before`, what is there `now`."""
    tops = tops_of(roots)
    for domain, items in now.items():
        mine = before.setdefault(domain, {})
        for key, item in items.items():
            if part_name(domain, key, item, tops) in lost:
                mine[key] = item


class Lost(msgspec.Struct, frozen=True):
    """What is not known any more, in sentences, and whether the change may have touched it."""

    words: str = ""
    matters: bool = False


def judged(
    lost: Collection[str], named: Iterable[str], roots: Iterable[Root], *, packages: bool
) -> Lost:
    """`named`: the files that the change named. `packages`: whether it may have changed packages,
    which write wherever they like."""
    return Lost(_sentence(lost), _may_matter(lost, named, tops_of(roots), packages=packages))


def _may_matter(
    lost: Collection[str], named: Iterable[str], tops: Collection[str], *, packages: bool
) -> bool:
    if packages or any(domain_of(name) != "files" for name in lost):
        return True
    places = set(map(place_of, lost))
    return any(_is_listed_in(path, place, tops) for path in named for place in places)


def _is_listed_in(path: str, place: str, tops: Collection[str]) -> bool:
    """The list of a tree itself holds only what lies right in it."""
    below = path.removeprefix(f"{place}/")
    return path == place or (below != path and not (place in tops and "/" in below))


def _sentence(lost: Collection[str]) -> str:
    words = sorted(map(_words, lost))
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return (
        f"Its restore point is damaged: how {', '.join(words[:3])}{more} was before is not known "
        "any more, so that was left as it is. `harden-tui history verify` says what is damaged."
    )


def _words(name: str) -> str:
    domain = domain_of(name)
    if domain == "files":
        return visible(place_of(name))
    return {
        "units": "which units ran",
        "packages": "which packages there were",
        "firewall": "the packet filter",
        "mariadb": "MariaDB's accounts",
    }.get(domain, name)
