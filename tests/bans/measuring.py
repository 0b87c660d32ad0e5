"""What is measured on such a host: how late, how dear, and in whose way."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from host.failed_logins import table
from tests.bans.bed import ACCESS_LOG, IDOIT_LOG, access_line
from tests.hosts.beds.site import sql
from tests.hosts.lab import LabHost
from tests.hosts.trials.bans import banned

TYPO3, IDOIT = "harden-tui-typo3-logins", "harden-tui-idoit-logins"
PLACE = "/var/lib/harden-tui/logins-typo3/place.json"
TICKS = 100
"""Of a second in /proc/PID/stat (getconf CLK_TCK)."""


@dataclass
class Found:
    """`rows` of the page: what was measured and what came out. `wrong`: what must not be."""

    suite: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, what: str, how: str) -> None:
        self.rows.append((what, how))
        print(f"{self.suite}: {what}: {how}", flush=True)

    def must(self, what: str, holds: bool) -> None:
        if not holds:
            self.wrong.append(what)
            print(f"{self.suite}: WRONG: {what}", flush=True)


def several(values: Sequence[float], unit: str) -> str:
    """ "median 0.51 s, 99 % 0.98 s, at most 1.02 s"."""
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return (
        f"median {statistics.median(ordered):.2f} {unit}, 99 % {late:.2f} {unit},"
        f" at most {ordered[-1]:.2f} {unit}"
    )


def plans(host: LabHost, found: Found, rows: int) -> None:
    """EXPLAIN of each question on the full table."""
    for name, question in (
        ("where to read on", table.where("typo3", table.Place(rows // 2, 0))),
        ("the failed logins among the next rows",
         table.failed_between("typo3", rows // 2, rows // 2 + table.BATCH)),
    ):  # fmt: skip
        answer = json.loads(sql(host, f"EXPLAIN FORMAT=JSON {question}", "-N", "-r"))
        tables = [one for one in _tables(answer) if not one["table_name"].startswith("<")]
        used = sorted({str(one["access_type"]) for one in tables})
        keys = sorted({str(one.get("key")) for one in tables})
        found.add(f"index: {name}", f"{', '.join(keys)} ({', '.join(used)})")
        found.must(f"{name} is read by the primary key alone", keys == ["PRIMARY"])
        found.must(f"{name} scans no whole table", "ALL" not in used)


def _tables(node: object) -> list[dict[str, Any]]:
    """Every table of an answer of EXPLAIN; "<derived3>" is a result of its own."""
    if isinstance(node, dict):
        mine = [node] if "table_name" in node else []
        return mine + [one for child in node.values() for one in _tables(child)]
    if isinstance(node, list):
        return [one for child in node for one in _tables(child)]
    return []


def starting(host: LabHost, found: Found) -> None:
    """A start where nothing was read before."""
    for unit, what in ((TYPO3, "the full table"), (IDOIT, "the full log")):
        host.run("systemctl", "stop", unit)
        host.run("sh", "-c", "rm -f /var/lib/harden-tui/logins-*/place.json")
        began = time.monotonic()
        host.run("systemctl", "start", unit)
        found.add(f"first start with {what}", f"{time.monotonic() - began:.2f} s until ready")


def lag(host: LabHost, found: Found, count: int = 200) -> None:
    """From the commit of a failed login to its line in the journal, beside a busy writer."""
    with subprocess.Popen(
        _inside(host, "php", "/root/writer.php", str(count // 5 + 10), "200"),
        stdout=subprocess.DEVNULL,
    ) as writer:
        since = time.time()
        when = json.loads(host.out("php", "/root/failures.php", str(count), "150"))
        time.sleep(3)
        writer.terminate()
    seen = _journal(host, TYPO3, since)
    missing = [address for address in when if address not in seen]
    found.must(
        f"all of {count} failed logins are handed over ({len(missing)} are not)", not missing
    )
    late = [seen[address] - when[address] for address in when if address in seen]
    found.add(f"from a failed login to fail2ban's journal, {count} of them", several(late, "s"))


def _journal(host: LabHost, unit: str, since: float) -> dict[str, float]:
    """Address -> when its first line came to the journal."""
    text = host.out(
        "journalctl", "-q", "-u", unit, "-o", "json", "--output-fields=MESSAGE",
        f"--since=@{int(since)}",
    )  # fmt: skip
    seen: dict[str, float] = {}
    for line in text.splitlines():
        entry = json.loads(line)
        words = str(entry["MESSAGE"]).split(" from ")
        if len(words) > 1:
            at_s = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            seen.setdefault(words[1].split()[0], at_s)
    return seen


def bans(host: LabHost, found: Found) -> None:
    """From the fifth failure to an address that the kernel refuses."""
    row = "(UNIX_TIMESTAMP(), 255, 3, 3, 'user', '203.0.113.40', '[\"admin\"]', '')"
    columns = "(tstamp, type, action, error, channel, IP, log_data, details)"
    five = f"INSERT INTO typo3.sys_log {columns} VALUES {', '.join([row] * 5)}"
    _until_banned(host, found, "TYPO3", "typo3-backend", "203.0.113.40", lambda: sql(host, five))
    line = (
        "[2026-11-26T00:00:01+00:00] login.WARNING: Login failed for user bob"
        ' {"username":"bob","ip-address":"203.0.113.41","user-agent":"x"} []\n'
    )
    _until_banned(
        host, found, "i-doit, its long log", "idoit-backend", "203.0.113.41",
        lambda: _append(host, IDOIT_LOG, line * 5),
    )  # fmt: skip
    _until_banned(
        host, found, "web server, its long log", "typo3-web", "203.0.113.42",
        lambda: _append(
            host, ACCESS_LOG,
            access_line("203.0.113.42", time.time(), "POST /typo3/login", 403) * 5,
        ),
    )  # fmt: skip


def _append(host: LabHost, path: str, text: str) -> None:
    with (host.root / path.lstrip("/")).open("a") as log:
        log.write(text)


def _until_banned(
    host: LabHost, found: Found, what: str, jail: str, address: str, fail: Callable[[], object]
) -> None:
    began = time.monotonic()
    fail()
    while not banned(host, jail, address) and time.monotonic() < began + 120:
        time.sleep(0.1)
    took = time.monotonic() - began
    found.must(f"{what}: the address is banned", took < 120)
    found.add(f"from the fifth failure to the ban: {what}", f"{took:.1f} s")


def in_the_way(host: LabHost, found: Found, seconds: int = 30) -> None:
    """What a writer of 200 rows a second waits for, with and without the service."""
    before = _locks(host)
    for state, what in (("stop", "without the service"), ("start", "with the service")):
        host.run("systemctl", state, TYPO3)
        time.sleep(2)
        found.add(f"an INSERT of a busy writer, {what}", several(_writer(host, seconds), "ms"))
    found.must("nobody waited for a lock of a row or table", _locks(host) == before)
    found.add("waits for locks of rows and tables meanwhile", "none" if _locks(host) == before
              else f"{before} -> {_locks(host)}")  # fmt: skip


def _writer(host: LabHost, seconds: int) -> list[float]:
    took: list[float] = json.loads(host.out("php", "/root/writer.php", str(seconds), "200"))
    return took


def _locks(host: LabHost) -> dict[str, str]:
    text = sql(
        host,
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Table_locks_waited', 'Innodb_row_lock_waits')",
        "-N",
    )
    return dict(line.split("\t") for line in text.splitlines())


def dear(host: LabHost, found: Found, seconds: int = 60) -> None:
    """Processor and memory while nothing comes, and while 200 rows a second come."""
    for unit, what in ((TYPO3, "TYPO3"), (IDOIT, "i-doit")):
        ticks = _ticks(host, unit)
        time.sleep(seconds)
        share = (_ticks(host, unit) - ticks) / TICKS / seconds * 100
        found.add(f"processor of the service for {what}, nothing comes", f"{share:.2f} % of one")
    ticks = _ticks(host, TYPO3)
    _writer(host, seconds)
    share = (_ticks(host, TYPO3) - ticks) / TICKS / seconds * 100
    found.add("processor for TYPO3, 200 rows a second", f"{share:.2f} % of one")
    memory(host, found, "")


def memory(host: LabHost, found: Found, when: str) -> None:
    for unit, what in ((TYPO3, "TYPO3"), (IDOIT, "i-doit")):
        parts = []
        for name, pid in _processes(host, unit):
            status = host.out("cat", f"/proc/{pid}/status")
            peak = next(x.split()[1] for x in status.splitlines() if x.startswith("VmHWM"))
            rollup = host.out("cat", f"/proc/{pid}/smaps_rollup")
            own = next(x.split()[1] for x in rollup.splitlines() if x.startswith("Pss:"))
            parts.append(f"{name} {int(own) / 1024:.1f} MiB (peak {int(peak) / 1024:.1f})")
        found.add(f"memory of the service for {what}{when}", ", ".join(parts))


def _processes(host: LabHost, unit: str) -> list[tuple[str, int]]:
    main = int(host.out("systemctl", "show", "-p", "MainPID", "--value", unit))
    children = host.out("cat", f"/proc/{main}/task/{main}/children").split()
    return [("itself", main), *(("mariadb's client", int(pid)) for pid in children)]


def _ticks(host: LabHost, unit: str) -> int:
    total = 0
    for _, pid in _processes(host, unit):
        fields = host.out("cat", f"/proc/{pid}/stat").rpartition(") ")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total


def behind(host: LabHost, found: Found) -> None:
    """The service was down while all the rows came: read from the first to the last."""
    host.run("systemctl", "stop", TYPO3)
    counted = sql(host, "SELECT MAX(uid), COUNT(*) FROM typo3.sys_log", "-N").split("\t")
    highest, rows = map(int, counted)
    owner = host.out("stat", "-c", "%U", PLACE)
    place = {"tables": {"typo3": {"uid": 0, "tstamp": 0}}}
    host.write(PLACE, json.dumps(place), 0o600)
    host.run("chown", owner, PLACE)
    before = _locks(host)
    began = time.monotonic()
    host.run("systemctl", "start", TYPO3)
    with subprocess.Popen(
        _inside(host, "php", "/root/writer.php", "600", "200"),
        stdout=subprocess.DEVNULL,
    ) as writer:
        while _uid(host) < highest and time.monotonic() < began + 600:
            time.sleep(0.2)
        took = time.monotonic() - began
        writer.terminate()
    found.must("what came while the service was down is read within ten minutes", took < 600)
    found.add(
        f"{rows:,} rows that came while the service was down",
        f"read in {took:.0f} s, {rows / took:,.0f} rows a second",
    )
    found.must("nobody waited for a lock meanwhile", _locks(host) == before)
    memory(host, found, ", after that")


def _uid(host: LabHost) -> int:
    try:
        place = json.loads(host.out("cat", PLACE))
    except (AssertionError, ValueError):
        return 0
    return int(place["tables"]["typo3"]["uid"])


def burst(host: LabHost, found: Found, lines: int = 20_000) -> None:
    """Twenty thousand failed logins of i-doit at once."""
    line = (
        "[2026-11-26T00:00:01+00:00] login.WARNING: Login failed for user bob"
        ' {"username":"bob","ip-address":"192.0.2.77","user-agent":"x"} []\n'
    )
    last = line.replace("192.0.2.77", "203.0.113.99")
    since = time.time()
    _append(host, IDOIT_LOG, line * (lines - 1) + last)
    until = time.monotonic() + 300
    while "203.0.113.99" not in (seen := _journal(host, IDOIT, since)):
        if time.monotonic() > until:
            found.must("a burst is handed over within five minutes", False)
            return
        time.sleep(0.5)
    took = seen["203.0.113.99"] - since
    found.add(f"{lines:,} failed logins of i-doit at once", f"handed over in {took:.1f} s")


def _inside(host: LabHost, *argv: str) -> list[str]:
    return ["nsenter", "-t", str(host.leader), "-a", "--", *argv]
