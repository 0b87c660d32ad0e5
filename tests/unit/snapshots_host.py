"""A practice host with a state directory of its own, and short words for the tests of snapshots."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from host.practice import PracticeHost
from snapshots import opening, transaction, undo
from snapshots.guard_switch import Switch
from snapshots.model import UNRESOLVED, Change, Resolutions, Root, TransactionRecord
from snapshots.progress import Progress, Silent
from snapshots.state import StateDir


class Waits:
    """A dead-man's switch that does nothing: what it guards is `pending` at its end."""

    joined: tuple[str, ...] = ()

    def arm(self, record: TransactionRecord) -> None: ...

    def alive(self) -> None: ...

    def took(self, since_s: float) -> None: ...

    def leave(self, tx_id: str) -> None: ...


class Bench:
    """One host and its history."""

    def __init__(self, directory: Path) -> None:
        self.host = PracticeHost(directory / "host")
        self.state = StateDir(directory / "state")

    def begin(
        self,
        step: str,
        *,
        packages: tuple[str, ...] = (),
        roots: tuple[Root, ...] = (),
        progress: Progress | None = None,
    ) -> transaction.Transaction:
        return opening.begin(
            self.host,
            self.state,
            steps=(step,),
            title=step,
            user="tester",
            packages=packages,
            roots=roots,
            progress=progress or Silent(),
        )

    def apply(
        self, step: str, *changes: Change, packages: tuple[str, ...] = ()
    ) -> TransactionRecord:
        tx = self.begin(step, packages=packages)
        for change in changes:
            tx.perform(change)
        return tx.commit()

    def undo(
        self,
        tx_id: str,
        fingerprint: str | None = None,
        resolutions: Resolutions = UNRESOLVED,
        prove: Callable[[], None] = lambda: None,
        switch: Switch | None = None,
    ) -> TransactionRecord:
        return undo.undo(
            self.host,
            self.state,
            tx_id,
            expect_fingerprint=fingerprint,
            user="tester",
            progress=Silent(),
            resolutions=resolutions,
            prove=prove,
            switch=switch,
        )

    def guarded_undo(self, tx_id: str) -> TransactionRecord:
        """Waits for its confirmation; `recover` takes it back."""
        return self.undo(tx_id, switch=cast(Switch, Waits()))

    def fingerprint(self) -> dict[str, object]:
        """Everything of the host that counts, read without the code under test."""
        files = {
            path: (s.kind, s.mode, s.uid, s.gid, s.flags, s.sha256, s.target)
            for path, s in self.host.walk("/etc", content=True)
        }
        units = {
            service.unit: (service.active, service.enabled) for service in self.host.services()
        }
        packages = self.host.run(("dpkg-query", "-W")).stdout
        automatic = self.host.run(("apt-mark", "showauto")).stdout
        return {
            "files": files,
            "units": units,
            "packages": packages + automatic,
            "kernel": self.host.run(("sysctl", "-a")).stdout,
        }

    def read(self, path: str) -> str:
        return self.host.read_bytes(path).decode()


def dies_in_the_middle(bench: Bench, work: Callable[[], None]) -> None:
    """Run `work` in a process that is killed at its end, as `kill -9` would."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
