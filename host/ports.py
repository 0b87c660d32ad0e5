"""Listening sockets: what the kernel has bound, and whose they are."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from host.base import Port

_LISTEN: Final = "0A"
_CLOSED: Final = "07"
"""State of an unconnected UDP socket in /proc/net/udp: bound, and open to anyone."""

_TABLES: Final[tuple[tuple[str, Literal["tcp", "udp"]], ...]] = (
    ("tcp", "tcp"),
    ("tcp6", "tcp"),
    ("udp", "udp"),
    ("udp6", "udp"),
)


_USER_MANAGER: Final = re.compile(r"user@\d+\.service")


class Bound(msgspec.Struct, frozen=True):
    """A socket of the kernel's tables, before anyone asked whose it is."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    inode: str


def read(proc: str = "/proc") -> tuple[Port, ...]:
    """All listening TCP and bound UDP sockets, sorted.

    Without root the sockets of other users' processes have no process, pid and unit.
    """
    bound: list[Bound] = []
    for table, protocol in _TABLES:
        # A kernel without IPv6 has no such table.
        with contextlib.suppress(FileNotFoundError), open(f"{proc}/net/{table}") as lines:
            bound += parse_table(lines, protocol)
    wanted = {entry.inode for entry in bound}
    owners = socket_owners(wanted, proc)
    names: dict[int, tuple[str, str]] = {}
    found = set()
    for entry in bound:
        pid = owners.get(entry.inode, 0)
        if pid and pid not in names:
            names[pid] = (_comm(pid, proc), unit_of_pid(pid, proc))
        process, unit = names.get(pid, ("", ""))
        found.add(
            Port(
                protocol=entry.protocol,
                address=entry.address,
                port=entry.port,
                process=process,
                pid=pid,
                unit=unit,
            )
        )
    return tuple(sorted(found, key=lambda p: (p.port, p.protocol, p.address, p.pid)))


def parse_table(lines: Iterable[str], protocol: Literal["tcp", "udp"]) -> list[Bound]:
    """/proc/net/{tcp,tcp6,udp,udp6} -> its listening (TCP) or unconnected (UDP) sockets."""
    wanted = _LISTEN if protocol == "tcp" else _CLOSED
    found = []
    for line in lines:
        words = line.split()
        if len(words) < 10 or words[3] != wanted:
            continue
        address, _, port = words[1].partition(":")
        found.append(Bound(protocol, parse_address(address), int(port, 16), words[9]))
    return found


def parse_address(text: str) -> str:
    """The kernel's hexadecimal address, 32-bit words in the machine's byte order.

    "0100007F" -> "127.0.0.1", "0000…0000" (32 digits) -> "::"
    """
    raw = bytes.fromhex(text)
    words = b"".join(
        int.from_bytes(raw[i : i + 4], "big").to_bytes(4, sys.byteorder)
        for i in range(0, len(raw), 4)
    )
    if len(words) == 4:
        return socket.inet_ntop(socket.AF_INET, words)
    address = ipaddress.IPv6Address(words)
    if address.ipv4_mapped is not None:
        return f"::ffff:{address.ipv4_mapped}"
    return str(address)


def socket_owners(inodes: set[str], proc: str = "/proc") -> dict[str, int]:
    """Which process holds each socket; the parent where workers share one (the lowest pid wins).

    One pass over all open files we may see, which ends early once every socket is found and no
    lower pid can come.
    """
    owners: dict[str, int] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes if inode != "0"}
    pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    # systemd (pid 1) keeps sockets it hands to a daemon: ask it last, for those nobody else has.
    for pid in (*(p for p in pids if p != 1), 1):
        if len(owners) == len(wanted):
            break
        directory = f"{proc}/{pid}/fd"
        try:
            names = os.listdir(directory)
        except OSError:
            continue  # ended, or not ours to look into
        for name in names:
            try:
                target = os.readlink(f"{directory}/{name}")
            except OSError:
                continue
            inode = wanted.get(target)
            if inode is not None and inode not in owners:
                owners[inode] = pid
    return owners


def unit_of_pid(pid: int, proc: str = "/proc") -> str:
    """The systemd unit a process belongs to, from its cgroup; "" where it has none."""
    try:
        with open(f"{proc}/{pid}/cgroup") as file:
            return unit_of_cgroup(file.read())
    except OSError:
        return ""


def unit_of_cgroup(text: str) -> str:
    """/proc/PID/cgroup -> "ssh.service", for a login "session-3.scope", for pid 1 "init.scope".

    Whatever runs below a user's own manager is that manager's: the units there have names that
    the user chose, perhaps "ssh.service".
    """
    for line in text.splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" or controllers == "name=systemd":
            parts = path.split("/")
            manager = next((part for part in parts if _USER_MANAGER.fullmatch(part)), "")
            if manager:
                return manager
            for part in reversed(parts):
                if part.endswith((".service", ".scope")):
                    return part
    return ""


def held_by_systemd(ports: Iterable[Port], listen: Mapping[str, str]) -> tuple[Port, ...]:
    """Name the socket unit of what systemd itself holds (`services.parse_listen` gives `listen`).

    The kernel writes "::" where systemd writes "[::]:22", "0.0.0.0" where "0.0.0.0:22".
    """
    kinds = {"tcp": "(Stream)", "udp": "(Datagram)"}
    named = []
    for port in ports:
        if port.pid == 1:
            address = f"[{port.address}]" if ":" in port.address else port.address
            unit = listen.get(f"{address}:{port.port} {kinds[port.protocol]}")
            if unit:
                port = msgspec.structs.replace(port, unit=unit)
        named.append(port)
    return tuple(named)


def _comm(pid: int, proc: str) -> str:
    try:
        with open(f"{proc}/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""
