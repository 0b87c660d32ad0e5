"""What sshd says of itself: effective settings, where they come from, and what it runs with.

sshd reads its configuration when it starts and when it is reloaded (SIGHUP); a connection gets
the listening process's copy of it. Tried on bookworm (9.2p1) and trixie (10.0p1): after an edit
without a reload, new connections still follow the old configuration. So the files (`sshd -T`)
say what holds after a reload, and hold now only if none of them changed since sshd read them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.sshd_tree import ALIASES, MAIN, Tree, parse_tree

UNIT = "ssh.service"
SOCKET = "ssh.socket"
DEFAULTS_FILE = "/etc/default/ssh"

OUTSIDE_MATCH = ("-C", "lport=1")
"""Asks for what holds outside of `Match`. With no condition at all sshd gives up at a `Match
LocalPort` ("'lport' not in connection test specification", both releases); with this one it answers
the same as without, as no sshd listens at port 1."""

Effective = dict[str, str]
"""Lower-case option to value as `sshd -T` prints it; repeated options are joined by spaces."""


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """The listening sshd.

    `state`: "running", "on-demand" (ssh.socket starts it), "stopped", or "unknown" (no service
    manager to ask). `arguments` are the options of its command line that change settings.
    """

    state: Literal["running", "on-demand", "stopped", "unknown"]
    pid: int = 0
    arguments: tuple[str, ...] = ()
    by_socket: bool = False

    @property
    def refresh(self) -> Literal["reload", "restart"]:
        """How the running sshd is made to read its files again; sessions survive both.

        A reload kills an sshd that ssh.socket started: it tries to bind the port that systemd
        holds (tried on both releases: "Cannot bind any address").
        """
        return "restart" if self.by_socket else "reload"

    @property
    def main_file(self) -> str:
        """The configuration file it is started with."""
        for flag, value in zip(self.arguments, self.arguments[1:], strict=False):
            if flag == "-f":
                return value
        return MAIN

    @property
    def options(self) -> tuple[str, ...]:
        """`arguments` without the name of the configuration file."""
        kept: list[str] = []
        skip = False
        for argument in self.arguments:
            if skip or argument == "-f":
                skip = argument == "-f"
                continue
            kept.append(argument)
        return tuple(kept)


def parse_effective(text: str) -> Effective:
    """`sshd -T`: {"permitrootlogin": "without-password", "acceptenv": "LANG LC_*", …}."""
    settings: Effective = {}
    for line in text.splitlines():
        option, _, value = line.strip().partition(" ")
        if option:
            before = settings.get(option.lower())
            settings[option.lower()] = f"{before} {value}" if before else value.strip()
    return settings


def parse_origins(text: str) -> dict[str, str]:
    """`sshd -ddd -T`, standard error: {"usepam": "/etc/ssh/sshd_config:85", …}.

    The first line that sets an option decides, as sshd takes the first value it reads.
    """
    origins: dict[str, str] = {}
    for found in re.finditer(r"^debug3: (/\S+:\d+) setting (\S+)", text, re.MULTILINE):
        option = found.group(2).lower()
        origins.setdefault(ALIASES.get(option, option), found.group(1))
    return origins


def parse_default_options(text: str) -> str:
    """The value of SSHD_OPTS in /etc/default/ssh, the last one given."""
    value = ""
    for line in text.splitlines():
        name, is_assignment, rest = line.strip().partition("=")
        if is_assignment and name.strip() == "SSHD_OPTS":
            words = shlex.split(rest, comments=True)
            value = " ".join(words)
    return value


def parse_arguments(exec_start: str, default_options: str) -> tuple[str, ...]:
    """The arguments that change settings (-o, -f, -p, -4, -6) of systemd's ExecStart property.

    "{ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D $SSHD_OPTS ; … }", with
    `default_options` put in for $SSHD_OPTS.
    """
    found = re.search(r"argv\[\]=(.*?) ; ", exec_start)
    words = shlex.split(found.group(1)) if found else []
    expanded: list[str] = []
    for word in words[1:] if found else ["$SSHD_OPTS"]:
        expanded += shlex.split(default_options) if word.strip("{}$") == "SSHD_OPTS" else [word]
    kept: list[str] = []
    rest = iter(expanded)
    for word in rest:
        flag, value = word[:2], word[2:]
        if flag in ("-o", "-f", "-p"):
            kept += [flag, value or next(rest, "")]
        elif word in ("-4", "-6"):
            kept.append(word)
    return tuple(kept)


def parse_properties(text: str) -> list[dict[str, str]]:
    """`systemctl show A B -p …`: one mapping per unit, in the order asked."""
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in text.strip().split("\n\n")
    ]


def read_tree(host: Host, main: str, overlay: Mapping[str, str | None] | None = None) -> Tree:
    """The configuration below `main`, with the files of `overlay` as if they were written.

    `None` in `overlay` stands for a file that is removed.
    """
    laid_over = overlay or {}

    def read(path: str) -> str:
        text = laid_over.get(path)
        if text is not None:
            return text
        if path in laid_over:
            raise FileNotFoundError(path)
        try:
            return host.read_bytes(path).decode("utf-8", "surrogateescape")
        except HostError as error:
            raise FileNotFoundError(str(error)) from None

    def glob(pattern: str) -> Sequence[str]:
        there = {path for path in host.glob(pattern) if laid_over.get(path, "") is not None}
        return sorted(
            there | {p for p, t in laid_over.items() if t is not None and fits(p, pattern)}
        )

    return parse_tree(main, read, glob)


def fits(path: str, pattern: str) -> bool:
    """Whether glob(7) would find `path` by `pattern` (`*` and `?` do not match a slash or dot)."""
    from fnmatch import fnmatchcase

    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(
        fnmatchcase(part, wanted) and not (part.startswith(".") and not wanted.startswith("."))
        for part, wanted in zip(parts, patterns, strict=True)
    )


def _daemon(host: Host, facts: Facts) -> Daemon:
    try:
        defaults = host.read_bytes(DEFAULTS_FILE).decode("utf-8", "replace")
    except HostError:
        defaults = ""
    options = parse_default_options(defaults)
    asked = ["systemctl", "show", UNIT, SOCKET, "-p", "ActiveState,MainPID,ExecStart"]
    try:
        units = parse_properties(host.run(asked, timeout_s=10).stdout)
    except HostError:
        units = []
    if len(units) < 2:
        return Daemon(state="unknown", arguments=parse_arguments("", options))
    service, socket = units[0], units[1]
    running = service.get("ActiveState") in ("active", "reloading")
    by_socket = socket.get("ActiveState") == "active"
    return Daemon(
        state="running" if running else "on-demand" if by_socket else "stopped",
        pid=int(service.get("MainPID") or 0),
        arguments=parse_arguments(service.get("ExecStart", ""), options),
        by_socket=by_socket,
    )


def _asking(*flags: str) -> Callable[[Host, Facts], tuple[str, str]]:
    def ask(host: Host, facts: Facts) -> tuple[str, str]:
        if not host.is_root:
            raise FactUnavailable("sshd tells its settings to root only (sshd -T reads host keys)")
        arguments = facts.get(SSHD_DAEMON).arguments
        asked = ["sshd", *flags, "-T", *OUTSIDE_MATCH, *arguments]
        answer = host.run(asked, timeout_s=10, ok=None)
        if "Missing privilege separation directory" in answer.stderr:
            raise FactUnavailable(
                "sshd is not running and cannot be asked while /run/sshd is missing; "
                f"`systemctl start {UNIT}`, then check again"
            )
        if not answer.ok:
            raise FactUnavailable(f"sshd does not accept its configuration: {said(answer.stderr)}")
        return answer.stdout, answer.stderr

    return ask


def said(stderr: str) -> str:
    """The first thing sshd said that is no debug line: the later ones only sum up."""
    lines = [line for line in stderr.splitlines() if line and not line.startswith("debug")]
    return lines[0].strip() if lines else "no reason given"


def _effective(host: Host, facts: Facts) -> Effective:
    return parse_effective(_asking()(host, facts)[0])


def _origins(host: Host, facts: Facts) -> dict[str, str]:
    return parse_origins(_asking("-ddd")(host, facts)[1])


def _tree(host: Host, facts: Facts) -> Tree:
    return read_tree(host, facts.get(SSHD_DAEMON).main_file)


def _unread(host: Host, facts: Facts) -> tuple[str, ...]:
    """Configuration files that changed after the running sshd read them.

    sshd writes its PID file each time it has read its configuration, at the start and at every
    reload; that file's time is compared with the change times (ctime: no copy or touch can set
    it back) of the files, and of the directories that Include lines look into.
    """
    daemon = facts.get(SSHD_DAEMON)
    if daemon.state in ("on-demand", "stopped"):
        return ()
    pid_file = facts.get(SSHD_EFFECTIVE).get("pidfile", "/run/sshd.pid")
    tree = facts.get(SSHD_TREE)
    folders = {path.rpartition("/")[0] for path in tree.texts if path != tree.main}
    asked = ["stat", "-L", "-c", "%.9Y %.9Z %n", "--", pid_file, *tree.texts, *sorted(folders)]
    answer = host.run(asked, timeout_s=10, ok=None)
    times = {}
    for line in answer.stdout.splitlines():
        modified, changed, path = line.split(" ", 2)
        times[path] = (float(modified), float(changed))
    if pid_file not in times:
        raise FactUnavailable(
            f"{pid_file} is missing, so when sshd last read its configuration is not known"
        )
    read_at = times.pop(pid_file)[0]
    files = [path for path, time in times.items() if path not in folders and time[1] > read_at]
    # A folder that changed without one of its files: one was removed from it.
    emptied = [
        folder
        for folder in sorted(folders)
        if times.get(folder, (0.0, 0.0))[0] > read_at
        and not any(path.startswith(f"{folder}/") for path in files)
    ]
    return (*files, *emptied)


SSHD_DAEMON: Fact[Daemon] = Fact("sshd-daemon", _daemon)
SSHD_EFFECTIVE: Fact[Effective] = Fact("sshd-effective", _effective)
SSHD_ORIGINS: Fact[dict[str, str]] = Fact("sshd-origins", _origins)
SSHD_TREE: Fact[Tree] = Fact("sshd-tree", _tree)
SSHD_UNREAD: Fact[tuple[str, ...]] = Fact("sshd-unread", _unread)
