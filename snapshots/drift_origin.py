"""When something changed, and whose hand it was: times, owners, packages, dpkg's and apt's logs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.owners import parse_numbers
from host.names import visible
from snapshots import drift_apt
from snapshots.drift import Drifted, is_marked_only
from snapshots.drift_moment import moment
from snapshots.drift_running import Running
from snapshots.model import Delta, FileItem
from snapshots.reach import out_of_reach

DPKG_LOGS = ("/var/log/dpkg.log.1", "/var/log/dpkg.log")
LARGEST_LOG_BYTES = 32 * 1024 * 1024
SLACK_S = 2.0
"""dpkg writes whole seconds, and its log before or after the deed."""

CONFFILES = ("dpkg-query", "-W", "-f", "${binary:Package}\t${Conffiles}\n")
_TIME = "%Y-%m-%d %H:%M:%S"
_AT_REST = ("installed", "config-files", "not-installed")
_DEEDS = ("install", "upgrade", "remove", "purge")


class Deed(msgspec.Struct, frozen=True):
    """What dpkg did with one package, from its first log line to its last (seconds since 1970)."""

    package: str
    what: str
    old: str
    new: str
    began: float
    ended: float

    def covers(self, moment_s: float) -> bool:
        return self.began - SLACK_S <= moment_s <= self.ended + SLACK_S

    def __str__(self) -> str:
        if self.what == "upgrade" and self.old == self.new:
            return f"reinstallation of {self.package} {self.new}"
        versions = {"install": self.new, "upgrade": f"{self.old} -> {self.new}"}
        return f"{self.what} of {self.package} {versions.get(self.what, self.old)}".rstrip()


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose change it was, as far as the host can tell.

    `when` is ISO 8601 UTC ("" where not known; of what is gone, when its directory last changed;
    of a unit, since when it is in its state). `owner` owns the file now, or the one that sets it;
    `package` is the one it belongs to, `explained` what dpkg did at that moment. `told` are more
    sentences, without their ends.
    """

    when: str = ""
    owner: str = ""
    package: str = ""
    explained: str = ""
    told: tuple[str, ...] = ()


def origins(host: Host, things: Iterable[Drifted], since_s: float) -> list[Origin]:
    """One for each; asks the host only where there is anything to ask for."""
    things = list(things)
    if not things:
        return []
    deeds = deeds_since(host, since_s)
    owners = _conffiles(host) if any(one.domain == "files" for one in things) else {}
    names = _users(host)
    running = Running(host, things, since_s, names)
    runs = drift_apt.runs(host) if any(one.domain == "packages" for one in things) else []
    found = []
    for one in things:
        if one.domain == "files":
            found.append(_of_file(host, one, deeds, owners, names))
        elif one.domain == "packages":
            found.append(_of_package(one, deeds, runs))
        else:
            known = running.known(one)
            found.append(Origin(when=known.when, owner=known.owner, told=known.told))
    return found


def _of_package(one: Drifted, deeds: list[Deed], runs: list[drift_apt.Run]) -> Origin:
    """Its last deed, and who had apt do it. A mark or a hold that changed is in no log."""
    name = one.key.partition(":")[0]
    mine = [deed for deed in deeds if deed.package == name]
    if not mine or is_marked_only(one):
        return Origin()
    last = mine[-1]
    part = drift_apt.Part(last.what, last.package, last.old, last.new)
    by = [visible(str(run)) for run in runs if run.did(part, last.began)]
    return Origin(when=moment(last.ended), explained=str(last), told=tuple(by[-1:]))


def _of_file(
    host: Host, one: Drifted, deeds: list[Deed], owners: dict[str, str], names: dict[int, str]
) -> Origin:
    there = one.key if one.now is not None else one.key.rpartition("/")[0]
    changed_s = host.changed_ns(there) / 1e9
    owner = ""
    if isinstance(one.now, FileItem):
        owner = names.get(one.now.state.uid, str(one.now.state.uid))
    package = owners.get(one.key, "")
    return Origin(
        when=moment(changed_s),
        owner=owner,
        package=package,
        explained=explanation(package, changed_s, deeds),
        told=_hidden(host, one),
    )


