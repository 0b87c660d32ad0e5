"""A visitor who asks a site all the time, and counts what was no answer."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

INTERVAL_S = 0.1
PATIENCE_S = 20.0


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the requests that began in one stretch of time.

    `lost`: a reason for each that was not answered as it should be. `longest_s`: from the first
    request of the longest row of lost ones until one that was answered again, in seconds.
    """

    name: str
    asked: int
    lost: tuple[str, ...] = ()
    longest_s: float = 0.0


class Client:
    """Asks for a site's first page each 100 ms, whether the one before was answered or not.

    An answer has status 200 and these words in it; a redirection to https is followed, and a
    certificate that nobody signed is taken. Every request belongs to the phase it began in.
    """

    def __init__(self, address: str, site: str, words: str, *, port: int = 80) -> None:
        self._address, self._site, self._words, self._port = address, site, words, port
        self._ends = threading.Event()
        self._asking: list[threading.Thread] = []
        self._names: list[str] = [""]
        self._results: list[tuple[str, float, str]] = []
        self._thread = threading.Thread(target=self._run, daemon=True, name="client")
        self._thread.start()

    def begin(self, phase: str) -> None:
        """From now on requests belong to this phase."""
        self._names.append(phase)

    def end(self) -> tuple[Phase, ...]:
        """Stop asking, wait for the last answers, and count."""
        self._ends.set()
        self._thread.join()
        for one in self._asking:
            one.join()
        return counted(self._names[1:], self._results)

    def _run(self) -> None:
        while not self._ends.wait(INTERVAL_S):
            self._asking = [one for one in self._asking if one.is_alive()]
            asking = threading.Thread(
                target=self._ask, args=(self._names[-1], time.monotonic()), daemon=True
            )
            self._asking.append(asking)
            asking.start()

    def _ask(self, phase: str, began_s: float) -> None:
        try:
            why = self._answer()
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
        self._results.append((phase, began_s, why))

    def _answer(self) -> str:
        """Why it was none; empty if it was one."""
        status, location, body = _get(
            http.client.HTTPConnection, self._address, self._port, self._site
        )
        target = urlsplit(location)
        if status in (301, 302, 307, 308) and target.scheme == "https":
            status, _, body = _get(_unverified, self._address, target.port or 443, self._site)
        if status != 200:
            return f"status {status}"
        return "" if self._words in body else "another page"


class _Connect(Protocol):
    def __call__(self, host: str, port: int, *, timeout: float) -> http.client.HTTPConnection: ...


def _unverified(host: str, port: int, *, timeout: float) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


def _get(connect: _Connect, address: str, port: int, site: str) -> tuple[int, str, str]:
    connection = connect(address, port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/", headers={"Host": site})
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        return answer.status, answer.getheader("Location", ""), body
    finally:
        connection.close()


def counted(names: Sequence[str], results: Sequence[tuple[str, float, str]]) -> tuple[Phase, ...]:
    """Each phase, in this order, from (phase, begin in seconds, reason or "")."""
    found = []
    for name in names:
        mine = sorted((began_s, why) for phase, began_s, why in results if phase == name)
        longest_s, since_s = 0.0, None
        for began_s, why in mine:
            if why and since_s is None:
                since_s = began_s
            elif not why and since_s is not None:
                longest_s, since_s = max(longest_s, began_s - since_s), None
        if since_s is not None:
            longest_s = max(longest_s, mine[-1][0] - since_s + INTERVAL_S)
        lost = tuple(why for _, why in mine if why)
        found.append(Phase(name=name, asked=len(mine), lost=lost, longest_s=longest_s))
    return tuple(found)
