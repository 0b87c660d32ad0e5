"""The daemons' own answers, step by step, asked without the program."""

from __future__ import annotations

import json
import time

from tests.hosts.lab import LabHost
from tests.hosts.program import APP


def _sshd(host: LabHost) -> dict[str, str]:
    rows = host.out("sshd", "-T").splitlines()
    return {row.split(" ", 1)[0]: row.split(" ", 1)[1] for row in rows if " " in row}


def php_over_http(host: LabHost, *keys: str) -> dict[str, str]:
    """PHP's settings as Apache's PHP has them, asked over the network."""
    answer = host.http(f"/settings.php?keys={','.join(keys)}")
    assert answer.status == 200
    settings: dict[str, str] = json.loads(answer.body)  # type: ignore[attr-defined]
    return settings


def wrong(host: LabHost, step: str) -> list[str]:
    """What of a step does not hold, according to the daemons; empty when all of it holds."""
    return [sentence for sentence, holds in questions(host, step) if not holds]


def questions(host: LabHost, step: str) -> list[tuple[str, bool]]:
    """Sentences about a step, each with whether it holds."""
    return list(_QUESTIONS[step](host))


def _root_login(host: LabHost) -> list[tuple[str, bool]]:
    return [
        ("sshd -T says permitrootlogin no", _sshd(host)["permitrootlogin"] == "no"),
        ("root cannot log in", not host.can_log_in("root")),
    ]


def _key_only(host: LabHost) -> list[tuple[str, bool]]:
    sshd = _sshd(host)
    return [
        ("passwordauthentication no", sshd["passwordauthentication"] == "no"),
        ("kbdinteractiveauthentication no", sshd["kbdinteractiveauthentication"] == "no"),
        ("pubkeyauthentication yes", sshd["pubkeyauthentication"] == "yes"),
    ]


def _limits(host: LabHost) -> list[tuple[str, bool]]:
    sshd = _sshd(host)
    return [
        ("maxauthtries 3", sshd["maxauthtries"] == "3"),
        ("logingracetime 30", sshd["logingracetime"] == "30"),
        ("maxsessions 4", sshd["maxsessions"] == "4"),
    ]


def _services(host: LabHost) -> list[tuple[str, bool]]:
    enabled = host.run("systemctl", "is-enabled", "cups.service", check=False).stdout.strip()
    active = host.run("systemctl", "is-active", "cups.service", "cups.socket", check=False).stdout
    ports = host.out("ss", "-H", "-tln")
    return [
        ("cups is disabled", enabled in ("disabled", "masked")),
        ("cups and its socket are not active", "\nactive" not in f"\n{active}"),
        ("nothing listens on 631", ":631 " not in ports),
    ]


def _apache_modules(host: LabHost) -> list[tuple[str, bool]]:
    loaded = host.out("apache2ctl", "-M")
    return [
        ("status is not loaded", "status_module" not in loaded),
        ("autoindex is not loaded", "autoindex_module" not in loaded),
        ("Apache still answers", host.http("/index.html").status == 200),
    ]


def _php(host: LabHost) -> list[tuple[str, bool]]:
    settings = php_over_http(
        host, "expose_php", "session.cookie_httponly", "session.use_strict_mode", "display_errors"
    )
    return [
        ("expose_php off", settings["expose_php"] in ("", "0", "Off")),
        ("session.cookie_httponly on", settings["session.cookie_httponly"] in ("1", "On")),
        ("session.use_strict_mode on", settings["session.use_strict_mode"] in ("1", "On")),
        ("display_errors off", settings["display_errors"] in ("", "0", "Off")),
    ]


def _banner(host: LabHost) -> list[tuple[str, bool]]:
    return [
        ("Server: Apache", host.http("/index.html").getheader("Server") == "Apache"),
        ("TRACE refused", host.http("/", method="TRACE").status == 405),
        ("no signature", b"Debian" not in host.http("/none").body),  # type: ignore[attr-defined]
    ]


