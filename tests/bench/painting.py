"""How soon the screen is there, how much it writes, how much memory it takes."""

from __future__ import annotations

from statistics import median

from tests.bench.figures import Row, at_most, in_turn, slower
from tests.bench.hosts import BenchHost
from tests.bench.terminal import Recording

DOWN = "\x1b[B"
STEPS_DOWN = 8
LIVE_S = 10.0

EMPTY = """
import sys
sys.path.insert(0, "/usr/lib/harden-tui")
from textual.app import App
from textual.widgets import Static


class Empty(App):
    def compose(self):
        yield Static("ready")


Empty().run()
"""

BLINKING = """[Unit]
Description=Changes its state each second
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sleep 1
Restart=always
RestartSec=1
"""
UNITS = ("a-bench-1.service", "a-bench-2.service", "a-bench-3.service")


def measure(host: BenchHost, rounds: int) -> list[Row]:
    """The installed program as root on the host, without arguments: the screen."""
    host.write("/root/empty.py", EMPTY)
    rows: list[float] = []

    def ours() -> float:
        with _screen(host) as screen:
            screen.settle()
        rows.append(screen.when(lambda text: "ssh.key-only" in text))
        return screen.when(bool)

    def empty() -> float:
        with Recording(_inside(host, "python3", "-I", "/root/empty.py")) as screen:
            screen.settle()
        return screen.when(bool)

    ours()
    rows.clear()
    mine, theirs = in_turn(rounds, ours, empty)
    return [
        slower("first paint, against an empty Textual application", mine, theirs, 1.3),
        at_most("… until the checklist's rows are there", median(rows), "s", None),
        *_written(host),
    ]


def _written(host: BenchHost) -> list[Row]:
    with _screen(host) as screen:
        screen.settle(2.0)
        at_once, whole = [], []
        for _ in range(STEPS_DOWN):
            screen.press(DOWN)
            first = screen.listen(0.1)
            at_once.append(first)
            whole.append(first + screen.settle())
        live = _live(host, screen)
        peak = screen.peak_kib()
    return [
        at_most("bytes for the ↓ key, the list at once", median(at_once), "bytes", None),
        at_most("… with the explanation of the next step beside it", median(whole), "bytes", 500),
        at_most("bytes each second for Live with three changing rows", live, "bytes", 500),
        at_most("memory of the screen", peak / 1024, "MB", 60),
    ]


def _live(host: BenchHost, screen: Recording) -> float:
    """Three services that change their state each second; all units shown, by name."""
    for unit in UNITS:
        host.write(f"/etc/systemd/system/{unit}", BLINKING)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", *UNITS)
    screen.press("2")
    screen.listen(2.0)
    screen.press("\tv")  # to the services, all of them
    screen.listen(1.0)
    screen.press("o")  # by name, so that what changes stays in its place
    screen.listen(2.0)
    shown = screen.text()
    if not all(unit in shown for unit in UNITS):
        raise AssertionError(f"the three services are not on the screen:\n{shown}")
    written = screen.listen(LIVE_S) / LIVE_S
    host.run("systemctl", "stop", *UNITS)
    return written


def _screen(host: BenchHost) -> Recording:
    return Recording(_inside(host, "harden-tui", "--checklist", "i-doit"))


def _inside(host: BenchHost, *argv: str) -> list[str]:
    return ["nsenter", "-t", str(host.leader), "-a", "--", *argv]
