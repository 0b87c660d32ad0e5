"""Performing one change on the host."""

from __future__ import annotations

import contextlib
import re
import shlex
import time
from collections.abc import Sequence

import msgspec

from host.base import CommandFailed, FileState, Host, HostError
from host.mariadb import tell
from host.restore_test import measure
from host.rotation import rotate
from snapshots.debs import KeptDebs
from snapshots.dpkg import NONINTERACTIVE, dpkg_environment, let_in, planned, run_apt
from snapshots.model import (
    Change,
    InstallPackages,
    MakeLink,
    RemoveFile,
    RotatePassword,
    RunCommand,
    RunSql,
    SealTree,
    SnapshotError,
    TestRestore,
    WriteFile,
    secret_path,
)
from snapshots.overwriting import state_after
from snapshots.progress import Progress

OUTLIVED_WAIT_S = 120.0
"""As long as a change's command may take by default."""

_TAKES_AWAY = re.compile(r"^(?:Remv|Purg) (\S+) \[([^]]+)\]", re.MULTILINE)
_REPLACES = re.compile(r"^Inst (\S+) \[([^]]+)\] \(", re.MULTILINE)
_CANNOT_BE_HAD = re.compile(
    r"Unable to locate package (\S+)|Package '?([^' ]+)'? has no installation candidate"
)
_CHANGING_WORDS = frozenset(
    {"remove", "purge", "autoremove", "autopurge", "install", "upgrade", "dist-upgrade",
     "full-upgrade"}
)  # fmt: skip


def describe(change: Change) -> str:
    """One line for the journal and the history; never holds content."""
    match change:
        case WriteFile():
            return f"write {change.path}" + (" (secret)" if change.secret else "")
        case RemoveFile():
            return f"remove {change.path}"
        case MakeLink():
            return f"link {change.path} -> {change.target}"
        case SealTree():
            return f"set owners, modes and flags below {change.root}"
        case RunCommand():
            return shlex.join(change.argv) + _for_whom(change)
        case RunSql():
            return "; ".join(change.sql)
        case TestRestore():
            return f"restore a dump of {change.database} beside it and compare"
        case RotatePassword(rotation):
            return f"give {rotation.account} a new password, in {rotation.places}"
        case InstallPackages():
            return "install " + " ".join(change.packages)


def path_of(change: Change) -> str:
    """The file a change names, or ""."""
    if isinstance(change, WriteFile | RemoveFile | MakeLink):
        return change.path
    return secret_path(change)


def may_bring_packages(change: Change) -> bool:
    """Whether packages may come with it."""
    if isinstance(change, RunCommand):
        program = change.argv[0].rpartition("/")[2]
        return program in ("apt", "dpkg") or (
            program == "apt-get" and change.argv[1:2] != ("update",)
        )
    return isinstance(change, InstallPackages)


def _for_whom(command: RunCommand) -> str:
    """Of a command that is told on its standard input whose passwords to set."""
    if command.argv[0].rpartition("/")[2] != "chpasswd":
        return ""
    given = [line.partition(b":") for line in command.stdin.splitlines()]
    names = [name.decode() for name, colon, _ in given if colon and _ACCOUNT.fullmatch(name)]
    return f" for {', '.join(names)}" if names else ""


_ACCOUNT = re.compile(rb"[a-z_][a-z0-9_-]*")

MARKER = "HARDEN_TUI_TRANSACTION"
"""In the environment of every command that makes a change: it may outlive a killed harden-tui."""


def execute(host: Host, change: Change, tx_id: str, debs: KeptDebs, progress: Progress) -> None:
    """Raises `HostError`; what was done until then is for the transaction to take back."""
    match change:
        case WriteFile():
            _write(host, change)
        case RemoveFile():
            host.put(change.path, None)
        case MakeLink():
            _link(host, change)
        case SealTree():
            host.apply_rules(
                change.root,
                change.rules,
                on_progress=lambda done: progress.doing(
                    f"sealing {change.root}", done, change.entries
                ),
            )
        case RunCommand():
            _run(host, change, tx_id, debs, progress)
        case RunSql():
            progress.command(f"MariaDB> {'; '.join(change.sql)};")
            tell(host, "".join(f"{one};\n" for one in change.sql), timeout_s=change.timeout_s)
        case TestRestore():
            result = measure(host, change.database, lambda what: progress.doing(what))
            private = FileState(kind="file", mode=0o600)
            make_directories(host, change.path)
            host.write_file(change.path, msgspec.json.encode(result) + b"\n", private)
        case RotatePassword(rotation):
            rotate(host, rotation, progress.doing)
        case InstallPackages():
            _install(host, change, debs, progress)


