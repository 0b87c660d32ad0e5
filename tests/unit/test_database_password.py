"""An application's database password: what is wrong with it, and a new one in all its places."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.app_config import Access, Login, access, with_password
from host.base import CommandFailed, Completed, FileState, HostError
from host.facts.app_database import APP_LOGINS, TENANTS, Database, Tenant, parse_table
from host.facts.applications import Application
from host.facts.mariadb import Account, Server, parse_account
from host.php_literals import NotPlain
from host.rotation import Rotation, generate, native_hash, options, refusal, rotate
from host.secret_text import Secret
from snapshots.domains.mariadb import ACCOUNTS
from snapshots.execute import describe, path_of
from snapshots.model import Root, RotatePassword
from steps.plan import fingerprint, gather
from steps.redact import Redactor
from steps.render import render
from steps.resource import Context, StepError
from steps.resources.database_password import DatabasePassword
from steps.resources.weak_password import weakness
from tests.unit.given import context, unit

PATH = "/var/www/html/i-doit"
CONFIG = f"{PATH}/src/config.inc.php"
TEXT = b"""<?php
$g_db_system = [
    'host' => 'localhost', 'port' => '3306',
    'user' => 'cmdb', 'pass' => 'OldPassword-OldPassword', 'name' => 'idoit_system'
];
"""
OLD = "OldPassword-OldPassword"
APP = Application("i-doit", PATH, PATH, (CONFIG,))
LOGIN = Login("cmdb", Secret(OLD), port="3306")


def test_what_the_files_say() -> None:
    found = access("i-doit", TEXT)
    assert found == Access(LOGIN, "idoit_system", 4)
    assert OLD not in repr(found)
    typo3 = (
        b"<?php\nreturn ['DB' => ['Connections' => ['Default' => ['dbname' => 't',"
        b" 'password' => 'p', 'user' => 'u', 'unix_socket' => '/run/x']]]];\n"
    )
    assert access("typo3", typo3).login == Login("u", Secret("p"), socket="/run/x")
    changed = with_password("i-doit", TEXT, Secret("new"))
    assert changed == TEXT.replace(OLD.encode(), b"new")
    with pytest.raises(NotPlain, match="pass"):
        access("i-doit", TEXT.replace(b"'OldP", b"getenv('P') . 'OldP"))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "empty"),
        ("CMDB", "name"),
        ("idoit", "everybody"),
        ("Ab3-Ab3-Ab3", "shorter"),
        ("aaaaaaaaaaaaaaaaaaaaaa", "same few"),
        (OLD, ""),
    ],
)
def test_weak_passwords(password: str, why: str) -> None:
    found = weakness(password, "cmdb", "idoit_system")
    assert why in found
    assert bool(found) == bool(why)
    assert not password or password not in found


def test_no_view_of_the_application_is_asked_as_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a view calls runs with the rights of who asks; a hint for an index refuses views."""
    ctx, server = furnished(tmp_path, monkeypatch)
    facts = context(
        tmp_path,
        app_databases=(Database(APP, CONFIG, Access(LOGIN, "idoit_system", 4)),),
        mariadb=Server(variables={}, accounts=(), databases=("idoit_system",)),
    ).facts
    TENANTS.read(ctx.host, facts)
    rotate(ctx.host, ROTATION, print)
    about = [text for _, text in server.said if "isys_mandator" in text]
    assert len(about) == 2
    assert all("`idoit_system`.`isys_mandator` USE INDEX ()" in text for text in about)


def test_generated_passwords_differ_and_need_no_quotes() -> None:
    found = {generate().reveal() for _ in range(200)}
    assert len(found) == 200
    for one in found:
        assert len(one) == 32
        assert not weakness(one, "cmdb")
        assert one.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("field", ["user", "password", "host", "socket"])
def test_no_line_is_long_enough_to_become_two_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    """After 4094 bytes the client reads another line: `plugin-dir=` of whoever wrote the file."""
    text = "A" * 4000 + "plugin-dir=/tmp #"
    given: Any = {"user": "a", "password": Secret("b"), field: text}
    if field == "password":
        given[field] = Secret(text)
    ctx = context(tmp_path)

    def run(argv: Sequence[str], **more: Any) -> Completed:
        raise AssertionError("the client was started")

    monkeypatch.setattr(ctx.host, "run", run)
    assert "longer" in refusal(ctx.host, Login(**given))


def test_the_server_may_not_ask_for_files() -> None:
    assert b"\nlocal-infile=0\n" in options(LOGIN)


