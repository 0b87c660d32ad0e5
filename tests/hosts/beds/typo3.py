"""An installation shaped like TYPO3's, in the layout of Composer or the classic one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from tests.hosts.beds.padding import IMAGE, PHP, SCRIPT, STYLE, Family, own, pad
from tests.hosts.beds.site import Answer, account, ask, clear, put, serve, sql, take_away
from tests.hosts.lab import LabHost

PATH = "/var/www/typo3"
SITE = "typo3.example"
DATABASE = "typo3"
USER = "typo3"
PASSWORD = "Pages-f1rst"
BACKEND_PASSWORD = "Backend-f1rst"
"""Of the backend users admin and editor."""

Layout = Literal["composer", "classic"]


class Typo3(msgspec.Struct, frozen=True):
    """Where it lies and how it is reached. `public` is the document root.

    `settings` and `additional` are the two files of its configuration, `var` what it writes.
    """

    path: str = PATH
    public: str = f"{PATH}/public"
    site: str = SITE
    database: str = DATABASE
    user: str = USER
    password: str = PASSWORD
    settings: str = f"{PATH}/config/system/settings.php"
    additional: str = f"{PATH}/config/system/additional.php"
    var: str = f"{PATH}/var"


COMPOSER = Typo3()
CLASSIC = Typo3(
    public=PATH,
    settings=f"{PATH}/typo3conf/system/settings.php",
    additional=f"{PATH}/typo3conf/system/additional.php",
    var=f"{PATH}/typo3temp/var",
)


def install(
    host: LabHost, files: int = 2000, layout: Layout = "composer", *, version: str = "13.4.19"
) -> Typo3:
    """Install it and serve it. `files`: how many more lie in the tree."""
    made = COMPOSER if layout == "composer" else CLASSIC
    composer = layout == "composer"
    place = clear(host, PATH)
    core = "vendor/typo3/cms-core" if composer else "typo3/sysext/core"
    host.run("systemctl", "start", "mariadb")
    values = {
        "VERSION": version,
        "BRANCH": ".".join(version.split(".")[:2]),
        "DATABASE": DATABASE,
        "USER": USER,
        "PASSWORD": PASSWORD,
        "ENCRYPTION": "8f3a61c5d2e94b7080b1" * 4 + "4ce97a25f8d03b1669ea",
        "PROJECT": PATH,
        "PUBLIC": made.public,
        "CORE": f"{PATH}/{core}",
        "VENDOR": f"{PATH}/vendor",
        "ADMIN_HASH": host.out(
            "php", "-r", f"echo password_hash('{BACKEND_PASSWORD}', PASSWORD_ARGON2ID);"
        ),
    }
    put("typo3/core", place / core, values)
    put("typo3/project", place / "new", values)
    new = place / "new"
    sql(host, (new / "database.sql").read_text())
    (new / "database.sql").unlink()
    account(host, USER, PASSWORD, (DATABASE,))
    public = Path(f"{host.root}{made.public}")
    _move(new, "settings.php", Path(f"{host.root}{made.settings}"))
    _move(new, "additional.php", Path(f"{host.root}{made.additional}"))
    _move(new, "index.php", public / "index.php")
    _move(new, "htaccess", public / ".htaccess")
    _move(new, "autoload.php", place / "vendor/autoload.php")
    config = "config" if composer else "typo3conf"
    program = "vendor/typo3/cms-cli/typo3" if composer else f"{core}/bin/typo3"
    _move(new, "typo3-cli", place / program)
    (place / program).chmod(0o755)
    _move(new, "site-config.yaml", place / config / "sites/main/config.yaml")
    for name in ("composer.json", "composer.lock"):
        _move(new, name, place / name)
    new.rmdir()
    for name in (f"{made.public}/fileadmin/user_upload", f"{made.public}/typo3temp/assets"):
        Path(f"{host.root}{name}").mkdir(parents=True)
    for name in ("cache/code", "cache/data", "log", "lock", "session", "transient", "labels"):
        Path(f"{host.root}{made.var}/{name}").mkdir(parents=True)
    if composer:
        _publish(place, core)
    else:
        for name in ("ext", "l10n", "autoload"):
            (place / "typo3conf" / name).mkdir(parents=True)
        (place / "typo3conf/PackageStates.php").write_text("<?php\nreturn ['version' => 5];\n")
    pad(place, _families(composer), files)
    own(place)
    serve(host, SITE, made.public)
    return made


def log_in(host: LabHost, user: str, password: str, forwarded_for: str = "") -> Answer:
    """One login into the backend, from outside: 303 lets in, 200 does not, 403 is locked out."""
    form = {"username": user, "userident": password, "login_status": "login"}
    headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else None
    return ask(host, SITE, "/typo3/login", form, headers)


def answers(host: LabHost) -> bool:
    """Whether its first page comes from the database."""
    page = ask(host, SITE)
    return page.status == 200 and "Home of the example" in page.body


def remove(host: LabHost) -> None:
    """Take the installation away."""
    take_away(host, SITE, PATH, (DATABASE,), USER)


def _move(source: Path, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    (source / name).rename(target)


def _publish(place: Path, core: str) -> None:
    """public/_assets/…: links to what packages publish, as Composer's plugin makes them."""
    resources = place / core / "Resources/Public"
    (resources / "Icons").mkdir(parents=True)
    (resources / "Icons/Extension.svg").write_text(IMAGE.format(name="core", number=1))
    assets = place / "public/_assets"
    assets.mkdir(parents=True)
    (assets / "0e1fb1b5d8a4f4d8b5c1ee0a2e0d5a6f").symlink_to(f"../../{core}/Resources/Public")
    (place / "vendor/bin").mkdir()
    (place / "vendor/bin/typo3").symlink_to("../typo3/cms-cli/typo3")


def _families(composer: bool) -> tuple[Family, ...]:
    system = "vendor/typo3/cms" if composer else "typo3/sysext/"
    extension = "vendor/example/ext" if composer else "typo3conf/ext/ext"
    public, var = ("public/", "var") if composer else ("", "typo3temp/var")
    parts = ("Classes/Domain", "Classes/Service", "Configuration/TCA", "Tests/Unit")
    return (
        Family(0.44, lambda n: f"{system}part{n // 8:02d}/{parts[n % 4]}/{n % 8}", ".php", PHP),
        Family(0.2, lambda n: f"vendor/symfony/part{n // 4:03d}/Part{n % 4}", ".php", PHP),
        Family(0.1, lambda n: f"{extension}{n // 4:02d}/{parts[n % 4]}", ".php", PHP),
        Family(0.08, lambda n: f"{system}part{n:02d}/Resources/Public/JavaScript", ".js", SCRIPT),
        Family(0.1, lambda n: f"{public}fileadmin/user_upload/{n:03d}", ".svg", IMAGE),
        Family(0.03, lambda n: f"{public}typo3temp/assets/css/{n:02d}", ".css", STYLE),
        Family(0.05, lambda n: f"{var}/cache/code/core/{n:02d}", ".php", PHP),
    )
