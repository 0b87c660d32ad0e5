"""`ban` and `unban`: fail2ban shuts out an address, or lets it in again."""

from __future__ import annotations

import argparse
import ipaddress

from host.base import HostError
from host.facts import fail2ban_bans
from host.facts.fail2ban_bans import Bans
from host.logins import recorded
from steps.bans import refusal
from tui.cli_change import ask, must_be_root, must_have_consent
from tui.failures import Stop, refused, usage
from tui.options import Options
from tui.out import Out
from tui.session import Session, open_session

FAILED = 4


def ban(options: Options, arguments: argparse.Namespace) -> int:
    """Exit 0 where it is banned, 3 where that is refused."""
    session, address = _begin(options, arguments)
    bans = _known(session)
    jail = arguments.jail or "sshd"
    logged_in = [login.address for login in recorded()] if not options.practice else []
    mine = [session.host.session().client_address, *logged_in]
    reason = refusal(address, jail, bans, mine)
    if reason:
        raise refused(reason)
    if address in bans.banned.get(jail, ()):
        return _answer(options, f"{address} is banned by {jail} already.")
    if not arguments.yes:
        ask(f"Have {jail} ban {address}?")
    _tell(session, jail, "banip", address)
    session.log.append("ban", address=address, jail=jail)
    return _answer(options, f"{address} is banned by the jail {jail}.")


def unban(options: Options, arguments: argparse.Namespace) -> int:
    """Exit 0 where it is let in, 3 where nothing held it."""
    session, address = _begin(options, arguments)
    held = [jail for jail, banned in sorted(_known(session).banned.items()) if address in banned]
    jails = [jail for jail in held if not arguments.jail or jail == arguments.jail]
    if not jails:
        raise refused(f"{address} is banned by no jail{' of that name' if arguments.jail else ''}.")
    if not arguments.yes:
        ask(f"Have {', '.join(jails)} let {address} in again?")
    for jail in jails:
        _tell(session, jail, "unbanip", address)
        session.log.append("unban", address=address, jail=jail)
    return _answer(options, f"{address} is let in again by {', '.join(jails)}.")


def _begin(options: Options, arguments: argparse.Namespace) -> tuple[Session, str]:
    try:
        address = str(ipaddress.ip_address(arguments.address))
    except ValueError:
        raise usage(f"{arguments.address!r} is no IP address.") from None
    session = open_session(options)
    must_be_root(session)
    must_have_consent(arguments)
    return session, address


def _known(session: Session) -> Bans:
    bans = fail2ban_bans.ask(session.host)
    if bans.problem:
        raise refused(f"Nothing was changed: {bans.problem}.")
    return bans


def _tell(session: Session, jail: str, what: str, address: str) -> None:
    try:
        session.host.run(("fail2ban-client", "set", jail, what, address), timeout_s=20.0)
    except HostError as error:
        raise Stop(FAILED, str(error)) from None


def _answer(options: Options, sentence: str) -> int:
    out = Out()
    if options.format == "text":
        out.line(sentence, "ok")
    else:
        out.json({"schema": "harden-tui/answer/1", "summary": sentence})
    return 0
