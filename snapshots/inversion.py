"""What undoing one transaction means for everything it changed, and for those after it. Pure.

The idea: compute what the host and every later transaction would be if this one had never been.
Then any order of undoing ends at the same first state.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping

from snapshots import (
    directories,
    disputes,
    heirs,
    packaged,
    reach,
    soundness,
    together,
    witnesses,
)
from snapshots.captured import TOO_LARGE, Captured, loses_content, same
from snapshots.chains import is_chain, rules_of_others
from snapshots.decision import DERIVED, Clash, Decision, Kept, Later, name_of
from snapshots.goes_with import LOCKED, was_locked, what_goes_with
from snapshots.inverse import Contents, How, Inverse, read_hash
from snapshots.model import (
    EXISTS,
    Delta,
    DomainName,
    FileItem,
    Item,
    Key,
    Resolution,
    Resolutions,
    TransactionRecord,
    UndoHow,
)
from snapshots.unread import as_told, is_unread, same_content, seeing_content


class Inversion:
    """The whole undo as data; build it with `invert.invert`."""

    def __init__(
        self,
        record: TransactionRecord,
        later: list[Later],
        current: Captured,
        contents: Contents,
        kept: Kept,
        pristine: frozenset[str],
        packaged: frozenset[str],
        resolutions: Resolutions,
        unreachable: Mapping[str, str],
    ) -> None:
        self.record = record
        self.unreachable = unreachable
        """What cannot be reached now, by path, and why."""
        self.resolutions = resolutions
        self.decisions: list[Decision] = []
        self._clashed: list[Clash] = []
        self._damaged = ""
        """What of a content cannot be had, for the next thing that is decided."""
        self.free: set[str] = set()
        """Derived files that are left as package tools make them."""
        self.refresh: set[tuple[str, Key]] = set()
        """(id of a later transaction, what of it is known only afterwards): its `after`."""
        self.rebased: dict[str, dict[Key, Delta | None]] = {}
        self.moved: dict[str, dict[Key, Delta]] = {}
        """Of `rebased`: files that come or go, with both sides also where they are equal now."""
        self.foreseen: dict[str, dict[Key, Delta | None]] = {}
        """As `rebased`: what witnesses will tell, as far as is decided."""
        self.inhabited: dict[str, Item] = {}
        """Directories in which something comes back, by path, as they will stand."""
        self.hidden: dict[str, Later] = {}
        """What does not come back, by path, and who made its directory something else."""
        self.makes: set[str] = set()
        """Directories of ours, which were none before."""
        self.covers: set[str] = set()
        """What was a directory before ours, and something else after it."""
        self._paths: dict[str, list[str]] = {}
        """The files of which a later transaction tells, sorted, by its id."""
        self.besides: dict[str, str] = {}
        """Packages that apt brings with those that come back, and their versions."""
        self.contents = contents
        self.later, self.witnesses = witnesses.apart(later)
        self.everybody = sorted(later, key=lambda one: one.record.at_end)
        """Of later transactions, in the order in which they ended."""
        self.walks = witnesses.Walks(self.witnesses)
        self.current = current
        self._kept = kept
        self._pristine = pristine
        self._packaged = packaged
        self._last: tuple[Item | None, Item | None, Item | None, UndoHow | None]
        self._last = (None, None, None, None)
        """Before, after and now of a difference that nobody else touched, and what was decided."""

    def now(self, delta: Delta) -> Item | None:
        """What stands there at present."""
        return self.current.get(delta.domain, {}).get(delta.key)

    def decide(self, delta: Delta) -> None:
        now = self.now(delta)
        chain: list[Later] = []
        if self.later:
            key: Key = (delta.domain, delta.key)
            chain = [later for later in self.later if key in later.deltas]
        if self._kept.owner(delta):
            packaged.hand_over(self, delta, now, chain, self._kept)
        elif delta.domain == "files" and delta.key in self._kept.shared:
            packaged.left_to_alternatives(self, delta, chain)
        elif delta.domain == "files" and DERIVED.fullmatch(delta.key):
            packaged.made_anew(self, delta, now, chain)
        elif delta.key.startswith("mysql.") and not self.current.get("mariadb"):
            self.say(delta, "already", note=together.NOT_INSTALLED)
        elif (
            reach.is_kept_from_us(self, delta, now)
            or heirs.was_hidden(self, delta)
            or (directories.is_made(delta) and heirs.went_since(self, delta, now, chain))
            or (directories.is_made(delta) and heirs.was_filled(self, delta, now, chain))
        ):
            pass
        elif chain:
            self._among_others(delta, now, chain)
        elif decided := self._decided_before(delta, now):
            self.say(delta, decided, delta.before if decided == "restore" else None)
        elif same(now, delta.before):
            self._simply(delta, now, "already")
        elif claimer := self._claimer(delta, now):
            self.rebase(claimer, Delta(delta.domain, delta.key, delta.before, delta.after))
            self.walks.stop(delta, claimer.record.id)
            note = f"{name_of(claimer.record)} relies on it"
            self.say(delta, "handed-over", note=note, heirs=(claimer.record,))
        else:
            self._alone(delta, now)

    def _decided_before(self, delta: Delta, now: Item | None) -> UndoHow | None:
        """What was decided of the very same states: of a tree's 50,000 files in a row they are."""
        before, after, there, decided = self._last
        alike = delta.before is before and delta.after is after and now is there
        return decided if alike and not self.later else None

    def _simply(
        self, delta: Delta, now: Item | None, how: UndoHow, target: Item | None = None
    ) -> None:
        """Decide by the three states alone."""
        self._last = (delta.before, delta.after, now, how)
        self.say(delta, how, target)

    def _claimer(self, delta: Delta, now: Item | None) -> Later | None:
        """The first later transaction that found this as it wanted it, and relies on it."""
        if not self.later or not same(now, delta.after):
            return None
        keys = {(delta.domain, delta.key)}
        if delta.before is None:
            keys.add((delta.domain, f"{EXISTS}{delta.key}"))
        return next((one for one in self.later if keys & set(one.record.claims)), None)

    def _alone(self, delta: Delta, now: Item | None) -> None:
        """No later transaction touched it; somebody else may have."""
        target, how = Inverse(delta, self.contents).of(now)
        if how == "exact":
            self._simply(delta, now, "restore", target)
        elif delta.domain == "units":
            self.say(delta, "restore", delta.before)
        elif delta.domain == "packages":
            if how == "gone":
                self.say(delta, "already", note="somebody changed this package since; it stays")
            else:
                self.say(delta, "restore", target)
        elif delta.domain == "kernel":
            self.say(delta, "already", note="somebody set it anew since; it stays")
        elif now is None:
            self.say(delta, "already", note="somebody removed it since; it stays away")
        elif is_chain(delta):
            rest, is_sure = rules_of_others(delta.after, now)
            if not is_sure:
                self._in_conflict(delta, now)
            elif rest is None:
                self.say(delta, "restore", None)
            else:
                self.say(delta, "merge", rest, note="rules that others added since stay")
        elif delta.domain == "files" and delta.key in self._pristine:
            self.say(delta, "restore", delta.before)
        elif delta.before is None and delta.domain == "firewall":
            self.say(delta, "restore", None)
        elif delta.key in self._packaged and delta.before is None:
            self._in_conflict(delta, now, "its package goes, but somebody changed it since")
        elif how == "merged" and target is None and was_locked(delta.after, now):
            self._in_conflict(delta, now, LOCKED)
        elif how == "merged":
            self.say(delta, "merge", target)
        elif how == "gone" and isinstance(now, FileItem) and _kind(delta.after) == _kind(now):
            self.say(delta, "already", note="somebody changed it otherwise since; it stays")
        else:
            self._in_conflict(delta, now)

    def _in_conflict(self, delta: Delta, now: Item | None, note: str = "") -> None:
        """No later transaction touched it, and what stands now holds two changes of one place."""
        settled = self._settle(delta, delta, now, note)
        if settled is not None:
            self._stands(delta, now, settled.item, settled.note)

    def _settle(
        self,
        delta: Delta,
        out: Delta,
        x: Item | None,
        note: str = "",
        by: TransactionRecord | None = None,
    ) -> disputes.Settled | None:
        """What takes the place of `x` as chosen, or `None` after saying that it is a conflict.

        `out` is the difference that cannot be taken out of `x`, which `by` found.
        """
        self._clashed.append(Clash(out.after, x, by))
        read = [one for one in (out.after, x) if read_hash(one)]
        self._damaged = self.contents.lacks(delta.key, out.before, *read)
        choice = self.resolutions.of(delta.key, named=bool(self._damaged))
        cannot: dict[Resolution, str] = {}
        if choice in (None, "merge") and (why := disputes.why_no_merge(out, x, self.contents)):
            cannot["merge"] = why
        why = disputes.why_no_restore(out, x) or self.contents.lacks(delta.key, out.before)
        if choice in (None, "restore") and why:
            cannot["restore"] = why
        elif choice is None and loses_content(x, out.before):
            cannot["restore"] = f"it is {TOO_LARGE} now; move it away first"
        if choice is None or cannot:
            self.say(delta, "conflict", note=note)
            self.decisions[-1].cannot = cannot
            return None
        return disputes.settle(choice, out, x, self.contents, by)

    def clash(self, clash: Clash) -> None:
        """Two changes of one place, for the next thing that is decided."""
        self._clashed.append(clash)

    def _stands(self, delta: Delta, now: Item | None, target: Item | None, note: str) -> None:
        """A person chose what stands at the end."""
        if same(now, target):
            self.say(delta, "kept", note=note)
        else:
            restored = self.resolutions.of(delta.key) == "restore"
            self.say(delta, "restore" if restored else "merge", target, note)

    def _among_others(self, delta: Delta, now: Item | None, chain: list[Later]) -> None:
        """Later transactions changed it too: what would they have found and left without us?"""
        key: Key = (delta.domain, delta.key)
        if self._relied_on(delta, chain[0]):
            self._leave_to(delta, chain[0])
            return
        # What is to be taken out, as the states on the way hold it: what somebody changed again in
        # between is none of ours any more, even where a later transaction made it equal to ours.
        out = delta
        chosen = ""  # what a person should know of a conflict on the way
        for later in chain:
            told = later.deltas[key]
            theirs = seeing_content(told, out.after)
            out = seeing_content(out, theirs.before)  # it may have read what ours only sealed
            name = name_of(later.record)
            before, how = Inverse(out, self.contents).of(theirs.before)
            if _clashes(out, theirs.before, how):
                note = f"somebody changed it before {name} changed it too"
                settled = self._settle(delta, out, theirs.before, note, later.record)
                if settled is None:
                    return
                before, chosen = settled.item, settled.note
                if same(before, theirs.before):  # we let go: all that came after stays as it is
                    self.walks.passed(later, Delta(*key, before, before), None)
                    self._stands(delta, now, now, chosen)
                    return
            elif how == "gone":
                note = f"somebody changed it otherwise before {name} did; it stays"
                if theirs.before is None:  # in a package's directory, or made anew
                    note = f"{name} made it; it stays"
                self.walks.passed(later, Delta(*key, before, before), None)
                self.say(delta, "already", note=note)
                return
            # The same step applied once more wants all of it, not only what it added then.
            merging = not set(later.record.steps) & set(self.record.steps)
            found = out = Delta(*key, before, theirs.before)
            after, how = Inverse(out, self.contents, merging=merging).of(theirs.after)
            if how in ("failed", "gone"):
                if is_unread(told.after) and not same_content(before, theirs.after):
                    self._cannot_inherit(delta, now, later, theirs)
                    return
                self.rebase(later, as_told(told, before, theirs.after))
                self.walks.passed(later, found, None)
                note = f"{name} needs it as it is" + (f"; {chosen}" if chosen else "")
                self.say(delta, "handed-over", note=note, heirs=(later.record,))
                return
            self.rebase(later, as_told(told, before, after))
            out = Delta(*key, after, theirs.after)
            self.walks.passed(later, found, out)
        target, how = Inverse(out, self.contents).of(now)
        target = as_told(Delta(*key, None, now), None, target).after  # ours does not read it
        if _clashes(out, now, how):
            settled = self._settle(delta, out, now)
            if settled is not None:
                self._stands(delta, now, settled.item, settled.note)
        elif chosen:
            self._stands(delta, now, target, chosen)
        elif same(now, target):
            self.say(delta, "already")
        else:
            self.say(delta, "restore" if same(now, delta.after) else "merge", target)

    def _cannot_inherit(self, delta: Delta, now: Item | None, heir: Later, theirs: Delta) -> None:
        """It would have to give back a content or take one away, and never read any."""
        self._clashed.append(Clash(theirs.before, theirs.after, heir.record))
        if self.resolutions.of(delta.key) == "keep-current":
            untouched = Delta(delta.domain, delta.key, theirs.before, theirs.before)
            self.walks.passed(heir, untouched, None)
            self._stands(delta, now, now, disputes.KEPT)
            return
        self.say(delta, "conflict")
        name = name_of(heir.record)
        why = f"{name} only changed its mode or owner, not its content; undo {name} first"
        self.decisions[-1].cannot = {"restore": why, "merge": why}

    def _relied_on(self, delta: Delta, later: Later) -> bool:
        """Whether the next changer found it as we left it, and claims all of it besides."""
        key: Key = (delta.domain, delta.key)
        mergeable = delta.domain in ("files", "firewall")  # elsewhere its change is all there is
        found = later.deltas[key].before
        return mergeable and key in later.record.claims and same(found, delta.after)

    def _leave_to(self, delta: Delta, heir: Later) -> None:
        """Its next changer relies on all that was there, and takes it back with its own change."""
        theirs = heir.deltas[delta.domain, delta.key]
        self.rebase(heir, Delta(delta.domain, delta.key, delta.before, theirs.after))
        self.walks.passed(heir, delta, None)
        note = f"{name_of(heir.record)} relies on it"
        self.say(delta, "handed-over", note=note, heirs=(heir.record,))

    def say(
        self,
        delta: Delta,
        how: UndoHow,
        target: Item | None = None,
        note: str = "",
        heirs: tuple[TransactionRecord, ...] = (),
    ) -> None:
        """Decide for one thing."""
        if how == "merge" and target is None and delta.domain == "files":
            how, note = "restore", what_goes_with(delta.after, self.now(delta)) or note
        stands = read_hash(target) != "" and read_hash(target) == read_hash(self.now(delta))
        needs = how in ("restore", "merge") and not stands
        if needs and (lacking := self.contents.lacks(delta.key, target)):
            self._without_content(delta, lacking)
            return
        decision = Decision(delta, how, target, note, heirs, tuple(self._clashed))
        decision.damaged = self._damaged
        if self._clashed and how != "conflict":
            decision.chosen = self.resolutions.of(delta.key) or ""
        self._damaged = ""
        self._clashed.clear()
        self.decisions.append(decision)

    def _without_content(self, delta: Delta, lacking: str) -> None:
        """The content that it would come back with is damaged: it stays, if a person says so."""
        self._damaged = lacking
        self._clashed = self._clashed or [Clash(delta.after, self.now(delta))]
        if self.resolutions.of(delta.key, named=True) == "keep-current":
            self.say(delta, "kept", note=disputes.KEPT)
            return
        self.say(delta, "conflict")
        self.decisions[-1].cannot = {"restore": lacking, "merge": lacking}

    def rebase(self, later: Later, delta: Delta, *, keep: bool = False) -> None:
        """Change what a later transaction did to one thing; none at all is dropped."""
        key: Key = (delta.domain, delta.key)
        moved = self.moved.setdefault(later.record.id, {})
        if soundness.moves(later.deltas.get(key), delta):
            moved[key] = delta
        else:
            moved.pop(key, None)
        if key not in later.deltas:
            self._paths.pop(later.record.id, None)
        drop = same(delta.before, delta.after) and not keep
        self.rebased.setdefault(later.record.id, {})[key] = None if drop else delta

    def comes_with_package(self, path: str) -> bool:
        """Whether this is a configuration file of a package that goes."""
        return path in self._packaged

    def tells(self, later: Later, key: Key) -> Delta | None:
        """One of `theirs`."""
        tx_id = later.record.id
        for told in (self.rebased.get(tx_id, {}), self.foreseen.get(tx_id, {})):
            if key in told:
                return told[key]
        return later.deltas.get(key)

    def below(self, later: Later, domain: DomainName, inside: str) -> Iterator[Delta]:
        """Of `theirs`: what has a key that begins so. Of 50,000 files few are looked at."""
        if domain != "files":
            for key, theirs in self.theirs(later).items():
                if theirs is not None and key[0] == domain and key[1].startswith(inside):
                    yield theirs
            return
        paths = self._paths.get(later.record.id)
        if paths is None:
            paths = sorted(key[1] for key in self.theirs(later) if key[0] == "files")
            self._paths[later.record.id] = paths
        for at in range(bisect.bisect_left(paths, inside), len(paths)):
            if not paths[at].startswith(inside):
                break
            if theirs := self.tells(later, ("files", paths[at])):
                yield theirs

    def theirs(self, later: Later) -> dict[Key, Delta | None]:
        """What a later transaction did, as far as is decided (`None`: nothing any more)."""
        tx_id = later.record.id
        return {**later.deltas, **self.foreseen.get(tx_id, {}), **self.rebased.get(tx_id, {})}

    def deltas_of(self, later: Later, now: Captured | None = None) -> list[Delta]:
        """The differences of a later transaction as they are after the undo."""
        merged = self.theirs(later)
        for tx_id, key in self.refresh:
            mine = merged.get(key)
            if tx_id == later.record.id and mine is not None and now is not None:
                item = now.get(key[0], {}).get(key[1])
                changed = not same(mine.before, item)
                merged[key] = Delta(key[0], key[1], mine.before, item) if changed else None
        return [delta for key in sorted(merged) if (delta := merged[key]) is not None]

    @property
    def conflicts(self) -> list[str]:
        """What would have to be overwritten and nobody chose anything for, by key."""
        return [one.delta.key for one in self.decisions if one.how == "conflict"]

    @property
    def chosen(self) -> dict[str, Resolution]:
        """What a person chose for the things that were in conflict, by key."""
        return {one.delta.key: one.chosen for one in self.decisions if one.chosen}

    @property
    def touched(self) -> set[str]:
        """The later transactions whose differences change."""
        return set(self.rebased) | {tx_id for tx_id, _ in self.refresh}

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


def _clashes(delta: Delta, x: Item | None, how: How) -> bool:
    """Whether somebody made something else of it, from which the difference cannot be told."""
    if how == "gone" and isinstance(x, FileItem):
        return _kind(delta.after) != _kind(x) and not same(x, delta.before)
    return how == "failed"


def _kind(item: Item | None) -> str:
    return item.state.kind if isinstance(item, FileItem) else ""
