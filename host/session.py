"""How the administrator reached this host, also where sudo, tmux or screen dropped SSH_CONNECTION.

A firewall rule or a ban must never hit this very connection, so nothing is taken on trust: an
SSH_CONNECTION that was inherited from a login that has ended (in a tmux that outlived it) comes
last. Through a jump host the address is the jump host's: that is whom sshd sees. mosh has no
connection of TCP any more; the one it was started by names the port to come back to, and the login
records the address, which may wander. trixie keeps no such records (/run/utmp): there it is the
address that mosh was started from.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from host.base import Session
from host.processes import Connection, Process, ProcessTable

_MOSH: Final = "mosh-server"
_MULTIPLEXERS: Final = ("tmux", "screen", "SCREEN", "zellij", "dtach", "abduco")
_UNSET_LOGIN: Final = 2**32 - 1


def read(
    table: ProcessTable | None = None,
    environ: Mapping[str, str] | None = None,
    pid: int | None = None,
) -> Session:
    """See `host.base.Session`. The arguments are for tests; they default to ourselves."""
    table = table or ProcessTable()
    pid = os.getpid() if pid is None else pid
    chain = list(table.ancestors(pid))
    own = os.environ if environ is None else environ
    inherited = [own, *(table.environ(process.pid) for process in chain[1:])]
    user = user_of(inherited, chain)
    if own.get("SSH_CONNECTION") == "" or _on_the_console(table, chain):
        return Session(user=user)
    connection = _by_mosh(table, chain) or _connection(table, chain, inherited, user)
    if connection is None:
        return Session(user=user)
    return Session(
        user=user,
        client_address=connection.client_address,
        client_port=connection.client_port,
        server_address=connection.server_address,
        server_port=connection.server_port,
    )


def _by_mosh(table: ProcessTable, chain: Sequence[Process]) -> Connection | None:
    """Where a mosh that we are in comes from now; tmux inside of it is looked for elsewhere."""
    server = next((process for process in chain if process.name == _MOSH), None)
    inside = next((process for process in chain if process.name.startswith(_MULTIPLEXERS)), None)
    if server is None or inside is not None:
        return None
    return _of_mosh(table, server)


def _of_mosh(table: ProcessTable, server: Process) -> Connection | None:
    began = parse_connection(table.environ(server.pid).get("SSH_CONNECTION", ""))
    if began is None:
        return None
    address = mosh_address(table.logins(), server.pid)
    return msgspec.structs.replace(began, client_address=address or began.client_address)


def mosh_address(hosts: Iterable[str], pid: int) -> str:
    """The address that mosh-server keeps in the login records, "192.0.2.7 via mosh [4711]"."""
    for host in hosts:
        address, via, number = host.partition(" via mosh [")
        if via and number.removesuffix("]") == str(pid):
            return address
    return ""


def _on_the_console(table: ProcessTable, chain: Sequence[Process]) -> bool:
    """Whether the login we are in is a local one (console, machinectl), as logind has it.

    A terminal multiplexer may have been attached to from elsewhere, whatever it was started in.
    """
    if any(process.name.startswith(_MULTIPLEXERS) for process in chain):
        return False
    return bool(chain) and table.login(chain[0].pid).get("REMOTE") == "0"


def _connection(
    table: ProcessTable, chain: list[Process], inherited: list[Mapping[str, str]], user: str
) -> Connection | None:
    named = [
        connection
        for environ in inherited
        if (connection := parse_connection(environ.get("SSH_CONNECTION", ""))) is not None
    ]
    alive = set(table.established().values())
    inside = any(process.name.startswith(_MULTIPLEXERS) for process in chain)
    if not inside:
        for connection in named:
            if connection in alive:
                return connection
    for process in chain:
        if table.ssh_user(process) and (found := table.connection(process.pid)):
            return found
    everyone = list(table.all())
    if inside:
        clients = [p for p in everyone if p.name.startswith(_MULTIPLEXERS) and p.pid > 1]
        if (found := _most_recent(table, clients, user)) is not None:
            return found
        for process in chain:  # mosh inside of which tmux was started, or attached to
            if process.name == _MOSH and (found := _of_mosh(table, process)) is not None:
                return found
    for connection in named:
        if connection in alive:
            return connection
    # Detached from everything (a worker of its own session): the account's latest login.
    logins = [p for p in everyone if table.ssh_user(p) == user]
    return (
        _most_recent(table, logins, user)
        or _recorded(table, chain, alive, user)
        or (named[0] if named else None)
    )


def _recorded(
    table: ProcessTable, chain: Sequence[Process], alive: Iterable[Connection], user: str
) -> Connection | None:
    """By the login records: without root, sshd does not show its connections."""
    import psutil

    logins = sorted(
        (
            (_accessed(f"/dev/{login.terminal}"), login.host)
            for login in psutil.users()
            if login.name == user and login.host
        ),
        reverse=True,
    )
    ours = table.login(chain[0].pid).get("REMOTE_HOST", "") if chain else ""
    for address in (ours, *(host for _, host in logins)):
        for connection in sorted(alive, key=lambda one: one.client_port):
            if connection.client_address == address:
                return connection
    return None


def _most_recent(
    table: ProcessTable, candidates: Iterable[Process], user: str
) -> Connection | None:
    """The SSH connection above the candidate whose terminal was used last, of this account."""
    best: tuple[float, Connection] | None = None
    for candidate in candidates:
        for process in table.ancestors(candidate.pid):
            if process.name == _MOSH and _name_of(process.uid) == user:
                connection = _of_mosh(table, process)
            elif table.ssh_user(process) != user:
                continue
            else:
                connection = table.connection(process.pid)
            if connection is not None:
                used = _last_used(table, candidate, process)
                if best is None or used > best[0]:
                    best = (used, connection)
                break
    return best[1] if best else None


def _last_used(table: ProcessTable, candidate: Process, login: Process) -> float:
    """When the terminal was last typed at: its access time; 0 where it has none."""
    terminal = table.terminal(candidate.pid)
    if not terminal and "@" in login.title:
        terminal = "/dev/" + login.title.rpartition("@")[2]
    return _accessed(terminal)


def _accessed(terminal: str) -> float:
    try:
        return os.stat(terminal).st_atime
    except OSError:
        return 0.0


def user_of(environs: Iterable[Mapping[str, str]], chain: Sequence[Process] = ()) -> str:
    """Who sits before the keyboard: who called sudo, else who logged in, else who we run as."""
    for environ in environs:
        if environ.get("SUDO_USER"):
            return environ["SUDO_USER"]
    for process in chain:
        if process.uid == 0 and process.claimed_ssh_user:
            return process.claimed_ssh_user
    login = _login_uid()
    # The outermost of our ancestors that is not root's is the login shell, or the tmux in it.
    shells = [process.uid for process in reversed(chain) if process.uid]
    for uid in (*(() if login is None else (login,)), *shells, os.getuid()):
        if name := _name_of(uid):
            return name
    return ""


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _login_uid() -> int | None:
    """The account that logged in, as the kernel remembers it through su and sudo."""
    try:
        with open("/proc/self/loginuid") as file:
            uid = int(file.read())
    except (OSError, ValueError):
        return None
    return None if uid == _UNSET_LOGIN else uid


def parse_connection(value: str) -> Connection | None:
    """SSH_CONNECTION, "192.0.2.7 51234 10.0.0.5 22"; `None` for anything else."""
    words = value.split()
    if len(words) != 4 or not (words[1].isdigit() and words[3].isdigit()):
        return None
    return Connection(words[0], int(words[1]), words[2], int(words[3]))
