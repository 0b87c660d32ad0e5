"""MariaDB's settings, sockets and accounts: what is judged, and what would be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from host.base import CommandFailed, Completed, FileState, Port, Service
from host.facts.mariadb import Account, Server, Variable, parse_server
from host.facts.mariadb_files import read_options
from host.local import LocalHost
from host.mariadb import rows
from snapshots.activation import validate
from snapshots.domains.mariadb import ACCOUNTS
from snapshots.domains.units import Units
from snapshots.model import RunCommand, RunSql, SnapshotError, Validation, ValueItem, WriteFile
from snapshots.progress import Silent
from steps.health import Health, lost_ports
from steps.resource import Context, StepError
from steps.resources.mariadb import Mariadb
from steps.resources.mariadb_accounts import MariadbAccounts, faults_of, grants_shown
from steps.resources.mariadb_listen import MariadbListen
from tests.unit.given import RELEASES, context, recorded, unit
from tests.unit.snapshots_host import Bench

FOLDER = "/etc/mysql/mariadb.conf.d"
DROP_IN = f"{FOLDER}/zz-harden-tui-mariadb-options.cnf"
MAIN = f"[client-server]\n!includedir {FOLDER}/\n"


def server_of(release: str) -> Server:
    return parse_server(rows(recorded(release, "mariadb/server")))


def changed(server: Server, **values: Variable) -> Server:
    return msgspec.structs.replace(server, variables={**server.variables, **values})


def host_with(
    directory: Path,
    server: Server,
    files: Mapping[str, str],
    answers: Mapping[str, str],
    **more: Any,
) -> Context:
    """`answers`: what MariaDB says where a statement holds these words."""
    ctx = context(directory, mariadb=server, **more)
    host = ctx.host
    for folder in ("/etc/mysql", FOLDER):
        if host.state(folder) is None:
            host.put(folder, FileState(kind="dir", mode=0o755))
    for path, text in {"/etc/mysql/my.cnf": MAIN, **files}.items():
        host.write_file(path, text.encode())
    run = host.run

    def answer(argv: Sequence[str], **options: Any) -> Completed:
        if argv[0] != "mariadb":
            return run(argv, **options)
        said = options.get("stdin", b"").decode()
        out = next((text for words, text in answers.items() if words in said), "")
        return Completed(tuple(argv), 0, out, "", 0.0)

    host.run = answer  # type: ignore[method-assign]  # only MariaDB's answers are given
    ctx.facts.given["mariadb-options"] = read_options(host, server.version)  # type: ignore[attr-defined]
    return ctx


def options_resource(**wanted: Any) -> Mariadb:
    return Mariadb.parse("mariadb.options", wanted or {"local_infile": {"is": "OFF"}})


@pytest.mark.parametrize("release", RELEASES)
def test_a_setting_goes_into_a_drop_in_and_the_server_restarts(
    tmp_path: Path, release: str
) -> None:
    ctx = host_with(tmp_path, server_of(release), {}, {})
    resource = options_resource(local_infile={"is": "OFF"}, skip_show_database={"is": "ON"})
    findings = resource.observe(ctx)
    assert [(one.ok, one.running, one.origin) for one in findings] == [
        (False, "ON", "the default"),
        (False, "OFF", "the default"),
    ]
    planned = resource.plan(ctx)
    (write,) = planned.changes
    assert isinstance(write, WriteFile)
    assert write.path == DROP_IN
    assert write.content.endswith(b"[mariadbd]\nlocal-infile = OFF\nskip-show-database\n")
    assert [one.unit for one in planned.activations] == ["mariadb.service"]


def test_a_later_line_is_edited_where_it_stands(tmp_path: Path) -> None:
    later = "[mysqld]\n# ours\nlocal_infile=1\nport = 3306\n"
    ctx = host_with(tmp_path, server_of("bookworm"), {f"{FOLDER}/zzz.cnf": later}, {})
    (finding,) = options_resource().observe(ctx)
    assert finding.origin == f"{FOLDER}/zzz.cnf:3"
    written = {c.path: c.content for c in options_resource().plan(ctx).changes}  # type: ignore[union-attr]
    assert written[f"{FOLDER}/zzz.cnf"] == b"[mysqld]\n# ours\nlocal-infile = OFF\nport = 3306\n"


def test_a_file_that_was_not_read_yet_needs_a_restart_only(tmp_path: Path) -> None:
    text = "[mariadbd]\nlocal-infile = OFF\n"
    ctx = host_with(tmp_path, server_of("trixie"), {f"{FOLDER}/a.cnf": text}, {})
    (finding,) = options_resource().observe(ctx)
    assert (finding.ok, finding.persistent) == (False, "OFF")
    assert finding.note == "not yet read by the server"
    (change,) = options_resource().plan(ctx).changes
    assert isinstance(change, RunCommand)
    assert change.argv == ("systemctl", "restart", "mariadb.service")


def test_the_command_line_is_not_ours(tmp_path: Path) -> None:
    given = Variable("ON", "COMMAND-LINE")
    ctx = host_with(tmp_path, changed(server_of("trixie"), local_infile=given), {}, {})
    (finding,) = options_resource().observe(ctx)
    assert finding.origin == "the command line of mariadbd"
    assert "systemctl cat" in options_resource().plan(ctx).refusals[0]


def test_files_that_are_not_included_are_said(tmp_path: Path) -> None:
    ctx = host_with(tmp_path, server_of("trixie"), {"/etc/mysql/my.cnf": "[mysqld]\n"}, {})
    assert "includes it no more" in options_resource().plan(ctx).refusals[0]


def test_what_the_mode_has_stays_in_it(tmp_path: Path) -> None:
    ctx = host_with(tmp_path, server_of("trixie"), {}, {})
    resource = options_resource(sql_mode={"contains": ["STRICT_ALL_TABLES"]})
    (write,) = resource.plan(ctx).changes
    assert isinstance(write, WriteFile)
    assert b"NO_ENGINE_SUBSTITUTION,STRICT_ALL_TABLES" in write.content


def test_left_alone(tmp_path: Path) -> None:
    resource = options_resource(sql_mode={"contains": ["leave"]}, port={"is": "3306"})
    assert list(resource.wanted) == ["port"]


def test_a_folder_that_is_missing_is_made_first(tmp_path: Path) -> None:
    ctx = host_with(tmp_path, server_of("trixie"), {}, {})
    planned = options_resource(secure_file_priv={"is": "/srv/files"}).plan(ctx)
    first = planned.changes[0]
    assert isinstance(first, RunCommand)
    assert first.argv[-1] == "/srv/files"
    assert [root.path for root in planned.roots] == ["/srv/files"]


@pytest.mark.parametrize("body", [{}, [], {"Bad-Name": 1}, {"port": {"is": 'a"b'}}])
def test_bodies_that_are_refused(body: Any) -> None:
    with pytest.raises((StepError, msgspec.ValidationError)):
        Mariadb.parse("x", body)


def listening(directory: Path, **answers: str) -> Context:
    """Cloned: systemd listens for a MariaDB that says it is bound to loopback."""
    bound = "[mariadbd]\nbind-address = 127.0.0.1\n"
    return host_with(
        directory,
        server_of("trixie"),
        {f"{FOLDER}/50-server.cnf": bound},
        {words.replace("_", " "): text for words, text in answers.items()},
        units={
            "mariadb.service": unit("mariadb.service"),
            "mariadb.socket": unit("mariadb.socket"),
            "mariadb-extra.socket": unit("mariadb-extra.socket", "inactive", "disabled"),
        },
        ports=(Port("tcp", "::", 3306, "systemd", 1, "init.scope"),),
    )


def test_a_socket_unit_defeats_bind_address(tmp_path: Path) -> None:
    ctx = listening(tmp_path)
    resource = MariadbListen.parse("mariadb.listen", {})
    found = {one.setting: one for one in resource.observe(ctx)}
    assert found["bind_address"].ok
    assert not found["mariadb.socket"].ok
    assert found["mariadb-extra.socket"].ok
    assert (found["TCP ports"].ok, found["TCP ports"].running) == (False, "[::]:3306")
    planned = resource.plan(ctx)
    (command,) = planned.changes
    assert isinstance(command, RunCommand)
    assert command.argv == ("systemctl", "disable", "--now", "mariadb.socket")
    assert planned.stops == ("mariadb.socket", "tcp :: 3306")


def test_who_is_connected_from_elsewhere_is_not_cut_off(tmp_path: Path) -> None:
    ctx = listening(tmp_path, PROCESSLIST="192.0.2.7\tapp\n")
    planned = MariadbListen.parse("mariadb.listen", {}).plan(ctx)
    assert planned.refusals[0].startswith("192.0.2.7 is connected to MariaDB right now as app")


@pytest.mark.parametrize(
    ("said", "reached", "ok"),
    [
        ("ERROR 2002 (HY000): Can't connect to server on '10.0.0.1' (115)", False, True),
        ("ERROR 2002 (HY000): Can't connect to server on '10.0.0.1' (115)", True, False),
        ("ERROR 1130 (HY000): Host '10.0.0.1' is not allowed", False, False),
        ("ERROR 1045 (28000): Access denied", True, True),
    ],
)
def test_a_refusal_by_name_is_an_answer(tmp_path: Path, said: str, reached: bool, ok: bool) -> None:
    from steps.resources.mariadb_listen import _connection

    ctx = context(tmp_path)

    def answer(argv: Sequence[str], **options: Any) -> Completed:
        raise CommandFailed(Completed(tuple(argv), 1, "", said, 0.0))

    ctx.host.run = answer  # type: ignore[method-assign]  # the client's own words are given
    assert _connection(ctx, server_of("trixie"), "10.0.0.1", reached=reached).ok is ok


def test_a_port_that_is_meant_to_go_is_no_loss() -> None:
    before = Health(frozenset(), frozenset(), frozenset({("tcp", "::", 3306)}), {})
    after = Health(frozenset(), frozenset(), frozenset(), {})
    assert lost_ports(before, after)
    assert lost_ports(before, after, ("tcp :: 3306",)) == []


def test_a_socket_comes_back_beside_its_running_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd: "Socket service mariadb.service already active, refusing"."""
    host = Bench(tmp_path).host
    said: list[tuple[str, ...]] = []
    services = (
        Service(
            "mariadb.socket", "", "inactive", "dead", "disabled", triggers=("mariadb.service",)
        ),
        Service("mariadb.service", "", "active", "running", "enabled"),
    )
    monkeypatch.setattr(host, "services", lambda: services)

    def answer(argv: Sequence[str], **options: Any) -> Completed:
        if argv[1] in ("start", "stop"):
            said.append(tuple(argv[1:]))
        return Completed(tuple(argv), 0, "", "", 0.0)

    monkeypatch.setattr(host, "run", answer)
    Units().restore(host, {"mariadb.socket": ValueItem("active")}, Silent())
    assert said == [
        ("stop", "mariadb.service"),
        ("start", "mariadb.socket"),
        ("start", "mariadb.service"),
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_wrong_with_accounts(release: str) -> None:
    faults = {str(f.account): f.statements()[0] for f in faults_of(server_of(release), frozenset())}
    assert faults == {
        "''@'localhost'": "DROP USER ''@'localhost'",
        "'app'@'%'": "RENAME USER 'app'@'%' TO 'app'@'localhost'",
        "'open'@'localhost'": "DROP USER 'open'@'localhost'",
        "'root'@'%'": "DROP USER 'root'@'%'",
    }
    kept = faults_of(server_of(release), frozenset({("app", "%"), ("open", "localhost")}))
    assert [f.account.user for f in kept] == ["", "root"]


def test_debians_own_accounts_are_never_dropped() -> None:
    names = [("root", "localhost"), ("mysql", "localhost"), ("mariadb.sys", "localhost")]
    server = Server({}, tuple(Account(user, host, open=True) for user, host in names))
    faults = faults_of(server, frozenset())
    assert [f.statements()[0].split()[0] for f in faults] == ["ALTER"] * 3


def test_two_wild_accounts_of_one_name_do_not_collide() -> None:
    server = Server({}, (Account("app", "%"), Account("app", "10.%"), Account("app", "::1")))
    statements = [f.statements()[0] for f in faults_of(server, frozenset())]
    assert statements == [
        "RENAME USER 'app'@'%' TO 'app'@'localhost'",
        "DROP USER 'app'@'10.%'",
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_grants_are_shown_without_passwords(release: str) -> None:
    shown = grants_shown(recorded(release, "mariadb/grants").splitlines())
    assert "*F14" not in "".join(shown)
    assert any("IDENTIFIED BY PASSWORD (not shown) WITH MAX_USER_CONN" in line for line in shown)
    two = grants_shown(
        ["GRANT USAGE ON *.* TO `a`@`b` IDENTIFIED VIA x USING 'o\\'1' OR y USING 'S'"]
    )
    assert two == [
        "GRANT USAGE ON *.* TO `a`@`b` IDENTIFIED VIA x USING (not shown) OR y USING (not shown)\n"
    ]


def accounts_on(directory: Path, **answers: str) -> Context:
    given = {"SHOW GRANTS": recorded("trixie", "mariadb/grants"), "SCHEMATA LEFT": "1\t16384\n"}
    found = {words.replace("__", "."): text for words, text in answers.items()}
    return host_with(directory, server_of("trixie"), {}, {**found, **given})


def test_each_account_and_right_is_a_change_with_its_diff(tmp_path: Path) -> None:
    planned = MariadbAccounts.parse("x", {}).plan(accounts_on(tmp_path))
    changes = [change for change in planned.changes if isinstance(change, RunSql)]
    assert len(changes) == len(planned.changes) == 7
    moved = next(change for change in changes if change.sql[0].startswith("RENAME"))
    assert "-GRANT SELECT, INSERT ON `app`.* TO `app`@`%`\n" in moved.diff
    assert "+GRANT SELECT, INSERT ON `app`.* TO `app`@`localhost`\n" in moved.diff
    assert "*F14" not in "".join(change.diff for change in changes)
    assert planned.roots == (ACCOUNTS,)
    assert planned.refusals == ()


@pytest.mark.parametrize(
    ("words", "answer", "refusal"),
    [
        ("PROCESSLIST", "app\t192.0.2.7\t2\n", "is in use right now from 192.0.2.7"),
        ("mysql__proc", "app@%\tprocedure app.nothing\n", "procedure app.nothing belongs to"),
    ],
)
def test_what_is_in_use_is_not_taken_away(
    tmp_path: Path, words: str, answer: str, refusal: str
) -> None:
    planned = MariadbAccounts.parse("x", {}).plan(accounts_on(tmp_path, **{words: answer}))
    assert any(refusal in one for one in planned.refusals)


def test_a_large_test_database_is_not_dropped(tmp_path: Path) -> None:
    ctx = host_with(tmp_path, server_of("trixie"), {}, {"SCHEMATA LEFT": "1\t99999999\n"})
    assert "more than a test" in MariadbAccounts.parse("x", {}).plan(ctx).refusals[-1]


@pytest.mark.parametrize("keep", [["app"], ["a b@c"], [1]])
def test_what_cannot_be_kept(keep: list[Any]) -> None:
    with pytest.raises((StepError, msgspec.ValidationError)):
        MariadbAccounts.parse("x", {"keep": keep})


@pytest.mark.parametrize(("quiet", "lines"), [(True, []), (False, ["a", "thousand lines"])])
def test_a_program_that_prints_all_it_knows_is_heard_only_if_it_fails(
    quiet: bool, lines: list[str]
) -> None:
    class Heard(Silent):
        def output(self, line: str) -> None:
            heard.append(line)

    heard: list[str] = []
    validation = Validation(("sh", "-c", "echo a; echo thousand lines"), quiet=quiet)
    validate(LocalHost(), [validation], Heard())
    assert heard == lines
    failing = Validation(("sh", "-c", "echo unknown option >&2; exit 7"), quiet=quiet)
    with pytest.raises(SnapshotError, match="unknown option"):
        validate(LocalHost(), [failing], Silent())
