"""Which protocols, suites and curves TLS shall have: Mozilla's guideline as data, per OpenSSL."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources as package_files

import msgspec

from host.facts.apache_config import split_args

PROTOCOLS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`since`: the first OpenSSL ("3.5") that knows it."""

    name: str
    since: str


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ciphers` are those of TLS 1.2, in OpenSSL's names; none where only TLS 1.3 is spoken."""

    protocols: list[str]
    ciphers: list[str]


class Guideline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of Mozilla's guidelines. `suites` are those of TLS 1.3."""

    version: str
    curves: list[Curve]
    suites: list[str]
    profiles: dict[str, Profile]

    def curves_for(self, openssl: tuple[int, int]) -> list[str]:
        """The curves that this OpenSSL knows, the preferred first.

        Of an OpenSSL that is not known only those every one of them has.
        """
        return [c.name for c in self.curves if _version(c.since) <= max(openssl, (1, 0))]


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


@cache
def guideline() -> Guideline:
    """The guideline that comes with the program."""
    import yaml

    file = package_files.files("steps.resources").joinpath("mozilla_tls.yaml")
    return msgspec.convert(yaml.safe_load(file.read_text(encoding="utf-8")), Guideline)


def protocols_of(args: str) -> tuple[str, ...]:
    """What `SSLProtocol ARGS` turns on, the oldest first ("all -SSLv3 -TLSv1" …)."""
    chosen: set[str] = set()
    names = {name.lower(): name for name in PROTOCOLS}
    for word in split_args(args):
        sign, bare = (word[0], word[1:]) if word[:1] in ("+", "-") else ("", word)
        if bare.lower() == "all":
            meant = set(PROTOCOLS[1:])  # SSL 3 is not part of any OpenSSL of Debian
        else:
            meant = {names[bare.lower()]} if bare.lower() in names else set()
        if sign == "-":
            chosen -= meant | ({"SSLv3"} if bare.lower() == "all" else set())
        elif sign == "+":
            chosen |= meant
        else:
            chosen = meant
    return tuple(name for name in PROTOCOLS if name in chosen)


def suites_of(args: str) -> tuple[str, list[str]]:
    """`SSLCipherSuite ARGS` → for which protocol ("SSL": up to TLS 1.2, "TLSv1.3"), which."""
    words = split_args(args)
    protocol = words[0] if len(words) > 1 else "SSL"
    return protocol, [name for name in (words[-1] if words else "").split(":") if name]


def within(found: Iterable[str], allowed: Iterable[str]) -> bool:
    """Whether something was found, and all of it is allowed."""
    names = {name.lower() for name in found}
    return bool(names) and names <= {name.lower() for name in allowed}
