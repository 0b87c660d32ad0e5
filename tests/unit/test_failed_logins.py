"""Failed logins are read where they are kept, each once, whatever happens there meanwhile."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import HostError
from host.failed_logins import logfiles, service, table
from host.failed_logins.client import Client
from host.failed_logins.words import LONGEST_ACCOUNT, Failure, plain, read_line

FAILED = (255, 3, 3)
WORKED = (255, 1, 0)


class Table:
    """A sys_log in SQLite, asked in MariaDB's words but for two that it does not know."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:")
        self.database.execute("ATTACH ':memory:' AS typo3")
        self.create()

    def create(self) -> None:
        self.database.execute(
            "CREATE TABLE typo3.sys_log (uid INTEGER PRIMARY KEY, tstamp INT, type INT,"
            " action INT, error INT, IP TEXT, log_data TEXT)"
        )

    def add(
        self, uid: int, address: str = "192.0.2.7", kind: tuple[int, int, int] = FAILED,
        tstamp: int = 1000, name: str = "bob",
    ) -> None:  # fmt: skip
        self.database.execute(
            "INSERT INTO typo3.sys_log VALUES (?, ?, ?, ?, ?, ?, ?)",
            (uid, tstamp, *kind, address, f'["{name}"]'),
        )

    def empty(self) -> None:
        self.database.execute("DELETE FROM typo3.sys_log")

    def ask(self, sql: str) -> list[list[str]]:
        sql = sql.replace("FORCE INDEX (PRIMARY)", "").replace(
            "LEFT(log_data, 400)", "substr(log_data, 1, 400)"
        )
        return [[str(field) for field in row] for row in self.database.execute(sql)]


def addresses(look: table.Look) -> list[str]:
    return [failure.address for failure in look.failures]


def test_what_was_before_is_not_handed_over_and_what_comes_is_once() -> None:
    one = Table()
    one.add(1)
    place = table.begin(one.ask, "typo3")
    assert addresses(table.look(one.ask, "typo3", place)) == []
    one.add(2, "192.0.2.8")
    one.add(3, kind=WORKED)
    found = table.look(one.ask, "typo3", place)
    assert found.failures == (Failure("typo3", "typo3", "192.0.2.8", "bob", 1000),)
    assert found.place.uid == 3
    assert addresses(table.look(one.ask, "typo3", found.place)) == []


def test_a_row_that_is_committed_late_is_not_missed() -> None:
    one = Table()
    place = table.begin(one.ask, "typo3")
    one.add(5, "192.0.2.5")
    place = table.look(one.ask, "typo3", place).place
    one.add(4, "192.0.2.4")
    found = table.look(one.ask, "typo3", place)
    assert addresses(found) == ["192.0.2.4"]
    assert addresses(table.look(one.ask, "typo3", found.place)) == []


def test_a_table_that_was_emptied_is_read_from_its_beginning() -> None:
    one = Table()
    for uid in range(1, 50):
        one.add(uid)
    place = table.begin(one.ask, "typo3")
    one.empty()
    one.add(1, "192.0.2.9", tstamp=2000)
    found = table.look(one.ask, "typo3", place)
    assert addresses(found) == ["192.0.2.9"]
    assert "emptied, or put back" in found.note


def test_a_table_that_grew_beyond_the_place_after_it_was_emptied() -> None:
    one = Table()
    one.add(1)
    place = table.begin(one.ask, "typo3")
    one.empty()
    for uid in (1, 2):
        one.add(uid, f"192.0.2.{uid}", tstamp=3000)
    assert addresses(table.look(one.ask, "typo3", place)) == ["192.0.2.1", "192.0.2.2"]


def test_a_restored_table_hands_nothing_over_twice() -> None:
    one = Table()
    place = table.begin(one.ask, "typo3")
    for uid in range(1, 6):
        one.add(uid, tstamp=1000 + uid)
    place = table.look(one.ask, "typo3", place).place
    one.empty()
    for uid in range(1, 4):
        one.add(uid, tstamp=1000 + uid)
    found = table.look(one.ask, "typo3", place)
    assert (addresses(found), found.old) == ([], 3)
    one.add(4, "192.0.2.44", tstamp=2000)
    assert addresses(table.look(one.ask, "typo3", found.place)) == ["192.0.2.44"]


