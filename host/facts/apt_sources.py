"""Where packages come from: every index apt uses, what vouches for it, and the line that names it.

`apt-get indextargets` merges one-line and deb822 sources, and tells of each index the entry it
comes from and what its Release file says of itself. Whether a repository is trusted although
nothing signs it only the entry tells: apt says "Trusted: yes" of the signed ones too.
"""

from __future__ import annotations

from typing import Final

import msgspec

from host.base import Host
from host.facts.apt_entries import options
from host.facts.base import Fact, Facts

_LINES: Final = (
    "$(SOURCESENTRY)", "$(REPO_URI)", "$(RELEASE)", "$(CODENAME)", "$(SUITE)", "$(ORIGIN)",
    "$(LABEL)",
)  # fmt: skip
QUERY: Final = (
    "apt-get", "indextargets", "--format", "\t".join(_LINES), "Created-By: Packages",
)  # fmt: skip

_YES: Final = frozenset(("yes", "true", "1", "on", "with", "enable"))


class Source(msgspec.Struct, frozen=True):
    """A repository as one entry names it.

    `entry` "/etc/apt/sources.list:1" (a deb822 file counts its stanzas), `uri`
    "http://ftp.debian.org/debian/", `suite` as the entry has it ("bookworm-security"). `codename`,
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

    A field that is not there is printed as its own placeholder, "$(LABEL)".
    """
    found: dict[tuple[str, str, str], Source] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != len(_LINES):
            continue
        entry, uri, suite, codename, archive, origin, label = (
            "" if field == name else field.strip()
            for field, name in zip(fields, _LINES, strict=True)
        )
        source = Source(entry, uri, suite, codename, archive, origin, label)
        found.setdefault((entry, uri, suite), source)
    return tuple(found.values())


def with_entry(source: Source, text: str) -> Source:
    """The source with what its entry says; `text` is that file's."""
    said = options(text, source.number, is_deb822=source.is_deb822)
    return msgspec.structs.replace(
        source,
        trusted=said.get("trusted", "").lower() in _YES,
        signed_by=said.get("signed-by", ""),
    )


def _read(host: Host, facts: Facts) -> tuple[Source, ...]:
    texts: dict[str, str] = {}
    found = []
    for source in parse_sources(host.run(QUERY).stdout):
        if source.file not in texts:
            texts[source.file] = host.read_bytes(source.file).decode("utf-8", "surrogateescape")
        found.append(with_entry(source, texts[source.file]))
    return tuple(found)


APT_SOURCES: Final[Fact[tuple[Source, ...]]] = Fact("apt-sources", _read)
