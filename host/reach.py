"""Whether something can be reached from this machine: tried with real packets, seconds at most."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final, Literal

from host.base import Host, HostError

Reached = Literal["answered", "refused here", "silent", "no way"]
"""`answered`: somebody at the other end did, be it with a refusal. `refused here`: this machine's
own packet filter did not let the packet out. `silent`: no answer in time. `no way`: no route."""

TIMEOUT_S: Final = 3.0
_NO_WAY: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN)
_ROOT_NAME_SERVERS: Final = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"
"""The rest of a DNS query (RFC 1035) for the name servers of the root, behind its number."""


def tcp(host: Host, address: str, port: int, timeout_s: float = TIMEOUT_S) -> Reached:
    """Begin a TCP connection and close it again. Raises `HostError` on a practice host."""
    _on_this_machine(host)
    with socket.socket(_family(address), socket.SOCK_STREAM) as ours:
        ours.settimeout(timeout_s)
        try:
            ours.connect((address, port))
        except TimeoutError:
            return "silent"
        except OSError as error:
            return "answered" if error.errno == errno.ECONNREFUSED else _why(error)
    return "answered"


def resolver(host: Host, address: str, timeout_s: float = TIMEOUT_S) -> Reached:
    """Ask a name server who serves the root. Raises `HostError` on a practice host."""
    _on_this_machine(host)
    number = os.urandom(2)
    with socket.socket(_family(address), socket.SOCK_DGRAM) as ours:
        ours.settimeout(timeout_s)
        try:
            ours.connect((address, 53))
            ours.send(number + _ROOT_NAME_SERVERS)
            ours.recv(4096)
        except TimeoutError:
            return "silent"
        except OSError as error:
            return "answered" if error.errno == errno.ECONNREFUSED else _why(error)
    return "answered"


def datagram(host: Host, address: str, port: int) -> Reached:
    """Send one empty UDP datagram: the kernel says at once where its own filter drops it.

    "silent" means that it left. Raises `HostError` on a practice host.
    """
    _on_this_machine(host)
    with socket.socket(_family(address), socket.SOCK_DGRAM) as ours:
        try:
            ours.sendto(b"", (address, port))
        except OSError as error:
            return _why(error)
    return "silent"


def _why(error: OSError) -> Reached:
    if error.errno in (errno.EPERM, errno.EACCES):
        return "refused here"
    return "no way" if error.errno in _NO_WAY else "silent"


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _on_this_machine(host: Host) -> None:
    if host.is_practice:
        raise HostError("a practice host has no network to try a connection in")
