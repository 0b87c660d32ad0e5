"""One application on one release: everything applied while visitors ask its site, and an update."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tests.evidence import applying
from tests.evidence.measuring import Release, Tell, applied, judged, sources, with_judges
from tests.hosts.beds import idoit, typo3
from tests.hosts.client import Client, Phase
from tests.hosts.lab import LabHost
from tests.hosts.program import furnish, harden

UPDATE_S = 5.0


class Bed(msgspec.Struct, frozen=True, kw_only=True):
    """An application to install: its checklist, site, tree, and words of its first page.

    `updated` is a file that an update of the application changes, `added` one that it brings.
    """

    checklist: str
    site: str
    words: str
    files: int
    install: Callable[[LabHost, int], object]
    updated: str
    added: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `phases`: a step or a part of the update each, in order."""

    checklist: str
    files: int
    release: Release
    phases: tuple[Phase, ...]


BEDS = (
    Bed(
        checklist="i-doit", site=idoit.SITE, words="8 objects", files=20_000,
        install=lambda host, files: idoit.install(host, files),
        updated=f"{idoit.PATH}/index.php", added=f"{idoit.PATH}/src/classes/modules/new.php",
    ),
    Bed(
        checklist="typo3", site=typo3.SITE, words="Home of the example", files=50_000,
        install=lambda host, files: typo3.install(host, files),
        updated=f"{typo3.PATH}/public/index.php", added=f"{typo3.PATH}/vendor/new.php",
    ),
)  # fmt: skip


def measure(
    bed: Bed, suite: str, layer: Path, steps: Sequence[str], all_steps: Sequence[str], tell: Tell
) -> Run:
    """`steps` are applied in this order; `all_steps` are those whose check is timed."""
    with LabHost(suite, layer, mounts_tmp=False) as host:
        furnish(host)
        sources(host)
        with_judges(host)
        bed.install(host, bed.files)
        host.reboot()
        before = judged(host, bed.checklist, all_steps, tell)
        first = applying.check(host, bed.checklist, steps)
        client = Client(host.address, bed.site, bed.words)
        client.begin("nothing")
        time.sleep(UPDATE_S)
        done = {}
        for number, step in enumerate(steps, 1):
            client.begin(step)
            began = time.monotonic()
            done[step] = applying.apply(host, bed.checklist, step)
            took = time.monotonic() - began
            tell(f"{number}/{len(steps)} {step}: {done[step][0]} after {took:.0f} s")
        _update(host, bed, client, tell)
        phases = client.end()
        host.reboot()
        last = applying.check(host, bed.checklist, steps)
        after = judged(host, bed.checklist, all_steps, tell)
    results = tuple(applied(step, first, done, last) for step in steps)
    release = Release(suite=suite, before=before, after=after, steps=results)
    return Run(checklist=bed.checklist, files=bed.files, release=release, phases=phases)


def _update(host: LabHost, bed: Bed, client: Client, tell: Tell) -> None:
    """A window in which a file is changed and one added, as an update does.

    Raises `AssertionError` where the tree was not open then, or is not sealed after.
    """
    chosen = ("--checklist", bed.checklist, "--yes")
    client.begin("window open")
    opened = harden(host, "window", "open", "--for", "1h", *chosen, check=False, timeout_s=1800)
    tell(f"window open: {opened.returncode}")
    client.begin("the update itself")
    host.run("sh", "-c", f"echo '<?php // new' > {bed.added} && echo >> {bed.updated}")
    time.sleep(UPDATE_S)
    client.begin("window close")
    closed = harden(host, "window", "close", *chosen, check=False, timeout_s=1800)
    tell(f"window close: {closed.returncode}")
    for path in (bed.updated, bed.added):
        flags = host.out("lsattr", path).split()[0]
        if "i" not in flags:
            raise AssertionError(
                f"{path} is not sealed after the window ({flags}): {closed.stdout}{closed.stderr}"
            )
