"""Giving a whole tree its owners, modes and flags, in one pass through directory descriptors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from host import metadata, paths
from host.base import FileState, HostError, TreeRule


def apply_states(
    wanted: Iterable[tuple[str, FileState]], *, on_progress: Callable[[int], None] | None = None
) -> int:
    """See `host.base.Host.apply_states`. Raises `HostError` naming the file."""
    changed = seen = 0
    above = ""
    dir_fd = -1
    try:
        for path, state in wanted:
            directory, name = paths.split(path)
            try:
                if directory != above:
                    if dir_fd >= 0:
                        os.close(dir_fd)
                        dir_fd = -1
                    with paths.directory(directory) as fd:
                        dir_fd = os.dup(fd)
                    above = directory
                changed += metadata.give_at(dir_fd, name, state)
            except OSError as error:
                raise HostError(
                    f"{path} could not be given its owner, mode and flags: "
                    f"{paths.because(error)}; entries before it were already changed"
                ) from error
            seen += 1
            if on_progress is not None and seen % 1000 == 0:
                on_progress(seen)
    finally:
        if dir_fd >= 0:
            os.close(dir_fd)
    return changed


def apply_rules(
    root: str,
    rules: Sequence[TreeRule],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    raise HostError(f"{root} cannot be sealed yet")
