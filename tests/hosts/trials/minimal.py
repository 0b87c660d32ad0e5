"""The steps about what a server can do without: dpkg, the kernel and PHP are asked themselves."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.program import details, statuses
from tests.hosts.trials.trial import Answers, Trial

CLIENTS = ("inetutils-telnet", "tnftp")
MODULES_PAGE = "/var/www/html/modules.php"


def _install(host: LabHost, *packages: str) -> None:
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
        "--no-install-recommends", *packages,
    )  # fmt: skip


def _purge(host: LabHost, *packages: str) -> None:
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "purge", "-y", "-q", "--autoremove",
        *packages,
    )  # fmt: skip


def _is_known(host: LabHost, package: str) -> bool:
    return bool(host.run("dpkg-query", "-W", package, check=False).stdout)


def _is_installed(host: LabHost, package: str) -> bool:
    asked = host.run("dpkg-query", "-W", "-f", "${db:Status-Status}", package, check=False)
    return asked.stdout == "installed"


def _packages(host: LabHost) -> Answers:
    return [(f"{name} is gone", not _is_known(host, name)) for name in (*CLIENTS, "cups-daemon")]


def _listening(host: LabHost) -> str:
    return host.out("ss", "-H", "-tuln")


def _ports(host: LabHost) -> Answers:
    expected = "minimal.ports.expected=22/tcp 80/tcp 443/tcp 2323/tcp"
    known = statuses(host, "minimal.ports", more=("--set", expected))["minimal.ports"]
    fewer = statuses(host, "minimal.ports", more=("--set", "minimal.ports.expected=22/tcp"))
    return [
        ("something listens on 2323", ":2323 " in _listening(host)),
        ("it passes once that port is expected", known == "pass"),
        ("and fails where the web is not", fewer["minimal.ports"] == "fail"),
    ]


def _listen(host: LabHost) -> None:
    host.run("systemctl", "stop", "mariadb.socket", "mariadb.service")
    program = "import socket, time; s = socket.create_server(('', 2323)); time.sleep(3600)"
    host.run("systemd-run", "--unit=listens", "python3", "-c", program)
    for _ in range(50):
        if ":2323 " in _listening(host):
            break
        host.run("sleep", "0.1")


def _listen_no_more(host: LabHost) -> None:
    host.run("systemctl", "stop", "listens.service")
    host.run("systemctl", "start", "mariadb.socket", "mariadb.service")


def _php_modules(host: LabHost) -> Answers:
    answer = host.http("/modules.php")
    loaded = answer.body.decode().split()  # type: ignore[attr-defined]  # kept by LabHost.http
    version = next(path.name for path in (host.root / "etc/php").iterdir())
    asked = host.run("phpquery", "-v", version, "-s", "apache2", "-m", "ffi", check=False).stdout
    command_line = host.out("php", "-m")
    return [
        ("PHP answers", "standard" in loaded and "mysqli" in loaded),
        ("xdebug is not loaded", "xdebug" not in loaded),
        ("FFI is not loaded", "ffi" not in loaded),
        ("sysvshm is not loaded", "sysvshm" not in loaded),
        ("ftp is kept", "ftp" in loaded),
        ("phpquery says who did it", "administrator" in asked),
        ("the command line keeps FFI", "FFI" in command_line),
    ]


def _load_xdebug(host: LabHost) -> None:
    _install(host, "php-xdebug")
    host.write(MODULES_PAGE, "<?php echo strtolower(implode(' ', get_loaded_extensions()));\n")
    host.run("systemctl", "reload", "apache2")


def _without_xdebug(host: LabHost) -> None:
    host.run("rm", MODULES_PAGE)
    _purge(host, "php-xdebug")


def _phpmyadmin(host: LabHost) -> Answers:
    return [
        ("phpmyadmin is gone", not _is_installed(host, "phpmyadmin")),
        ("no page of it is left", not list((host.root / "usr/share").glob("phpmyadmin/*.php"))),
        ("Apache does not answer for it", host.http("/phpmyadmin/").status == 404),
    ]


def _php_version(host: LabHost) -> Answers:
    page = "/var/www/html/version.php"
    host.write(page, "<?php echo PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION;\n")
    version = host.http("/version.php").body.decode()  # type: ignore[attr-defined]  # kept there
    host.run("rm", page)
    later = statuses(host, "php.version", more=("--set", "php.version.warn-days=730"))
    (found,) = details(host, "php.version")["steps"][0]["findings"]
    return [
        ("it told of the PHP that answers", found["resource"] == f"php {version} apache2"),
        ("and of Debian's support", "LTS" in found["running"]),
        (
            "two years ahead only trixie's is good",
            later["php.version"] == ("pass" if host.suite == "trixie" else "fail"),
        ),
    ]


TRIALS = (
    Trial(step="php.version", holds=_php_version, before="pass", changes=False),
    Trial(
        step="minimal.packages",
        holds=_packages,
        furnish=lambda host: _install(host, *CLIENTS),
        tidy=lambda host: _purge(host, *CLIENTS),
    ),
    Trial(
        step="minimal.ports",
        holds=_ports,
        furnish=_listen,
        tidy=_listen_no_more,
        changes=False,
    ),
    Trial(
        step="minimal.php-modules",
        holds=_php_modules,
        furnish=_load_xdebug,
        tidy=_without_xdebug,
        given=("--set", "minimal.php-modules.keep=ftp"),
        roots=("/var/lib/php/modules",),
    ),
    Trial(
        step="minimal.phpmyadmin",
        holds=_phpmyadmin,
        furnish=lambda host: _install(host, "phpmyadmin"),
        tidy=lambda host: _purge(host, "phpmyadmin"),
    ),
)
