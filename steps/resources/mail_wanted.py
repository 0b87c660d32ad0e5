"""What a mail relay shall be like, and how each mail program is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from steps.model import Finding

MSMTPRC = "/etc/msmtprc"
SASL = "/etc/postfix/harden-tui-relay-password"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
MARK = "# Written by harden-tui for the step"

_SECRET = re.compile(r'(?m)^password "(.*)"$')


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The YAML body. `sender` stands in every mail as its sender; `to` gets root's mail; `user`
    and `password` are empty where the relay asks for none; `test_to` gets one test mail after each
    apply, nobody where it is empty."""

    by: Literal["msmtp", "postfix"]
    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    authorities: str
    sender: str
    to: str
    user: str = ""
    password: str = ""
    test_to: str = ""


def msmtp_answers(wanted: Wanted) -> dict[str, str]:
    """What `msmtp --pretend` must say."""
    answers = {
        "host": wanted.host,
        "port": str(wanted.port),
        "tls": "off" if wanted.tls == "none" else "on",
        "from": wanted.sender,
        "allow_from_override": "off",
        "set_from_header": "on",
        "aliases": "/etc/aliases",
        "user": wanted.user,
        "password": "*" if wanted.user else "",
    }
    if wanted.tls != "none":
        answers["tls_starttls"] = "on" if wanted.tls == "starttls" else "off"
        answers["tls_certcheck"] = "on"
        answers["tls_trust_file"] = wanted.authorities
    return answers


def msmtprc(step_id: str, wanted: Wanted, password: str) -> str:
    """/etc/msmtprc for one relay."""
    lines = [
        f"{MARK} {step_id}.",
        "account default",
        f"host {wanted.host}",
        f"port {wanted.port}",
        f"from {wanted.sender}",
        "allow_from_override off",
        "set_from_header on",
        "aliases /etc/aliases",
        "syslog LOG_MAIL",
        f"tls {'off' if wanted.tls == 'none' else 'on'}",
    ]
    if wanted.tls != "none":
        lines += [
            f"tls_starttls {'on' if wanted.tls == 'starttls' else 'off'}",
            "tls_certcheck on",
            f"tls_trust_file {wanted.authorities}",
        ]
    if wanted.user:
        # msmtp takes all between the first and the last quote as it stands.
        lines += ["auth on", f"user {wanted.user}", f'password "{password}"']
    else:
        lines.append("auth off")
    return "\n".join(lines) + "\n"


def password_in(text: str) -> str:
    """The password of a file of ours; empty where there is none."""
    found = _SECRET.search(text)
    return found[1] if found else ""


def postfix_settings(wanted: Wanted) -> dict[str, str]:
    """What `postconf` must say."""
    return {
        "inet_interfaces": "loopback-only",
        # As every other program finds it: a relay of the house may stand in /etc/hosts only.
        "smtp_host_lookup": "native",
        "relayhost": f"[{wanted.host}]:{wanted.port}",
        "smtp_tls_security_level": "may" if wanted.tls == "none" else "secure",
        "smtp_tls_wrappermode": "yes" if wanted.tls == "tls" else "no",
        "smtp_tls_CAfile": wanted.authorities,
        "smtp_sasl_auth_enable": "yes" if wanted.user else "no",
        "smtp_sasl_password_maps": f"texthash:{SASL}" if wanted.user else "",
        "smtp_sasl_security_options": "noanonymous",
        "sender_canonical_maps": f"static:{wanted.sender}",
    }


def sasl_line(wanted: Wanted, password: str) -> str:
    """The one line of the password file of postfix; a text file, so that no second one has it."""
    return f"[{wanted.host}]:{wanted.port} {wanted.user}:{password}\n"


def password_in_sasl(text: str) -> str:
    return text.strip().partition(":")[2].partition(" ")[2].partition(":")[2]


def compared(
    resource: str, wanted: Mapping[str, str], said: Mapping[str, str], origin: str
) -> list[Finding]:
    """One finding for each setting; the password itself is in none of them."""
    return [
        Finding(
            resource=resource,
            setting=name,
            expected=value or "nothing",
            running=said.get(name, "") or "nothing",
            persistent=said.get(name, "") or "nothing",
            origin=origin,
            ok=said.get(name, "") == value,
        )
        for name, value in wanted.items()
    ]
