"""Measure, print, and write docs/evidence-fidelity.md: `make fidelity`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from steps.catalog_load import built_in
from tests.bench import machine
from tests.bench.hosts import package
from tests.fidelity import outcome
from tests.fidelity.left_out import left_out, read_besides
from tests.fidelity.measuring import measure
from tests.fidelity.outcome import Outcome
from tests.hosts.base import SUITES, missing
from tests.hosts.lab import installed_layer

PAGE = machine.ROOT / "docs/evidence-fidelity.md"


def main() -> int:
    steps, _ = built_in()
    parser = argparse.ArgumentParser(prog="make fidelity", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--step", nargs="+", choices=sorted(steps), default=list(steps))
    parser.add_argument("--workers", type=int, default=2, help="hosts side by side (default 2)")
    parser.add_argument("--no-page", action="store_true", help="leave the page as it is")
    chosen = parser.parse_args()
    reason = missing()
    if reason:
        print(f"make fidelity needs a real host, and {reason}", file=sys.stderr)
        return 2
    facts = machine.summary()
    began = time.monotonic()
    outcomes = _measured(chosen.suite, chosen.step, chosen.workers)
    print(f"\n{outcome.as_text(outcomes)}\n\n{outcome.summary(outcomes)}", flush=True)
    print(*outcome.beside(outcomes), sep="\n", flush=True)
    print(f"{time.monotonic() - began:.0f} s", flush=True)
    whole = set(chosen.suite) == set(SUITES) and set(chosen.step) == set(steps)
    if whole and not chosen.no_page:
        declared = {name: step.irreversible for name, step in steps.items() if step.irreversible}
        text = outcome.page(facts, outcomes, left_out(), read_besides(), declared)
        PAGE.write_text(text, encoding="utf-8")
        print(f"written to {PAGE.relative_to(machine.ROOT)}", flush=True)
    return 0 if outcome.is_complete(outcomes) else 1


def _measured(suites: list[str], steps: list[str], workers: int) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        layers = dict(zip(suites, pool.map(lambda s: _layer(s, Path(folder)), suites), strict=True))

        def one(pair: tuple[str, str]) -> Outcome:
            step, suite = pair
            found = measure(suite, layers[suite], step)
            print(f"{suite} {step}: {found.result}", flush=True)
            return found

        found = list(pool.map(one, product(steps, suites)))
        # A host that could not be asked while others were at work is asked once more, alone.
        found = [one((each.step, each.suite)) if each.problem else each for each in found]
    return sorted(found, key=lambda one: (suites.index(one.suite), steps.index(one.step)))


def _layer(suite: str, folder: Path) -> Path:
    place = folder / f"layer-{suite}"
    debs = folder / f"debs-{suite}"
    debs.mkdir()
    return installed_layer(suite, package(suite, debs), place)


if __name__ == "__main__":
    sys.exit(main())
