"""MariaDB's answers and option files as data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import CommandFailed, Completed, HostError
from host.facts import FactUnavailable
from host.facts.mariadb import Account, parse_account, parse_server, ready
from host.facts.mariadb_files import Assignment, in_force, parse_options, read_options
from host.mariadb import NotRunning, complaint, identifier, literal, rows, unescaped
from tests.unit.given import RELEASES, context, recorded, unit


def failed(said: str) -> CommandFailed:
    return CommandFailed(Completed(("mariadb",), 1, "", said, 0.1))


@pytest.mark.parametrize("release", RELEASES)
def test_the_recorded_server(release: str) -> None:
    server = parse_server(rows(recorded(release, "mariadb/server")))
    assert server.version == {"bookworm": "10.11", "trixie": "11.8"}[release]
    assert server.value("local_infile") == "ON"
    assert server.variables["bind_address"].path == "/etc/mysql/mariadb.conf.d/50-server.cnf"
    accounts = {(one.user, one.host): one for one in server.accounts}
    assert ("readers", "") not in accounts  # a role
    assert accounts["mariadb.sys", "localhost"].locked
    assert not accounts["root", "localhost"].open
    assert accounts["root", "localhost"].methods == ("mysql_native_password", "unix_socket")
    assert accounts["open", "localhost"].open
    assert accounts["app", "%"].is_wild
    assert not accounts["app", "%"].open
    assert ("", "%", "test\\_%") in {(g.user, g.host, g.database) for g in server.grants}
    assert {"mysql", "test", "app"} <= set(server.databases)


@pytest.mark.parametrize("release", RELEASES)
def test_no_account_keeps_what_lets_it_in(release: str) -> None:
    server = parse_server(rows(recorded(release, "mariadb/server")))
    assert "*F142931D9296BB66D4600D47418DBC1475D27D29" not in repr(server)


@given(st.lists(st.lists(st.text())))
def test_any_answer_is_data(answer: list[list[str]]) -> None:
    parse_server([["account", *row] for row in answer] + answer)


@given(st.text(), st.text(), st.text())
def test_any_account_is_data(host: str, user: str, priv: str) -> None:
    parse_account(host, user, priv)


@pytest.mark.parametrize(
    ("priv", "is_open"),
    [
        ('{"plugin": "mysql_native_password", "authentication_string": ""}', True),
        ("{}", True),
        ('{"plugin": "unix_socket"}', False),
        ('{"plugin": "mysql_native_password", "authentication_string": "*AB"}', False),
        ('{"authentication_string": "*AB", "auth_or": [{"plugin": "unix_socket"}, {}]}', False),
        ('{"authentication_string": "", "auth_or": [{"plugin": "unix_socket"}, {}]}', True),
        ('{"authentication_string": "", "auth_or": [{"plugin": "unix_socket"}]}', False),
    ],
)
def test_who_gets_in_without_a_password(priv: str, is_open: bool) -> None:
    account = parse_account("localhost", "bob", priv)
    assert account is not None
    assert account.open is is_open


@pytest.mark.parametrize(
    ("host", "wild"),
    [("%", True), ("10.0.%", True), ("10.0.0.0/255.0.0.0", True), ("localhost", False),
     ("::1", False), ("db1.example.org", False), ("web_1", True), ("", True)],
)  # fmt: skip
def test_hosts_that_are_patterns(host: str, wild: bool) -> None:
    assert Account("bob", host).is_wild is wild


@given(st.text())
def test_fields_come_back_as_they_were(text: str) -> None:
    printed = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    assert unescaped(printed.replace("\0", "\\0")) == text


def test_literals_and_names() -> None:
    assert literal("O'Brien\\\n") == r"'O\'Brien\\\n'"
    assert identifier("odd`name") == "`odd``name`"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("ERROR 2002 (HY000): Can't connect to local server", NotRunning, "does not answer"),
        ("ERROR 1698 (28000): Access denied for user 'root'@'localhost'", HostError, "let root in"),
        ("ERROR 1064 (42000) at line 3: near 'BY PASSWORD '*AB12'", HostError, "error 1064"),
        (
            "ERROR 1396 (HY000) at line 2: Operation RENAME USER failed for 'app'@'%'",
            HostError,
            "(error 1396: Operation RENAME USER failed for 'app'@'%')",
        ),
        ("", HostError, "exit status 1"),
    ],
)
def test_what_a_client_that_failed_means(said: str, kind: type[HostError], words: str) -> None:
    error = complaint(failed(said))
    assert type(error) is kind
    assert words in str(error)
    assert "*AB12" not in str(error)


def test_a_server_that_does_not_run_is_not_started_by_asking(tmp_path: Path) -> None:
    ctx = context(tmp_path, units={"mariadb.service": unit("mariadb.service", "inactive")})
    ctx.host.which = lambda program: program  # type: ignore[method-assign]  # as if installed
    with pytest.raises(FactUnavailable, match="does not run"):
        ready(ctx.host, ctx.facts)


@pytest.mark.parametrize("release", RELEASES)
def test_the_recorded_files(release: str) -> None:
    text = recorded(release, "mariadb/mariadb.cnf")
    found = parse_options("/etc/mysql/mariadb.cnf", text)
    assert found == [
        Assignment("/etc/mysql/mariadb.cnf", 25, "socket", "/run/mysqld/mysqld.sock"),
        "/etc/mysql/conf.d/",
        "/etc/mysql/mariadb.conf.d/",
    ]
    server = parse_options("/etc/50-server.cnf", recorded(release, "mariadb/50-server.cnf"))
    bound = [o for o in server if isinstance(o, Assignment) and o.option == "bind_address"]
    assert [one.value for one in bound] == ["127.0.0.1"]
    text = recorded(release, "mariadb/50-server.cnf").splitlines()[bound[0].line - 1]
    assert text.startswith("bind-address")


@given(st.text())
def test_any_file_is_options(text: str) -> None:
    for one in parse_options("/etc/my.cnf", text, "10.11"):
        if isinstance(one, Assignment):
            in_force(one, "local_infile", switch=True)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("local-infile = OFF", "OFF"),
        ("local_infile=0", "OFF"),
        ("skip-local-infile", "OFF"),
        ("skip-local-infile = 0", "ON"),
        ("loose-local-infile", "ON"),
        ("local-infile = 'off' # for good", "OFF"),
        ("enable-local-infile", "ON"),
    ],
)
def test_the_ways_to_write_a_switch(line: str, value: str) -> None:
    (found,) = parse_options("/f", f"[mariadbd]\n{line}\n")
    assert isinstance(found, Assignment)
    assert in_force(found, "local_infile", switch=True) == value


@pytest.mark.parametrize(
    ("group", "counts"),
    [("mysqld", True), ("mariadb-10.11", True), ("mariadb-11.8", False), ("client", False)],
)
def test_groups(group: str, counts: bool) -> None:
    assert bool(parse_options("/f", f"[{group}]\nport = 1\n", "10.11")) is counts


def test_the_last_file_by_name_decides(tmp_path: Path) -> None:
    host = context(tmp_path).host
    main = "[mysqld]\nport = 1\n!includedir /etc/mysql/mariadb.conf.d/\n"
    overlay = {
        "/etc/mysql/my.cnf": main,
        "/etc/mysql/mariadb.conf.d/a.cnf": "[server]\nport = 2\n",
        "/etc/mysql/mariadb.conf.d/zz.cnf": "[server]\n\nport = 3\n",
        "/etc/mysql/mariadb.conf.d/zzz.txt": "[server]\nport = 4\n",
    }
    deciding = read_options(host, "10.11", overlay).deciding("port")
    assert deciding is not None
    assert (deciding.value, deciding.origin) == ("3", "/etc/mysql/mariadb.conf.d/zz.cnf:3")
