"""Known holes of what is installed, as debsecan last wrote them, and since when they are known."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

SETTINGS: Final = "/etc/default/debsecan"
PLACE: Final = "/var/lib/harden-tui/vulnerabilities"
REPORT: Final = f"{PLACE}/report"
SINCE: Final = f"{PLACE}/since"
LARGEST_BYTES: Final = 8 * 1024 * 1024


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """One known hole in one installed package. `fixed_in` are the versions without it; `since_s`
    when it was first reported here (seconds since 1970, 0: not known)."""

    name: str
    package: str
    installed: str
    fixed_in: tuple[str, ...] = ()
    urgency: str = ""
    remote: bool = False
    since_s: float = 0.0


class Report(msgspec.Struct, frozen=True):
    """`written_s`: when; 0 where there is none yet."""

    holes: tuple[Hole, ...] = ()
    written_s: float = 0.0


def parse_report(text: str, since: str = "") -> tuple[Hole, ...]:
    """`debsecan --only-fixed --format detail`, a block for each hole of each package.

        CVE-2025-32462 (fixed, remotely exploitable, high urgency)
          sudo before 1.9.17p1 …
          installed: sudo 1.9.13p3-1+deb12u1
                     (built from sudo 1.9.13p3-1+deb12u1)
          fixed in unstable: sudo 1.9.16p2-3 (source package)
          fixed on branch:   sudo 1.9.13p3-1+deb12u2 (source package)

    `since`: "1764100000 CVE-2025-32462 sudo" a line.
    """
    first = parse_since(since)
    found = []
    for block in text.split("\n\n"):
        lines = block.strip("\n").splitlines()
        head = re.fullmatch(r"(\S+)(?: \((.*)\))?", lines[0]) if lines else None
        there = re.search(r"(?m)^  installed: (\S+) (\S+)$", block)
        if head is None or there is None:
            continue
        notes = head[2] or ""
        urgency = re.search(r"(\w+) urgency", notes)
        branch = re.findall(r"(?m)^  fixed on branch: +\S+ (\S+) ", block)
        unstable = re.findall(r"(?m)^  fixed in unstable: \S+ (\S+) ", block)
        found.append(
            Hole(
                name=head[1],
                package=there[1],
                installed=there[2],
                fixed_in=tuple(branch or unstable),
                urgency=urgency[1] if urgency else "",
                remote="remotely exploitable" in notes,
                since_s=first.get((head[1], there[1]), 0.0),
            )
        )
    return tuple(found)


def parse_since(text: str) -> dict[tuple[str, str], float]:
    """Hole and package -> seconds since 1970."""
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and re.fullmatch(r"[0-9]{1,12}", words[0]):
            found.setdefault((words[1], words[2]), float(words[0]))
    return found


def parse_settings(text: str) -> dict[str, tuple[str, int]]:
    """/etc/default/debsecan: {"SUITE": ("GENERIC", 10), …}, the last line of each counts."""
    found: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"\s*([A-Z_]+)=[\"']?([^\"'#\s]*)[\"']?\s*", line)
        if match:
            found[match[1]] = (match[2], number)
    return found


def with_settings(text: str, settings: dict[str, str]) -> str:
    """The file with these values; every other line as it was."""
    lines = text.splitlines()
    there = parse_settings(text)
    for name, value in settings.items():
        if name in there:
            lines[there[name][1] - 1] = f"{name}={value}"
        else:
            lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n"


def _report(host: Host, facts: Facts) -> Report:
    state = host.state(REPORT)
    if state is None:
        return Report()
    text = host.read_bytes(REPORT, limit_bytes=LARGEST_BYTES).decode("utf-8", "replace")
    return Report(parse_report(text, _text(host, SINCE)), state.mtime_ns / 1e9)


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path, limit_bytes=LARGEST_BYTES).decode("utf-8", "replace")
    except HostError:
        return ""


VULNERABILITIES: Fact[Report] = Fact("vulnerabilities", _report)
DEBSECAN_SETTINGS: Fact[str] = Fact("debsecan-settings", lambda host, facts: _text(host, SETTINGS))
"""The text of /etc/default/debsecan; empty where there is none."""
