"""What must be captured besides /etc, so that a file which a step writes can be taken back."""

from __future__ import annotations

from host.base import Host
from snapshots.directories import parents
from snapshots.model import Root


def roots_of_file(host: Host, path: str) -> tuple[Root, ...]:
    """The file, or the topmost of the directories that are made for it; none for one in /etc.

    Raises `HostError`.
    """
    if path.startswith("/etc/"):
        return ()
    top = path
    for above in parents(path):
        if host.state(above) is not None:
            break
        top = above
    return (Root(top, content=True),)
