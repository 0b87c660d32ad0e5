"""A test host with all it writes, or one directory, on a small disk whose power can be cut.

The disk is an ext4 file system in a file. `FS_IOC_SHUTDOWN` without flushing its log is what
xfstests cuts the power with: from that moment nothing more reaches the disk, and what was not
synced before is gone when it is mounted again and its journal is replayed.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from tests.faults.launch import kill
from tests.faults.supervisor import Call, Decide
from tests.hosts.lab import LabHost, mounted_below

_SHUTDOWN: Final = 0x8004587D
_WITHOUT_FLUSHING: Final = 2
_OPTIONS: Final = "loop,noauto_da_alloc,commit=300"
"""No favours: ext4 shall not guess that a rename wanted its file synced, nor sync by itself every
five seconds."""


class DiskHost(LabHost):
    """`part` is "/" (everything the host changes) or one directory, as /var/lib/harden-tui."""

    def __init__(self, suite: str, layer: Path, part: str = "/", size_mib: int = 700) -> None:
        super().__init__(suite, layer)
        self.part = part
        self._size_bytes = size_mib << 20
        self.disk = self.directory / "disk"

    def boot(self) -> None:
        if self.part != "/" and str(self._inner) not in mounted_below(self.directory):
            self._inner.mkdir(parents=True, exist_ok=True)
            if not self._image.exists():
                self._format()
                subprocess.run(["cp", "-a", f"{self._inner}/.", str(self.disk)], check=True)
                shutil.copystat(self._inner, self.disk)
            _run("mount", "--bind", str(self.disk), str(self._inner))
        super().boot()

    def place_for_changes(self) -> Path:
        if self.part != "/":
            return self.directory
        self._format()
        return self.disk / "host"

    def sync(self) -> None:
        """All that was written is on the disk, as after some idle minutes."""
        _run("sync", "-f", str(self.disk))

    def cut_power(self) -> None:
        """From now on nothing reaches the disk, and what was not synced is lost."""
        descriptor = os.open(self.disk, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, array.array("I", (_WITHOUT_FLUSHING,)))
        finally:
            os.close(descriptor)

    def make_read_only(self) -> None:
        """What the kernel does after an error that it cannot make good (errors=remount-ro)."""
        _run("mount", "-o", "remount,abort", str(self.disk))

    def fill(self) -> None:
        """Leave no free block on the disk."""
        filler = os.open(self.disk / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for block in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(filler, b"\1" * block)
            with contextlib.suppress(OSError):
                os.fsync(filler)
        finally:
            os.close(filler)

    def make_room(self) -> None:
        (self.disk / "filler").unlink(missing_ok=True)

    def start_again(self) -> None:
        """End everything inside, mount the disk anew (its journal is replayed), boot."""
        self.pull_the_plug()
        # Asked of the kernel's list: after a cut the mount points themselves answer nothing.
        for mounted in mounted_below(self.directory):
            if self.part == "/" or str(self.root) != mounted:
                _run("umount", mounted)
        _run("mount", "-o", _OPTIONS, str(self._image), str(self.disk))
        if self.part == "/":
            self.lay_over(self.disk / "host")
        self.boot()

    @property
    def _inner(self) -> Path:
        return self.root / self.part.strip("/")

    @property
    def _image(self) -> Path:
        return self.directory / "disk.img"

    def _format(self) -> None:
        with self._image.open("wb") as file:
            file.truncate(self._size_bytes)
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", str(self._image))
        self.disk.mkdir()
        _run("mount", "-o", _OPTIONS, str(self._image), str(self.disk))
        (self.disk / "lost+found").rmdir()

    def _leave(self) -> None:
        self._stop(signal.SIGKILL)
        for mounted in (self._inner, self.root, self.disk):
            subprocess.run(["umount", "-R", "-l", str(mounted)], check=False, capture_output=True)
        super()._leave()


def power_cut_at(host: DiskHost, number: int) -> Decide:
    """The power fails just before call `number`."""

    def decide(call: Call) -> int:
        if call.number == number:
            host.cut_power()
        return kill(call) if call.number >= number else 0

    return decide


def read_only_from(host: DiskHost, number: int) -> Decide:
    """The kernel makes the file system read-only just before call `number`."""

    def decide(call: Call) -> int:
        if call.number == number:
            host.make_read_only()
        return 0

    return decide


def full_from(host: DiskHost, number: int) -> Decide:
    """The last free block is gone just before call `number`."""

    def decide(call: Call) -> int:
        if call.number == number:
            host.fill()
        return 0

    return decide


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr.strip()}")
