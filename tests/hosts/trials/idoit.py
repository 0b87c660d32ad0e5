"""i-doit and TYPO3: the rights of their database accounts, and who may log in to them."""

from __future__ import annotations

import re
from contextlib import suppress

from tests.hosts.beds import idoit, typo3
from tests.hosts.lab import LabHost
from tests.hosts.program import details, harden, statuses
from tests.hosts.trials.mariadb import login, sql
from tests.hosts.trials.trial import Answers, Trial

STATE = "/var/lib/harden-tui"
ROWS = (
    "SELECT isys_mandator__id, HEX(isys_mandator__db_pass), isys_mandator__db_password"
    " FROM idoit_system.isys_mandator; SELECT User, Host, Priv FROM mysql.global_priv"
    " WHERE User IN ('idoit', 'typo3'); SELECT * FROM idoit_system.isys_settings;"
    " SELECT * FROM idoit_data.isys_cats_person_list; SELECT * FROM mysql.db"
    " WHERE User IN ('idoit', 'typo3');"
)


kept: dict[str, str] = {}
"""By host, what the rows were before the apply."""


def without_applications(host: LabHost) -> None:
    """Take both beds away again."""
    for site, path in ((idoit.SITE, idoit.PATH), (typo3.SITE, typo3.PATH)):
        host.run("a2dissite", "-q", site, check=False)
        host.run("rm", "-rf", f"/etc/apache2/sites-available/{site}.conf", path)
    host.run("systemctl", "reload", "apache2")
    with suppress(AssertionError):
        sql(
            host,
            "DROP DATABASE IF EXISTS idoit_system; DROP DATABASE IF EXISTS idoit_data; DROP"
            " DATABASE IF EXISTS idoit_branch; DROP DATABASE IF EXISTS typo3; DROP USER IF EXISTS"
            " idoit@localhost, typo3@localhost;",
        )


def far_reaching(host: LabHost) -> None:
    """i-doit's account may do everything, TYPO3's may come from anywhere and lock tables."""
    idoit.install(host, 50)
    typo3.install(host, 50)
    sql(
        host,
        "REVOKE ALL PRIVILEGES ON idoit_data.* FROM idoit@localhost;"
        " GRANT ALL PRIVILEGES ON *.* TO idoit@localhost WITH GRANT OPTION;"
        " CREATE USER idoit@'192.0.2.7' IDENTIFIED BY 'x'; GRANT SELECT ON mysql.* TO"
        " idoit@'192.0.2.7'; RENAME USER typo3@localhost TO typo3@'%';",
    )
    kept[host.name] = sql(host, ROWS)


def rights_hold(host: LabHost) -> Answers:
    def told_idoit(statement: str) -> str:
        return login(host, "idoit", idoit.PASSWORD, "--execute", statement)

    def told_typo3(statement: str) -> str:
        return login(host, "typo3", typo3.PASSWORD, "--execute", statement)

    hosts = sql(host, "SELECT Host FROM mysql.global_priv WHERE User IN ('idoit', 'typo3')")
    update = "CREATE TABLE {0}.trial (a INT); ALTER TABLE {0}.trial ADD b INT; DROP TABLE {0}.trial"
    return [
        ("both from this machine only", hosts.split() == ["localhost", "localhost"]),
        ("the i-doit answers", idoit.answers(host)),
        ("the TYPO3 answers", typo3.answers(host)),
        ("no hashes are read", "ERROR 1142" in told_idoit("SELECT * FROM mysql.global_priv")),
        (
            "no files are written",
            "Access denied" in told_idoit("SELECT 1 INTO OUTFILE '/tmp/trial'"),
        ),
        ("no accounts are made", "ERROR 1227" in told_idoit("CREATE USER trial@localhost")),
        (
            "nothing is passed on",
            "ERROR" in told_idoit("GRANT SELECT ON idoit_data.* TO root@localhost"),
        ),
        ("i-doit can be updated", not told_idoit(update.format("idoit_data"))),
        ("and its system database", not told_idoit(update.format("idoit_system"))),
        ("TYPO3 can be updated", not told_typo3(update.format("typo3"))),
        ("TYPO3 locks no tables", "ERROR 1044" in told_typo3("LOCK TABLES typo3.sys_log READ")),
        (
            "TYPO3 reads no other database",
            "ERROR" in told_typo3("SELECT * FROM idoit_data.isys_obj"),
        ),
    ]


def rights_as_they_were(host: LabHost) -> None:
    assert sql(host, ROWS) == kept.pop(host.name), "the rights are not what they were"
    sql(host, "DROP USER idoit@'192.0.2.7', typo3@'%';")
    without_applications(host)


DEFAULTS = ("guest", "reader", "editor", "author", "archivar", "admin")
LOCK = ("--set", f"app.default-logins.change={','.join(DEFAULTS)}")
JOB = "/etc/cron.d/i-doit"


def signed_in(host: LabHost) -> list[str]:
    """Who logs in to i-doit with their own name."""
    return [name for name in DEFAULTS if "Signed in" in idoit.log_in(host, name, name).body]


