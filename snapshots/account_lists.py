"""The lists of accounts where a change of them goes back: what others changed in them stays.

An account stands in several of them; half of one can log in nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snapshots import account_fields, cut_off_accounts, persons
from snapshots.account_books import (
    LISTS,
    book_of,
    item_now,
    items_of,
    keep,
    lines_in,
    lists_now,
    with_lines,
)
from snapshots.accounts import name_of
from snapshots.capture import Keeper
from snapshots.captured import same
from snapshots.inverse import Contents, Inverse
from snapshots.merge import Lines
from snapshots.model import Delta, Item
from snapshots.whole_accounts import made_whole, written_over


def without_ours(
    keeper: Keeper, before: Mapping[str, Item], left: Mapping[str, Item | None], cut_off: str
) -> tuple[dict[str, Item], set[str]]:
    """Those that somebody changed since we `left` them, as they were `before` with that in them.

    Where one field was changed by both, theirs stays, but not where the change brought the account:
    the lists with such a line are named, too. `cut_off`: a command that did not come to its end
    after we left them. Contents are with the store. Raises `HostError` where what we left is not
    known any more.
    """
    if not any(left.get(path) for path in LISTS):
        return {}, set()
    contents = Contents(keeper.store.get)
    now = lists_now(keeper, contents)
    left = _as_written(contents, before, left, now)
    if cut_off:
        now = _without_commands(contents, [cut_off], left, now)
    if all(same(now.get(path), left.get(path, before.get(path))) for path in LISTS):
        return {}, set()
    found: dict[str, Item] = {}
    for path in LISTS:
        old, ours, there = before.get(path), left.get(path), now.get(path)
        if old is None or ours is None or there is None or same(there, ours):
            continue
        found[path] = there
        if not same(old, ours):
            merged, how = Inverse(Delta("files", path, old, ours), contents).of(there)
            if how == "failed":
                merged = _by_field(contents, path, old, ours, there)
            found[path] = merged or there
    over = _make_whole(contents, found, before, left, now)
    for path in list(found):  # the list before its last change, by whoever made that
        if (copy := item_now(keeper, contents, f"{path}-")) is not None:
            found[f"{path}-"] = copy
    keep(keeper, contents)
    return found, over & found.keys()


def before_with_persons(
    keeper: Keeper, before: Mapping[str, Item], commands: Sequence[str]
) -> dict[str, Item]:
    """Those in which persons are not as `before`, with these as they are now but for what our
    `commands`, as the journal describes them, made of them.

    Contents are with the store. Raises `HostError`.
    """
    contents = Contents(keeper.store.get)
    now = _without_commands(contents, commands, before, lists_now(keeper, contents))
    old = book_of(contents, before)
    found = persons.with_persons_of(old, book_of(contents, now))
    return items_of(keeper, contents, before, _changed(found, old))


def without_persons_of_others(
    keeper: Keeper, after: Mapping[str, Item], before: Mapping[str, Item], commands: Sequence[str]
) -> dict[str, Item]:
    """Those of the lists `after` a change in which others changed persons since `before`, without
    that. All else is the change's, and what its `commands` made of persons.

    Contents are with the store. Raises `HostError`.
    """
    contents = Contents(keeper.store.get)
    lists = {path: item for path, item in after.items() if path in LISTS}
    old, ours = book_of(contents, before), book_of(contents, lists)
    rest = book_of(contents, _without_commands(contents, commands, before, lists))
    theirs = persons.with_persons_of(old, rest)
    found = account_fields.with_changes(ours, theirs, old)
    return items_of(keeper, contents, lists, _changed(found, ours))


def concerning_persons(
    keeper: Keeper, before: Mapping[str, Item], after: Mapping[str, Item]
) -> list[str]:
    """The lists that tell otherwise of persons `after` than `before`."""
    contents = Contents(keeper.store.get)
    old, new = book_of(contents, before), book_of(contents, after)
    return sorted(_changed(persons.with_persons_of(old, new), old))


def _changed(found: Mapping[str, Lines], lists: Mapping[str, Lines]) -> dict[str, Lines]:
    return {path: lines for path, lines in found.items() if lines != lists[path]}


def _without_commands(
    contents: Contents,
    commands: Sequence[str],
    left: Mapping[str, Item | None],
    now: Mapping[str, Item],
) -> dict[str, Item]:
    """`now` as if these had not run on what was `left` before the first of them."""
    old, there = book_of(contents, left), book_of(contents, now)
    found = there
    for command in reversed(commands):
        found = cut_off_accounts.without(command, old, found)
    return {
        path: with_lines(contents, item, found[path])
        if path in there and found[path] != there[path]
        else item
        for path, item in now.items()
    }


def _as_written(
    contents: Contents,
    before: Mapping[str, Item],
    left: Mapping[str, Item | None],
    now: Mapping[str, Item],
) -> dict[str, Item | None]:
    """What was `left`, but as it was `before` what was only told and not written: a list is written
    as a whole, so most of what was to change in it tells."""
    found = dict(left)
    for path in LISTS:
        old, shall, there = (side.get(path) for side in (before, left, now))
        if old is None or shall is None or there is None or same(old, shall):
            continue
        was, told, stands = (set(lines_in(contents, item)) for item in (old, shall, there))
        gone, new = was - told, told - was
        names = {name_of(line) for line in stands}
        as_before = len(gone & stands) + sum(name_of(line) not in names for line in new)
        as_told = len(new & stands) + sum(name_of(line) not in names for line in gone)
        if as_before > as_told:
            found[path] = old
    return found


def _by_field(contents: Contents, path: str, old: Item, ours: Item, there: Item) -> Item:
    """`old` with what somebody made of `ours`."""
    books = [{path: lines_in(contents, item)} for item in (old, ours, there)]
    return with_lines(contents, there, account_fields.with_changes(*books)[path])


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
    planned, was, leave, there = (book_of(contents, side) for side in (plan, before, left, now))
    whole = made_whole(planned, was, leave, there)
    for path, lines in whole.items():
        if lines != planned[path]:
            found[path] = with_lines(contents, plan[path], lines)
    return written_over(was, leave, there)
