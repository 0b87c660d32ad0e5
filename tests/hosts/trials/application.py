"""Steps after the application is installed, on i-doit's and TYPO3's shape with real answers."""

from __future__ import annotations

import re
import time

from tests.hosts.base import ADMIN
from tests.hosts.beds import idoit, typo3
from tests.hosts.beds.site import ask
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, harden
from tests.hosts.trials.trial import Answers, Trial

OUTSIDE = "/var/www/kept-by-a-backup.svg"
_WRITER = (
    "import os, socket, sys, time\n"
    "held = open(sys.argv[1], 'a')\n"
    "print(os.getpid(), flush=True)\n"
    "time.sleep(600)\n"
)


def _idoit(host: LabHost) -> None:
    """The bed, with what no seal can be put on, and an update that is under way."""
    idoit.install(host)
    host.run("ln", f"{APP}/images/icons/set000/Category0_0.svg", OUTSIDE)
    host.run("ln", f"{APP}/src/jsonrpc.php", f"{APP}/src/second-name.php")
    host.run("ln", "-s", "/etc/hostname", f"{APP}/src/hostname")
    host.run("mkfifo", f"{APP}/temp/pipe")
    script = f"import socket; socket.socket(socket.AF_UNIX).bind('{APP}/src/socket')"
    host.run("python3", "-c", script)
    pid = _begin_writing(host, f"{APP}/src/classes/modules/update.php")
    refused = harden(host, "apply", "app.tree", "--yes", check=False)
    assert refused.returncode != 0, refused.stdout
    assert "is being written by" in refused.stdout + refused.stderr, refused.stdout
    assert host.out("lsattr", "-d", APP).split()[0].count("i") == 0, "sealed half-way"
    host.run("kill", pid)
    _begin_writing(host, f"{APP}/log/system.log")


def _begin_writing(host: LabHost, path: str) -> str:
    """A process that keeps a file open for writing; its number inside."""
    host.write("/root/writer.py", _WRITER)
    command = f"nohup python3 /root/writer.py {path} >/root/writer.pid 2>/dev/null & sleep 0.5"
    host.run("sh", "-c", command)
    return host.out("cat", "/root/writer.pid")


def _sealed(host: LabHost) -> Answers:
    def refused(*argv: str) -> bool:
        return host.run(*argv, check=False).returncode != 0

    as_application = ("runuser", "-u", "www-data", "--", "sh", "-c")
    failed = idoit.log_in(host, "admin", "wrong")
    logged = host.out("sh", "-c", f"cat {APP}/log/failed-logins_*.log")
    cached = not refused(*as_application, f"touch {APP}/temp/cache_idoit_data/x")
    host.run("sh", "-c", f"rm {APP}/log/failed-logins_*.log {APP}/temp/cache_idoit_data/x")
    said = harden(host, "check", "app.tree", "--format", "json").stdout
    return [
        ("root cannot write", refused("sh", "-c", f"echo x >{APP}/index.php")),
        ("nor make a file", refused("touch", f"{APP}/src/new.php")),
        ("a file with two names in the tree is sealed", refused("touch", f"{APP}/src/jsonrpc.php")),
        ("one with a name outside is left alone", not refused("touch", OUTSIDE)),
        ("what a link leads to is left alone", not refused("touch", "/etc/hostname")),
        ("the application writes its log", "Login failed for user admin" in logged),
        ("and its cache", cached),
        ("the login still answers", failed.status == 200 and idoit.answers(host)),
        (
            "a right password still lets in",
            "Signed in" in idoit.log_in(host, "admin", "admin").body,
        ),
        (
            "the console still runs",
            not refused(*as_application, f"php {APP}/console.php tenant-list"),
        ),
        ("the check names the socket", f"{APP}/src/socket" in said),
        ("the check names the pipe", f"{APP}/temp/pipe" in said),
        ("the check names the hard link", "set000/Category0_0.svg" in said),
        ("the check names where a link leads", f"{APP}/src/hostname -> /etc/hostname" in said),
    ]


def _without_idoit(host: LabHost) -> None:
    host.run("sh", "-c", "test ! -e /root/writer.pid || kill $(cat /root/writer.pid)")
    idoit.remove(host)
    host.run("rm", "-f", OUTSIDE, "/root/writer.py", "/root/writer.pid")


def _typo3(host: LabHost) -> None:
    typo3.install(host)