@given(st.text())
def test_options_are_lines_and_nothing_leaves_its_quotes(password: str) -> None:
    lines = options(Login("a", Secret(password))).decode().split("\n")
    if not set(password) & set("\v\f\x1c\x1d\x1e\x85\u2028\u2029"):
        assert [line.partition("=")[0] for line in lines[:4]] == [
            "[client]", "user", "password", "host",
        ]  # fmt: skip
    quoted = lines[2].removeprefix("password=")[1:-1].replace("\\\\", "")
    assert '"' not in quoted.replace('\\"', "")


class Server_(msgspec.Struct):
    """MariaDB and i-doit's class, as far as a rotation needs them."""

    hashes: list[str]
    said: list[tuple[tuple[str, ...], str]] = []
    fails_at: str = ""

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        text = bytes(more.get("stdin", b"")).decode()
        self.said.append((tuple(argv), text))
        if self.fails_at and self.fails_at in text:
            raise HostError("it failed")
        out = ""
        if "--defaults-file=/dev/stdin" in argv:
            password = text.partition("password=")[2].partition("\n")[0].strip('"')
            if native_hash(Secret(password)) not in self.hashes:
                said = "ERROR 1045 (28000): Access denied"
                raise CommandFailed(Completed(tuple(argv), 1, "", said, 0.0))
            out = "cmdb@localhost\n"
        elif argv[0] == "setpriv":
            asked = msgspec.json.decode(text)["encrypt"]["it"]
            out = "\n" + msgspec.json.encode({"encrypted": {"it": asked[::-1]}}).decode()
        elif "JSON_VALUE" in text:
            out = f"localhost\tmysql_native_password\t{self.hashes[0]}\t0\n"
        elif "ALTER USER" in text:
            self.hashes = [word for word in text.split("'") if word.startswith("*")]
        return Completed(tuple(argv), 0, out, "", 0.0)


ROTATION = Rotation(
    kind="i-doit", path=PATH, config=CONFIG, user="cmdb", hosts=("localhost",),
    database="idoit_system", tenants=("1",), crypt=True, reloads=("apache2.service",),
)  # fmt: skip


def furnished(directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Context, Server_]:
    ctx = context(directory)
    for place in (f"{PATH}/src",):
        (directory / "practice" / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
    ctx.host.write_file(CONFIG, TEXT)
    server = Server_([native_hash(Secret(OLD))])
    monkeypatch.setattr(ctx.host, "run", server.run)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return ctx, server


def test_a_rotation_reaches_all_places_and_is_in_no_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, server = furnished(tmp_path, monkeypatch)
    told: list[str] = []
    rotate(ctx.host, ROTATION, told.append)
    new = access("i-doit", ctx.host.read_bytes(CONFIG)).login.password
    assert server.hashes == [native_hash(new)]
    order = [text for _, text in server.said if "ALTER" in text or "UPDATE" in text]
    assert [("ALTER" in text, text.count("*")) for text in order] == [
        (True, 2), (False, 0), (True, 1),
    ]  # fmt: skip
    assert f"db_pass = NULL, isys_mandator__db_password = '{new.reveal()[::-1]}'" in order[1]
    assert all("sql_log_off=ON" in text for text in order)
    words = [word for argv, _ in server.said for word in argv] + told
    assert not any(secret in word for word in words for secret in (new.reveal(), OLD))


def test_a_release_that_knows_no_encryption_gets_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, server = furnished(tmp_path, monkeypatch)
    rotate(ctx.host, msgspec.structs.replace(ROTATION, crypt=False), print)
    new = access("i-doit", ctx.host.read_bytes(CONFIG)).login.password.reveal()
    (update,) = (text for _, text in server.said if "UPDATE" in text)
    assert f"SET isys_mandator__db_pass = '{new}' WHERE isys_mandator__id = '1';" in update
    assert not any(argv[0] == "setpriv" for argv, _ in server.said)


@pytest.mark.parametrize("at", [" OR mysql", "UPDATE"])
def test_before_the_file_is_written_a_failure_leaves_it_and_the_old_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    ctx, server = furnished(tmp_path, monkeypatch)
    server.fails_at = at
    with pytest.raises(HostError, match="it failed"):
        rotate(ctx.host, ROTATION, print)
    assert ctx.host.read_bytes(CONFIG) == TEXT
    assert native_hash(Secret(OLD)) in server.hashes


def test_the_old_password_lasts_as_long_as_a_request_that_may_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, server = furnished(tmp_path, monkeypatch)
    procs = "/sys/fs/cgroup/system.slice/apache2.service/cgroup.procs"
    read = ctx.host.read_bytes
    answers = [b"1 2 3\n", b"1 2 4\n", b"1 2 4\n", b"1 4\n"]
    seen: list[int] = []

    def listing(path: str, **more: Any) -> bytes:
        if path != procs:
            return read(path, **more)
        seen.append(len(server.hashes))
        return answers.pop(0)

    monkeypatch.setattr(ctx.host, "read_bytes", listing)
    rotate(ctx.host, ROTATION, print)
    assert answers == []
    assert seen == [2] * 4, "both passwords are let in until then"


def test_the_file_of_somebody_else_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, _ = furnished(tmp_path, monkeypatch)
    theirs = f"{PATH}/theirs.php"
    ctx.host.write_file(theirs, TEXT)
    ctx.host.put(CONFIG, FileState(kind="symlink", target=theirs))
    with pytest.raises(HostError, match="symbolic link"):
        rotate(ctx.host, ROTATION, print)


@pytest.mark.parametrize("other", [Secret("of somebody else"), Secret("")])
def test_an_account_whose_password_the_file_does_not_know_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Secret
) -> None:
    """Whoever writes the file may name any account there, and would read its new password."""
    ctx, server = furnished(tmp_path, monkeypatch)
    server.hashes = [native_hash(other) if other else ""]
    with pytest.raises(HostError, match="does not hold the present password"):
        rotate(ctx.host, ROTATION, print)
    ctx, server = furnished(tmp_path / "another", monkeypatch)
    ctx.host.write_file(CONFIG, TEXT.replace(b"cmdb", b"else"))
    with pytest.raises(HostError, match="does not hold the present password"):
        rotate(ctx.host, ROTATION, print)
    assert not any("ALTER" in text for _, text in server.said)


