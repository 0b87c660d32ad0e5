"""The host that is measured: with the program, its rivals, and a disk of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.machine import ROOT
from tests.hosts.base import base
from tests.hosts.lab import LabHost

RELEASES = {"bookworm": "deb12", "trixie": "deb13"}
DISK = "/srv/disk"


class BenchHost(LabHost):
    """A test host that has `/srv/disk` on the file system below it.

    The host itself lies on an overlay, which makes every look at a file cost more than on a real
    server; an application's tree belongs on what real servers have.
    """

    def _mount(self) -> None:
        super()._mount()
        disk = self.directory / "disk"
        disk.mkdir()
        disk.chmod(0o755)
        target = self.root / DISK.lstrip("/")
        target.mkdir(parents=True)
        subprocess.run(["mount", "--bind", str(disk), str(target)], check=True)

    def _leave(self) -> None:
        disk = self.root / DISK.lstrip("/")
        self._stop(9)
        # What was left sealed could not be removed.
        subprocess.run(["chattr", "-R", "-i", str(disk)], check=False, capture_output=True)
        subprocess.run(["umount", "-l", str(disk)], check=False, capture_output=True)
        super()._leave()

    def seconds(self, *argv: str, ok: tuple[int, ...] = (0,)) -> float:
        """How long a program inside takes. Raises `AssertionError` where it fails."""
        began = time.perf_counter()
        done = self.run(*argv, check=False, timeout_s=1800)
        took = time.perf_counter() - began
        if done.returncode not in ok:
            raise AssertionError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return took

    def add(self, *packages: str) -> None:
        """Install packages from the host's own repository."""
        self.run(
            "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
            "--no-install-recommends", *packages,
        )  # fmt: skip


def package(suite: str, folder: Path) -> Path:
    """The .deb for a release, built from this tree (`HARDEN_TUI_DEBS` names a folder of them)."""
    given = os.environ.get("HARDEN_TUI_DEBS")
    if not given:
        subprocess.run(
            [sys.executable, str(ROOT / "packaging/build_deb.py"), suite, "--out", str(folder)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return next(Path(given or folder).glob(f"harden-tui_*+{RELEASES[suite]}_*.deb"))


def offered(suite: str, name: str) -> Path:
    """A package of a release's offline repository."""
    return next((base(suite) / "srv/repo").glob(f"{name}_*.deb"))


def give(host: LabHost, suite: str, name: str, wanted: str, target: str) -> None:
    """Take one file out of another release's package and put it into the host."""
    scratch = host.directory / "scratch"
    subprocess.run(["dpkg-deb", "-x", str(offered(suite, name)), str(scratch)], check=True)
    host.write(target, next(scratch.rglob(wanted)).read_bytes())
    shutil.rmtree(scratch)
