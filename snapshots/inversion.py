"""What undoing one transaction means for everything it changed, and for those after it. Pure.

The idea: compute what the host and every later transaction would be if this one had never been.
Then any order of undoing ends at the same first state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from snapshots import remains
from snapshots.captured import Captured, same
from snapshots.inverse import Contents, Inverse
from snapshots.model import Delta, DomainName, FileItem, Item, TransactionRecord

Key = tuple[DomainName, str]

DERIVED = re.compile(
    r"/etc/(ld\.so\.cache|mailcap|inetd\.conf\.bak"
    r"|(passwd|group|shadow|gshadow|subuid|subgid)-"
    r"|init\.d/\.depend\.(boot|start|stop)"
    r"|(aliases|postfix/.*)\.db|udev/hwdb\.bin|\.updated|ssl/certs/ca-certificates\.crt)"
)
"""Files that package tools make anew from others whenever packages come or go."""

ACCOUNT_FILES = frozenset(
    f"/etc/{name}{suffix}"
    for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
    for suffix in ("", "-")
)


class Later(msgspec.Struct):
    """A transaction that came after the one to undo and still stands."""

    record: TransactionRecord
    deltas: dict[Key, Delta]


class Kept(msgspec.Struct, frozen=True):
    """What must stay because packages stay.

    `packages`: name -> the package that needs it. `files` and `units`: key -> package they belong
    to. `heirs`: package -> id of the later transaction that inherits it ("" where none does).
    """

    packages: dict[str, str] = {}
    files: dict[str, str] = {}
    units: dict[str, str] = {}
    heirs: dict[str, str] = {}

    def owner(self, delta: Delta) -> str:
        """The staying package this belongs to, or ""."""
        match delta.domain:
            case "packages":
                return delta.key if delta.key in self.packages else ""
            case "files":
                return self.files.get(delta.key, "")
            case "units":
                return self.units.get(delta.key, "")
            case _:
                return ""


class Decision(msgspec.Struct, gc=False):
    """What happens to one thing. `target` counts only where `how` is restore or merge."""

    delta: Delta
    how: str
    target: Item | None = None
    note: str = ""

    @property
    def changes(self) -> bool:
        return self.how in ("restore", "merge")


class Inversion:
    """The whole undo as data; build it with `invert`."""

    def __init__(
        self,
        record: TransactionRecord,
        later: list[Later],
        current: Captured,
        contents: Contents,
        kept: Kept,
        pristine: frozenset[str],
        packaged: frozenset[str],
    ) -> None:
        self.record = record
        self.decisions: list[Decision] = []
        self.free: set[str] = set()
        """Derived files that are left as package tools make them."""
        self.refresh: dict[Key, str] = {}
        """What is known only afterwards -> the later transaction whose `after` it becomes."""
        self.rebased: dict[str, dict[Key, Delta | None]] = {}
        self.contents = contents
        self.later = later
        self.current = current
        self._kept = kept
        self._pristine = pristine
        self._packaged = packaged

    def now(self, delta: Delta) -> Item | None:
        """What stands there at present."""
        return self.current.get(delta.domain, {}).get(delta.key)

    def decide(self, delta: Delta) -> None:
        key: Key = (delta.domain, delta.key)
        now = self.now(delta)
        chain = [later for later in self.later if key in later.deltas] if self.later else []
        owner = self._kept.owner(delta)
        if owner:
            self._hand_over_package(delta, now, chain, owner)
        elif delta.domain == "files" and DERIVED.fullmatch(delta.key):
            self._derived(delta, now, chain)
        elif chain:
            self._among_others(delta, now, chain)
        elif same(now, delta.before):
            self.say(delta, "already")
        elif claimer := self._claimer(delta, now):
            self.rebase(claimer, Delta(delta.domain, delta.key, delta.before, delta.after))
            self.say(delta, "handed-over", note=f"{_name(claimer.record)} relies on it")
        else:
            self._alone(delta, now)

    def _claimer(self, delta: Delta, now: Item | None) -> Later | None:
        """The first later transaction that found this as it wanted it, and relies on it."""
        if not self.later or not same(now, delta.after):
            return None
        key: Key = (delta.domain, delta.key)
        return next((later for later in self.later if key in later.record.claims), None)

    def _alone(self, delta: Delta, now: Item | None) -> None:
        """No later transaction touched it; somebody else may have."""
        target, how = Inverse(delta, self.contents).of(now)
        if how == "exact":
            self.say(delta, "restore", target)
        elif delta.domain == "units":
            self.say(delta, "restore", delta.before)
        elif delta.domain == "packages":
            if how == "gone":
                self.say(delta, "already", note="somebody changed this package since; it stays")
            else:
                self.say(delta, "restore", target)
        elif delta.domain == "kernel":
            self.say(delta, "already", note="somebody set it anew since; it stays")
        elif delta.domain == "firewall" and delta.before is None:
            self.say(delta, "restore", None)
        elif now is None:
            self.say(delta, "already", note="somebody removed it since; it stays away")
        elif delta.key in self._pristine and delta.before is None:
            self.say(delta, "restore", None)
        elif delta.key in self._packaged and delta.before is None:
            self.say(delta, "conflict")
        elif how == "merged":
            self.say(delta, "merge", target)
        elif how == "gone" and isinstance(now, FileItem) and _kind(delta.after) == _kind(now):
            self.say(delta, "already", note="somebody changed it back since")
        else:
            self.say(delta, "conflict")

    def _among_others(self, delta: Delta, now: Item | None, chain: list[Later]) -> None:
        """Later transactions changed it too: what would they have found and left without us?"""
        key: Key = (delta.domain, delta.key)
        for later in chain:
            theirs = later.deltas[key]
            before, how = Inverse(delta, self.contents).of(theirs.before)
            if how == "failed":
                self.say(delta, "conflict")
                return
            if how == "gone":
                self.say(delta, "already", note="it was changed back before a later change")
                return
            # The same step applied once more wants all of it, not only what it added then.
            merging = not set(later.record.steps) & set(self.record.steps)
            after, how = Inverse(delta, self.contents, merging=merging).of(theirs.after)
            if how in ("failed", "gone"):
                self.rebase(later, Delta(delta.domain, delta.key, before, theirs.after))
                self.say(delta, "handed-over", note=f"{_name(later.record)} needs it as it is")
                return
            self.rebase(later, Delta(delta.domain, delta.key, before, after))
        target, how = Inverse(delta, self.contents).of(now)
        if same(now, target):
            self.say(delta, "already")
        elif how == "failed":
            self.say(delta, "conflict")
        else:
            self.say(delta, "restore" if how == "exact" else "merge", target)

    def _derived(self, delta: Delta, now: Item | None, chain: list[Later]) -> None:
        if chain:
            first, last = chain[0], chain[-1]
            theirs = self._latest(first, ("files", delta.key))
            if theirs is not None:
                self.rebase(first, Delta("files", delta.key, delta.before, theirs.after), keep=True)
            self.refresh["files", delta.key] = last.record.id
            self.free.add(delta.key)
            self.say(delta, "regenerated")
        elif same(now, delta.after):
            self.say(delta, "restore", delta.before)
        elif same(now, delta.before):
            self.say(delta, "already")
        else:
            self.free.add(delta.key)
            self.say(delta, "regenerated")

    def _hand_over_package(
        self, delta: Delta, now: Item | None, chain: list[Later], owner: str
    ) -> None:
        needer = self._kept.packages.get(owner, owner)
        heir_id = self._kept.heirs.get(owner, "")
        if not heir_id:
            self.say(delta, "handed-over", note=f"kept: needed by {needer}")
            return
        heir = next(later for later in self.later if later.record.id == heir_id)
        first = chain[0] if chain else None
        if first is None or first.record.id > heir_id:
            self.rebase(
                heir, Delta(delta.domain, delta.key, delta.before, delta.after if first else now)
            )
        else:
            theirs = first.deltas[delta.domain, delta.key]
            self.rebase(first, Delta(delta.domain, delta.key, delta.before, theirs.after))
        self.say(delta, "handed-over", note=f"kept: needed by {needer} ({_name(heir.record)})")

    def say(self, delta: Delta, how: str, target: Item | None = None, note: str = "") -> None:
        """Decide for one thing."""
        self.decisions.append(Decision(delta, how, target, note))

    def rebase(self, later: Later, delta: Delta, *, keep: bool = False) -> None:
        """Change what a later transaction did to one thing; none at all is dropped."""
        key: Key = (delta.domain, delta.key)
        drop = same(delta.before, delta.after) and not keep
        self.rebased.setdefault(later.record.id, {})[key] = None if drop else delta

    def theirs(self, later: Later) -> dict[Key, Delta | None]:
        """What a later transaction did, as far as is decided (`None`: nothing any more)."""
        return {**later.deltas, **self.rebased.get(later.record.id, {})}

    def _latest(self, later: Later, key: Key) -> Delta | None:
        return self.theirs(later).get(key)

    def deltas_of(self, later: Later, now: Captured | None = None) -> list[Delta]:
        """The differences of a later transaction as they are after the undo."""
        merged = self.theirs(later)
        for key, heir in self.refresh.items():
            mine = merged.get(key)
            if heir == later.record.id and mine is not None and now is not None:
                item = now.get(key[0], {}).get(key[1])
                changed = not same(mine.before, item)
                merged[key] = Delta(key[0], key[1], mine.before, item) if changed else None
        return [merged[key] for key in sorted(merged) if merged[key] is not None]  # type: ignore[misc]

    @property
    def conflicts(self) -> list[str]:
        """What would have to be overwritten, by key."""
        return [one.delta.key for one in self.decisions if one.how == "conflict"]

    @property
    def touched(self) -> set[str]:
        """The later transactions whose differences change."""
        return set(self.rebased) | set(self.refresh.values())

    def let_go(self) -> None:
        """Forget the decisions once a target was made of them: they take 6 MB for 50,000 files."""
        self.decisions.clear()

    def target(self, *domains: DomainName) -> Captured:
        """The state the host shall have: all of it, or these kinds."""
        result: Captured = {
            domain: dict(items)
            for domain, items in self.current.items()
            if not domains or domain in domains
        }
        for decision in self.decisions:
            if decision.changes and (not domains or decision.delta.domain in domains):
                items = result.setdefault(decision.delta.domain, {})
                if decision.target is None:
                    items.pop(decision.delta.key, None)
                else:
                    items[decision.delta.key] = decision.target
        return result


def invert(
    record: TransactionRecord,
    deltas: Iterable[Delta],
    later: list[Later],
    current: Captured,
    contents: Contents,
    *,
    kept: Kept,
    pristine: Iterable[str] = (),
    packaged: Iterable[str] = (),
) -> Inversion:
    """Decide for every difference of `record`.

    `current` is the host now. `pristine`: configuration files of packages that go, as packaged;
    `packaged`: all of those packages' configuration files.
    """
    inversion = Inversion(
        record, later, current, contents, kept, frozenset(pristine), frozenset(packaged)
    )
    for delta in deltas:
        inversion.decide(delta)
    remains.settle_directories(inversion)
    remains.settle_tables(inversion)
    return inversion


def _kind(item: Item | None) -> str:
    return item.state.kind if isinstance(item, FileItem) else ""


def _name(record: TransactionRecord) -> str:
    return ", ".join(record.steps) or record.title or record.id


def by_key(deltas: Iterable[Delta]) -> dict[Key, Delta]:
    return {(delta.domain, delta.key): delta for delta in deltas}