def _headers(host: LabHost) -> list[tuple[str, bool]]:
    found = []
    for path in ("/index.html", "/none", "/settings.php?keys=a"):
        answer = host.http(path)
        for name, value in (
            ("X-Frame-Options", "SAMEORIGIN"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            sent = answer.headers.get_all(name) or []
            found.append((f"{name} once on {path}", sent == [value]))
        found.append((f"Referrer-Policy on {path}", bool(answer.getheader("Referrer-Policy"))))
    return found


def _ufw(host: LabHost) -> list[tuple[str, bool]]:
    status = host.out("ufw", "status", "verbose")
    return [
        ("active", "Status: active" in status),
        ("deny incoming", "deny (incoming)" in status),
        ("22/tcp allowed", "22/tcp" in status and "22/tcp (v6)" in status),
        ("80/tcp allowed", "80/tcp" in status),
        ("IPv4 rules are there", "ufw-user-input" in host.out("iptables", "-S")),
        ("IPv6 rules are there", "ufw6-user-input" in host.out("ip6tables", "-S")),
        ("3306 is closed", "3306" not in status),
    ]


def _fail2ban(host: LabHost) -> list[tuple[str, bool]]:
    jails = host.out("fail2ban-client", "status")
    return [
        ("sshd maxretry 3", host.out("fail2ban-client", "get", "sshd", "maxretry") == "3"),
        ("sshd, apache-auth, mysqld-auth", all(
            jail in jails for jail in ("sshd", "apache-auth", "mysqld-auth"))),
        ("the administrator is ignored", f"10.77.{host.number}.1" in
         host.out("fail2ban-client", "get", "sshd", "ignoreip")),
        ("the host does not ban itself", _lets_itself_go(host)),
    ]  # fmt: skip


def _lets_itself_go(host: LabHost) -> bool:
    """Failures from its own address, as a scan on the host makes them, are seen and let go."""
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    login = ("ssh", "-n", *(f"-o{option}" for option in options), f"nobody@{host.address}")
    for _ in range(4):
        host.run(*login, check=False)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        log = host.out("cat", "/var/log/fail2ban.log")
        if f"Ban {host.address}" in log:
            return False
        if f"Ignore {host.address} by " in log:
            return True
        time.sleep(0.5)
    return False


def _sysctl(host: LabHost) -> list[tuple[str, bool]]:
    return [
        (f"{key} {value}", host.out("sysctl", "-n", key) == value)
        for key, value in (
            ("net.ipv4.conf.all.send_redirects", "0"),
            ("net.ipv4.conf.default.accept_redirects", "0"),
            ("net.ipv4.conf.all.log_martians", "1"),
            ("net.ipv4.tcp_syncookies", "1"),
        )
    ]


def _tree(host: LabHost) -> list[tuple[str, bool]]:
    refused = host.run("sh", "-c", f"echo x > {APP}/index.php", check=False).returncode != 0
    new = host.run("touch", f"{APP}/src/new.php", check=False).returncode != 0
    writable = host.run("runuser", "-u", "www-data", "--", "touch", f"{APP}/log/new.log",
                        check=False).returncode == 0  # fmt: skip
    host.run("rm", "-f", f"{APP}/log/new.log")
    return [
        ("a write into the sealed tree is refused even to root", refused),
        ("a new file in the sealed tree is refused even to root", new),
        ("the log directory is writable for the application", writable),
        ("the application answers", host.http("/i-doit/index.php").status == 200),
    ]


_QUESTIONS = {
    "ssh.root-login": _root_login,
    "ssh.key-only": _key_only,
    "ssh.limits": _limits,
    "minimal.services": _services,
    "minimal.apache-modules": _apache_modules,
    "php.settings": _php,
    "apache.banner": _banner,
    "apache.headers": _headers,
    "firewall.ufw": _ufw,
    "defence.fail2ban": _fail2ban,
    "kernel.sysctl": _sysctl,
    "app.tree": _tree,
}