def _hidden(host: Host, one: Drifted) -> tuple[str, ...]:
    """That it lies behind a link or a mount of somebody, perhaps, instead of being gone."""
    if one.now is not None or not one.standing:
        return ()
    delta = Delta("files", one.key, one.before, None)
    why = out_of_reach(host, one.standing[-1].record, [delta], {}).get(one.key)
    return (f"It need not be gone: {why}",) if why else ()


def explanation(package: str, changed_s: float, deeds: Iterable[Deed]) -> str:
    """What dpkg did when a file of `package` changed, or one that belongs to none; "" if nothing.

    A file of a package is changed by that package alone; what scripts make belongs to none.
    """
    name = package.partition(":")[0]
    at_work = [deed for deed in deeds if deed.covers(changed_s)]
    if name:
        at_work = [deed for deed in at_work if deed.package == name]
    if len(at_work) > 1:
        return f"{at_work[0]} and {len(at_work) - 1} more"
    return str(at_work[0]) if at_work else ""


def deeds_since(host: Host, since_s: float) -> list[Deed]:
    """What dpkg did since a moment (seconds since 1970), oldest first."""
    return parse_log(_log(host), since_s)


def parse_log(text: str, since_s: float) -> list[Deed]:
    """dpkg.log from `since_s` on: "2026-11-25 14:02:11 upgrade cups:amd64 2.4.2-3 2.4.2-4".

    Its times are local ones. A deed lasts until the package is "status installed" or gone.
    """
    since = datetime.fromtimestamp(since_s - SLACK_S).strftime(_TIME)
    found: list[Deed] = []
    at_work: dict[str, int] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or line[:19] < since:
            continue
        at = _local(line[:19])
        what, about = words[2], words[4] if words[2] == "status" and len(words) > 4 else words[3]
        package = about.partition(":")[0]
        if at is None:
            continue
        if what in _DEEDS:
            versions = ["" if word == "<none>" else word for word in (*words[4:6], "", "")]
            at_work[package] = len(found)
            found.append(Deed(package, what, versions[0], versions[1], at, at))
        elif package in at_work:
            number = at_work[package]
            found[number] = msgspec.structs.replace(found[number], ended=at)
            if what == "status" and words[3] in _AT_REST:
                del at_work[package]
    return found


def _local(stamp: str) -> float | None:
    try:
        return datetime.strptime(stamp, _TIME).astimezone().timestamp()
    except ValueError:
        return None


def _log(host: Host) -> str:
    parts = []
    for path in DPKG_LOGS:
        with contextlib.suppress(HostError):
            content = host.read_bytes(path, limit_bytes=LARGEST_LOG_BYTES)
            parts.append(content.decode("utf-8", "replace"))
    return "\n".join(parts)


def _users(host: Host) -> dict[int, str]:
    try:
        accounts = host.read_bytes("/etc/passwd").decode("utf-8", "replace")
    except HostError:
        return {}  # owners are shown by number then
    return {number: name for name, number in parse_numbers(accounts).items()}


def _conffiles(host: Host) -> dict[str, str]:
    """Path -> the package whose configuration file it is."""
    try:
        answer = host.run(CONFFILES, ok=None)
    except (CommandMissing, HostError):
        return {}
    return parse_conffiles(answer.stdout)


def parse_conffiles(text: str) -> dict[str, str]:
    """dpkg-query's answer: the package, then one " /path md5" a line."""
    found: dict[str, str] = {}
    package = ""
    for line in text.splitlines():
        name, tab, rest = line.partition("\t")
        if tab:
            package = name
        words = (rest if tab else line).split()
        if words and words[0].startswith("/") and "obsolete" not in words[2:]:
            found[words[0]] = package
    return found
