"""Tell random histories on real hosts, print each that went wrong, and write
docs/evidence-histories.md."""

from __future__ import annotations

import argparse
import fcntl
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import machine
from tests.bench.hosts import RELEASES, package
from tests.bench.report import sections_of
from tests.histories import archive, report
from tests.histories.actions import History, drawn, without_one
from tests.histories.host import Told, World
from tests.hosts.base import LAB, base, missing
from tests.hosts.lab import LabHost, installed_layer

PAGE = machine.ROOT / "docs/evidence-histories.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make histories", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=sorted(RELEASES), default=sorted(RELEASES))
    parser.add_argument("--minutes", type=float, default=10, help="for each release")
    parser.add_argument("--seed", type=int, help="this one alone; the page stays as it is")
    parser.add_argument("--shorten", action="store_true", help="leave out of it what can be")
    parser.add_argument("--layer", type=Path, help="a host's changes with the program installed")
    chosen = parser.parse_args()
    reason = missing()
    if reason:
        print(f"make histories needs real hosts, and {reason}", file=sys.stderr)
        return 2
    failed = 0
    for suite in chosen.suite:
        base(suite)
        facts = machine.summary()
        with tempfile.TemporaryDirectory(dir=LAB) as place:
            folder = Path(place)
            layer = chosen.layer or installed_layer(suite, package(suite, folder), folder / "layer")
            for deb in archive.debs():
                archive.build(deb, folder)
            if chosen.seed is not None:
                history = drawn(chosen.seed)
                told = tell(suite, layer, folder, history)
                while chosen.shorten and told.problems:
                    shorter = _shorter(suite, layer, folder, history)
                    if shorter is None:
                        break
                    history, told = shorter
                _say_of(told)
                failed += bool(told.problems)
                continue
            began = time.monotonic()
            all_told = []
            for seed in seeds(began + chosen.minutes * 60):
                told = tell(suite, layer, folder, drawn(seed))
                all_told.append(told)
                if told.problems:
                    _say_of(told)
            facts["Took"] = f"{(time.monotonic() - began) / 60:.0f} minutes"
            failed += sum(bool(told.problems) for told in all_told)
            _write(suite, report.section(facts, all_told))
    return 1 if failed else 0


def tell(suite: str, layer: Path, folder: Path, history: History) -> Told:
    """One history on a fresh host."""
    with LabHost(suite, layer) as host:
        return World(host, folder).run(history)


def seeds(until: float) -> Iterator[int]:
    """Others with each run: the second at which it began, and on from there."""
    seed = int(time.time())
    while time.monotonic() < until:
        yield seed
        seed += 1


def _shorter(
    suite: str, layer: Path, folder: Path, history: History
) -> tuple[History, Told] | None:
    """The history without one of its actions, if that goes wrong too."""
    for shorter in without_one(history):
        told = tell(suite, layer, folder, shorter)
        if told.problems:
            print(f"{len(shorter.actions)} actions: {told.problems[0][:200]}", flush=True)
            return shorter, told
    return None


def _say_of(told: Told) -> None:
    print(f"seed {told.seed}: {'FAILED' if told.problems else 'held'}")
    for line in (*told.done, *(f"!! {problem}" for problem in told.problems)):
        print(f"    {line}", flush=True)


def _write(suite: str, section: str) -> None:
    """Put the section into the page; that of another release stays as it was."""
    with (LAB / "histories-page.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        sections = {**sections_of(old, RELEASES), suite: section}
        PAGE.write_text(report.page(sections), encoding="utf-8")
    print(f"written to {PAGE.relative_to(machine.ROOT)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
