"""A host made of recorded answers and files in memory, for what is asked about Apache and PHP."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

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
)
from host.facts import Facts
from steps.resource import Context

RECORDED = Path(__file__).parent / "recorded"
RELEASES = ("bookworm", "trixie")
PHP = {"bookworm": "8.2", "trixie": "8.4"}

Answer = Callable[[list[str]], tuple[int, str]]


def recorded(release: str, name: str) -> str:
    return (RECORDED / release / "apache" / name).read_text(encoding="utf-8")


class WebHost(Host):
    """`files` maps paths to text, `links` to targets; `changed` is what `find` calls newer."""

    name = "recorded"
    is_practice = False
    is_root = True

    def __init__(self, release: str) -> None:
        php = PHP[release]
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.changed: list[str] = []
        self.pages: dict[tuple[str, int, str], HttpAnswer] = {}
        self.objects: list[str] = []
        self.dynamic: Callable[[str], HttpAnswer] | None = None
        self.programs: dict[str, Answer] = {
            "apache2ctl": lambda argv: (
                0,
                recorded(release, "dump-config.txt" if "DUMP_CONFIG" in argv else "dump-run.txt"),
            ),
            f"php{php}": lambda argv: (0, recorded(release, "php-ini.json")),
            "grep": lambda argv: (0, "\n".join(f"/usr/lib/{name}" for name in self.objects)),
            "find": lambda argv: (0, "\n".join(p for p in self.changed if p in argv)),
        }
        self.files["/etc/apache2/apache2.conf"] = "IncludeOptional conf-enabled/*.conf\n"
        self.files["/etc/apache2/conf-enabled/security.conf"] = ""
        self.files["/etc/apache2/mods-enabled/status.load"] = ""
        self.files[f"/etc/apache2/mods-enabled/php{php}.load"] = ""
        self.files["/etc/apache2/mods-available/status.load"] = recorded(release, "status.load")
        self.files[f"/etc/php/{php}/apache2/php.ini"] = recorded(release, "php.ini")
        self.files["/run/apache2/apache2.pid"] = "77\n"
        self.files["/proc/77/comm"] = "apache2\n"
        self.links["/var/run"] = "/run"

    def context(self) -> Context:
        return Context(self, Facts(self), Session())

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
        program = self.programs.get(argv[0])
        if program is None:
            raise CommandMissing(f"{argv[0]} is not installed")
        status, text = program(list(argv))
        done = Completed(tuple(argv), status, text, text if status else "", 0.0)
        if ok is not None and status not in ok:
            raise CommandFailed(done)
        return done

    def which(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def state(self, path: str, *, content: bool = False) -> FileState | None:
        path = self.realpath(path)
        if path in self.files:
            size = len(self.files[path].encode("utf-8", "surrogateescape"))
            return FileState(kind="file", mode=0o644, mtime_ns=10**18, size_bytes=size)
        inside = any(one.startswith(f"{path}/") for one in self.files)
        return FileState(kind="dir", mode=0o755) if inside or path == "/proc/77" else None

    def read_bytes(
        self, path: str, *, limit_bytes: int = 16 * 1024 * 1024, follow: bool = True
    ) -> bytes:
        text = self.files.get(self.realpath(path))
        if text is None:
            raise HostError(f"{path} does not exist")
        return text.encode("utf-8", "surrogateescape")

    def listdir(self, path: str) -> list[str]:
        return sorted(
            posixpath.basename(one) for one in self.files if posixpath.dirname(one) == path
        )

    def glob(self, pattern: str) -> list[str]:
        return sorted(
            one
            for one in self.files
            if fnmatch.fnmatchcase(one, pattern) and one.count("/") == pattern.count("/")
        )

    def realpath(self, path: str) -> str:
        for link, target in self.links.items():
            if path == link or path.startswith(f"{link}/"):
                return target + path[len(link) :]
        return path

    def write_file(self, path: str, content: bytes, state: FileState | None = None) -> None:
        self.files[path] = content.decode()

    def put(
        self,
        path: str,
        state: FileState | None,
        content: bytes | None = None,
        *,
        within: str = "",
    ) -> None:
        assert state is None
        self.files.pop(path, None)

    def walk(
        self,
        root: str,
        *,
        content: bool,
        known: Mapping[str, FileState] | None = None,
        without: Container[str] = (),
    ) -> Iterator[tuple[str, FileState]]:
        raise NotImplementedError

    def apply_rules(
        self,
        root: str,
        rules: Sequence[TreeRule],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        raise NotImplementedError

    def apply_states(
        self,
        wanted: Iterable[tuple[str, FileState]],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        raise NotImplementedError

    def services(self) -> tuple[Service, ...]:
        return ()

    def ports(self) -> tuple[Port, ...]:
        return ()

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
        if self.dynamic is not None:
            return self.dynamic(path)
        key = (host_header, port, path if method == "GET" else method)
        if key not in self.pages:
            raise HostError(f"nothing answers at {address}:{port}")
        return self.pages[key]

    def session(self) -> Session:
        return Session()


def page(
    status: int, headers: list[tuple[str, str]] | None = None, body: bytes = b""
) -> HttpAnswer:
    return HttpAnswer(status, "", tuple(headers or []), body)
