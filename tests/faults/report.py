"""The result as a page for the documentation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.faults.ledger import Ledger, Trial

INTRODUCTION: Final = """\
# Evidence: what a crash leaves behind

Written by `make faults`, never by hand. A point is one system call of the working process that
writes, and a fault made just before it. After each fault `harden-tui recover --yes` runs, and then
must hold: the host (all of /etc, packages, units, ports, kernel settings, packet filter, and the
tree where the step has one) is exactly the one before or exactly the one after; a person was told
which; `history verify` and `log verify` find nothing; nothing half-written is left. Every twelve
points the step is applied and undone once more without a fault.
"""

NOTES: Final = """\
## How

- **Where it stops.** The installed program's worker runs on a real Debian host behind a filter
  (seccomp user notification) that holds every system call of its that creates, writes, renames,
  removes, shapes or syncs a file, in all of its threads, until the fault is made. Programs it
  starts (apt, dpkg, systemctl) are let through, and live on when it is killed.
- **killed**: SIGKILL instead of the call.
- **no space**, **I/O error**: the call fails with ENOSPC or EIO; "from then on": so does every
  later one that needs room. Points of a full disk are the calls that need room.
- **power cut**: all that the host writes lies on an ext4 file system of its own, mounted with
  `noauto_da_alloc,commit=300` so that it syncs nothing by itself. `FS_IOC_SHUTDOWN` without
  flushing, which xfstests uses for the same, ends it at the call: what was not synced is lost. All
  processes are killed, the file system is mounted anew, its journal is replayed, the host boots,
  and recovers. Its points are the calls that sync, and the last: between two syncs nothing reaches
  the disk, so that every cut leaves the same. Not simulated: a disk that reorders or loses what it
  was told to flush.
- **disk filled up**: the last free block is taken just before the call; recover runs while the disk
  is full, and once more when there is room.
- **read-only from then on**: ext4's own reaction to an error (`remount,abort`), then a boot.
- **On a disk of its own**: "/" is everything the host writes; else that directory alone.
- **Not waited for**: that a unit which took its configuration is still up is asked after a quarter
  of a second instead of two; no call that writes lies in between.
- **Before, After, Failed** count tries: a point that was tried on both releases, or by two commits,
  counts twice.
- **Points**: calls counted in a run without a fault. Each is tried on one of the releases, in turn
  (`--both`: on both). Where fewer were tried than there are, those tried lie evenly from the first
  to the last. What is tried once is not tried again (`--again`: but at its own commit), so that a
  campaign of hours is made in parts; which commit went through which points is in
  [evidence-faults.json](evidence-faults.json). Where a later commit makes more or fewer calls, a
  number may stand for another call than it did: "of the present calls" leaves such points out, and
  those that were tried before the count was kept with them.
"""

HEADS: Final = (
    "What", "Fault", "Own disk", "Points", "Tried", "of the present calls", "Before", "After",
    "Failed",
)  # fmt: skip


def page(ledger: Ledger) -> str:
    trials = ledger.trials
    failed = [
        (part.suite, one)
        for trial in trials
        for part in ledger.parts(trial)
        for one in part.failed.values()
    ]
    tried = sum(len(ledger.tried(trial)) for trial in trials)
    points = sum(ledger.points(trial) for trial in trials)
    present = sum(len(ledger.tried_as_counted(trial)) for trial in trials)
    lines = [
        INTRODUCTION,
        f"**{tried} points tried of {points}, {len(failed)} failed.** {present} of them at commits"
        " with as many calls as there are now.",
        "",
        *_table((HEADS, *(_cells(ledger, trial) for trial in trials))),
    ]
    if failed:
        lines += ["", "Failed:", ""]
        lines += [
            f"- {suite}: {one.what}, {one.fault}, {_plain(one.point)}: {_plain(one.problems[0])}"
            for suite, one in failed
        ]
    return "\n".join([*lines, "", *_sessions(ledger), "", NOTES])


def _cells(ledger: Ledger, trial: Trial) -> tuple[str, ...]:
    parts = ledger.parts(trial)
    counted = (
        ledger.points(trial), len(ledger.tried(trial)), len(ledger.tried_as_counted(trial)),
        sum(len(part.before) for part in parts),
        sum(len(part.after) for part in parts), sum(len(part.failed) for part in parts),
    )  # fmt: skip
    return (trial.what, trial.fault, trial.disk or "no", *map(str, counted))


def _sessions(ledger: Ledger) -> list[str]:
    """When and where, and how much of what counts each commit went through on each release."""
    held: dict[tuple[str, str], int] = {}
    for trial in ledger.trials:
        for part in ledger.parts(trial):
            held[part.commit, part.suite] = held.get((part.commit, part.suite), 0) + len(part.tried)
    heads = ("Began", "Commit", "Machine", "Load then", "Took", "Tried", "Failed")
    rows = [
        (one.date, one.commit, one.machine, one.load, one.took, str(one.tried), str(one.failed))
        for one in ledger.sessions
    ]
    of_commit = [(*who, str(count)) for who, count in held.items() if count]
    return [
        "## When", "", *_table((heads, *rows)),
        "", "What counts of it:", "", *_table((("Commit", "Release", "Points"), *of_commit)),
    ]  # fmt: skip


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    heads, *rest = rows
    return ["| " + " | ".join(line) + " |" for line in (heads, ("---",) * len(heads), *rest)]


def _plain(text: str) -> str:
    return " ".join(text.split())[:200]
