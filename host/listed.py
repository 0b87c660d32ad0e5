"""What lay in a directory when it was looked at, remembered in columns."""

from __future__ import annotations

from array import array

import msgspec

from host.base import FileState


class Listed(msgspec.Struct):
    """What lay in a directory, sorted by name. In columns: an object for each of 50,000 entries
    would take 5 MB.

    `inodes` and `stamps` tell whether a file still is what it was; an inode of 0 tells nothing,
    and the entry is looked at anew.
    """

    device: int
    paths: list[str]
    inodes: array[int]
    stamps: array[int]
    states: list[FileState]

    def add(self, path: str, state: FileState, inode: int = 0, stamp: int = 0) -> None:
        self.paths.append(path)
        self.inodes.append(inode)
        self.stamps.append(stamp)
        self.states.append(state)


def nothing_on(device: int) -> Listed:
    """A directory of which nothing is known."""
    return Listed(device, [], array("Q"), array("q"), [])
