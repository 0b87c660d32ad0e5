"""An installation shaped like i-doit: its directories, its configuration, its two databases."""

from __future__ import annotations

import msgspec

from tests.hosts.beds.padding import IMAGE, PHP, SCRIPT, STYLE, Family, own, pad
from tests.hosts.beds.site import Answer, account, ask, clear, put, serve, sql, take_away
from tests.hosts.lab import LabHost

PATH = "/var/www/html/i-doit"
CONFIG = f"{PATH}/src/config.inc.php"
SITE = "idoit.example"
USER = "idoit"
PASSWORD = "Cmdb-f1rst"
CRYPTO_HASH = "2d6b4c1f9e0a83757c64d1ab53ef8c20917be6a4"
WRITABLE = ("log", "imports", "temp", "upload/files", "upload/images", "upload/fonts")


class IDoit(msgspec.Struct, frozen=True):
    """Where it lies and how it is reached. `path` is the document root itself."""

    path: str = PATH
    site: str = SITE
    system_database: str = "idoit_system"
    tenant_databases: tuple[str, ...] = ("idoit_data",)
    user: str = USER
    password: str = PASSWORD


def install(
    host: LabHost,
    files: int = 2000,
    *,
    admin: str = "admin",
    plain_tenant: bool = False,
    override: str = "All",
) -> IDoit:
    """Install it where tests.hosts.program.furnish puts its stand-in, and serve it.

    `files`: how many more lie in the tree. `admin`: the Admin Center's password as it stands in
    config.inc.php ("" disables it). `plain_tenant` adds a second tenant whose password is not
    encrypted, as releases before 1.16 left it. `override` "None" is a site without .htaccess.
    """
    place = clear(host, PATH)
    values = {"USER": USER, "PASSWORD": PASSWORD, "CRYPTO": CRYPTO_HASH, "ADMIN": admin}
    put("idoit", place, values)
    (place / "htaccess").rename(place / ".htaccess")
    for name in (*WRITABLE, "updates/versions", "vendor", "src/classes/modules"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "log/system.log").write_text(
        "[2026-01-05T08:00:00+00:00] system.INFO: started [] []\n"
    )
    (place / "temp/smarty.css").write_text("body { margin: 0; }\n")
    pad(place, FAMILIES, files)
    own(place)
    for program in ("controller", "idoit-rights.sh", "console.php"):
        (place / program).chmod(0o755)

    scripts = {name: (place / name).read_text() for name in ("system.sql", "tenant.sql")}
    databases = ("idoit_data", "idoit_branch") if plain_tenant else ("idoit_data",)
    host.run("systemctl", "start", "mariadb")
    sql(host, scripts["system.sql"])
    for name in databases:
        sql(host, scripts["tenant.sql"].replace("idoit_data", name))
    account(host, USER, PASSWORD, ("idoit_system", *databases))
    host.run("php", f"{PATH}/install.php", PATH)
    if plain_tenant:
        sql(
            host,
            "INSERT INTO idoit_system.isys_mandator SET isys_mandator__title = 'Branch',"
            " isys_mandator__db_host = 'localhost', isys_mandator__db_name = 'idoit_branch',"
            f" isys_mandator__db_user = '{USER}', isys_mandator__db_pass = '{PASSWORD}',"
            " isys_mandator__sort = 2",
        )
    for name in ("install.php", "system.sql", "tenant.sql"):
        (place / name).unlink()
    serve(host, SITE, PATH, override=override)
    return IDoit(tenant_databases=databases)


def log_in(host: LabHost, user: str, password: str, tenant: int = 1) -> Answer:
    """One login from outside; the answer's body says how it went."""
    form = {
        "login_username": user, "login_password": password, "login_mandator": str(tenant),
        "login_submit": "Login",
    }  # fmt: skip
    return ask(host, SITE, "/", form)


def answers(host: LabHost) -> bool:
    """Whether its first page comes from the tenant's database."""
    page = ask(host, SITE)
    return page.status == 200 and "8 objects" in page.body


def remove(host: LabHost) -> None:
    """Take the installation away; what furnish put there comes back with furnish."""
    databases = ("idoit_system", "idoit_data", "idoit_branch")
    take_away(host, SITE, PATH, databases, USER)


def _module(number: int) -> str:
    part = ("dao", "ui", "cmdb/categories", "reportview", "export", "templates/content")
    return f"src/classes/modules/module{number // 6:03d}/{part[number % 6]}"


FAMILIES = (
    Family(0.48, _module, ".class.php", PHP),
    Family(0.28, lambda n: f"vendor/package{n // 5:03d}/library/src/Part{n % 5}", ".php", PHP),
    Family(0.08, lambda n: f"images/icons/set{n:03d}", ".svg", IMAGE),
    Family(0.08, lambda n: f"src/tools/js/part{n:03d}", ".js", SCRIPT),
    Family(0.04, lambda n: f"src/themes/default/css/part{n:03d}", ".css", STYLE),
    Family(0.02, lambda n: f"temp/cache_idoit_data/smarty{n:02d}", ".tpl.php", PHP),
    Family(0.02, lambda n: f"upload/files/{n:02d}", ".pdf", "%PDF-1.4 {name} {number}\n"),
)
