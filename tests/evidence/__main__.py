"""Judge, print, and write docs/evidence.md: `make evidence`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from steps.catalog_load import built_in
from tests.bench import machine
from tests.bench.hosts import package
from tests.bench.report import sections_of
from tests.evidence import finding, page
from tests.evidence.goals import met
from tests.evidence.measuring import Release, measure
from tests.hosts.base import SUITES, missing
from tests.hosts.lab import installed_layer

PAGE = machine.ROOT / "docs/evidence.md"
CHECKLIST = "lamp"
STAGE = "pre-install"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make evidence", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--workers", type=int, default=2, help="hosts side by side (default 2)")
    parser.add_argument(
        "--out",
        type=Path,
        default=PAGE,
        help="where the page is written (default docs/evidence.md)",
    )
    chosen = parser.parse_args()
    reason = missing()
    if reason:
        print(f"make evidence needs a real host, and {reason}", file=sys.stderr)
        return 2
    facts = machine.summary()
    known = finding.deviations()
    began = time.monotonic()
    measured = _measured(chosen.suite, chosen.workers)
    releases = [release for release in measured if release]
    sections = {}
    for release in releases:
        sections[release.suite] = page.section(facts, release, known)
        print(f"\n{release.suite}\n\n{page.as_text(release)}", flush=True)
        for one in page.open_findings(release, known):
            print(f"open: {one.judge} {one.id}: {one.text}", flush=True)
    seen = [(one, release.suite) for release in releases for one in page.all_findings(release)]
    for superfluous in finding.unused(known, seen, [release.suite for release in releases]):
        print(f"no judge finds this any more: {superfluous.judge} {superfluous.finding}")
    print(f"{time.monotonic() - began:.0f} s", flush=True)
    _write(chosen.out, sections)
    return 0 if met(releases) and len(releases) == len(measured) else 1


def _write(path: Path, sections: dict[str, str]) -> None:
    """Put the sections into the page; that of another release stays as it was."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(page.page({**sections_of(old, SUITES), **sections}), encoding="utf-8")
    print(f"written to {path}", flush=True)


def _measured(suites: Sequence[str], workers: int) -> list[Release | None]:
    """`None` for a release whose host did not boot or could not be asked; the reason is printed."""
    catalogue, checklists = built_in()
    order = [choice.id for choice in checklists[CHECKLIST].choices]
    steps = [name for name in order if catalogue[name].stage == STAGE]

    def one(suite: str, folder: Path) -> Release | None:
        debs = folder / f"debs-{suite}"
        debs.mkdir()
        layer = installed_layer(suite, package(suite, debs), folder / f"layer-{suite}")
        tell = partial(print, f"{suite}:", flush=True)
        try:
            return measure(suite, layer, CHECKLIST, steps, list(catalogue), tell)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            tell(f"not measured, the page keeps what it had: {error}")
            return None

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        return list(pool.map(partial(one, folder=Path(folder)), suites))


if __name__ == "__main__":
    sys.exit(main())
