"""One HTTP request to this host over loopback, answered as it came over the wire."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
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
    With `tls` the name asked for (SNI) is `host_header`. `timeout_s` is for all of it, an answer
    that comes in drops included. Raises `HostError`.
    """
    name = host_header.partition(":")[0]  # it may carry a port
    connection = _Connection(address, port, timeout_s, name if tls else None)
    clock = threading.Timer(timeout_s, connection.expire)
    clock.daemon = True
    clock.start()
    try:
        connection.request(
            method,
            path,
            headers={"Host": host_header, "User-Agent": "harden-tui", "Connection": "close"},
        )
        response = connection.getresponse()
        answer = HttpAnswer(
            status=response.status,
            reason=response.reason,
            headers=tuple((name.lower(), value) for name, value in response.getheaders()),
            body=response.read(BODY_LIMIT_BYTES),
        )
        if connection.expired:  # a body without a length ends like this
            raise TimeoutError
        return answer
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = _problem(error, connection, timeout_s)
        raise HostError(said) from error
    finally:
        clock.cancel()
        clock.join()  # whoever forks next shall be alone
        connection.close()


def _problem(error: Exception, connection: _Connection, timeout_s: float) -> str:
    """Why there is no answer, as a sentence without its full stop."""
    where = f"{connection.host} port {connection.port}"
    if connection.expired or isinstance(error, TimeoutError):
        return f"{where} did not answer an HTTP request within {timeout_s:g} s"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection to {where}: {error.reason or error}"
    if isinstance(error, http.client.HTTPException | ValueError):
        said = " ".join(str(error).split()) or type(error).__name__
        return f"{where} does not answer in HTTP: {said}"
    reason = error.strerror if isinstance(error, OSError) else ""
    return f"no HTTP answer from {where}: {(reason or str(error)).lower()}"


class _Connection(http.client.HTTPConnection):
    """A connection to one address, with or without TLS, whatever the Host header says."""

    def __init__(self, address: str, port: int, timeout_s: float, tls_name: str | None) -> None:
        super().__init__(address, port, timeout=timeout_s)
        self._tls_name = tls_name
        self.expired = False
        self._open: socket.socket | None = None

    def connect(self) -> None:
        self._open = self.sock = socket.create_connection((self.host, self.port), self.timeout)
        if self._tls_name is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            secured = context.wrap_socket(
                self.sock, server_hostname=self._tls_name, do_handshake_on_connect=False
            )
            self._open = self.sock = secured
            secured.do_handshake()

    def expire(self) -> None:
        """Time is up: whoever waits for this connection finds it at its end.

        The body of an answer is still read from the socket after `sock` was given up.
        """
        self.expired = True
        if self._open is not None:
            with contextlib.suppress(OSError):
                # That of a TLS socket would change what another thread is using.
                socket.socket.shutdown(self._open, socket.SHUT_RDWR)
