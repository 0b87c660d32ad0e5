"""Running dpkg and apt so that they ask nothing, wait for each other, and say who is in the way."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from host.base import CommandFailed, CommandMissing, Completed, Host
from host.holders import describe
from snapshots import leftovers
from snapshots.model import Busy, SnapshotError
from snapshots.progress import Progress

LOCK_WAIT_S = 60
"""How long another apt or dpkg (unattended upgrades, say) may go on before we give up."""

OUTLIVED_WAIT_S = 600
"""How long the installation that a killed harden-tui had begun may still go on."""

TIMEOUT_S = 1800.0

NONINTERACTIVE = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    # needrestart would restart services of its own choice in the middle of a transaction.
    "NEEDRESTART_SUSPEND": "1",
    "NEEDRESTART_MODE": "l",
}

APT_OPTIONS = (
    "-q",
    "-o", f"DPkg::Lock::Timeout={LOCK_WAIT_S}",
    "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold",
    "-o", "Dpkg::Use-Pty=0",
    "-o", "APT::Get::AutomaticRemove=false",
)  # fmt: skip

_HALF = frozenset({"half-installed", "unpacked", "half-configured", "reinst-required"})

# "held by process 42 (apt-get)" (apt), "locked by another process with pid 42" (dpkg of bookworm),
# "locked by /usr/bin/apt-get process with pid 42" (dpkg of trixie).
_HELD_BY = re.compile(
    r"held by process (?P<apt_pid>\d+)(?: \((?P<apt>[^)]*)\))?"
    r"|locked by (?P<dpkg>\S+) process with pid (?P<dpkg_pid>\d+)"
)
_LOCKED = re.compile(r"Could not get lock|Unable to acquire the dpkg|lock was locked by")


_PLANNED = re.compile(r"^(?:Inst|Remv|Purg|Conf) (\S+)", re.MULTILINE)
_VERSIONS = ("dpkg-query", "-W", "-f", r"${binary:Package}\t${db:Status-Status}\t${Version}\n")
_ABSENT = ("not-installed", "config-files")

POLL_S = 0.5

_FRONTEND_IS_LOCKED = {"DPKG_FRONTEND_LOCKED": "1"}
"""By this dpkg knows that whoever started it holds the lock, as apt does for it."""


@contextmanager
def packages_held(host: Host, progress: Progress, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Keep other package tools out: what they change at the same time would be taken for ours.

    Waits for one that is at work. Raises `Busy` naming it after `wait_s` seconds.
    """
    was_ours = host.has_packages_locked
    _lock(host, progress, wait_s)
    if not was_ours:
        host.strange_packages.clear()  # whatever they did, the host is captured only now
    try:
        yield
    finally:
        host.unlock_packages()


@contextmanager
def let_in(host: Host, progress: Progress, ours: Collection[str] = ()) -> Iterator[None]:
    """For apt, which takes the lock itself; afterwards it is ours again, where it was before.

    Another tool may win it at either end. What became otherwise meanwhile and is none of `ours`,
    the packages that apt means to touch, is noted in `host.strange_packages`.
    """
    if not host.has_packages_locked:
        yield
        return
    before = versions(host)
    host.unlock_packages()
    try:
        yield
    finally:
        _lock(host, progress, OUTLIVED_WAIT_S)
        changed = {name for name, _ in before.items() ^ versions(host).items()}
        host.strange_packages.update(name for name in changed if name.partition(":")[0] not in ours)


def planned(simulated: str) -> frozenset[str]:
    """The packages that `apt-get -s` says it would touch, without their architectures."""
    return frozenset(name.partition(":")[0] for name in _PLANNED.findall(simulated))


def versions(host: Host) -> dict[str, str]:
    """Each package that is there, in whatever state -> its version. Raises `HostError`."""
    rows = (line.split("\t") for line in host.run(_VERSIONS).stdout.splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] not in _ABSENT}


def dpkg_environment(host: Host) -> dict[str, str]:
    """For dpkg and what calls it (apt-mark) while other package tools are kept out."""
    return {**NONINTERACTIVE, **(_FRONTEND_IS_LOCKED if host.has_packages_locked else {})}


