"""Asking dpkg what an undo must know: which packages stay, and what in /etc belongs to them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from host.base import CommandMissing, Host
from snapshots import dependencies, refusals, witnesses
from snapshots.captured import Captured
from snapshots.decision import ACCOUNT_FILES, Kept, Later
from snapshots.domains.packages import Package
from snapshots.model import Delta, FileItem, Item

CONFFILES = ("dpkg-query", "-W", "-f", "${Conffiles}\n")

_ADDS_ACCOUNTS = re.compile(rb"\b(adduser|addgroup|useradd|groupadd|systemd-sysusers)\b")


def brought(deltas: Iterable[Delta]) -> set[str]:
    """The packages a transaction installed."""
    return {
        delta.key
        for delta in deltas
        if delta.domain == "packages"
        and Package.of(delta.before) is None
        and Package.of(delta.after) is not None
    }


def wanted_since(
    going: Iterable[str], deltas: Iterable[Delta], later: Iterable[Later], current: Captured
) -> dict[str, str]:
    """Those of `going` that somebody asked apt to keep since -> what was done, as one clause.

    A step brings a package that another one depends on as automatic. Nobody but a person, and a
    later step of which `later` knows, makes it manual or puts it on hold.
    """
    left = {delta.key: delta.after for delta in deltas if delta.domain == "packages"}
    for one in later:
        for key, delta in one.deltas.items():
            if key[0] == "packages" and delta.after is not None:
                left[delta.key] = delta.after
    found = {}
    for name in going:
        then, now = Package.of(left.get(name)), Package.of(current["packages"].get(name))
        if then is None or now is None:
            continue
        if (then.mark, now.mark) == ("auto", "manual"):
            found[name] = "somebody marked it as manually installed since"
        elif now.selection == "hold" != then.selection:
            found[name] = "somebody put it on hold since"
    return found


def marked_in(
    asked: Mapping[str, str], deltas: Iterable[Delta], later: list[Later], current: Captured
) -> dict[str, str]:
    """Those of `asked` whose mark or hold a witness of `later` tells of -> the last one's id.

    Its own undo takes the mark back, and so lets the package go.
    """
    everybody = sorted(later, key=lambda one: one.record.at_end)
    by_hand = wanted_since(asked, deltas, everybody, current)
    _, others = witnesses.apart(everybody)
    return {
        name: one.record.id
        for one in others
        for name in asked
        if name not in by_hand and ("packages", name) in one.deltas
    }


def ties(
    host: Host, deltas: list[Delta], later: list[Later], current: Captured, declared: set[str]
) -> Kept:
    """What stays although this transaction brought it.

    `declared` are the files its changes name: those are its own, whatever package is involved.
    """
    going = {
        name for name in brought(deltas) if Package.of(current["packages"].get(name)) is not None
    }
    if not going:
        return Kept()
    try:
        known = dependencies.parse(host.run(dependencies.QUERY).stdout)
    except CommandMissing:
        return Kept()
    # An undo planned before this one may have taken some of them away.
    present = current["packages"]
    installed = {n: p for n, p in known.items() if Package.of(present.get(n)) is not None}
    steps, others = witnesses.apart(later)
    needers = _wanted_by(steps, installed)
    asked = wanted_since(going & installed.keys() - needers.keys(), deltas, steps, current)
    marked = marked_in(asked, deltas, later, current)
    needers |= {name: marked.get(name, "") for name in asked}
    stays = dependencies.kept(installed, going, needers)
    if not _brings(deltas, present, known):
        gone = known.keys() - installed.keys()
        refused: dict[str, str] = {}
        while more := refusals.of_purge(host, (going | gone) - stays.keys()):
            refused |= {name: needer for name, needer in more.items() if name in going}
            if refused.keys() <= stays.keys():
                break
            stays = dependencies.kept(installed, going, needers, refused)
    if not stays:
        return Kept()
    # What an update window brought keeps what it depends on, as a package of anybody's does, and
    # lets it go with its own undo.
    wanted = {**_wanted_by(others, installed), **needers}
    heirs = {
        name: wanted.get(dependencies.origin(stays, name), needers.get(name, "")) for name in stays
    }
    owned = {path: name for name in sorted(stays) for path in listed(host, (name,))}
    leaving = set(listed(host, sorted(going - stays.keys()))) - owned.keys()
    return Kept(
        packages=stays,
        files=files_of(deltas, stays, owned, declared | leaving, with_accounts(host, stays)),
        units=units_of(owned),
        heirs=heirs,
        wanted={name: how for name, how in asked.items() if name not in marked},
    )


def _brings(deltas: Iterable[Delta], present: Mapping[str, Item], known: Collection[str]) -> bool:
    """Whether this undo, or one planned before it, brings packages: they may be what others need.

    `known`: what dpkg has now.
    """
    there = {name for name, item in present.items() if Package.of(item)}
    mine = {one.key for one in deltas if one.domain == "packages" and Package.of(one.before)}
    return bool(mine - there or there - set(known))


def _wanted_by(later: Iterable[Later], installed: Iterable[str]) -> dict[str, str]:
    """Package -> the first later transaction that declared or brought it."""
    found: dict[str, str] = {}
    for one in later:
        for name in (*one.record.packages, *sorted(brought(one.deltas.values()))):
            for full in installed:
                if name in (full, full.partition(":")[0]):
                    found.setdefault(full, one.record.id)
    return found


def conffiles(host: Host, packages: Iterable[str], current: Captured) -> tuple[set[str], set[str]]:
    """(as packaged, all) configuration files of `packages`, by path."""
    names = sorted(packages)
    if not names:
        return set(), set()
    try:
        answer = host.run((*CONFFILES, *names), ok=None)
    except CommandMissing:
        return set(), set()
    pristine, known = set(), set()
    for line in answer.stdout.splitlines():
        words = line.split()
        if len(words) < 2 or not words[0].startswith("/"):
            continue
        path, md5 = words[0], words[1]
        known.add(path)
        item = current["files"].get(path)
        is_file = isinstance(item, FileItem) and item.state.kind == "file"
        if is_file and _md5(host, path) == md5:
            pristine.add(path)
    return pristine, known


def as_packaged(host: Host, packages: Iterable[str], paths: Collection[str]) -> set[str]:
    """Those of `paths` that hold what one of `packages` brought, by the sums that dpkg keeps."""
    found = set[str]()
    for name in packages if paths else ():
        sums = f"/var/lib/dpkg/info/{name}.md5sums"
        if host.state(sums) is None:
            continue
        for line in host.read_bytes(sums).decode("utf-8", "surrogateescape").splitlines():
            md5, _, path = line.partition("  ")
            if f"/{path}" in paths and _md5(host, f"/{path}") == md5:
                found.add(f"/{path}")
    return found


def _md5(host: Host, path: str) -> str:
    """dpkg records MD5; this is a comparison, not a protection."""
    return hashlib.md5(host.read_bytes(path), usedforsecurity=False).hexdigest()


def with_leftovers(
    kept: Kept, came: Iterable[str], going: set[str], known: Mapping[str, Iterable[str]]
) -> Kept:
    """`kept`, with what `came` with the packages outside of /etc. `known`: path -> its packages.

    It stays where a package has it that does not go. Where some packages stay, it goes only if it
    bears the name of one that does.
    """
    paths = sorted(came)
    if not paths:
        return kept
    files = dict(kept.files)
    for path in paths:
        staying = [name for name in known.get(path, ()) if name not in going]
        if staying:
            files.setdefault(path, staying[0])
    if kept.packages:
        for path in paths:
            if not bears_name(path, going):
                files.setdefault(path, min(kept.packages))
    return msgspec.structs.replace(kept, files=files)


def bears_name(path: str, packages: Iterable[str]) -> bool:
    """Whether a path says that it is one of these packages': "/var/log/fail2ban.log"."""
    words = path.replace(".log", "").split("/")
    return any(name.partition(":")[0] in words for name in packages)


