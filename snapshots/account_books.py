"""The lists of accounts: as items of the host, and as the lines that are in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import msgspec

from host.base import LARGEST_READ_BYTES
from snapshots.accounts import PASSWD, Book, by_name, id_of
from snapshots.capture import Keeper
from snapshots.decision import ACCOUNT_FILES
from snapshots.inverse import Contents, read_hash, with_content
from snapshots.merge import Lines, ends_its_last_line, joined, lines_of
from snapshots.model import FileItem, Item

LISTS: Final = sorted(path for path in ACCOUNT_FILES if not path.endswith("-"))


def lists_now(keeper: Keeper, contents: Contents) -> dict[str, Item]:
    """As they stand; what is in them is among `contents`, and not in the store: a full disk may be
    why something goes back. Raises `HostError`."""
    items = ((path, item_now(keeper, contents, path)) for path in LISTS)
    return {path: item for path, item in items if item is not None}


def item_now(keeper: Keeper, contents: Contents, path: str) -> Item | None:
    """The same of one file. Raises `HostError`."""
    state = keeper.host.state(path, content=True)
    if state is None:
        return None
    if path in keeper.secret_paths.paths and state.sha256:
        sha256 = keeper.secret_paths.hashed(state.sha256)
        state = msgspec.structs.replace(state, sha256=sha256)
    elif state.sha256:
        text = keeper.host.read_bytes(path, limit_bytes=LARGEST_READ_BYTES, follow=False)
        sha256 = contents.make(text)
        state = msgspec.structs.replace(state, sha256=sha256, size_bytes=len(text))
    return FileItem(state)


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


def ids_in(lines: Lines) -> set[int]:
    """The UIDs of these lines of passwd."""
    return {uid for line in lines if (uid := id_of(line)) is not None}


def homes_in(book: Book) -> dict[str, str]:
    """Name -> home directory."""
    accounts = ((name, line.split(b":")) for name, line in by_name(book.get(PASSWD, ())).items())
    return {name: os.fsdecode(fields[5]) for name, fields in accounts if len(fields) > 5}


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
    """These lists with the lines of `book`; their contents are with the store."""
    found = {path: with_lines(contents, items[path], list(lines)) for path, lines in book.items()}
    keep(keeper, contents)
    return found


def keep(keeper: Keeper, contents: Contents) -> None:
    """Give what was made to the store, for as long as the lists go back where the disk is full:
    it is made anew from what stands then if that is cut off."""
    made = contents.made.values()
    try:
        for content in made:
            keeper.store.add(content)
        keeper.store.sync()
    except OSError:
        keeper.store.hold(made)
