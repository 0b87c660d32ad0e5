"""A new password for the database accounts of i-doit and TYPO3, and who asks meanwhile."""

from __future__ import annotations

import json
import re
import subprocess
import time

from tests.hosts.beds import idoit, typo3
from tests.hosts.client import Client
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import harden
from tests.hosts.trials.idoit import ROWS, STATE, without_applications
from tests.hosts.trials.mariadb import login, sql
from tests.hosts.trials.trial import Answers, Trial

CONFIG = {idoit.SITE: f"{idoit.PATH}/src/config.inc.php", typo3.SITE: typo3.COMPOSER.settings}

_kept: dict[str, tuple[str, list[Client]]] = {}


def password_in(host: LabHost, site: str) -> str:
    """What the application logs in with, as its file says."""
    text = (host.root / CONFIG[site].lstrip("/")).read_text()
    found = re.search(r"'pass(?:word)?' => '([^']*)'", text)
    assert found
    return found[1]


def weak_passwords(host: LabHost) -> None:
    """Both applications as an installer leaves them, after a change that was killed half-way."""
    idoit.install(host, 200, plain_tenant=True)
    typo3.install(host, 200)
    clean = fingerprint(host, idoit.PATH, typo3.PATH)
    rows = sql(host, ROWS)
    killed_half_way(host)
    assert password_in(host, idoit.SITE) != idoit.PASSWORD, "it was not caught in the middle"
    harden(host, "recover", "--yes")
    left = differences(clean, fingerprint(host, idoit.PATH, typo3.PATH))
    assert left == [], left
    assert sql(host, ROWS) == rows
    assert idoit.answers(host)
    clients = visitors(host)
    _kept[host.name] = (rows, clients)


def visitors(host: LabHost) -> list[Client]:
    """One at each site, from now on."""
    sites = ((idoit.SITE, "8 objects"), (typo3.SITE, "Home of the example"))
    clients = [Client(host.address, site, words) for site, words in sites]
    for client in clients:
        client.begin("the change, or its undo")
    return clients


def killed_half_way(host: LabHost) -> None:
    """The hands are killed when the file has the new password and the account both."""
    step = ("app.database-password", "--checklist", "i-doit", "--yes")
    command = f"sudo harden-tui apply {' '.join(step)}"
    begun = subprocess.Popen(
        host.ssh_argv(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 60
    while password_in(host, idoit.SITE) == idoit.PASSWORD and time.monotonic() < until:
        time.sleep(0.02)
    latest = host.out("sh", "-c", f"cat $(ls -td {STATE}/runs/*/ | head -1)run.json")
    host.run("kill", "-KILL", str(json.loads(latest)["pid"]), check=False)
    begun.wait(60)


def password_holds(host: LabHost) -> Answers:
    rows, clients = _kept[host.name]
    phases = [phase for client in clients for phase in client.end()]
    lost = [why for phase in phases for why in phase.lost]
    asked = min(phase.asked for phase in phases)
    new = [password_in(host, site) for site in CONFIG]
    tenants = host.run(
        "runuser", "-u", "www-data", "--", "php", f"{idoit.PATH}/console.php", "tenant-list",
        check=False,
    )  # fmt: skip
    old = (("idoit", idoit.PASSWORD), ("typo3", typo3.PASSWORD))
    answers = [
        (f"no request of {asked} was lost, not {lost[:3]}", asked > 0 and not lost),
        ("all tenants are let in", tenants.stdout.count(" active") == 2),
        ("the i-doit answers", idoit.answers(host)),
        ("the TYPO3 answers", typo3.answers(host)),
        ("old passwords are not let in", all("ERROR 1045" in login(host, *o) for o in old)),
        ("new ones differ and are long", len(set(new)) == 2 and min(map(len, new)) >= 32),
        ("the accounts have others", sql(host, ROWS) != rows),
        ("tenants' passwords are encrypted", new[0] not in sql(host, ROWS)),
    ]
    secrets = [*new, *(password for _, password in old)]
    answers += [
        (f"{what} tells no password", bool(text) and not any(s in text for s in secrets))
        for what, text in told(host)
    ]
    clients[:] = visitors(host)
    return answers


def told(host: LabHost) -> list[tuple[str, str]]:
    """Everything that tells of a change: files of ours but for kept contents, logs, programs."""
    step = "app.database-password"
    kept = f"-not -path '{STATE}/snapshots/objects/*' -not -path '{STATE}/snapshots/secrets/*'"
    found = [
        (what, host.out("sh", "-c", f"{command} | tr -c '[:print:]' '\\n'"))
        for what, command in (
            ("the state directory", f"find {STATE} -type f {kept} -exec cat {{}} +"),
            ("the session log", "cat /var/log/harden-tui/*"),
            ("the journal", "journalctl -o cat -a"),
            ("Apache's log", "cat /var/log/apache2/*.log"),
            ("every command line", "cat /proc/[0-9]*/cmdline"),
        )
    ]
    for words in (
        ("history", "show", step), ("history", "show", step, "--format", "json"),
        ("log", "export", "--format", "json"), ("rollback", step, "--dry-run"),
        ("rollback", step, "--dry-run", "--format", "json"), ("check", step, "--format", "json"),
    ):  # fmt: skip
        done = harden(host, *words, check=False)
        found.append((" ".join(words), done.stdout + done.stderr))
    return found


def as_it_was(host: LabHost) -> None:
    """After the undo: the same hashes, the same encrypted values; and the sites answered."""
    rows, clients = _kept.pop(host.name)
    assert sql(host, ROWS) == rows, "the rows are not what they were"
    assert password_in(host, idoit.SITE) == idoit.PASSWORD
    assert idoit.answers(host)
    for client in clients:
        (phase,) = client.end()
        print(f"{phase.name}: {len(phase.lost)} of {phase.asked} requests lost")
    modes = host.out("sh", "-c", f"stat -c '%a %U' {STATE}/snapshots {STATE}/snapshots/secrets/*")
    assert set(modes.splitlines()) <= {"700 root", "600 root"}
    without_applications(host)


TRIALS = (
    Trial(
        step="app.database-password",
        holds=password_holds,
        furnish=weak_passwords,
        tidy=as_it_was,
        roots=(idoit.PATH, typo3.PATH),
    ),
)
