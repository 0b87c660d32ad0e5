"""Harden the applications' hosts while visitors ask, and write docs/evidence-applications.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

from steps.catalog_load import built_in
from tests.bench import machine
from tests.bench.hosts import package
from tests.bench.report import sections_of
from tests.evidence import application_page as page
from tests.evidence.application import BEDS, Bed, Run, measure
from tests.evidence.page import as_text
from tests.hosts.base import SUITES, missing
from tests.hosts.lab import installed_layer

PAGE = machine.ROOT / "docs/evidence-applications.md"
STAGES = ("pre-install", "post-install")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make evidence-applications", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=list(SUITES))
    names = [bed.checklist for bed in BEDS]
    parser.add_argument("--checklist", nargs="+", choices=names, default=names)
    parser.add_argument("--workers", type=int, default=2, help="hosts side by side (default 2)")
    chosen = parser.parse_args()
    reason = missing()
    if reason:
        print(f"make evidence-applications needs a real host, and {reason}", file=sys.stderr)
        return 2
    facts = machine.summary()
    began = time.monotonic()
    beds = [bed for bed in BEDS if bed.checklist in chosen.checklist]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(chosen.workers) as pool:
        layers = {suite: _layer(suite, Path(folder)) for suite in chosen.suite}
        pairs = product(beds, chosen.suite)
        runs = list(pool.map(lambda pair: _one(pair[0], pair[1], layers[pair[1]]), pairs))
    sections = {}
    for run in filter(None, runs):
        sections[page.name_of(run)] = page.section(facts, run)
        print(f"\n{page.name_of(run)}\n\n{as_text(run.release)}\n{page.in_words(run.phases)}")
    print(f"{time.monotonic() - began:.0f} s", flush=True)
    every = [f"{bed.checklist} on {suite}" for bed in BEDS for suite in SUITES]
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(page.page({**sections_of(old + "\n## ", every), **sections}), encoding="utf-8")
    print(f"written to {PAGE.relative_to(machine.ROOT)}", flush=True)
    return 0 if len(sections) == len(runs) else 1


def _layer(suite: str, folder: Path) -> Path:
    debs = folder / f"debs-{suite}"
    debs.mkdir()
    return installed_layer(suite, package(suite, debs), folder / f"layer-{suite}")


def _one(bed: Bed, suite: str, layer: Path) -> Run | None:
    """`None` where the host did not boot or could not be asked; the reason is printed."""
    catalogue, checklists = built_in()
    order = [choice.id for choice in checklists[bed.checklist].choices]
    steps = [name for name in order if catalogue[name].stage in STAGES]
    tell = partial(print, f"{bed.checklist} on {suite}:", flush=True)
    try:
        return measure(bed, suite, layer, steps, list(catalogue), tell)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        tell(f"not measured, the page keeps what it had: {error}")
        return None


if __name__ == "__main__":
    sys.exit(main())
