"""A real web server of this process, and a recorded host whose Apache it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from host import http
from host.base import FileState, HttpAnswer, Port, Service
from host.facts import Facts
from steps.engine import Engine
from steps.events import OutputEvent
from steps.redact import Redactor
from steps.watch import Watch
from tests.unit.web_host import WebHost

SHOP, WIKI = "shop.example.org", "wiki.example.org"
OLD, OLDER = "Mon, 02 Jan 2023 10:00:00 GMT", "Sun, 01 Jan 2023 10:00:00 GMT"

Send = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, body: bytes = b"page", **headers: str) -> Send:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


class Web:
    """The server, and the Apache that a host believes it to be."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port: int = server.server_address[1]
        self.server = server
        self.answers: dict[str, Send] = {}
        self.asked: list[str] = []
        self.hosts = {SHOP: ["www.shop.example.org", "*.shop.example.org"], WIKI: []}
        self.complaint = ""

    def config(self, argv: list[str]) -> tuple[int, str]:
        if self.complaint:
            return 1, self.complaint
        if "DUMP_CONFIG" not in argv:
            return 0, 'Main ErrorLog: "/var/log/apache2/error.log"\n'
        lines = ["# In file: /etc/apache2/ports.conf", f"#   1:\nListen 127.0.0.1:{self.port}"]
        for name, aliases in self.hosts.items():
            lines += [
                f"# In file: /etc/apache2/sites-enabled/{name}.conf",
                f"#   1:\n<VirtualHost *:{self.port}>\n  #   2:\n  ServerName {name}",
                *([f"  #   3:\n  ServerAlias {' '.join(aliases)}"] if aliases else []),
                "</VirtualHost>",
            ]
        return 0, "\n".join(lines)


@contextmanager
def serving() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.headers["Host"]
            made.asked.append(name)
            made.answers.get(name, answer(200))(self)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Web(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


class Served(WebHost):
    """A recorded host whose Apache is the server above."""

    def __init__(self, web: Web) -> None:
        super().__init__("bookworm")
        self.programs["apache2ctl"] = web.config
        self.units: tuple[Service, ...] = (service("apache2.service"),)
        self.listening: tuple[Port, ...] = (port(web.port, "127.0.0.1", "apache2.service"),)

        self.sizes: dict[str, int] = {}

    def grow(self, path: str, size_bytes: int) -> None:
        self.sizes[path] = size_bytes

    def state(self, path: str, *, content: bool = False) -> FileState | None:
        state = super().state(path, content=content)
        if state is None:
            return None
        return msgspec.structs.replace(state, size_bytes=self.sizes.get(path, 0))

    def services(self) -> tuple[Service, ...]:
        return self.units

    def ports(self) -> tuple[Port, ...]:
        return self.listening

    def http(self, path: str = "/", **how: Any) -> HttpAnswer:
        return http.request(path, **how)


def service(unit: str, active: str = "active") -> Service:
    return Service(unit=unit, description="", active=active, sub="running", enabled="enabled")


def port(number: int, address: str, unit: str = "") -> Port:
    return Port(protocol="tcp", address=address, port=number, unit=unit)


def watching(host: Served, said: list[str] | None = None, *secrets: str) -> Watch:
    def emit(event: object) -> None:
        if said is not None and isinstance(event, OutputEvent):
            said.append(event.line)

    engine = SimpleNamespace(host=host, facts=Facts(host), redact=Redactor(secrets), emit=emit)
    return Watch(cast(Engine, engine))


def answers(web: Web, name: str, send: Send) -> Callable[[], None]:
    return lambda: web.answers.update({name: send})
