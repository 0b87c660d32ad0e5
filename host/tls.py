"""TLS handshakes with this host over loopback: what is agreed on, and the certificates shown."""

from __future__ import annotations

import functools
import socket
import ssl
from typing import Any, Final

from host.base import HostError
from host.handshake import Handshake, TlsVersion

_VERSIONS: Final[dict[TlsVersion, ssl.TLSVersion]] = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_DER: Final = 2
"""`ENCODING_DER` of Python's own module, which has no public name before Python 3.13."""


def handshake(
    *,
    address: str,
    port: int,
    name: str,
    versions: tuple[TlsVersion, TlsVersion] = ("TLSv1.2", "TLSv1.3"),
    ciphers: str = "",
    trusted: bool = False,
    timeout_s: float = 3.0,
) -> Handshake:
    """See `host.base.Host.tls`. Raises `HostError`."""
    where = f"{address} port {port}"
    context = _trusting() if trusted else _any()
    if not trusted:
        context.minimum_version, context.maximum_version = (_VERSIONS[one] for one in versions)
        # Old versions and short keys are what is asked about: nothing may stop us from offering.
        context.set_ciphers(f"{ciphers or 'DEFAULT'}:@SECLEVEL=0")
    try:
        with (
            socket.create_connection((address, port), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            cipher = secured.cipher()
            session = secured.session
            return Handshake(
                protocol=secured.version() or "",
                cipher=cipher[0] if cipher else "",
                has_ticket=bool(session and session.has_ticket),
                chain=_chain(secured),
            )
    except ssl.SSLCertVerificationError as error:
        return Handshake(refused=error.verify_message)
    except ssl.SSLError as error:
        return Handshake(refused=(error.reason or str(error)).lower().replace("_", " "))
    except ConnectionResetError:
        return Handshake(refused="the connection was reset")
    except TimeoutError:
        raise HostError(f"{where} did not finish a TLS handshake within {timeout_s:g} s") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror or "") if isinstance(error, OSError) else ""
        raise HostError(f"no TLS connection to {where}: {(reason or str(error)).lower()}") from None


def _any() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.cache
def _trusting() -> ssl.SSLContext:
    """Like a browser: Debian's authorities are read once, which takes a while."""
    return ssl.create_default_context()


def _chain(secured: ssl.SSLSocket) -> tuple[bytes, ...]:
    """The certificates as they were sent, the site's own first."""
    of_python_313: Any = getattr(secured, "get_unverified_chain", None)
    if of_python_313 is not None:
        return tuple(bytes(one) for one in of_python_313())
    inner: Any = getattr(secured, "_sslobj", None)
    if inner is not None and hasattr(inner, "get_unverified_chain"):
        return tuple(bytes(one.public_bytes(_DER)) for one in inner.get_unverified_chain() or ())
    own = secured.getpeercert(binary_form=True)
    return (own,) if own else ()
