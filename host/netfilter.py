"""The kernel's packet filter tables, asked and deleted over netlink, with no program installed.

A blank Debian host has neither `nft` nor `iptables`; ufw brings them and leaves them no more once
it is purged. What the kernel holds can be seen and removed all the same.

Every message is `struct nlmsghdr` (linux/netlink.h), then `struct nfgenmsg`
(linux/netfilter/nfnetlink.h), then attributes: `struct nlattr` (length, type), the value, padding
to four bytes. Message types and attributes are those of linux/netfilter/nf_tables.h. Values
inside attributes are in network byte order.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

import msgspec

from host.base import FirewallTable, HostError

NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
NFNL_MSG_BATCH_BEGIN = 0x10
NFNL_MSG_BATCH_END = 0x11

NFT_MSG_GETTABLE = 1
NFT_MSG_DELTABLE = 2
NFT_MSG_GETCHAIN = 4
NFT_MSG_GETRULE = 7
NFT_MSG_GETSET = 10

NFTA_TABLE_NAME = NFTA_CHAIN_TABLE = NFTA_RULE_TABLE = NFTA_SET_TABLE = 1
NFTA_CHAIN_NAME = 3
NFTA_CHAIN_HOOK = 4
NFTA_CHAIN_POLICY = 5
NF_ACCEPT = 1

NLM_F_REQUEST = 0x01
NLM_F_ACK = 0x04
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLA_TYPE_MASK = 0x3FFF

FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""NFPROTO_* of linux/netfilter.h, by the names that nft uses."""

_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("!BBH")
_ATTRIBUTE = struct.Struct("=HH")
_ANSWER_BYTES = 1024 * 1024
_TIMEOUT_S = 5.0
_ATTEMPTS = 5
"""How often a listing is begun anew when the rules change while they are read."""

Attributes = dict[int, bytes]


class _Interrupted(Exception):
    """The rules changed while they were listed."""


class _Message(msgspec.Struct, frozen=True):
    kind: int
    flags: int
    body: bytes


def tables() -> tuple[FirewallTable, ...]:
    """All nf_tables tables of this network namespace, sorted; empty where the kernel has none.

    Raises `HostError` without root or when the kernel does not answer.
    """
    for _ in range(_ATTEMPTS):
        try:
            with _socket() as sock:
                return _tables(sock)
        except _Interrupted:
            continue
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                return ()
            if error.errno == errno.EPERM and os.geteuid() == 0:
                return ()  # a container without CAP_NET_ADMIN: nothing there can change a rule
            raise _refused("list the firewall tables", error) from error
    raise HostError(
        "the firewall's rules kept changing while they were read; nothing was changed, try again"
    )


def delete_table(family: str, name: str) -> None:
    """Delete a table with all it holds, in one step; no error where it is gone already.

    Raises `HostError` where the kernel refuses.
    """
    numbers = [number for number, known in FAMILIES.items() if known == family]
    if not numbers:
        raise HostError(f"`{family}` is no family of firewall tables; nothing was deleted")
    name_attribute = _attribute(NFTA_TABLE_NAME, name.encode() + b"\0")
    batch = (
        _message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 1, 0, resource=NFNL_SUBSYS_NFTABLES)
        + _message(
            NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE,
            NLM_F_REQUEST | NLM_F_ACK,
            2,
            numbers[0],
            name_attribute,
        )
        + _message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 3, 0, resource=NFNL_SUBSYS_NFTABLES)
    )
    try:
        with _socket() as sock:
            sock.send(batch)
            for message in messages(sock.recv(_ANSWER_BYTES)):
                _raise_error(message)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise _refused(f"delete the firewall table {family} {name}", error) from error


def messages(answer: bytes) -> Iterator[_Message]:
    """The messages in one datagram."""
    position = 0
    while position + _HEADER.size <= len(answer):
        length, kind, flags, _, _ = _HEADER.unpack_from(answer, position)
        if length < _HEADER.size:
            return
        yield _Message(kind, flags, answer[position + _HEADER.size : position + length])
        position += _aligned(length)


def attributes(body: bytes) -> Attributes:
    """The attributes after `struct nfgenmsg`, by type."""
    found: Attributes = {}
    position = _GENERIC.size
    while position + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, position)
        if length < _ATTRIBUTE.size:
            break
        found[kind & NLA_TYPE_MASK] = body[position + _ATTRIBUTE.size : position + length]
        position += _aligned(length)
    return found


def _tables(sock: socket.socket) -> tuple[FirewallTable, ...]:
    known = [(f, _text(a[NFTA_TABLE_NAME])) for f, a in _dump(sock, NFT_MSG_GETTABLE)]
    chains: dict[tuple[str, str], list[str]] = {key: [] for key in known}
    busy: set[tuple[str, str]] = set()
    for family, found in _dump(sock, NFT_MSG_GETCHAIN) if known else ():
        table = (family, _text(found[NFTA_CHAIN_TABLE]))
        chains.setdefault(table, []).append(_text(found[NFTA_CHAIN_NAME]))
        policy = found.get(NFTA_CHAIN_POLICY)
        if NFTA_CHAIN_HOOK not in found or (
            policy is not None and struct.unpack("!I", policy)[0] != NF_ACCEPT
        ):
            busy.add(table)
    for kind in (NFT_MSG_GETRULE, NFT_MSG_GETSET) if known else ():
        busy |= {(f, _text(a[NFTA_RULE_TABLE])) for f, a in _dump(sock, kind)}
    return tuple(
        FirewallTable(family, name, tuple(sorted(chains[family, name])), (family, name) not in busy)
        for family, name in sorted(known)
    )


def _dump(sock: socket.socket, kind: int) -> list[tuple[str, Attributes]]:
    """Everything of one kind: (family, attributes) each. Raises `OSError`, `_Interrupted`."""
    sock.send(_message(NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0))
    found: list[tuple[str, Attributes]] = []
    interrupted = False
    while True:
        for message in messages(sock.recv(_ANSWER_BYTES)):
            interrupted = interrupted or bool(message.flags & NLM_F_DUMP_INTR)
            if message.kind == NLMSG_DONE:
                if interrupted:
                    raise _Interrupted
                return found
            _raise_error(message)
            if message.kind >> 8 == NFNL_SUBSYS_NFTABLES:
                number = message.body[0]
                family = FAMILIES.get(number, str(number))
                found.append((family, attributes(message.body)))


def _socket() -> socket.socket:
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER
    )
    try:
        sock.settimeout(_TIMEOUT_S)
        sock.bind((0, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _message(
    kind: int, flags: int, sequence: int, family: int, body: bytes = b"", *, resource: int = 0
) -> bytes:
    payload = _GENERIC.pack(family, 0, resource) + body
    return _HEADER.pack(_HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (_aligned(length) - length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _raise_error(message: _Message) -> None:
    """Raise the `OSError` that a NLMSG_ERROR carries; number 0 is an acknowledgement."""
    if message.kind == NLMSG_ERROR:
        (number,) = struct.unpack_from("=i", message.body)
        if number:
            raise OSError(-number, os.strerror(-number))


def _refused(what: str, error: OSError) -> HostError:
    reason = error.strerror or "it did not answer"
    if error.errno == errno.EPERM:
        reason = "this needs root"
    return HostError(f"the kernel did not let us {what}: {reason}; nothing was changed")
