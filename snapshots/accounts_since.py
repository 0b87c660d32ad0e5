"""What others change of accounts while something goes back or comes: it stays."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from host.base import HostError
from snapshots import account_fields, persons
from snapshots.account_books import LISTS, book_of, items_of, lists_now
from snapshots.capture import Keeper
from snapshots.captured import same
from snapshots.inverse import Contents
from snapshots.model import Item, Key


class AccountsSince:
    """Asked each time before lists of accounts are put back, and before they are compared.

    `first`: the lists as they were when it was decided what they shall become; what is in them is
    among `contents` or in the store. `only_persons`: system accounts may be those of packages,
    which come or go.
    """

    def __init__(
        self,
        keeper: Keeper,
        first: Mapping[str, Item],
        contents: Contents | None = None,
        *,
        only_persons: bool,
    ) -> None:
        self._keeper = keeper
        self._only_persons = only_persons
        self._texts = dict(contents.made) if contents is not None else {}
        self._first = {path: first[path] for path in LISTS if path in first}
        self.changed: set[str] = set()
        """The lists in which something of others was kept."""

    def keys(self) -> set[Key]:
        """The same, as keys."""
        return {("files", path) for path in self.changed}

    def kept_in(self, files: Mapping[str, Item]) -> dict[str, Item]:
        """Those of `files` that were to become otherwise, with what others changed since.

        Contents are with the store. None where lists cannot be read: the way back waits for nobody.
        """
        with contextlib.suppress(HostError, OSError, LookupError, ValueError):
            return self._kept_in(files)
        return {}

    def _kept_in(self, files: Mapping[str, Item]) -> dict[str, Item]:
        contents = Contents(self._keeper.store.get)
        now = lists_now(self._keeper, contents)
        if all(same(now.get(path), item) for path, item in self._first.items()):
            return {}
        contents.made |= self._texts
        first, there, target = (book_of(contents, side) for side in (self._first, now, files))
        theirs = persons.with_persons_of(first, there) if self._only_persons else there
        found = account_fields.with_changes(target, first, theirs)
        kept = {path: lines for path, lines in found.items() if lines != target[path]}
        items = items_of(self._keeper, contents, files, kept)
        self.changed |= kept.keys()
        return items
