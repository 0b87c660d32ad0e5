"""Sites on a real web server, asked before and after a change; units and ports beside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import cast

import msgspec
import pytest

from host.facts import Facts
from snapshots.model import RemoveFile
from steps import sites
from steps.engine import Prepared, with_meant_answers
from steps.health import Meant, measure
from steps.model import MeantAnswer, Step
from steps.plan import Work
from steps.redact import MASK
from steps.watch import Unhealthy
from tests.unit.served import (
    OLD,
    OLDER,
    SHOP,
    WIKI,
    Served,
    Web,
    answer,
    answers,
    service,
    serving,
    watching,
)


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as made:
        yield made


@pytest.fixture
def host(web: Web) -> Served:
    return Served(web)


NOTHING = Meant()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "AGAIN_AFTER_S", 0.01)


def _after(web: Web, host: Served, change: Callable[[], None], meant: Meant = NOTHING) -> str:
    """What a change is said to have harmed."""
    watch = watching(host)
    watch.look()
    change()
    watch._engine.facts = Facts(host)
    try:
        watch.require(meant)
    except Unhealthy as error:
        return str(error)
    return ""


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
    said = _after(web, host, answers(web, SHOP, answer(after)))
    url = f"http://{SHOP}:{web.port}/"
    expected = f"after the change {url} answered {before} before and answers {after} now"
    assert said == (expected if is_worse else "")


def test_names_and_aliases_are_asked_but_no_patterns(web: Web, host: Served) -> None:
    health = measure(host, Facts(host))
    assert sorted(web.asked) == [SHOP, WIKI, f"www.{SHOP}"]
    assert {page.target.name: page.status for page in health.sites}[f"www.{SHOP}"] == 200
    assert "www." in _after(web, host, answers(web, f"www.{SHOP}", answer(503)))


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

    said = _after(web, host, answers(web, SHOP, hang))
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
    said = _after(web, host, answers(web, SHOP, answer(200, Last_Modified=OLDER)))
    assert "answers 200 as before, but with another page" in said
    web.answers[SHOP] = answer(200, Last_Modified=OLD)
    fresh = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    assert _after(web, host, answers(web, SHOP, answer(200, Last_Modified=fresh))) == ""
    assert _after(web, host, answers(web, SHOP, answer(200))) == ""
    web.answers[SHOP] = answer(200)
    static = answer(200, Last_Modified=OLD, Accept_Ranges="bytes")
    assert "with another page" in _after(web, host, answers(web, SHOP, static))
    web.answers[SHOP] = answer(200)
    said = _after(web, host, answers(web, SHOP, answer(200, b"<?php echo 1;")))
    assert "sends the source of a PHP program" in said


def test_what_a_step_means_is_no_loss(web: Web, host: Served) -> None:
    refuse = answers(web, SHOP, answer(403))
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
    assert _after(web, host, answers(web, SHOP, answer(503)), stopped) == ""


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

    assert _after(web, host, answers(web, SHOP, once)) == ""


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
    watch = watching(host)
    watch.look()
    watch.require(Meant())
    assert web.asked.count(SHOP) == 2
    watch.look()
    assert web.asked.count(SHOP) == 2
    web.answers[SHOP] = answer(500)
    with pytest.raises(Unhealthy, match="answered 200 before and answers 500 now"):
        watch.require(Meant())


def test_what_still_does_not_work_after_going_back_is_said(web: Web, host: Served) -> None:
    watch = watching(host)
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
    watch = watching(host, said, "hunter2")
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
