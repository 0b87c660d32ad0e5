"""The lists of accounts where a change of them goes back: what others changed in them stays.

An account stands in several of them; half of one can log in nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from snapshots import cut_off_accounts, persons
from snapshots.capture import Keeper
from snapshots.captured import same
from snapshots.decision import ACCOUNT_FILES
from snapshots.inverse import Contents, Inverse, read_hash, with_content
from snapshots.merge import Lines, joined, lines_of
from snapshots.merge_keeping import merge_keeping
from snapshots.model import Delta, FileItem, Item
from snapshots.whole_accounts import made_whole, written_over

LISTS = sorted(path for path in ACCOUNT_FILES if not path.endswith("-"))


def without_ours(
    keeper: Keeper, before: Mapping[str, Item], left: Mapping[str, Item | None], cut_off: str
) -> tuple[dict[str, Item], set[str]]:
    """Those that somebody changed since we `left` them, as they were `before` with that in them.

    Where one line was changed by both, theirs stays, but not where the change brought the account:
    the lists with such a line are named, too. `cut_off`: a command that did not come to its end
    after we left them. Contents are in the store. Raises `HostError` where what we left is not
    known any more, and `OSError` where there is no room.
    """
    if not any(left.get(path) for path in LISTS):
        return {}, set()
    contents = Contents(keeper.store.get)
    found: dict[str, Item] = {}
    now: dict[str, Item] = {}
    for path in LISTS:
        if (item := keeper.files.item(keeper.host, path)) is not None:
            now[path] = item
    if cut_off:
        now = _without_cut_off(contents, cut_off, left, now)
    if all(same(now.get(path), left.get(path, before.get(path))) for path in LISTS):
        return {}, set()
    for path in LISTS:
        old, ours, there = before.get(path), left.get(path), now.get(path)
        if old is None or ours is None or there is None or same(there, ours):
            continue
        found[path] = there
        if not same(old, ours):
            merged, how = Inverse(Delta("files", path, old, ours), contents).of(there)
            if how == "failed":
                merged = _keeping_theirs(contents, ours, there, old)
            found[path] = merged or there
    over = _make_whole(contents, found, before, left, now)
    for path in list(found):  # the list before its last change, by whoever made that
        if (copy := keeper.files.item(keeper.host, f"{path}-")) is not None:
            found[f"{path}-"] = copy
    _keep(keeper, contents)
    return found, over & found.keys()


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
        path: _with_lines(contents, lists[path], lines)
        for path, lines in persons.with_persons_of(*books).items()
        if lines != books[0][path]
    }
    _keep(keeper, contents)
    return found


def _without_cut_off(
    contents: Contents, cut_off: str, left: Mapping[str, Item | None], now: Mapping[str, Item]
) -> dict[str, Item]:
    """`now` as if that command had not run."""
    books = [
        {path: _lines(contents, item) for path, item in side.items() if path in LISTS and item}
        for side in (left, now)
    ]
    found = cut_off_accounts.without(cut_off, *books)
    return {
        path: item if found[path] == books[1][path] else _with_lines(contents, item, found[path])
        for path, item in now.items()
    }


def _keep(keeper: Keeper, contents: Contents) -> None:
    for content in contents.made.values():
        keeper.store.add(content)
    keeper.store.sync()


def _keeping_theirs(contents: Contents, ours: Item, there: Item, old: Item) -> Item | None:
    """`there` without what makes `ours` of `old`, but for lines that it changed."""
    hashes = [read_hash(side) for side in (ours, there, old)]
    if not all(hashes) or not isinstance(there, FileItem):
        return None
    merged = merge_keeping(*map(contents.get, hashes))
    return None if merged is None else with_content(contents, there, merged)


def _make_whole(
    contents: Contents,
    found: dict[str, Item],
    before: Mapping[str, Item],
    left: Mapping[str, Item | None],
    now: Mapping[str, Item],
) -> set[str]:
    """Change what was `found` so that accounts are in all lists or in none; the lists of which more
    is written over than what we left."""
    ours = {path for path in LISTS if path in left and not same(left[path], before.get(path))}
    plan = {**now, **{path: before[path] for path in ours if path in before}, **found}
    sides = (plan, before, {path: item for path in LISTS if (item := left.get(path))}, now)
    planned, was, leave, there = (
        {path: _lines(contents, item) for path, item in side.items() if path in LISTS}
        for side in sides
    )
    whole = made_whole(planned, was, leave, there)
    for path, lines in whole.items():
        if lines != planned[path]:
            found[path] = _with_lines(contents, plan[path], lines)
    return written_over(was, leave, there)


def _lines(contents: Contents, item: Item) -> Lines:
    sha256 = read_hash(item)
    return lines_of(contents.get(sha256)) if sha256 else []


def _with_lines(contents: Contents, item: Item, lines: Lines) -> Item:
    content = joined(lines, newline=True)
    return with_content(contents, item, content) if isinstance(item, FileItem) else item
