"""What the mail programs of this host say of themselves."""

from __future__ import annotations

import re

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts

ALIASES = "/etc/aliases"
POSTFIX_KEYS = (
    "inet_interfaces", "relayhost", "smtp_tls_security_level", "smtp_tls_wrappermode",
    "smtp_tls_CAfile", "smtp_sasl_auth_enable", "smtp_sasl_password_maps",
    "smtp_sasl_security_options", "sender_canonical_maps", "alias_maps", "smtp_host_lookup",
)  # fmt: skip


def parse_pretend(text: str) -> dict[str, str]:
    """`msmtp --pretend`: {"host": "mail.example.org", "port": "587", "password": "*", …}.

    What is "(not set)" is ""; "_file" is where the account was found.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        account = re.fullmatch(r"using account \S+ from (/.*)", line.strip())
        if account:
            found["_file"] = account[1]
            continue
        name, equals, value = line.partition(" = ")
        if equals and re.fullmatch(r"[a-z_ ]+", name):
            found[name] = "" if value.strip() == "(not set)" else value.strip()
    return found


def parse_postconf(text: str) -> dict[str, str]:
    """`postconf relayhost …`: {"relayhost": "[mail.example.org]:587", …}."""
    pairs = (line.partition(" =") for line in text.splitlines() if " =" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def alias_of(name: str, text: str) -> tuple[str, int]:
    """Where mail for a local name goes, and the line that says so; ("", 0) where none does."""
    for number, line in enumerate(text.split("\n"), 1):
        found, colon, value = line.partition(":")
        if not colon or line.startswith((" ", "\t", "#")):
            continue
        if found.strip().strip('"').lower() == name.lower():
            return value.strip(), number
    return "", 0


def with_alias(name: str, to: str, text: str) -> str:
    """/etc/aliases in which mail for `name` goes to `to`; every other line as it was."""
    _, number = alias_of(name, text)
    lines = text.split("\n")
    if number:
        last = number
        while last < len(lines) and lines[last][:1] in (" ", "\t"):
            last += 1  # a line that begins with a blank goes on with the one before
        lines[number - 1 : last] = [f"{name}: {to}"]
        return "\n".join(lines)
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{end}{name}: {to}\n"


def _msmtp(host: Host, facts: Facts) -> dict[str, str]:
    try:
        answer = host.run(("msmtp", "--pretend", "--account=default", "--", "root"), ok=None)
    except CommandMissing:
        return {}
    return parse_pretend(answer.stdout)


def _postfix(host: Host, facts: Facts) -> dict[str, str]:
    try:
        return parse_postconf(host.run(("postconf", *POSTFIX_KEYS), ok=None).stdout)
    except CommandMissing:
        return {}


def _aliases(host: Host, facts: Facts) -> str:
    if host.state(ALIASES) is None:
        return ""
    try:
        return host.read_bytes(ALIASES).decode("utf-8", "surrogateescape")
    except HostError:
        return ""


MSMTP: Fact[dict[str, str]] = Fact("msmtp", _msmtp)
POSTFIX: Fact[dict[str, str]] = Fact("postfix", _postfix)
MAIL_ALIASES: Fact[str] = Fact("mail-aliases", _aliases)
"""The text of /etc/aliases; empty where there is none."""
