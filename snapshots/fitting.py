"""Whether packages that an undo brings back still fit what was upgraded since. Asks only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

from host.base import CommandFailed, Host
from snapshots.debs import KeptDebs
from snapshots.dpkg import run_apt
from snapshots.model import SnapshotError
from snapshots.progress import Silent

_INSTALL = (
    "install", "-y", "--no-install-recommends", "--allow-downgrades",
    "--allow-change-held-packages",
)  # fmt: skip

# " oldthing : Depends: libold (< 2) but 2 is to be installed"
_UNMET = re.compile(
    r"^ (?P<name>\S+) : (?P<what>(?:Pre-)?Depends|Breaks|Conflicts): (?P<on>.+?)"
    r"(?: but (?P<why>.+))?$",
    re.MULTILINE,
)
_WORDS = {"Depends": "depends on", "Pre-Depends": "depends on", "Breaks": "breaks",
          "Conflicts": "conflicts with"}  # fmt: skip
_REMOVES = re.compile(r"^Remv (\S+)|^E: Packages need to be removed", re.MULTILINE)
_REMOVED = re.compile(r"^Remv (\S+)", re.MULTILINE)


def words_for_apt(debs: KeptDebs, versions: Mapping[str, str], *, practice: bool) -> list[str]:
    """Each package as apt takes it: its kept .deb, or else by name and version.

    A practice host's sources have every package, without a version.
    """
    words = []
    for name, version in sorted(versions.items()):
        kept = debs.find(name, version)
        words.append(str(kept) if kept else name if practice else f"{name}={version}")
    return words


def words_to_install(
    host: Host, debs: KeptDebs, versions: Mapping[str, str], leaving: Set[str]
) -> list[str]:
    """apt-get's words that install exactly these packages (name -> version).

    Nothing that is there goes for them but, where they cannot stand beside it, what is `leaving`
    anyway. Raises `CommandFailed` where apt cannot do it so.
    """
    words = words_for_apt(debs, versions, practice=host.is_practice)
    leaving = leaving - versions.keys()
    alone = [*_INSTALL, "--no-remove", *words]
    if host.is_practice or not leaving:
        return alone
    try:
        run_apt(host, Silent(), *alone, simulate=True)
    except CommandFailed as error:
        swapped = [*_INSTALL, *words, *(f"{name}-" for name in sorted(leaving))]
        said = run_apt(host, Silent(), *swapped, simulate=True).stdout
        if {_bare(name) for name in _REMOVED.findall(said)} - {_bare(name) for name in leaving}:
            raise error from None
        return swapped
    return alone


def _bare(name: str) -> str:
    return name.partition(":")[0]


def misfit(
    host: Host, debs: KeptDebs, versions: Mapping[str, str], leaving: Set[str] = frozenset()
) -> str:
    """Why these packages (name -> version) could not be installed together now, in one sentence
    without its end; empty if they could. `leaving` may go for them. Raises `HostError` where apt
    cannot be asked."""
    if not versions or host.is_practice:
        return ""
    try:
        words = words_to_install(host, debs, versions, leaving)
        if not leaving:
            run_apt(host, Silent(), *words, simulate=True)
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


def require_fit(
    host: Host, debs: KeptDebs, versions: Mapping[str, str], leaving: Set[str] = frozenset()
) -> None:
    """Raise `SnapshotError` where something was upgraded since that keeps these packages away."""
    why = misfit(host, debs, versions, leaving)
    if why:
        raise SnapshotError(
            f"What was removed cannot come back as it was: {why}. Nothing was touched. Bring the "
            "other package to a version that fits, or install by hand a version that does "
            f"(the old packages are kept in {debs.path}), then try again."
        )