def _lock(host: Host, progress: Progress, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while holder := host.lock_packages():
        who = describe(host, holder)
        if time.monotonic() >= deadline:
            raise Busy(
                f"Another package tool is at work on this host: {who}; it was waited for"
                f" {wait_s:.0f} s, and nothing was changed. Wait for it, then try again."
            )
        progress.doing(f"waiting up to {wait_s:.0f} s for {who}")
        time.sleep(POLL_S)


def run_apt(
    host: Host,
    progress: Progress,
    *words: str,
    simulate: bool = False,
    ours: Collection[str] = (),
) -> Completed:
    """`apt-get WORDS`, noninteractive. Raises `Busy` naming the holder of the lock.

    `ours`: the packages that it was seen to mean, as `let_in` has it.
    """
    argv = ("apt-get", *words, *(("-s",) if simulate else ()), *APT_OPTIONS)
    if not simulate:
        progress.command(f"apt-get {' '.join(words)}")
    on_line = None if simulate else progress.output
    try:
        with contextlib.nullcontext() if simulate else let_in(host, progress, ours):
            return host.run(argv, timeout_s=TIMEOUT_S, env=NONINTERACTIVE, on_line=on_line)
    except CommandFailed as error:
        _raise_if_locked(host, error.completed)
        raise


def meant(host: Host, progress: Progress, *words: str) -> frozenset[str]:
    """The packages that `apt-get WORDS` would touch; not asked where no lock will be let go."""
    if not host.has_packages_locked:
        return frozenset()
    return planned(run_apt(host, progress, *words, simulate=True).stdout)


def settle_dpkg(host: Host, progress: Progress, wait_s: float = OUTLIVED_WAIT_S) -> None:
    """Let an apt or dpkg that outlived its parent finish, and finish what was cut off.

    Raises `Busy` where it does not end; a package that cannot be configured is for later.
    """
    with contextlib.suppress(CommandMissing, CommandFailed):
        run_dpkg(host, progress, "--configure", "--pending", wait_s=wait_s)


def is_offered(host: Host, name: str, version: str) -> bool:
    """Whether the host's sources have a package in this version."""
    argv = ("apt-get", "--simulate", "install", "--allow-downgrades", f"{name}={version}")
    try:
        return host.run(argv, timeout_s=60.0, ok=None).ok
    except CommandMissing:
        return False


def refuse_interrupted(host: Host, packages: Mapping[str, str]) -> None:
    """Raise `SnapshotError` where an installation was cut off: dpkg and apt would stop half-way.

    `packages`: name -> "VERSION;MARK;FLAG…" as captured.
    """
    half = [
        name for name, value in sorted(packages.items()) if _HALF.intersection(value.split(";")[2:])
    ]
    if half or any(name.isdigit() for name in host.listdir(leftovers.DPKG_UPDATES)):
        what = f" and left {', '.join(half)} half installed" if half else ""
        raise SnapshotError(
            f"dpkg was interrupted on this host{what}; nothing was touched. Run "
            "`dpkg --configure -a`, then try again."
        )


def run_dpkg(host: Host, progress: Progress, *words: str, wait_s: float = LOCK_WAIT_S) -> None:
    """`dpkg WORDS`; waits for the lock as apt does, which dpkg itself would not.

    Raises `Busy` naming the holder of the lock, `CommandFailed` for anything else.
    """
    argv = ("dpkg", *words)
    progress.command(" ".join(argv))
    deadline = time.monotonic() + wait_s
    while True:
        try:
            host.run(argv, timeout_s=TIMEOUT_S, env=dpkg_environment(host), on_line=progress.output)
            return
        except CommandFailed as error:
            if not _LOCKED.search(error.completed.stderr):
                raise
            if time.monotonic() >= deadline:
                _raise_if_locked(host, error.completed)
                raise
            progress.doing("waiting for another package tool to finish")
            time.sleep(1.0)


def _raise_if_locked(host: Host, completed: Completed) -> None:
    said = completed.stderr + completed.stdout
    if not _LOCKED.search(said):
        return
    held = _HELD_BY.search(said)
    pid = (held["apt_pid"] or held["dpkg_pid"]) if held else ""
    raise Busy(
        f"Another package tool is at work on this host: {describe(host, int(pid or 0))}; it was "
        f"waited for {LOCK_WAIT_S} s, and no package was changed. Wait for it, then try again."
    )
