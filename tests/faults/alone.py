"""A mount namespace of our own."""

from __future__ import annotations

import ctypes
import os
import subprocess
from typing import Final

from tests.hosts.base import LAB
from tests.hosts.lab import mounted_below

_NEW_MOUNTS: Final = 0x00020000


def be_alone() -> None:
    """Keep what this process mounts from now on out of everybody else's sight, and theirs out of
    ours.

    Each container that boots gets a copy of all that is mounted where it was started. With a disk
    among it, that disk could not be unmounted as long as the container lives.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.makedirs(LAB / "hosts", exist_ok=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for mounted in mounted_below(LAB / "hosts"):
        subprocess.run(["umount", "-l", mounted], check=False, capture_output=True)
