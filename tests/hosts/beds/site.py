"""What the beds share: a virtual host in Apache with PHP, and accounts of MariaDB."""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from tests.hosts.lab import LabHost

FILES = Path(__file__).parent / "files"
"""What lies in the installations, as templates; @NAME@ is filled in."""


class Answer(msgspec.Struct, frozen=True):
    """What a site answered; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: str


def clear(host: LabHost, path: str) -> Path:
    """An empty directory at `path`, also where a sealed tree was; its place on this machine."""
    host.run("chattr", "-R", "-i", path, check=False)
    place = host.root / path.lstrip("/")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def put(source: str, target: Path, values: dict[str, str]) -> None:
    """Copy everything below `FILES / source`, with the values filled in."""
    for template in sorted((FILES / source).rglob("*")):
        if template.is_file():
            text = template.read_text()
            for name, value in values.items():
                text = text.replace(f"@{name}@", value)
            place = target / template.relative_to(FILES / source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


def account(host: LabHost, user: str, password: str, databases: Sequence[str]) -> None:
    """An account of MariaDB at localhost that has all rights on these databases."""
    grants = "".join(
        f"GRANT ALL PRIVILEGES ON `{name}`.* TO `{user}`@`localhost`;\n" for name in databases
    )
    sql(
        host,
        f"DROP USER IF EXISTS `{user}`@`localhost`;\n"
        f"CREATE USER `{user}`@`localhost` IDENTIFIED BY '{password}';\n{grants}",
    )


def sql(host: LabHost, statements: str, *options: str) -> str:
    """What MariaDB answers its administrator, without the last newline."""
    return host.run("mariadb", *options, stdin=statements).stdout.rstrip("\n")


def serve(host: LabHost, site: str, root: str, *, override: str = "All") -> None:
    """A virtual host `site` on port 80 for the document root `root`; Apache reads it at once."""
    host.write(
        f"/etc/apache2/sites-available/{site}.conf",
        "<VirtualHost *:80>\n"
        f"    ServerName {site}\n"
        f"    DocumentRoot {root}\n"
        f"    <Directory {root}>\n"
        f"        AllowOverride {override}\n"
        "        Require all granted\n"
        "    </Directory>\n"
        f"    ErrorLog ${{APACHE_LOG_DIR}}/{site}.error.log\n"
        f"    CustomLog ${{APACHE_LOG_DIR}}/{site}.access.log combined\n"
        "</VirtualHost>\n",
    )
    host.run("a2enmod", "-q", "rewrite")
    host.run("a2ensite", "-q", site)
    host.run("systemctl", "reload-or-restart", "apache2")
    time.sleep(1)  # a worker that is just being told still answers as before


def ask(
    host: LabHost,
    site: str,
    path: str = "/",
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request from outside to the virtual host `site`; a form is sent with POST."""
    connection = http.client.HTTPConnection(host.address, 80, timeout=20)
    given = {"Host": site, **(headers or {})}
    if form is None:
        connection.request("GET", path, headers=given)
    else:
        given["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("POST", path, urlencode(form), given)
    answer = connection.getresponse()
    body = answer.read().decode("utf-8", "replace")
    connection.close()
    return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, body)


def take_away(host: LabHost, site: str, path: str, databases: Sequence[str], user: str) -> None:
    """Everything that `serve`, `account` and an installation brought; Apache reads it at once."""
    host.run("a2dissite", "-q", site)
    host.run("a2dismod", "-q", "rewrite")
    host.run("rm", "-f", f"/etc/apache2/sites-available/{site}.conf")
    host.run("systemctl", "reload-or-restart", "apache2")
    shutil.rmtree(clear(host, path))
    drops = "".join(f"DROP DATABASE IF EXISTS `{name}`;\n" for name in databases)
    sql(host, f"{drops}DROP USER IF EXISTS `{user}`@`localhost`;\n")
