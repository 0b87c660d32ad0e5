"""Backups: whether one is made, and whether one can be restored."""

from __future__ import annotations

import json

from tests.hosts.lab import LabHost
from tests.hosts.program import details, statuses
from tests.hosts.trials.mariadb import sql
from tests.hosts.trials.trial import Answers, Trial

DUMPS = "/var/backups/mariadb"
DUMPS_STAY = {f"{DUMPS}(/.*)?": "dumps that were made stay in their folder"}
MEASURED = "/var/lib/harden-tui/measured/restore-test.json"

SHOP = """
CREATE DATABASE shop CHARACTER SET latin1;
CREATE TABLE shop.goods (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(99), picture BLOB,
  price DECIMAL(9,2), made TIMESTAMP DEFAULT '2001-02-03 04:05:06') CHARACTER SET utf8mb4;
INSERT INTO shop.goods (name, picture, price)
  VALUES ('Stra\u00dfe \u20ac', x'00ff27', 1.5), (NULL, NULL, 2);
CREATE TABLE shop.`odd name` (a TEXT) ENGINE=Aria;
INSERT INTO shop.`odd name` VALUES ('tab\\tnewline\\n');
CREATE VIEW shop.cheap AS SELECT name FROM shop.goods WHERE price < 2;
CREATE TRIGGER shop.mind BEFORE INSERT ON shop.goods FOR EACH ROW SET NEW.price = NEW.price;
CREATE EVENT shop.purge ON SCHEDULE EVERY 1 SECOND DO DELETE FROM shop.goods WHERE price = 2;
"""


def scheduled(host: LabHost) -> Answers:
    dumps = host.out("ls", DUMPS).split()
    text = host.out("sh", "-c", f"zcat {DUMPS}/all-*.sql.gz")
    for number in range(1, 5):
        host.run("touch", f"{DUMPS}/all-2001010{number}T000000Z.sql.gz")
    host.run("cp", "-p", "/etc/harden-tui/backup.sh", "/root/short.sh")
    host.run("sed", "-i", "s/^keep=.*/keep=2/", "/root/short.sh")
    host.run("sh", "/root/short.sh")
    left = host.out("ls", DUMPS).split()
    timer = host.out("systemctl", "show", "harden-tui-backup.timer", "-p", "NextElapseUSecRealtime")
    return [
        ("one dump was made", len(dumps) == 1),
        ("it holds accounts and tables", "CREATE TABLE" in text and "global_priv" in text),
        ("only root can look at it", host.out("stat", "-c", "%U %a", DUMPS) == "root 700"),
        ("the timer will elapse", "03:" in timer),
        ("the oldest go, the newest stay", len(left) == 2 and dumps[0] in left),
    ]


def without_dumps(host: LabHost) -> None:
    assert host.out("ls", DUMPS) != "", "the undo took the dumps away"
    host.run("rm", "-r", DUMPS)


def with_a_shop(host: LabHost) -> None:
    sql(host, SHOP)


def without_a_shop(host: LabHost) -> None:
    assert sql(host, "SHOW DATABASES LIKE 'harden%'") == "", "the scratch database is left"
    sql(host, "DROP DATABASE shop")


def restored(host: LabHost) -> Answers:
    kept = json.loads(host.out("cat", MEASURED))
    found = details(host, "backup.restore-test")["steps"][0]
    old = host.ssh(
        "sudo harden-tui check backup.restore-test --set backup.restore-test.database=mysql2",
        check=False,
    )
    goods = sql(host, "SELECT COUNT(*), @@event_scheduler FROM shop.goods")
    return [
        ("two tables and a view were compared", kept["tables"] == 3 and kept["rows"] == 3),
        ("the check tells when, and how long it took", kept["when"][:10] in found["note"]),
        ("another database is not tested", old.returncode == 1),
        ("the database is as it was", goods == "2\tOFF"),
        ("no scratch database is left", sql(host, "SHOW DATABASES LIKE 'harden%'") == ""),
        ("no dump is left", host.run("ls", "/var/lib/harden-tui/restore-test", check=False)
         .returncode != 0),
        ("a test that is too old does not count", too_old(host) == "fail"),
    ]  # fmt: skip


def too_old(host: LabHost) -> str:
    """The status once the test ran out."""
    kept = host.out("cat", MEASURED)
    old = json.dumps({**json.loads(kept), "when": "2001-02-03T04:05:06+00:00"})
    host.run("sh", "-c", f"cat >{MEASURED}", stdin=old)
    found = statuses(host, "backup.restore-test")
    host.run("sh", "-c", f"cat >{MEASURED}", stdin=kept + "\n")
    return found["backup.restore-test"]


TRIALS = (
    Trial(
        step="backup.restore-test",
        holds=restored,
        furnish=with_a_shop,
        tidy=without_a_shop,
        roots=("/var/lib/harden-tui/measured",),
    ),
    Trial(step="backup.schedule", holds=scheduled, stays=DUMPS_STAY, tidy=without_dumps),
)
