"""Measure, print, and write docs/evidence-bench.md: `make bench`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import checking, machine, memory, painting, report, restore_points, sealing
from tests.bench.figures import Row
from tests.bench.hosts import RELEASES, BenchHost, package
from tests.hosts.base import missing

PAGE = machine.ROOT / "docs/evidence-bench.md"

PARTS: dict[str, Callable[[BenchHost, int], list[Row]]] = {
    "painting": lambda host, rounds: painting.measure(host, 2 * rounds + 1),
    "checking": lambda host, rounds: [*checking.measure(host, rounds), *memory.measure(host)],
    "restore points": restore_points.measure,
    "sealing": sealing.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=sorted(RELEASES), default=["bookworm"])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default 3)")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part; the page stays as it is")
    chosen = parser.parse_args()
    reason = missing()
    if reason:
        print(f"make bench measures on a real host, and {reason}", file=sys.stderr)
        return 2
    for suite in chosen.suite:
        print(f"\n{suite} (some ten minutes)\n", flush=True)
        facts = machine.summary()
        rows = list(_measured(suite, chosen.rounds, chosen.only, facts))
        print(f"\n{report.as_text(rows)}\n", flush=True)
        if not chosen.only:
            _write(suite, report.section(facts, rows))
    return 0


def _write(suite: str, section: str) -> None:
    """Put the section into the page; that of another release stays as it was."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    sections = {**report.sections_of(old, RELEASES), suite: section}
    PAGE.write_text(report.page(sections), encoding="utf-8")
    print(f"written to {PAGE.relative_to(machine.ROOT)}", flush=True)


def _measured(suite: str, rounds: int, only: str | None, facts: dict[str, str]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, (host := BenchHost(suite)):
        host.install(package(suite, Path(folder)))
        facts["Rounds"] = str(rounds)
        facts["File system of the 50,000 files"] = sealing.file_system(host)
        for name, measure in PARTS.items():
            if only in (None, name):
                began = time.monotonic()
                yield from measure(host, rounds)
                print(f"{name} took {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
