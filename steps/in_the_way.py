"""What stands where a change would write, and must not be written over or through."""

from __future__ import annotations

from collections.abc import Iterable

from host.base import Host
from host.names import visible
from snapshots.model import Change, MakeLink, RemoveFile, WriteFile

_KINDS = {
    "file": "a plain file",
    "dir": "a directory",
    "symlink": "a symbolic link",
    "fifo": "a named pipe",
    "socket": "a socket",
    "char": "a device",
    "block": "a device",
}


def in_the_way(changes: Iterable[Change], host: Host) -> tuple[str, ...]:
    """One sentence for each file that cannot be changed; its content is not looked at.

    A link could lead to a file whose content must not be shown, let alone replaced. Raises
    `HostError`.
    """
    found = []
    fitting: tuple[str, ...]
    for change in changes:
        match change:
            case WriteFile(path=path):
                wanted, fitting = "a plain file", ("file",)
            case RemoveFile(path=path):
                wanted, fitting = "a file or link", ("file", "symlink")
            case MakeLink(path=path):
                wanted, fitting = "a link", ("symlink",)
            case _:
                continue
        if visible(path) != path:
            found.append(
                f"The name of {visible(path)} is not UTF-8, so the file is not changed."
                " Rename it, then look again."
            )
            continue
        state = host.state(path)
        if state is not None and state.kind not in fitting:
            target = f" to {visible(state.target)}" if state.target else ""
            found.append(
                f"{path} is {_KINDS[state.kind]}{target}, and {wanted} belongs there."
                " Find out who put it there and remove it, then look again."
            )
    return tuple(dict.fromkeys(found))
