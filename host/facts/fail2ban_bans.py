"""Who is banned now, and by which jail's rule: all of it in two questions."""

from __future__ import annotations

import ast
import re
from typing import Any

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.fail2ban import MAIL_ONLY, Jail, parse_interactive, questions

_JAILS = re.compile(r"Jail list:\s*(.*)")


class Bans(msgspec.Struct, frozen=True):
    """`jails` that run, and what each has banned. `problem`: why nothing is known."""

    jails: dict[str, Jail] = {}
    banned: dict[str, tuple[str, ...]] = {}
    problem: str = ""


def ask(host: Host) -> Bans:
    """What fail2ban says now. Raises nothing: `problem` says why there is no answer."""
    try:
        status = host.run(("fail2ban-client", "status"), ok=None, timeout_s=10.0)
        if not status.ok:
            said = (status.stderr or status.stdout).strip().splitlines()
            what = "answers root only" if "ermission" in status.stderr else "does not run"
            return Bans(problem=f"fail2ban {what if said else 'does not answer'}")
        names = jails_of(status.stdout)
        answer = host.run(
            ("fail2ban-client", "-i"), stdin=b"banned\n" + questions(names), ok=None, timeout_s=20.0
        )
    except CommandMissing:
        return Bans(problem="fail2ban is not installed")
    except HostError as error:
        return Bans(problem=str(error))
    return parse(answer.stdout, names)


def jails_of(text: str) -> tuple[str, ...]:
    """`fail2ban-client status`: "`- Jail list:\\tsshd, apache-auth"."""
    found = _JAILS.search(text)
    return tuple(re.findall(r"[A-Za-z0-9_-]+", found[1])) if found else ()


def parse(text: str, names: tuple[str, ...]) -> Bans:
    """The answers to `banned` and to `questions(names)`, each behind its prompt."""
    first, _, rest = text.partition("fail2ban> ")[2].partition("fail2ban> ")
    return Bans(parse_interactive(f"fail2ban> {rest}", names), parse_banned(first))


def parse_banned(text: str) -> dict[str, tuple[str, ...]]:
    """[{'sshd': ['192.0.2.7']}, {'web': []}]; empty for any other text."""
    try:
        jails: Any = ast.literal_eval(text.strip() or "[]")
        return {
            str(name): tuple(str(one).split()[0] for one in banned)
            for jail in jails
            for name, banned in jail.items()
            if name not in MAIL_ONLY
        }
    except (ValueError, SyntaxError, AttributeError, TypeError, IndexError, MemoryError):
        return {}
