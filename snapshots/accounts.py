"""Accounts as the lines of their files: who must stay in an undo, and who cannot have an id. Pure.

Two accounts never share an id that they did not share before, a group stays as long as it is the
primary one of somebody who stays, and whom dpkg-statoverride names stays, or dpkg would work no
more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from snapshots.merge import Lines

PASSWD, GROUP = "/etc/passwd", "/etc/group"
OF_USERS = (PASSWD, "/etc/shadow", "/etc/subuid", "/etc/subgid")
OF_GROUPS = (GROUP, "/etc/gshadow")
FILES = (*OF_USERS, *OF_GROUPS)
LISTS_AT_END = {GROUP: 1, "/etc/gshadow": 2}
"""How many fields at the end of a line are lists of names: members, and who manages the group."""

Book = Mapping[str, Lines]
"""The lines of each of these files, by path."""

SYSTEM_IDS = range(100, 1000)
"""What Debian gives to accounts of packages (policy 9.2.2), of which each may have any."""

ONE_LINE_EACH = (PASSWD, "/etc/shadow", *OF_GROUPS)
_WORDS = {PASSWD: "UID", GROUP: "GID"}


class Named(msgspec.Struct, frozen=True):
    """Whom dpkg-statoverride names -> the path it does so for."""

    users: dict[str, str] = {}
    groups: dict[str, str] = {}


NOBODY = Named()


class Fitted(msgspec.Struct):
    """What an undo would leave, made to fit.

    `notes`: what a person should know, by path; `refused`: why that cannot be, by path. `swapped`:
    for each path the lines that do not come back -> those that stand for them. `uids` and `gids`:
    old -> new, of accounts that come back with another one. `dropped`: the files in which one stays
    away because a person wanted that.
    """

    book: dict[str, Lines]
    notes: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    swapped: dict[str, dict[bytes, bytes]] = {}
    uids: dict[int, int] = {}
    gids: dict[int, int] = {}
    dropped: set[str] = set()

    def say(self, paths: Iterable[str], note: str) -> None:
        for path in paths:
            notes = self.notes.setdefault(path, [])
            if note not in notes:
                notes.append(note)

    def swap(self, path: str, line: bytes, other: bytes) -> None:
        """Let `other` stand in the place of `line`."""
        self.book[path] = [other if one == line else one for one in self.book[path]]
        self.swapped.setdefault(path, {})[line] = other
        old, new = id_of(line), id_of(other)
        if path in _WORDS and old is not None and new is not None and old != new:
            (self.uids if path == PASSWD else self.gids)[old] = new


def fit(before: Book, now: Book, then: Book, named: Named, let_go: Collection[str] = ()) -> Fitted:
    """`then`, which an undo would make of `now`, without accounts that cannot be so.

    `before` is what was there before what is undone. `let_go`: the files of which a person wants
    that clashing accounts stay away.
    """
    fitted = Fitted({path: list(lines) for path, lines in then.items()})
    for path in ONE_LINE_EACH:
        _once(fitted, path, before, now)
    _keep_named(fitted, now, named)
    _keep_primary(fitted, now)
    for path in (GROUP, PASSWD):
        _without_clash(fitted, path, before, now, path in let_go)
        if path == GROUP:
            _in_new_groups(fitted, now)
    _no_members_who_go(fitted, before, now)
    return fitted


def ahead(path: str, now: Lines, goal: Lines) -> Lines:
    """One file as it shall be while packages come: who comes back is there before their scripts
    look for them, and who goes is left to the scripts, unless somebody who comes has the id."""
    there, wanted = by_name(now), by_name(goal)
    moved = {
        name
        for name, line in wanted.items()
        if name in there and _numbers(path, line) != _numbers(path, there[name])
    }
    if not moved and wanted.keys() <= there.keys():
        return now
    ids = {id_of(line) for line in goal} - {None} if path in _WORDS else set()
    lines = [
        there[name] if (name := name_of(line)) in there and name not in moved else line
        for line in goal
    ]
    going = [one for one in now if name_of(one) not in wanted and id_of(one) not in ids]
    return lines + going


def name_of(line: bytes) -> str:
    return line.partition(b":")[0].decode("utf-8", "surrogateescape")


def id_of(line: bytes) -> int | None:
    """The id in a line of passwd or group."""
    fields = line.split(b":")
    return int(fields[2]) if len(fields) > 2 and fields[2].isdigit() else None


def _numbers(path: str, line: bytes) -> list[bytes]:
    """The ids in a line: of passwd its own and that of its group."""
    return line.split(b":")[2 : {PASSWD: 4, GROUP: 3}.get(path, 2)]


def by_name(lines: Iterable[bytes]) -> dict[str, bytes]:
    """The line of each account; of two the first counts, as for the C library."""
    found: dict[str, bytes] = {}
    for line in lines:
        if b":" in line:
            found.setdefault(name_of(line), line)
    return found


def retold(path: str, lines: Lines, fitted: Fitted) -> Lines:
    """What somebody else tells, with the lines that stand for those that did not come back."""
    swapped = fitted.swapped.get(path, {})
    once = set(swapped.values())
    told: Lines = []
    for line in lines:
        line = swapped.get(line, line)
        if line not in once or line not in told:
            told.append(line)
    return told


def _once(fitted: Fitted, path: str, before: Book, now: Book) -> None:
    """An account that is there keeps its line, and does not get its old one beside it."""
    there = by_name(now.get(path, ()))
    others = Counter(map(name_of, now.get(path, ()))) | Counter(map(name_of, before.get(path, ())))
    for name, count in Counter(map(name_of, fitted.book.get(path, ()))).items():
        if count < 2 or name not in there or others[name] > 1:
            continue
        stays = there[name]
        for line in [one for one in fitted.book[path] if name_of(one) == name]:
            fitted.swap(path, line, stays)
            if path in _WORDS and id_of(line) != id_of(stays):
                what = _WORDS[path]
                fitted.say((path,), f"{name} stays with {what} {id_of(stays)}, as it is there now")
        fitted.book[path] = retold(path, fitted.book[path], fitted)


def _keep_named(fitted: Fitted, now: Book, named: Named) -> None:
    for kind, paths, names in (
        (PASSWD, OF_USERS, named.users),
        (GROUP, OF_GROUPS, named.groups),
    ):
        for name in _going(fitted, now, kind):
            if name in names:
                why = f"{name} stays: dpkg-statoverride names it for {names[name]}"
                _stay(fitted, now, paths, name, why)


def _keep_primary(fitted: Fitted, now: Book) -> None:
    """A group without its line could get its id for another one, and its members with it."""
    held = {id_of(line) for line in fitted.book.get(GROUP, ())}
    users = {gid_of(line): name for name, line in by_name(fitted.book.get(PASSWD, ())).items()}
    for name in _going(fitted, now, GROUP):
        gid = id_of(by_name(now[GROUP])[name])
        if gid is not None and gid in users and gid not in held:
            why = f"{name} stays: it is the primary group of {users[gid]}"
            _stay(fitted, now, OF_GROUPS, name, why)


def _going(fitted: Fitted, now: Book, path: str) -> list[str]:
    stays = by_name(fitted.book.get(path, ()))
    return [name for name in by_name(now.get(path, ())) if name not in stays]


def _stay(fitted: Fitted, now: Book, paths: Iterable[str], name: str, why: str) -> None:
    """Put its lines where they are now."""
    for path in paths:
        lines = fitted.book.get(path)
        if lines is None or any(name_of(line) == name for line in lines):
            continue
        place = 0
        for line in now.get(path, ()):
            if name_of(line) == name:
                lines.insert(place, line)
                fitted.say((path,), why)
            if line in lines:
                place = lines.index(line) + 1


def _without_clash(fitted: Fitted, path: str, before: Book, now: Book, let_go: bool) -> None:
    """Who comes back with an id that somebody else has by now gets another one."""
    was, there = _ids(before.get(path, ())), _ids(now.get(path, ()))
    for name, line in by_name(fitted.book.get(path, ())).items():
        number = id_of(line)
        if number is None or there.get(name) == number:
            continue
        holder = _holder(fitted.book[path], name, number, was)
        if not holder:
            continue
        what = f"{_WORDS[path]} {number}"
        if name in there:
            fitted.swap(path, line, by_name(now[path])[name])
            note = f"{name} stays with {_WORDS[path]} {there[name]}: {number} is {holder}'s now"
            fitted.say((path,), note)
        elif (free := _free(fitted, before, now)) is not None and number in SYSTEM_IDS:
            fitted.swap(path, line, _with_field(line, 2, free))
            note = f"{name} comes back with {_WORDS[path]} {free}: {number} is {holder}'s now"
            fitted.say((path,), note)
        elif let_go:
            _drop(fitted, OF_USERS if path == PASSWD else OF_GROUPS, name)
            fitted.dropped.add(path)
            fitted.say((path,), f"{name} does not come back: {what} is {holder}'s now")
        else:
            fitted.refused.setdefault(path, f"{what} of {name} is {holder}'s now")


def _holder(lines: Lines, name: str, number: int, was: Mapping[str, int]) -> str:
    """Who else would have this id, and had it not together with `name` before; or ""."""
    for other, held in _ids(lines).items():
        if other != name and held == number and not was.get(other) == was.get(name) == number:
            return other
    return ""


def _ids(lines: Iterable[bytes]) -> dict[str, int]:
    found = ((name, id_of(line)) for name, line in by_name(lines).items())
    return {name: number for name, number in found if number is not None}


def _free(fitted: Fitted, *books: Book) -> int | None:
    """The first id of a package's account that nobody has or had."""
    taken = {
        id_of(line)
        for book in (fitted.book, *books)
        for path in (PASSWD, GROUP)
        for line in book.get(path, ())
    }
    return next((number for number in SYSTEM_IDS if number not in taken), None)


