"""Sites on a real web server of this process, asked before and after; units and ports beside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from host import http
from host.base import FileState, HttpAnswer, Port, Service
from host.facts import Facts
from snapshots.model import Answered, RemoveFile, Worked
from steps import sites
from steps.engine import Engine, Prepared, with_meant_answers
from steps.events import OutputEvent
from steps.health import Health, Meant, lost, lost_ports, measure, worked
from steps.model import MeantAnswer, Step
from steps.plan import Work
from steps.redact import MASK, Redactor
from steps.watch import Unhealthy, Watch
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


@pytest.fixture
def web() -> Iterator[Web]:
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


@pytest.fixture
def host(web: Web) -> Served:
    return Served(web)


NOTHING = Meant()


def _watch(host: Served, said: list[str] | None = None, *secrets: str) -> Watch:
    def emit(event: object) -> None:
        if said is not None and isinstance(event, OutputEvent):
            said.append(event.line)

    engine = SimpleNamespace(host=host, facts=Facts(host), redact=Redactor(secrets), emit=emit)
    return Watch(cast(Engine, engine))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "AGAIN_AFTER_S", 0.01)


def _after(web: Web, host: Served, change: Callable[[], None], meant: Meant = NOTHING) -> str:
    """What a change is said to have harmed."""
    watch = _watch(host)
    watch.look()
    change()
    watch._engine.facts = Facts(host)
    try:
        watch.require(meant)
    except Unhealthy as error:
        return str(error)
    return ""


def _answers(web: Web, name: str, send: Send) -> Callable[[], None]:
    return lambda: web.answers.update({name: send})


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        (200, 200, False), (200, 204, False), (301, 302, False), (404, 200, False),
        (404, 403, False), (500, 503, False), (500, 200, False), (503, 404, False),
        (200, 500, True), (200, 404, True), (200, 301, True), (200, 403, True), (302, 500, True),
        (302, 200, True), (401, 200, True), (403, 200, True), (401, 503, True), (404, 500, True),
    ],
)  # fmt: skip
def test_an_answer_of_another_kind_is_worse(
    web: Web, host: Served, before: int, after: int, is_worse: bool
) -> None:
    web.answers[SHOP] = answer(before)
    said = _after(web, host, _answers(web, SHOP, answer(after)))
    url = f"http://{SHOP}:{web.port}/"
    expected = f"after the change {url} answered {before} before and answers {after} now"
    assert said == (expected if is_worse else "")


def test_names_and_aliases_are_asked_but_no_patterns(web: Web, host: Served) -> None:
    health = measure(host, Facts(host))
    assert sorted(web.asked) == [SHOP, WIKI, f"www.{SHOP}"]
    assert {page.target.name: page.status for page in health.sites}[f"www.{SHOP}"] == 200
    assert "www." in _after(web, host, _answers(web, f"www.{SHOP}", answer(503)))


def test_a_site_that_hangs_is_given_up_and_not_waited_for_again(
    web: Web, host: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "LIMIT_S", 0.3)

    def hang(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(15):  # a drop now and then is no answer either
            time.sleep(0.1)
            try:
                handler.wfile.write(b".")
            except OSError:
                return

    said = _after(web, host, _answers(web, SHOP, hang))
    assert "does not answer now" in said and "did not answer an HTTP request within 0.3 s" in said
    web.asked.clear()
    assert _after(web, host, lambda: None) == ""
    assert web.asked.count(SHOP) == 1 and web.asked.count(WIKI) == 2


def test_a_port_that_closed_is_said_with_its_site(web: Web, host: Served) -> None:
    del web.hosts[WIKI]
    web.hosts[SHOP] = []

    def close() -> None:
        web.server.socket.close()
        host.listening = ()

    said = _after(web, host, close)
    assert f"nothing listens on tcp port {web.port} (127.0.0.1) any more" in said
    assert "does not answer now (no HTTP answer from 127.0.0.1" in said


def test_a_name_that_another_site_answers_for_is_lost(web: Web, host: Served) -> None:
    said = _after(web, host, lambda: cast(None, web.hosts.pop(WIKI)))
    assert f"http://{WIKI}:{web.port}/ answered 200 before and now another site answers" in said
    web.hosts[WIKI] = []
    assert _after(web, host, lambda: web.hosts.update({SHOP: ["*.example.org"]})) == ""


def test_another_page_and_the_source_of_a_program_are_no_answer(web: Web, host: Served) -> None:
    web.answers[SHOP] = answer(200, Last_Modified=OLD)
    said = _after(web, host, _answers(web, SHOP, answer(200, Last_Modified=OLDER)))
    assert "answers 200 as before, but with another page" in said
    web.answers[SHOP] = answer(200, Last_Modified=OLD)
    fresh = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    assert _after(web, host, _answers(web, SHOP, answer(200, Last_Modified=fresh))) == ""
    assert _after(web, host, _answers(web, SHOP, answer(200))) == ""
    web.answers[SHOP] = answer(200)
    static = answer(200, Last_Modified=OLD, Accept_Ranges="bytes")
    assert "with another page" in _after(web, host, _answers(web, SHOP, static))
    web.answers[SHOP] = answer(200)
    said = _after(web, host, _answers(web, SHOP, answer(200, b"<?php echo 1;")))
    assert "sends the source of a PHP program" in said


def test_what_a_step_means_is_no_loss(web: Web, host: Served) -> None:
    refuse = _answers(web, SHOP, answer(403))
    assert _after(web, host, refuse, Meant(answers=(MeantAnswer(SHOP, (401, 403)),))) == ""
    others = (
        MeantAnswer(WIKI, (403,)),
        MeantAnswer("*", (401,)),
        MeantAnswer("*", (403,), listing=True),
    )
    for wrong in others:
        web.answers.clear()
        assert _after(web, host, refuse, Meant(answers=(wrong,)))
    web.answers[SHOP] = answer(200, b"<html><title>Index of /</title>")
    no_listing = Meant(answers=(MeantAnswer("*", (403, 404), listing=True),))
    assert _after(web, host, refuse, no_listing) == ""
    web.answers[SHOP] = answer(200)
    stopped = Meant(stops=("apache2.service",))
    assert _after(web, host, _answers(web, SHOP, answer(503)), stopped) == ""


def test_a_step_names_what_it_means_and_the_preview_says_it(web: Web, host: Served) -> None:
    step = msgspec.convert(
        {
            "id": "site.intranet", "stage": "pre-install", "title": "t", "why": "w",
            "breaks": "b", "source": "s", "ensure": [{"attest": {"question": "q"}}],
            "parameters": {"names": {"kind": "list", "help": "h"}},
            "answers": {"{names}": [401], "*": [403, 404]},
        },
        Step,
    )  # fmt: skip
    one = Prepared(step, {"names": (SHOP, WIKI)}, [], [])
    work = with_meant_answers(one, Work(changes=(RemoveFile("/etc/x"),)))
    assert work.answers == (
        MeantAnswer(SHOP, (401,)), MeantAnswer(WIKI, (401,)), MeantAnswer("*", (403, 404)),
    )  # fmt: skip
    assert work.notes[0] == f"{SHOP} may answer 401 for its first page afterwards"
    assert work.notes[2] == "Every site may answer 403 or 404 for its first page afterwards"
    assert with_meant_answers(one, Work()).notes == ()


def test_a_daemon_that_refuses_for_a_moment_is_asked_again(web: Web, host: Served) -> None:
    def once(handler: BaseHTTPRequestHandler) -> None:
        answer(503)(handler)
        web.answers[SHOP] = answer(200)

    assert _after(web, host, _answers(web, SHOP, once)) == ""


def test_a_configuration_that_cannot_be_read_any_more(web: Web, host: Served) -> None:
    def spoil() -> None:
        web.complaint = "AH00526: Syntax error on line 3 of /etc/apache2/apache2.conf:"

    said = _after(web, host, spoil)
    assert "Apache cannot read its own configuration: AH00526" in said
    assert "its next start would fail" in said
    assert _after(web, host, lambda: None) == ""


def test_a_host_without_apache_has_nothing_to_ask(web: Web, host: Served) -> None:
    del host.programs["apache2ctl"]
    assert measure(host, Facts(host)).sites == ()
    assert _after(web, host, lambda: None) == "" and web.asked == []


def test_after_one_step_is_before_the_next(web: Web, host: Served) -> None:
    watch = _watch(host)
    watch.look()
    watch.require(Meant())
    assert web.asked.count(SHOP) == 2
    watch.look()
    assert web.asked.count(SHOP) == 2
    web.answers[SHOP] = answer(500)
    with pytest.raises(Unhealthy, match="answered 200 before and answers 500 now"):
        watch.require(Meant())


def test_what_still_does_not_work_after_going_back_is_said(web: Web, host: Served) -> None:
    watch = _watch(host)
    watch.look()
    web.answers[SHOP] = answer(500)
    assert watch.still_lost() == (
        f"It was taken back, but still http://{SHOP}:{web.port}/ answered 200 before and answers"
        " 500 now."
    )
    web.answers.clear()
    assert watch.still_lost() == ""


def test_the_first_three_are_told_and_all_are_kept(web: Web, host: Served) -> None:
    said: list[str] = []
    host.units += tuple(service(f"daemon{n}.service") for n in range(5))
    host.files["/var/log/apache2/error.log"] = ""
    journal = "\n".join(
        [*map(str, range(9)), "\x1b[31mno key hunter2\x1b[0m", "#0 a.php(1): f('pw')"]
    )
    host.programs["journalctl"] = lambda argv: (0, journal if "daemon1.service" in argv else "")
    host.programs["tail"] = lambda argv: (0, ERRORS)
    watch = _watch(host, said, "hunter2")
    watch.look()
    host.units = (service("apache2.service"), service("daemon1.service", "failed"))
    web.answers[SHOP] = answer(500)
    host.grow("/var/log/apache2/error.log", len(ERRORS))
    with pytest.raises(Unhealthy) as caught:
        watch.require(Meant())
    sentence = str(caught.value)
    assert sentence.startswith(
        "after the change daemon0.service was running and is not running any more; daemon1.service"
        " was running and has failed; daemon2.service was running and is not running any more;"
        " and 3 more. daemon1.service said last: 7 / 8 / ^[[31mno key"
    )
    assert MASK in sentence and "hunter2" not in str(caught.value.fields) + "".join(said)
    assert len(caught.value.losses) == 6 and f"{SHOP}:{web.port}/" in caught.value.losses[-1]
    assert said[:2] == ["the last words of daemon1.service:", "0"] and "pw" not in "".join(said)
    assert said[-1].endswith("PHP Parse error: syntax error in /srv/first.php on line 2")
    assert "192.0.2.1" not in said[-1] and not any("AH00128" in line for line in said)


ERRORS = (
    "[Wed Nov 25] [core:info] [pid 7] [client 192.0.2.1:80] AH00128: File does not exist: /x\n"
    "[Wed Nov 25] [php:error] [pid 7] [client 192.0.2.1:80] PHP Parse error: syntax error in"
    " /srv/first.php on line 2\\nStack trace:\\n#0 {main}, referer: http://secret/\n"
)


def _undone(web: Web, host: Served, then: Worked | None, change: Callable[[], None]) -> str:
    watch = _watch(host)
    watch.look()
    change()
    watch._engine.facts = Facts(host)
    return watch.require_after_undo(then)


def _then(web: Web, **statuses: int) -> Worked:
    urls = {"shop": f"http://{SHOP}:{web.port}/", "wiki": f"http://{WIKI}:{web.port}/"}
    return Worked(
        ports=(f"tcp 127.0.0.1 {web.port}",),
        sites={f"{urls[name]} at 127.0.0.1": Answered(code) for name, code in statuses.items()},
    )


def test_an_undo_keeps_a_site_that_answered_before_the_step(web: Web, host: Served) -> None:
    breaking = _answers(web, SHOP, answer(500))
    with pytest.raises(Unhealthy, match=f"after it http://{SHOP}.* answers 500 now"):
        _undone(web, host, _then(web, shop=200), breaking)
    web.answers.clear()
    with pytest.raises(Unhealthy):  # its virtual host stays, so it did not come with the step
        _undone(web, host, _then(web), breaking)
    web.answers.clear()
    told = _undone(web, host, _then(web, shop=500), breaking)
    assert told.endswith("answers 500 now, as it was before that change")
    web.answers.clear()
    assert "answers 500 now" in _undone(web, host, None, breaking)


def test_an_undo_takes_its_own_site_and_port_along(web: Web, host: Served) -> None:
    host.listening += (port(8099, "127.0.0.1", "added.service"),)

    def take_back() -> None:
        web.hosts.pop(WIKI, None)
        host.listening = host.listening[:1]

    assert _undone(web, host, _then(web, shop=200), take_back) == ""
    host.listening += (port(8099, "127.0.0.1", "added.service"),)
    known = Worked((*_then(web).ports, "tcp 127.0.0.1 8099"), _then(web, shop=200).sites)
    with pytest.raises(Unhealthy, match="port 8099"):
        _undone(web, host, known, take_back)


def test_an_undo_may_let_in_again_what_a_step_refused(web: Web, host: Served) -> None:
    web.answers[SHOP] = answer(403)
    assert _undone(web, host, _then(web, shop=200), _answers(web, SHOP, answer(200))) == ""


def test_an_undo_brings_back_the_page_that_was_there(web: Web, host: Served) -> None:
    moved = _answers(web, SHOP, answer(200, Last_Modified=OLDER))
    web.answers[SHOP] = answer(200, Last_Modified=OLD)
    first = measure(host, Facts(host))
    with pytest.raises(Unhealthy, match="with another page"):
        _undone(web, host, worked(first), moved)
    moved()
    then = worked(measure(host, Facts(host)))
    web.answers[SHOP] = answer(200, Last_Modified=OLD)
    assert _undone(web, host, then, moved) == ""


def test_what_worked_is_kept_in_the_terms_of_a_record(web: Web, host: Served) -> None:
    web.answers[WIKI] = answer(503)
    kept = worked(measure(host, Facts(host)))
    assert kept.ports == (f"tcp 127.0.0.1 {web.port}",)
    assert kept.sites[f"http://{WIKI}:{web.port}/ at 127.0.0.1"] == Answered(503)


def _health(*ports: tuple[str, str, int]) -> Health:
    return Health(active=frozenset(), failed=frozenset(), ports=frozenset(ports), holders={})


@pytest.mark.parametrize(
    ("before", "after", "is_lost"),
    [
        (["127.0.0.1"], ["0.0.0.0"], False), (["127.0.0.1"], ["::"], False),
        (["::1"], ["::"], False), (["::1"], ["0.0.0.0"], True), (["0.0.0.0"], ["127.0.0.1"], True),
        (["0.0.0.0", "::"], ["::"], True), (["0.0.0.0"], ["::"], False),
    ],
)  # fmt: skip
def test_a_socket_for_every_address_takes_the_place_of_one(
    before: list[str], after: list[str], is_lost: bool
) -> None:
    was = _health(*(("tcp", address, 80) for address in before))
    now = _health(*(("tcp", address, 80) for address in after))
    assert bool(lost_ports(was, now)) == is_lost
    assert bool(lost(was, now, Meant())) == is_lost


def test_what_belongs_to_a_login_may_end(web: Web, host: Served) -> None:
    host.listening += (port(6010, "127.0.0.1", "session-3.scope"),)

    def log_out() -> None:
        host.listening = host.listening[:1]

    assert _after(web, host, log_out) == ""
