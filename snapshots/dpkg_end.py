"""What dpkg left for later, as on a full disk: triggers that did not run, and its own journal."""

from __future__ import annotations

from host.base import CommandFailed, Host
from snapshots.captured import TRIGGERED
from snapshots.dpkg import run_dpkg
from snapshots.model import SnapshotError
from snapshots.progress import Progress

JOURNAL = "/var/lib/dpkg/updates"
"""Holds what dpkg did and has not yet written to its status; empty whenever it ended well."""

_STATUSES = ("dpkg-query", "-W", "-f", r"${binary:Package}\t${db:Status-Status}\n")
_CANNOT_GO_ON = 2
"""dpkg's exit status where no package, but itself could not go on (dpkg(1), EXIT STATUS)."""


def bring_to_its_end(host: Host, progress: Progress) -> str:
    """Have dpkg do what it left; returns a sentence where a package's trigger fails, else "".

    Raises `SnapshotError` where dpkg itself cannot go on, and `Busy` where another has its lock.
    """
    left = _left(host)
    if not left:
        return ""
    try:
        run_dpkg(host, progress, "--configure", "--pending")
    except CommandFailed as error:
        if error.completed.returncode == _CANNOT_GO_ON:
            raise SnapshotError(
                f"dpkg could not come to its end ({left}): {error}. All else was put back"
            ) from None
        return f"dpkg could not do all that it had left ({left}); `dpkg --configure -a` says why."
    return ""


def _left(host: Host) -> str:
    """What it is, in a few words; "" if nothing."""
    rows = (line.split("\t") for line in host.run(_STATUSES).stdout.splitlines())
    names = [row[0] for row in rows if row[-1] in TRIGGERED]
    if names:
        return f"triggers of {', '.join(names)}"
    return f"its journal in {JOURNAL}" if host.listdir(JOURNAL) else ""
