"""Many small files, as an application's tree is full of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

PER_DIRECTORY = 12
"""Of i-doit 1.16 and TYPO3 12 a directory holds ten to fifteen files in the mean."""

WWW_DATA = 33
"""User and group of Debian's web server, the same number on every host."""


class Family(msgspec.Struct, frozen=True):
    """Files of one kind: `share` of all, in directories that `directory(n)` names for n = 0, 1 …

    `content` may use {name} and {number}.
    """

    share: float
    directory: Callable[[int], str]
    suffix: str
    content: str


def pad(root: Path, families: Sequence[Family], count: int) -> None:
    """Write `count` files below `root`, owned by the web server; what is there stays."""
    for family in families:
        _write(root, family, round(count * family.share))


def _write(root: Path, family: Family, count: int) -> None:
    made: set[str] = set()
    for number, (directory, name) in zip(range(count), _names(family), strict=False):
        if directory not in made:
            (root / directory).mkdir(parents=True, exist_ok=True)
            made.add(directory)
        text = family.content.format(name=name, number=number).encode()
        descriptor = os.open(f"{root}/{directory}/{name}{family.suffix}", _NEW, 0o644)
        os.write(descriptor, text)
        os.close(descriptor)


def _names(family: Family) -> Iterator[tuple[str, str]]:
    number = 0
    while True:
        directory = family.directory(number)
        for nth in range(PER_DIRECTORY):
            yield directory, f"{_WORDS[(number + nth) % len(_WORDS)]}{number}_{nth}"
        number += 1


def own(root: Path, uid: int = WWW_DATA, gid: int = WWW_DATA) -> None:
    """Give the whole tree to the web server, links themselves included."""
    os.lchown(root, uid, gid)
    for directory, folders, files in os.walk(root):
        for name in (*folders, *files):
            os.lchown(f"{directory}/{name}", uid, gid)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC

_WORDS = (
    "Category", "Connector", "Export", "Filter", "Handler", "Import", "List", "Object", "Popup",
    "Property", "Query", "Report", "Request", "Tree", "Validation", "Widget",
)  # fmt: skip

PHP = "<?php\n\n/**\n * {name}\n */\nclass {name}\n{{\n    const NUMBER = {number};\n}}\n"
SCRIPT = "// {name}\nwindow.part{number} = function () {{ return {number}; }};\n"
STYLE = ".{name} {{ order: {number}; }}\n"
IMAGE = '<svg xmlns="http://www.w3.org/2000/svg"><title>{name}</title><g id="n{number}"/></svg>\n'
