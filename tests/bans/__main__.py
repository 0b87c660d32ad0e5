"""Measure, print, and write docs/evidence-bans.md: `make bans`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.bans import bed, measuring
from tests.bans.measuring import Found
from tests.bans.report import page
from tests.bench import machine
from tests.bench.hosts import package
from tests.hosts.base import SUITES, missing
from tests.hosts.lab import LabHost, installed_layer

PAGE = machine.ROOT / "docs/evidence-bans.md"
ROWS, LINES = 5_000_000, 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bans", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of sys_log")
    parser.add_argument("--lines", type=int, default=LINES, help="lines of each log")
    parser.add_argument("--no-page", action="store_true", help="leave the page as it is")
    chosen = parser.parse_args()
    reason = missing()
    if reason:
        print(f"make bans needs a real host, and {reason}", file=sys.stderr)
        return 2
    facts = machine.summary()
    found = [_measured(suite, chosen.rows, chosen.lines) for suite in chosen.suite]
    if not chosen.no_page:
        PAGE.write_text(page(facts, found, chosen.rows, chosen.lines), encoding="utf-8")
        print(f"written to {PAGE.relative_to(machine.ROOT)}", flush=True)
    return 1 if any(one.wrong for one in found) else 0


def _measured(suite: str, rows: int, lines: int) -> Found:
    found = Found(suite)
    with tempfile.TemporaryDirectory() as folder:
        debs = Path(folder) / "debs"
        debs.mkdir()
        layer = installed_layer(suite, package(suite, debs), Path(folder) / "layer")
        with LabHost(suite, layer) as host:
            began = time.monotonic()
            size = bed.install(host, rows, lines)
            found.add("sys_log", f"{rows:,} rows, {size}")
            print(f"{suite}: filled in {time.monotonic() - began:.0f} s", flush=True)
            bed.apply(host)
            measuring.plans(host, found, rows)
            measuring.starting(host, found)
            measuring.lag(host, found)
            measuring.bans(host, found)
            measuring.in_the_way(host, found)
            measuring.dear(host, found)
            measuring.behind(host, found)
            measuring.burst(host, found)
    return found


if __name__ == "__main__":
    sys.exit(main())
