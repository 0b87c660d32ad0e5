"""What a transaction changes itself, kept while it is at work, so that others' changes stay."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial

import msgspec

from host.base import HostError
from snapshots import account_books, account_lists, gone_with_accounts, others
from snapshots.account_books import LISTS
from snapshots.accounts_since import AccountsSince
from snapshots.capture import Keeper
from snapshots.captured import VOLATILE_FILES, Captured, each_difference, same
from snapshots.daemons import pulled
from snapshots.domains.base import Scope
from snapshots.in_reach import born_s
from snapshots.inverse import Contents
from snapshots.journal import left_as, name_of
from snapshots.model import Delta, FileItem, Item, Key, TransactionRecord
from snapshots.others import AtWork, Others
from snapshots.points import point_after
from snapshots.programs import is_about_accounts
from snapshots.progress import Progress
from snapshots.records import Records

PERSONS = "persons"
"""A line of the journal of an undo: its `names` are lists of accounts."""


class Ours:
    """What of that which differs one transaction made; everything else is others'.

    `at_work` may be added to, or be another's where more is known.
    """

    def __init__(self, keeper: Keeper, records: Records, record: TransactionRecord) -> None:
        self.at_work = AtWork(record.roots, partial(pulled, keeper.host))
        self.at_work.may_be_all = record.kind != "apply"  # what else an undo changes it decides
        self._keeper = keeper
        self._records = records
        self._record = record
        self._named: frozenset[Key] = frozenset()
        self.undone: set[str] = set()
        """Lists of accounts that only a command of ours changed which nobody saw end."""
        self.kept_in: set[str] = set()
        """Lists of accounts in which something of others stays where a change goes back."""
        self.gone: set[str] = set()
        """Homes, and what else belonged to accounts, that somebody removed with the account."""
        self.lists_unclear = False
        """What others changed in lists of accounts could not be told."""
        self.persons: AccountsSince | None = None
        """What of persons others change from when it was decided where to go back to."""
        self._left: dict[str, FileItem | None] = {}
        """What changes and programs of ours left where it can be told whose a file is, by path."""

    def is_only(self, named: Iterable[Key], at_work: AtWork) -> None:
        """Besides the files that its journal names it changes these, and what is `at_work` may."""
        self._named = frozenset(named)
        self.at_work = at_work

    def tell(self, what: str, targets: Captured) -> None:
        """Have the journal say what of all that it changes, and into what, if it names all."""
        mine = sorted(key for key in self._named if key[0] != "files" or self.at_work.holds(key[1]))
        told = not self.at_work.may_be_all
        sums = (left_as(targets.get(domain, {}).get(key)) for domain, key in mine)
        self._records.journal(
            self._record.id, self._record.kind, what,
            names=map(name_of, mine) if told else None, sums=sums if told else None,
            reach=self.at_work.reach if told else None,
        )  # fmt: skip

    @contextlib.contextmanager
    def noted(self, may_be_ours: Callable[[str], bool] = lambda _: True) -> Iterator[None]:
        """What is written meanwhile and may be ours is, and is known to whoever goes back, too."""
        with self.at_work.noted(self._keeper.host, may_be_ours) as written:
            yield
        what, names = "wrote", sorted(written)
        if self.at_work.may_be_all:  # what else it wrote cannot be told from what packages did
            what = "rewrote"
            names = sorted(written & self._records.left(self._record.id).keys())
            if not names:
                return
        left = self.remember(names)
        if not left.keys().isdisjoint(LISTS):
            self._keeper.store.sync()  # to tell others' accounts from ours after a crash, too
        self._records.journal(
            self._record.id, what, f"that wrote {len(left)} files", names=left,
            sums=map(left_as, left.values()),
        )  # fmt: skip

    def remember(self, written: Iterable[str]) -> dict[str, FileItem | None]:
        """As what we wrote stands now, by path."""
        paths = [path for path in map(self._really, written) if self.at_work.holds(path)]
        left = {path: self._keeper.files.item(self._keeper.host, path) for path in paths}
        self._left |= left
        return left

    def others(self) -> Others:
        """Who tells which of what differs others changed."""
        paths = self._records.named_paths(self._record.id)
        named: set[Key] = {("files", path) for path in (*paths, *map(self._really, paths))}
        return Others(named | self._named, self.at_work)

    def with_what_others_changed(
        self, before: Captured, after: Captured
    ) -> tuple[Captured, set[Key]]:
        """The state `after` as it would be without what others changed meanwhile; and which."""
        commands = self._commands()
        if commands is not None:
            persons = account_lists.without_persons_of_others(
                self._keeper, after["files"], before["files"], commands
            )
            keys: set[Key] = {("files", path) for path in persons}
            return others.with_items_of(after, keys, {"files": persons}), keys
        theirs = self._changed_by_others(before, after)
        after = others.with_items_of(after, theirs, before)
        moved = self._moved_since(after)
        left: dict[str, Item] = {path: item for path, item in self._left.items() if item}
        return others.with_items_of(after, moved, {"files": left}), theirs | moved

    def before_with_theirs(self, before: Captured, progress: Progress) -> tuple[Captured, set[Key]]:
        """The state to go back to, with what others have there now; and which that is."""
        if self.at_work.may_be_all:
            return before, set()
        self._keeper.files.keeping = False  # it stays where it is
        try:
            now = self._keeper.capture(self._record.roots, progress)
        except (HostError, OSError):
            return before, set()
        finally:
            self._keeper.files.keeping = True
        asked = self.others()
        stays = asked.staying(self._differences(asked, before, now))
        return others.with_items_of(before, stays, now), asked.keys

    def before_with_their_accounts(self, before: Captured) -> tuple[Captured, set[str]]:
        """The state to go back to, with what others changed in the lists of accounts since.

        And the paths of those lists in which nothing of theirs is written over.
        """
        try:
            contents = Contents(self._keeper.store.get)
            now = account_books.lists_now(self._keeper, contents)
            merged, over = self._merged_accounts(before["files"])
        except (HostError, OSError, LookupError, ValueError):
            # Half of an account is worse than none: all go back.
            self._named |= {("files", path) for path in LISTS}
            self.lists_unclear = True
            return before, set()
        self.persons = AccountsSince(
            self._keeper, now, contents, only_persons=self.at_work.may_be_all
        )
        keys: set[Key] = {("files", path) for path in merged}
        self._named |= keys
        theirs = {p for p, item in merged.items() if not same(item, before["files"].get(p))}
        self.kept_in = theirs - over
        stays = self._homes_that_stay(before["files"], merged)
        homes: set[Key] = {("files", path) for path in stays}
        lists = others.with_items_of(before, keys, {"files": merged})
        lists = others.with_items_of(lists, self._gone_with(before["files"], merged), {})
        return others.with_items_of(lists, homes, {"files": stays}), merged.keys() - over

    def _gone_with(self, before: Mapping[str, Item], merged: Mapping[str, Item]) -> set[Key]:
        """What somebody removed with an account."""
        contents = Contents(self._keeper.store.get)
        old, new = (account_books.book_of(contents, side) for side in (before, merged))
        removed = gone_with_accounts.removed_in(old, new, self._is_older)
        if not removed:
            return set()
        points, after = self._keeper.points, point_after(self._record.id)
        left = points.load(after)["files"] if after in points.ids() else {}
        found = gone_with_accounts.gone_with(self._keeper.host, removed, old, before, left)
        self.gone = {*found.values()}
        return {("files", path) for path in found}

    def _is_older(self, home: str) -> bool:
        """Whether a directory was made before this began, or nobody tells."""
        host = self._keeper.host
        if not home.startswith("/") or host.state(home) is None:
            return False
        began_s = datetime.fromisoformat(self._record.started).timestamp()
        return born_s(host, [home]).get(home, 0.0) < began_s

    def _homes_that_stay(
        self, before: Mapping[str, Item], merged: Mapping[str, Item]
    ) -> dict[str, Item]:
        """What lies in the homes of others' new accounts, among the trees of the change."""
        contents = Contents(self._keeper.store.get)
        old, new = (account_books.homes_in(account_books.book_of(contents, side))
                    for side in (before, merged))  # fmt: skip
        homes = {home for name, home in new.items() if name not in old}
        roots = [root for root in self._record.roots if root.path in homes]
        if not roots:
            return {}
        self.kept_in |= {root.path for root in roots}
        self._keeper.files.keeping = False  # it stays where it is
        try:
            found = self._keeper.files.capture(self._keeper.host, Scope(tuple(roots)))
        finally:
            self._keeper.files.keeping = True
        tops = tuple(f"{root.path}/" for root in roots)
        return {path: item for path, item in found.items() if f"{path}/".startswith(tops)}

    def _merged_accounts(self, before: Mapping[str, Item]) -> tuple[dict[str, Item], set[str]]:
        commands = self._commands() if self._record.status != "pending" else None
        if commands is not None:
            return account_lists.before_with_persons(self._keeper, before, commands), set()
        left = self._left_of(LISTS, before)
        cut_off = self._records.cut_off(self._record.id)
        cut_off = cut_off if is_about_accounts(cut_off) else ""
        if not self.at_work.may_be_all:
            for path in LISTS:
                if cut_off or path not in self.at_work.written:
                    left = {path: before.get(path), **left}
        merged, over = account_lists.without_ours(self._keeper, before, left, cut_off)
        if cut_off:
            whole = [path for path in LISTS if path not in merged.keys() | over]
            self.undone = {*whole, *(f"{path}-" for path in whole)}
        return merged, over

    def _commands(self) -> list[str] | None:
        """Where packages came or went: the commands about accounts that were run besides; `None`
        where it is not known from these what it changed of persons' accounts."""
        if not self.at_work.may_be_all:
            return None
        lines = self._records.journal_of(self._record.id)
        if self._record.kind != "apply":
            told = [line for line in lines if line.what == PERSONS]
            return [] if told and not told[-1].names else None
        changes = [line for line in lines if line.what == "change"]
        if any(line.path in LISTS for line in changes):
            return None
        return [one.summary for one in changes if not one.path and is_about_accounts(one.summary)]

    def tell_persons(self, before: Captured, targets: Captured) -> None:
        """Have the journal say in which lists of accounts it makes persons otherwise."""
        concerned = account_lists.concerning_persons(
            self._keeper, before["files"], targets["files"]
        )
        self._records.journal(self._record.id, PERSONS, "persons' accounts", names=concerned)

    def _left_of(
        self, paths: Iterable[str], before: Mapping[str, Item]
    ) -> Mapping[str, Item | None]:
        """As it left these, as far as that is known. Raises `HostError` and `OSError`."""
        points, after = self._keeper.points, point_after(self._record.id)
        if after in points.ids():
            return points.load(after)["files"]
        told = self._records.left(self._record.id)
        left: dict[str, Item | None] = {
            path: FileItem(msgspec.structs.replace(there.state, sha256=told[path]))
            for path in paths
            if path in told and isinstance(there := before.get(path), FileItem)
        }
        return left | self._left

    def _changed_by_others(self, before: Captured, now: Captured) -> set[Key]:
        if self.at_work.may_be_all:
            return set()
        asked = self.others()
        return asked.among(self._differences(asked, before, now))

    @staticmethod
    def _differences(asked: Others, before: Captured, now: Captured) -> Iterator[Delta]:
        named = [key for domain, key in asked.named if domain == "files"]
        return each_difference(before, now, named=named)

    def _moved_since(self, after: Captured) -> set[Key]:
        """What we wrote and somebody else changed after that: it stays, and is none of ours."""
        if self.at_work.may_be_all:
            return set()
        found: set[Key] = set()
        for path, left in self._left.items():
            if path in VOLATILE_FILES or path.startswith(tuple(self.at_work.homes)):
                continue
            if not same(left, after["files"].get(path)):
                found.add(("files", path))
        return found

    def _really(self, path: str) -> str:
        """Where it lies, if a directory above it is a link; as captures have it."""
        above, _, name = path.rpartition("/")
        return f"{self._keeper.host.realpath(above or '/').rstrip('/')}/{name}"
