"""The kernel's audit, asked directly: whether there is one for this machine, and how it stands."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Final

import msgspec

_NETLINK_AUDIT: Final = 9
_GET: Final = 1000
_ERROR: Final = 2
_REQUEST: Final = 1
_HEADER: Final = struct.Struct("=IHHII")
"""struct nlmsghdr of linux/netlink.h: length, type, flags, sequence, port."""

_STATUS: Final = struct.Struct("=8I")
"""The beginning of struct audit_status of linux/audit.h."""


class AuditStatus(msgspec.Struct, frozen=True):
    """`enabled`: 0 off, 1 on, 2 on and locked until the next boot. `pid` of auditd, 0 for none.

    `lost` events since boot.
    """

    enabled: int
    pid: int
    backlog_limit: int
    lost: int


def ask() -> AuditStatus:
    """Raises `OSError`: without root (EPERM), or where this kernel keeps no audit for whoever asks
    (EPROTONOSUPPORT, or ECONNREFUSED inside a container)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_AUDIT) as kernel:
        kernel.settimeout(2)
        kernel.bind((0, 0))
        kernel.send(_HEADER.pack(_HEADER.size, _GET, _REQUEST, 1, 0))
        for _ in range(16):  # events of others may come first
            status = parse(kernel.recv(8192))
            if status is not None:
                return status
    raise OSError(errno.EIO, "the kernel's audit does not answer")


def parse(message: bytes) -> AuditStatus | None:
    """One answer of the kernel; `None` if it is about something else. Raises `OSError`."""
    if len(message) < _HEADER.size:
        return None
    kind = _HEADER.unpack_from(message)[1]
    body = message[_HEADER.size :]
    if kind == _ERROR and len(body) >= 4:
        number = -struct.unpack_from("=i", body)[0]
        if number:
            raise OSError(number, os.strerror(number))
    if kind != _GET or len(body) < _STATUS.size:
        return None
    _, enabled, _, pid, _, backlog_limit, lost, _ = _STATUS.unpack_from(body)
    return AuditStatus(enabled, pid, backlog_limit, lost)
