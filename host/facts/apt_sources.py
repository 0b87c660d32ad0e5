"""Where packages come from: every index apt uses, what vouches for it, and the line that names it.

`apt-get indextargets` merges one-line and deb822 sources, and tells of each index the entry it
comes from, what its Release file says of itself, and the options it is trusted by.
"""

from __future__ import annotations

from typing import Final

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts

_LINES: Final = (
    "$(SOURCESENTRY)", "$(REPO_URI)", "$(RELEASE)", "$(CODENAME)", "$(SUITE)", "$(ORIGIN)",
    "$(LABEL)", "$(TRUSTED)", "$(SIGNED_BY)",
)  # fmt: skip
QUERY: Final = (
    "apt-get", "indextargets", "--format", "\t".join(_LINES), "Created-By: Packages",
)  # fmt: skip


class Source(msgspec.Struct, frozen=True):
    """A repository as one entry names it.

    `entry` "/etc/apt/sources.list:1" (a deb822 file counts its stanzas), `uri`
    "http://deb.debian.org/debian/", `suite` as the entry has it ("bookworm-security"). `codename`,
    `archive`, `origin` and `label` are the Release file's own; empty where no list was fetched.
    `trusted`: taken whatever its signature is; `signed_by`: keys that count for it, empty for all.
    """

    entry: str
    uri: str
    suite: str
    codename: str = ""
    archive: str = ""
    origin: str = ""
    label: str = ""
    trusted: bool = False
    signed_by: str = ""

    @property
    def file(self) -> str:
        return self.entry.rpartition(":")[0]

    @property
    def number(self) -> int:
        """The line of a one-line file, the stanza of a deb822 one, counted from 1."""
        text = self.entry.rpartition(":")[2]
        return int(text) if text.isdecimal() else 0

    @property
    def is_deb822(self) -> bool:
        return self.file.endswith(".sources")

    @property
    def is_security(self) -> bool:
        """Whether it has security updates, by its own word or, unfetched, by its name."""
        if self.label or self.origin:
            return "security" in self.label.lower() or self.codename.endswith("-security") or (
                self.archive.endswith("-security")
            )  # fmt: skip
        return self.suite.rstrip("/").endswith("-security")


def parse_sources(text: str) -> tuple[Source, ...]:
    """The answer to `QUERY`, each repository once, in apt's order.

    A field that is not there is printed as its own placeholder, "$(SIGNED_BY)".
    """
    found: dict[tuple[str, str, str], Source] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != len(_LINES):
            continue
        entry, uri, suite, codename, archive, origin, label, trusted, signed_by = (
            "" if field == name else field.strip()
            for field, name in zip(fields, _LINES, strict=True)
        )
        found.setdefault(
            (entry, uri, suite),
            Source(
                entry=entry, uri=uri, suite=suite, codename=codename, archive=archive,
                origin=origin, label=label, trusted=trusted == "yes", signed_by=signed_by,
            ),
        )  # fmt: skip
    return tuple(found.values())


def _read(host: Host, facts: Facts) -> tuple[Source, ...]:
    return parse_sources(host.run(QUERY).stdout)


APT_SOURCES: Final[Fact[tuple[Source, ...]]] = Fact("apt-sources", _read)
