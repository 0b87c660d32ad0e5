"""Logins over SSH that succeeded, from the journal: what sshd itself said, as root."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from host.base import CommandMissing, Host

_ACCEPTED: Final = re.compile(r"Accepted (\S+) for (\S+) from (\S+) port (\d+)")
_OPENED: Final = re.compile(r"pam_unix\(sshd:session\): session opened for user ([^\s(]+)")

QUERY: Final = (
    "journalctl", "--boot", "--output=json", "--no-pager", "--quiet", "--lines=200",
    r"--grep=^Accepted |^pam_unix\(sshd:session\): session opened for user ",
    "_UID=0", "_COMM=sshd", "+", "_UID=0", "_COMM=sshd-session",
)  # fmt: skip
"""`_UID` and `_COMM` come from the kernel: what somebody else writes with logger(1) is not asked
for. The words are asked for in the journal, so that a flood of failed logins hides none."""


class SshLogin(msgspec.Struct, frozen=True):
    """A login over SSH that was let in at `at_s` (CLOCK_MONOTONIC).

    `address` is "" and `port` 0 where sshd logs too little to say (LogLevel ERROR, QUIET): then
    PAM was asked.
    """

    user: str
    at_s: float
    address: str = ""
    port: int = 0
    method: str = ""


def ask(host: Host) -> list[SshLogin]:
    """Every login of this boot that was let in, oldest first.

    Without a journal by the login records (utmp), which know logins with a terminal only. Raises
    `HostError`.
    """
    try:
        return parse(host.run(QUERY, ok=None, timeout_s=20.0).stdout)
    except CommandMissing:
        return recorded()


def recorded() -> list[SshLogin]:
    """The logins of utmp; their times are of a clock that may have been set since."""
    import psutil

    behind_s = time.time() - time.monotonic()
    return [
        SshLogin(one.name, one.started - behind_s, one.host) for one in psutil.users() if one.host
    ]


def parse(text: str) -> list[SshLogin]:
    """The answer of `QUERY`, oldest first (journalctl turns the order round where it greps).

    Lines that say something else are passed over.

    Where sshd names a login itself, what PAM says of the same one is left out.
    """
    found = sorted(_each(text), key=lambda login: login.at_s)
    told = {(login.user, round(login.at_s)) for login in found if login.port}
    return [
        login
        for login in found
        if login.port
        or not any((login.user, round(login.at_s) + off) in told for off in (-1, 0, 1, 2))
    ]


def _each(text: str) -> Iterator[SshLogin]:
    for line in text.splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
            at_s = int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
            message = entry["MESSAGE"]
        except (ValueError, KeyError, TypeError):
            continue
        if not isinstance(message, str):  # a message that is no text comes as a list of bytes
            continue
        accepted = _ACCEPTED.match(message)
        if accepted:
            method, user, address, port = accepted.groups()
            yield SshLogin(user, at_s, address, int(port), method)
        elif opened := _OPENED.match(message):
            yield SshLogin(opened.group(1), at_s)
