"""Failed logins as rows: by address, with how near each is to the limit, and by account."""

from __future__ import annotations

import time
from typing import Final, Literal

from steps.login_failures import AccountRow, AddressRow, LoginReport
from tui.login_text import counts_words, over, standing
from tui.text import Line, Role, Row, aligned, clean, cut, fit, wrap

Below = Literal["services", "addresses", "accounts"]
BELOW: Final[tuple[Below, ...]] = ("services", "addresses", "accounts")
WINDOWS: Final = ("15m", "1h", "24h", "7d")

__all__ = ["BELOW", "WINDOWS", "Below", "address_row", "counts_words", "header", "jail_for",
           "rows", "sentence"]  # fmt: skip


def address_row(report: LoginReport | None, address: str) -> AddressRow | None:
    """The row of an address, if there is one."""
    found = report.addresses if report is not None else ()
    return next((row for row in found if row.address == address), None)


def jail_for(row: AddressRow, report: LoginReport | None) -> str:
    """The jail that counts what this address did, else that of SSH."""
    names = [jail.name for jail in report.jails] if report is not None else []
    return row.jail or ("sshd" if "sshd" in names or not names else names[0])


def rows(report: LoginReport | None, below: Below, wanted: str, width: int) -> list[Row]:
    """Rows that match, the worst first."""
    if report is None:
        return [Row("", (("Asking the host…", "dim"),))]
    found: list[Row] = []
    words = wanted.lower().split()
    if below == "addresses":
        for one in report.addresses:
            text = f"{one.address} {' '.join(one.accounts)} {' '.join(one.banned)} {standing(one)}"
            if all(word in text.lower() for word in words):
                found.append(Row(one.address, _address_line(one, width - 2)))
    else:
        for account in report.accounts:
            if all(word in account.account.lower() for word in words):
                found.append(Row(f"@{account.account}", _account_line(account, width - 2)))
    return found or [Row("", ((line, "dim"),)) for line in _nothing(report, words, width)]


def _nothing(report: LoginReport, words: list[str], width: int) -> list[str]:
    if report.problems:
        return wrap(f"No failed login was seen, but {'; '.join(report.problems)}.", width)
    return ["Nothing matches." if words else "No login failed in this time."]


def _role(row: AddressRow) -> Role:
    if over(row):
        return "bad"
    if row.banned:
        return "ok"
    return "warn" if row.limit and 2 * row.near >= row.limit else ""


def _address_line(row: AddressRow, width: int) -> Line:
    sign = "!" if over(row) else " "
    who = clean(", ".join(row.banned) if row.banned else ", ".join(row.accounts)) or "–"
    return (
        (fit(row.address, 25) + " ", ""),
        (fit(f"{standing(row)}{sign}", 8) + " ", _role(row)),
        (fit(counts_words(row.counts), 18) + " ", ""),
        (fit(_clock(row.last_s), 6), "dim"),
        (cut(who, width - 60), "dim"),
    )


def _account_line(row: AccountRow, width: int) -> Line:
    many = "address" if row.addresses == 1 else "addresses"
    return (
        (fit(clean(row.account), 25) + " ", ""),
        (fit(f"{sum(row.counts.values())}", 8) + " ", ""),
        (fit(counts_words(row.counts), 18) + " ", ""),
        (fit(_clock(row.last_s), 6), "dim"),
        (cut(f"from {row.addresses} {many}", width - 60), "dim"),
    )


def _clock(at_s: float) -> str:
    return time.strftime("%H:%M", time.localtime(at_s)) if at_s else "–"


def header(report: LoginReport | None, below: Below, window: str, width: int) -> list[Line]:
    """Title with what is known of the whole, and the names of the columns."""
    by = "address" if below == "addresses" else "account"
    right = f"last {window}"
    if report is not None:
        banned = sum(jail.banned for jail in report.jails)
        right = f"{report.failures} in {window}, {banned} banned"
        if report.problems:
            right = cut(report.problems[0], max(10, width - 30))
    columns = ("address", "limit") if by == "address" else ("account", "in all")
    last = "accounts, or who bans it" if by == "address" else "where from"
    return [
        aligned(((f"Failed logins by {by}", "bold"),), ((right, "dim"),), width),
        (
            ("  ", ""), (fit(columns[0], 26), "dim"), (fit(columns[1], 9), "dim"),
            (fit("by kind", 19), "dim"), (fit("last", 6), "dim"), (last, "dim"),
        ),
    ]  # fmt: skip


def sentence(report: LoginReport | None, below: Below, chosen: str) -> str:
    """What the chosen row has no room for."""
    if report is None or below != "addresses":
        return ""
    row = address_row(report, chosen)
    if row is None:
        return ""
    if row.banned:
        return f"u lets {row.address} in again · banned by {', '.join(row.banned)}"
    parts = [f"x bans {row.address}"]
    if row.limit:
        parts.append(f"{row.near} of {row.limit} that {row.jail} allows")
    if over(row):
        parts.append("over the limit and not banned: ignored, or let in by hand")
    return " · ".join(parts)
