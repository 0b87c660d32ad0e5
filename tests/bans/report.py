"""The result as a page for the documentation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.bans.measuring import Found

INTRODUCTION = """\
# Evidence: failed logins, out of {rows:,} rows and {lines:,} lines

Written by `make bans`, never by hand. On a fresh host with TYPO3's table sys_log of {rows:,} rows,
a log of i-doit and a log of Apache of {lines:,} lines each, the steps typo3.backend-bans and
app.backend-bans are applied as an administrator applies them. Measured is how late a failed login
reaches fail2ban, what the services cost, and whether anybody who writes waits for them.
"""

NOTES = """\
## How

- "From a failed login to fail2ban's journal": from the commit of the row to the time of its line in
  the journal, while another client writes 200 rows a second. The service looks once a second.
- "To the ban": until `fail2ban-client status` and the set in the kernel both have the address.
- The busy writer commits each row by itself, as TYPO3 does.
- Memory is the proportional share (Pss), and the peak of the resident set.
- Run it again: `make bans BANS="--suite trixie"`.
"""


def page(facts: Mapping[str, str], found: Sequence[Found], rows: int, lines: int) -> str:
    """The whole page."""
    parts = [INTRODUCTION.format(rows=rows, lines=lines), ""]
    parts += [f"- {name}: {value}" for name, value in facts.items()]
    wrong = [f"{one.suite}: {sentence}" for one in found for sentence in one.wrong]
    parts += ["", "**Everything that must hold held.**" if not wrong else "**Wrong:**"]
    parts += [f"- {sentence}" for sentence in wrong]
    for one in found:
        parts += ["", f"## {one.suite}", "", "| what | measured |", "|---|---|"]
        parts += [f"| {what} | {how} |" for what, how in one.rows]
    return "\n".join([*parts, "", NOTES])
