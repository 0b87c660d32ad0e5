"""What login-bans makes of TYPO3 and i-doit: a service for one thing, jails that can fire."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.apt import Simulation
from host.facts.typo3_logins import Typo3Logins, addresses, parse
from host.failed_logins.words import Failure
from snapshots.domains.mariadb import ACCOUNTS
from snapshots.model import RunCommand, RunSql, WriteFile
from steps.resource import Context, StepError
from steps.resources.login_bans import LoginBans, behind_proxy
from steps.resources.login_bans_jails import WEB, jails_of, reachable
from tests.unit.given import SSHD, context, packages

BODY: dict[str, Any] = {
    "application": "typo3",
    "failed-attempts": 5,
    "look-up-time": "1h",
    "ban-time": "1h",
}
ROWS = [
    ["database", "site"],
    ["database", "other"],
    ["account", '{"access":0,"plugin":"unix_socket","authentication_string":""}'],
    ["column", "site", "sys_log", "uid", "Select"],
    ["column", "site", "sys_log", "IP", "Select,Update"],
    ["more", "Delete on site.sys_log"],
    ["logged", "site", "192.0.2.7"],
    ["logged", "site", ""],
]


class _Daemon:
    by_socket = False


def host(directory: Path, known: Typo3Logins | None = None, **changed: Any) -> Context:
    answers: dict[str, Any] = {
        "packages": packages("openssh-server", "mariadb-server", "apache2"),
        "units": {},
        "ports": (SSHD,),
        "sshd_daemon": _Daemon(),
        "sshd_effective": {},
        "fail2ban_running": None,
        "fail2ban_configuration": None,
        "fail2ban_sources": {},
        "dpkg_busy": "",
        "apt_simulation": Simulation(brings=("fail2ban 1",)),
        "typo3_logins": known or Typo3Logins(databases=("site",)),
    }
    answers.update(changed)
    ctx = context(directory, **answers)
    _bring(ctx, "mariadb")
    ctx.host.put("/var/log/apache2", FileState(kind="dir", mode=0o755))
    ctx.host.write_file("/var/log/apache2/access.log", b"")
    return ctx


def _bring(ctx: Context, program: str) -> None:
    """The host has this program too."""
    host: Any = ctx.host
    before = host.which
    host.which = lambda name: f"/usr/bin/{name}" if name == program else before(name)


def resource(**changed: Any) -> LoginBans:
    return LoginBans.parse("typo3.backend-bans", {**BODY, **changed})


def test_what_mariadb_says() -> None:
    found = parse(ROWS)
    assert found.databases == ("site", "other")
    assert found.methods == ("unix_socket",)
    assert found.rights == ("site.sys_log.uid",)
    assert found.more == ("Select,Update on site.sys_log.IP", "Delete on site.sys_log")
    assert found.logged == {"site": ("192.0.2.7",)}


@given(st.lists(st.lists(st.text(), max_size=5), max_size=5), st.text())
def test_any_answer_is_read(rows: list[list[str]], priv: str) -> None:
    parse([*rows, ["account", priv]])


def test_a_database_is_asked_by_its_index_and_cannot_escape_its_quotes() -> None:
    sql = addresses("a`b'c")
    assert sql.count("`a``b'c`.sys_log IGNORE INDEX (PRIMARY)") == 2, "a view is refused"
    assert "'a`b\\'c'" in sql
    assert sql.count("type = 255 AND action =") == 2


def test_the_plan_of_a_blank_host(tmp_path: Path) -> None:
    planned = resource().plan(host(tmp_path))
    assert planned.refusals == ()
    texts = {c.path: c.content.decode() for c in planned.changes if isinstance(c, WriteFile)}
    unit = texts["/etc/systemd/system/harden-tui-typo3-logins.service"]
    assert (
        "ExecStart=/usr/bin/harden-tui hand-over-logins typo3"
        " /var/lib/harden-tui/logins-typo3/place.json 3600 site\n" in unit
    )
    assert "User=harden-tui-typo3\n" in unit
    jails = texts["/etc/fail2ban/jail.d/zz-harden-tui-typo3-backend-bans.local"]
    assert "[typo3-backend]\nenabled = true\nport = 80,443\n" in jails
    assert "journalmatch = _SYSTEMD_UNIT=harden-tui-typo3-logins.service\n" in jails
    assert "[typo3-web]" in jails
    assert "typo3-first" not in jails
    sql = next(change for change in planned.changes if isinstance(change, RunSql))
    assert "IDENTIFIED VIA unix_socket" in sql.sql[0]
    assert sql.sql[1].startswith("GRANT SELECT (`uid`, `tstamp`,")
    assert planned.roots == (ACCOUNTS,)
    commands = [c.argv[:2] for c in planned.changes if isinstance(c, RunCommand)]
    assert commands.index(("systemd-sysusers", "/etc/sysusers.d/harden-tui-typo3.conf")) < (
        commands.index(("systemctl", "restart"))
    )


def test_rights_beyond_the_table_fail(tmp_path: Path) -> None:
    known = parse([["database", "site"], *ROWS[2:6]])
    found = {one.setting: one for one in resource().observe(host(tmp_path, known))}
    account = found["MariaDB account harden-tui-typo3"]
    assert account.ok is False
    assert "also Select,Update on site.sys_log.IP" in account.running


def test_without_typo3_it_does_not_apply(tmp_path: Path) -> None:
    ctx = host(tmp_path, Typo3Logins())
    assert [one.applicable for one in resource().observe(ctx)] == [False]
    assert resource().plan(ctx).changes == ()


@pytest.mark.parametrize(
    ("time", "attempts", "refused"),
    [("15m", 5, False), ("15m", 6, True), ("5m", 6, True), ("1h", 20, False), ("1h", 21, True)],
)
def test_a_number_that_typo3_never_writes_down_is_refused(
    tmp_path: Path, time: str, attempts: int, refused: bool
) -> None:
    step = resource(**{"failed-attempts": attempts, "look-up-time": time})
    ctx = host(tmp_path)
    assert bool(step.plan(ctx).refusals) is refused
    found = [one for one in step.observe(ctx) if one.setting == "failed-attempts"]
    assert [one.ok for one in found] == ([False] if refused else [])
    if refused:
        assert f"Set failed-attempts to {reachable(step.jails.find_s)} or less" in found[0].note


@pytest.mark.parametrize(
    ("logged", "proxies", "is_proxy"),
    [
        ((), (), False),
        (("192.0.2.7",), (), False),
        (("127.0.0.1",), (), True),
        (("::1", "127.0.0.1"), (), True),
        (("127.0.0.1", "192.0.2.7"), (), False),
        (("10.0.0.5",), ("10.0.0.0/24",), True),
        (("10.0.0.5", "2001:db8::1"), ("10.0.0.0/24",), False),
    ],
)
def test_a_proxy_is_told_from_visitors(
    logged: tuple[str, ...], proxies: tuple[str, ...], is_proxy: bool
) -> None:
    assert bool(behind_proxy(logged, proxies)) is is_proxy


def test_the_address_of_a_proxy_in_the_table_is_refused(tmp_path: Path) -> None:
    known = Typo3Logins(databases=("site",), logged={"site": ("10.0.0.5",)})
    (refusal,) = resource(proxies=["10.0.0.5"]).plan(host(tmp_path, known)).refusals
    assert "Set SYS/reverseProxyIP" in refusal


def test_a_mail_at_the_first_failure_is_a_jail_of_its_own(tmp_path: Path) -> None:
    ctx = host(tmp_path)
    _bring(ctx, "sendmail")
    planned = resource(mail="root@example.org").plan(ctx)
    jails = next(
        c.content.decode()
        for c in planned.changes
        if isinstance(c, WriteFile) and c.path.endswith(".local")
    )
    first = jails.partition("[typo3-first]")[2].partition("[typo3-web]")[0]
    assert "maxretry = 1\nfindtime = 1h\nbantime = 1h\n" in first
    assert 'action = harden-tui-first[dest="root@example.org", sender="fail2ban"]' in first


def test_idoit_is_read_by_the_group_of_its_log(tmp_path: Path) -> None:
    ctx = host(tmp_path)
    path = "/var/www/html/i-doit"
    for folder in ("/var/www", "/var/www/html", path, f"{path}/src"):
        ctx.host.put(folder, FileState(kind="dir", mode=0o755))
    ctx.host.put(f"{path}/log", FileState(kind="dir", mode=0o770, gid=33))
    ctx.host.write_file(f"{path}/src/config.inc.php", b"<?php")
    step = LoginBans.parse("app.backend-bans", {**BODY, "application": "i-doit", "path": path})
    planned = step.plan(ctx)
    texts = {c.path: c.content.decode() for c in planned.changes if isinstance(c, WriteFile)}
    unit = texts["/etc/systemd/system/harden-tui-idoit-logins.service"]
    assert f"place.json 3600 {path}/log\n" in unit
    assert not any(isinstance(change, RunSql) for change in planned.changes)
    assert "[idoit-backend]" in texts["/etc/fail2ban/jail.d/zz-harden-tui-app-backend-bans.local"]


def pattern(text: str) -> re.Pattern[str]:
    """A filter's failregex as Python has it, with what fail2ban puts in filled in."""
    line = re.search(r"^failregex = (.*)$", text, re.MULTILINE)
    assert line is not None
    filled = line[1].replace("%(__prefix_line)s", r"(?:\S+ harden-tui-logins\[\d+\]: )")
    filled = filled.replace("<ADDR>", r"(?P<address>[0-9a-f.:]+)").replace(
        "<login_path>", "/typo3/login"
    )
    return re.compile(filled)


