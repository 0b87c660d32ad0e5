"""What somebody else changed while a change or an undo was at work: none of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from host.base import Host
from host.names import visible
from snapshots import programs, reached
from snapshots.captured import Captured, is_of_history
from snapshots.decision import ACCOUNT_FILES
from snapshots.drafts import is_draft
from snapshots.model import (
    Activation,
    Delta,
    DomainName,
    FileItem,
    Item,
    Key,
    Root,
    ValueItem,
)
from snapshots.programs import nothing
from snapshots.reached import Reached

ETC = "/etc"
STATES = "/var/lib/"
"""Where programs keep what they know: nobody writes there by hand."""
OF_UNITS = re.compile(r"/etc/(systemd/|init\.d/|rc[0-6S]\.d/).*")
"""Where systemd has its units; `systemctl` makes links there."""
ACCESS = re.compile(
    r"(sshd?|networking|systemd-networkd|systemd-resolved|NetworkManager|wpa_supplicant)\..+"
)
"""What lets people in: where it ran before, it runs again after a way back, whoever stopped it."""
TOLD: tuple[DomainName, ...] = ("files", "units", "kernel", "firewall")
"""The kinds of which it can be told whose a change is."""


class AtWork:
    """What of ours was at work, and may have changed more than what is named.

    `pulled`: units, to those and what systemd starts and stops with them.
    """

    def __init__(
        self,
        roots: Iterable[Root] = (),
        pulled: Callable[[Iterable[str]], set[str]] = set,
    ) -> None:
        self._pulled = pulled
        self.may_be_all = False
        """Packages came or went: what their scripts and daemons do can be told from nothing."""
        self.reach: Reached = {}
        """How far programs of ours reach beyond what is named."""
        self.units: set[str] = set()
        """Units that took the change, start or stop, and what systemd moves with them."""
        self.restarts = False
        """The change was just made, or failed: a daemon that stopped may have stopped of it."""
        self.homes: set[str] = set()
        """Directories of daemons that took the change: what is theirs they may write, too."""
        self.written: set[str] = set()
        """Files that programs of ours wrote without that a change names them."""
        self.may_have_written: Callable[[str], bool] = nothing
        """What one may have that was cut off, which nobody saw."""
        contents = (root.path for root in roots if root.content)
        self.places = (ETC, *(path for path in contents if not path.startswith(STATES)))
        """/etc and the trees with content: where it can be told whose a file is."""

    @contextmanager
    def noted(
        self, host: Host, may_be_ours: Callable[[str], bool] = lambda _: True
    ) -> Iterator[set[str]]:
        """What is written meanwhile and may be ours is; yields a set that holds it afterwards."""
        found: set[str] = set()
        before = self._changes(host)
        try:
            yield found
        finally:
            changed = {path for path, _ in before ^ self._changes(host)}
            found |= {path for path in changed if may_be_ours(path) and not is_of_history(path)}
            self.written |= found

    def _changes(self, host: Host) -> set[tuple[str, int]]:
        return {pair for place in self.places for pair in host.changes_below(place).items()}

    def take(self, activations: Iterable[Activation], units: Iterable[str] = ()) -> None:
        """Daemons take the change, or start."""
        activations, units = tuple(activations), tuple(units)
        self.homes |= programs.homes_of(activations, units)
        told = {one.unit for one in activations if one.unit}
        self.restarts |= bool(told)
        told |= {unit.rpartition(" ")[2] for unit in units}  # "masked X", of those that are
        self.units |= self._pulled(told) if told else set()
        self.reaches(reached.of_moved((*self.units, *units)))

    def reaches(self, more: Reached) -> None:
        """So far, too."""
        self.reach = reached.both(self.reach, more)

    def holds(self, path: str) -> bool:
        """Whether this lies where it can be told whose a change is."""
        return any(path == place or path.startswith(f"{place}/") for place in self.places)


class Others:
    """Asked which of what differs somebody else changed; `keys`: all that it said.

    `named` is what we change ourselves; so are directories above that came or went with it.
    """

    def __init__(self, named: Collection[Key], at_work: AtWork) -> None:
        self.keys: set[Key] = set()
        self.stopped: set[str] = set()
        """Units that stopped, nobody knows by whom, and are started again on a way back."""
        self.held: set[Key] = set()
        """Directories that were to go, and stay as long as something of others lies in them."""
        self.named = frozenset(named)
        self.at_work = at_work
        self._files = frozenset(key for domain, key in named if domain == "files")
        self._above = frozenset(above for path in self._files for above in _above(path))

    def among(self, deltas: Iterable[Delta]) -> set[Key]:
        """`before` of each is what it was or shall be, `after` what it is."""
        if self.at_work.may_be_all:
            return set()
        found = {(one.domain, one.key) for one in deltas if self._is_theirs(one)}
        self.keys |= found
        return found

    def staying(self, deltas: Iterable[Delta]) -> set[Key]:
        """As `among`, with the directories that could not go without what lies in them."""
        deltas = list(deltas)
        theirs = self.among(deltas)
        above = {path for domain, key in theirs if domain == "files" for path in _above(key)}
        held: set[Key] = {
            ("files", one.key)
            for one in deltas
            if one.domain == "files"
            and one.key in above
            and _is_directory(one.after)
            and one.before is None
        }
        self.held |= held
        return theirs | held

    def _is_theirs(self, delta: Delta) -> bool:
        """Only a program of ours that was at work can be the cause of what is not named."""
        key: Key = (delta.domain, delta.key)
        if delta.domain not in TOLD or key in self.named:
            return False
        if reached.reaches(self.at_work.reach, *key):
            return False
        if delta.domain == "files":
            return self._is_their_file(delta)
        if delta.domain == "units":
            unit = delta.key.rpartition(" ")[2]
            failed = delta.after == ValueItem("failed")
            stopped = self.at_work.restarts and delta.before is not None and delta.after is None
            locks_out = delta.before is not None and ACCESS.fullmatch(unit)
            if unit in self.at_work.units or failed:
                return False
            if stopped or locks_out:
                self.stopped.add(unit)
                return False
            return True
        return True

    def _is_their_file(self, delta: Delta) -> bool:
        path = delta.key
        return (
            self.at_work.holds(path)
            and not (path in self._above and _came_or_went(delta))
            and not is_draft(path)
            and path not in self.at_work.written
            and not self.at_work.may_have_written(path)
            and not path.startswith(tuple(self.at_work.homes))
        )


OfOthers = Callable[[Iterable[Delta]], set[Key]]
"""Which among these somebody else changed, as `Others.among`."""


def nobodys(_: Iterable[Delta]) -> set[Key]:
    """None."""
    return set()


def with_items_of(state: Captured, keys: Collection[Key], source: Captured) -> Captured:
    """A copy of `state` with these as they are in `source`."""
    if not keys:
        return state
    domains = {domain for domain, _ in keys}
    found: Captured = {
        domain: dict(items) if domain in domains else items for domain, items in state.items()
    }
    for domain, key in keys:
        item = source.get(domain, {}).get(key)
        if item is None:
            found.get(domain, {}).pop(key, None)
        else:
            found.setdefault(domain, {})[key] = item
    return found


def sentence(keys: Collection[Key], *, is_drift: bool = True) -> str:
    """What a person should know of them; empty for none.

    `is_drift`: there is a transaction that stands, since which `harden-tui drift` looks at /etc.
    """
    keys = {(domain, key) for domain, key in keys if not _is_copy(keys, domain, key)}
    if not keys:
        return ""
    first, *more = (name_of(*key) for key in sorted(keys, key=_order))
    and_more = f" and {len(more)} more were" if more else " was"
    files = sum(domain == "files" and key.startswith(f"{ETC}/") for domain, key in keys)
    shown = "it" if files == len(keys) else f"what lies in {ETC}"
    drift = f"; `harden-tui drift` shows {shown}" if files and is_drift else ""
    return (
        f"{first}{and_more} changed by something else meanwhile: that is no part of this,"
        f" and stays as it is{drift}."
    )


def started_again(units: Iterable[str]) -> str:
    """What a person should know of those that `stopped` meanwhile; empty for none."""
    names = sorted(units)
    were = "were" if len(names) > 1 else "was"
    return f"{', '.join(names)} had stopped meanwhile and {were} started again." if names else ""


def _is_copy(keys: Collection[Key], domain: DomainName, key: str) -> bool:
    """Whether it is what one of the lists of accounts among these was before its last change."""
    return key in ACCOUNT_FILES and key.endswith("-") and (domain, key[:-1]) in keys


def _order(key: Key) -> tuple[int, str]:
    return TOLD.index(key[0]), key[1]


def name_of(domain: DomainName, key: str) -> str:
    """As it begins a sentence."""
    what = {"units": "The unit ", "kernel": "The kernel's ", "firewall": "The packet filter's "}
    return f"{what.get(domain, '')}{visible(key)}"


def _came_or_went(delta: Delta) -> bool:
    """Whether a directory is there on one side only, and on the other nothing."""
    there = delta.after if delta.before is None else delta.before
    return (delta.before is None or delta.after is None) and _is_directory(there)


def _is_directory(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(2, len(parts))]
