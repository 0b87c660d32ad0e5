"""Failed logins as they come: over SSH, to TYPO3 and i-doit, and at the web server.

sshd's are in the journal, and so are those that our own services read (`host.failed_logins`); what
fail2ban found in the web server's logs stands in fail2ban's own log. Each look reads only what was
added since the one before.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from host.base import CommandMissing, Host, HostError
from host.failed_logins.words import plain, read_line

SERVICES: Final = ("harden-tui-typo3-logins.service", "harden-tui-idoit-logins.service")
FAIL2BAN_LOG: Final = "/var/log/fail2ban.log"

MOST_LINES = 20_000
"""Of the journal, at the first look: an hour of a host that is guessed at five times a second."""
OVERLAP_S = 10.0
"""Where nothing was found yet: what was on its way to the journal at the look before."""
MOST_BYTES = 1 << 20
"""Of fail2ban's log, at one look."""

_GREP: Final = (
    r"^(Failed |Invalid user |Connection (closed|reset) by |TYPO3 refused|i-doit refused)"
)
_FAILED: Final = re.compile(
    r"Failed (?:password|keyboard-interactive\S*) for (?:invalid user )?(.*) from (\S+) port \d+"
)
"""Keys that are offered and not known are no guesses: a login that succeeds may offer several."""
_LEFT: Final = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from) (?:authenticating|invalid) user"
    r" (.*) (\S+) port \d+"
)
_FOUND: Final = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ fail2ban\.filter\s+\[\d+\]: INFO\s+"
    r"\[([\w-]+)\] (?:Found|Ignore) (\S+)"
)
OWN_JAILS: Final = ("sshd", "typo3-backend", "typo3-first", "idoit-backend", "idoit-first")
"""What these found is read in the journal, with the account's name."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """A login that failed at `at_s` (seconds since 1970).

    `kind` is "ssh", "typo3", "i-doit" or "web"; `account` is empty where nobody wrote it down.
    """

    at_s: float
    kind: str
    address: str
    account: str = ""


class LoginFailures:
    """The failed logins of the last `window_s` seconds on one host."""

    def __init__(self, host: Host, window_s: float) -> None:
        self.host = host
        self.window_s = window_s
        self.attempts: deque[Attempt] = deque()
        self.problem = ""
        self._cursor = ""
        self._since_s = 0.0
        self._size = -1
        self._seen: deque[str] = deque(maxlen=2000)

    def look(self) -> None:
        """Read what was added; what is older than the window goes."""
        now_s = time.time()
        self.problem = ""
        try:
            fresh = [*self._journal(now_s), *self._fail2ban()]
        except CommandMissing:
            fresh, self.problem = [], "there is no journal to be read here"
        except HostError as error:
            fresh, self.problem = [], str(error)
        kept = [*self.attempts, *fresh]
        kept.sort(key=lambda one: one.at_s)
        self.attempts = deque(one for one in kept if one.at_s >= now_s - self.window_s)

    def _journal(self, now_s: float) -> list[Attempt]:
        since = (
            ("--after-cursor", self._cursor)
            if self._cursor
            else (
                f"--since=@{int(max(now_s - self.window_s, self._since_s - OVERLAP_S))}",
                f"--lines={MOST_LINES}",
            )
        )
        matches = ["_UID=0", "_COMM=sshd", "+", "_UID=0", "_COMM=sshd-session"]
        for unit in SERVICES:
            matches += ["+", f"_SYSTEMD_UNIT={unit}"]
        answer = self.host.run(
            ("journalctl", "--output=json", "--no-pager", "--quiet", f"--grep={_GREP}",
             "--output-fields=MESSAGE,_PID,_COMM,_SYSTEMD_UNIT", *since, *matches),
            ok=None, timeout_s=20.0,
        )  # fmt: skip
        if answer.returncode > 1 or "nsufficient permissions" in answer.stderr:
            self.problem = "the journal shows its entries of sshd to root only"
            return []
        self._since_s = now_s
        entries = list(entries_of(answer.stdout))
        if entries:
            newest = max(entries, key=lambda entry: int(entry["__REALTIME_TIMESTAMP"]))
            self._cursor = str(newest["__CURSOR"])
        return list(attempts_of(entries, self._seen))

    def _fail2ban(self) -> list[Attempt]:
        state = self.host.state(FAIL2BAN_LOG)
        size = state.size_bytes if state is not None else 0
        if size < self._size:
            self._size = 0  # logrotate was here
        first = self._size < 0
        grown = min(size - max(self._size, 0), MOST_BYTES)
        self._size = size
        if grown <= 0:
            return []
        text = self.host.run(("tail", "-c", str(grown), FAIL2BAN_LOG), ok=None).stdout
        lines = text.splitlines()
        # The first line may be cut where not all was read.
        return list(found_by_fail2ban(lines[1:] if first and grown == MOST_BYTES else lines))


def entries_of(text: str) -> Iterator[dict[str, Any]]:
    """journalctl's lines of JSON, those that are whole and whose message is text."""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("MESSAGE"), str):
            continue
        if str(entry.get("__REALTIME_TIMESTAMP", "")).isdigit() and "__CURSOR" in entry:
            yield entry


def attempts_of(entries: Iterable[dict[str, Any]], seen: deque[str]) -> Iterator[Attempt]:
    """One attempt for each failure, although sshd has several lines for most.

    `seen`: processes of sshd that told of one already.
    """
    for entry in sorted(entries, key=lambda one: int(one["__REALTIME_TIMESTAMP"])):
        at_s = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
        message, process = entry["MESSAGE"], str(entry.get("_PID", ""))
        if entry.get("_SYSTEMD_UNIT") in SERVICES:
            failure = read_line(message)
            if failure is not None:
                yield Attempt(at_s, failure.application, failure.address, failure.account)
            continue
        if not str(entry.get("_COMM", "")).startswith("sshd"):
            continue
        found = _FAILED.match(message)
        if found is None and process not in seen:
            found = _LEFT.match(message)
        if found is None:
            continue
        seen.append(process)
        address = plain(found[2])
        if address is not None:
            yield Attempt(at_s, "ssh", address, found[1])


def found_by_fail2ban(lines: Iterable[str]) -> Iterator[Attempt]:
    """What the jails of the web server's logs found; fail2ban writes local time."""
    for line in lines:
        found = _FOUND.match(line)
        if found is None or found[2] in OWN_JAILS:
            continue
        address = plain(found[3])
        try:
            at_s = time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S"))
        except (ValueError, OverflowError):
            continue
        if address is not None:
            yield Attempt(at_s, "web", address)
