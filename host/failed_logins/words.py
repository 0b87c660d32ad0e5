"""One failed login, and the line by which it is handed over and read again."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import msgspec

LONGEST_ACCOUNT = 64
"""Characters of an account's name that are handed on: anybody may type anything there."""

NAMES: Final = {"typo3": "TYPO3", "i-doit": "i-doit"}
"""Application -> its name in a line."""

_LINE: Final = re.compile(r'(TYPO3|i-doit) refused a login from (\S+) to (\S+) as "(.*)"')


class Failure(msgspec.Struct, frozen=True):
    """A login that was refused at `at_s` (seconds since 1970, by the application's clock).

    `source` is the database, or the directory of the log, that it was found in.
    """

    application: str
    source: str
    address: str
    account: str
    at_s: int = 0

    def line(self) -> str:
        """The address stands before what a stranger typed, so that no name can pass for one."""
        source = re.sub(r"[^\w./-]", "_", self.source) or "-"
        return (
            f"{NAMES[self.application]} refused a login from {self.address} to {source}"
            f' as "{shown(self.account)}"'
        )


def shown(account: str) -> str:
    """A name on one line, without quotes and control characters, not longer than needed."""
    kept = "".join(
        "?" if not sign.isprintable() or sign in '"\\' else sign for sign in account
    ).strip()
    return kept if len(kept) <= LONGEST_ACCOUNT else f"{kept[: LONGEST_ACCOUNT - 1]}…"


def read_line(line: str, at_s: int = 0) -> Failure | None:
    """What `Failure.line` wrote; `None` for any other text."""
    found = _LINE.fullmatch(line)
    if found is None or plain(found[2]) is None:
        return None
    application = next(key for key, name in NAMES.items() if name == found[1])
    return Failure(application, found[3], found[2], found[4], at_s)


def plain(text: str) -> str | None:
    """An IP address as fail2ban bans it (IPv4 in IPv6 as IPv4); `None` for what is none."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return None
        return str(address.ipv4_mapped or address)
    return str(address)
