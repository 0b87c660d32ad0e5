"""Try faults on real hosts, print each that was not survived, and write docs/evidence-faults.md."""

from __future__ import annotations

import argparse
import fcntl
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import machine
from tests.bench.hosts import RELEASES, package
from tests.bench.report import sections_of
from tests.faults import report, sharing
from tests.faults.alone import be_alone
from tests.faults.campaign import Extent
from tests.faults.settings import SAMPLE, SETTINGS
from tests.faults.sharing import say
from tests.hosts.base import LAB, base, missing
from tests.hosts.lab import installed_layer

PAGE = machine.ROOT / "docs/evidence-faults.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=sorted(RELEASES), default=sorted(RELEASES))
    parser.add_argument("--minutes", type=float, help="for each release; without, every point")
    parser.add_argument("--points", type=int, help="at most so many of each trial")
    parser.add_argument("--every", nargs="+", default=[], metavar="TITLE",
                        help="all points of trials with this in their title, whatever the limit "
                        "(as in 'ssh.limits, killed')")  # fmt: skip
    parser.add_argument("--workers", type=int, default=1, help="hosts side by side (default 1)")
    parser.add_argument("--only", help="trials that have this in their name; the page stays")
    parser.add_argument("--sample", action="store_true", help="a few; the page stays as it is")
    parser.add_argument("--layer", type=Path, help="a host's changes with the program installed")
    chosen = parser.parse_args()
    reason = missing()
    if reason:
        print(f"make faults breaks real hosts, and {reason}", file=sys.stderr)
        return 2
    failed = 0
    extent = Extent(
        tuple(chosen.every), chosen.points, chosen.minutes * 60 if chosen.minutes else None
    )
    for suite in chosen.suite:
        base(suite)
    be_alone()
    for suite in chosen.suite:
        facts = machine.summary()
        began = time.monotonic()
        settings = [
            setting for setting in (SAMPLE if chosen.sample else SETTINGS)
            if not chosen.only or chosen.only in f"{setting.step} {setting.trials} {setting.disk}"
        ]  # fmt: skip
        with tempfile.TemporaryDirectory(dir=LAB) as folder:
            layer = chosen.layer or installed_layer(
                suite, package(suite, Path(folder)), Path(folder) / "layer"
            )
            rows = sharing.run(settings, suite, layer, extent, chosen.workers)
        facts["Took"] = f"{(time.monotonic() - began) / 60:.0f} minutes"
        tried = sum(row.tried for row in rows)
        failed += sum(len(row.failed) for row in rows)
        say(f"{suite}: {tried} points tried of {sum(row.points for row in rows)}, "
             f"{sum(len(row.failed) for row in rows)} failed")  # fmt: skip
        if not (chosen.sample or chosen.only):
            _write(suite, report.section(facts, rows))
    return 1 if failed else 0


def _write(suite: str, section: str) -> None:
    """Put the section into the page; that of another release stays as it was."""
    with (LAB / "faults-page.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        sections = {**sections_of(old, RELEASES), suite: section}
        PAGE.write_text(report.page(sections), encoding="utf-8")
    say(f"written to {PAGE.relative_to(machine.ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
