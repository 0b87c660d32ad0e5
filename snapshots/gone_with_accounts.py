"""What went with an account that somebody removed while a change or an undo was at work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from host.base import Host
from host.names import visible
from snapshots.account_books import homes_in
from snapshots.accounts import PASSWD, Book, by_name, id_of
from snapshots.model import FileItem, Item

SHADOW: Final = "/etc/shadow"


def removed_in(old: Book, new: Book, is_older: Callable[[str], bool]) -> set[str]:
    """The accounts of `old` that `new` has not, nor under another name; none where it tells no
    accounts.

    One with the same UID is the same by another name where shadow says the same of it, or where
    its home `is_older` than the change: `usermod --move-home` moves it, `useradd` makes one.
    """
    if PASSWD not in new:
        return set()
    had, has = (by_name(book.get(PASSWD, ())) for book in (old, new))
    homes = homes_in(new)
    fresh = has.keys() - had.keys()
    same = {_but_name(new, name) for name in fresh}
    moved = {id_of(has[name]) for name in fresh if is_older(homes.get(name, ""))}
    return {
        name
        for name in had.keys() - has.keys()
        if _but_name(old, name) not in same and id_of(had[name]) not in moved
    }


def gone_with(
    host: Host,
    removed: Collection[str],
    old: Book,
    before: Mapping[str, Item],
    left: Mapping[str, Item],
) -> dict[str, str]:
    """The files of `before` that went with these accounts -> that, or the home in which it lay.

    A home is there no more. What belonged to them elsewhere was still there when the change had
    `left` the host, and is there no more. Raises `HostError`.
    """
    homes = homes_in(old)
    tops = {homes.get(name, "").rstrip("/") for name in removed}
    gone = [top for top in tops if top.startswith("/") and host.state(top) is None]
    users = by_name(old.get(PASSWD, ()))
    uids = {id_of(line) for name, line in users.items() if name in removed}
    uids -= {id_of(line) for name, line in users.items() if name not in removed}
    found: dict[str, str] = {}
    for path, item in before.items():
        top = next((one for one in gone if f"{path}/".startswith(f"{one}/")), "")
        mine = isinstance(item, FileItem) and item.state.uid in uids
        if top or (mine and path in left and host.state(path) is None):
            found[path] = top or path
    return found


def sentence(gone: Iterable[str]) -> str:
    """What a person should know of these; empty for none."""
    first, *more = [*map(visible, sorted(gone)), ""]
    if not first:
        return ""
    were = f" and {len(more) - 1} more were" if more[1:] else " was"
    return (
        f"{first}{were} removed by something else meanwhile, together with the account: what lay"
        " there does not come back."
    )


def _but_name(book: Book, name: str) -> tuple[int | None, bytes]:
    """Its UID, and what shadow says of it: `usermod --login` leaves both."""
    secret = by_name(book.get(SHADOW, ())).get(name, b"").partition(b":")[2]
    return id_of(by_name(book[PASSWD])[name]), secret
