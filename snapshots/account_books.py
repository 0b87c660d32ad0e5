"""The lists of accounts: as items of the host, and as the lines that are in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from snapshots.accounts import Book
from snapshots.capture import Keeper
from snapshots.decision import ACCOUNT_FILES
from snapshots.inverse import Contents, read_hash, with_content
from snapshots.merge import Lines, joined, lines_of
from snapshots.model import FileItem, Item

LISTS: Final = sorted(path for path in ACCOUNT_FILES if not path.endswith("-"))


def lists_now(keeper: Keeper) -> dict[str, Item]:
    """As they stand; contents are in the store. Raises `HostError`."""
    found = {path: keeper.files.item(keeper.host, path) for path in LISTS}
    return {path: item for path, item in found.items() if item is not None}


def book_of(contents: Contents, items: Mapping[str, Item | None]) -> dict[str, Lines]:
    """The lines of those that are there, by path."""
    return {
        path: lines_in(contents, item) for path in LISTS if (item := items.get(path)) is not None
    }


def lines_in(contents: Contents, item: Item) -> Lines:
    sha256 = read_hash(item)
    return lines_of(contents.get(sha256)) if sha256 else []


def with_lines(contents: Contents, item: Item, lines: Lines) -> Item:
    content = joined(lines, newline=True)
    return with_content(contents, item, content) if isinstance(item, FileItem) else item


def items_of(
    keeper: Keeper, contents: Contents, items: Mapping[str, Item], book: Book
) -> dict[str, Item]:
    """These lists with the lines of `book`; their contents are in the store, on the disk.

    Raises `OSError` where there is no room.
    """
    found = {path: with_lines(contents, items[path], list(lines)) for path, lines in book.items()}
    keep(keeper, contents)
    return found


def keep(keeper: Keeper, contents: Contents) -> None:
    """Put what was made into the store, on the disk. Raises `OSError`."""
    for content in contents.made.values():
        keeper.store.add(content)
    keeper.store.sync()
