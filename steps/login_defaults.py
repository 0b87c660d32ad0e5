"""Who can log in over SSH now: what the parameters about logins begin with."""

from __future__ import annotations

import time

from host.base import Host, HostError
from host.facts import Facts
from host.facts.login import ACCOUNTS, Account, parse_authorized_keys
from host.facts.sshd import SSHD_EFFECTIVE, Effective
from steps.guard_keys import key_paths

ADMINISTRATORS = "sudo"
_ROOT_COMES = ("yes", "without-password", "prohibit-password")
_SECONDS_A_DAY = 86400


def who_can(host: Host, facts: Facts) -> list[Account]:
    """The accounts that a key or password lets in now, AllowGroups and the like left aside.

    Raises `FactUnavailable`.
    """
    settings = facts.get(SSHD_EFFECTIVE)
    today = int(time.time() // _SECONDS_A_DAY)
    return [
        account
        for account in facts.get(ACCOUNTS).values()
        if account.has_shell
        and not account.expired(today)
        and (account.uid != 0 or settings.get("permitrootlogin") in _ROOT_COMES)
        and (_by_password(account, settings) or _by_key(host, account, settings))
    ]


def login_groups(host: Host, facts: Facts) -> tuple[str, ...]:
    """The groups AllowGroups names, or else such that everybody who can log in now still can: sudo
    for its members, for others their own group."""
    named = facts.get(SSHD_EFFECTIVE).get("allowgroups", "")
    if named:
        return tuple(dict.fromkeys(named.split()))
    found = {
        ADMINISTRATORS if ADMINISTRATORS in account.groups else account.groups[0]
        for account in who_can(host, facts)
        if account.groups
    }
    return tuple(sorted(found, key=lambda name: (name != ADMINISTRATORS, name)))


def login_users(facts: Facts) -> tuple[str, ...]:
    """The names in AllowUsers, without the places they may come from."""
    named = facts.get(SSHD_EFFECTIVE).get("allowusers", "")
    users = [entry.partition("@")[0] for entry in named.split()]
    return tuple(dict.fromkeys(user for user in users if user != "*"))


def _by_password(account: Account, settings: Effective) -> bool:
    if account.password != "usable":
        return False
    if account.uid == 0 and settings.get("permitrootlogin") != "yes":
        return False
    asked = ("passwordauthentication", "kbdinteractiveauthentication")
    return any(settings.get(option) == "yes" for option in asked)


def _by_key(host: Host, account: Account, settings: Effective) -> bool:
    if settings.get("pubkeyauthentication") == "no":
        return False
    for path in key_paths(account, settings):
        try:
            text = host.read_bytes(path).decode("utf-8", "replace")
        except HostError:
            continue
        if parse_authorized_keys(text):
            return True
    return False
