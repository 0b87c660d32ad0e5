"""Files that a person names and only they may read: reports and plans."""

from __future__ import annotations

import os

from host import writing
from host.base import FileState, HostError
from tui.failures import refused


def write_privately(file: str, content: bytes) -> None:
    """Replace or create `file`, whole or not at all, readable by its owner only (0600).

    We may be root and the directory somebody else's (/tmp, a home): no link that stands there is
    followed, and a file that others may read is not written into but replaced. Raises `Stop`
    (exit 3).
    """
    wanted = FileState(kind="file", mode=0o600, uid=os.geteuid(), gid=os.getegid())
    try:
        writing.write_file(os.path.abspath(file), content, wanted)
    except HostError as error:
        raise refused(f"{error}.") from None
