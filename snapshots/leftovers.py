"""What packages leave outside /etc when they are purged: what came with them is known by its name.

Maintainer scripts and daemons make directories and logs that no list of dpkg's names. What is new
in these trees when apt has finished came with the packages, and goes when their installation is
undone. Contents are not copied: before the installation there were none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial

from host.base import CommandMissing, FileState, Host, HostError
from host.holders import booted_s
from host.mounted import mount_points
from host.names import is_utf8, visible
from snapshots.model import Delta, FileItem, Item, Root, SnapshotError

TREES = ("/var/lib", "/var/log", "/var/cache", "/var/spool", "/var/opt", "/srv", "/opt")
DEPTH = 5
"""Deep enough for /var/lib/php/modules/8.2/fpm; what is below a new directory goes with it."""
MANY = 2000
"""A directory with more entries holds data of something else; no look is taken into it."""

DPKG_STATUS = "/var/lib/dpkg/status"
DPKG_UPDATES = "/var/lib/dpkg/updates"
"""dpkg's journal: files named by numbers lie here only while it works or after it was cut off. It
says there what it is about to do, and writes its status anew only at the end."""

NAMED = 5
"""So many paths are named in a sentence; the journal has all of them."""

_BY_THEMSELVES = re.compile(
    r"/var/lib/(harden-tui|apt|mysql|postgresql|docker|containerd|containers|lxc|libvirt|machines"
    r"|snapd|kubelet|ucf|systemd/(timers|catalog|timesync|random-seed|coredump))(/.*)?"
    r"|/var/lib/dpkg/(?!alternatives(/|$)).*"
    r"|/var/log/(harden-tui|journal|apt|private)(/.*)?"
    r"|/var/log/(alternatives|dpkg|auth|syslog|kern|cron|daemon|user|mail|messages|debug)(\.log)?"
    r"|/var/log/(wtmp|btmp|lastlog|faillog|wtmp\.db)|/var/lib/wtmpdb(/.*)?"
    r"|/var/log/.*[.-]\d+(\.(gz|xz|zst))?"
    r"|/var/cache/(apt|debconf|man|ldconfig|fontconfig)(/.*)?"
    r"|/var/spool/(mail|postfix|exim4|rsyslog|cups|cron/.*)(/.*)?"
    r"|/srv/.*/.*|.*/__pycache__(/.*)?"
)
"""What comes and goes without packages: Debian's own logs and caches, mail, rotated logs, data of
large daemons whose removal only a person decides."""


def survey(host: Host) -> dict[str, FileState]:
    """Every name in `TREES` down to `DEPTH` -> its state; neither links nor mounts are entered."""
    found: dict[str, FileState] = {}
    covered = mounted(host)
    for tree in TREES:
        _look(host, tree, DEPTH, covered, found)
    return found


def came(host: Host, before: Container[str], after: Mapping[str, FileState]) -> list[str]:
    """What is new and came with packages, without what lies below something new, sorted.

    A running application may have written in the same minute. Its own directories belong to its
    user, or no package knows them; nothing in those is counted, nor anything that is mounted.
    """
    covered = mounted(host)
    new = [
        path
        for path in topmost(path for path in after if path not in before)
        if not _mounted_on(path, covered)
    ]
    homes = {home_of(path) for path in new} - set(new)
    known = _known_to_dpkg(host, homes)
    return [
        path
        for path in new
        if _is_roots_own(after.get(path.rpartition("/")[0]))
        and (home_of(path) in known or home_of(path) == path)
    ]


def came_before_the_crash(
    host: Host, before: Container[str], found: Mapping[str, FileState], until_ns: int
) -> tuple[list[str], list[str]]:
    """As `came`, where nobody could look when apt had finished, and what is `younger` than that.

    What is younger than `until_ns` may be an administrator's, who came to help; it stays.
    """
    new = came(host, before, found)
    young = younger(host, new, until_ns, partial(_known_to_dpkg, host))
    return [path for path in new if path not in young], young


def younger(
    host: Host, paths: Iterable[str], until_ns: int, known: Callable[[list[str]], Container[str]]
) -> list[str]:
    """What at and below `paths` came or was changed later (in ns since 1970), sorted.

    By its change time, which `mv`, `cp -a` and `tar` do not set back. A directory is named as a
    whole, for what was moved in with it has its old times; but of one that is `known`, as a
    package's own, only that in it which is younger.
    """
    covered = mounted(host)
    found: list[str] = []
    level = list(paths)
    while level:
        there = {path: state for path in level if (state := host.state(path)) is not None}
        young = {
            path
            for path, state in there.items()
            if max(state.mtime_ns, host.changed_ns(path)) > until_ns
        }
        inside = known([path for path in young if there[path].kind == "dir"]) if young else ()
        found += [path for path in young if path not in inside]
        level = [
            f"{path}/{name}"
            for path, state in there.items()
            if state.kind == "dir" and (path not in young or path in inside)
            and not _why_it_stays(host, path, covered, {})
            for name in host.listdir(path)
        ]  # fmt: skip
    return sorted(found)


def cut_off_ns(host: Host, since_s: float) -> int:
    """Until when nobody can have come to help after work that began at `since_s` was cut off.

    In ns since 1970. Where the host was started anew since, that is when it was. Else it is dpkg's
    last word: the script that it ran then may have gone on, so what that made is younger.
    """
    booted = booted_s(host)
    if booted > since_s:
        return booted * 10**9
    words = [DPKG_STATUS, *(f"{DPKG_UPDATES}/{name}" for name in host.listdir(DPKG_UPDATES))]
    return max((state.mtime_ns for path in words if (state := host.state(path))), default=0)


def left_there(host: Host, paths: Iterable[str]) -> str:
    """A sentence about those of `paths` that are still there; empty where none is."""
    there = [path for path in dict.fromkeys(paths) if host.state(path) is not None]
    if not there:
        return ""
    more = f" and {len(there) - NAMED} more" if len(there) > NAMED else ""
    return (
        f"{', '.join(map(visible, there[:NAMED]))}{more} came or was changed after dpkg's last "
        "word before it was cut off, by a package's script or by somebody's hand, so it was left: "
        "look at it, and remove what nobody needs."
    )


def topmost(paths: Iterable[str]) -> list[str]:
    """Those that lie below no other of them."""
    found: list[str] = []
    # "/" sorts first, so that /a/b stands before /a-b
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not found or not path.startswith(f"{found[-1]}/"):
            found.append(path)
    return found


def home_of(path: str) -> str:
    """The entry right below a tree that `path` lies in: "/var/lib/php"."""
    tree = next(tree for tree in TREES if path.startswith(f"{tree}/"))
    return f"{tree}/{path[len(tree) + 1 :].partition('/')[0]}"


def _known_to_dpkg(host: Host, paths: Iterable[str]) -> set[str]:
    wanted = sorted(filter(is_utf8, paths))  # no package has another name
    if not wanted:
        return set()
    try:
        answer = host.run(("dpkg-query", "-S", *wanted), ok=None)
    except CommandMissing:
        return set()
    return {line.rpartition(": ")[2] for line in answer.stdout.splitlines()}


def _is_roots_own(directory: FileState | None) -> bool:
    """Where only root writes; `None` is one of the trees themselves."""
    return directory is None or (directory.uid == 0 and not directory.mode & 0o002)


def states(host: Host, paths: Iterable[str], *, in_mounts: bool = False) -> dict[str, Item]:
    """What is there at and below `paths`, without contents.

    What is mounted there is named and not entered, as is what a link leads to now; nor, unless
    `in_mounts`, what lies on a mount itself.
    """
    found: dict[str, Item] = {}
    covered = mounted(host)
    closed = frozenset[str]() if in_mounts else covered
    for path in paths:
        state = host.state(path)
        if state is None:
            continue
        found[path] = FileItem(state)
        if not _why_it_stays(host, path, closed, {}) and path not in covered:
            for below, inner in host.walk(path, content=False, without=covered):
                found[below] = FileItem(inner)
    return found


def beyond(host: Host, paths: Iterable[str]) -> dict[str, str]:
    """Those of `paths` that did not come with packages as they are now -> why, as one clause.

    Something is mounted there, or on a directory above, or a link leads to somewhere else: that
    is an administrator's, and nothing may be removed through it.
    """
    covered = mounted(host)
    links: dict[str, bool] = {}
    return {path: why for path in paths if (why := _why_it_stays(host, path, covered, links))}


def sentences(stays: Mapping[str, str]) -> list[str]:
    """One for each place of `beyond`, without what lies below it."""
    return [f"{visible(path)} stays: {stays[path]}." for path in topmost(stays)]


def mounted(host: Host) -> frozenset[str]:
    """Where something is mounted in `TREES`, by the names that `survey` has.

    Not the trees themselves: one with a file system of its own has what packages put there.
    """
    points = mount_points(host)
    found = set[str]()
    for tree in TREES if points else ():
        inside = f"{host.realpath(tree)}/"
        found |= {f"{tree}/{at.removeprefix(inside)}" for at in points if at.startswith(inside)}
    return frozenset(found)


def _mounted_on(path: str, covered: Container[str]) -> str:
    """The mount point that `path` is or lies below, or ""."""
    return next((at for at in (*_above(path), path) if at in covered), "")


def _above(path: str) -> list[str]:
    """The directories between a tree and `path`: ["/var/lib/php", "/var/lib/php/modules"]."""
    tree = next((tree for tree in TREES if path.startswith(f"{tree}/")), "")
    names = path[len(tree) + 1 :].split("/")[:-1]
    return [f"{tree}/{'/'.join(names[:depth])}" for depth in range(1, len(names) + 1)]


def _why_it_stays(host: Host, path: str, covered: Container[str], links: dict[str, bool]) -> str:
    """See `beyond`. `links`: which directories are links, as far as they were looked at."""
    mounted = _mounted_on(path, covered)
    if mounted:
        return f"something is mounted {'there' if mounted == path else f'on {visible(mounted)}'}"
    for above in _above(path):
        if above not in links:
            state = host.state(above)
            links[above] = state is not None and state.kind == "symlink"
        if links[above]:
            return f"{visible(above)}, in which it lay, is a symbolic link now"
    return ""


def outside(paths: Iterable[str], roots: Iterable[Root]) -> list[str]:
    """Those neither in /etc nor in a tree of the step: known only because packages brought them."""
    tops = ("/etc", *(root.path.rstrip("/") for root in roots))
    inside = tuple(f"{top}/" for top in tops)
    return [path for path in paths if path not in tops and not path.startswith(inside)]


def tops_of(deltas: Iterable[Delta], roots: Iterable[Root]) -> list[str]:
    """The paths among a transaction's differences that came with packages."""
    new = (delta.key for delta in deltas if delta.domain == "files" and delta.before is None)
    return topmost(outside(new, roots))


