"""Who a process is, in words: for whoever must wait for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from host.base import Host, HostError

_INTERPRETERS: Final = ("python", "perl", "sh", "bash", "dash")
_TICKS_PER_S: Final = 100
"""USER_HZ, which /proc speaks in, is 100 on every architecture of Debian."""


def describe(host: Host, pid: int) -> str:
    """`unattended-upgrade (process 812, since 14:03:20 UTC)`; less where it has ended."""
    if pid <= 0:
        return "a process that cannot be named"
    name, since = _name(host, pid), _since(host, pid)
    return f"{name or 'a program'} (process {pid}{f', since {since} UTC' if since else ''})"


def _name(host: Host, pid: int) -> str:
    """The program, and not the interpreter that runs it."""
    words = [word for word in _read(host, f"/proc/{pid}/cmdline").split("\0") if word]
    if not words:
        return _read(host, f"/proc/{pid}/comm").strip()
    program = words[0].rpartition("/")[2]
    if program.rstrip("0123456789.") in _INTERPRETERS:
        for word in words[1:]:
            if word in ("-c", "-m"):
                break
            if not word.startswith("-"):
                return word.rpartition("/")[2]
    return program


def booted_s(host: Host) -> int:
    """When this boot began, in seconds since 1970; 0 where that is not known."""
    lines = _read(host, "/proc/stat").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("btime ")), 0)


def _since(host: Host, pid: int) -> str:
    fields = _read(host, f"/proc/{pid}/stat").rpartition(")")[2].split()
    booted = booted_s(host)
    if len(fields) < 20 or not booted:
        return ""
    began_s = booted + int(fields[19]) / _TICKS_PER_S
    return datetime.fromtimestamp(began_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _read(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""
