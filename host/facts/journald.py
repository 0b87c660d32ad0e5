"""What the running systemd-journald does: which files it writes, and how large they may become."""

from __future__ import annotations

import json
import re

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable

UNIT = "systemd-journald.service"
USED_SPACE = "ec387f577b844b8fa948f33cad9a75e6"
"""SD_MESSAGE_JOURNAL_USAGE (sd-messages.h): journald tells its limits when it opens a journal."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)(?:i?B)?")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
LONGEST_SIZE = 40


class Journald(msgspec.Struct, frozen=True, kw_only=True):
    """`files` are the journals it has open; `maximum_bytes` what it said of the one on the disk
    (`None`: it did not say); `started_s` when it started, seconds since 1970."""

    pid: int
    started_s: float
    files: tuple[str, ...]
    maximum_bytes: int | None

    @property
    def is_persistent(self) -> bool:
        return any(path.startswith("/var/log/journal/") for path in self.files)


def size_bytes(text: str) -> int | None:
    """A size such as 1G or 512M, to the base of 1024 (journald.conf(5)); `None` for others."""
    found = _SIZE.fullmatch(text.strip()) if len(text) < LONGEST_SIZE else None
    return int(float(found[1]) * 1024 ** _POWERS[found[2]]) if found else None


def parse_usage(text: str) -> int | None:
    """`journalctl -o json MESSAGE_ID=…`, oldest first: the last limit told of /var/log/journal.

    {"JOURNAL_NAME": "System Journal", "JOURNAL_PATH": "/var/log/journal/ab…",
    "MAX_USE": "1073741824", …}
    """
    found = None
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(entry, dict):
            continue
        path, most = str(entry.get("JOURNAL_PATH", "")), str(entry.get("MAX_USE", ""))
        if path.startswith("/var/log/journal") and re.fullmatch(r"[0-9]{1,20}", most):
            found = int(most)
    return found


def parse_started(text: str) -> tuple[int, float]:
    """`systemctl show -p MainPID,ExecMainStartTimestamp --timestamp=unix`: pid and start; 0 and 0
    where it does not run."""
    values = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    pid, since = values.get("MainPID", ""), values.get("ExecMainStartTimestamp", "")
    return (
        int(pid) if re.fullmatch(r"[0-9]{1,10}", pid) else 0,
        float(since[1:]) if re.fullmatch(r"@[0-9]{1,12}", since) else 0.0,
    )


def _journald(host: Host, facts: Facts) -> Journald:
    if not host.is_root:
        raise FactUnavailable("which journal is written can be seen by root only")
    shown = host.run(
        ("systemctl", "show", UNIT, "--timestamp=unix", "-p", "MainPID,ExecMainStartTimestamp"),
        ok=None,
    ).stdout
    pid, started_s = parse_started(shown)
    files = []
    for link in host.glob(f"/proc/{pid}/fd/*") if pid else ():
        state = host.state(link)
        if state is not None and state.target.endswith(".journal"):
            files.append(state.target)
    try:
        told = host.run(
            ("journalctl", "-b", "-q", "-o", "json", "-n", "20", f"MESSAGE_ID={USED_SPACE}"),
            ok=None,
        ).stdout
    except HostError:
        told = ""
    return Journald(
        pid=pid,
        started_s=started_s,
        files=tuple(sorted(set(files))),
        maximum_bytes=parse_usage(told),
    )


JOURNALD: Fact[Journald] = Fact("journald", _journald)
