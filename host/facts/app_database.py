"""With what each web application logs in to its database, and whether it is let in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from host.app_config import Access, Login, access
from host.base import Host, HostError
from host.facts.applications import APPLICATIONS, Application
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.mariadb import MARIADB
from host.idoit_crypt import decrypt
from host.mariadb import base_table, rows, tell
from host.php_literals import NotPlain
from host.rotation import is_kept, refusal
from host.secret_text import Secret


class Database(msgspec.Struct, frozen=True):
    """An application and what its file `config` says of its database.

    `access` is `None` where the file does not say it plainly; `problem` then says why.
    """

    application: Application
    config: str
    access: Access | None = None
    problem: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the file names a database of this machine."""
        return self.access is not None and self.access.login.is_local

    @property
    def at(self) -> str:
        """File and line of the password."""
        return f"{self.config}:{self.access.line}" if self.access else self.config


class Tenant(msgspec.Struct, frozen=True):
    """A row of isys_mandator. `password` is what i-doit logs in with; `None` where even its own
    class cannot read it (or there is none to be asked)."""

    number: str
    title: str
    login: Login
    database: str
    encrypted: bool
    readable: bool = True


_SETS_DATABASE = re.compile(rb"""['"]DB['"]""")


def _read_databases(host: Host, facts: Facts) -> tuple[Database, ...]:
    if not host.is_root:
        raise FactUnavailable("configuration files with passwords can only be read as root")
    return tuple(_database(host, one) for one in facts.get(APPLICATIONS))


def _database(host: Host, application: Application) -> Database:
    if not application.config:
        return Database(application, application.path, problem="it has no configuration yet")
    config = application.config[0]
    for later in application.config[1:]:
        if _SETS_DATABASE.search(host.read_bytes(later)):
            return Database(application, later, problem=f"{later} sets the database too")
    try:
        return Database(application, config, access(application.kind, host.read_bytes(config)))
    except NotPlain as error:
        return Database(
            application, config, problem=f"{config} cannot be read without running it: {error}"
        )


APP_DATABASES: Fact[tuple[Database, ...]] = Fact("app-databases", _read_databases)


def _read_tenants(host: Host, facts: Facts) -> dict[str, tuple[Tenant, ...]]:
    found = {}
    for one in facts.get(APP_DATABASES):
        if one.application.kind != "i-doit" or one.access is None or not one.is_local:
            continue
        if one.access.database in facts.get(MARIADB).databases:
            found[one.application.path] = _tenants(host, one.application, one.access)
    return found


def _tenants(host: Host, application: Application, there: Access) -> tuple[Tenant, ...]:
    answer = tell(
        host,
        f"SELECT * FROM {base_table(there.database, 'isys_mandator')} ORDER BY isys_mandator__id;",
    )
    table = parse_table(rows(answer.stdout), "isys_mandator__")
    encrypted = {row["id"]: row["db_password"] for row in table if row.get("db_password")}
    try:
        decrypted = decrypt(host, application.path, encrypted)
    except HostError:
        decrypted = {}
    return tuple(_tenant(row, decrypted) for row in table if row.get("id"))


def _tenant(row: Mapping[str, str], decrypted: Mapping[str, Secret]) -> Tenant:
    number = row["id"]
    encrypted = bool(row.get("db_password"))
    password = decrypted.get(number) if encrypted else Secret(row.get("db_pass", ""))
    return Tenant(
        number=number,
        title=row.get("title", "") or number,
        login=Login(
            user=row.get("db_user", ""),
            password=password or Secret(""),
            host=row.get("db_host", "") or "localhost",
            port=row.get("db_port", ""),
        ),
        database=row.get("db_name", ""),
        encrypted=encrypted,
        readable=password is not None,
    )


def parse_table(answer: Iterable[list[str]], prefix: str) -> list[dict[str, str]]:
    """Rows below a row of column names, by column without its prefix; NULL is "".

    A row of another length is left out.
    """
    lines = iter(answer)
    columns = [name.removeprefix(prefix) for name in next(lines, [])]
    return [
        {name: "" if value == "NULL" else value for name, value in zip(columns, line, strict=True)}
        for line in lines
        if len(line) == len(columns)
    ]


TENANTS: Fact[dict[str, tuple[Tenant, ...]]] = Fact("app-tenants", _read_tenants)
"""By the path of the i-doit they belong to."""


def _read_refusals(host: Host, facts: Facts) -> dict[Login, str]:
    logins = [one.access.login for one in facts.get(APP_DATABASES) if one.access]
    logins += [t.login for found in facts.get(TENANTS).values() for t in found if t.readable]
    return {login: _refused(host, login) for login in dict.fromkeys(logins) if login.is_local}


def _refused(host: Host, login: Login) -> str:
    why = refusal(host, login)
    if why or is_kept(host, login):
        return why
    return "another server let it in, and the MariaDB of this host does not know its password"


APP_LOGINS: Fact[dict[Login, str]] = Fact("app-logins", _read_refusals)
"""Why a login of an application to MariaDB on this host is not let in; "" where it is."""
