"""Where state, logs and settings lie: the system's places as root, XDG's for everyone else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CONFIG: Final = Path("/etc/harden-tui/config.yaml")
STATE: Final = Path("/var/lib/harden-tui")
LOG: Final = Path("/var/log/harden-tui")


def is_root() -> bool:
    """Whether this process may change the real host."""
    return os.geteuid() == 0


def xdg_state() -> Path:
    """The user's own state directory; the variable counts only where it is absolute (XDG)."""
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local/state"
    return base / "harden-tui"


def default_state_dir(*, practice: bool) -> Path:
    """The state directory where none was chosen."""
    if practice:
        return xdg_state() / "practice"
    return STATE if is_root() else xdg_state()


def default_log_dir() -> Path:
    """Where logs go as long as no other state directory is known."""
    return LOG if is_root() else xdg_state() / "log"


def log_dir_for(state_dir: Path, *, chosen: bool, practice: bool) -> Path:
    """The log directory that belongs to a state directory (`chosen`: by option or settings)."""
    if is_root() and not practice and not chosen:
        return LOG
    return state_dir / "log"
