"""What Apache answers without TLS, by every name: whether it sends visitors to https."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from host.base import Host, HostError, HttpAnswer
from host.facts.apache import APACHE, RUNNING
from host.facts.apache_http import ANSWERS, MOST_TARGETS, Target, has_host, targets
from host.facts.base import Fact, Facts

CHALLENGE = "/.well-known/acme-challenge/harden-tui"
"""A page that nobody has, where certbot and the like prove that a name is theirs."""

PLAIN_PORT, TLS_PORT = 80, 443
_ASIDE = 4


class PlainName(msgspec.Struct, frozen=True):
    """A name that is answered without TLS.

    `status`, `location`: of its first page (0: no answer, `problem` says why); `challenge` the
    same of `CHALLENGE`; `over_tls`: the status over TLS, 0 where it does not answer there.
    """

    target: Target
    status: int = 0
    location: str = ""
    problem: str = ""
    challenge: int = 0
    challenge_location: str = ""
    over_tls: int = 0


class Plain(msgspec.Struct, frozen=True):
    """All of them; `left_out` counts the names beyond `MOST_TARGETS`."""

    names: tuple[PlainName, ...]
    left_out: int = 0


def _read(host: Host, facts: Facts) -> Plain:
    apache = facts.get(APACHE)
    if not facts.get(RUNNING).pid:
        return Plain(())
    everyone = targets(apache, aliases=True)
    plain = [one for one in everyone if not one.tls and one.port == PLAIN_PORT]
    secure = {
        one.name.lower(): one
        for one in everyone
        if one.tls and one.port == TLS_PORT and (has_host(apache, one) or one.name == "localhost")
    }
    known = {one.target: one.page for one in facts.get(ANSWERS).asked if one.page is not None}
    with ThreadPoolExecutor(_ASIDE) as pool:
        names = pool.map(
            lambda one: _ask(host, known, one, secure.get(one.name.lower())), plain[:MOST_TARGETS]
        )
        return Plain(tuple(names), max(len(plain) - MOST_TARGETS, 0))


def _ask(
    host: Host, known: Mapping[Target, HttpAnswer], target: Target, secure: Target | None
) -> PlainName:
    try:
        page = known.get(target) or _answer(host, target, "/")
        challenge = _answer(host, target, CHALLENGE)
    except HostError as error:
        return PlainName(target, problem=str(error))
    try:
        over_tls = (known.get(secure) or _answer(host, secure, "/")).status if secure else 0
    except HostError:
        over_tls = 0
    return PlainName(
        target,
        status=page.status,
        location=_location(page),
        challenge=challenge.status,
        challenge_location=_location(challenge),
        over_tls=over_tls,
    )


def _answer(host: Host, target: Target, path: str) -> HttpAnswer:
    return host.http(
        path, port=target.port, tls=target.tls, host_header=target.name, address=target.address
    )


def _location(answer: HttpAnswer) -> str:
    return next(iter(answer.header("location")), "")


PLAIN: Fact[Plain] = Fact("apache-plain", _read)
