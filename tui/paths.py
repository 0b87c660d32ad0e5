"""Where state, logs and settings lie: the system's places as root, XDG's for everyone else."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

CONFIG: Final = Path("/etc/harden-tui/config.yaml")
STATE: Final = Path("/var/lib/harden-tui")
LOG: Final = Path("/var/log/harden-tui")


def is_root() -> bool:
    """Whether this process may change the real host."""
    return os.geteuid() == 0


def xdg_state() -> Path:
    """The user's own state directory; the variable counts only where it is absolute (XDG).

    `sudo -E` hands root the variables of the person who called it: where they lead to somebody
    else's directory, root's own home counts.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local/state"
    if is_root() and not _is_roots(base):
        base = Path(pwd.getpwuid(0).pw_dir) / ".local/state"
    return base / "harden-tui"


def _is_roots(path: Path) -> bool:
    """Whether the nearest directory there is belongs to root."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.stat().st_uid == 0


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
