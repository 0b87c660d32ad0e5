"""TLS by the guideline: handshakes with a real server, and what is planned on recorded answers."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host import tls
from host.base import HostError
from host.facts.apache_tls import WEAK_CIPHERS, parse_version
from host.handshake import Handshake, TlsVersion
from steps.model import Finding
from steps.resources.apache_tls import ApacheTls
from steps.resources.apache_tls_policy import guideline, protocols_of, suites_of, within
from tests.unit.test_apache_resources import commands, written
from tests.unit.web_host import RECORDED, RELEASES, WebHost, recorded

NAME = "www.example.org"
DROP_IN = "/etc/apache2/conf-available/zz-harden-tui-apache.tls.conf"
OPENSSL = {"bookworm": "3.0.22-1~deb12u1", "trixie": "3.5.7-1~deb13u1"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(folder / "key"),
         "-out", str(folder / "pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "pem", folder / "key"


@pytest.fixture
def server(pair: tuple[Path, Path]) -> Iterator[int]:
    """A server that speaks TLS 1.2 with one good and one old suite, and TLS 1.3; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:AES128-GCM-SHA256")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as secured:
                    secured.recv(1)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def shake(
    port: int, first: TlsVersion = "TLSv1.2", last: TlsVersion = "TLSv1.3", ciphers: str = ""
) -> Handshake:
    return tls.handshake(
        address="127.0.0.1", port=port, name=NAME, versions=(first, last), ciphers=ciphers
    )


def test_what_a_server_offers_and_refuses(server: int, pair: tuple[Path, Path]) -> None:
    newest = shake(server)
    assert (newest.protocol, newest.refused) == ("TLSv1.3", "")
    assert newest.chain == (ssl.PEM_cert_to_DER_cert(pair[0].read_text()),)
    assert shake(server, "TLSv1.2", "TLSv1.2").has_ticket is True
    assert shake(server, "TLSv1.2", "TLSv1.2", WEAK_CIPHERS).cipher == "AES128-GCM-SHA256"
    assert shake(server, "TLSv1", "TLSv1.1", "ALL").refused
    assert shake(server, "TLSv1.2", "TLSv1.2", "ECDHE-RSA-AES256-SHA384").refused


def test_who_trusts_the_authorities_refuses_a_certificate_of_nobody(server: int) -> None:
    found = tls.handshake(address="127.0.0.1", port=server, name=NAME, trusted=True)
    assert "self-signed certificate" in found.refused.replace("self signed", "self-signed")


