"""A host with both applications, a full sys_log, and logs of a million lines."""

from __future__ import annotations

import time
from pathlib import Path

from tests.hosts.beds import idoit, typo3
from tests.hosts.beds.site import sql
from tests.hosts.lab import LabHost
from tests.hosts.program import furnish, harden

AT_ONCE = 250_000
"""Rows of one statement."""

IDOIT_LOG = f"{idoit.PATH}/log/failed-logins_2026-01-01.log"
ACCESS_LOG = "/var/log/apache2/access.log"


def install(host: LabHost, rows: int, lines: int) -> str:
    """Everything but the steps; the size of the table as MariaDB says it."""
    furnish(host)
    typo3.install(host, files=50)
    idoit.install(host, files=50)
    for script in ("writer.php", "failures.php"):
        host.write(f"/root/{script}", (Path(__file__).parent / script).read_text())
    _fill(host, rows)
    _lines(host, lines)
    sql(host, "ANALYZE TABLE typo3.sys_log")
    return sql(
        host,
        "SELECT CONCAT(ROUND((DATA_LENGTH + INDEX_LENGTH) / 1048576), ' MiB') FROM"
        " information_schema.TABLES WHERE TABLE_SCHEMA = 'typo3' AND TABLE_NAME = 'sys_log'",
        "-N",
    )


def _fill(host: LabHost, rows: int) -> None:
    """A year of a busy site: one row in five is a login, one in fifty a failed one."""
    sql(host, "SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    for first in range(1, rows + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, rows)
        host.run(
            "mariadb", "typo3", timeout_s=900,
            stdin="INSERT INTO sys_log (tstamp, userid, type, action, error, channel, IP, log_data,"
            " details) SELECT"
            f" UNIX_TIMESTAMP() - 90000 - 31536000 * ({rows} - seq) / {rows}, seq % 40,"
            " IF(seq % 5 = 0, 255, 1), IF(seq % 50 = 0, 3, IF(seq % 5 = 0, 1, 2)),"
            " IF(seq % 50 = 0, 3, 0), 'content', CONCAT('192.0.2.', seq % 250), '[\"editor\"]',"
            " 'Record ''A page of the site'' (pages:17) was updated. (Online).'"
            f" FROM seq_{first}_to_{last};\n",
        )  # fmt: skip
    sql(host, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")


def _lines(host: LabHost, lines: int) -> None:
    """i-doit's log of old failures, and Apache's of the last day."""
    failed = (
        "[2026-01-01T00:00:01+00:00] login.WARNING: Login failed for user bob"
        ' {"username":"bob","ip-address":"192.0.2.9","user-agent":"Mozilla/5.0 (X11)"} []\n'
    )
    with (host.root / IDOIT_LOG.lstrip("/")).open("w") as log:
        for _ in range(lines // 1000):
            log.write(failed * 1000)
    host.run("chown", "www-data:www-data", IDOIT_LOG)
    now_s = time.time()
    with (host.root / ACCESS_LOG.lstrip("/")).open("w") as log:
        for number in range(lines):
            at_s = now_s - 86400 + 86400 * number / lines
            log.write(access_line(f"192.0.2.{number % 250}", at_s, "GET /", 200))


def access_line(address: str, at_s: float, request: str, status: int) -> str:
    """A line of Apache's format "combined"."""
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at_s))
    return f'{address} - - [{stamp}] "{request} HTTP/1.1" {status} 512 "-" "Mozilla/5.0 (X11)"\n'


def apply(host: LabHost) -> None:
    """The two steps, as an administrator applies them."""
    harden(host, "apply", "typo3.backend-bans", "app.backend-bans", "--yes", timeout_s=600)
