"""What Apache answers without TLS, by every name: whether it sends visitors to https."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec

from host.base import Host, HostError
from host.facts.apache import APACHE, RUNNING
from host.facts.apache_http import MOST_TARGETS, Target, has_host, targets
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
    with ThreadPoolExecutor(_ASIDE) as pool:
        names = pool.map(
            lambda one: _ask(host, one, secure.get(one.name.lower())), plain[:MOST_TARGETS]
        )
        return Plain(tuple(names), max(len(plain) - MOST_TARGETS, 0))


def _ask(host: Host, target: Target, secure: Target | None) -> PlainName:
    try:
        status, location = _answer(host, target, "/")
        challenge, challenge_location = _answer(host, target, CHALLENGE)
    except HostError as error:
        return PlainName(target, problem=str(error))
    try:
        over_tls = _answer(host, secure, "/")[0] if secure else 0
    except HostError:
        over_tls = 0
    return PlainName(
        target,
        status=status,
        location=location,
        challenge=challenge,
        challenge_location=challenge_location,
        over_tls=over_tls,
    )


def _answer(host: Host, target: Target, path: str) -> tuple[int, str]:
    answer = host.http(
        path, port=target.port, tls=target.tls, host_header=target.name, address=target.address
    )
    return answer.status, next(iter(answer.header("location")), "")


PLAIN: Fact[Plain] = Fact("apache-plain", _read)
