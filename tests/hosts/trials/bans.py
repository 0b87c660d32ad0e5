"""Bans after failed logins of TYPO3 and i-doit: real logins over HTTP, from a second address."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.hosts.beds import idoit, typo3
from tests.hosts.beds.site import sql
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, furnish, harden
from tests.hosts.trials.trial import Answers, Trial

LIMIT_S = 20.0
"""Until a ban is there: a second to read, a few for fail2ban."""

TYPO3_FORM = {"username": "admin", "userident": "wrong", "login_status": "login"}
IDOIT_FORM = {
    "login_username": "admin", "login_password": "wrong", "login_mandator": "1",
    "login_submit": "Login",
}  # fmt: skip


def stranger(host: LabHost, last: int) -> str:
    """Another address of this machine that reaches the host."""
    address = f"10.77.{host.number}.{last}"
    subprocess.run(["ip", "addr", "replace", f"{address}/24", "dev", f"ve-{host.name}"], check=True)
    return address


def post(host: LabHost, site: str, path: str, form: dict[str, str], source: str = "") -> int:
    """The status of one login from `source`, 0 where the host turned the connection away."""
    connection = http.client.HTTPConnection(
        host.address, 80, timeout=5, source_address=(source, 0) if source else None
    )
    try:
        headers = {"Host": site, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode(form), headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds within `LIMIT_S`."""
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def banned(host: LabHost, jail: str, address: str) -> bool:
    """fail2ban says so, and so does the kernel."""
    status = host.run("fail2ban-client", "status", jail, check=False).stdout
    listed = address in status.partition("Banned IP list:")[2].split()
    return listed and address in host.out("nft", "list", "set", "inet", "f2b-table",
                                          f"addr-set-{jail}")  # fmt: skip


def _typo3(host: LabHost) -> None:
    typo3.install(host, files=50)


def _no_typo3(host: LabHost) -> None:
    sql(host, "DROP DATABASE typo3; DROP USER typo3@localhost;")
    _no_site(host, typo3.SITE, typo3.PATH)


def _no_site(host: LabHost, site: str, path: str) -> None:
    host.run("a2dissite", "-q", site)
    host.run("rm", "-rf", path, f"/etc/apache2/sites-available/{site}.conf")
    host.run("sh", "-c", f"rm -f /var/log/apache2/{site}.*")
    host.run("systemctl", "restart", "apache2")


def _typo3_bans(host: LabHost) -> Answers:
    service, login = "harden-tui-typo3-logins", "/typo3/login"
    guesser, other = stranger(host, 9), stranger(host, 10)
    mine = [post(host, typo3.SITE, login, TYPO3_FORM) for _ in range(7)]
    guesses = [post(host, typo3.SITE, login, TYPO3_FORM, guesser) for _ in range(5)]
    answers = [
        ("TYPO3 answers 200 to a wrong password, and 403 after five of them",
         mine == [200] * 5 + [403] * 2),
        ("a stranger's are answered too", guesses == [200] * 5),
        ("the stranger is banned", eventually(lambda: banned(host, "typo3-backend", guesser))),
        ("a connection from there is refused",
         post(host, typo3.SITE, login, TYPO3_FORM, guesser) == 0),
        ("the administrator is not", post(host, typo3.SITE, login, TYPO3_FORM) == 403),
        ("names and addresses are in the journal",
         f'TYPO3 refused a login from {guesser} to typo3 as "admin"'
         in host.out("journalctl", "-q", "-o", "cat", "-u", service)),
    ]  # fmt: skip
    answers += _by_hand(host, guesser)
    host.run("systemctl", "stop", service)
    turned_away = [post(host, typo3.SITE, login, TYPO3_FORM, other) for _ in range(10)]
    answers += [
        ("without the table five are seen", turned_away == [200] * 5 + [403] * 5),
        ("what the web server turned away bans too",
         eventually(lambda: banned(host, "typo3-web", other))),
    ]  # fmt: skip
    host.run("systemctl", "start", service)
    account = "harden-tui-typo3"
    as_reader = ("runuser", "-u", account, "--", "mariadb", "-N", "typo3", "-e")
    answers += [
        ("what came while the service was down is read then",
         eventually(lambda: banned(host, "typo3-backend", other))),
        ("the account reads the table",
         host.run(*as_reader, "SELECT MAX(uid) FROM sys_log", check=False).returncode == 0),
        ("it reads no passwords",
         host.run(*as_reader, "SELECT password FROM be_users", check=False).returncode != 0),
        ("it writes nothing",
         host.run(*as_reader, "DELETE FROM sys_log", check=False).returncode != 0),
        ("others cannot be it",
         host.run("runuser", "-u", "www-data", "--", "mariadb", "-u", account, check=False)
         .returncode != 0),
    ]  # fmt: skip
    host.run("rm", "-r", f"{typo3.PATH}/var/cache/data/ratelimiter")  # TYPO3's own, of the guesses
    return answers


