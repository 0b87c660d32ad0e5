"""Which applications a host serves, by their own files and Apache's document roots."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import FileState
from host.facts import FactUnavailable
from host.facts.apache import Apache
from host.facts.apache_config import parse_config
from host.facts.applications import APPLICATIONS, Application
from steps.parameters import DEFAULTS
from steps.resource import Context
from tests.unit.given import context

SHOP = "/srv/shop"


def host(directory: Path, config: str | None, *files: str) -> Context:
    """A host with these files; a name that ends in a slash is a directory.

    `config`: Apache's, as DUMP_CONFIG prints it; `None` where Apache does not answer.
    """
    if config is None:
        ctx = context(directory, apache=FactUnavailable("Apache is not installed"))
    else:
        ctx = context(directory, apache=Apache(parse_config(config), {}, (), (), {}))
    ctx.host.put("/var/www/html/i-doit/src/config.inc.php", None)
    for name in files:
        parts = name.split("/")
        for end in range(2, len(parts)):
            above = "/".join(parts[:end])
            if ctx.host.state(above) is None:
                ctx.host.put(above, FileState(kind="dir", mode=0o755))
        if not name.endswith("/"):
            ctx.host.write_file(name, b"secret of the application")
    return ctx


def site(root: str, *more: str) -> str:
    """One virtual host, as Apache prints it."""
    lines = "".join(f"  #  4:\n  {line}\n" for line in more)
    return (
        "# In file: /etc/apache2/sites-enabled/a.conf\n#  1:\n<VirtualHost *:80>\n"
        f"  #  2:\n  ServerName a.example\n  #  3:\n  DocumentRoot {root}\n{lines}</VirtualHost>\n"
    )


COMPOSER = (
    f"{SHOP}/vendor/typo3/cms-core/composer.json",
    f"{SHOP}/public/index.php",
    f"{SHOP}/config/system/settings.php",
    f"{SHOP}/config/system/additional.php",
)
CLASSIC = (
    f"{SHOP}/typo3/sysext/core/composer.json",
    f"{SHOP}/typo3conf/LocalConfiguration.php",
)
IDOIT = (f"{SHOP}/src/config.inc.php", f"{SHOP}/console.php")


@pytest.mark.parametrize(
    ("config", "files", "expected"),
    [
        (
            site(f"{SHOP}/public/"),
            COMPOSER,
            Application("typo3", SHOP, f"{SHOP}/public", COMPOSER[2:], "composer"),
        ),
        (
            site(SHOP),
            COMPOSER,
            Application("typo3", SHOP, f"{SHOP}/public", COMPOSER[2:], "composer"),
        ),
        (site(SHOP), CLASSIC, Application("typo3", SHOP, SHOP, CLASSIC[1:], "classic")),
        (site(SHOP), IDOIT, Application("i-doit", SHOP, SHOP, IDOIT[:1])),
        (site("/srv"), IDOIT, Application("i-doit", SHOP, SHOP, IDOIT[:1])),
        (
            site("/srv/other", f"Alias /cmdb {SHOP}"),
            IDOIT,
            Application("i-doit", SHOP, SHOP, IDOIT[:1]),
        ),
    ],
)
def test_found_where_apache_shows_it(
    tmp_path: Path, config: str, files: tuple[str, ...], expected: Application
) -> None:
    ctx = host(tmp_path, config, *files)
    assert ctx.facts.get(APPLICATIONS) == (expected,)


@pytest.mark.parametrize(
    ("default", "files"), [("application-tree", IDOIT), ("typo3-tree", CLASSIC)]
)
def test_a_step_begins_with_the_tree_that_is_there(
    tmp_path: Path, default: str, files: tuple[str, ...]
) -> None:
    ctx = host(tmp_path, site(SHOP), *files)
    assert DEFAULTS[default](ctx) == SHOP


def test_each_only_once_however_many_sites_show_it(tmp_path: Path) -> None:
    ctx = host(tmp_path, site(f"{SHOP}/public") + site(SHOP) + site("/srv"), *COMPOSER)
    assert [one.path for one in ctx.facts.get(APPLICATIONS)] == [SHOP]


@pytest.mark.parametrize("files", [IDOIT[:1], COMPOSER[1:], CLASSIC[1:], (f"{SHOP}/index.php",)])
def test_no_application_of_these(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert host(tmp_path, site(SHOP), *files).facts.get(APPLICATIONS) == ()


def test_without_apache_debians_document_root_is_looked_at(tmp_path: Path) -> None:
    path = "/var/www/html/cmdb"
    ctx = host(tmp_path, None, f"{path}/src/config.inc.php", f"{path}/src/jsonrpc.php")
    assert [one.label for one in ctx.facts.get(APPLICATIONS)] == [f"i-doit in {path}"]


def test_what_typo3_writes_into_follows_its_layout(tmp_path: Path) -> None:
    composer = host(tmp_path, site(f"{SHOP}/public"), *COMPOSER, f"{SHOP}/var/log/")
    assert DEFAULTS["typo3-writable"](composer) == ("var",)
    classic = host(tmp_path / "classic", site(SHOP), *CLASSIC, f"{SHOP}/fileadmin/")
    assert DEFAULTS["typo3-writable"](classic) == ("fileadmin",)
    assert DEFAULTS["typo3-writable"](host(tmp_path / "none", site(SHOP))) is None
