"""Certificates as data: a reader of the DER that a handshake or a PEM file brings.

Only what a check says of a certificate is read (RFC 5280); nothing is verified here.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import ipaddress
import re
import time

import msgspec

_SEQUENCE, _OID, _OCTETS = 0x30, 0x06, 0x04
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_DNS, _URI, _ADDRESS = 0x82, 0x86, 0x87

_NAMES = {"2.5.4.3": "CN", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C"}
_SIGNATURES = {
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}
_CURVES = {
    "1.2.840.10045.3.1.7": ("prime256v1", 256),
    "1.3.132.0.34": ("secp384r1", 384),
    "1.3.132.0.35": ("secp521r1", 521),
    "1.3.132.0.10": ("secp256k1", 256),
    "1.3.132.0.33": ("secp224r1", 224),
}
_RSA, _EC = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
_ALT_NAMES, _AUTHORITY_ACCESS, _OCSP = "2.5.29.17", "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.1"
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END ", re.DOTALL)


class CertificateError(ValueError):
    """These bytes are no certificate; the message says what is wrong with them."""


class Certificate(msgspec.Struct, frozen=True):
    """What a certificate says of itself. Times are seconds since 1970, UTC.

    `names`: its DNS names and addresses (subjectAltName); `key`: "RSA", the name of a curve, or
    "Ed25519"; `public_key`: its SubjectPublicKeyInfo (DER); `ocsp`: addresses of OCSP responders.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before_s: int
    not_after_s: int
    key: str
    key_bits: int
    signature: str
    public_key: bytes
    ocsp: tuple[str, ...] = ()
    self_signed: bool = False

    @property
    def weak_hash(self) -> bool:
        """Signed with a hash that collides (MD5, SHA-1)."""
        return "md5" in self.signature.lower() or "sha1" in self.signature.lower()

    @property
    def until(self) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self.not_after_s))

    def is_for(self, name: str) -> bool:
        """Whether browsers take it for `name` (RFC 6125: one star, for one label)."""
        wanted = name.lower().rstrip(".")
        parent = wanted.partition(".")[2]
        return any(
            own.lower() == wanted
            or (own.startswith("*.") and bool(parent) and own[2:].lower() == parent)
            for own in self.names
        )


def parse_pem(data: bytes) -> tuple[Certificate, ...]:
    """Every certificate of a PEM file, in its order; other blocks (keys) are passed over.

    Raises `CertificateError`, also where there is none.
    """
    blocks = _PEM.findall(data)
    if not blocks:
        raise CertificateError("there is no certificate in it")
    try:
        return tuple(parse_der(base64.b64decode(block, validate=False)) for block in blocks)
    except binascii.Error as error:
        raise CertificateError(f"its base64 text is damaged ({error})") from None


def parse_der(data: bytes) -> Certificate:
    """One certificate. Raises `CertificateError`."""
    try:
        return _certificate(data)
    except (IndexError, ValueError, OverflowError) as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError(f"it is damaged ({error})") from None


def _certificate(data: bytes) -> Certificate:
    whole = _children(_expect(data, _SEQUENCE))
    signed, algorithm = whole[0], whole[1]
    fields = [one for one in _children(_content(signed)) if one[0] != 0xA0]
    _serial, _inner, issuer, validity, subject, public = fields[:6]
    extensions = _extensions(fields[6:])
    since, until = (_time(one) for one in _children(_content(validity))[:2])
    key, key_bits = _key(public)
    return Certificate(
        subject=_name(subject),
        issuer=_name(issuer),
        names=_alternative_names(extensions.get(_ALT_NAMES, b"")),
        not_before_s=since,
        not_after_s=until,
        key=key,
        key_bits=key_bits,
        signature=_algorithm(algorithm),
        public_key=public,
        ocsp=_responders(extensions.get(_AUTHORITY_ACCESS, b"")),
        self_signed=subject == issuer,
    )


def _header(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends."""
    length = data[at + 1]
    begin = at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise CertificateError("a length in it is not DER")
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if begin + length > len(data):
        raise CertificateError("it ends in the middle")
    return begin, begin + length


def _expect(data: bytes, tag: int) -> bytes:
    if not data or data[0] != tag:
        raise CertificateError("it does not begin like a certificate")
    return _content(data)


def _content(element: bytes) -> bytes:
    begin, end = _header(element, 0)
    return element[begin:end]


def _children(content: bytes) -> list[bytes]:
    """The elements side by side in `content`, each with its header."""
    found, at = [], 0
    while at < len(content):
        _, end = _header(content, at)
        found.append(content[at:end])
        at = end
    return found


def _oid(element: bytes) -> str:
    content = _content(element)
    if not element or element[0] != _OID or not content:
        raise CertificateError("an object identifier is missing")
    numbers, value = [min(content[0] // 40, 2)], 0
    numbers.append(content[0] - 40 * numbers[0])
    for byte in content[1:]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    return ".".join(map(str, numbers))


def _algorithm(element: bytes) -> str:
    oid = _oid(_children(_content(element))[0])
    return _SIGNATURES.get(oid, oid)


def _name(element: bytes) -> str:
    """ "CN=www.example.org, O=Example"; parts without a usual short name are left out."""
    parts = []
    for relative in _children(_content(element)):
        for pair in _children(_content(relative)):
            kind, value = _children(_content(pair))[:2]
            short = _NAMES.get(_oid(kind))
            if short:
                text = _content(value).decode(_TEXTS.get(value[0], "latin-1"), "replace")
                parts.append(f"{short}={text}")
    return ", ".join(parts)


def _time(element: bytes) -> int:
    text = _content(element).decode("ascii")
    form = _TIMES.get(element[0])
    if form is None:
        raise CertificateError("a time in it is no time")
    return calendar.timegm(time.strptime(text, form))


def _key(element: bytes) -> tuple[str, int]:
    algorithm, bits = _children(_content(element))[:2]
    parts = _children(_content(algorithm))
    oid = _oid(parts[0])
    if oid == _EC and len(parts) > 1 and parts[1][0] == _OID:
        curve = _oid(parts[1])
        return _CURVES.get(curve, (curve, 0))
    if oid == _RSA:
        modulus = _children(_expect(_content(bits)[1:], _SEQUENCE))[0]
        return "RSA", int.from_bytes(_content(modulus), "big").bit_length()
    return _SIGNATURES.get(oid, oid), {"1.3.101.112": 256, "1.3.101.113": 456}.get(oid, 0)


def _extensions(fields: list[bytes]) -> dict[str, bytes]:
    """Object identifier -> content, of the field with tag [3]."""
    found: dict[str, bytes] = {}
    for field in fields:
        if field[0] == 0xA3:
            for extension in _children(_expect(_content(field), _SEQUENCE)):
                parts = _children(_content(extension))
                if parts[-1][0] == _OCTETS:
                    found[_oid(parts[0])] = _content(parts[-1])
    return found


def _alternative_names(value: bytes) -> tuple[str, ...]:
    names = []
    for element in _children(_expect(value, _SEQUENCE)) if value else []:
        if element[0] == _DNS:
            names.append(_content(element).decode("ascii", "replace"))
        elif element[0] == _ADDRESS and len(_content(element)) in (4, 16):
            names.append(str(ipaddress.ip_address(_content(element))))
    return tuple(names)


def _responders(value: bytes) -> tuple[str, ...]:
    found = []
    for access in _children(_expect(value, _SEQUENCE)) if value else []:
        method, place = _children(_content(access))[:2]
        if _oid(method) == _OCSP and place[0] == _URI:
            found.append(_content(place).decode("ascii", "replace"))
    return tuple(found)