def _by_hand(host: LabHost, guesser: str) -> Answers:
    """What Live says, and letting in and banning by hand."""
    live = json.loads(harden(host, "live", "--once", "--format", "json").stdout)["logins"]
    row: dict[str, Any] = next((one for one in live["addresses"] if one["address"] == guesser), {})
    tried: dict[str, Any] = next((one for one in live["accounts"] if one["account"] == "admin"), {})
    mine = f"10.77.{host.number}.1"
    let_in = harden(host, "unban", guesser, "--yes")
    answered = eventually(
        lambda: post(host, typo3.SITE, "/typo3/login", TYPO3_FORM, guesser) == 403
    )
    again = harden(host, "ban", guesser, "--jail", "typo3-web", "--yes")
    return [
        ("Live has the address, its number and its ban",
         row.get("counts", {}).get("typo3") == 5 and "typo3-backend" in row.get("banned", ())),
        ("Live has the account, from two addresses", tried.get("addresses") == 2),
        ("let in by hand it is answered again", "let in again" in let_in.stdout and answered),
        ("banned by hand it is not", "is banned by the jail typo3-web" in again.stdout
         and eventually(lambda: post(host, typo3.SITE, "/", {}, guesser) == 0)),
        ("the administrator is not banned by hand",
         harden(host, "ban", mine, "--yes", check=False).returncode == 3),
    ]  # fmt: skip


def _idoit(host: LabHost) -> None:
    idoit.install(host, files=50)


def _no_idoit(host: LabHost) -> None:
    sql(host, "DROP DATABASE idoit_system; DROP DATABASE idoit_data; DROP USER idoit@localhost;")
    _no_site(host, idoit.SITE, APP)
    furnish(host)


def _idoit_bans(host: LabHost) -> Answers:
    guesser = stranger(host, 9)
    for _ in range(6):
        post(host, idoit.SITE, "/", IDOIT_FORM)
    guesses = [post(host, idoit.SITE, "/", IDOIT_FORM, guesser) for _ in range(5)]
    answers = [
        ("i-doit answers", all(guesses)),
        ("the stranger is banned", eventually(lambda: banned(host, "idoit-backend", guesser))),
        ("a connection from there is refused",
         post(host, idoit.SITE, "/", IDOIT_FORM, guesser) == 0),
        ("the administrator is not", post(host, idoit.SITE, "/", IDOIT_FORM) != 0),
    ]  # fmt: skip
    # Tomorrow has a file of its own, which fail2ban itself would not find.
    far = "203.0.113.77"
    line = (
        "[2031-01-01T00:00:01+00:00] login.WARNING: Login failed for user x"
        f' {{"username":"x","ip-address":"{far}","user-agent":"curl"}} []\n'
    )
    tomorrow = f"{APP}/log/failed-logins_2031-01-01.log"
    host.run("runuser", "-u", "www-data", "--", "tee", "-a", tomorrow, stdin=line * 5)
    answers.append(
        ("a new day's file is read", eventually(lambda: banned(host, "idoit-backend", far)))
    )
    # i-doit's own, of the guesses.
    host.run("sh", "-c", f"rm {APP}/log/failed-logins_*.log")
    return answers


TRIALS = (
    Trial(
        step="typo3.backend-bans",
        furnish=_typo3,
        tidy=_no_typo3,
        holds=_typo3_bans,
    ),
    Trial(
        step="app.backend-bans",
        furnish=_idoit,
        tidy=_no_idoit,
        holds=_idoit_bans,
    ),
)