def remove(
    host: Host, paths: Iterable[str], staying: Iterable[str] = (), *, until_ns: int | None = None
) -> list[str]:
    """Remove these and what lies below them now, without `staying` and what holds it.

    `until_ns`: what is `younger` stays, and what holds it; the directories among `paths` are known.
    Removal scripts write there too, so what is below is asked anew. Returns `sentences` about what
    else stays. Raises `SnapshotError` naming what would not go.
    """
    left = []
    named = set(paths)
    there = states(host, topmost(named)).keys()
    kept = set(staying)
    if until_ns is not None:
        kept |= states(host, younger(host, topmost(named), until_ns, named.intersection)).keys()
    stays = beyond(host, there)  # asked last: it may have been mounted while that was looked for
    going = there - kept - stays.keys()
    for path in sorted(going, key=lambda path: (-path.count("/"), path)):
        now = host.state(path)
        if now is None or (now.kind == "dir" and host.listdir(path)):
            continue
        try:
            host.put(path, None)
        except HostError as error:
            left.append(f"{path} ({error})")
    if left:
        raise SnapshotError(
            f"{left[0]} came with packages that are gone and could not be removed; everything else "
            "was put back. Remove it by hand."
        )
    return sentences({path: stays[path] for path in stays.keys() - kept})


def _look(
    host: Host, directory: str, depth: int, covered: Container[str], found: dict[str, FileState]
) -> None:
    names = host.listdir(directory)
    if len(names) > MANY:
        return
    for name in names:
        path = f"{directory}/{name}"
        if _BY_THEMSELVES.fullmatch(path):
            continue
        state = host.state(path)
        if state is None:
            continue
        found[path] = state
        if state.kind == "dir" and depth > 1 and path not in covered:
            _look(host, path, depth - 1, covered, found)
