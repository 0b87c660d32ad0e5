"""Whether packages that an undo brings back still fit what was upgraded since. Asks only."""

from __future__ import annotations

import re
from collections.abc import Mapping

from host.base import CommandFailed, Host
from snapshots.debs import KeptDebs
from snapshots.dpkg import run_apt
from snapshots.model import SnapshotError
from snapshots.progress import Silent

INSTALL = (
    "install", "-y", "--no-install-recommends", "--no-remove", "--allow-downgrades",
    "--allow-change-held-packages",
)  # fmt: skip
"""Exactly these packages, and nothing that is there goes for them."""

# " oldthing : Depends: libold (< 2) but 2 is to be installed"
_UNMET = re.compile(
    r"^ (?P<name>\S+) : (?P<what>(?:Pre-)?Depends|Breaks|Conflicts): (?P<on>.+?)"
    r"(?: but (?P<why>.+))?$",
    re.MULTILINE,
)
_WORDS = {"Depends": "depends on", "Pre-Depends": "depends on", "Breaks": "breaks",
          "Conflicts": "conflicts with"}  # fmt: skip
_REMOVES = re.compile(r"^Remv (\S+)|^E: Packages need to be removed", re.MULTILINE)


def words_for_apt(debs: KeptDebs, versions: Mapping[str, str], *, practice: bool) -> list[str]:
    """Each package as apt takes it: its kept .deb, or else by name and version.

    A practice host's sources have every package, without a version.
    """
    words = []
    for name, version in sorted(versions.items()):
        kept = debs.find(name, version)
        words.append(str(kept) if kept else name if practice else f"{name}={version}")
    return words


def misfit(host: Host, debs: KeptDebs, versions: Mapping[str, str]) -> str:
    """Why these packages (name -> version) could not be installed together now, in one sentence
    without its end; empty if they could. Raises `HostError` where apt cannot be asked."""
    if not versions or host.is_practice:
        return ""
    words = words_for_apt(debs, versions, practice=False)
    try:
        run_apt(host, Silent(), *INSTALL, *words, simulate=True)
    except CommandFailed as error:
        said = error.completed.stdout + error.completed.stderr
        names = ", ".join(sorted(versions))
        unmet = _UNMET.search(said)
        if unmet:
            name, version = unmet["name"], versions.get(unmet["name"], "")
            other = f", but {unmet['why']}" if unmet["why"] else ""
            return f"{name} {version}".rstrip() + f" {_WORDS[unmet['what']]} {unmet['on']}{other}"
        if _REMOVES.search(said):
            return f"apt would have to remove other packages for {names}"
        last = [line for line in said.splitlines() if line.startswith("E: ")]
        return f"apt cannot install {names}" + (f" ({last[-1][3:].rstrip('.')})" if last else "")
    return ""


def require_fit(host: Host, debs: KeptDebs, versions: Mapping[str, str]) -> None:
    """Raise `SnapshotError` where something was upgraded since that keeps these packages away."""
    why = misfit(host, debs, versions)
    if why:
        raise SnapshotError(
            f"What was removed cannot come back as it was: {why}. Nothing was touched. Bring the "
            "other package to a version that fits, or install by hand a version that does "
            f"(the old packages are kept in {debs.path}), then try again."
        )
