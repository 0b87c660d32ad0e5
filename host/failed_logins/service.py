"""The service: looks each second, prints a line for each failed login, remembers how far it read.

systemd takes what is printed to the journal, under the name of the unit, which nobody else can
forge; fail2ban's jail reads it there and does the counting, the banning and the mail.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from host.base import HostError
from host.failed_logins import logfiles, table
from host.failed_logins.client import Client

INTERVAL_S: Final = 1.0
LOST_S: Final = 60.0
"""After so long without a look what came meanwhile is judged by its own time."""

USAGE: Final = "usage: harden-tui hand-over-logins typo3|i-doit STATE WITHIN_S DATABASE|DIRECTORY…"


class State(msgspec.Struct):
    """What is kept between two starts."""

    tables: dict[str, table.Place] = {}
    logs: dict[str, logfiles.Places] = {}


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM. Exit status 2 for wrong arguments."""
    if len(arguments) < 4 or arguments[0] not in ("typo3", "i-doit") or not arguments[2].isdigit():
        print(USAGE, file=sys.stderr)
        return 2
    application, path, within, *sources = arguments
    service = Service(path, int(within), application, tuple(sources))
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    return service.run()


class Service:
    """Follows `sources`: databases of TYPO3, or directories of i-doit's logs."""

    def __init__(
        self, path: str, within_s: int, application: str, sources: tuple[str, ...],
        ask: table.Ask | None = None, say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        self.path = path
        self.within_s = within_s
        self.application = application
        self.sources = sources
        self.say = say
        self.client = Client()
        self.ask = ask or self.client.ask
        self.kept = b""
        self.state = self._load()
        self.looked_s: dict[str, float] = {}
        self.trouble: dict[str, str] = {}
        self.stopping = False
        self.ready = False

    def stop(self) -> None:
        self.stopping = True

    def run(self) -> int:
        """Look until told to stop."""
        try:
            while not self.stopping:
                began = time.monotonic()
                behind = self.round()
                sys.stdout.flush()
                self._keep()
                if not behind:
                    time.sleep(max(0.05, INTERVAL_S - (time.monotonic() - began)))
        finally:
            self.client.close()
        return 0

    def round(self) -> bool:
        """One look at each source; whether one of them has more to be read at once."""
        behind = read = False
        for source in self.sources:
            if self.stopping:
                break
            try:
                more = self._look(source)
            except HostError as error:
                self._tell(source, str(error))
                continue
            except (ValueError, IndexError):
                self._tell(source, "MariaDB's answer is not one to this question")
                self.client.close()  # what is left of it would answer the next one
                continue
            self._tell(source, "")
            behind, read = behind or more, True
        # Of several sites one may be gone; the others are read all the same.
        if read and not self.ready:
            self.ready = True
            notify("READY=1")
        return behind

    def _look(self, source: str) -> bool:
        if self.application == "i-doit":
            return self._look_at_log(source)
        place = self.state.tables.get(source)
        if place is None:
            self.state.tables[source] = table.begin(self.ask, source)
            self.looked_s[source] = elapsed_s()
            return False
        # While we look each second, whatever comes is new, whatever the clocks were set to.
        known = elapsed_s() - self.looked_s.get(source, -LOST_S) < LOST_S and not place.floor
        oldest_s = 0 if known else int(time.time()) - self.within_s
        found = table.look(self.ask, source, place, oldest_s)
        self.state.tables[source] = found.place
        if not found.behind:
            self.looked_s[source] = elapsed_s()
        if found.note:
            self._warn(found.note)
            self.looked_s.pop(source, None)
        for failure in found.failures:
            self.say(failure.line())
        if found.old:
            self._warn(
                f"{found.old} failed logins of {source} are not handed over: they were older than"
                f" {self.within_s} s when they could be read, or were handed over before."
            )
        return found.behind

    def _look_at_log(self, source: str) -> bool:
        if source not in self.state.logs:
            self.state.logs[source] = logfiles.begin(source)
            return False
        found = logfiles.look(source, self.state.logs[source])
        self.state.logs[source] = found.places
        for failure in found.failures:
            self.say(failure.line())
        return found.behind

    def _tell(self, source: str, trouble: str) -> None:
        """A trouble is told once, and its end too."""
        before = self.trouble.get(source, "")
        if trouble and trouble != before:
            self._warn(f"Failed logins of {source} are not handed over: {trouble}")
            self.trouble[source] = trouble
        elif before and not trouble:
            del self.trouble[source]
            self._warn(f"Failed logins of {source} are handed over again.")

    def _warn(self, sentence: str) -> None:
        print(f"<4>{sentence}", file=sys.stderr, flush=True)

    def _load(self) -> State:
        try:
            with open(self.path, "rb") as stream:
                self.kept = stream.read()
            return msgspec.json.decode(self.kept, type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.MsgspecError):
            self._warn(f"{self.path} cannot be read: reading goes on from what comes now.")
            return State()

    def _keep(self) -> None:
        """After the lines: what is handed over twice does less harm than what never is."""
        text = msgspec.json.encode(self.state)
        if text == self.kept:
            return
        fresh = f"{self.path}.new"
        try:
            with open(fresh, "wb") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(fresh, self.path)
        except OSError as error:
            self._tell(self.path, f"how far was read cannot be kept ({error.strerror})")
            return
        self._tell(self.path, "")
        self.kept = text


def elapsed_s() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def notify(message: str) -> None:
    """Tell systemd (sd_notify(3)), where it listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
        try:
            one.sendto(message.encode(), address)
        except OSError:
            return  # systemd notices by its own timeout
