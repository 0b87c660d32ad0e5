"""Failed logins for `live`: looked at again and again, and as tables of text."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from host.base import Host
from host.facts import fail2ban_bans
from host.facts.fail2ban import seconds
from host.facts.fail2ban_bans import Bans
from host.login_failures import LoginFailures
from steps.login_failures import AddressRow, LoginReport, report
from tui.failures import usage
from tui.out import Out
from tui.text import clean, cut, fit

DEFAULT_WINDOW: Final = "1h"
LOGS_EACH_S: Final = 3.0
BANS_EACH_S: Final = 15.0
"""fail2ban's client takes a fifth of a second of a processor, so it is asked less often."""

SHOWN: Final = 10
"""Rows of each table of text."""

LONGEST_S: Final = 31 * 86400


def window_of(text: str) -> int:
    """Seconds in "15m", "24h" or "7d". Raises `Stop` (exit 2)."""
    known = seconds(text)
    if known is None or not 60 <= known <= LONGEST_S:
        raise usage(f"--window {text}: expected a time between 1m and 31d, such as 15m or 24h.")
    return known


class Watch:
    """Asks what is due, and tells what is known."""

    def __init__(self, host: Host, window_s: int) -> None:
        self.host = host
        self.window_s = window_s
        self.failures = LoginFailures(host, window_s)
        self.bans = Bans()
        self.known = LoginReport(window_s=window_s)
        self._logs_s = self._bans_s = float("-inf")

    def look(self) -> LoginReport:
        """The report as of now. Raises nothing: what cannot be asked is among its problems."""
        now_s = time.monotonic()
        logs_due = now_s - self._logs_s >= LOGS_EACH_S
        bans_due = now_s - self._bans_s >= BANS_EACH_S
        if logs_due:
            self._logs_s = now_s
            self.failures.look()
        if bans_due:
            self._bans_s = now_s
            self.bans = fail2ban_bans.ask(self.host)
        if logs_due or bans_due:
            problems = (self.failures.problem, self.bans.problem)
            attempts = list(self.failures.attempts)
            self.known = report(attempts, self.bans, time.time(), self.window_s, problems)
        return self.known


def counts_words(counts: Mapping[str, int]) -> str:
    """ "ssh 3 web 1"."""
    return " ".join(f"{kind} {number}" for kind, number in sorted(counts.items())) or "–"


def standing(row: AddressRow) -> str:
    """How an address stands with its jail: "banned", "3/5" or "–"."""
    if row.banned:
        return "banned"
    return f"{row.near}/{row.limit}" if row.limit else "–"


def over(row: AddressRow) -> bool:
    """Whether it reached the limit and is not banned (it is ignored, or was let go)."""
    return bool(row.limit) and row.near >= row.limit and not row.banned


def show_logins(out: Out, found: LoginReport) -> None:
    """By address, then by account, the worst first."""
    out.line()
    hours, minutes = found.window_s // 3600, found.window_s // 60
    time_back = f"{hours} h" if found.window_s % 3600 == 0 else f"{minutes} min"
    seen = found.failures or ("none seen" if found.problems else 0)
    out.line(f"FAILED LOGINS  {seen} in {time_back}", "bold")
    for problem in found.problems:
        out.line(f"  {problem}", "dim")
    if found.addresses:
        out.line(f"{'ADDRESS':<26} {'FAILED':<22} {'LIMIT':<8} ACCOUNTS", "bold")
    for row in found.addresses[:SHOWN]:
        role = "bad" if over(row) else "ok" if row.banned else ""
        names = cut(clean(", ".join(row.accounts)), 40)
        out.parts(
            (f"{row.address:<26} {fit(counts_words(row.counts), 22)} ", ""),
            (f"{standing(row):<8} ", role),
            (f"{names}{'  ' + ', '.join(row.banned) if row.banned else ''}", "dim"),
        )
    if found.accounts:
        out.line(f"{'ACCOUNT':<26} {'FAILED':<22} FROM", "bold")
    for account in found.accounts[:SHOWN]:
        many = "address" if account.addresses == 1 else "addresses"
        out.parts(
            (f"{fit(clean(account.account), 26)} {fit(counts_words(account.counts), 22)} ", ""),
            (f"{account.addresses} {many}", "dim"),
        )
    hidden = max(0, len(found.addresses) - SHOWN)
    if hidden:
        out.line(f"… and {hidden} more addresses (--format json has up to 100)", "dim")
