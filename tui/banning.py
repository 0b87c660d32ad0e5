"""Banning from the screen: asks once, then the hands do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steps.login_failures import LoginReport
from tui.text import BLANK, Line, clean, paragraph
from tui.views.logins import address_row, counts_words, jail_for
from tui.wire import AcceptedAnswer

if TYPE_CHECKING:
    from tui.app import HardenApp


def banning(app: HardenApp, report: LoginReport | None, address: str, *, ban: bool) -> None:
    """Ask about `address`, and have it banned or let in."""
    row = address_row(report, address)
    if row is None:
        return
    from tui.dialogs import Confirm

    jail = jail_for(row, report)
    held = ", ".join(row.banned)
    arguments = ["ban", address, "--jail", jail, "--yes"] if ban else ["unban", address, "--yes"]
    command = " ".join(["sudo harden-tui", *arguments[:-1]])

    def body(width: int) -> list[Line]:
        tried = f"Failed logins: {counts_words(row.counts)}"
        names = f", as {clean(', '.join(row.accounts))}" if row.accounts else ""
        what = (
            f"The jail {jail} shuts it out for its ban time. Connections that stand are cut off."
            if ban
            else f"It may try again at once; banned by {held}."
        )
        return [
            *paragraph(f"{tried}{names}.", width), BLANK,
            *paragraph(what, width), BLANK, ((f"$ {command}", "info"),),
        ]  # fmt: skip

    def answered(yes: bool | None) -> None:
        if yes:
            app.say("Asking fail2ban…")
            app.ask("banned", address, arguments, AcceptedAnswer)

    verb = "Ban" if ban else "Let in"
    app.push_screen(Confirm(f"{verb} {address}", body, verb=verb), answered)