def test_rows_are_read_in_bounded_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BATCH", 10)
    monkeypatch.setattr(table, "OVERLAP", 5)
    one = Table()
    place = table.begin(one.ask, "typo3")
    for uid in range(1, 36):
        one.add(uid * 1000, f"192.0.2.{uid}")
    rounds, seen = 0, []
    while True:
        found = table.look(one.ask, "typo3", place)
        place, rounds = found.place, rounds + 1
        seen += addresses(found)
        if not found.behind:
            break
    assert rounds == 4
    assert seen == [f"192.0.2.{uid}" for uid in range(1, 36)]


def test_what_is_too_old_after_a_pause_is_counted_but_not_handed_over() -> None:
    one = Table()
    place = table.begin(one.ask, "typo3")
    one.add(1, "192.0.2.1", tstamp=100)
    one.add(2, "192.0.2.2", tstamp=900)
    found = table.look(one.ask, "typo3", place, oldest_s=500)
    assert (addresses(found), found.old) == (["192.0.2.2"], 1)


@given(
    st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.integers(0, 3)), max_size=60),
)
def test_each_failure_is_handed_over_exactly_once(
    steps: list[tuple[int, bool, int]],
) -> None:
    """Rows come in any order within the overlap, failures and others, looks in between."""
    one = Table()
    place = table.begin(one.ask, "typo3")
    there: set[int] = set()
    wanted: list[int] = []
    seen: list[int] = []
    for uid, failed, looks in steps:
        if uid not in there:
            there.add(uid)
            one.add(uid, f"10.0.0.{uid}", FAILED if failed else WORKED)
            wanted += [uid] if failed else []
        for _ in range(looks):
            found = table.look(one.ask, "typo3", place)
            place = found.place
            seen += [int(failure.address.rpartition(".")[2]) for failure in found.failures]
    seen += [int(address.rpartition(".")[2])
             for address in addresses(table.look(one.ask, "typo3", place))]  # fmt: skip
    assert sorted(seen) == sorted(wanted)


@pytest.mark.parametrize(
    ("log_data", "name"),
    [
        ('["bob"]', "bob"), ('{"0":"bob"}', "bob"), ('a:1:{i:0;s:3:"bob";}', "bob"),
        ("", ""), ("[]", ""), ("null", ""), ("NULL", ""), ('[["x"]]', ""), ("7", "7"),
    ],
)  # fmt: skip
def test_the_name_in_log_data(log_data: str, name: str) -> None:
    assert table.account_of(log_data) == name


@given(st.text())
def test_any_log_data_is_read(text: str) -> None:
    assert isinstance(table.account_of(text), str)


@given(st.text(max_size=200), st.sampled_from(["typo3", "i-doit"]))
def test_no_name_passes_for_an_address(account: str, application: str) -> None:
    failure = Failure(application, "db", "192.0.2.7", account)
    line = failure.line()
    assert "\n" not in line
    assert line.isprintable()
    again = read_line(line)
    assert again is not None
    assert (again.application, again.address) == (application, "192.0.2.7")
    assert len(again.account) <= LONGEST_ACCOUNT
    # What fail2ban's filter takes for the address, whatever the name is.
    assert re.findall(r"refused a login from (\S+) to \S+ as \"", line)[0] == "192.0.2.7"


@pytest.mark.parametrize(
    ("text", "address"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::1"),
     ("", None), ("fe80::1%eth0", None), ("bob", None), ("192.0.2.7/8", None)],
)  # fmt: skip
def test_addresses(text: str, address: str | None) -> None:
    assert plain(text) == address


def _line(name: str, address: str) -> str:
    return (
        f"[2026-11-26T01:00:00.0+00:00] login.WARNING: Login failed for user {name}"
        f' {{"username":"{name}","ip-address":"{address}","user-agent":"x"}} []\n'
    )


def test_a_log_is_followed_over_its_days(tmp_path: Path) -> None:
    today = tmp_path / "failed-logins_2026-11-26.log"
    today.write_text(_line("before", "192.0.2.1"))
    (tmp_path / "other.log").write_text(_line("other", "192.0.2.2"))
    places = logfiles.begin(str(tmp_path))
    with today.open("a") as stream:
        stream.write(_line("bob", "192.0.2.3") + _line("half", "192.0.2.4")[:30])
    found = logfiles.look(str(tmp_path), places)
    assert [one.account for one in found.failures] == ["bob"]
    with today.open("a") as stream:
        stream.write(_line("half", "192.0.2.4")[30:])
    (tmp_path / "failed-logins_2026-11-27.log").write_text(_line("next", "192.0.2.5"))
    found = logfiles.look(str(tmp_path), found.places)
    assert [one.account for one in found.failures] == ["half", "next"]
    assert logfiles.look(str(tmp_path), found.places).failures == ()


