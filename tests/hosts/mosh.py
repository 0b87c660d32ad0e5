"""mosh for a test host, fetched once per release from where the base came from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hosts.base import LAB, base, mirror


def mosh_packages(suite: str) -> list[Path]:
    """The packages of mosh and what it needs beside the base; skips the test without a network."""
    kept = LAB / f"mosh-{suite}"
    if not kept.exists():
        _fetch(suite, kept)
    return sorted(kept.glob("*.deb"))


def _fetch(suite: str, kept: Path) -> None:
    """In a layer over the base that is thrown away; the base itself knows only its own packages."""
    place = LAB / f"mosh-{suite}.new"
    shutil.rmtree(place, ignore_errors=True)
    upper, work, root = (place / part for part in ("upper", "work", "root"))
    for part in (upper, work, root):
        part.mkdir(parents=True)
    options = f"lowerdir={base(suite)},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)], check=True)
    try:
        (root / "etc/apt/sources.list").write_text(f"deb {mirror()} {suite} main\n")
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends",
                                           "--download-only", "mosh"]):  # fmt: skip
            done = subprocess.run(
                ["chroot", str(root), "apt-get", *command], capture_output=True, text=True,
                check=False, timeout=120,
            )  # fmt: skip
            if done.returncode != 0:
                pytest.skip(f"mosh cannot be fetched here: {done.stderr.strip()[-200:]}")
        found = list((root / "var/cache/apt/archives").glob("*.deb"))
        fresh = place / "debs"
        fresh.mkdir()
        for package in found:
            shutil.copy(package, fresh / package.name)
        fresh.rename(kept)
    finally:
        subprocess.run(["umount", str(root)], check=True)
        shutil.rmtree(place, ignore_errors=True)
