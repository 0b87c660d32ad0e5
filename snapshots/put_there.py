"""What somebody put into a directory that came with packages: no undo takes it away.

dpkg leaves such a file where it lies, and so does an undo. What programs write on their own goes
with them; it is told apart by its owner, its place and its name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from host.base import CommandMissing, FileState, Host
from host.names import is_utf8, visible
from snapshots import leftovers, put_kept
from snapshots.directories import parents
from snapshots.model import FileItem, Item
from snapshots.package_owners import batches, owners
from snapshots.package_ties import listed
from snapshots.persons import FIRST_PERSON

if TYPE_CHECKING:
    from snapshots.inversion import Inversion

WHY: Final = "it came later and no package has it, so it may be yours"
TOO_MUCH: Final = f"{WHY}; it is too large to be kept if a package's own script removes it"

_OF_PROGRAMS: Final = re.compile(r"/var/(log|cache|spool/(?!cron/))/?.*|.*/__pycache__/.*")
"""Logs, caches and queues (FHS 3.0, 5): what is root's there was written by a program."""

_OF_NOBODY: Final = range(61184, 65536)
"""systemd's dynamic users, and nobody."""

_SAYS_NOTHING: Final = re.compile(r"/etc/.*|/usr/share/(doc|man|locale|info)/.*")
"""What an administrator writes, or a program never reads."""

_SPECIAL: Final = re.compile(r"[][\\.^$*+?(){}|]")
_ESCAPED: Final = r"\\\g<0>"
_ENDS: Final = "($|[^[:alnum:]._/-])"
_IN_NAMES: Final = re.compile(r"[0-9A-Za-z._/-]")
"""After the name of a file, in an extended regular expression."""


def put_there(
    host: Host, came: Mapping[str, Item], known: Container[str], going: Iterable[str]
) -> dict[str, str]:
    """Which of the files that `came` somebody put there -> why it stays, as one clause.

    Not those `known`, as a transaction or dpkg has them, nor what belongs to a program's account,
    nor where the programs of the packages `going` name the very path. What lies in a directory of
    packages that stay is theirs.
    """
    going = {*going}
    there = {
        path: item
        for path, item in came.items()
        if path not in known and isinstance(item, FileItem) and _may_be_somebodys(path, item.state)
    }
    of_root = [path for path, item in there.items() if item.state.uid == 0]
    if of_root:
        for path in named_by(host, of_root, going):
            there.pop(path, None)
    there |= _of_packages_that_stay(host, came, known, going)
    kept = put_kept.smallest(host, there)
    return {path: WHY if path in kept else TOO_MUCH for path in sorted(there)}


def _of_packages_that_stay(
    host: Host, came: Mapping[str, Item], known: Container[str], going: Collection[str]
) -> dict[str, FileItem]:
    """The files of system accounts below directories that came, and only other packages have."""
    of_programs = {
        path: item
        for path, item in came.items()
        if path not in known and isinstance(item, FileItem)
        and item.state.kind in ("file", "symlink") and item.state.uid != 0
    }  # fmt: skip
    above = {path: [one for one in parents(path) if one in came] for path in of_programs}
    having = owners(host, {one for found in above.values() for one in found}) if going else {}
    theirs = {path for path, names in having.items() if not {*names} & {*going}}
    return {path: of_programs[path] for path, found in above.items() if theirs.intersection(found)}


def put_meanwhile(host: Host, came: Iterable[str], seen: Container[str]) -> list[str]:
    """Persons' files at and below what `came` that nobody had `seen` there when it was looked at.

    What system accounts and root write while packages go is taken for their scripts'.
    """
    return [
        path
        for path, item in leftovers.states(host, came).items()
        if path not in seen and isinstance(item, FileItem) and is_a_persons(item.state)
    ]


def sentence(paths: Collection[str]) -> str:
    """About what stays; empty where nothing does."""
    if not paths:
        return ""
    first = ", ".join(map(visible, sorted(paths)[: leftovers.NAMED]))
    more = f" and {len(paths) - leftovers.NAMED} more" if len(paths) > leftovers.NAMED else ""
    if len(paths) == 1:
        return f"1 file came later and no package has it, so it may be yours and stays: {first}."
    return (
        f"{len(paths)} files came later and no package has them, so they may be yours and stay: "
        f"{first}{more}."
    )


def not_kept(paths: Iterable[str], why: str) -> list[str]:
    """Sentences about what is gone and was not kept, and `why`: one each, or one for many."""
    gone = sorted(paths)
    if len(gone) <= leftovers.NAMED:
        return [removed(path, f"it was {why}") for path in gone]
    first = ", ".join(map(visible, gone[: leftovers.NAMED]))
    return [
        f"{first} and {len(gone) - leftovers.NAMED} more were removed by their packages' own "
        f"scripts; each was {why}."
    ]


def removed(path: str, what: str) -> str:
    """A sentence about what is gone; `what` became of it, a clause."""
    return f"{visible(path)} was removed by its package's own script; {what}."


def left_of(inversion: Inversion) -> list[str]:
    """What an undo leaves because somebody put it there."""
    return [one.delta.key for one in inversion.decisions if one.how == "left"]


def _may_be_somebodys(path: str, state: FileState) -> bool:
    if state.kind not in ("file", "symlink"):
        return False
    if state.uid == 0:
        return not _OF_PROGRAMS.fullmatch(path)
    return is_a_persons(state)


def is_a_persons(state: FileState) -> bool:
    """Whether it is a file or link of somebody who is no system account."""
    is_somebody = state.uid >= FIRST_PERSON and state.uid not in _OF_NOBODY
    return is_somebody and state.kind in ("file", "symlink")


def named_by(host: Host, paths: Iterable[str], packages: Iterable[str]) -> set[str]:
    """Those of `paths` that a program or script of `packages` has in it."""
    names = sorted(packages)
    if not names:
        return set()
    files = [
        path for path in listed(host, names) if is_utf8(path) and not _SAYS_NOTHING.fullmatch(path)
    ]
    # Programs put "/" before it, or the directory of a chroot. One line is one pattern.
    wanted = {path.lstrip("/"): path for path in paths if is_utf8(path) and "\n" not in path}
    found = _said(host, files, wanted, "-Fw", wanted)
    if found:  # once more: "app.db" says nothing of "app", which is a word in it
        patterns = [rf"\b{_SPECIAL.sub(_ESCAPED, word)}{_ENDS}" for word in sorted(found)]
        found = _said(host, files, wanted, "-E", patterns)
    return {wanted[word] for word in found}


def _said(
    host: Host, files: Sequence[str], wanted: Container[str], how: str, patterns: Iterable[str]
) -> set[str]:
    """The words among `wanted` that one of these `patterns` finds in `files`."""
    found = set[str]()
    given = "\n".join(patterns).encode()
    try:
        for part in batches(files):
            argv = ("grep", "-aohs", how, "-d", "skip", "-f", "-", "--")
            answer = host.run((*argv, *part), stdin=given, ok=None)
            for line in answer.stdout.splitlines():
                words = (line,) if _IN_NAMES.fullmatch(line[-1:]) else (line, line[:-1])
                found |= {word for word in words if word in wanted}
    except CommandMissing:
        return set()
    return found