def test_nobody_there_is_an_error_in_words(server: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(HostError, match=r"did not finish a TLS handshake within 0.2 s"):
            tls.handshake(address="127.0.0.1", port=port, name=NAME, timeout_s=0.2)
    with pytest.raises(HostError, match=r"no TLS connection to 127.0.0.1"):
        tls.handshake(address="127.0.0.1", port=port, name=NAME)


def test_curves_that_this_openssl_does_not_know_are_left_out() -> None:
    assert guideline().curves_for((3, 0)) == ["X25519", "prime256v1", "secp384r1"]
    assert guideline().curves_for((3, 5))[0] == "X25519MLKEM768"
    assert guideline().curves_for((0, 0)) == ["prime256v1", "secp384r1"]


@pytest.mark.parametrize(
    ("args", "chosen"),
    [
        ("all -SSLv3", ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
        ("-all +TLSv1.2 +TLSv1.3", ["TLSv1.2", "TLSv1.3"]),
        ("all -SSLv2 -SSLv3 -TLSv1 -TLSv1.1", ["TLSv1.2", "TLSv1.3"]),
        ("TLSv1.3", ["TLSv1.3"]),
        ("+nonsense", []),
    ],
)
def test_protocols_as_apache_reads_them(args: str, chosen: list[str]) -> None:
    assert list(protocols_of(args)) == chosen


@given(st.text(max_size=60))
def test_any_value_is_read(text: str) -> None:
    protocols_of(text)
    suites_of(text)
    parse_version(text)
    assert not within([], [text])


def test_versions_of_debian() -> None:
    assert [parse_version(text) for text in OPENSSL.values()] == [(3, 0), (3, 5)]
    assert parse_version("1:1.1.1w-0+deb11u1") == (1, 1)


class TlsHost(WebHost):
    """A host with a loose TLS site, as recorded; it answers the handshakes it is told to."""

    def __init__(self, release: str) -> None:
        super().__init__(release)
        folder = RECORDED / release / "apache-tls"

        def dump(argv: list[str]) -> tuple[int, str]:
            name = "dump-config.txt" if "DUMP_CONFIG" in argv else "dump-run.txt"
            return 0, (folder / name).read_text()

        self.programs["apache2ctl"] = dump
        self.programs["dpkg-query"] = lambda argv: (
            0, f"libssl3\t{OPENSSL[release]}\tamd64\tinstall\tinstalled\tno\n",
        )  # fmt: skip
        self.programs["openssl"] = lambda argv: (1, "")
        for name in ("shop", "shop-tls"):
            self.links[f"/etc/apache2/sites-enabled/{name}.conf"] = (
                f"/etc/apache2/sites-available/{name}.conf"
            )
            path = f"/etc/apache2/sites-available/{name}.conf"
            self.files[path] = (folder / f"{name}.conf").read_text()
        pem = (folder / "shop.pem").read_text()
        self.files["/etc/ssl/certs/shop.pem"] = pem
        self.chain: tuple[bytes, ...] = (ssl.PEM_cert_to_DER_cert(pem),)
        self.weak = True
        self.trust = ""

    def tls(
        self, *, address: str, port: int, name: str,
        versions: tuple[TlsVersion, TlsVersion] = ("TLSv1.2", "TLSv1.3"), ciphers: str = "",
        trusted: bool = False, timeout_s: float = 3.0,
    ) -> Handshake:  # fmt: skip
        if trusted:
            return Handshake(refused=self.trust)
        if not self.weak and (versions[1] == "TLSv1.1" or ciphers == WEAK_CIPHERS):
            return Handshake(refused="sslv3 alert handshake failure")
        return Handshake(versions[1], "AES128-SHA", has_ticket=self.weak, chain=self.chain)


def by_setting(findings: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(f.resource, f.setting): f for f in findings}


@pytest.mark.parametrize("release", RELEASES)
def test_loose_lines_of_a_virtual_host_are_found_and_changed_there(release: str) -> None:
    host = TlsHost(release)
    step = ApacheTls.parse("apache.tls", {"profile": "intermediate"})
    found = by_setting(step.observe(host.context()))
    protocols = found[f"apache {NAME}:443", "protocols"]
    assert (protocols.ok, protocols.running) == (False, "TLSv1.1 or older TLSv1.2 TLSv1.3")
    assert protocols.origin == "/etc/apache2/sites-enabled/shop-tls.conf:7"
    assert found[f"apache {NAME}:443", "weak cipher suites"].running == "takes AES128-SHA"
    assert found[f"apache {NAME}:443", "session tickets"].running == "given"
    assert found[f"apache {NAME}", "SSLProtocol"].ok is False
    assert found["apache", "SSLOpenSSLConfCmd Curves"].persistent == "OpenSSL's default"
    assert found["apache", "SSLUseStapling"].expected == "off"
    planned = step.plan(host.context())
    files = written(planned)
    site = files["/etc/apache2/sites-available/shop-tls.conf"].splitlines()
    assert "    SSLProtocol -all +TLSv1.2 +TLSv1.3" in site
    assert "    SSLSessionTickets off" in site
    assert ("X25519MLKEM768:" in files[DROP_IN]) == (release == "trixie")
    assert "SSLUseStapling off" in files[DROP_IN]
    assert commands(planned) == [("a2enconf", "zz-harden-tui-apache.tls")]


@pytest.mark.parametrize("release", RELEASES)
def test_stapling_only_where_the_certificate_names_a_responder(release: str) -> None:
    host = TlsHost(release)
    text = (RECORDED / release / "apache-tls" / "chain.pem").read_text()
    host.chain = (ssl.PEM_cert_to_DER_cert(text[: text.index("-----END") + 25] + "\n"),)
    step = ApacheTls.parse("apache.tls", {"profile": "modern"})
    text = written(step.plan(host.context()))[DROP_IN]
    assert "SSLUseStapling on" in text and "SSLStaplingCache shmcb:" in text
    assert "SSLProtocol -all +TLSv1.3\n" in text and "ECDHE" not in text


@pytest.mark.parametrize("release", RELEASES)
def test_without_a_site_over_tls_there_is_nothing_to_do(release: str) -> None:
    host = WebHost(release)
    dump = recorded(release, "dump-config.txt").replace("SSLEngine on", "SSLEngine off")
    run = recorded(release, "dump-run.txt")
    host.programs["apache2ctl"] = lambda argv: (0, dump if "DUMP_CONFIG" in argv else run)
    step = ApacheTls.parse("apache.tls", {"profile": "modern"})
    (finding,) = step.observe(host.context())
    assert (finding.applicable, finding.ok) == (False, None)
    assert step.plan(host.context()).changes == ()
