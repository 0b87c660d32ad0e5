"""The entries of the YAML files that come with the program, read when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import resources as package_files
from typing import Generic, TypeVar

from steps.resource import StepError
from steps.yaml_lines import Entry, read_entries

T = TypeVar("T")


class BuiltIn(Mapping[str, T], Generic[T]):
    """What the files of a package declare, by name, in the order of the files.

    The names are read off the lines that give them; a file is parsed when one of its entries is
    wanted. Applying one step would otherwise pay for all of them, in each of its processes.
    `field` is the entries' first, their name; `read` makes an entry what it declares.
    """

    def __init__(self, package: str, field: str, read: Callable[[Entry], T]) -> None:
        self._read = read
        self._field = field
        self._texts: dict[str, str] = {}
        self._file_of: dict[str, str] = {}
        self._known: dict[str, T] = {}
        line = re.compile(rf"^(?:- )?{field}: *(\S+) *$", re.MULTILINE)
        for file in sorted(package_files.files(package).iterdir(), key=lambda file: file.name):
            if not file.name.endswith(".yaml"):
                continue
            name = f"{package.replace('.', '/')}/{file.name}"
            self._texts[name] = file.read_text(encoding="utf-8")
            for found in line.findall(self._texts[name]):
                if found in self._file_of:
                    raise StepError(
                        f"{name}: there is a {found} already, in {self._file_of[found]}"
                    )
                self._file_of[found] = name

    def __getitem__(self, name: str) -> T:
        """The entry of that name. Raises `StepError` where its file is not valid."""
        if name not in self._known:
            file = self._file_of[name]
            for entry in read_entries(file, self._texts[file]):
                self._known[str(entry.data.get(self._field))] = self._read(entry)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._file_of)

    def __len__(self) -> int:
        return len(self._file_of)

    def __contains__(self, name: object) -> bool:
        return name in self._file_of


class Extended(Mapping[str, T], Generic[T]):
    """`base`, with what a site adds to it or puts in its place."""

    def __init__(self, base: Mapping[str, T], site: Mapping[str, T]) -> None:
        self._base = base
        self._site = site
        self._order = list(dict.fromkeys([*base, *site]))

    def __getitem__(self, name: str) -> T:
        return self._site[name] if name in self._site else self._base[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, name: object) -> bool:
        return name in self._site or name in self._base
