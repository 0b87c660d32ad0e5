"""MariaDB's accounts at undo, after somebody changed them too: nobody is locked out by halves."""

from __future__ import annotations

import re

import pytest

from tests.hosts.beds import idoit
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back
from tests.hosts.trials.mariadb import login, sql

pytestmark = pytest.mark.either_release

ACCOUNTS = "mariadb.accounts"
PASSWORD = "app.database-password"

FIRST = """
DELETE FROM mysql.global_priv WHERE User = 'app'; DELETE FROM mysql.db WHERE User = 'app';
DELETE FROM mysql.tables_priv WHERE User = 'app'; FLUSH PRIVILEGES;
CREATE DATABASE IF NOT EXISTS shop; CREATE TABLE IF NOT EXISTS shop.t (i INT);
CREATE DATABASE IF NOT EXISTS more; CREATE TABLE IF NOT EXISTS more.t (i INT);
CREATE USER app@'%' IDENTIFIED BY 'old-Secret-77'; GRANT ALL ON shop.* TO app@'%';
"""
COUNT = ("--execute", "SELECT COUNT(*) FROM shop.t")


def accounts(host: LabHost) -> list[str]:
    return sql(host, "SELECT Host FROM mysql.global_priv WHERE User = 'app'").split()


def renamed(host: LabHost) -> None:
    sql(host, FIRST)
    apply(host, ACCOUNTS)
    assert accounts(host) == ["localhost"]


def test_an_account_and_its_grants_are_undone_together(host: LabHost) -> None:
    renamed(host)
    sql(host, "ALTER USER app@localhost IDENTIFIED BY 'new-Secret-88'")
    assert harden(host, "rollback", ACCOUNTS, "--yes", check=False).returncode == 3
    harden(host, "rollback", ACCOUNTS, "--keep-current", "--yes")
    assert accounts(host) == ["localhost"]
    apply(host, ACCOUNTS)
    assert login(host, "app", "new-Secret-88", *COUNT) == "0\n"

    renamed(host)
    sql(host, "DROP USER app@localhost")
    shown = harden(host, "rollback", ACCOUNTS, "--dry-run").stdout
    assert "somebody removed 'app'@'localhost' since; it stays away" in " ".join(shown.split())
    roll_back(host, ACCOUNTS)
    assert accounts(host) == []

    renamed(host)
    sql(host, "GRANT SELECT ON more.* TO app@localhost; GRANT DELETE ON shop.t TO app@localhost")
    roll_back(host, ACCOUNTS)
    assert accounts(host) == ["%"]
    granted = sql(host, "SHOW GRANTS FOR app@'%'")
    assert all(f"ON `{what}" in granted for what in ("shop`.*", "more`.*", "shop`.`t`"))
    apply(host, ACCOUNTS)
    assert accounts(host) == ["localhost"]

    apply(host, "files.banners")
    host.run("systemctl", "stop", "mariadb.service", "mariadb.socket")
    refused = harden(host, "rollback", "--all", "--dry-run", check=False)
    assert refused.returncode == 3
    said = " ".join(refused.stderr.split())
    assert f"Nothing was touched. The undo of {ACCOUNTS} needs it" in said
    assert "`harden-tui rollback files.banners`" in said
    roll_back(host, "files.banners")
    host.run("systemctl", "start", "mariadb")
    roll_back(host, ACCOUNTS)
    assert accounts(host) == ["%"]


def test_a_database_password_is_undone_in_all_its_places(host: LabHost) -> None:
    idoit.install(host, 20)
    config = host.root / idoit.CONFIG.lstrip("/")

    apply(host, PASSWORD)
    config.write_text(f"{config.read_text()}// a note of mine\n")
    roll_back(host, PASSWORD)
    assert f"'{idoit.PASSWORD}'" in config.read_text()
    assert config.read_text().endswith("// a note of mine\n")
    assert idoit.answers(host)

    apply(host, PASSWORD)
    edited = re.sub(r"('pass' => '[^']*',)", r"\1 // mine", config.read_text())
    config.write_text(edited)
    assert harden(host, "rollback", PASSWORD, "--yes", check=False).returncode == 3
    harden(host, "rollback", PASSWORD, "--keep-current", "--yes")
    assert config.read_text() == edited
    assert idoit.answers(host)

    sql(host, FIRST)
    apply(host, ACCOUNTS)
    host.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get purge -y -q 'mariadb-server*'")
    host.run("rm", "-rf", "/var/lib/mysql")
    shown = harden(host, "rollback", ACCOUNTS, "--dry-run").stdout
    assert "MariaDB is not installed any more; its accounts do not come back" in shown
    assert "MariaDB>" not in shown
