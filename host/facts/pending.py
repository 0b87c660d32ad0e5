"""Updates that wait: what apt's own simulation of an upgrade says, and how old its lists are."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts

LISTS: Final = "/var/lib/apt/lists"
PARTIAL: Final = f"{LISTS}/partial"
"""apt puts this directory in order whenever it fetches lists, also where none of them is new."""

QUERY: Final = (
    "apt-get", "--simulate", "-q", "-o", "APT::Get::Show-User-Simulation-Note=false",
    "--with-new-pkgs", "upgrade",
)  # fmt: skip

_INST: Final = re.compile(r"^Inst (\S+) (?:\[([^\]]+)\] )?\((\S+) (.*?)(?: \[[^\]]*\])?\)")
_KEPT: Final = re.compile(
    r"^The following packages have been kept back:\n((?:  .*\n?)+)", re.MULTILINE
)
_FROM: Final = re.compile(r"[^\s,]+:[^\s,/]*/([^\s,]+)")


class Update(msgspec.Struct, frozen=True):
    """A package that apt would bring to another version.

    `old` is empty for one that is new; `release` is where the new one comes from, as apt says it:
    "Debian-Security:12/oldstable-security".
    """

    name: str
    old: str
    new: str
    release: str

    @property
    def is_security(self) -> bool:
        """By the label of its repository (Debian) or the name of its suite (Ubuntu)."""
        suites = _FROM.findall(self.release)
        return "security" in self.release.lower().partition("/")[0] or any(
            suite.endswith("-security") for suite in suites
        )


class Pending(msgspec.Struct, frozen=True):
    """`kept_back`: what apt leaves alone in an upgrade (on hold, or it would remove something)."""

    updates: tuple[Update, ...] = ()
    kept_back: tuple[str, ...] = ()
    problem: str = ""

    @property
    def upgrades(self) -> tuple[Update, ...]:
        """Without the packages that only come along."""
        return tuple(update for update in self.updates if update.old)


def parse_upgrade(stdout: str, stderr: str) -> Pending:
    """`apt-get --simulate upgrade`.

    "Inst openssl [3.0.1] (3.0.2 Debian-Security:12/oldstable-security [amd64])"
    """
    updates = []
    for line in stdout.splitlines():
        found = _INST.match(line)
        if found:
            updates.append(Update(found[1], found[2] or "", found[3], found[4].strip()))
    kept = _KEPT.search(stdout)
    errors = [line for line in stderr.splitlines() if line.startswith("E: ")]
    return Pending(
        updates=tuple(updates),
        kept_back=tuple(kept[1].split()) if kept else (),
        problem=errors[0].removeprefix("E: ").rstrip(".") if errors else "",
    )


def _read(host: Host, facts: Facts) -> Pending:
    answer = host.run(QUERY, timeout_s=60, ok=None)
    return parse_upgrade(answer.stdout, answer.stderr)


def _fetched(host: Host, facts: Facts) -> int:
    if not any(name.endswith(("Release", "_Packages")) for name in host.listdir(LISTS)):
        return 0
    return max(host.changed_ns(PARTIAL), host.changed_ns(LISTS))


PENDING: Final[Fact[Pending]] = Fact("pending-updates", _read)
LISTS_FETCHED: Final[Fact[int]] = Fact("apt-lists-fetched", _fetched)
"""When the lists were last fetched, in ns since 1970; 0 where there are none."""
