"""Packages: what is installed, in which version, and who asked for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import ClassVar

import msgspec

from host.base import CommandFailed, CommandMissing, Host, HostError
from snapshots import ucf
from snapshots.captured import TRIGGERED
from snapshots.debs import KeptDebs
from snapshots.domains.base import Domain, Scope
from snapshots.dpkg import (
    APT_OPTIONS,
    NONINTERACTIVE,
    dpkg_environment,
    let_in,
    meant,
    run_dpkg,
)
from snapshots.fitting import words_to_install
from snapshots.model import DomainName, Item, SnapshotError, ValueItem
from snapshots.progress import Progress

LEFTOVER = "config-files"
"""The value of a package that was removed but not purged."""

QUERY = (
    "dpkg-query",
    "-W",
    "-f",
    r"${binary:Package}\t${db:Status-Want}\t${db:Status-Status}\t${Version}\n",
)
_SELECTIONS = ("hold", "deinstall", "purge")
"""What dpkg means to do with a package, other than to have it. A purge of several that is cut off
leaves those that it did not come to marked for the next."""

EXTENDED_STATES = "/var/lib/apt/extended_states"
TIMEOUT_S = 1800.0


class Package(msgspec.Struct, frozen=True):
    """One value of this domain, taken apart. `flags` holds "hold" and any unusual dpkg status."""

    version: str
    mark: str
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, item: Item | None) -> Package | None:
        """`None` where the package is absent or only its configuration is left."""
        if not isinstance(item, ValueItem) or item.value == LEFTOVER:
            return None
        version, mark, *flags = item.value.split(";")
        return cls(version, mark, tuple(flag for flag in flags if flag not in TRIGGERED))

    @property
    def selection(self) -> str:
        """The word for `dpkg --set-selections`."""
        return next((flag for flag in self.flags if flag in _SELECTIONS), "install")

    @property
    def status(self) -> tuple[str, ...]:
        """What dpkg has not finished with it ("half-configured"); mostly nothing."""
        return tuple(flag for flag in self.flags if flag not in _SELECTIONS)

    def item(self) -> ValueItem:
        return ValueItem(";".join((self.version, self.mark, *self.flags)))


class Packages(Domain):
    """Values: "VERSION;auto" or "VERSION;manual" (and ";hold", ";purge"), or "config-files"."""

    name: ClassVar[DomainName] = "packages"

    def __init__(self, debs: KeptDebs) -> None:
        self._debs = debs

    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        try:
            answer = host.run(QUERY)
        except CommandMissing:
            return {}
        automatic = frozenset[str]()
        if host.state(EXTENDED_STATES) is not None:
            text = host.read_bytes(EXTENDED_STATES).decode("utf-8", "replace")
            automatic = parse_automatic(text)
        return parse(answer.stdout, automatic)

    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        now = self.capture(host, Scope())
        purge = [key for key, item in wanted.items() if item is None and key in now]
        remove = [
            key
            for key, item in wanted.items()
            if item == ValueItem(LEFTOVER) and Package.of(now.get(key)) is not None
        ]
        install = {
            key: package.version
            for key, item in wanted.items()
            if (package := Package.of(item)) is not None
            and getattr(Package.of(now.get(key)), "version", None) != package.version
        }
        if install:
            self._install(host, install, {*remove, *purge}, progress)
            there = self.capture(host, Scope())  # one may have made way for what was installed
            remove = [key for key in remove if Package.of(there.get(key)) is not None]
        if purge or remove:
            self.purge(host, purge, progress, remove)
        self._mark(host, wanted, progress)

    def purge(
        self, host: Host, packages: list[str], progress: Progress, remove: Collection[str] = ()
    ) -> None:
        """Exactly these, and `remove`, which leave their configuration: dpkg never takes one more
        along, and refuses where another needs one."""
        now = self.capture(host, Scope())
        going = {*packages, *remove}
        there = {name: one for name in going if (one := Package.of(now.get(name)))}
        automatic = [name for name, one in there.items() if one.mark == "auto"]
        if automatic:
            # Or apt would remember the mark, and take one that is installed again for automatic.
            argv = ("apt-mark", "manual", *sorted(automatic))
            progress.command(" ".join(argv))
            host.run(argv, timeout_s=TIMEOUT_S)
        if remove:  # at once: each may need one of the other kind
            run_dpkg(host, progress, "--remove", "--force-remove-reinstreq", *sorted(there))
            now = self.capture(host, Scope())
        if there_still := [name for name in packages if name in now]:
            self._purge(host, there_still, progress)
        left = self.capture(host, Scope())
        again = sorted(name for name in packages if name in left)
        if again:
            # A package whose removal script ended oddly stays half removed; once more clears it.
            self._purge(host, again, progress)
        ucf.forget(host, packages)

    def _purge(self, host: Host, packages: list[str], progress: Progress) -> None:
        """One whose unpacking was cut off dpkg would only install anew, if it were not told."""
        run_dpkg(host, progress, "--purge", "--force-remove-reinstreq", *sorted(packages))

    def _install(
        self,
        host: Host,
        versions: Mapping[str, str],
        leaving: Set[str],
        progress: Progress,
    ) -> None:
        try:
            words = words_to_install(host, self._debs, versions, leaving)
            ours = meant(host, progress, *words)
            argv = ("apt-get", *APT_OPTIONS, *words)
            progress.command(" ".join(argv))
            with let_in(host, progress, ours):
                host.run(argv, timeout_s=TIMEOUT_S, env=NONINTERACTIVE, on_line=progress.output)
        except CommandFailed as error:
            raise SnapshotError(
                f"What was installed before ({', '.join(sorted(versions))}) could not be "
                f"installed again and is missing now: {error}. Where the host's sources still have "
                "it, `apt-get install` brings it back; then run `harden-tui recover`."
            ) from None

    def _mark(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        now = self.capture(host, Scope())
        for argv, lines in _marking(wanted, now):
            progress.command(_typed(argv, lines))
            host.run(
                argv, stdin="\n".join([*lines, ""]).encode() if lines else b"",
                timeout_s=TIMEOUT_S, env=dpkg_environment(host), on_line=progress.output,
            )  # fmt: skip
        unset = [
            key
            for key, item in wanted.items()
            if item is not None and key not in now and Package.of(item) is not None
        ]
        if unset:
            raise HostError(
                f"The package {unset[0]} was installed before and could not be installed again; "
                "the host is without it. `dpkg -l` and /var/log/dpkg.log say why."
            )


def commands_to_mark(wanted: Mapping[str, Item | None], now: Mapping[str, Item]) -> list[str]:
    """What `Packages.restore` runs for marks and holds of packages that are there, as typed."""
    return [_typed(argv, lines) for argv, lines in _marking(wanted, now)]


def _marking(
    wanted: Mapping[str, Item | None], now: Mapping[str, Item]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each command with the lines that it is told."""
    words: dict[str, list[str]] = {"auto": [], "manual": []}
    selections = []
    for key, item in sorted(wanted.items()):
        goal, have = Package.of(item), Package.of(now.get(key))
        if goal is None or have is None:
            continue
        if goal.mark != have.mark:
            words[goal.mark].append(key)
        if goal.selection != have.selection:
            selections.append(f"{key} {goal.selection}")
    for word, names in words.items():
        if names:
            yield ("apt-mark", word, *names), []
    if selections:
        yield ("dpkg", "--set-selections"), selections


