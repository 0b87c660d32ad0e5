"""What was tried so far, kept beside the page: a campaign of hours is made in parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tests.faults.field import Tried


class Trial(msgspec.Struct, frozen=True):
    """A command on a step, with a kind of fault, on a kind of disk."""

    what: str
    fault: str
    disk: str = ""

    @property
    def title(self) -> str:
        return f"{self.what}, {self.fault}"


class Outcome(msgspec.Struct, frozen=True):
    """What a campaign tells as it goes: that a trial begins, which has so many points (`tried` is
    `None`), or what came of one of them."""

    suite: str
    trial: Trial
    points: int
    tried: Tried | None = None


class Part(msgspec.Struct):
    """What one commit went through on one release: the points after which the host was in the
    state before, or after, and those that failed. `points` is how many calls there were then; 0
    where that was not written down."""

    suite: str
    commit: str
    points: int = 0
    before: set[int] = msgspec.field(default_factory=set)
    after: set[int] = msgspec.field(default_factory=set)
    failed: dict[int, Tried] = msgspec.field(default_factory=dict)

    @property
    def tried(self) -> set[int]:
        """Without what went wrong before there was a fault (number 0)."""
        return (self.before | self.after | self.failed.keys()) - {0}


class Session(msgspec.Struct, frozen=True):
    """One call of `make faults`, in words."""

    date: str
    commit: str
    machine: str
    load: str
    took: str
    tried: int
    failed: int


class Ledger:
    """By trial; the last result of a point on a release is the one that counts."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self._points: dict[tuple[Trial, str], int] = {}
        self._parts: dict[Trial, list[Part]] = {}

    def add(self, outcome: Outcome, commit: str) -> None:
        trial, suite, tried = outcome.trial, outcome.suite, outcome.tried
        parts = self._parts.setdefault(trial, [])
        of_release = [part for part in parts if part.suite == suite]
        if tried is None:
            self._points[trial, suite] = outcome.points
            for part in of_release:
                part.failed.pop(0, None)
                if trial.fault == "killed":  # at each call: there is none of a higher number now
                    for number in [one for one in part.failed if one > outcome.points]:
                        del part.failed[number]
            return
        for part in of_release:
            part.before.discard(tried.number)
            part.after.discard(tried.number)
            part.failed.pop(tried.number, None)
        points = self.points_on(trial, suite)
        part = next(
            (one for one in of_release if (one.commit, one.points) == (commit, points)),
            Part(suite, commit, points),
        )
        if part not in parts:
            parts.append(part)
        if tried.problems:
            part.failed[tried.number] = tried
        else:
            (part.before if tried.side == "before" else part.after).add(tried.number)

    def done(self, trial: Trial, suites: Iterable[str]) -> set[int]:
        """The points that were survived on one of these releases and need no second try."""
        good = (part.before | part.after for part in self._on(trial, suites))
        return set().union(*good) - self.failed(trial, suites)

    def failed(self, trial: Trial, suites: Iterable[str]) -> set[int]:
        return set().union(*(part.failed for part in self._on(trial, suites))) - {0}

    def _on(self, trial: Trial, suites: Iterable[str]) -> list[Part]:
        wanted = set(suites)
        return [part for part in self.parts(trial) if part.suite in wanted]

    @property
    def trials(self) -> list[Trial]:
        return list(self._parts)

    def parts(self, trial: Trial) -> list[Part]:
        return self._parts.get(trial, [])

    def points(self, trial: Trial) -> int:
        """How many there are. Where apt's output comes in other pieces, the calls are a few more
        or less in the next run."""
        counted = [points for (one, _), points in self._points.items() if one == trial]
        return max(*counted, len(self.tried(trial)), 0)

    def of(self, commit: str) -> Ledger:
        """Only what was tried at that commit."""
        only = Ledger()
        for trial, parts in self._parts.items():
            only._parts[trial] = [part for part in parts if part.commit == commit]
            for part in only._parts[trial]:
                only._points[trial, part.suite] = part.points
        return only

    def points_on(self, trial: Trial, suite: str) -> int:
        """How many it had there when it was last counted; 0 where it never was."""
        return self._points.get((trial, suite), 0)

    def tried(self, trial: Trial) -> set[int]:
        """On whichever release."""
        return set().union(*(part.tried for part in self.parts(trial)))

    def tried_as_counted(self, trial: Trial) -> set[int]:
        """Those that were tried where there were as many calls as when they were last counted: of
        an earlier commit a number may stand for another call."""
        return set().union(
            *(part.tried for part in self.parts(trial)
              if part.points and part.points == self.points_on(trial, part.suite))
        )  # fmt: skip

    def save(self, path: Path) -> None:
        rows = [
            {
                "what": trial.what, "fault": trial.fault, "disk": trial.disk,
                "points": {suite: n for (one, suite), n in self._points.items() if one == trial},
                "parts": [
                    {"suite": part.suite, "commit": part.commit, "points": part.points,
                     "before": ranges(part.before), "after": ranges(part.after),
                     "failed": list(part.failed.values())}
                    for part in parts if part.tried or part.failed
                ],
            }
            for trial, parts in self._parts.items()
        ]  # fmt: skip
        text = msgspec.json.encode({"sessions": self.sessions, "trials": rows})
        path.write_bytes(msgspec.json.format(text, indent=1) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Empty where there is none yet."""
        ledger = cls()
        if not path.exists():
            return ledger
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        ledger.sessions = kept.sessions
        for row in kept.trials:
            trial = Trial(row.what, row.fault, row.disk)
            ledger._points |= {(trial, suite): n for suite, n in row.points.items()}
            ledger._parts[trial] = [
                Part(part.suite, part.commit, part.points, set(numbers(part.before)),
                     set(numbers(part.after)), {one.number: one for one in part.failed})
                for part in row.parts
            ]  # fmt: skip
        return ledger


class _KeptPart(msgspec.Struct):
    suite: str
    commit: str
    before: str
    after: str
    failed: list[Tried]
    points: int = 0


class _KeptTrial(msgspec.Struct):
    what: str
    fault: str
    disk: str
    points: dict[str, int]
    parts: list[_KeptPart]


class _Kept(msgspec.Struct):
    sessions: list[Session]
    trials: list[_KeptTrial]


def ranges(found: Iterable[int]) -> str:
    """Such as "1-4 9"."""
    runs = itertools.groupby(enumerate(sorted(found)), lambda pair: pair[1] - pair[0])
    spans = [[number for _, number in run] for _, run in runs]
    return " ".join(
        f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans
    )  # fmt: skip


def numbers(text: str) -> Iterator[int]:
    for span in text.split():
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1)
