"""Failed logins as they are shown: from real journals, against the limits of real jails."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.fail2ban import Jail
from host.facts.fail2ban_bans import Bans, jails_of, parse, parse_banned
from host.login_failures import (
    FAIL2BAN_LOG,
    Attempt,
    LoginFailures,
    attempts_of,
    entries_of,
    found_by_fail2ban,
)
from host.practice import PracticeHost
from steps.bans import refusal
from steps.login_failures import nearest, report
from tests.unit.given import RELEASES, recorded

SSHD = Jail(maxretry=3, findtime=600, bantime=3600, ignored=("127.0.0.0/8", "10.0.0.0/24"))
WEB = Jail(maxretry=5, findtime=3600, bantime=3600)


def of_journal(text: str) -> list[Attempt]:
    return list(attempts_of(entries_of(text), deque(maxlen=100)))


@pytest.mark.parametrize("release", RELEASES)
def test_each_failure_over_ssh_counts_once(release: str) -> None:
    """Two wrong passwords each for three names, then logins without any key."""
    found = of_journal(recorded(release, "logins/journal.json"))
    assert {(one.kind, one.address.rpartition(".")[2]) for one in found} == {("ssh", "1")}
    names = [one.account for one in found]
    # Of one that is not known sshd says so at once; without passwords, when the other hangs up.
    assert names.count("alice") == 2
    assert names.count("ev il from 203.0.113.9 port 1") == 2
    assert names.count("nobodyhere") == 3
    assert sorted(set(names) - {"alice", "nobodyhere", "root"}) == ["ev il from 203.0.113.9 port 1"]


@pytest.mark.parametrize("release", RELEASES)
def test_who_is_banned_and_by_which_rule(release: str) -> None:
    assert jails_of(recorded(release, "fail2ban/status.txt")) == (
        "apache-auth", "mysqld-auth", "sshd",
    )  # fmt: skip
    found = parse(recorded(release, "fail2ban/banned.txt"), ("sshd",))
    assert found.banned["sshd"] == ("203.0.113.50",)
    assert (found.jails["sshd"].maxretry, found.jails["sshd"].findtime) == (3, 600)


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_banned(text)
    parse(f"fail2ban> {text}fail2ban> {text}", ("sshd",))
    jails_of(f"Jail list: {text}")
    of_journal(text)
    list(found_by_fail2ban([text]))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["MESSAGE", "__REALTIME_TIMESTAMP", "__CURSOR", "_COMM", "_PID"]),
            st.one_of(st.text(), st.integers(), st.none(), st.just("sshd"), st.just("1")),
        )
    )
)
def test_any_entry_is_read(entries: list[dict[str, Any]]) -> None:
    import json

    of_journal("\n".join(json.dumps(entry) for entry in entries))


def test_what_fail2ban_found_in_the_web_servers_logs() -> None:
    log = """\