def _typo3_sealed(host: LabHost) -> Answers:
    def refused(*argv: str) -> bool:
        return host.run(*argv, check=False).returncode != 0

    as_application = ("runuser", "-u", "www-data", "--", "touch")
    bed = typo3.COMPOSER
    written = [f"{bed.public}/fileadmin/x", f"{bed.var}/log/x", f"{bed.path}/config/sites/x"]
    answers = [
        ("root cannot change the settings", refused("touch", bed.settings)),
        ("nor make a program", refused("touch", f"{bed.public}/shell.php")),
        ("nor the web server in vendor", refused(*as_application, f"{bed.path}/vendor/x")),
        ("it writes where it must", not any(refused(*as_application, one) for one in written)),
        ("its pages answer", typo3.answers(host)),
        ("a wrong password is counted", typo3.log_in(host, "admin", "wrong").status == 200),
        ("a right one lets in", typo3.log_in(host, "admin", typo3.BACKEND_PASSWORD).status == 303),
        (
            "its program runs",
            "TYPO3 CMS 13" in host.out("runuser", "-u", "www-data", "--", _PROGRAM, "--version"),
        ),
    ]
    host.run("rm", "-f", *written)
    host.run("rm", "-rf", f"{bed.var}/cache/data/ratelimiter")
    return answers


def _secrets(host: LabHost) -> None:
    """Readable for all, with a copy; the Admin Center's password in plain text."""
    idoit.install(host, files=100, admin="Center-f1rst")
    host.run("cp", "-p", idoit.CONFIG, f"{idoit.CONFIG}.1700000000")


def _secrets_kept(host: LabHost) -> Answers:
    def reads(user: str, path: str) -> bool:
        command = ("runuser", "-u", user, "--", "cat", path)
        return host.run(*command, check=False).returncode == 0

    def center(password: str) -> bool:
        form = {"username": "admin", "password": password}
        return "signed in" in ask(host, idoit.SITE, "/admin/", form).body

    time.sleep(3)  # opcache looks at a file's time every two seconds
    kept = host.out("php", "-r", f"require '{idoit.CONFIG}'; echo $g_admin_auth['admin'];")
    shown = harden(host, "history", "show", "1", check=False)
    log = host.out("cat", "/var/log/harden-tui/sessions.jsonl")
    return [
        ("alice cannot read the configuration", not reads(ADMIN, idoit.CONFIG)),
        ("nor its copy", not reads(ADMIN, f"{idoit.CONFIG}.1700000000")),
        ("the web server can", reads("www-data", idoit.CONFIG)),
        ("i-doit answers", idoit.answers(host)),
        ("a hash is kept", kept.startswith("$2y$")),
        ("the new password opens the Admin Center", center("Center-s3cond")),
        ("the former does not", not center("Center-f1rst")),
        ("the hash itself does not", not center("Center-s3cond2")),
        ("no password is shown", not {"s3cond", "f1rst"} & _words(shown.stdout + log)),
    ]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z0-9]+", text))


_OPEN = ("/src/config.inc.php", "/log/system.log", "/composer.json", "/old.sql", "/.git/config")


def _exposed(host: LabHost) -> None:
    """A site whose .htaccess is not read, with a dump and a history left in it."""
    idoit.install(host, files=300, override="None")
    for path, content in (
        ("composer.json", "{}\n"),
        ("old.sql", "CREATE TABLE x;\n"),
        (".git/config", "[core]\n"),
    ):
        host.write(f"{APP}/{path}", content)
    assert all(ask(host, idoit.SITE, path).status == 200 for path in _OPEN)


def _closed(host: LabHost) -> Answers:
    by_name = {path: ask(host, idoit.SITE, path).status for path in _OPEN}
    by_address = {path: host.http(f"/i-doit{path}").status for path in _OPEN}
    return [
        (f"nothing comes by its name: {by_name}", set(by_name.values()) == {403}),
        (f"nor by the address: {by_address}", set(by_address.values()) == {403}),
        ("the pages come", idoit.answers(host)),
        ("styles come", ask(host, idoit.SITE, "/temp/smarty.css").status == 200),
        ("icons come", ask(host, idoit.SITE, _ICON).status == 200),
        ("a cache does not", ask(host, idoit.SITE, _CACHE).status == 403),
        ("nor an upload", ask(host, idoit.SITE, "/upload/files/00/Category0_0.pdf").status == 403),
    ]


