"""The accounts of /etc/passwd and /etc/shadow themselves, with the lines that decide."""

from __future__ import annotations

from typing import Literal

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts, FactUnavailable

PASSWD = "/etc/passwd"
SHADOW = "/etc/shadow"

PasswordState = Literal["usable", "locked", "empty"]


class LocalAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that this host keeps itself, so that usermod(8) can change it.

    `password`: "usable", "locked" (no password can match), "empty" (none is asked for). `origin`
    is the line of the account, `password_origin` the one that holds its password. The days count
    from 1970-01-01; -1 where the field is empty.
    """

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    origin: str
    password: PasswordState
    password_origin: str
    changed_day: int = -1
    minimum_days: int = -1
    maximum_days: int = -1
    warn_days: int = -1
    inactive_days: int = -1


def parse_local_accounts(passwd: str, shadow: str) -> dict[str, LocalAccount]:
    """/etc/passwd and /etc/shadow: {"alice": LocalAccount(name="alice", uid=1000, …)}.

    Lines that the system would not take for an account are left out; of two with one name the
    first counts, as for getpwnam(3).
    """
    secrets: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(shadow.split("\n"), 1):
        fields = line.split(":")
        if len(fields) > 1:
            secrets.setdefault(fields[0], (number, fields))
    found: dict[str, LocalAccount] = {}
    for number, line in enumerate(passwd.split("\n"), 1):
        fields = line.split(":")
        if len(fields) < 7 or not (_is_number(fields[2]) and _is_number(fields[3])):
            continue
        name, secret = fields[0], fields[1]
        place = origin = f"{PASSWD}:{number}"
        aging: list[str] = []
        if secret == "x":
            line_number, aging = secrets.get(name, (0, []))
            secret = aging[1] if aging else "*"
            place = f"{SHADOW}:{line_number}" if line_number else SHADOW
        found.setdefault(
            name,
            LocalAccount(
                name=name,
                uid=int(fields[2]),
                gid=int(fields[3]),
                home=fields[5] or "/",
                shell=fields[6] or "/bin/sh",
                origin=origin,
                password=_state(secret),
                password_origin=place,
                changed_day=_day(aging, 2),
                minimum_days=_day(aging, 3),
                maximum_days=_day(aging, 4),
                warn_days=_day(aging, 5),
                inactive_days=_day(aging, 6),
            ),
        )
    return found


def _state(secret: str) -> PasswordState:
    if not secret:
        return "empty"
    return "usable" if secret[0] in "$_./" or secret[0].isalnum() else "locked"


def _day(fields: list[str], index: int) -> int:
    return int(fields[index]) if len(fields) > index and _is_number(fields[index]) else -1


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _local_accounts(host: Host, facts: Facts) -> dict[str, LocalAccount]:
    if not host.is_root:
        raise FactUnavailable(f"passwords can be looked at by root only ({SHADOW})")
    texts = [host.read_bytes(path).decode("utf-8", "replace") for path in (PASSWD, SHADOW)]
    return parse_local_accounts(*texts)


LOCAL_ACCOUNTS: Fact[dict[str, LocalAccount]] = Fact("local-accounts", _local_accounts)
