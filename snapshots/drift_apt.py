"""Who had apt do it: its history tells the command line, and the person behind sudo."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from host.base import Host, HostError

HISTORIES = ("/var/log/apt/history.log.1.gz", "/var/log/apt/history.log")
LARGEST_LOG_BYTES = 32 * 1024 * 1024
SLACK_S = 2.0
"""apt and dpkg write whole seconds."""

_GZIP = 16 + zlib.MAX_WBITS
_DEEDS = {
    "Install": ("install",),
    "Upgrade": ("upgrade",),
    "Downgrade": ("upgrade",),
    "Reinstall": ("upgrade",),
    "Remove": ("remove",),
    "Purge": ("remove", "purge"),
}
"""apt's words for what dpkg calls so in its log."""
_PACKAGE = re.compile(r"(\S+?)(?::\S+)? \(([^)]*)\)")


class Part(msgspec.Struct, frozen=True):
    """What a run of apt did with one package, as dpkg calls it; "" is a version it does not tell.

    Of what came `new` counts, of what went `old`.
    """

    what: str
    package: str
    old: str = ""
    new: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of apt (seconds since 1970). `by` is who called sudo, "" where apt does not say."""

    began: float
    ended: float
    command: str
    by: str = ""
    parts: frozenset[Part] = frozenset()

    def did(self, part: Part, moment_s: float) -> bool:
        """Whether it was this run that did that at that moment: a dpkg of somebody else's may
        have done another thing with the package within the same second."""
        if not self.began - SLACK_S <= moment_s <= self.ended + SLACK_S:
            return False
        return any(
            (mine.what, mine.package) == (part.what, part.package)
            and mine.old in ("", part.old)
            and mine.new in ("", part.new)
            for mine in self.parts
        )

    def __str__(self) -> str:
        return f"by `{self.command}`" + (f", requested by {self.by}" if self.by else "")


def runs(host: Host) -> list[Run]:
    """All that apt's last two histories tell, oldest first."""
    parts = []
    for path in HISTORIES:
        with contextlib.suppress(HostError, zlib.error):
            content = host.read_bytes(path, limit_bytes=LARGEST_LOG_BYTES)
            if path.endswith(".gz"):
                content = zlib.decompressobj(_GZIP).decompress(content, LARGEST_LOG_BYTES)
            parts.append(content.decode("utf-8", "replace"))
    return parse_history("\n\n".join(parts))


def parse_history(text: str) -> list[Run]:
    """Blocks of "Start-Date: 2026-11-25  14:02:11", "Commandline: …", "Requested-By: alice (1000)",
    "Install: cups:amd64 (2.4, automatic), …" and "End-Date: …", with empty lines between them.

    What names no command line (aptitude, PackageKit) tells nothing here.
    """
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        began = _local(fields.get("Start-Date", ""))
        ended = _local(fields.get("End-Date", "")) or began
        if began is None or ended is None or "Commandline" not in fields:
            continue
        found.append(
            Run(
                began=began,
                ended=ended,
                command=fields["Commandline"],
                by=fields.get("Requested-By", "").partition(" (")[0],
                parts=frozenset(_parts(fields)),
            )
        )
    return found


def _parts(fields: Mapping[str, str]) -> Iterator[Part]:
    for word, deeds in _DEEDS.items():
        for name, told in _PACKAGE.findall(fields.get(word, "")):
            versions = [one for one in told.split(", ") if one != "automatic"]
            first, last = versions[0] if versions else "", versions[-1] if versions else ""
            for what in deeds:
                gone = what in ("remove", "purge")
                yield Part(what, name, "" if what == "install" else first, "" if gone else last)


def _local(stamp: str) -> float | None:
    try:
        return datetime.strptime(stamp, "%Y-%m-%d  %H:%M:%S").astimezone().timestamp()
    except ValueError:
        return None
