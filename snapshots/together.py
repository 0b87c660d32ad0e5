"""What is undone together or not at all: the rows of an account, and a password's places. Pure.

An account of MariaDB is a row of its own and the rows of its grants; a rename is an account that
goes and one that comes. A password that an application logs in with stands in the account, in the
application's file and in its tables. Each of these is a unit: an undo takes back all of it, leaves
all of it, or leaves it to one later step. One half of a unit lets nobody in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from snapshots import disputes, heirs
from snapshots.account_rows import Name, account_of, is_account, moved_row, named, without_name
from snapshots.decision import Clash, Decision, Later, name_of
from snapshots.mariadb_cells import secrets_of
from snapshots.model import Delta, FileItem, Item, Key, Resolution, Resolutions, ValueItem
from snapshots.secret_paths import PREFIX

if TYPE_CHECKING:
    from snapshots.inversion import Inversion

NOT_INSTALLED = "MariaDB is not installed any more; its accounts do not come back"
ROWS = "a row of a table has no lines to merge"


class Unit(msgspec.Struct):
    """Differences that count only together.

    `accounts`: whose rows are among them. `moved`: who was renamed, as the step left it -> as it
    was before. Rows that others made since, key -> row: `given` to accounts that the step made, and
    `anew` with accounts that it dropped.
    """

    deltas: list[Delta]
    accounts: set[Name]
    moved: dict[Name, Name]
    given: dict[str, Item] = {}
    anew: dict[str, Item] = {}

    @property
    def keys(self) -> list[str]:
        return [*(delta.key for delta in self.deltas), *self.given]


def units(deltas: Iterable[Delta], now: Mapping[str, Item]) -> list[Unit]:
    """The units among the differences of one transaction; `now`: MariaDB's rows at present."""
    places: list[Delta] = []
    owned: dict[Name, list[Delta]] = {}
    for delta in deltas:
        name = account_of(delta.key) if delta.domain == "mariadb" else None
        if name is not None:
            owned.setdefault(name, []).append(delta)
        elif _is_secret(delta):
            places.append(delta)
    rows = {n: one for n, mine in owned.items() for one in mine if is_account(one.key)}
    groups = {name: {name} for name in owned}
    moved: dict[Name, Name] = {}
    for name, row in rows.items():
        if row.before is None:
            before = _before_rename(name, row, rows)
            for other in before:
                _join(groups, name, other)
            if len(before) == 1:
                moved[name] = before[0]
    altered = [name for name, row in rows.items() if None not in (row.before, row.after)]
    for name in altered[1:] if places else ():
        _join(groups, altered[0], name)
    found = []
    for names in {id(group): group for group in groups.values()}.values():
        mine = [one for name in sorted(names) for one in owned[name]]
        if places and altered and altered[0] in names:
            mine += places
        known = {one.key for one in mine}
        made = {name for name in names if name in rows and rows[name].before is None}
        dropped = {name for name in names if name in rows and rows[name].after is None}
        since = {k: row for k, row in now.items() if k not in known}
        given = {k: row for k, row in since.items() if account_of(k) in made}
        anew = {k: row for k, row in since.items() if account_of(k) in dropped}
        found.append(Unit(mine, names, {a: b for a, b in moved.items() if a in names}, given, anew))
    return found


def shared(resolutions: Resolutions, found: Iterable[Unit]) -> Resolutions:
    """What was chosen for one thing counts for all of its unit that nothing was chosen for."""
    single = dict(resolutions.single)
    for unit in found:
        chosen = {single[key] for key in unit.keys if key in single}
        if len(chosen) == 1:
            single |= dict.fromkeys(unit.keys, *chosen)
    return msgspec.structs.replace(resolutions, single=single)


def settle(
    inversion: Inversion, found: Sequence[Unit], former: Callable[[], Mapping[str, Item]]
) -> None:
    """Make of what was decided for each thing one decision for each unit.

    `former` gives MariaDB's rows as they were before the transaction.
    """
    if not found:
        return
    decided = {(one.delta.domain, one.delta.key): one for one in inversion.decisions}
    for unit in found:
        keys: list[Key] = [(delta.domain, delta.key) for delta in unit.deltas]
        _Settling(inversion, unit, [decided[key] for key in keys if key in decided]).settle()
    _without_owner(inversion, former)


def _without_owner(inversion: Inversion, former: Callable[[], Mapping[str, Item]]) -> None:
    """No grant comes back to an account that it belonged to and that is there no more."""
    coming = [
        (one, name)
        for one in inversion.decisions
        if one.delta.domain == "mariadb" and one.changes and one.target is not None
        if (name := account_of(one.delta.key)) is not None
    ]
    if not coming:
        return
    stands = {account_of(key) for key in inversion.target("mariadb")["mariadb"] if is_account(key)}
    orphans = [(one, name) for one, name in coming if name not in stands]
    if not orphans:
        return
    known = {*former(), *(one.delta.key for one in inversion.decisions)}
    there_were = {account_of(key) for key in known if is_account(key)}
    for one, name in orphans:
        if name in there_were:
            one.how, one.target = "already", None
            one.note = f"somebody removed {name} since; its grants stay away"