def test_an_old_password_that_still_works_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, server = furnished(tmp_path, monkeypatch)
    run = server.run

    def never_forgets(argv: Sequence[str], **more: Any) -> Completed:
        answer = run(argv, **more)
        server.hashes.append(native_hash(Secret(OLD)))
        return answer

    monkeypatch.setattr(ctx.host, "run", never_forgets)
    with pytest.raises(HostError, match="still let in with the old"):
        rotate(ctx.host, ROTATION, print)


def test_a_client_that_is_somebody_else_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, _ = furnished(tmp_path, monkeypatch)
    monkeypatch.setattr(
        ctx.host, "run", lambda argv, **more: Completed(tuple(argv), 0, "root@localhost\n", "", 0.0)
    )
    with pytest.raises(HostError, match="as it was told"):
        refusal(ctx.host, LOGIN)


def on_a_host(directory: Path, **more: Any) -> Context:
    accounts = more.pop("accounts", (account(),))
    given: dict[str, Any] = {
        "app_databases": (
            Database(APP, CONFIG, Access(more.pop("login", LOGIN), "idoit_system", 4)),
        ),
        "app_tenants": {
            PATH: (Tenant("1", "One", more.pop("tenant", LOGIN), "idoit_data", encrypted=True),)
        },
        "app_logins": {LOGIN: ""},
        "mariadb": Server({}, accounts),
        "units": {"apache2.service": unit("apache2.service")},
    }
    return context(directory, **{**given, **more})


def account(age_days: int = 3, **more: Any) -> Account:
    changed = int(time.time()) - age_days * 86400
    given: dict[str, Any] = {"methods": ("mysql_native_password",), "changed_s": changed, **more}
    return Account("cmdb", "localhost", **given)


def parsed(**body: Any) -> DatabasePassword:
    return DatabasePassword.parse("app.database-password", body)


def test_a_good_password_is_left_alone(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path)
    assert [one.ok for one in parsed().observe(ctx)] == [True] * 4
    assert not parsed().plan(ctx).changes


