"""The lists of accounts: as items of the host, and as the lines that are in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from host.base import LARGEST_READ_BYTES
from snapshots.accounts import Book
from snapshots.capture import Keeper
from snapshots.decision import ACCOUNT_FILES
from snapshots.inverse import Contents, read_hash, with_content
from snapshots.merge import Lines, ends_its_last_line, joined, lines_of
from snapshots.model import FileItem, Item

LISTS: Final = sorted(path for path in ACCOUNT_FILES if not path.endswith("-"))


def lists_now(keeper: Keeper, contents: Contents) -> dict[str, Item]:
    """As they stand; what is in them is among `contents`, and not in the store: a full disk may be
    why something goes back. Raises `HostError`."""
    found: dict[str, Item] = {}
    for path in LISTS:
        state = keeper.host.state(path, content=True)
        if state is None:
            continue
        if path in keeper.secret_paths.paths and state.sha256:
            sha256 = keeper.secret_paths.hashed(state.sha256)
            state = msgspec.structs.replace(state, sha256=sha256)
        elif state.sha256:
            text = keeper.host.read_bytes(path, limit_bytes=LARGEST_READ_BYTES, follow=False)
            sha256 = contents.make(text)
            state = msgspec.structs.replace(state, sha256=sha256, size_bytes=len(text))
        found[path] = FileItem(state)
    return found


def book_of(contents: Contents, items: Mapping[str, Item | None]) -> dict[str, Lines]:
    """The lines of those that are files to read, by path: a link is no list without anybody."""
    return {
        path: lines_in(contents, item)
        for path in LISTS
        if (item := items.get(path)) is not None and read_hash(item)
    }


def lines_in(contents: Contents, item: Item) -> Lines:
    sha256 = read_hash(item)
    return lines_of(contents.get(sha256)) if sha256 else []


def with_lines(contents: Contents, item: Item, lines: Lines) -> Item:
    """The same file with these; without an end of the last line where it had none."""
    sha256 = read_hash(item)
    if not isinstance(item, FileItem):
        return item
    newline = not sha256 or ends_its_last_line(contents.get(sha256))
    return with_content(contents, item, joined(lines, newline=newline))


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