_ICON = "/images/icons/set000/Category0_0.svg"
_CACHE = "/temp/cache_idoit_data/smarty00/Category0_0.tpl.php"
_ADDITIONAL = """<?php
$GLOBALS['TYPO3_CONF_VARS']['DB']['Connections']['Default']['password'] = 'Pages-f1rst';
$GLOBALS['TYPO3_CONF_VARS']['SYS']['trustedHostsPattern'] = '.*';
$GLOBALS['TYPO3_CONF_VARS']['SYS']['displayErrors'] = 1;
if (!\\TYPO3\\CMS\\Core\\Core\\Environment::getContext()->isTesting()) {
    // settings.php says false, and does not have the last word
    $GLOBALS['TYPO3_CONF_VARS']['BE']['debug'] = true;
}
"""
_COMPUTED = f"""
require '{typo3.PATH}/vendor/autoload.php';
TYPO3\\CMS\\Core\\Core\\SystemEnvironmentBuilder::run(0, 4);
(new TYPO3\\CMS\\Core\\Configuration\\ConfigurationManager())->exportConfiguration();
$found = $GLOBALS['TYPO3_CONF_VARS'];
echo json_encode([$found['BE']['debug'], $found['SYS']['displayErrors'],
    $found['SYS']['fileCreateMask'], $found['BE']['lockIP']]);
"""


def _careless(host: LabHost) -> None:
    """additional.php undoes what settings.php says, and the Install Tool is open."""
    bed = typo3.install(host, files=100)
    host.write(bed.additional, _ADDITIONAL)
    host.write(f"{bed.var}/transient/ENABLE_INSTALL_TOOL", "")
    host.run("chown", "-R", "www-data:www-data", bed.path)
    time.sleep(3)  # opcache looks at a file's time every two seconds
    assert ask(host, bed.site, "/", headers=_CLAIMED).status == 200


_CLAIMED = {"Host": f"{typo3.SITE}:81"}


def _careful(host: LabHost) -> Answers:
    bed = typo3.COMPOSER
    time.sleep(3)
    claimed = ask(host, bed.site, "/", headers=_CLAIMED)
    computed = host.out("runuser", "-u", "www-data", "--", "php", "-r", _COMPUTED)
    lets_in = typo3.log_in(host, "admin", typo3.BACKEND_PASSWORD).status == 303
    host.run("rm", "-rf", f"{bed.var}/cache/data/ratelimiter")
    there = host.run("test", "-e", f"{bed.var}/transient/ENABLE_INSTALL_TOOL", check=False)
    shown = host.out("sh", "-c", "harden-tui log export; cat /var/log/harden-tui/sessions.jsonl")
    return [
        ("a name that somebody claims is refused", claimed.status == 500),
        ("without details of the error", "trusted hosts" not in claimed.body),
        (f"TYPO3 computes what is wanted: {computed}", computed == '[false,0,"0660",0]'),
        ("its pages answer", typo3.answers(host)),
        ("the backend lets in", lets_in),
        ("the Install Tool is closed", there.returncode != 0),
        ("no password is shown", "f1rst" not in shown),
    ]


def _old_typo3(host: LabHost) -> None:
    typo3.install(host, files=100, layout="classic", version="12.4.44")


def _version(host: LabHost) -> Answers:
    said = harden(host, "check", "typo3.version", "--format", "json", check=False).stdout
    program = f"{typo3.PATH}/typo3/sysext/core/bin/typo3"
    asked = host.out("runuser", "-u", "www-data", "--", program, "--version")
    return [
        (f"TYPO3 itself says {asked}", asked == "TYPO3 CMS 12.4.44"),
        ("the check says the same", "12.4.44, until 2026-04-30" in said),
    ]


_PROGRAM = f"{typo3.PATH}/vendor/bin/typo3"

TRIALS = (
    Trial(step="app.tree", furnish=_idoit, holds=_sealed, tidy=_without_idoit),
    Trial(
        step="app.config-secrets", furnish=_secrets, holds=_secrets_kept, tidy=_without_idoit,
        values="app.config-secrets: {admin-password: Center-s3cond}",
    ),
    Trial(
        step="typo3.version",
        furnish=_old_typo3,
        holds=_version,
        tidy=typo3.remove,
        changes=False,
        roots=(typo3.PATH,),
    ),
    Trial(step="app.web-exposure", furnish=_exposed, holds=_closed, tidy=_without_idoit),
    Trial(
        step="typo3.settings", furnish=_careless, holds=_careful, tidy=typo3.remove,
        given=("--set", r"typo3.settings.trusted-hosts=typo3\.example"), roots=(typo3.PATH,),
    ),
    Trial(
        step="typo3.tree", furnish=_typo3, holds=_typo3_sealed, tidy=typo3.remove,
        roots=(typo3.PATH,),
    ),
)  # fmt: skip
