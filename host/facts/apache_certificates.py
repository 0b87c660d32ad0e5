"""The certificates of Apache: the files its configuration names, and what browsers would say."""

from __future__ import annotations

import base64
import binascii
from concurrent.futures import ThreadPoolExecutor

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.apache import APACHE, Apache
from host.facts.apache_config import Directive, VirtualHost
from host.facts.apache_http import Target
from host.facts.apache_tls import TLS
from host.facts.base import Fact, Facts
from host.facts.x509 import Certificate, CertificateError, parse_pem

_ASIDE = 4
_LARGEST_BYTES = 1024 * 1024


class KeyFile(msgspec.Struct, frozen=True):
    """A private key's file. `public`: its SubjectPublicKeyInfo (DER), empty where `problem` says
    why it is not known."""

    path: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    public: bytes = b""
    problem: str = ""


class OnDisk(msgspec.Struct, frozen=True):
    """What a virtual host will serve after a restart; `problem`: why that is not known.

    `has_others`: it names more than this one (for an RSA and an ECDSA key).
    """

    host: VirtualHost
    file: Directive
    key_line: Directive
    key: KeyFile
    chain: tuple[Certificate, ...] = ()
    problem: str = ""
    has_others: bool = False


class Certificates(msgspec.Struct, frozen=True):
    """`on_disk`: by the "file:line" of the `<VirtualHost>`; `refused`: why a client that trusts
    Debian's authorities refuses a name, "" where it does not."""

    on_disk: dict[str, OnDisk]
    refused: dict[Target, str]


def _read(host: Host, facts: Facts) -> Certificates:
    on_disk = {}
    keys: dict[str, KeyFile] = {}
    apache = facts.get(APACHE)
    for virtual in apache.hosts:
        file = of_host(apache, virtual, "SSLCertificateFile")
        if not virtual.tls or file is None:
            continue
        key_line = of_host(apache, virtual, "SSLCertificateKeyFile") or file
        path = " ".join(key_line.words)
        if path not in keys:
            keys[path] = read_key(host, path)
        chain, problem = read_chain(host, " ".join(file.words))
        own = [
            d for d in apache.config.named("SSLCertificateFile") if d.within == (virtual.section,)
        ]
        on_disk[virtual.section.origin] = OnDisk(
            virtual, file, key_line, keys[path], chain, problem, len(own) > 1
        )
    asked = [one.target for one in facts.get(TLS).spoken if one.chain]
    if not asked:
        return Certificates(on_disk, {})
    with ThreadPoolExecutor(_ASIDE) as pool:
        refused = dict(zip(asked, pool.map(lambda one: _refused(host, one), asked), strict=True))
    return Certificates(on_disk, refused)


def of_host(apache: Apache, virtual: VirtualHost, name: str) -> Directive | None:
    """The first line of a virtual host, or the whole server's: with two keys (RSA and ECDSA) the
    first pair belongs together."""
    lines = apache.config.named(name)
    own = [d for d in lines if d.within == (virtual.section,)]
    return next(iter([*own, *(d for d in lines if not d.within)]), None)


def read_chain(host: Host, path: str) -> tuple[tuple[Certificate, ...], str]:
    """The certificates of a PEM file, and why they cannot be read."""
    try:
        return parse_pem(host.read_bytes(path, limit_bytes=_LARGEST_BYTES)), ""
    except CertificateError as error:
        return (), f"{path} is no certificate: {error}"
    except HostError as error:
        return (), str(error)


def read_key(host: Host, path: str) -> KeyFile:
    """Whose private key `path` holds; the key itself never leaves openssl."""
    real = host.realpath(path)
    state = host.state(real)
    if state is None:
        return KeyFile(path, problem=f"{path} does not exist")
    known = KeyFile(path, state.mode, state.uid, state.gid)
    try:
        # An empty password, so that openssl asks nobody for that of an encrypted key.
        answer = host.run(
            ("openssl", "pkey", "-in", real, "-pubout", "-passin", "pass:"), ok=None, timeout_s=10.0
        )
    except CommandMissing:
        why = "openssl is not installed, so whose key this is cannot be told"
        return msgspec.structs.replace(known, problem=why)
    public = parse_public_key(answer.stdout) if answer.ok else b""
    if not public:
        why = f"openssl cannot read {path} (is it encrypted, or no private key?)"
        return msgspec.structs.replace(known, problem=why)
    return msgspec.structs.replace(known, public=public)


def parse_public_key(text: str) -> bytes:
    """ "-----BEGIN PUBLIC KEY----- … -----END PUBLIC KEY-----" as DER; empty where it is none."""
    _, begin, rest = text.partition("-----BEGIN PUBLIC KEY-----")
    body, end, _ = rest.partition("-----END PUBLIC KEY-----")
    if not (begin and end):
        return b""
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _refused(host: Host, target: Target) -> str:
    try:
        answer = host.tls(address=target.address, port=target.port, name=target.name, trusted=True)
    except HostError as error:
        return str(error)
    return answer.refused


CERTIFICATES: Fact[Certificates] = Fact("apache-certificates", _read)
