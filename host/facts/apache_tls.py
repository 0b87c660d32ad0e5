"""What Apache really does in TLS handshakes: for every name and port that speaks TLS."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec

from host.base import Host, HostError
from host.facts.apache import APACHE, RUNNING, Apache
from host.facts.apache_http import MOST_TARGETS, Target, targets
from host.facts.base import Fact, Facts
from host.facts.packages import PACKAGES
from host.facts.x509 import Certificate, CertificateError, parse_der
from host.handshake import Handshake, TlsVersion

WEAK_CIPHERS = "ALL:COMPLEMENTOFALL:!ECDHE+AESGCM:!ECDHE+CHACHA20:!aNULL:!eNULL"
"""What a client offers who knows none of the suites with forward secrecy and authenticated
encryption, which are the ones every version of Mozilla's guidelines since 5.8 has."""

_ASIDE = 4
_LIBRARIES = ("libssl3t64", "libssl3", "libssl1.1")


class Spoken(msgspec.Struct, frozen=True):
    """How one name at one port shakes hands. `problem`: why it could not be asked, else empty.

    `accepted`: protocols, the oldest first; TLS 1.0 and 1.1 count as one ("TLSv1.1 or older").
    `weak`: the suite it took from a client that knows only bad ones, "" where it refused;
    `ticket`: whether TLS 1.2 gave one, `None` where it does not speak it.
    """

    target: Target
    accepted: tuple[str, ...] = ()
    weak: str = ""
    ticket: bool | None = None
    chain: tuple[Certificate, ...] = ()
    problem: str = ""

    @property
    def certificate(self) -> Certificate | None:
        return self.chain[0] if self.chain else None


class Tls(msgspec.Struct, frozen=True):
    """All of them; `left_out` counts the names beyond `MOST_TARGETS`."""

    spoken: tuple[Spoken, ...]
    left_out: int = 0


def tls_targets(apache: Apache) -> list[Target]:
    return [target for target in targets(apache) if target.tls]


def _read_tls(host: Host, facts: Facts) -> Tls:
    if not facts.get(RUNNING).pid:
        return Tls(())
    everyone = tls_targets(facts.get(APACHE))
    if not everyone:
        return Tls(())
    with ThreadPoolExecutor(_ASIDE) as pool:
        spoken = tuple(pool.map(lambda one: _ask(host, one), everyone[:MOST_TARGETS]))
    return Tls(spoken, max(len(everyone) - MOST_TARGETS, 0))


def _ask(host: Host, target: Target) -> Spoken:
    def shake(first: TlsVersion, last: TlsVersion, ciphers: str = "") -> Handshake:
        return host.tls(
            address=target.address, port=target.port, name=target.name,
            versions=(first, last), ciphers=ciphers,
        )  # fmt: skip

    try:
        newest = shake("TLSv1.3", "TLSv1.3")
        usual = shake("TLSv1.2", "TLSv1.2")
        old = shake("TLSv1", "TLSv1.1", "ALL")
        weak = shake("TLSv1.2", "TLSv1.2", WEAK_CIPHERS)
        if usual.refused and not weak.refused:
            usual = weak
    except HostError as error:
        return Spoken(target, problem=str(error))
    accepted = [
        name
        for name, one in (("TLSv1.1 or older", old), ("TLSv1.2", usual), ("TLSv1.3", newest))
        if not one.refused
    ]
    if not accepted:
        return Spoken(target, problem=f"no handshake with {target.label}: {newest.refused}")
    shown = next(one for one in (newest, usual, old) if not one.refused)
    try:
        chain = tuple(parse_der(one) for one in shown.chain)
    except CertificateError as error:
        return Spoken(target, problem=f"the certificate of {target.label} cannot be read: {error}")
    return Spoken(
        target,
        accepted=tuple(accepted),
        weak="" if weak.refused else weak.cipher,
        ticket=None if usual.refused else usual.has_ticket,
        chain=chain,
    )


def _openssl(host: Host, facts: Facts) -> tuple[int, int]:
    packages = facts.get(PACKAGES)
    for name in _LIBRARIES:
        if name in packages:
            return parse_version(packages[name].version)
    return (0, 0)


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of a Debian version: "3.0.22-1~deb12u1" → (3, 0); (0, 0) where unreadable."""
    upstream = text.rpartition(":")[2].partition("-")[0].split(".")
    if len(upstream) < 2 or not all(part.isascii() and part.isdigit() for part in upstream[:2]):
        return (0, 0)
    return int(upstream[0]), int(upstream[1])


TLS: Fact[Tls] = Fact("apache-tls", _read_tls)
OPENSSL: Fact[tuple[int, int]] = Fact("openssl", _openssl)
"""Version of the library that Apache is linked with; (0, 0) where dpkg does not know it."""
