"""`history prune` killed in the middle: what can still be undone keeps everything it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.faults.field import Field, Tried, point_told
from tests.faults.judge import whole
from tests.faults.launch import killed_at, let_through
from tests.faults.supervisor import Call

_AGE = """
import pathlib, re, sys
sys.path.insert(0, "/usr/lib/harden-tui")
from snapshots import twins
for path in pathlib.Path("/var/lib/harden-tui/transactions").glob("*/record.json"):
    twins.write(path, re.sub(rb'("(started|ended)": ")20..', rb"\\g<1>2020", twins.read(path)))
"""
"""Transactions of today are not pruned: these become some years old."""

_COMMAND = ("history", "prune", "--yes", "--keep-days", "1")


def prune_calls(field: Field) -> list[Call]:
    """The writing calls of a prune without a fault."""
    _something_old(field)
    field.worker.program(*_COMMAND, decide=let_through)  # all there was before
    _something_old(field)
    field.clean("apply")
    calls = field.worker.program(*_COMMAND, decide=let_through)
    field.clean("rollback")
    return calls


def prune_killed(field: Field, numbers: Iterable[int]) -> Iterator[Tried]:
    """A prune killed at each of `numbers`.

    There is something to prune each time: a transaction that was undone. Another stands, and must
    be undone byte for byte after the prune.
    """
    worker = field.worker
    _something_old(field)
    for number in numbers:  # what the one before undid is there to prune
        field.clean("apply")
        worker.host.run("python3", "-c", _AGE)
        calls = worker.program(*_COMMAND, decide=killed_at(number))
        problems = whole(worker, swept=False)
        again = worker.say(*_COMMAND)
        if again.returncode != 0:
            problems.append(f"prune again: {again.stdout}{again.stderr}")
        problems += whole(worker)
        undone = worker.say("rollback", field.step, "--yes", "--no-wait")
        worker.confirm()
        if undone.returncode != 0:
            problems.append(f"rollback after it: {undone.stdout}{undone.stderr}")
        point = point_told(calls, number)
        problems += field.differs("before")
        yield Tried("prune", "killed", number, point, "before", tuple(problems))


def _something_old(field: Field) -> None:
    field.clean("apply")
    field.clean("rollback")
    field.worker.host.run("python3", "-c", _AGE)
