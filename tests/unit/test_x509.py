"""Certificates of real hosts read as data, and whatever else may stand in such a file."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.apache_certificates import parse_public_key
from host.facts.x509 import CertificateError, parse_der, parse_pem
from tests.unit.web_host import RECORDED, RELEASES


def pem(release: str, name: str) -> bytes:
    return (RECORDED / release / "apache-tls" / name).read_bytes()


@pytest.mark.parametrize("release", RELEASES)
def test_a_self_signed_certificate(release: str) -> None:
    (shop,) = parse_pem(pem(release, "shop.pem"))
    assert (shop.subject, shop.issuer, shop.self_signed) == (
        "CN=www.example.org", "CN=www.example.org", True,
    )  # fmt: skip
    assert (shop.names, shop.key, shop.key_bits) == (("www.example.org",), "RSA", 2048)
    assert (shop.signature, shop.weak_hash) == ("sha256WithRSAEncryption", False)
    assert shop.not_after_s - shop.not_before_s == 90 * 86400
    assert shop.until.startswith("2027-")
    assert shop.public_key == parse_public_key(pem(release, "pubkey.txt").decode())


@pytest.mark.parametrize("release", RELEASES)
def test_a_chain_with_a_responder_and_an_address(release: str) -> None:
    leaf, root = parse_pem(pem(release, "chain.pem"))
    assert leaf.names == ("shop.example.org", "*.example.org", "192.0.2.7")
    assert leaf.ocsp == ("http://ocsp.example.org/",)
    assert (leaf.key, leaf.key_bits, leaf.self_signed) == ("prime256v1", 256, False)
    assert leaf.signature.startswith("ecdsa-with-SHA")
    assert (leaf.issuer, root.subject) == (root.subject, "C=DE, O=Example, CN=Example Root")
    assert (root.key, root.self_signed, root.ocsp) == ("secp384r1", True, ())
    assert parse_public_key(pem(release, "pubkey.txt").decode()) != leaf.public_key


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("SHOP.example.org", True),
        ("www.example.org", True),
        ("a.www.example.org", False),
        ("example.org", False),
        ("192.0.2.7", True),
        ("org", False),
    ],
)
def test_one_star_stands_for_one_label(name: str, fits: bool) -> None:
    leaf = parse_pem(pem("trixie", "chain.pem"))[0]
    assert leaf.is_for(name) is fits


@given(st.binary(max_size=200))
def test_other_bytes_are_refused_in_words(data: bytes) -> None:
    for parse in (parse_der, parse_pem):
        with contextlib.suppress(CertificateError):
            parse(data)


@given(at=st.integers(0, 600), byte=st.integers(0, 255))
def test_a_damaged_certificate_is_refused_or_read(at: int, byte: int) -> None:
    import ssl

    data = bytearray(ssl.PEM_cert_to_DER_cert(pem("bookworm", "shop.pem").decode()))
    data[at % len(data)] = byte
    with contextlib.suppress(CertificateError):
        parse_der(bytes(data))


@given(st.text(max_size=80))
def test_no_public_key_in_other_text(text: str) -> None:
    assert parse_public_key(text) == b""
