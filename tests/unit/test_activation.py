"""A unit that dies after it took its configuration, and what is said of it."""

from __future__ import annotations

import pytest

from snapshots.activation import activate
from snapshots.model import Activation, SnapshotError
from snapshots.progress import Silent
from tests.unit.web_host import WebHost


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def output(self, line: str) -> None:
        self.lines.append(line)


def test_its_last_words_are_shown_and_end_the_message() -> None:
    host = WebHost("bookworm")
    asked: list[list[str]] = []

    def systemctl(argv: list[str]) -> tuple[int, str]:
        asked.append(argv)
        was_reloaded = any("reload" in words for words in asked)
        return (3 if "is-active" in argv and was_reloaded else 0), ""

    host.programs["systemctl"] = systemctl
    host.programs["journalctl"] = lambda argv: (0, "one\ntwo\n\x1b[31mthree\nfour.\n")
    heard = Heard()
    with pytest.raises(SnapshotError) as raised:
        activate(host, [Activation("reload", "apache2.service", settle_s=0.0)], heard)
    assert str(raised.value) == (
        "apache2.service stopped running after it took the new configuration"
        " (apache2.service said last: two / ^[[31mthree / four)"
    )
    assert heard.lines == ["one", "two", "^[[31mthree", "four."]


def test_an_apache_that_dies_says_why_in_its_own_log() -> None:
    """What it wrote before is not its last word, nor is what visitors asked."""
    host = WebHost("bookworm")
    log = "/var/log/apache2/error.log"
    old = "[ssl:emerg] [pid 7] AH00001: long ago\n"
    host.files[log] = old
    asked: list[list[str]] = []

    def systemctl(argv: list[str]) -> tuple[int, str]:
        asked.append(argv)
        if "reload" in argv:
            host.files[log] = old + (
                "[ssl:emerg] [pid 8] AH02312: Fatal error initialising mod_ssl, exiting.\n"
            )
        was_reloaded = any("reload" in words for words in asked)
        return (3 if "is-active" in argv and was_reloaded else 0), ""

    host.programs["systemctl"] = systemctl
    host.programs["journalctl"] = lambda argv: (0, "exited\nno group\nno group\nfailed\n")
    host.programs["tail"] = lambda argv: (0, str(host.files[log])[-int(argv[2]) :])
    with pytest.raises(SnapshotError) as raised:
        activate(host, [Activation("reload", "apache2.service", settle_s=0.0)], Heard())
    assert str(raised.value).endswith(
        " (apache2.service said last: exited / no group / failed; /var/log/apache2/error.log said"
        " last: [ssl:emerg] [pid 8] AH02312: Fatal error initialising mod_ssl, exiting)"
    )


def test_a_unit_that_went_with_its_package_is_not_asked_to_come_back() -> None:
    """systemd calls it active while its last processes end, and cannot restart it."""
    host = WebHost("trixie")
    loaded = "not-found"

    def systemctl(argv: list[str]) -> tuple[int, str]:
        if "show" in argv:
            return 0, f"{loaded}\n"
        return (5, "Unit postfix.service not found.") if "restart" in argv else (0, "")

    host.programs["systemctl"] = systemctl
    host.programs["journalctl"] = lambda argv: (0, "")
    heard = Heard()
    activation = Activation("restart", "postfix.service", settle_s=0.0)
    activate(host, [activation], heard)
    assert heard.lines[-1] == "postfix.service is gone; nothing to restart"
    loaded = "loaded"
    with pytest.raises(SnapshotError, match="not found"):
        activate(host, [activation], heard)