class _Settling:
    """One unit, of which each part is decided by itself."""

    def __init__(self, inversion: Inversion, unit: Unit, parts: list[Decision]) -> None:
        self._inversion = inversion
        self._unit = unit
        self._parts = parts

    def settle(self) -> None:
        if not self._moving:
            return
        if self._is_in_conflict() or self._is_kept() or self._is_left_alone():
            return
        heir = self._heir()
        if heir is not None:
            self._leave_to(heir)
        elif not self._was_taken():
            self._mind_given()

    @property
    def _moving(self) -> list[Decision]:
        """What changes, or goes to a later step."""
        return [one for one in self._parts if one.changes or one.heirs]

    @property
    def _changing(self) -> list[Decision]:
        return [one for one in self._parts if one.changes]

    def _is_in_conflict(self) -> bool:
        """Whether a choice is missing, or one part was chosen to stay and another to go."""
        disputed = [one for one in self._parts if one.disputed]
        stays = [one for one in disputed if one.chosen == "keep-current"]
        goes = [one for one in disputed if one.chosen not in ("keep-current", "")]
        if stays and goes:
            for one, other in ((goes[0], stays[0]), (stays[0], goes[0])):
                why = f"it belongs to {other.delta.key}, for which --{other.chosen} is chosen"
                one.cannot = {**one.cannot, _choice(one): f"{why}; one way counts for both"}
            for one in disputed:
                one.how, one.chosen, one.target = "conflict", "", None
        waiting = next((one for one in self._parts if one.how == "conflict"), None)
        if waiting is None:
            return False
        for one in self._changing:
            one.note = f"belongs to {waiting.delta.key}; what is chosen there counts here too"
        return True

    def _is_kept(self) -> bool:
        kept = next((one for one in self._parts if one.chosen == "keep-current"), None)
        if kept is not None:
            self._keep(kept)
        return kept is not None

    def _keep(self, kept: Decision) -> None:
        for one in self._moving:
            self._let_go(one)
            one.how, one.target = "kept", None
            one.note = f"stays with {kept.delta.key}, as you chose"

    def _let_go(self, one: Decision) -> None:
        """Nothing is taken out of it, nor out of what later transactions tell of it."""
        key: Key = (one.delta.domain, one.delta.key)
        for later in self._inversion.everybody:
            self._inversion.rebased.get(later.record.id, {}).pop(key, None)
            self._inversion.moved.get(later.record.id, {}).pop(key, None)
        self._inversion.walks.stop(one.delta)
        one.heirs = ()

    def _is_left_alone(self) -> bool:
        """Whether somebody decided otherwise over a part of it, and so over all."""
        alone = next((one for one in self._parts if one.how == "already" and one.note), None)
        if alone is not None:
            self._leave_alone(f"belongs to {alone.delta.key}: {alone.note}")
        return alone is not None

    def _leave_alone(self, note: str) -> None:
        for one in self._moving:
            self._let_go(one)
            one.how, one.target, one.note = "already", None, note

    def _heir(self) -> Later | None:
        """The first later step that a part goes to, or that changed these accounts otherwise."""
        ids = {heir.id for one in self._parts for heir in one.heirs}
        for later in self._inversion.later:
            others = (account_of(key) for domain, key in later.deltas if domain == "mariadb")
            if later.record.id in ids or not self._unit.accounts.isdisjoint(others):
                return later
        return None

    def _leave_to(self, heir: Later) -> None:
        name = name_of(heir.record)
        if not all(_sees(heir, one.delta) for one in self._changing):
            theirs = [one for one in self._parts if one.heirs] or self._changing
            for one in theirs:
                self._let_go(one)
            why = f"{name} changed a part of it since; undo {name} first"
            note = f"{name} changed a part of what belongs together"
            self._dispute(theirs, note, {"restore": why, "merge": why})
            return
        for one in self._changing:
            now = self._inversion.now(one.delta)
            heirs.inherit(self._inversion, heir, one.delta, now)
            self._inversion.walks.stop(one.delta, heir.record.id)
            one.how, one.target, one.heirs = "handed-over", None, (heir.record,)
            one.note = f"{name} needs it as it is"

    def _was_taken(self) -> bool:
        """Whether the account, or a grant, that the step left is gone since."""
        left = [one for one in self._parts if one.delta.before is None and one.delta.after]
        taken = [one for one in left if self._inversion.now(one.delta) is None]
        if not taken or not self._changing or any(one.chosen for one in self._parts):
            return False
        gone = [named(one.delta.key) for one in taken if is_account(one.delta.key)]
        if gone and len(taken) == len(left):
            self._leave_alone(f"somebody removed {' and '.join(gone)} since; it stays away")
            return True
        return self._dispute(taken, "somebody took it away since")

    def _mind_given(self) -> None:
        """What others gave since to an account that goes: it goes with it, moves, or is asked."""
        given = self._unit.given
        settled = any(one.chosen == "restore" for one in self._parts)
        if settled and self._changing:
            for key, row in {**given, **self._unit.anew}.items():
                self._say(Delta("mariadb", key, None, row), None, disputes.GIVEN_UP + "this undo")
            return
        if not given or not self._changing:
            return
        made = [
            Decision(Delta("mariadb", key, None, None), "already", clashes=(Clash(None, row),))
            for key, row in given.items()
        ]
        moves = self._moves()
        if moves:
            for key, (other, row) in moves.items():
                note = f"goes to {named(other)}, which comes back"
                self._say(Delta("mariadb", key, None, given[key]), None, note)
                self._say(Delta("mariadb", other, row, None), row, f"from {named(key)}")
            return
        self._inversion.decisions += made
        self._parts += made
        if self._dispute(made, "somebody gave it since to an account that goes"):
            return
        for one in made:
            one.how = "restore"
            one.delta = Delta("mariadb", one.delta.key, None, given[one.delta.key])

    def _say(self, delta: Delta, target: Item | None, note: str) -> None:
        self._inversion.decisions.append(Decision(delta, "merge", target, note))

    def _moves(self) -> dict[str, tuple[str, Item]]:
        """Key -> (key, row) under the name that comes back; none where one has no place there."""
        current = self._inversion.current.get("mariadb", {})
        taken = {*self._unit.keys, *current}
        found: dict[str, tuple[str, Item]] = {}
        for key, row in self._unit.given.items():
            name = account_of(key)
            back = self._unit.moved.get(name) if name is not None else None
            moved = moved_row(key, row, back) if back is not None else None
            if moved is None or moved[0] in taken:
                return {}
            found[key] = moved
        return found

    def _dispute(
        self,
        parts: Sequence[Decision],
        note: str,
        cannot: Mapping[Resolution, str] = {"merge": ROWS},
    ) -> bool:
        """Ask about these, or do with all of the unit as was chosen; whether all is said then."""
        choices = {self._inversion.resolutions.of(one.delta.key) for one in parts}
        choice = choices.pop() if len(choices) == 1 else None
        for one in parts:
            if not one.clashes:
                one.clashes = (Clash(one.delta.after, self._inversion.now(one.delta)),)
            if choice is None or choice in cannot:
                one.how, one.target, one.note, one.cannot = "conflict", None, note, dict(cannot)
            elif choice == "keep-current":
                one.how, one.target, one.note, one.chosen = "kept", None, disputes.KEPT, choice
            else:
                one.note, one.chosen = disputes.GIVEN_UP + "this undo", choice
        if choice is None or choice in cannot:
            return self._is_in_conflict()
        return choice == "keep-current" and self._is_kept()


