"""The processes of /proc that lead from us to the administrator, and their TCP connections."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from host import ports

_ESTABLISHED: Final = "01"
_LOGIND_SESSION: Final = re.compile(r"/session-(\w+)\.scope(?:$|/)", re.MULTILINE)
_SSHD_TITLE: Final = re.compile(r"sshd(?:-session)?: ([^@\s\[]+)(?:@\S+| \[priv\])?$")


class Process(msgspec.Struct, frozen=True):
    """`title` is the command line as the process shows it, its words separated by spaces."""

    pid: int
    parent: int
    name: str
    uid: int
    title: str = ""

    @property
    def claimed_ssh_user(self) -> str:
        """The account a process of sshd says it serves; "" for any other (also the listener).

        Anybody can give a process such a name: see `ProcessTable.ssh_user`.
        """
        found = _SSHD_TITLE.match(self.title) if self.name.startswith("sshd") else None
        return found.group(1) if found else ""


class Connection(msgspec.Struct, frozen=True):
    """An established TCP connection; addresses as SSH_CONNECTION writes them."""

    client_address: str
    client_port: int
    server_address: str
    server_port: int


class ProcessTable:
    """What /proc says now; each thing is read when it is asked for."""

    def __init__(self, proc: str = "/proc", sessions: str = "/run/systemd/sessions") -> None:
        self._proc = proc
        self._sessions = sessions
        self._established: dict[str, Connection] | None = None

    def get(self, pid: int) -> Process | None:
        try:
            with open(f"{self._proc}/{pid}/status", errors="replace") as file:
                fields = (line.partition(":") for line in file)
                status = {key: value.strip() for key, _, value in fields}
            with open(f"{self._proc}/{pid}/cmdline", "rb") as raw:
                title = raw.read().replace(b"\0", b" ").decode(errors="replace").strip()
            return Process(
                pid, int(status["PPid"]), status["Name"], int(status["Uid"].split()[0]), title
            )
        except (OSError, KeyError, ValueError, IndexError):
            return None  # ended meanwhile

    def ancestors(self, pid: int) -> Iterator[Process]:
        """The process itself, its parent, and so on up to (without) process 1."""
        seen = set()
        while pid > 1 and pid not in seen:
            seen.add(pid)
            process = self.get(pid)
            if process is None:
                return
            yield process
            pid = process.parent

    def all(self) -> Iterator[Process]:
        for name in os.listdir(self._proc):
            if name.isdigit():
                process = self.get(int(name))
                if process is not None:
                    yield process

    def ssh_user(self, process: Process) -> str:
        """The account a process of sshd serves, "" for any other process.

        sshd serves a login with two: one of root and, below it, one of the account. Believed is
        only what root's own process says, since names and titles are for everyone to choose.
        """
        user = process.claimed_ssh_user
        if not user or process.uid == 0:
            return user
        above = self.get(process.parent)
        if above is None or above.uid != 0 or above.claimed_ssh_user != user:
            return ""
        return user

    def environ(self, pid: int) -> dict[str, str]:
        """The environment a process was started with; empty where we may not read it."""
        try:
            with open(f"{self._proc}/{pid}/environ", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            return {}
        return dict(word.split("=", 1) for word in words if "=" in word)

    def terminal(self, pid: int) -> str:
        """The terminal at a process's standard input ("/dev/pts/3"), or ""."""
        try:
            target = os.readlink(f"{self._proc}/{pid}/fd/0")
        except OSError:
            return ""
        return target if target.startswith(("/dev/pts/", "/dev/tty")) else ""

    def logins(self) -> list[str]:
        """Where recorded logins came from: "192.0.2.7", "192.0.2.7 via mosh [4711]"."""
        import psutil

        return [login.host for login in psutil.users() if login.host]

    def login(self, pid: int) -> dict[str, str]:
        """What logind keeps of the session a process is in: REMOTE is "1" for one over the network,
        REMOTE_HOST where it came from. Empty for a process outside of any."""
        try:
            with open(f"{self._proc}/{pid}/cgroup") as file:
                session = _LOGIND_SESSION.search(file.read())
            if session is None:
                return {}
            with open(f"{self._sessions}/{session[1]}") as file:
                words = [line.rstrip("\n").partition("=") for line in file]
        except OSError:
            return {}
        return {name: value for name, _, value in words}

    def established(self) -> dict[str, Connection]:
        """Every established TCP connection, by the inode of its socket."""
        if self._established is None:
            self._established = {}
            for table in ("tcp", "tcp6"):
                try:
                    with open(f"{self._proc}/net/{table}") as file:
                        self._established.update(parse_established(file.read()))
                except OSError:
                    continue  # a kernel without IPv6
        return self._established

    def connection(self, pid: int) -> Connection | None:
        """The TCP connection a process holds (needs root for those of others)."""
        directory = f"{self._proc}/{pid}/fd"
        try:
            targets = [os.readlink(f"{directory}/{name}") for name in os.listdir(directory)]
        except OSError:
            return None
        for target in sorted(targets):
            found = self.established().get(target.removeprefix("socket:[").removesuffix("]"))
            if found is not None:
                return found
        return None


def parse_established(text: str) -> dict[str, Connection]:
    """/proc/net/tcp or tcp6 -> {"126576": Connection("192.0.2.7", 51234, "10.0.0.5", 22)}."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 10 or words[3] != _ESTABLISHED:
            continue
        near, _, near_port = words[1].partition(":")
        far, _, far_port = words[2].partition(":")
        found[words[9]] = Connection(
            client_address=ports.parse_address(far).removeprefix("::ffff:"),
            client_port=int(far_port, 16),
            server_address=ports.parse_address(near).removeprefix("::ffff:"),
            server_port=int(near_port, 16),
        )
    return found
