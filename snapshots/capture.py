"""Capturing every kind of state at once, and the stores that captures and undos share."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from host.base import Host
from snapshots.captured import CHANGING, Captured
from snapshots.debs import KeptDebs
from snapshots.domains.base import Domain, Scope
from snapshots.domains.files import Files, roots_of
from snapshots.domains.firewall import Firewall
from snapshots.domains.kernel import Kernel
from snapshots.domains.mariadb import Mariadb
from snapshots.domains.packages import Packages
from snapshots.domains.units import Units
from snapshots.model import Root, ValueItem
from snapshots.objects import ObjectStore
from snapshots.points import Manifest, Points
from snapshots.progress import Progress
from snapshots.secret_paths import SecretPaths
from snapshots.state import StateDir

SETTLE_LIMIT_S = 15.0
"""How long a freshly started unit may take to say that it runs before we stop waiting."""
SETTLE_POLL_S = 0.5


class Keeper:
    """What one host is, asked of every domain, and where it is kept."""

    def __init__(self, host: Host, state: StateDir) -> None:
        self.host = host
        self.state = state
        self.store = ObjectStore(state.objects)
        self.points = Points(state.points, self.store)
        self.secret_paths = SecretPaths(state)
        self.debs = KeptDebs(state.debs)
        self.files = Files(self.store, self.secret_paths)
        self.units = Units()
        self.packages = Packages(self.debs)
        self.kernel = Kernel()
        self.firewall = Firewall()
        self.mariadb = Mariadb(self.secret_paths)

    @property
    def domains(self) -> tuple[Domain, ...]:
        return (
            self.files, self.units, self.packages, self.kernel, self.firewall, self.mariadb,
        )  # fmt: skip

    def capture(
        self, roots: Iterable[Root], progress: Progress, seen_since_s: float | None = None
    ) -> Captured:
        """Everything there is. Contents are stored, durable only after `write` or `store.sync`.

        Raises `HostError` where any kind of state could not be read.
        """
        scope = Scope(tuple(roots), seen_since_s)
        progress.doing("capturing " + ", ".join(root.path for root in roots_of(scope)))
        with ThreadPoolExecutor(len(self.domains)) as pool:
            futures = {
                domain.name: pool.submit(domain.capture, self.host, scope)
                for domain in self.domains
            }
            return {name: future.result() for name, future in futures.items()}

    def capture_settled(
        self,
        roots: Iterable[Root],
        before: Captured,
        progress: Progress,
        seen_since_s: float | None = None,
    ) -> Captured:
        """As `capture`, after waiting for units that only just began to start or stop."""
        roots = tuple(roots)
        captured = self.capture(roots, progress, seen_since_s)
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while time.monotonic() < deadline and _on_their_way(captured) - _on_their_way(before):
            time.sleep(SETTLE_POLL_S)
            captured["units"] = self.units.capture(self.host, Scope(roots))
        return captured

    def write(self, point_id: str, roots: Iterable[Root], captured: Captured) -> Manifest:
        """Make `captured` a durable restore point."""
        return self.points.write(
            point_id, self.host.name, tuple(roots_of(Scope(tuple(roots)))), captured
        )


def _on_their_way(captured: Captured) -> set[str]:
    changing = ValueItem(CHANGING)
    return {unit for unit, item in captured["units"].items() if item == changing}
