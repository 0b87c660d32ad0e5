"""A visitor's requests, counted: what is lost, and for how long."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.evidence.application_page import in_words
from tests.hosts import client
from tests.hosts.client import Client, Phase, counted


def test_requests_are_counted_in_the_phase_they_began_in() -> None:
    results = [
        ("b", 2.0, ""), ("a", 0.0, ""), ("a", 0.1, "status 503"), ("a", 0.2, "refused"),
        ("a", 0.5, ""), ("b", 2.1, "refused"),
    ]  # fmt: skip
    first, second, third = counted(["a", "b", "c"], results)
    assert (first.asked, first.lost) == (4, ("status 503", "refused"))
    assert first.longest_s == pytest.approx(0.4)
    assert (second.asked, second.lost) == (2, ("refused",))
    assert second.longest_s == pytest.approx(client.INTERVAL_S)
    assert third == Phase(name="c", asked=0)
    assert in_words([first, second, third]) == (
        "3 of 6 requests were lost; the longest time without an answer was 0.4 s."
    )


def test_a_page_without_the_words_is_no_answer() -> None:
    page: list[tuple[int, bytes]] = [(200, b"8 objects")]

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = page[-1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    visitor = Client("127.0.0.1", "x.example", "8 objects", port=server.server_port)

    def during(name: str, status: int, body: bytes) -> None:
        page.append((status, body))
        visitor.begin(name)
        time.sleep(0.5)

    during("good", 200, b"8 objects")
    during("broken", 500, b"8 objects")
    during("another", 200, b"it works")
    phases = visitor.end()
    server.shutdown()
    assert all(phase.asked > 0 for phase in phases)
    assert "status 500" in phases[1].lost
    assert "another page" in phases[2].lost