def test_an_old_one_is_replaced_everywhere(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, accounts=(account(400),))
    failed = [one.setting for one in parsed().observe(ctx) if one.ok is False]
    assert failed == ["set"]
    assert not parsed(**{"max-age-days": 0}).plan(ctx).changes
    planned = parsed().plan(ctx)
    assert planned.changes == (RotatePassword(ROTATION),)
    assert planned.refusals == ()
    assert planned.roots[:2] == (ACCOUNTS, Root(CONFIG, content=True))
    assert planned.roots[2].path == "/var/lib/mysql/idoit_system/isys_mandator/1"
    assert OLD not in repr(planned)
    shown = render(planned.changes[0], ctx.host, Redactor())
    assert OLD not in shown.summary + shown.diff
    assert "+idoit_system.isys_mandator 1: a new password (encrypted)" in shown.diff
    assert path_of(planned.changes[0]) == CONFIG
    assert OLD not in describe(planned.changes[0])
    assert fingerprint(gather([planned]), ctx.host) == fingerprint(gather([planned]), ctx.host)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"mysql_native_password\t{native_hash(Secret(OLD))}\t0\n", ""),
        (f"mysql_native_password\t{native_hash(Secret('other'))}\t0\n", "another server"),
        ("mysql_native_password\t\t0\n", "another server"),
        ("", "another server"),
        ("ed25519\tsomething\t0\n", ""),
        ("mysql_native_password\tinvalid\t1\n", ""),
    ],
)
def test_a_server_of_somebody_else_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, why: str
) -> None:
    """Whoever writes the file chooses the port, and what listens there may say yes to all."""
    ctx = context(
        tmp_path,
        app_databases=(Database(APP, CONFIG, Access(LOGIN, "idoit_system", 4)),),
        app_tenants={},
    )

    def run(argv: Sequence[str], **more: Any) -> Completed:
        asked = b"global_priv" in more["stdin"]
        return Completed(tuple(argv), 0, row if asked else "cmdb@localhost\n", "", 0.0)

    monkeypatch.setattr(ctx.host, "run", run)
    said = APP_LOGINS.read(ctx.host, ctx.facts)[LOGIN]
    assert said.startswith(why)
    assert bool(said) == bool(why)


def test_what_is_encrypted_and_cannot_be_written_so_is_said(tmp_path: Path) -> None:
    row = Tenant("1", "One", LOGIN, "idoit_data", encrypted=True, readable=False)
    ctx = on_a_host(tmp_path, app_tenants={PATH: (row,)})
    assert [one.ok for one in parsed().observe(ctx)] == [True, True, True, None]
    planned = parsed(**{"changed-since": "2999-01-01"}).plan(ctx)
    (change,) = planned.changes
    assert isinstance(change, RotatePassword)
    assert not change.rotation.crypt
    assert "Admin Center" in planned.notes[1]


def test_a_leaked_one_is_replaced_by_date(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path)
    assert parsed(**{"changed-since": "2999-01-01"}).plan(ctx).changes
    assert not parsed(**{"changed-since": "2001-01-01"}).plan(ctx).changes


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"accounts": (), "app_logins": {LOGIN: "no"}}, "no such account"),
        ({"app_logins": {LOGIN: "MariaDB does not accept its password"}}, "not accept its"),
        ({"accounts": (account(400, methods=("unix_socket",)),)}, "not by one password"),
        ({"login": Login("root", Secret("x")), "app_logins": {}}, "server's own account"),
        (
            {"accounts": (account(400),), "tenant": Login("cmdb", Secret("x"), "db.example")},
            "on db.example",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, more: dict[str, Any], why: str) -> None:
    ctx = on_a_host(tmp_path, **more)
    planned = parsed(**{"changed-since": "2999-01-01"}).plan(ctx)
    assert any(why in one for one in planned.refusals), planned.refusals


def test_a_file_that_is_not_plain_is_unknown(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, app_databases=(Database(APP, CONFIG, problem="it is a riddle"),))
    (finding,) = parsed().observe(ctx)
    assert (finding.ok, finding.note) == (None, "it is a riddle")


def test_without_an_application_it_does_not_apply(tmp_path: Path) -> None:
    ctx = on_a_host(tmp_path, app_databases=())
    assert [one.applicable for one in parsed().observe(ctx)] == [False]
    assert not parsed(path="/srv/other").plan(on_a_host(tmp_path)).changes


@pytest.mark.parametrize("body", [{"max-age-days": -1}, {"changed-since": "soon"}, {"x": 1}])
def test_bodies_that_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises((StepError, msgspec.ValidationError)):
        parsed(**body)


@given(st.lists(st.lists(st.text(), max_size=4), max_size=4))
def test_any_answer_is_a_table(answer: list[list[str]]) -> None:
    assert len(parse_table(answer, "x__")) <= max(0, len(answer) - 1)


def test_when_a_password_was_set() -> None:
    found = parse_account("localhost", "a", '{"password_last_changed": 1795657013}')
    assert found is not None
    assert found.changed_s == 1795657013
