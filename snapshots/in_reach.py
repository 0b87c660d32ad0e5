"""What a package's own scripts may remove although it did not come with the package.

`rm -rf /var/lib/chrony` at the end of chrony asks nobody whose files lie there: those of somebody
who had chrony before, or of another program. They are kept before it goes, and put back.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Collection, Container, Iterable
from datetime import datetime
from typing import Final

from host.base import FileState, Host, HostError
from host.names import is_utf8, visible
from snapshots import leftovers, put_kept
from snapshots.inverse import is_present
from snapshots.inversion import Inversion
from snapshots.model import FileItem, Item, TransactionRecord
from snapshots.package_owners import batches, owners
from snapshots.package_ties import listed
from snapshots.put_there import put_there

_SCRIPTS: Final = ("prerm", "postrm")
_NAMED: Final = re.compile(rb"(?:/var/(?:lib|log|cache|spool|opt)|/srv|/opt)/[\w@+.:/-]+[*?\[{$]?")
"""A path in a script, and whether it goes on with what only a shell knows."""

_OF_THE_SYSTEM: Final = re.compile(
    r"/var/lib/(dpkg|apt|ucf|systemd|harden-tui)(/.*)?|/var/cache/(apt|debconf|man|ldconfig)(/.*)?"
    r"|/var/log/(apt|journal|harden-tui)(/.*)?"
)
"""Scripts name it, and what they do there is looked after elsewhere."""


def lies_there(
    host: Host, going: Collection[str], known: Container[str], record: TransactionRecord
) -> dict[str, Item]:
    """Files and links in directories that the scripts of `going` may remove, by path.

    Not what is theirs, nor what is `known` to have come with the transaction of `record`, nor what
    programs made in those directories since it began. Raises `HostError`.
    """
    tops = _in_reach(host, going) if going else []
    if not tops:
        return {}
    there = {
        path: item.state
        for path, item in leftovers.states(host, tops).items()
        if path not in known
        and isinstance(item, FileItem)
        and item.state.kind in ("file", "symlink")
    }
    mine, having = {*going}, owners(host, there)
    there = {path: there[path] for path in there if not mine.intersection(having.get(path, ()))}
    return {path: FileItem(there[path]) for path in _not_since(host, there, going, record)}


def going_with(inversion: Inversion) -> set[str]:
    """The packages that an undo takes away."""
    return {
        one.delta.key
        for one in inversion.decisions
        if one.delta.domain == "packages" and one.changes and not is_present(one.target)
    }


def in_reach_of(host: Host, inversion: Inversion) -> dict[str, Item]:
    """As `lies_there`, of the packages that an undo takes away. Raises `HostError`."""
    known = {one.delta.key for one in inversion.decisions if one.delta.domain == "files"}
    return lies_there(host, going_with(inversion), known, inversion.record)


def too_large(host: Host, paths: Collection[str]) -> str:
    """A sentence about those of `paths` that are not kept; empty where all are."""
    large = sorted({*paths} - put_kept.smallest(host, paths))
    if not large:
        return ""
    first = ", ".join(map(visible, large[: leftovers.NAMED]))
    more = f" and {len(large) - leftovers.NAMED} more" if len(large) > leftovers.NAMED else ""
    return (
        f"Scripts of the packages may remove {first}{more}, which did not come with them and "
        f"{'is' if len(large) == 1 else 'are'} too large to be kept: move "
        f"{'it' if len(large) == 1 else 'them'} away first."
    )


def born_s(host: Host, paths: Collection[str]) -> dict[str, float]:
    """When each file was made, in s since 1970; without those of which nobody tells."""
    found = dict[str, float]()
    for asked in batches(filter(is_utf8, paths)):  # no program is given another name
        with contextlib.suppress(HostError, ValueError):
            told = host.run(("stat", "-c", "%.9W", "--", *asked), ok=None).stdout.split()
            times = [float(word) for word in told]
            if len(times) == len(asked):  # else one went meanwhile, and nobody knows which
                found |= {path: at for path, at in zip(asked, times, strict=True) if at > 0}
    return found


def _not_since(
    host: Host, there: dict[str, FileState], going: Collection[str], record: TransactionRecord
) -> list[str]:
    """What was there before, and what somebody put there since."""
    since_s = datetime.fromisoformat(record.started).timestamp()
    born = born_s(host, there)
    since: dict[str, Item] = {
        path: FileItem(state) for path, state in there.items() if born.get(path, 0.0) >= since_s
    }
    somebodys = put_there(host, since, (), going)
    return sorted(path for path in there if path not in since or path in somebodys)


def _in_reach(host: Host, going: Collection[str]) -> list[str]:
    """The directories, files and links, topmost only."""
    named = _named_by_scripts(host, going)
    tops = {*leftovers.TREES}
    own = {
        path
        for path in listed(host, sorted(going))
        if path not in tops and path.startswith(tuple(f"{tree}/" for tree in tops))
    }
    there = {path: state for path in named | own if (state := host.state(path)) is not None}
    having = {path: [*going] for path in own} | owners(host, own)
    return leftovers.topmost(
        path
        for path, state in there.items()
        if not _OF_THE_SYSTEM.fullmatch(path)
        # dpkg itself removes no directory that others have, too; a script does.
        and (path in named or (state.kind == "dir" and {*having[path]} <= {*going}))
    )


def _named_by_scripts(host: Host, going: Iterable[str]) -> set[str]:
    found = set[str]()
    for name in going:
        for script in _SCRIPTS:
            path = f"/var/lib/dpkg/info/{name}.{script}"
            if host.state(path) is None:
                continue
            for match in _NAMED.findall(host.read_bytes(path)):
                found |= _meant(host, match.decode("ascii", "replace"))
    return found


def _meant(host: Host, word: str) -> set[str]:
    """The paths that a word of a script stands for."""
    if word[-1] in "*?[{$":
        return {*host.glob(f"{re.sub('/+', '/', word[:-1])}*")}
    path = posixpath.normpath(word.rstrip("/.:"))
    return {path} if path.count("/") > 1 else set()
