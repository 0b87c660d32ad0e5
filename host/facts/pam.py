"""PAM: which modules a service asks, and what pam_access answers. Pure parsers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from host.facts.login import Account

Kind = Literal["auth", "account", "session", "password"]
Read = Callable[[str], str | None]

ACCESS: Final = "/etc/security/access.conf"
_DEEPEST: Final = 16


class Module(msgspec.Struct, frozen=True):
    """A line of a stack: "required", "pam_access.so", ("accessfile=/etc/x",)."""

    control: str
    name: str
    arguments: tuple[str, ...] = ()

    def argument(self, name: str) -> str:
        """The value of NAME=value, or ""."""
        for word in self.arguments:
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
        return ""


def stack(read: Read, service: str, kind: Kind, depth: int = 0) -> list[Module]:
    """The modules of a service, what it includes put in its place.

    Lines look like "account required pam_nologin.so", "@include common-account" and
    "account [success=1 default=ignore] pam_unix.so".
    """
    path = service if service.startswith("/") else f"/etc/pam.d/{service}"
    text = read(path)
    found: list[Module] = []
    if text is None or depth > _DEEPEST:
        return found
    for line in text.replace("\\\n", " ").splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("@include"):
            for name in line.split()[1:2]:
                found += stack(read, name, kind, depth + 1)
            continue
        parts = re.fullmatch(r"-?(\w+)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)", line)
        if not parts or parts[1].lower() != kind:
            continue
        if parts[2] in ("include", "substack"):
            found += stack(read, parts[3], kind, depth + 1)
        else:
            name = parts[3].rpartition("/")[2]
            found.append(Module(parts[2], name, tuple(parts[4].split())))
    return found


def access(
    text: str, account: Account, address: str, host_name: str = "", separator: str = ""
) -> tuple[bool | None, str]:
    """What access.conf decides for a login from `address`, and the line that does ("" if none).

    The first line that fits decides; where none does, the login is let in. `None`: a line that
    comes first cannot be judged here (netgroups, names of other hosts).
    """
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split(":", 2)]
        if len(fields) != 3 or fields[0] not in ("+", "-"):
            continue
        users, origins = (_words(field, separator) for field in fields[1:])
        fits = _both(
            _listed(users, lambda word: _is_user(word, account)),
            _listed(origins, lambda word: _is_origin(word, address, host_name)),
        )
        if fits is None:
            return None, line
        if fits:
            return fields[0] == "+", line
    return True, ""


def _words(field: str, separator: str) -> list[str]:
    return [word for word in re.split(f"[{re.escape(separator or ', ')}\t]+", field) if word]


def _both(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _listed(words: Sequence[str], fits: Callable[[str], bool | None]) -> bool | None:
    """ "A B EXCEPT C": any of the first, and none of those behind EXCEPT."""
    if "EXCEPT" in words:
        index = words.index("EXCEPT")
        inside = _listed(words[:index], fits)
        outside = _listed(words[index + 1 :], fits)
        return _both(inside, None if outside is None else not outside)
    answers = [fits(word) for word in words]
    return True if True in answers else None if None in answers else False


def _is_user(word: str, account: Account) -> bool | None:
    if word.startswith("@"):
        return None
    name, at, _ = word.partition("@")
    if at:
        return None if name in (account.name, "ALL") else False
    if word.startswith("(") and word.endswith(")"):
        return word[1:-1] in account.groups
    return word in ("ALL", account.name) or word in account.groups


def _is_origin(word: str, address: str, host_name: str) -> bool | None:
    if word == "ALL":
        return True
    if word == "LOCAL":
        return False  # a login over the network
    if word.startswith("@"):
        return None
    if word.endswith(".") and address.startswith(word):
        return True
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        pass
    else:
        if not address:
            return False
        me = ipaddress.ip_address(address.partition("%")[0])
        return network.version == me.version and me in network
    if word.startswith("."):
        return host_name.lower().endswith(word.lower()) if host_name else None
    if re.fullmatch(r"tty\S*|pts/\d+|console|:\d+|cron|\d[\d.]*\.", word):
        return False
    return host_name.lower() == word.lower() if host_name else None