@given(st.text(max_size=80))
def test_the_filter_takes_our_line_whatever_the_name(account: str) -> None:
    body = jails_of("typo3", max_retry=5, find_time="1h", ban_time="1h", ignore=[], mail="",
                    login_path="/typo3/login", access_log="/x")  # fmt: skip
    line = Failure("typo3", "site", "192.0.2.7", account).line()
    found = pattern(body["files"]["filter.d/harden-tui-typo3"]).search(
        f"host harden-tui-logins[7]: {line}"
    )
    assert found is not None
    assert found["address"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ('192.0.2.7 - - [] "POST /typo3/login HTTP/1.1" 403 1', "192.0.2.7"),
        ('192.0.2.7 - - [] "POST /typo3/login?a=b HTTP/2.0" 401 1', "192.0.2.7"),
        ('site:443 192.0.2.7 - a b [] "POST /typo3/login HTTP/1.1" 403 1', "192.0.2.7"),
        ('192.0.2.7 - - [] "POST /typo3/login HTTP/1.1" 200 1', ""),
        ('192.0.2.7 - - [] "GET /typo3/login HTTP/1.1" 403 1', ""),
        ('192.0.2.7 - - [] "POST /typo3/loginx HTTP/1.1" 403 1', ""),
        ('192.0.2.7 - - [] "POST / HTTP/1.1" 200 1 "x" "POST /typo3/login HTTP/1.1\\" 403 1', ""),
    ],
)
def test_the_filter_for_the_web_servers_log(line: str, address: str) -> None:
    found = pattern(WEB).search(line)
    assert (found["address"] if found else "") == address


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login-path", "/typo3]\nenabled = no"), ("login-path", "typo3"),
        ("access-log", "/var/log/x\n[sshd]"), ("application", "joomla"),
        ("look-up-time", "soon"),
    ],
)  # fmt: skip
def test_what_a_file_would_read_otherwise_is_refused(field: str, value: str) -> None:
    with pytest.raises((StepError, ValueError)):
        resource(**{field: value})


def test_a_path_that_a_unit_would_read_otherwise_is_refused() -> None:
    with pytest.raises(StepError, match="path"):
        resource(application="i-doit", path="/var/www/a b %h")
