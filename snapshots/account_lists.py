"""The lists of accounts where a change of them goes back: what others changed in them stays.

An account stands in several of them; half of one can log in nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from snapshots import persons
from snapshots.accounts import GROUP, OF_GROUPS, OF_USERS, PASSWD, by_name, name_of
from snapshots.capture import Keeper
from snapshots.captured import same
from snapshots.decision import ACCOUNT_FILES
from snapshots.inverse import Contents, Inverse, is_opaque
from snapshots.merge import Lines, joined, lines_of
from snapshots.merge_keeping import merge_keeping
from snapshots.model import Delta, FileItem, Item

LISTS = sorted(path for path in ACCOUNT_FILES if not path.endswith("-"))


def without_ours(
    keeper: Keeper, before: Mapping[str, Item], left: Mapping[str, Item | None]
) -> dict[str, Item]:
    """Those that somebody changed since we `left` them, as they were `before` with that in them.

    Where one line was changed by both, theirs stays. Their contents are in the store. Raises
    `HostError` where what we left is not known any more, and `OSError` where there is no room.
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
        found[path] = there if item is None or how == "failed" else item
        if how == "failed":
            found[path] = _keeping_theirs(contents, ours, there, old) or there
    _drop_who_went(contents, found, before, left)
    for path in list(found):  # the list before its last change, by whoever made that
        if (copy := keeper.files.item(keeper.host, f"{path}-")) is not None:
            found[f"{path}-"] = copy
    for content in contents.made.values():
        keeper.store.add(content)
    return found


def with_persons_of(
    keeper: Keeper, lists: Mapping[str, Item], source: Mapping[str, Item]
) -> dict[str, Item]:
    """Those of `lists` that tell otherwise of persons than `source` does, telling the same.

    Their contents are in the store. Raises `HostError`, and `OSError` where there is no room.
    """
    contents = Contents(keeper.store.get)
    books = [
        {path: _lines(contents, item) for path in LISTS if (item := side.get(path))}
        for side in (lists, source)
    ]
    found = {
        path: _with_content(contents, lists[path], joined(lines, newline=True))
        for path, lines in persons.with_persons_of(*books).items()
        if lines != books[0][path]
    }
    for content in contents.made.values():
        keeper.store.add(content)
    return found


def _keeping_theirs(contents: Contents, *sides: Item) -> Item | None:
    """The second without what makes the first of the third, but for lines that it changed."""
    states = [side.state for side in sides if isinstance(side, FileItem)]
    if len(states) != len(sides) or any(is_opaque(state.sha256) for state in states):
        return None
    merged = merge_keeping(*(contents.get(state.sha256) for state in states))
    return None if merged is None else _with_content(contents, sides[1], merged)


def _drop_who_went(
    contents: Contents,
    found: dict[str, Item],
    before: Mapping[str, Item],
    left: Mapping[str, Item | None],
) -> None:
    """Who came with the change and goes with it stands in no other list either."""
    for main, others in ((PASSWD, OF_USERS[1:]), (GROUP, OF_GROUPS[1:])):
        ours, stays = left.get(main), found.get(main) or before.get(main)
        if ours is None or stays is None:
            continue
        went = by_name(_lines(contents, ours)).keys() - by_name(_lines(contents, stays)).keys()
        for path in found.keys() & set(others) if went else ():
            lines = _lines(contents, found[path])
            rest = [line for line in lines if name_of(line) not in went]
            found[path] = _with_content(contents, found[path], joined(rest, newline=True))


def _lines(contents: Contents, item: Item) -> Lines:
    if not isinstance(item, FileItem) or is_opaque(item.state.sha256):
        return []
    return lines_of(contents.get(item.state.sha256))


def _with_content(contents: Contents, item: Item, content: bytes) -> Item:
    if not isinstance(item, FileItem):
        return item
    sha256 = contents.make(content)
    state = msgspec.structs.replace(item.state, sha256=sha256, size_bytes=len(content), mtime_ns=0)
    return FileItem(state)
