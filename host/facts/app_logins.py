"""Who may log in to i-doit and TYPO3 with a password that everybody knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial

import msgspec

from host.base import Host, HostError
from host.facts.app_database import APP_DATABASES, TENANTS, Database, parse_table
from host.facts.base import Fact, Facts
from host.facts.mariadb import MARIADB
from host.mariadb import base_table, listed, rows, tell
from host.password_verify import fits_md5, is_md5, verify
from host.php_literals import NotPlain, scalar
from host.secret_text import Secret

IDOIT_NAMES = ("admin", "archivar", "author", "editor", "guest", "reader")
"""i-doit comes with these, each with its own name as the password."""

TYPO3_WORDS = ("password", "admin", "typo3", "joh316", "test", "123456", "12345678")
TYPO3_SLOW = ("password",)
"""Beside the name itself; each try at a new hash costs a tenth of a second."""

FIRST = "admin"
"""Of i-doit's logins, the one whose new hash is tried at every check; of TYPO3's it is the first
administrator. All others only where somebody wants it thorough."""


class Person(msgspec.Struct, frozen=True):
    """An account of an application. `weak`: what its password is, if anybody could guess it, "" if
    nothing is known against it, `None` where that could not be asked (`problem`). `untried`: its
    hash is of a new kind, and every try at it takes long.
    """

    application: str
    label: str
    kind: str
    database: str
    number: str
    name: str
    enabled: bool = True
    can_disable: bool = False
    weak: str | None = ""
    problem: str = ""
    untried: bool = False


class _Asked(msgspec.Struct, frozen=True):
    """A person, and the passwords to try on a hash that only PHP understands."""

    person: Person
    hashed: str
    candidates: tuple[Secret, ...]


OWN_NAME = "its own name"


def _read_persons(host: Host, facts: Facts, *, thorough: bool) -> tuple[Person, ...]:
    asked: list[_Asked] = []
    for one in facts.get(APP_DATABASES):
        if one.access is None or not one.is_local:
            continue
        there = facts.get(MARIADB).databases
        if one.application.kind == "typo3" and one.access.database in there:
            asked += _typo3(host, one, one.access.database, thorough)
        elif one.application.kind == "i-doit":
            tenants = facts.get(TENANTS).get(one.application.path, ())
            names = dict.fromkeys(t.database for t in tenants if t.login.is_local)
            for name in names:
                if name in there:
                    asked += _idoit(host, one, name, thorough)
    return tuple(_judged(host, asked))


def _idoit(host: Host, one: Database, database: str, thorough: bool) -> Iterable[_Asked]:
    prefix = "isys_cats_person_list__"
    answer = tell(
        host,
        f"SELECT * FROM {base_table(database, 'isys_cats_person_list')} WHERE"
        f" ({prefix}title IN ({listed(IDOIT_NAMES)}) OR {prefix}user_pass = MD5({prefix}title))"
        f" AND {prefix}user_pass <> '' ORDER BY {prefix}id;",
    )
    try:
        salt = scalar(host.read_bytes(one.config), "$g_crypto_hash").value
    except NotPlain:
        salt = ""
    for row in parse_table(rows(answer.stdout), prefix):
        name, hashed = row.get("title", ""), row.get("user_pass", "")
        person = Person(
            application=one.application.path,
            label=one.application.label,
            kind="i-doit",
            database=database,
            number=row.get("id", ""),
            name=name,
            enabled=row.get("disabled_login", "0") in ("", "0") and row.get("status", "2") == "2",
            can_disable="disabled_login" in row,
        )
        tried = (_salted(salt, name) or (Secret(name),)) if thorough or name == FIRST else ()
        yield _Asked(person, hashed, tried)


def _salted(salt: str, name: str) -> tuple[Secret, ...]:
    """As isys_helper_crypt hashes: the password, or the MD5 that an old release had of it."""
    old = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return (Secret(salt + name), Secret(salt + old)) if salt else ()


def _typo3(host: Host, one: Database, database: str, thorough: bool) -> Iterable[_Asked]:
    answer = tell(
        host,
        f"SELECT uid, username, password, admin FROM {base_table(database, 'be_users')} WHERE"
        " deleted = 0 AND disable = 0 AND username <> '_cli_' ORDER BY admin DESC, uid;",
    )
    for number, row in enumerate(parse_table(rows(answer.stdout), "")):
        name, hashed = row["username"], row["password"]
        person = Person(
            application=one.application.path,
            label=one.application.label,
            kind="typo3",
            database=database,
            number=row["uid"],
            name=name,
        )
        tried: tuple[str, ...] = ()
        if is_md5(hashed):
            tried = (name, *TYPO3_WORDS)
        elif thorough or number == 0:
            tried = (name, *TYPO3_SLOW)
        yield _Asked(person, hashed, tuple(Secret(word) for word in tried))


def _judged(host: Host, asked: list[_Asked]) -> Iterable[Person]:
    """The verdicts, with one question to PHP for all of them."""
    slow = [
        index
        for index, one in enumerate(asked)
        if one.hashed and not is_md5(one.hashed) and one.person.enabled and one.candidates
    ]
    problem = ""
    fits: set[int] = set()
    try:
        answers = verify(host, [(asked[index].hashed, asked[index].candidates) for index in slow])
        fits = {index for index, yes in zip(slow, answers, strict=True) if yes}
    except HostError as error:
        problem = str(error)
    for index, one in enumerate(asked):
        weak = quick(one.person.kind, one.person.name, one.hashed)
        untried = bool(one.hashed) and not is_md5(one.hashed) and not one.candidates
        if weak or index not in slow:
            yield msgspec.structs.replace(one.person, weak=weak, untried=untried)
        elif problem:
            yield msgspec.structs.replace(one.person, weak=None, problem=problem)
        else:
            said = (
                OWN_NAME
                if one.person.kind == "i-doit"
                else "its own name, or one that everybody knows"
            )
            yield msgspec.structs.replace(one.person, weak=said if index in fits else "")


def quick(kind: str, name: str, hashed: str) -> str:
    """What a look at the hash alone tells. Pure."""
    if not hashed:
        return "none at all" if kind == "typo3" else ""
    if fits_md5(name, hashed):
        return OWN_NAME
    if kind == "typo3" and is_md5(hashed):
        if any(fits_md5(word, hashed) for word in TYPO3_WORDS):
            return "one that everybody knows"
        return "kept as MD5 without salt"
    return ""


APP_PERSONS: Fact[tuple[Person, ...]] = Fact("app-persons", partial(_read_persons, thorough=False))
ALL_APP_PERSONS: Fact[tuple[Person, ...]] = Fact(
    "app-persons thorough", partial(_read_persons, thorough=True)
)
