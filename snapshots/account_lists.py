"""The lists of accounts where a change of them goes back: what others changed in them stays.

An account stands in several of them; half of one can log in nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from snapshots.capture import Keeper
from snapshots.captured import same
from snapshots.decision import ACCOUNT_FILES
from snapshots.inverse import Contents, Inverse
from snapshots.model import Delta, Item

LISTS = sorted(path for path in ACCOUNT_FILES if not path.endswith("-"))


def without_ours(
    keeper: Keeper, before: Mapping[str, Item], left: Mapping[str, Item | None]
) -> dict[str, Item]:
    """Those that somebody changed since we `left` them, as they were `before` with that in them.

    Their contents are in the store. None at all where one of them cannot be told apart. Raises
    `HostError`, and `OSError` where there is no room.
    """
    contents = Contents(keeper.store.get)
    found: dict[str, Item] = {}
    for path in LISTS:
        old, ours = before.get(path), left.get(path)
        if old is None or ours is None or same(old, ours):
            continue
        there = keeper.files.item(keeper.host, path)
        if there is None or same(there, ours):
            continue
        item, how = Inverse(Delta("files", path, old, ours), contents).of(there)
        if how == "failed" or item is None:
            return {}
        found[path] = item
    for content in contents.made.values():
        keeper.store.add(content)
    return found
