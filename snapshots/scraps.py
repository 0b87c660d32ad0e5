"""Drafts that apt, dpkg and update-alternatives leave where they are killed or find no room."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Final

from host.base import Host, HostError
from snapshots import leftovers
from snapshots.domains.packages import EXTENDED_STATES

CONTROL: Final = "/var/lib/dpkg/tmp.ci"
"""Where dpkg unpacks what controls a package."""

JOURNAL: Final = f"{leftovers.DPKG_UPDATES}/tmp.i"

_DRAFTS: Final = (
    f"{EXTENDED_STATES}.??????",  # apt
    *(f"/usr/{place}/*.dpkg-tmp" for place in ("bin", "sbin", "lib", "share/man/man?")),
)


def clear(host: Host, since: str) -> None:
    """Take away what was left of them since that moment (ISO 8601).

    Call it with dpkg's lock held. The first two dpkg would remove itself the next time it works.
    """
    found = [CONTROL]
    if not any(name.isdigit() for name in host.listdir(leftovers.DPKG_UPDATES)):
        found.append(JOURNAL)
    since_ns = int(datetime.fromisoformat(since).timestamp() * 1e9)
    drafts = [path for pattern in _DRAFTS for path in host.glob(pattern)]
    found += [
        path for path in drafts if _is_a_tools(host, path) and host.changed_ns(path) >= since_ns
    ]
    with contextlib.suppress(HostError):
        leftovers.remove(host, found)


def _is_a_tools(host: Host, draft: str) -> bool:
    """Whether it is what is made there: of alternatives, links into their directory."""
    state = host.state(draft)
    if state is None or state.uid != 0:
        return False
    if draft.startswith(f"{EXTENDED_STATES}."):
        return state.kind == "file"
    return state.kind == "symlink" and state.target.startswith("/etc/alternatives/")
