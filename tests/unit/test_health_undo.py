"""What an undo must not lose, and what goes with it; which ports stand for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from host.facts import Facts
from snapshots.model import Answered, Worked
from steps import sites
from steps.health import Health, Meant, lost, lost_ports, measure, worked
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
    port,
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


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "AGAIN_AFTER_S", 0.01)


def _undone(web: Web, host: Served, then: Worked | None, change: Callable[[], None]) -> str:
    watch = watching(host)
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
    breaking = answers(web, SHOP, answer(500))
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
    assert _undone(web, host, _then(web, shop=200), answers(web, SHOP, answer(200))) == ""


def test_an_undo_brings_back_the_page_that_was_there(web: Web, host: Served) -> None:
    moved = answers(web, SHOP, answer(200, Last_Modified=OLDER))
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

    watch = watching(host)
    watch.look()
    log_out()
    watch.require(Meant())