def _write(host: Host, change: WriteFile) -> None:
    there = host.state(change.path)
    make_directories(host, change.path)
    host.write_file(change.path, change.content, state_after(there, change))


def _link(host: Host, change: MakeLink) -> None:
    there = host.state(change.path)
    if there is not None and there.kind != "symlink":
        raise SnapshotError(
            f"{change.path} is a {there.kind} where a link was expected; it was left as it is."
        )
    make_directories(host, change.path)
    host.put(change.path, FileState(kind="symlink", mode=0o777, target=change.target))


def make_directories(host: Host, path: str) -> None:
    """The directories above `path` that are missing, root's and 0755."""
    above = path.rpartition("/")[0]
    if above and host.state(above) is None:
        make_directories(host, above)
        host.put(above, FileState(kind="dir", mode=0o755))


def _run(host: Host, change: RunCommand, tx_id: str, debs: KeptDebs, progress: Progress) -> None:
    program = change.argv[0].rpartition("/")[2]
    ours = frozenset[str]()
    if program in ("apt-get", "apt") and _CHANGING_WORDS & set(change.argv):
        said = _asked(host, change.argv[1:], progress)
        ours = planned(said)
        debs.keep(host, _leaving(host, said), progress)
    elif program == "dpkg" and {"-r", "-P", "--remove", "--purge"} & set(change.argv):
        names = [word for word in change.argv[1:] if not word.startswith("-")]
        debs.keep(host, _versions(host, names), progress)
    env = {**NONINTERACTIVE, **change.env, MARKER: tx_id}
    own: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if program in ("apt-get", "apt"):
        own = let_in(host, progress, ours)
    else:
        env = {**dpkg_environment(host), **env}
    progress.command(shlex.join(change.argv))
    with own:
        host.run(
            change.argv,
            stdin=change.stdin,
            timeout_s=change.timeout_s,
            env=env,
            on_line=progress.output,
        )


def _install(host: Host, change: InstallPackages, debs: KeptDebs, progress: Progress) -> None:
    words = ("install", "-y", "--no-install-recommends", *change.packages)
    progress.doing("asking apt what would come")
    said = _asked(host, words, progress)
    debs.keep(host, _leaving(host, said), progress)
    run_apt(host, progress, *words, ours=planned(said))


def _asked(host: Host, words: Sequence[str], progress: Progress) -> str:
    """What `apt-get WORDS` says it would do.

    Raises `SnapshotError` where a package cannot be had.
    """
    try:
        return run_apt(host, progress, *words, simulate=True).stdout
    except CommandFailed as error:
        said = error.completed.stderr + error.completed.stdout
        missing = _CANNOT_BE_HAD.search(said)
        if missing:
            raise SnapshotError(
                f"package {missing[1] or missing[2]} cannot be had from the host's sources; "
                "nothing was changed. `apt-get update` may help, or the suite does not have it."
            ) from None
        raise


def _leaving(host: Host, said: str) -> dict[str, str]:
    """The packages that apt said it would remove or replace, with their present versions."""
    found = dict(_TAKES_AWAY.findall(said))
    found.update(_REPLACES.findall(said))
    # apt may take a status file that was just written again for the one it knows; dpkg does not.
    installed = _versions(host, sorted(found)) if found else {}
    known = {word for name in installed for word in (name, name.partition(":")[0])}
    return {**{name: found[name] for name in found.keys() - known}, **installed}


def wait_for_outlived(host: Host, tx_id: str, progress: Progress) -> None:
    """Let the command of a killed harden-tui finish: what it still does could not be taken back.

    Gives up after `OUTLIVED_WAIT_S` and goes on.
    """
    mark = f"{MARKER}={tx_id}".encode()
    deadline = time.monotonic() + OUTLIVED_WAIT_S
    while time.monotonic() < deadline:
        running = [
            path for path in host.glob("/proc/[0-9]*/environ") if mark in _environ(host, path)
        ]
        if not running:
            return
        progress.doing(f"waiting for process {running[0].split('/')[2]} of the interrupted change")
        time.sleep(0.5)


def _environ(host: Host, path: str) -> bytes:
    try:
        return host.read_bytes(path)
    except HostError:
        return b""  # it ended


def _versions(host: Host, names: Sequence[str]) -> dict[str, str]:
    answer = host.run(
        ("dpkg-query", "-W", "-f", r"${binary:Package}\t${db:Status-Status}\t${Version}\n", *names),
        ok=None,
    )
    rows = [line.split("\t") for line in answer.stdout.splitlines()]
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}
