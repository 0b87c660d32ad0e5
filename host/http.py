"""One HTTP request to this host over loopback, answered as it came over the wire."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Final

from host.base import HostError, HttpAnswer

BODY_LIMIT_BYTES: Final = 4 * 1024 * 1024


def request(
    path: str = "/",
    *,
    port: int = 80,
    tls: bool = False,
    host_header: str = "localhost",
    method: str = "GET",
    address: str = "127.0.0.1",
    timeout_s: float = 5.0,
) -> HttpAnswer:
    """See `host.base.Host.http`; at most `BODY_LIMIT_BYTES` of the body are kept.

    The certificate is not verified: it is this very machine, and a self-signed one is common.
    With `tls` the name asked for (SNI) is `host_header`. Raises `HostError`.
    """
    name = host_header.partition(":")[0]  # it may carry a port
    connection = _Connection(address, port, timeout_s, name if tls else None)
    try:
        connection.request(
            method,
            path,
            headers={"Host": host_header, "User-Agent": "harden-tui", "Connection": "close"},
        )
        response = connection.getresponse()
        return HttpAnswer(
            status=response.status,
            reason=response.reason,
            headers=tuple((name.lower(), value) for name, value in response.getheaders()),
            body=response.read(BODY_LIMIT_BYTES),
        )
    except ssl.SSLError as error:
        raise HostError(
            f"no TLS connection to {address} port {port}: {error.reason or error}"
        ) from error
    except TimeoutError as error:
        raise HostError(
            f"{address} port {port} did not answer an HTTP request within {timeout_s:g} s"
        ) from error
    except OSError as error:
        raise HostError(
            f"no HTTP answer from {address} port {port}: {(error.strerror or str(error)).lower()}"
        ) from error
    except (http.client.HTTPException, ValueError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise HostError(f"{address} port {port} does not answer in HTTP: {said}") from error
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to one address, with or without TLS, whatever the Host header says."""

    def __init__(self, address: str, port: int, timeout_s: float, tls_name: str | None) -> None:
        super().__init__(address, port, timeout=timeout_s)
        self._tls_name = tls_name

    def connect(self) -> None:
        self.sock = socket.create_connection((self.host, self.port), self.timeout)
        if self._tls_name is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname=self._tls_name)