2026-11-26 01:55:04,817 fail2ban.filter         [533]: INFO    [apache-auth] Found 192.0.2.7 - 2026
2026-11-26 01:55:05,817 fail2ban.filter         [533]: INFO    [typo3-web] Ignore 192.0.2.8 by ip
2026-11-26 01:55:05,818 fail2ban.filter         [533]: INFO    [sshd] Found 192.0.2.9 - 2026
2026-11-26 01:55:05,818 fail2ban.actions        [533]: NOTICE  [apache-auth] Ban 192.0.2.7
"""
    found = list(found_by_fail2ban(log.splitlines()))
    assert [(one.kind, one.address) for one in found] == [
        ("web", "192.0.2.7"),
        ("web", "192.0.2.8"),
    ]
    assert found[1].at_s - found[0].at_s == 1


def test_only_what_was_added_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = PracticeHost(tmp_path / "practice")
    asked: list[tuple[str, ...]] = []
    entry = (
        '{"__CURSOR":"c1","__REALTIME_TIMESTAMP":"1795657000000000","_COMM":"sshd","_PID":"7",'
        '"MESSAGE":"Failed password for root from 192.0.2.7 port 5 ssh2"}\n'
    )
    run: Any = host.run

    def answer(argv: tuple[str, ...], **options: Any) -> Any:
        if argv[0] != "journalctl":
            return run(argv, **options)
        asked.append(argv)
        from host.base import Completed

        return Completed(argv, 0, entry if len(asked) == 1 else "", "", 0.0)

    monkeypatch.setattr(host, "run", answer)
    monkeypatch.setattr("time.time", lambda: 1795657100.0)
    failures = LoginFailures(host, 3600)
    failures.look()
    failures.look()
    assert len(failures.attempts) == 1
    assert any(word.startswith("--since=@") for word in asked[0])
    assert asked[1][asked[1].index("--after-cursor") + 1] == "c1"
    monkeypatch.setattr("time.time", lambda: 1795657000.0 + 3601)
    failures.look()
    assert not failures.attempts


def test_a_rotated_log_is_read_from_its_start(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path / "practice")
    line = (
        "2026-11-26 01:55:04,817 fail2ban.filter  [5]: INFO  [apache-auth] Found 192.0.2.{} - x\n"
    )
    failures = LoginFailures(host, 3600)
    host.write_file(FAIL2BAN_LOG, (line.format(1) * 3).encode())
    assert len(failures._fail2ban()) == 3
    assert failures._fail2ban() == []
    host.write_file(FAIL2BAN_LOG, line.format(2).encode())
    assert [one.address for one in failures._fail2ban()] == ["192.0.2.2"]


def tried(kind: str, address: str, account: str, at_s: float) -> Attempt:
    return Attempt(at_s, kind, address, account)


def test_the_report() -> None:
    attempts = [
        tried("ssh", "192.0.2.7", "root", 900.0), tried("ssh", "192.0.2.7", "root", 950.0),
        tried("ssh", "192.0.2.7", "bob", 990.0), tried("typo3", "192.0.2.8", "admin", 990.0),
        tried("web", "192.0.2.8", "", 991.0), tried("ssh", "192.0.2.7", "old", 100.0),
    ]  # fmt: skip
    bans = Bans({"sshd": SSHD, "typo3-backend": WEB}, {"sshd": ("192.0.2.9",), "web": ()})
    found = report(attempts, bans, 1000.0, 3600, ["", "no mail", "no mail"])
    rows = {row.address: row for row in found.addresses}
    assert list(rows) == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]
    first = rows["192.0.2.7"]
    assert (first.jail, first.near, first.limit) == ("sshd", 3, 3)
    assert first.accounts == ("root", "bob", "old")
    assert rows["192.0.2.8"].counts == {"typo3": 1, "web": 1}
    assert (rows["192.0.2.8"].near, rows["192.0.2.8"].limit) == (1, 5)
    assert rows["192.0.2.9"].banned == ("sshd",)
    assert (found.accounts[0].account, found.accounts[0].counts) == ("root", {"ssh": 2})
    assert found.problems == ("no mail",)


@given(st.lists(st.tuples(st.sampled_from(["ssh", "web", "typo3", "i-doit"]), st.floats(0, 2000))))
def test_no_more_than_were_seen_are_near_a_limit(seen: list[tuple[str, float]]) -> None:
    attempts = [tried(kind, "192.0.2.7", "x", at_s) for kind, at_s in seen]
    jails = {"sshd": SSHD, "apache-auth": WEB, "typo3-backend": WEB}
    name, near, limit = nearest(attempts, jails, 2000.0)
    assert near <= len(attempts)
    assert bool(name) == bool(limit)


@pytest.mark.parametrize(
    ("address", "jail", "reason"),
    [
        ("192.0.2.7", "sshd", ""),
        ("192.0.2.7", "nosuch", "There is no jail"),
        ("127.0.0.1", "sshd", "this host itself"),
        ("10.0.0.9", "sshd", "ignores 10.0.0.0/24"),
        ("198.51.100.7", "sshd", "is where you"),
        ("2001:db8::1", "sshd", ""),
    ],
)
def test_who_may_be_banned_by_hand(address: str, jail: str, reason: str) -> None:
    said = refusal(address, jail, Bans({"sshd": SSHD}), ["198.51.100.7", "", "tty1"])
    assert (reason in said) if reason else (said == "")