def _typed(argv: Iterable[str], lines: Iterable[str]) -> str:
    told = "; ".join(lines)
    return " ".join(argv) + (f" <<< {told}" if told else "")


def parse(text: str, automatic: frozenset[str]) -> dict[str, Item]:
    """dpkg-query's lines -> {"ufw": "0.36.2-9;manual", "libc6:amd64": "2.41-12;auto", …}."""
    found: dict[str, Item] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 4 or fields[2] == "not-installed":
            continue
        name, want, status, version = fields
        if status == LEFTOVER:
            found[name] = ValueItem(LEFTOVER)
            continue
        mark = "auto" if name.partition(":")[0] in automatic else "manual"
        flags = [want] if want in _SELECTIONS else []
        flags += [status] if status != "installed" and status not in TRIGGERED else []
        found[name] = Package(version, mark, tuple(flags)).item()
    return found


def parse_automatic(text: str) -> frozenset[str]:
    """apt's extended_states -> the names marked as installed automatically."""
    return frozenset(name for name, _, _ in automatic_blocks(text.split("\n\n")))


def automatic_blocks(blocks: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(name, architecture, block) of those blocks of extended_states that mark one as automatic."""
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1" and fields.get("Package"):
            yield fields["Package"], fields.get("Architecture", ""), block
