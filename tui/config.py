"""The settings of the host: /etc/harden-tui/config.yaml, strict, and trusted only if root's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from steps.guard_settings import WINDOW_EXPECTED, seconds_of
from tui.failures import usage
from tui.paths import CONFIG

LARGEST_FILE_BYTES = 64 * 1024

LONGEST_KEPT_DAYS = 36500
"""A hundred years; much more would lie before the first day of the calendar."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What a host's administrator settles once; every field may be missing.

    `checklist`: the one used where `--checklist` is not given. `state-dir`, `log-dir`: absolute
    paths. `keep-days`: what `history prune` keeps. `confirm-within`: how long a guarded change
    waits for its confirmation ("90s", "5m").
    """

    checklist: str = ""
    state_dir: str = ""
    log_dir: str = ""
    keep_days: int = 365
    confirm_within: str = ""


def load(path: Path = CONFIG) -> Config:
    """The settings; the defaults where there is no such file.

    Raises `Stop` (exit 2) for a file that is not valid, or that someone other than root could
    have written: its settings decide what root does.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except OSError as error:
        reason = "it is a symbolic link" if path.is_symlink() else error.strerror
        raise usage(f"{path}: cannot be read ({reason}); no settings are used.") from None
    try:
        for place, state in ((path, os.fstat(descriptor)), (path.parent, path.parent.lstat())):
            wanted = stat.S_ISREG if place == path else stat.S_ISDIR
            if not wanted(state.st_mode) or state.st_uid != 0 or state.st_mode & 0o022:
                raise usage(
                    f"{place}: not used, because it must belong to root and be writable by no"
                    f" one else (chown root: {place}; chmod go-w {place})."
                )
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_FILE_BYTES:
        raise usage(f"{path}: longer than {LARGEST_FILE_BYTES} bytes; no settings are used.")
    return parse(str(path), content)


def parse(file: str, content: bytes) -> Config:
    """The settings in `content`. Raises `StepError` or `Stop` with file, line and field."""
    from steps.yaml_lines import read_entries

    try:
        entries = read_entries(file, content.decode("utf-8"))
    except UnicodeDecodeError:
        raise usage(f"{file}:1: not UTF-8 text.") from None
    if not entries:
        return Config()
    if len(entries) > 1:
        raise usage(f"{file}:1: expected one mapping of settings, not a list.")
    entry = entries[0]
    config = entry.convert(Config)
    for name in ("state_dir", "log_dir"):
        value = getattr(config, name)
        if value and not value.startswith("/"):
            field = name.replace("_", "-")
            raise entry.error("expected an absolute path", f"$.{field}")
    if not 1 <= config.keep_days <= LONGEST_KEPT_DAYS:
        raise entry.error(f"expected a number of days, 1 to {LONGEST_KEPT_DAYS}", "$.keep-days")
    if config.confirm_within and not seconds_of(config.confirm_within):
        raise entry.error(WINDOW_EXPECTED, "$.confirm-within")
    return config