def _drop(fitted: Fitted, paths: Iterable[str], name: str) -> None:
    for path in paths:
        if path in fitted.book:
            fitted.book[path] = [line for line in fitted.book[path] if name_of(line) != name]


def _in_new_groups(fitted: Fitted, now: Book) -> None:
    """Who comes back with a group that has another id by now belongs to it as before."""
    there = set(now.get(PASSWD, ()))
    for line in list(fitted.book.get(PASSWD, ())):
        number = gid_of(line)
        gid = fitted.gids.get(number) if number is not None else None
        if gid is not None and line not in there:
            fitted.swap(PASSWD, line, _with_field(line, 3, gid))


def _no_members_who_go(fitted: Fitted, before: Book, now: Book) -> None:
    """A name that is left in a group would give its rights to whoever is called so next."""
    going = {name.encode("utf-8", "surrogateescape") for name in _going(fitted, now, PASSWD)}
    for path in OF_GROUPS:
        had = by_name(before.get(path, ()))
        for place, line in enumerate(fitted.book.get(path, ())):
            was = members_in(path, had.get(name_of(line), b""))
            lists, left = members_in(path, line), set[bytes]()
            for at, names in lists.items():
                gone = (going & {*names}) - {*was.get(at, ())}
                lists[at] = [name for name in names if name not in gone]
                left |= gone
            if left:
                fitted.book[path][place] = with_members(line, lists)
                who = b", ".join(sorted(left)).decode("utf-8", "surrogateescape")
                note = f"{who} goes, and is no member of {name_of(line)} any more"
                fitted.say((path,), note)


def lines_by_name(lines: Iterable[bytes]) -> dict[str, Lines]:
    """All lines of each name: of subordinate ids an account has several."""
    found: dict[str, Lines] = {}
    for line in lines:
        if b":" in line:
            found.setdefault(name_of(line), []).append(line)
    return found


def members_in(path: str, line: bytes) -> dict[int, list[bytes]]:
    """The lists of names in the line of a group, by their place among its fields."""
    fields = line.split(b":")
    first = len(fields) - LISTS_AT_END[path]
    if first < 1:
        return {}
    return {at: fields[at].split(b",") if fields[at] else [] for at in range(first, len(fields))}


def with_members(line: bytes, lists: Mapping[int, Iterable[bytes]]) -> bytes:
    """The line of a group with these lists, by their place."""
    fields = line.split(b":")
    for at, names in lists.items():
        fields[at] = b",".join(names)
    return b":".join(fields)


def gid_of(line: bytes) -> int | None:
    """The primary group in a line of passwd."""
    fields = line.split(b":")
    return int(fields[3]) if len(fields) > 3 and fields[3].isdigit() else None


def _with_field(line: bytes, number: int, value: int) -> bytes:
    fields = line.split(b":")
    fields[number] = str(value).encode()
    return b":".join(fields)
