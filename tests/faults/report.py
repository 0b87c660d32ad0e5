"""The result as a page for the documentation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.faults.campaign import Row

INTRODUCTION = """\
# Evidence: what a crash leaves behind

Written by `make faults`, never by hand. A point is one system call of the working process that
writes, and a fault made just before it. After each fault `harden-tui recover --yes` runs, and then
must hold: the host (all of /etc, packages, units, ports, kernel settings, packet filter, and the
tree where the step has one) is exactly the one before or exactly the one after; a person was told
which; `history verify` and `log verify` find nothing; nothing half-written is left. Every twelve
points the step is applied and undone once more without a fault.
"""

NOTES = """\
## How

- **Where it stops.** The installed program's worker runs on a real Debian host behind a filter
  (seccomp user notification) that holds every system call of its that creates, writes, renames,
  removes, shapes or syncs a file, in all of its threads, until the fault is made. Programs it
  starts (apt, dpkg, systemctl) are let through, and live on when it is killed.
- **killed**: SIGKILL instead of the call.
- **no space**, **I/O error**: the call fails with ENOSPC or EIO; "from then on": so does every
  later one that needs room.
- **power cut**: all that the host writes lies on an ext4 file system of its own, mounted with
  `noauto_da_alloc,commit=300` so that it syncs nothing by itself. `FS_IOC_SHUTDOWN` without
  flushing, which xfstests uses for the same, ends it at the call: what was not synced is lost. All
  processes are killed, the file system is mounted anew, its journal is replayed, the host boots,
  and recovers. Not simulated: a disk that reorders or loses what it was told to flush.
- **disk filled up**: the last free block is taken just before the call; recover runs while the disk
  is full, and once more when there is room.
- **read-only from then on**: ext4's own reaction to an error (`remount,abort`), then a boot.
- **On a disk of its own**: "/" is everything the host writes; else that directory alone.
- **Not waited for**: that a unit which took its configuration is still up is asked after a quarter
  of a second instead of two; no call that writes lies in between.
- **Points**: calls counted in a run without a fault. Where fewer were tried than there are, those
  tried lie evenly from the first to the last.
"""

HEADS = ("What", "Fault", "Own disk", "Points", "Tried", "Before", "After", "Failed")


def section(facts: Mapping[str, str], rows: Sequence[Row]) -> str:
    """What one run found on one release."""
    tried = sum(row.tried for row in rows)
    failed = [one for row in rows for one in row.failed]
    lines = [
        f"**{tried} points tried of {sum(row.points for row in rows)}, {len(failed)} failed.**",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        *_table(rows),
    ]
    if failed:
        lines += ["", "Failed:", ""]
        lines += [f"- {one.what}, {one.fault}, {_plain(one.point)}: {_plain(one.problems[0])}"
                  for one in failed]  # fmt: skip
    return "\n".join(lines)


def page(sections: Mapping[str, str]) -> str:
    parts = [f"## {suite}\n\n{text}\n" for suite, text in sorted(sections.items())]
    return "\n".join([INTRODUCTION, *parts, NOTES])


def _table(rows: Sequence[Row]) -> list[str]:
    cells = []
    for row in rows:
        numbers = (row.points, row.tried, row.before, row.after, len(row.failed))
        cells.append((row.what, row.fault, row.disk or "no", *map(str, numbers)))
    return ["| " + " | ".join(line) + " |" for line in (HEADS, ("---",) * len(HEADS), *cells)]


def _plain(text: str) -> str:
    return " ".join(text.split())[:200]
