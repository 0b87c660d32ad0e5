"""The practice host: pretend programs over real files, behind the same door as a real machine."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from host import paths
from host.base import (
    CommandFailed,
    CommandMissing,
    Completed,
    FileState,
    Host,
    HostError,
    HttpAnswer,
    OnLine,
    Port,
    Service,
    Session,
    TreeRule,
    UnsafePath,
)
from host.logins import SshLogin
from host.practice.files import PracticeFiles
from host.practice.furnish import furnish
from host.practice.machine import Machine
from host.practice.programs import COMES_WITH, PROGRAMS
from host.practice.programs.daemons import http

PRETENDED_LOGIN_S = 10.0


class PracticeHost(Host):
    """A pretend Debian web server in `directory`; created with its blank state when missing."""

    name = "practice"
    is_practice = True
    is_root = True

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The screen and its first check open a new practice host at the same moment.
        with (directory / "furnishing.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fresh = not (directory / "machine.json").exists()
            (directory / "root").mkdir(exist_ok=True, mode=0o700)
            self.files = PracticeFiles(directory / "root", directory / "metadata.json")
            self.machine = Machine(self.files, directory / "machine.json")
            if fresh:
                furnish(self.machine)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        env: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
        ok: Iterable[int] | None = (0,),
    ) -> Completed:
        program = argv[0].rsplit("/", 1)[-1]
        if self.which(argv[0]) is None:
            raise CommandMissing(f"{program} is not installed on the practice host")
        began = time.monotonic()
        answer = PROGRAMS[program](self.machine, list(argv[1:]), stdin, dict(env or {}))
        self.machine.save()
        completed = Completed(
            tuple(argv), answer.status, answer.out, answer.err, time.monotonic() - began
        )
        if on_line is not None:
            for line in (answer.out + answer.err).splitlines():
                on_line(line)
        if ok is not None and answer.status not in set(ok):
            raise CommandFailed(completed)
        return completed

    def which(self, program: str) -> str | None:
        name = program.rsplit("/", 1)[-1]
        package = COMES_WITH.get(name)
        if name not in PROGRAMS or (package and not self.machine.has_package(package)):
            return None
        return f"/usr/bin/{name}"

    def state(self, path: str, *, content: bool = False) -> FileState | None:
        return self.files.state(path, content=content)

    def read_bytes(
        self, path: str, *, limit_bytes: int = 16 * 1024 * 1024, follow: bool = True
    ) -> bytes:
        there = None if follow else self.files.state(path)
        if there is not None and there.kind == "symlink":
            raise HostError(f"{path} could not be read: a symbolic link stands there")
        return self.files.read_bytes(path, limit_bytes)

    def listdir(self, path: str) -> list[str]:
        return self.files.listdir(path)

    def glob(self, pattern: str) -> list[str]:
        return self.files.glob(pattern)

    def realpath(self, path: str) -> str:
        return self.files.realpath(path)

    def write_file(self, path: str, content: bytes, state: FileState | None = None) -> None:
        self.files.write_file(path, content, state)

    def put(
        self,
        path: str,
        state: FileState | None,
        content: bytes | None = None,
        *,
        within: str = "",
    ) -> None:
        if link := self.files.link_above(path, within):
            raise UnsafePath(paths.linked(path, link))
        self.files.put(path, state, content)

    def walk(
        self,
        root: str,
        *,
        content: bool,
        known: Mapping[str, FileState] | None = None,
        without: Container[str] = (),
    ) -> Iterator[tuple[str, FileState]]:
        return self.files.walk(root, content=content, without=without)

    def apply_rules(
        self,
        root: str,
        rules: Sequence[TreeRule],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        return self.files.apply_rules(root, rules, on_progress)

    def apply_states(
        self,
        wanted: Iterable[tuple[str, FileState]],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        return self.files.apply_states(wanted)

    def services(self) -> tuple[Service, ...]:
        return self.machine.services()

    def ports(self) -> tuple[Port, ...]:
        return self.machine.ports()

    def http(
        self,
        path: str = "/",
        *,
        port: int = 80,
        tls: bool = False,
        host_header: str = "localhost",
        method: str = "GET",
        address: str = "127.0.0.1",
        timeout_s: float = 5.0,
    ) -> HttpAnswer:
        answer = None if tls or port != 80 else http(self.machine, path, method)
        if answer is None:
            raise HostError(f"nothing answers on port {port} of the practice host")
        return answer

    def ssh_logins(self) -> tuple[SshLogin, ...]:
        """Pretended: somebody logs in anew every ten seconds, so that a guard can be confirmed."""
        last_s = time.monotonic() // PRETENDED_LOGIN_S * PRETENDED_LOGIN_S
        return (SshLogin("admin", last_s, "192.0.2.10", 50023, "publickey"),)

    def session(self) -> Session:
        return Session(
            user="admin",
            client_address="192.0.2.10",
            client_port=50022,
            server_address="192.0.2.1",
            server_port=22,
        )