def _choice(one: Decision) -> Resolution:
    assert one.chosen
    return one.chosen


def _is_secret(delta: Delta) -> bool:
    """Whether a secret was replaced by another: in a file, or in an application's table."""
    before, after = delta.before, delta.after
    if isinstance(before, FileItem) and isinstance(after, FileItem):
        old, new = before.state.sha256, after.state.sha256
        return old != new and old.startswith(PREFIX) and new.startswith(PREFIX)
    if isinstance(before, ValueItem) and isinstance(after, ValueItem):
        return delta.domain == "mariadb" and bool(secrets_of(after.value))
    return False


def _before_rename(name: Name, row: Delta, rows: Mapping[Name, Delta]) -> list[Name]:
    """Who went when this account came: with the same way in, or else of the same user."""
    went = {other: one.before for other, one in rows.items() if one.after is None}
    what = without_name(row.after)
    alike = [other for other, item in went.items() if without_name(item) == what]
    return [one for one in alike if one.user == name.user] or alike or [
        other for other in went if other.user == name.user
    ]  # fmt: skip


def _join(groups: dict[Name, set[Name]], one: Name, other: Name) -> None:
    together = groups[one] | groups[other]
    for name in together:
        groups[name] = together


def _sees(heir: Later, delta: Delta) -> bool:
    """Whether the undo of `heir` will look at this."""
    if (delta.domain, delta.key) in heir.deltas:
        return True
    if delta.domain == "files":
        return delta.key.startswith("/etc/")
    return account_of(delta.key) is not None and any(_accounts(heir))


def _accounts(later: Later) -> Iterator[bool]:
    return (account_of(key) is not None for domain, key in later.deltas if domain == "mariadb")