def test_a_log_that_was_cut_off_or_replaced_is_read_anew(tmp_path: Path) -> None:
    log = tmp_path / "failed-logins_1.log"
    log.write_text(_line("one", "192.0.2.1") * 3)
    places = logfiles.begin(str(tmp_path))
    log.write_text(_line("cut", "192.0.2.2"))
    found = logfiles.look(str(tmp_path), places)
    assert [one.account for one in found.failures] == ["cut"]
    fresh = tmp_path / "fresh"
    fresh.write_text(_line("replaced", "192.0.2.3") * 9)
    fresh.replace(log)
    assert len(logfiles.look(str(tmp_path), found.places).failures) == 9


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    """The directory belongs to the web server, which may be somebody else's by now."""
    secret = tmp_path / "secret"
    secret.write_text(_line("secret", "192.0.2.1"))
    logs = tmp_path / "log"
    logs.mkdir()
    (logs / "failed-logins_1.log").symlink_to(secret)
    os.mkfifo(logs / "failed-logins_2.log")
    with pytest.raises(HostError, match=r"failed-logins_1\.log cannot be read"):
        logfiles.look(str(logs), {})
    (logs / "failed-logins_1.log").unlink()
    assert logfiles.look(str(logs), {}).failures == ()


def test_a_line_longer_than_what_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfiles, "CHUNK_BYTES", 200)
    log = tmp_path / "failed-logins_1.log"
    log.write_text("x" * 1000 + "\n" + _line("bob", "192.0.2.3"))
    places: logfiles.Places = {}
    seen = []
    for _ in range(20):
        found = logfiles.look(str(tmp_path), places)
        places = found.places
        seen += [one.account for one in found.failures]
        if not found.behind:
            break
    assert seen == ["bob"]


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0b", "\x0c", "\x1e", "\r"])
def test_no_name_makes_a_line_of_its_own(tmp_path: Path, sign: str) -> None:
    """Anybody can type one, and the address in it would be banned."""
    forged = f'{sign}{{"username":"x","ip-address":"198.51.100.9"}}{sign}'
    context = msgspec.json.encode({"username": forged, "ip-address": "192.0.2.7"}).decode()
    line = f"[2026-11-25] login.WARNING: Login failed for user {forged} {context} []\n"
    (tmp_path / "failed-logins_2026-11-25.log").write_bytes(line.encode())
    found = logfiles.look(str(tmp_path), {})
    assert [one.address for one in found.failures] == ["192.0.2.7"]


def test_a_line_that_is_nested_without_end_is_passed_over() -> None:
    assert logfiles.failure_of("/log", '{"username":' + "[" * 100_000 + "}") is None


def test_a_name_that_looks_like_the_rest_of_a_line() -> None:
    typed = '{"username":"a","ip-address":"203.0.113.1"} []'
    line = (
        f"[x] login.WARNING: Login failed for user {typed}"
        ' {"username":"{\\"username\\":\\"a\\",\\"ip-address\\":\\"203.0.113.1\\"} []",'
        '"ip-address":"192.0.2.7","user-agent":"{\\"username\\":1}"} []'
    )
    found = logfiles.failure_of("/log", line)
    assert found is not None
    assert found.address == "192.0.2.7"


@given(st.text())
def test_any_line_of_a_log_is_read(text: str) -> None:
    logfiles.failure_of("/log", text)
    logfiles.failure_of("/log", f'{{"username":{text}}}')


def test_a_service_that_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    one = Table()
    said: list[str] = []

    def begin() -> service.Service:
        path = str(tmp_path / "place.json")
        return service.Service(path, 10**10, "typo3", ("typo3",), one.ask, said.append)

    first = begin()
    first.round()
    one.add(1, "192.0.2.1")
    first.round()
    first._keep()
    one.add(2, "192.0.2.2")
    second = begin()
    second.round()
    assert [re.findall(r"from (\S+)", line)[0] for line in said] == ["192.0.2.1", "192.0.2.2"]
    (tmp_path / "place.json").write_bytes(b"{broken")
    third = begin()
    third.round()  # goes on from the end
    third.round()
    assert len(said) == 2


