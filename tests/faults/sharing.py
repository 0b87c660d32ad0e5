"""A campaign on several hosts side by side, each tried by a process of its own."""

from __future__ import annotations

import multiprocessing
import queue
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Final

import msgspec

from tests.faults import campaign
from tests.faults.alone import be_alone
from tests.faults.campaign import Extent, Had, Share
from tests.faults.ledger import Outcome, Trial
from tests.faults.settings import Setting

_LOOK_EVERY_S: Final = 5.0


class Job(msgspec.Struct, frozen=True):
    """What one process tries."""

    settings: tuple[Setting, ...]
    suite: str
    layer: Path
    extent: Extent
    share: Share
    had: dict[Trial, Had] = {}


def say(line: str) -> None:
    print(line, flush=True)


def run(jobs: Sequence[Job], take: Callable[[Outcome], None]) -> bool:
    """All of them side by side; `take` gets what came of each point. False where one broke off."""
    if len(jobs) == 1:
        for outcome in _outcomes(jobs[0]):
            take(outcome)
        return True
    fresh = multiprocessing.get_context("spawn")
    outcomes: Queue[Outcome] = fresh.Queue()
    processes = [
        fresh.Process(target=_work, args=(job, outcomes), daemon=True)  # ends when we do
        for job in jobs
    ]  # fmt: skip
    for process in processes:
        process.start()
    try:
        _take_all(processes, outcomes, take)
    finally:  # before what the hosts lie on is removed
        for process in processes:
            process.terminate()
            process.join()
    return all(process.exitcode == 0 for process in processes)


def _take_all(
    processes: Sequence[BaseProcess], outcomes: Queue[Outcome], take: Callable[[Outcome], None]
) -> None:
    """Until all have ended and nothing is left."""
    while True:
        at_work = any(process.is_alive() for process in processes)
        try:
            while True:
                take(outcomes.get(timeout=_LOOK_EVERY_S if at_work else 0.1))
        except queue.Empty:
            if not at_work:
                return


def _work(job: Job, outcomes: Queue[Outcome]) -> None:
    be_alone()  # a host of one must not hold the disk of another's
    try:
        for outcome in _outcomes(job):
            outcomes.put(outcome)
    except Exception:  # nobody else would see it: the parent only learns that we ended
        say(traceback.format_exc())
        raise
    finally:
        outcomes.close()
        outcomes.join_thread()


def _outcomes(job: Job) -> Iterator[Outcome]:
    return campaign.run(
        job.settings, job.suite, job.layer, job.extent, say, job.share,
        lambda trial: job.had.get(trial, Had()),
    )  # fmt: skip
