"""apt's marks "installed automatically" of packages that are not there.

apt writes them before it unpacks anything. Where it is cut off in between they would stay, although
no package tells of them. So a transaction keeps which there were, and going back takes the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Final

from host.base import CommandMissing, Host
from snapshots.domains.packages import EXTENDED_STATES, QUERY, automatic_blocks, parse

KEY: Final = EXTENDED_STATES


def kept(host: Host, there: Collection[str]) -> dict[str, str]:
    """`KEY` -> a line "name:architecture" for each such mark. `there`: the packages, as dpkg names
    them. Raises `HostError`."""
    return {KEY: "\n".join(name for name, _ in _stale(_blocks(host), there))}


def put_back(host: Host, tables: dict[str, str]) -> None:
    """Take out of apt's file what was not in it then and no package has. Raises `HostError`."""
    if KEY not in tables:
        return
    blocks = _blocks(host)
    with contextlib.suppress(CommandMissing):
        there = parse(host.run(QUERY).stdout, frozenset())
        then = set(tables[KEY].splitlines())
        new = {block for name, block in _stale(blocks, there) if name not in then}
        if new:
            text = "\n\n".join(block for block in blocks if block not in new)
            host.write_file(EXTENDED_STATES, text.encode("utf-8", "surrogateescape"))


def _blocks(host: Host) -> list[str]:
    if host.state(EXTENDED_STATES) is None:
        return []
    text = host.read_bytes(EXTENDED_STATES).decode("utf-8", "surrogateescape")
    return text.split("\n\n")


def _stale(blocks: list[str], there: Collection[str]) -> Iterator[tuple[str, str]]:
    """(name:architecture, block) of each mark without a package."""
    names = set(there)
    for name, architecture, block in automatic_blocks(blocks):
        if not {name, f"{name}:{architecture}"} & names:
            yield f"{name}:{architecture}", block
