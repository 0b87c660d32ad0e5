"""What a process that was killed within a write left beside the file: content that was to come."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Final

from host.base import Host, HostError
from host.writing import TEMPORARY_PREFIX

_DRAFT: Final = re.compile(rf"(.*/)?{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{16}}")


def is_draft(path: str) -> bool:
    return _DRAFT.fullmatch(path) is not None


def remove(host: Host, paths: Iterable[str]) -> None:
    """Take away those that lie beside `paths`; call it where nothing of ours is at work."""
    for directory in sorted({path.rpartition("/")[0] for path in paths}):
        with contextlib.suppress(HostError, OSError):  # it stays, and goes like all that came
            for name in filter(is_draft, host.listdir(directory)):
                host.put(f"{directory}/{name}", None)
