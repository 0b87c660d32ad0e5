"""The language of `nft list table`, as pure functions, for tables that iptables does not manage."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_BLOCK = re.compile(r"^\t(\w+) (\S+) \{")
_ELEMENTS = re.compile(r"\n\t\telements = \{[^}]*\}")
_COMES_AND_GOES = re.compile(r"^\t\tflags [^\n]*\b(?:dynamic|timeout)\b", re.MULTILINE)
_FOREIGN_CODE = re.compile(r"\bxt (?:match|target) ")


class Table(msgspec.Struct, frozen=True):
    """A table as text. `head` holds its own properties ("flags dormant"), a line each.

    `blocks` are chains by their name ("input"), everything else by kind and name
    ("set:blocked"), each with the lines as nft prints and reads them.
    """

    head: tuple[str, ...] = ()
    blocks: dict[str, str] = {}


def parse(listed: str) -> Table | None:
    """What `nft list table` printed; `None` where it cannot be loaded again.

    That is so for rules which iptables made with its own extensions.
    """
    if _FOREIGN_CODE.search(listed):
        return None
    head: list[str] = []
    blocks: dict[str, str] = {}
    open_block: list[str] = []
    key = ""
    for line in listed.splitlines():
        start = _BLOCK.match(line)
        if key:
            open_block.append(line)
            if line == "\t}":
                blocks[key] = "\n".join(open_block)
                key = ""
        elif start is not None:
            kind, name = start.groups()
            key, open_block = name if kind == "chain" else f"{kind}:{name}", [line]
        elif line.startswith("\t") and line.strip():
            head.append(line)
    return Table(tuple(head), blocks)


def steady(block: str) -> str:
    """A block without what comes and goes: elements of sets that programs fill at run time."""
    if _COMES_AND_GOES.search(block):
        return _ELEMENTS.sub("", block)
    return block


def target(
    full: Table, stateless: Table, head: tuple[str, ...] | None, wanted: Mapping[str, str | None]
) -> Table:
    """The table as it shall be: `wanted` over what is, everything else with its counters.

    `full` and `stateless` are the table as it is, listed with and without `-s`.
    """
    blocks = dict(full.blocks)
    for name, block in wanted.items():
        if block is None:
            blocks.pop(name, None)
        elif name not in blocks or steady(stateless.blocks.get(name, "")) != block:
            blocks[name] = block
    return Table(full.head if head is None else head, blocks)


def script(family: str, name: str, table: Table) -> str:
    """Input for `nft -f -`: replaces the whole table in one step, whether it is there or not."""
    return "\n".join(
        [
            f"table {family} {name}",
            f"delete table {family} {name}",
            f"table {family} {name} {{",
            *table.head,
            *table.blocks.values(),
            "}",
            "",
        ]
    )