def listed(host: Host, packages: Iterable[str]) -> list[str]:
    """The paths that dpkg knows as these packages', as `dpkg-query -L` prints them."""
    answer = host.run(("dpkg-query", "-L", *packages), ok=None)
    return [line for line in answer.stdout.splitlines() if line.startswith("/") and line != "/."]


def units_of(owned: Mapping[str, str]) -> dict[str, str]:
    """Unit -> package, of the paths that packages own."""
    return {
        path.rpartition("/")[2]: name
        for path, name in owned.items()
        if "/systemd/system/" in path or path.startswith("/etc/init.d/")
    }


def with_accounts(host: Host, packages: Iterable[str]) -> str:
    """The first of `packages` that adds users or groups when it is installed, or ""."""
    for name in sorted(packages):
        for script in ("preinst", "postinst"):
            path = f"/var/lib/dpkg/info/{name}.{script}"
            if host.state(path) is not None and _ADDS_ACCOUNTS.search(host.read_bytes(path)):
                return name
    return ""


def files_of(
    deltas: list[Delta],
    stays: dict[str, str],
    owned: dict[str, str],
    declared: set[str],
    accounts: str,
) -> dict[str, str]:
    """Which files of a transaction belong to the packages that stay.

    A package's own files; links to them (enabled units, alternatives, start scripts); what its
    scripts made in a directory of its own or under its name. The account files go to `accounts`, a
    package that stays and adds accounts: which line is whose cannot be told.
    """
    found: dict[str, str] = {}
    short = {name.partition(":")[0]: name for name in stays}
    made_directories = {
        delta.key
        for delta in deltas
        if delta.domain == "files" and delta.before is None and delta.key in owned
    }
    for delta in deltas:
        path = delta.key
        if delta.domain != "files" or path in declared:
            continue
        if path in owned:
            found[path] = owned[path]
        elif accounts and path in ACCOUNT_FILES:
            found[path] = accounts
        elif (target := _target(delta)) in owned:
            found[path] = owned[target]
        elif words := short.keys() & set(path.replace(".", "/").split("/")):
            found[path] = short[min(words)]
        else:
            above = path.rpartition("/")[0]
            while above:
                if above in made_directories:
                    found[path] = owned[above]
                    break
                above = above.rpartition("/")[0]
    return found


def _target(delta: Delta) -> str:
    """Where a new link leads, as an absolute path; "" where it is no link."""
    if not isinstance(delta.after, FileItem) or delta.after.state.kind != "symlink":
        return ""
    parts = delta.key.split("/")[:-1]
    target = delta.after.state.target
    if target.startswith("/"):
        return target
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
