"""What of ours stays because somebody made a directory above it a link while we were at work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from host.base import Host
from host.names import visible
from snapshots.model import Item, Key


def sentence(
    host: Host, named: Iterable[Key], theirs: Collection[Key], goal: Mapping[str, Item]
) -> str:
    """About those of `named` that should not be there any more; empty where there are none.

    `theirs`: what others changed, and stays; `goal`: the files as they shall be.
    """
    files = sorted(path for domain, path in named if domain == "files" and path not in goal)
    for domain, link in sorted(theirs):
        if domain != "files" or not _is_link(host, link):
            continue
        below = [path for path in files if path.startswith(f"{link}/")]
        left = [path for path in below if host.state(path) is not None]
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            return (
                f"{visible(left[0])}{more} could not be taken away: {visible(link)}, in which it"
                " lay, is a symbolic link now, and nothing is changed through that. Put the"
                " directory back first, or remove the file yourself."
            )
    return ""


def hidden(host: Host, named: Iterable[Key], now: Mapping[str, Item]) -> list[str]:
    """The files of `named` that a capture, which went through no link, did not see: `now`."""
    files = (path for domain, path in named if domain == "files" and path not in now)
    return [path for path in files if host.state(path) is not None]


def _is_link(host: Host, path: str) -> bool:
    state = host.state(path)
    return state is not None and state.kind == "symlink"
