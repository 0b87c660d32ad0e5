"""Failed logins by address and by account, with how near each is to the limit of its jail. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from host.facts.fail2ban import Jail
from host.facts.fail2ban_bans import Bans
from host.login_failures import Attempt

JAIL_OF = {"ssh": "sshd", "typo3": "typo3-backend", "i-doit": "idoit-backend"}
"""Kind of a login -> the jail that counts it. What is found in the web server's logs belongs to
several."""

WEB_JAILS = ("typo3-web", "apache-auth")
MOST_ROWS = 100
NAMES_SHOWN = 3


class AddressRow(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` by kind in the window; `near` failures within its jail's own time, of `limit`.

    `jail` is the one that it is nearest to; `limit` 0 where no jail counts it. `banned`: jails.
    """

    address: str
    counts: dict[str, int]
    last_s: float
    accounts: tuple[str, ...] = ()
    jail: str = ""
    near: int = 0
    limit: int = 0
    banned: tuple[str, ...] = ()


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was tried, and from how many addresses."""

    account: str
    counts: dict[str, int]
    addresses: int
    last_s: float


class JailRow(msgspec.Struct, frozen=True, kw_only=True):
    """A jail's rule, -1 for ever, and how many it holds."""

    name: str
    maxretry: int | None = None
    findtime_s: int | None = None
    bantime_s: int | None = None
    banned: int = 0


class LoginReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last `window_s` seconds. `problems`: what could not be asked, and why."""

    window_s: int
    failures: int = 0
    addresses: tuple[AddressRow, ...] = ()
    accounts: tuple[AccountRow, ...] = ()
    jails: tuple[JailRow, ...] = ()
    problems: tuple[str, ...] = ()


def report(
    attempts: Sequence[Attempt], bans: Bans, now_s: float, window_s: int, problems: Iterable[str]
) -> LoginReport:
    """The worst first: banned ones last, because they can do no more."""
    by_address: dict[str, list[Attempt]] = {}
    by_account: dict[str, list[Attempt]] = {}
    for one in attempts:
        by_address.setdefault(one.address, []).append(one)
        if one.account:
            by_account.setdefault(one.account, []).append(one)
    for held in bans.banned.values():
        for address in held:
            by_address.setdefault(address, [])
    rows = [_address(address, found, bans, now_s) for address, found in by_address.items()]
    rows.sort(key=lambda row: (bool(row.banned), -sum(row.counts.values()), row.address))
    accounts = [
        AccountRow(
            account=name,
            counts=_counts(found),
            addresses=len({one.address for one in found}),
            last_s=max(one.at_s for one in found),
        )
        for name, found in by_account.items()
    ]
    accounts.sort(key=lambda row: (-sum(row.counts.values()), row.account))
    return LoginReport(
        window_s=window_s,
        failures=len(attempts),
        addresses=tuple(rows[:MOST_ROWS]),
        accounts=tuple(accounts[:MOST_ROWS]),
        jails=tuple(
            JailRow(
                name=name,
                maxretry=jail.maxretry,
                findtime_s=jail.findtime,
                bantime_s=jail.bantime,
                banned=len(bans.banned.get(name, ())),
            )
            for name, jail in sorted(bans.jails.items())
        ),
        problems=tuple(dict.fromkeys(problem for problem in problems if problem)),
    )


def _address(address: str, found: list[Attempt], bans: Bans, now_s: float) -> AddressRow:
    jail, near, limit = nearest(found, bans.jails, now_s)
    names: dict[str, int] = {}
    for one in found:
        if one.account:
            names[one.account] = names.get(one.account, 0) + 1
    return AddressRow(
        address=address,
        counts=_counts(found),
        last_s=max((one.at_s for one in found), default=0.0),
        accounts=tuple(sorted(names, key=lambda name: (-names[name], name))[:NAMES_SHOWN]),
        jail=jail,
        near=near,
        limit=limit,
        banned=tuple(name for name, held in sorted(bans.banned.items()) if address in held),
    )


def nearest(
    found: Sequence[Attempt], jails: Mapping[str, Jail], now_s: float
) -> tuple[str, int, int]:
    """(jail, failures within its time, its limit) where that is fullest; ("", 0, 0) for none."""
    best = ("", 0, 0)
    for kind in {one.kind for one in found}:
        names = (JAIL_OF[kind],) if kind in JAIL_OF else WEB_JAILS
        for name in names:
            jail = jails.get(name)
            if jail is None or not jail.maxretry or not jail.findtime:
                continue
            near = sum(one.kind == kind and one.at_s >= now_s - jail.findtime for one in found)
            if not best[2] or near * best[2] > best[1] * jail.maxretry:
                best = (name, near, jail.maxretry)
            break
    return best


def _counts(found: Sequence[Attempt]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in found:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    return counts
