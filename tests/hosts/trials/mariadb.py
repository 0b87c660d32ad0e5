"""MariaDB: its options, where it listens, who may log in; asked with its own client."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.program import harden
from tests.hosts.trials.trial import Answers, Trial


def sql(host: LabHost, statements: str) -> str:
    """What MariaDB answers to root, tab-separated."""
    return host.run(
        "mariadb", "--user=root", "--batch", "--skip-column-names", stdin=statements
    ).stdout.rstrip("\n")


def options_hold(host: LabHost) -> Answers:
    sql(host, "CREATE USER trial@localhost; GRANT FILE ON *.* TO trial@localhost;")
    outside = host.run(
        "mariadb", "--user=trial", "--execute", "SELECT 1 INTO OUTFILE '/tmp/trial.out'",
        check=False,
    )  # fmt: skip
    listed = host.run("mariadb", "--user=trial", "--execute", "SHOW DATABASES", check=False)
    loaded = host.run(
        "mariadb", "--user=root", "--local-infile=1", "--execute",
        "CREATE TEMPORARY TABLE mysql.trial (a TEXT);"
        " LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE mysql.trial",
        check=False,
    )  # fmt: skip
    sql(host, "DROP USER trial@localhost;")
    return [
        ("no file is written outside the folder", "1290" in outside.stderr),
        ("no account lists all databases", "1227" in listed.stderr),
        ("a client's files cannot be loaded", "1148" in loaded.stderr or "4166" in loaded.stderr),
        ("no symbolic links", sql(host, "SELECT @@have_symlink") == "DISABLED"),
        ("strict SQL mode", "STRICT_TRANS_TABLES" in sql(host, "SELECT @@global.sql_mode")),
        (
            "still so after a restart",
            host.run("systemctl", "restart", "mariadb").returncode == 0
            and sql(host, "SELECT @@global.local_infile, @@secure_file_priv")
            == "0\t/var/lib/mysql-files/",
        ),
    ]


def open_to_all(host: LabHost) -> None:
    """As on a machine that was cloned: systemd listens for MariaDB."""
    host.run("systemctl", "stop", "mariadb.service")
    host.run("systemctl", "enable", "--now", "mariadb.socket")
    host.run("systemctl", "start", "mariadb.service")
    assert "*:3306" in host.out("ss", "-H", "-ltn", "sport = :3306"), "the trap was not set"
    assert sql(host, "SELECT @@bind_address") == "127.0.0.1"


def listens_here_only(host: LabHost) -> Answers:
    own = host.address
    outside = host.run(
        "mariadb", f"--host={own}", "--protocol=tcp", "--connect-timeout=3", check=False
    ).stderr
    inside = host.run(
        "mariadb", "--host=127.0.0.1", "--protocol=tcp", "--user=nobody", check=False
    ).stderr
    started = host.run("systemctl", "is-enabled", "mariadb.socket", check=False).stdout.strip()
    heard = [line.split()[3] for line in host.out("ss", "-H", "-ltn", "sport = :3306").splitlines()]
    return [
        ("the host's own address is not answered", "ERROR 2002" in outside),
        ("loopback is answered", "ERROR 1045" in inside or "ERROR 1698" in inside),
        ("mariadb.socket is disabled", started == "disabled"),
        ("only 127.0.0.1 is bound", heard == ["127.0.0.1:3306"]),
    ]


ACCOUNTS = r"""
ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING '';
CREATE USER ''@'localhost';
CREATE USER open@localhost;
CREATE USER root@'%' IDENTIFIED BY 'remote-root';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
CREATE DATABASE app;
CREATE TABLE app.items (id INT PRIMARY KEY, name TEXT, secret TEXT);
CREATE PROCEDURE app.nothing() DO 0;
CREATE ROLE readers;
GRANT SELECT ON app.* TO readers;
CREATE USER app@'%' IDENTIFIED BY 'app-password' REQUIRE NONE WITH MAX_USER_CONNECTIONS 7;
GRANT SELECT, INSERT ON app.* TO app@'%';
GRANT UPDATE (name) ON app.items TO app@'%';
GRANT DELETE ON app.items TO app@'%';
GRANT EXECUTE ON PROCEDURE app.nothing TO app@'%';
GRANT readers TO app@'%';
CREATE DATABASE test;
CREATE TABLE test.old (id INT PRIMARY KEY AUTO_INCREMENT, what BLOB);
INSERT INTO test.old (what) VALUES (x'00ff27'), ('Gr\xc3\xbc\xc3\x9fe'), (NULL);
CREATE TRIGGER test.mind BEFORE INSERT ON test.old FOR EACH ROW SET NEW.what = NEW.what;
INSERT INTO mysql.db (Host, Db, User, Select_priv) VALUES ('%', 'test', '', 'Y');
INSERT INTO mysql.db (Host, Db, User, Select_priv) VALUES ('%', 'test\\_%', '', 'Y');
FLUSH PRIVILEGES;
"""

_dumps: dict[str, str] = {}


def loose_accounts(host: LabHost) -> None:
    """As after an old installation: anonymous, remote, without a password, for every host."""
    sql(host, ACCOUNTS)
    _dumps[host.name] = dump_of_test(host)


def dump_of_test(host: LabHost) -> str:
    return host.out("mariadb-dump", "--skip-dump-date", "--routines", "--hex-blob", "test")


def without_loose_accounts(host: LabHost) -> None:
    assert dump_of_test(host) == _dumps.pop(host.name), "test is not what it was"
    sql(
        host,
        "DROP DATABASE test; DROP DATABASE app; DROP ROLE readers; DROP USER ''@localhost,"
        " open@localhost, root@'%', app@'%'; DELETE FROM mysql.db WHERE User = '';"
        " ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING 'invalid'"
        " OR unix_socket; FLUSH PRIVILEGES;",
    )


def login(host: LabHost, user: str, password: str, *more: str) -> str:
    """What somebody who logs in over the socket is told."""
    done = host.run(
        "mariadb", "--no-defaults", "--socket=/run/mysqld/mysqld.sock", f"--user={user}",
        f"--password={password}", "--batch", "--skip-column-names", *more, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def accounts_hold(host: LabHost) -> Answers:
    app = login(
        host, "app", "app-password", "--execute",
        "SELECT CURRENT_USER(); SELECT name FROM app.items; UPDATE app.items SET name = '';"
        " CALL app.nothing(); SET ROLE readers; SELECT CURRENT_ROLE()",
    )  # fmt: skip
    hashes = sql(
        host,
        "SELECT JSON_VALUE(Priv, '$.authentication_string') FROM mysql.global_priv"
        " WHERE User = 'app' UNION SELECT PASSWORD('remote-root')",
    ).split()
    told = "".join(
        harden(host, *words, check=False).stdout
        for words in (
            ("history", "show", "mariadb.accounts"),
            ("history", "show", "mariadb.accounts", "--format", "json"),
            ("log", "export", "--format", "json"),
            ("rollback", "mariadb.accounts", "--dry-run"),
            ("rollback", "mariadb.accounts", "--dry-run", "--format", "json"),
        )
    )
    as_root = ("mariadb", "--user=root", "--execute", "SELECT 1")
    stranger = host.run("runuser", "-u", "alice", "--", *as_root, check=False)
    users = sql(host, "SELECT User, Host FROM mysql.global_priv WHERE User <> 'PUBLIC'")
    return [
        ("nobody gets in without a name", "ERROR 1045" in login(host, "stranger", "")),
        ("nobody gets in without a password", "ERROR 1045" in login(host, "open", "")),
        ("who is not root is not let in as root", "ERROR 1698" in stranger.stderr),
        ("root at any host is gone", "root\t%" not in users),
        ("Debian's accounts stay", all(f"{n}\tlocalhost" in users for n in ("root", "mysql"))),
        ("the application logs in as before", app.splitlines() == ["app@localhost", "readers"]),
        ("test is gone", "test" not in sql(host, "SHOW DATABASES").split()),
        ("nobody has rights on it", not sql(host, "SELECT * FROM mysql.db WHERE Db LIKE 'test%'")),
        ("history and log tell of the accounts", "global_priv" in told and "'app'" in told),
        ("and of no password", len(hashes) == 2 and not any(one in told for one in hashes)),
    ]


TRIALS = (
    Trial(step="mariadb.options", holds=options_hold, roots=("/var/lib/mysql-files",)),
    Trial(step="mariadb.listen", holds=listens_here_only, furnish=open_to_all),
    Trial(
        step="mariadb.accounts",
        holds=accounts_hold,
        furnish=loose_accounts,
        tidy=without_loose_accounts,
    ),
)
