"""What scripts of packages may remove when these are purged: it need not have come with them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable
from typing import Final

from host.base import Host, HostError
from host.names import visible
from snapshots import leftovers
from snapshots.package_owners import owners
from snapshots.package_ties import listed

_SHAPES: Final = ("dir", "symlink")
_SCRIPTS: Final = ("prerm", "postrm")
_NAMED: Final = re.compile(rb"(?:/var/(?:lib|log|cache|spool|opt)|/srv|/opt)/[\w@+.:/-]+[*?\[{$]?")
"""A path in a script, and whether it goes on with what only a shell knows."""

_REMOVES: Final = re.compile(rb"\b(rm|find)\b(\\\n|[^\n])*\$")
"""What a script removes, and says it in a variable."""

_EMPTIES: Final = re.compile(
    rb"\brm\b(\\\n|[^\n])*(\s-\w*[rR]|\s--recursive|[$*?\[{])|\bfind\b|\bxargs\b|r(emove_?|m)tree\b"
    rb"|\buserdel\b|--remove-(home|all-files)"
)
"""A script removes what it does not name: `rmdir` and `rm` of a file leave all else there."""

_OF_THE_SYSTEM: Final = re.compile(
    r"/var/lib/(dpkg|apt|ucf|systemd|harden-tui)(/.*)?|/var/cache/(apt|debconf|man|ldconfig)(/.*)?"
    r"|/var/log/(apt|journal|harden-tui)(/.*)?"
)
"""Scripts name it, and what they do there is looked after elsewhere."""


def reach(host: Host, going: Collection[str]) -> list[str]:
    """The directories, files and links, topmost only. Raises `HostError`."""
    if not going:
        return []
    named = _named_by_scripts(host, going)
    own = _own(host, going)
    there = {path: state for path in named | own if (state := host.state(path)) is not None}
    having = {path: [*going] for path in own} | owners(host, own)
    return leftovers.topmost(
        path
        for path, state in there.items()
        if not _OF_THE_SYSTEM.fullmatch(path)
        # dpkg itself removes no directory that others have, too; a script does.
        and (path in named or (state.kind in _SHAPES and {*having[path]} <= {*going}))
    )


def refuse_mounted(host: Host, going: Collection[str]) -> None:
    """A script empties what is mounted where it removes a directory, and cannot remove that.

    dpkg itself does not. Raises `HostError` that names the first such place.
    """
    points = leftovers.mounted(host) if going else ()
    for name in sorted(going) if points else ():
        tops = {path for path in _emptied(host, name) if not _OF_THE_SYSTEM.fullmatch(path)}
        if at := _first_within(points, tops):
            raise HostError(
                f"Something is mounted on {visible(at)}, and scripts of {name} may remove all that"
                " lies there: unmount it first, or stop what mounted it"
            )


def _emptied(host: Host, name: str) -> set[str]:
    """What the package's scripts name, and where they say it in a variable, what it has; nothing
    where they empty no directory."""
    scripts = scripts_of(host, name)
    if not any(map(_EMPTIES.search, scripts)):
        return set()
    own = _own(host, (name,)) if any(map(_REMOVES.search, scripts)) else set[str]()
    return own | _named_by_scripts(host, (name,))


def _own(host: Host, going: Collection[str]) -> set[str]:
    """What dpkg knows as theirs below the trees."""
    tops = {*leftovers.TREES}
    below = tuple(f"{tree}/" for tree in tops)
    return {path for path in listed(host, sorted(going)) if path.startswith(below)}


def scripts_of(host: Host, name: str, which: Iterable[str] = _SCRIPTS) -> list[bytes]:
    """What stands in these scripts of a package. Raises `HostError`."""
    paths = (f"/var/lib/dpkg/info/{name}.{script}" for script in which)
    return [host.read_bytes(path) for path in paths if host.state(path) is not None]


def _first_within(paths: Iterable[str], tops: Iterable[str]) -> str:
    within = tuple(f"{top}/" for top in tops)
    return next((path for path in sorted(paths) if f"{path}/".startswith(within)), "")


def _named_by_scripts(host: Host, going: Iterable[str]) -> set[str]:
    return {
        path
        for name in going
        for text in scripts_of(host, name)
        for match in _NAMED.findall(text)
        for path in _meant(host, match.decode("ascii", "replace"))
    }


def _meant(host: Host, word: str) -> set[str]:
    """The paths that a word of a script stands for."""
    if word[-1] in "*?[{$":
        return {*host.glob(f"{re.sub('/+', '/', word[:-1])}*")}
    path = posixpath.normpath(word.rstrip("/.:"))
    return {path} if path.count("/") > 1 else set()
