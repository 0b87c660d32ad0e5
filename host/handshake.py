"""How a TLS handshake ended, as data."""

from __future__ import annotations

from typing import Literal

import msgspec

TlsVersion = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


class Handshake(msgspec.Struct, frozen=True):
    """How a TLS handshake ended. `refused`: in words of OpenSSL why there was none, else empty.

    `chain`: the certificates as the server sent them (DER), its own first; `has_ticket`: it gave a
    session ticket (told of TLS 1.2 only).
    """

    protocol: str = ""
    cipher: str = ""
    has_ticket: bool = False
    chain: tuple[bytes, ...] = ()
    refused: str = ""
