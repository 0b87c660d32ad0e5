"""What a command about accounts that failed or was cut off may have done to their lists. Pure.

Nobody saw what it left; it is known what it was told.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from snapshots.accounts import (
    GROUP,
    OF_GROUPS,
    OF_USERS,
    PASSWD,
    Book,
    by_name,
    members_in,
    name_of,
    with_members,
)
from snapshots.merge import Lines

SHADOW: Final = "/etc/shadow"
_AGES: Final = {"--mindays": 3, "--maxdays": 4, "--warndays": 5, "--inactive": 6}
"""Options of chage -> the field of shadow(5) that they set."""


NO_PASSWORD: Final = b"!"
_TOLD: Final = {"--uid": 2, "--home-dir": 5, "--shell": 6}
"""Options of useradd -> the field of passwd(5) that they set."""


def without(summary: str, left: Book, now: Book) -> dict[str, Lines]:
    """`now` as if the command that the journal describes so had not run on what was `left` before
    it; what others changed besides stays."""
    program, *words = shlex.split(summary)
    program = program.rpartition("/")[2]
    options, name = _options(words), words[-1] if words else ""
    if program == "chpasswd":
        names = summary.partition(" for ")[2].split(", ")
        if not names[0]:  # as builds before told it
            return {path: list(left.get(path, lines)) for path, lines in now.items()}
        known = by_name(left.get(SHADOW, ()))
        fresh = [name for name in names if name not in known]
        found = _with_fields(now, left, SHADOW, names, {1: None, 2: None})
        return {**found, SHADOW: [_as_added(line, fresh) for line in found.get(SHADOW, ())]}
    if program == "chage" and options.keys() <= _AGES.keys():
        fields = {_AGES[option]: value for option, value in options.items()}
        return _with_fields(now, left, SHADOW, [name], fields)
    if program == "useradd" and "--defaults" in options:
        return dict(now)
    if program == "usermod" and options.keys() == {"--shell"}:
        return _with_fields(now, left, PASSWD, [name], {6: options["--shell"]})
    if program == "usermod" and options.keys() == {"--lock"}:
        locked = {1: f"!{_field(left.get(SHADOW, ()), name, 1)}"}
        return _with_fields(now, left, SHADOW, [name], locked)
    if program == "usermod" and options.keys() == {"--append", "--groups"}:
        return _with_members(now, left, name, options["--groups"].split(","))
    if program == "useradd":
        return _without_account(now, left, name, options)
    return {path: list(left.get(path, lines)) for path, lines in now.items()}


def _options(words: Iterable[str]) -> dict[str, str]:
    """Options with the word that follows them."""
    found, last = {}, ""
    for word in words:
        if word.startswith("-"):
            last, _, value = word.partition("=")
            found[last] = value
        elif last:
            found[last] = found[last] or word
            last = ""
    return found


def _field(lines: Iterable[bytes], name: str, at: int) -> str:
    fields = by_name(lines).get(name, b"").split(b":")
    return fields[at].decode("utf-8", "surrogateescape") if at < len(fields) else ""


def _with_fields(
    now: Book, left: Book, path: str, names: Collection[str], set_to: Mapping[int, str | None]
) -> dict[str, Lines]:
    """With these fields of the lines of `names` as they were left, where they were `set_to` that;
    `None`: to anything."""
    old = by_name(left.get(path, ()))

    def as_left(line: bytes) -> bytes:
        name = name_of(line)
        if name not in names or name not in old:
            return line
        fields, before = line.split(b":"), old[name].split(b":")
        if len(fields) != len(before) or len(fields) <= max(set_to):
            return line
        for at, value in set_to.items():
            if value is None or fields[at] == value.encode("utf-8", "surrogateescape"):
                fields[at] = before[at]
        return b":".join(fields)

    return {**now, path: [as_left(line) for line in now.get(path, ())]}


def _with_members(
    now: Book, left: Book, user: str, groups: Collection[str] | None = None
) -> dict[str, Lines]:
    """With this user in those groups, or in all, as it was left."""
    found = dict(now)
    for path in found.keys() & set(OF_GROUPS):
        old = by_name(left.get(path, ()))
        found[path] = [
            line
            if groups is not None and name not in groups
            else _with_member(path, line, old.get(name, b""), user)
            for line in found[path]
            for name in (name_of(line),)
        ]
    return found


def _with_member(path: str, line: bytes, old: bytes, user: str) -> bytes:
    mine = user.encode("utf-8", "surrogateescape")
    before = members_in(path, old)
    stay = {
        at: names if mine in before.get(at, ()) else [name for name in names if name != mine]
        for at, names in members_in(path, line).items()
    }
    return with_members(line, stay)


def _as_added(line: bytes, names: Collection[str]) -> bytes:
    """Of one of these as useradd leaves it, which gives no password."""
    fields = line.split(b":")
    if name_of(line) not in names or len(fields) < 2:
        return line
    return b":".join([fields[0], NO_PASSWORD, *fields[2:]])


def _is_added(now: Book, name: str, told: Mapping[str, str]) -> bool:
    """Whether the account may be the one that was `told`: nobody gave it anything else."""
    account = by_name(now.get(PASSWD, ())).get(name, b"").split(b":")
    secret = by_name(now.get(SHADOW, ())).get(name, b"").split(b":")
    if len(secret) > 1 and secret[1] != NO_PASSWORD:
        return False
    return len(account) <= max(_TOLD.values()) or all(
        option not in told or account[at] == told[option].encode("utf-8", "surrogateescape")
        for option, at in _TOLD.items()
    )


def _without_account(now: Book, left: Book, name: str, told: Mapping[str, str]) -> dict[str, Lines]:
    """Without what came of an account that was not there, unless somebody made it by hand."""
    if name in by_name(left.get(PASSWD, ())) or not _is_added(now, name, told):
        return dict(now)
    found = _with_members(now, left, name)
    for main, lists in ((PASSWD, OF_USERS), (GROUP, OF_GROUPS)):
        if name in by_name(left.get(main, ())):
            continue  # a group that was there is not the account's
        for path in found.keys() & set(lists):
            old = set(left.get(path, ()))
            found[path] = [one for one in found[path] if name_of(one) != name or one in old]
    return found
