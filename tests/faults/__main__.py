"""Try faults on real hosts, print each that was not survived, and write docs/evidence-faults.md.

What was tried before is kept beside the page and left out: a campaign of hours is made in parts,
and one that is ended early has lost nothing. Each point is tried on one of the releases, in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import machine
from tests.bench.hosts import RELEASES, package
from tests.faults import report, sharing
from tests.faults.alone import be_alone
from tests.faults.campaign import Extent, Had, Share, trials_of
from tests.faults.ledger import Ledger, Outcome, Session, Trial
from tests.faults.settings import SAMPLE, SETTINGS, Setting
from tests.faults.sharing import Job, say
from tests.hosts.base import LAB, base, missing
from tests.hosts.lab import installed_layer

PAGE = machine.ROOT / "docs/evidence-faults.md"
LEDGER = PAGE.with_suffix(".json")
SAVE_EVERY_S = 60.0


def main() -> int:
    chosen = _arguments()
    reason = missing()
    if reason:
        print(f"make faults breaks real hosts, and {reason}", file=sys.stderr)
        return 2
    kept = not chosen.sample
    recording = Recording(chosen, Ledger.load(LEDGER) if kept and not chosen.anew else Ledger())
    for suite in chosen.suite:
        base(suite)
    be_alone()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    well = False
    with tempfile.TemporaryDirectory(dir=LAB) as folder, contextlib.suppress(KeyboardInterrupt):
        known = recording.ledger.of(recording.commit) if chosen.again else recording.ledger
        jobs = list(_jobs(chosen, known, Path(folder)))
        well = sharing.run(jobs, recording.take if kept else recording.count)
    if kept:
        recording.save()
    for suite in chosen.suite:
        tried, failed = recording.tried[suite], recording.failed[suite]
        say(f"{suite}: {tried} points tried, {failed} failed")
    return 0 if well and not any(recording.failed.values()) else 1


def _arguments() -> argparse.Namespace:
    words = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="make faults", description=__doc__, formatter_class=words
    )  # fmt: skip
    parser.add_argument("--suite", nargs="+", choices=sorted(RELEASES), default=sorted(RELEASES))
    parser.add_argument("--both", action="store_true", help="each point on each of the releases")
    parser.add_argument("--minutes", type=float, help="for each release; without, every point")
    parser.add_argument("--points", type=int, help="at most so many of each trial")
    parser.add_argument("--every", nargs="+", default=[], metavar="TITLE",
                        help="all points of trials with this in their title, whatever the limit "
                        "(as in 'ssh.limits, killed')")  # fmt: skip
    parser.add_argument("--workers", type=int, default=1,
                        help="hosts side by side, for each release (default 1)")  # fmt: skip
    parser.add_argument(
        "--again",
        action="store_true",
        help="what was tried at other commits is tried again, and kept until then",
    )
    parser.add_argument("--anew", action="store_true", help="forget what was tried before")
    parser.add_argument(
        "--only",
        default="",
        metavar="TITLE",
        help="settings with a trial that has this in its title, and no others",
    )
    parser.add_argument("--sample", action="store_true", help="a few; the page stays as it is")
    parser.add_argument("--layer", type=Path, help="a host's changes with the program installed")
    return parser.parse_args()


def _jobs(chosen: argparse.Namespace, ledger: Ledger, folder: Path) -> list[Job]:
    settings = tuple(
        setting for setting in (SAMPLE if chosen.sample else SETTINGS)
        if any(chosen.only in f"{trial.title}, {trial.disk}" for trial in trials_of(setting))
    )  # fmt: skip
    extent = Extent(
        tuple(chosen.every), chosen.points, chosen.minutes * 60 if chosen.minutes else None
    )
    jobs = []
    for place, suite in enumerate(chosen.suite):
        layer = chosen.layer or installed_layer(
            suite, package(suite, folder), folder / f"layer-{suite}"
        )
        first, of = (0, 1) if chosen.both else (place, len(chosen.suite))
        there = [suite] if chosen.both else chosen.suite
        had = _had(settings, ledger, suite, there)
        jobs += [
            Job(settings, suite, layer, extent,
                Share(first + of * number, of * chosen.workers, of), had)
            for number in range(chosen.workers)
        ]  # fmt: skip
    return jobs


def _had(
    settings: tuple[Setting, ...], ledger: Ledger, suite: str, suites: list[str]
) -> dict[Trial, Had]:
    trials = [trial for setting in settings for trial in trials_of(setting)]
    return {
        trial: Had(
            frozenset(ledger.done(trial, suites) | ledger.failed(trial, suites))
            - ledger.failed(trial, [suite]),
            frozenset(ledger.failed(trial, [suite])),
            ledger.points_on(trial, suite),
        )
        for trial in trials
    }


class Recording:
    """Counts what comes in and, now and then, writes all of it down."""

    def __init__(self, chosen: argparse.Namespace, ledger: Ledger) -> None:
        self.ledger = ledger
        self.tried = dict.fromkeys(chosen.suite, 0)
        self.failed = dict.fromkeys(chosen.suite, 0)
        self._facts = machine.summary()
        self.commit = self._facts["Commit"]
        self._earlier = list(ledger.sessions)
        self._began_s = self._saved_s = time.monotonic()

    def count(self, outcome: Outcome) -> None:
        if outcome.tried is not None:
            self.tried[outcome.suite] += outcome.tried.number > 0
            self.failed[outcome.suite] += bool(outcome.tried.problems)

    def take(self, outcome: Outcome) -> None:
        self.count(outcome)
        self.ledger.add(outcome, self.commit)
        if time.monotonic() - self._saved_s > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        self._saved_s = time.monotonic()
        facts = self._facts
        session = Session(
            facts["Date"], facts["Commit"], facts["Machine"], facts["Load when it began"],
            f"{(self._saved_s - self._began_s) / 60:.0f} minutes",
            sum(self.tried.values()), sum(self.failed.values()),
        )  # fmt: skip
        self.ledger.sessions = [*self._earlier, session]
        self.ledger.save(LEDGER)
        PAGE.write_text(report.page(self.ledger), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
