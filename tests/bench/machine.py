"""What was measured, and on which machine; no names and no paths of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("host", "snapshots", "steps", "tui", "packaging")


def summary() -> dict[str, str]:
    """Date, commit and machine, as words."""
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    gibibytes = int(memory[1]) / 1024**2 if memory else 0.0
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": _commit(),
        "Machine": f"{os.cpu_count()} × {_processor()}, {gibibytes:.0f} GiB, Linux"
        f" {platform.release().partition('-')[0]}",
        "Load when it began": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.machine()


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--", *PRODUCT)
    return f"{commit} with changes that are not committed" if changed else commit


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