def as_delivered(host: LabHost) -> None:
    """All default logins of both tenants, and for a while a TYPO3 with one and a job of cron."""
    step = "app.default-logins"
    idoit.install(host, 50, plain_tenant=True)
    assert signed_in(host) == list(DEFAULTS)
    typo3.install(host, 50)
    sql(host, "UPDATE typo3.be_users SET password = MD5('password') WHERE username = 'editor'")
    console = f"{idoit.PATH}/console.php"
    host.write(JOB, f"5 * * * * www-data php {console} search-index --user admin -p admin\n")
    shown = {one["setting"]: one for one in details(host, step)["steps"][0]["findings"]}
    assert shown["login admin in idoit_data"]["note"] == f"used by {JOB}:1"
    assert shown["login editor in typo3"]["running"] == "one that everybody knows"
    assert shown["login admin in typo3"]["ok"] is True
    refused = harden(host, "apply", step, *LOCK, "--yes", check=False)
    said = " ".join((refused.stdout + refused.stderr).split())
    assert refused.returncode == 3, said
    assert f"{JOB}:1 logs in as admin and would fail" in said
    assert "The password of editor of TYPO3" in said
    host.run("rm", "-r", JOB, typo3.PATH)
    host.run("a2dissite", "-q", typo3.SITE)
    host.run("systemctl", "reload", "apache2")
    assert signed_in(host) == list(DEFAULTS)
    kept[host.name] = sql(host, ROWS)


def logins_hold(host: LabHost) -> Answers:
    branch = idoit.log_in(host, "reader", "reader", tenant=2)
    hashes = sql(
        host,
        "SELECT isys_cats_person_list__user_pass FROM idoit_data.isys_cats_person_list"
        " WHERE isys_cats_person_list__user_pass <> ''",
    ).split()
    told = "".join(
        harden(host, *words, check=False).stdout
        for words in (("history", "show", "app.default-logins"), ("log", "export"))
    )
    nobody = signed_in(host) == []
    host.run("sh", "-c", f"rm {idoit.PATH}/log/failed-logins_*.log")
    return [
        ("nobody signs in with their name", nobody),
        ("nor in the other tenant", "Signed in" not in branch.body),
        ("hashes look like bcrypt", all(re.fullmatch(r"\$2y\$10\$\S{53}", h) for h in hashes)),
        ("each is another", len(set(hashes)) == len(DEFAULTS)),
        ("the history tells whose", "isys_cats_person_list" in told),
        ("and no hash", not any(h in told for h in hashes)),
        ("the site answers", idoit.answers(host)),
    ]


def logins_as_they_were(host: LabHost) -> None:
    assert signed_in(host) == list(DEFAULTS)
    rows_as_they_were(host)


CACHE = f"{idoit.PATH}/temp/settings.cache"


def forged_requests(host: LabHost) -> None:
    """As after an update from an old release: no row, and a cache that says so."""
    idoit.install(host, 50)
    sql(host, "DELETE FROM idoit_system.isys_settings WHERE isys_settings__key LIKE '%csrf'")
    host.write(CACHE, '{"session.time":"300","system.security.csrf":"0"}', 0o664)
    host.run("chown", "www-data:www-data", CACHE)
    kept[host.name] = sql(host, ROWS)


def csrf_holds(host: LabHost) -> Answers:
    """i-doit reads the cache where there is one, and makes it from the table where
    there is none."""
    row = sql(
        host,
        "SELECT isys_settings__value, isys_settings__isys_mandator__id FROM"
        " idoit_system.isys_settings WHERE isys_settings__key = 'system.security.csrf'",
    )
    gone = host.run("test", "-e", CACHE, check=False).returncode == 1
    host.write(CACHE, '{"system.security.csrf":"0"}', 0o664)
    stale = statuses(host, "app.csrf")["app.csrf"]
    host.run("rm", CACHE)
    return [
        ("the row is there, for the whole system", row == "1\t0"),
        ("the cache is cleared", gone),
        ("a cache that says otherwise counts", stale == "fail"),
        ("the site answers", idoit.answers(host)),
    ]


def rows_as_they_were(host: LabHost) -> None:
    assert sql(host, ROWS) == kept.pop(host.name), "the rows are not what they were"
    without_applications(host)


def attested(host: LabHost) -> Answers:
    """Only a person can say it, and what they said runs out."""
    step = "app.two-factor"
    note = ("--note", "TOTP for all administrators", "--until", "2099-12-31")
    harden(host, "steps", "attest", step, *note)
    answer = statuses(host, step)[step]
    listed = harden(host, "check", step).stdout
    host.run("rm", f"{STATE}/answers.json")
    return [
        ("a person vouched for it", answer == "attested"),
        ("with a note and an end", "TOTP" in listed and "2099-12-31" in listed),
        ("and is asked again without it", statuses(host, step)[step] == "manual"),
    ]


TRIALS = (
    Trial(
        step="app.default-logins",
        holds=logins_hold,
        furnish=as_delivered,
        tidy=logins_as_they_were,
        given=LOCK,
        rows=ROWS,
    ),
    Trial(
        step="app.csrf",
        holds=csrf_holds,
        furnish=forged_requests,
        tidy=rows_as_they_were,
        stays={re.escape(CACHE): "i-doit's cache of its settings, which it makes anew"},
    ),
    Trial(step="app.two-factor", holds=attested, before="manual", changes=False),
    Trial(
        step="app.database-rights",
        holds=rights_hold,
        furnish=far_reaching,
        tidy=rights_as_they_were,
    ),
)
