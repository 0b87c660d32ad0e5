"""What a file keeps of the one it takes the place of, where a step wants its mode and owner."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from host.base import FileState
from snapshots.listing import acl_text
from snapshots.model import WriteFile

ACL: Final = "system.posix_acl_access"
CAPABILITIES: Final = "security.capability"
"""Given to a program that was there, not to what is written in its place."""

_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


def state_after(there: FileState | None, change: WriteFile) -> FileState | None:
    """What the file will be beside its content; `None` where the one there keeps all it has."""
    if there is None or there.kind != "file":
        return FileState(kind="file", mode=change.mode, uid=change.uid, gid=change.gid)
    if not change.force_state:
        return None
    xattrs = {name: value for name, value in there.xattrs.items() if name != CAPABILITIES}
    if ACL in xattrs:
        acl = _acl_after(xattrs.pop(ACL), change.mode)
        if acl:
            xattrs[ACL] = acl
    return FileState(
        kind="file",
        mode=change.mode,
        uid=change.uid,
        gid=change.gid,
        flags=there.flags,
        xattrs=xattrs,
    )


def lost(there: FileState | None, change: WriteFile) -> tuple[str, ...]:
    """What the file had and will not have, in the words of a preview."""
    after = state_after(there, change)
    if there is None or after is None:
        return ()
    found = []
    if ACL in there.xattrs.keys() - after.xattrs.keys():
        found.append(f"ACL {_named(there.xattrs)} removed")
    if CAPABILITIES in there.xattrs:
        found.append("capabilities removed")
    return tuple(found)


def _acl_after(acl: bytes, mode: int) -> bytes:
    """The ACL as `mode` leaves it; empty where it gives anybody more than `mode` gives everybody,
    or `mode` would take from somebody whom it names."""
    owner, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    entries = list(_entries(acl))
    mask = next((may for tag, may, _ in entries if tag == _MASK), 7)
    for tag, may, _ in entries:
        if tag in (_USER, _GROUP) and (may & group & ~other or may & mask & ~group):
            return b""
    said = {_USER_OBJ: owner, _GROUP_OBJ: group, _MASK: group, _OTHER: other}
    return acl[:4] + b"".join(
        struct.pack("<HHI", tag, said.get(tag, may), number) for tag, may, number in entries
    )


def _entries(acl: bytes) -> Iterator[tuple[int, int, int]]:
    yield from struct.iter_unpack("<HHI", acl[4:])


def _named(xattrs: Mapping[str, bytes]) -> str:
    """The users and groups that an ACL names beside the owner's: "u:33:r--"."""
    words = acl_text({ACL: xattrs[ACL]}).split(",")
    return ",".join(word for word in words if "::" not in word)
