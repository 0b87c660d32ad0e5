"""Whether rules of auditd record what other rules would, however they are written. Pure.

A rule is taken apart into what it records: one call of one architecture under some conditions. So
it makes no difference whether calls stand in one rule or in several, in which order, or as what
`auditctl -l` prints them again; a rule with fewer conditions records more. The key is left out: it
names a record, and changes nothing about which are made.

Syntax: audit.rules(7), auditctl(8), and lib/libaudit.c and src/auditctl-listing.c of audit 3.0.9
and 4.0.2.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

ALL: Final = "all"

_OPTION: Final = re.compile(r"-([aACFSkpw])(.*)")
_FIELD: Final = re.compile(r"([a-z_0-9]+)(!=|>=|<=|&=|=|>|<|&)(.+)")
_COMPARED: Final = re.compile(r"([a-z_]+)(!?=)([a-z_]+)")
_NUMBER: Final = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_NUMBERS: Final = re.compile(
    r"auid|uid|[es]uid|fsuid|gid|[es]gid|fsgid|obj_[ug]id|a[0-3]|exit|p?pid|pers|success|sessionid"
    r"|dev(?:major|minor)|inode|saddr_fam"
)
_BITS: Final = {
    "b64": "b64", "x86_64": "b64", "aarch64": "b64", "ppc64": "b64", "ppc64le": "b64",
    "s390x": "b64", "riscv64": "b64",
    "b32": "b32", "i386": "b32", "i486": "b32", "i586": "b32", "i686": "b32", "arm": "b32",
    "armv7l": "b32", "ppc": "b32", "s390": "b32",
}  # fmt: skip

_BOTH: Final = frozenset(("open", "openat", "openat2"))
"""Open to read and to write."""

_CALLS: Final = {
    "r": _BOTH | frozenset(
        "readlink quotactl listxattr llistxattr flistxattr getxattr lgetxattr fgetxattr"
        " readlinkat".split()),
    "w": _BOTH | frozenset(
        "rename mkdir rmdir creat link unlink symlink mknod mkdirat mknodat unlinkat renameat"
        " linkat symlinkat renameat2 acct swapon quotactl truncate ftruncate bind fallocate"
        .split()),
    "x": frozenset(("execve",)),
    "a": frozenset(
        "chmod fchmod chown lchown fchown setxattr lsetxattr fsetxattr removexattr lremovexattr"
        " fremovexattr fchownat fchmodat link linkat".split()),
}  # fmt: skip
"""What auditctl makes of perm= since 4.0 where a rule names an architecture: lib/permtab.h."""


class Atom(NamedTuple):
    """("always,exit", "b64", "mount", {"auid>=1000", "auid!=4294967295"}); `call` may be "all"."""

    where: str
    arch: str
    call: str
    conditions: frozenset[str]


def atoms(rule: str, arches: Sequence[str], is_folder: Callable[[str], bool]) -> frozenset[Atom]:
    """What a rule records, as written or as `auditctl -l` prints it; nothing where it is not
    understood.

    `arches`: those of the machine, its own first. A rule without arch= is for all of them, but the
    calls it names are the first one's: the numbers of the others mean other calls. `is_folder` says
    of a path behind -w what auditctl makes of it, path= or dir=.
    """
    where, arch, letters = "", "", ""
    calls: set[str] = set()
    conditions: set[str] = set()
    watched = False
    for option, value in _options(rule) or [("", "")]:
        if option == "k" or (option == "F" and value.startswith("key=")):
            continue
        if option in ("a", "A"):
            where = ",".join(sorted(value.split(",")))
        elif option == "w":
            path = _bare(value)
            where, watched = "always,exit", True
            conditions.add(f"{'dir' if is_folder(path) else 'path'}={path}")
        elif option == "p":
            letters += value
        elif option == "S":
            calls.update(value.split(","))
        elif option == "F" and value.startswith("arch="):
            arch = _BITS.get(value.removeprefix("arch="), "unknown")
        elif option == "F" and value.startswith("perm="):
            letters += value.removeprefix("perm=")
        elif option == "F" and (field := _field(value)):
            conditions.add(field)
        elif option == "C" and (pair := _COMPARED.fullmatch(value)):
            one, other = sorted((pair[1], pair[3]))
            conditions.add(f"{one}{pair[2]}{other}")
        else:
            return frozenset()
    if not where:
        return frozenset()
    machines = (arch,) if arch else tuple(arches) if calls <= {ALL} else tuple(arches[:1])
    letters = letters.lower() or ("rwxa" if watched else "")
    return frozenset(
        Atom(where, machine, call, frozenset((*conditions, *permission)))
        for permission, named in _by_permission(letters, calls)
        for machine in machines
        for call in named
    )


def _by_permission(letters: str, calls: set[str]) -> list[tuple[tuple[str, ...], set[str]]]:
    """The calls for each letter of perm=: all where they are all that could have it."""
    if not letters:
        return [((), calls if calls - {ALL} and ALL not in calls else {ALL})]
    return [
        (
            (f"perm={letter}",),
            {ALL} if not calls or ALL in calls or _CALLS.get(letter, {ALL}) <= calls else calls,
        )
        for letter in letters
    ]


def missing(
    wanted: Iterable[str],
    there: Iterable[str],
    arches: Sequence[str],
    is_folder: Callable[[str], bool],
) -> list[str]:
    """Which of the rules `wanted` the rules `there`, together, do not do the work of."""
    known: dict[tuple[str, str, str], set[frozenset[str]]] = {}
    for rule in there:
        for where, arch, call, conditions in atoms(rule, arches, is_folder):
            known.setdefault((where, arch, call), set()).add(conditions)

    def recorded(atom: Atom) -> bool:
        return any(
            conditions <= atom.conditions
            for call in {atom.call, ALL}
            for conditions in known.get((atom.where, atom.arch, call), ())
        )

    found = {rule: atoms(rule, arches, is_folder) for rule in wanted}
    return [rule for rule, parts in found.items() if not parts or not all(map(recorded, parts))]


def _options(rule: str) -> list[tuple[str, str]] | None:
    """[("F", "auid>=1000"), …] of "-F auid>=1000 …", as getopt(3) takes them; `None`: not one."""
    words = iter(rule.split())
    found = []
    for word in words:
        option = _OPTION.fullmatch(word)
        value = "" if option is None else option[2] or next(words, "")
        if option is None or not value:
            return None
        found.append((option[1], value))
    return found


def _field(text: str) -> str:
    """ "auid!=-1" and "loginuid!=unset" as "auid!=4294967295"; "" where it is none."""
    parts = _FIELD.fullmatch(text)
    if not parts:
        return ""
    name, operator, value = parts.groups()
    name = {"loginuid": "auid"}.get(name, name)
    if name in ("path", "dir"):
        value = _bare(value)
    elif _NUMBERS.fullmatch(name):
        value = _number(value)
    return f"{name}{operator}{value}"


def _number(text: str) -> str:
    """As the kernel keeps it, in 32 bits without sign: names of errors, "unset" and root too."""
    if text == "unset":
        text = "-1"
    sign, name = ("-", text[1:]) if text.startswith("-") else ("", text)
    if name.startswith("E") and isinstance(getattr(errno, name, None), int):
        text = f"{sign}{getattr(errno, name)}"
    if text == "root":
        text = "0"
    if not _NUMBER.fullmatch(text):
        return text
    digits = text.lstrip("-")
    octal = digits.startswith("0") and digits.isdecimal()
    value = int(digits, 8 if octal else 0) * (-1 if text.startswith("-") else 1)
    return str(value % 2**32)


def _bare(path: str) -> str:
    return path.rstrip("/") or "/"
