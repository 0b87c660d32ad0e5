"""A campaign on several hosts side by side, each tried by a process of its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.faults import campaign
from tests.faults.alone import be_alone
from tests.faults.campaign import Extent, Row, Share
from tests.faults.settings import Setting


def run(
    settings: list[Setting], suite: str, layer: Path, extent: Extent, workers: int
) -> list[Row]:
    """The rows of all of it; what happens is printed as it happens."""
    if workers == 1:
        return _share(settings, suite, layer, extent, Share())
    # Each with mounts of its own: a host of one must not hold the disk of another's.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, fresh, initializer=be_alone) as pool:
        shares = [
            pool.submit(_share, settings, suite, layer, extent, Share(index, workers))
            for index in range(workers)
        ]
        return campaign.together([share.result() for share in shares])


def say(line: str) -> None:
    print(line, flush=True)


def _share(
    settings: list[Setting], suite: str, layer: Path, extent: Extent, share: Share
) -> list[Row]:
    return list(campaign.run(settings, suite, layer, extent, say, share))
