"""What came in a package's directory while dpkg upgraded it, and is somebody's work even so.

dpkg and ucf put the edited file aside when the packaged one takes its place, and who edits makes
copies. By its content or its time it is told from what scripts made: then a person is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from host.base import CommandMissing, Host, HostError
from snapshots import ucf
from snapshots.decision import Later
from snapshots.drift_origin import Deed
from snapshots.model import Delta, FileItem, Item, TransactionRecord
from snapshots.package_ties import CONFFILES
from snapshots.unread import same_content

WHOLE_S = 1.0
"""dpkg's log leaves out the fraction of a second."""
NS = 1e9
_ASIDE = (".dpkg-old", ".dpkg-dist", ".ucf-old", ".ucf-dist")
"""How the names end that dpkg and ucf give to what they put beside a configuration file."""


def edited(
    host: Host,
    made: Iterable[str],
    record: TransactionRecord,
    deltas: Iterable[Delta],
    later: Iterable[Later],
    deeds: Iterable[Deed],
    going: Collection[str],
    there: Mapping[str, Item],
) -> set[str]:
    """Those of `made` that may hold what somebody wrote, and is to be asked about.

    What was put aside, unless the packages or harden-tui left just that in its file; and what was
    written after `record` while dpkg was at work on none of its packages (`deeds`), and only moved,
    copied or given another owner meanwhile. Not what dpkg or ucf know so: ucf copies it with the
    time at which the package was built.
    """
    files = {path: item for path in made if isinstance(item := there[path], FileItem)}
    aside = {path: name for path in files if (name := _beside(path))}
    changes, chains = list(deltas), list(later)
    deeds = list(deeds)
    ended_s = datetime.fromisoformat(record.ended or record.started).timestamp()
    late = [
        path
        for path, item in files.items()
        if path not in aside
        and item.state.kind != "dir"
        and (at_s := item.state.mtime_ns / NS) > ended_s
        and not was_at_work(deeds, at_s)
    ]
    sums = _packaged_sums(host, going, {*aside.values(), *late}) if aside or late else {}
    found = {path for path in late if _md5(host, path) not in sums.get(path, ())}
    for path, item in files.items():
        if path in aside:
            name = aside[path]
            known = any(same_content(item, one) for one in _left_by_us(name, changes, chains))
            if not known and _md5(host, path) not in sums.get(name, ()):
                found.add(path)
    return found


def was_at_work(deeds: Iterable[Deed], at_s: float) -> bool:
    """Whether dpkg was, by its log."""
    return any(deed.began <= at_s < deed.ended + WHOLE_S for deed in deeds)


def _beside(path: str) -> str:
    """The file beside which that was put, or ""."""
    end = next((end for end in _ASIDE if path.endswith(end)), "")
    return path.removesuffix(end) if end else ""


def _left_by_us(path: str, deltas: Iterable[Delta], later: Iterable[Later]) -> list[Item | None]:
    """What stood there after the transaction, and after each later one as long as nobody else
    changed it in between."""
    last = next((d.after for d in deltas if d.domain == "files" and d.key == path), None)
    left = [last]
    for one in later:
        theirs = one.deltas.get(("files", path))
        if theirs is None:
            continue
        if not same_content(theirs.before, last):
            break
        last = theirs.after
        left.append(last)
    return left


def _packaged_sums(
    host: Host, packages: Collection[str], paths: Collection[str]
) -> dict[str, set[str]]:
    """Path -> the MD5s that dpkg and ucf know of it as packaged."""
    found = ucf.sums(host, paths)
    try:
        answer = host.run((*CONFFILES, *sorted(packages)), ok=None)
    except CommandMissing:
        return found
    for line in answer.stdout.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in paths:
            found.setdefault(words[0], set()).add(words[1])
    return found


def _md5(host: Host, path: str) -> str:
    """As dpkg and ucf record it: a comparison, not a protection."""
    try:
        return hashlib.md5(host.read_bytes(path), usedforsecurity=False).hexdigest()
    except HostError:
        return ""