def test_a_clock_that_was_set_hides_nothing_that_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Table()
    said: list[str] = []
    following = service.Service(
        str(tmp_path / "place.json"), 3600, "typo3", ("typo3",), one.ask, said.append
    )
    following.round()
    for uid, clock in ((1, 0.0), (2, 4e9)):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        one.add(uid, tstamp=1000)
        following.round()
    assert len(said) == 2


def test_a_trouble_is_told_once_and_its_end_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Table()
    broken = True

    def ask(sql: str) -> list[list[str]]:
        if broken:
            raise HostError("MariaDB does not answer")
        return one.ask(sql)

    following = service.Service(str(tmp_path / "p"), 60, "typo3", ("typo3",), ask, lambda _: None)
    for _ in range(3):
        following.round()
    broken = False
    following.round()
    told = capsys.readouterr().err
    assert told.count("are not handed over: MariaDB does not answer") == 1
    assert told.count("handed over again") == 1


def test_one_site_that_is_gone_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Table()
    told: list[str] = []
    monkeypatch.setattr(service, "notify", told.append)

    def ask(sql: str) -> list[list[str]]:
        if "`gone`" in sql:
            raise HostError("no such table")
        return one.ask(sql)

    said: list[str] = []
    following = service.Service(
        str(tmp_path / "p"), 60, "typo3", ("gone", "typo3"), ask, said.append
    )
    following.round()
    one.add(1)
    following.round()
    assert len(said) == 1
    assert told == ["READY=1"]


@given(st.lists(st.lists(st.text(max_size=5), max_size=4), max_size=3))
def test_any_answer_of_the_database_is_survived(rows: list[list[str]]) -> None:
    following = service.Service(
        "/nonexistent/place.json", 60, "typo3", ("typo3",), lambda _: rows, lambda _: None
    )
    for _ in range(3):
        following.round()


@pytest.mark.parametrize(
    "words", [[], ["typo3"], ["other", "p", "60", "x"], ["typo3", "p", "x", "y"]]
)
def test_wrong_arguments(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert service.main(words) == 2
    assert "usage" in capsys.readouterr().err


def test_a_client_that_answers_dies_and_starts_anew(tmp_path: Path) -> None:
    """A program that answers each statement with a row of its own, and ends at BREAK."""
    program = tmp_path / "client"
    program.write_text(
        "#!/bin/sh\nwhile read -r line; do case $line in\n"
        "SET*) ;;\n*BREAK*) echo 'ERROR 2006 (HY000): gone' >&2; exit 1;;\n"
        "\"SELECT 'harden\"*) echo 'harden-tui: end of answer';;\n"
        "*) printf '%s\\t%s\\n' 'a\\tb' c;;\nesac; done\n"
    )
    program.chmod(0o755)
    client = Client((str(program),))
    assert client.ask("SELECT 1") == [["a\tb", "c"]]
    with pytest.raises(HostError, match="ERROR 2006"):
        client.ask("BREAK")
    assert client.ask("SELECT 1") == [["a\tb", "c"]]
    client.close()


def test_a_cell_that_ends_as_an_answer_does_ends_none(tmp_path: Path) -> None:
    program = tmp_path / "client"
    program.write_text(
        "import sys, time\n"
        "for line in sys.stdin:\n"
        "    if line.startswith('SELECT uid'):\n"
        "        print('7\\tharden-tui: end of answer', flush=True)\n"
        "        time.sleep(0.3)\n"
        "        print('8\\tx\\nharden-tui: end of answer', flush=True)\n"
    )
    client = Client((sys.executable, str(program)))
    try:
        rows = client.ask("SELECT uid, log_data FROM sys_log")
    finally:
        client.close()
    assert rows == [["7", "harden-tui: end of answer"], ["8", "x"]]


def test_the_service_loads_little() -> None:
    """It stays in memory for as long as the host runs."""
    script = (
        "import sys; from tui.entry import main; main(['hand-over-logins']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'sh', 'psutil', 'yaml', 'textual', 'rich', 'argparse', 'steps', 'snapshots'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
