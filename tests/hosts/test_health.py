"""A change that harms something else goes back: sites, ports and daemons of a real Apache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.fingerprint import Fingerprint, differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, history, roll_back

pytestmark = pytest.mark.either_release

SHOP, WIKI = "shop.example.org", "wiki.example.org"
SITES = "/etc/apache2/sites-available"
REFUSED, ROLLED_BACK = 3, 4


FRAGILE = """[Service]
ExecStart=/bin/sh -c 'until test -e /etc/fragile.stop; do sleep 0.1; done; sleep 1; \
  printf "\\033[31mgoing down\\033[0m\\n"; exit 3'
"""
"""It fails a second after a file appears, whatever was told to reload then."""


def _virtual_host(name: str, address: str, *lines: str) -> str:
    inside = "".join(f"    {line}\n" for line in (f"ServerName {name}", *lines))
    return f"<VirtualHost {address}>\n{inside}</VirtualHost>\n"


SHOP_HOST = _virtual_host(
    SHOP, "*:80", f"ServerAlias www.{SHOP}", "DocumentRoot /var/www/shop",
    "ErrorLog ${APACHE_LOG_DIR}/shop.log",
)  # fmt: skip
WIKI_LINES = (
    "SSLEngine on",
    "SSLCertificateFile /etc/ssl/wiki.pem",
    "SSLCertificateKeyFile /etc/ssl/wiki.key",
)
WIKI_HOST = _virtual_host(WIKI, "*:443", "DocumentRoot /var/www/wiki", *WIKI_LINES)
PORTS = "Listen 80\n<IfModule ssl_module>\n    Listen 443\n</IfModule>\n"

ASKING = """
import http.client, ssl, sys
name, port = sys.argv[1], int(sys.argv[2])
c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
c.connect()
if port == 443:
    c.sock = ssl._create_unverified_context().wrap_socket(c.sock, server_hostname=name)
c.request("GET", "/", headers={"Host": name})
r = c.getresponse()
print(r.status, r.read().decode().strip())
"""


def _step(name: str, files: dict[str, str], *more: str) -> str:
    """A step of the site: these files, and a reload of Apache."""
    lines = [
        f"- id: site.{name}", "  stage: pre-install", f"  title: Site {name}", "  why: a test",
        "  breaks: what it breaks", "  source: a test", *more, "  ensure:",
    ]  # fmt: skip
    for path, content in files.items():
        lines.append(f"    - file: {json.dumps({'path': path, 'content': content})}")
    lines.append("    - apache: {ServerTokens: {is: Prod}}")
    return "\n".join(lines) + "\n"


def _furnish(host: LabHost) -> None:
    """Two sites by name, one of PHP and one over TLS, a port of its own, and steps that harm."""
    php = host.out("ls", "/etc/php").strip()
    ini = f"/etc/php/{php}/apache2/conf.d/99-site.ini"
    host.write("/var/www/shop/index.php", "<?php echo 'shop';\n")
    host.write("/var/www/wiki/index.html", "wiki\n")
    host.write(f"{SITES}/shop.conf", SHOP_HOST)
    host.write(f"{SITES}/wiki.conf", WIKI_HOST)
    host.write("/etc/apache2/ports.conf", f"{PORTS}Listen 127.0.0.1:8080\n")
    host.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj",
        f"/CN={WIKI}", "-keyout", "/etc/ssl/wiki.key", "-out", "/etc/ssl/wiki.pem",
    )  # fmt: skip
    host.write("/etc/systemd/system/fragile.service", FRAGILE)
    host.run("systemctl", "start", "fragile")
    host.run("a2enmod", "-q", "ssl")
    host.run("a2ensite", "-q", "shop", "wiki")
    _reload(host)
    conf = "/etc/apache2/conf-enabled/zz-site.conf"
    denied = "<Location />\nRequire all denied\n</Location>\n"
    steps = [
        _step("prepend", {ini: "auto_prepend_file=/etc/php/first.php\n",
                          "/etc/php/first.php": "<?php if (\n"}),
        _step("denied", {conf: denied}),
        _step("disabled", {f"{SITES}/shop.conf": "# gone\n"}),
        _step("root", {f"{SITES}/wiki.conf":
                       _virtual_host(WIKI, "*:443", "DocumentRoot /var/www/html", *WIKI_LINES)}),
        _step("curves", {conf: "SSLOpenSSLConfCmd Curves X25519MLKEM768:NoSuchCurve\n"}),
        _step("port", {"/etc/apache2/ports.conf": PORTS}),
        _step("unit", {"/etc/fragile.stop": "now\n"}),
        _step("meant", {conf: denied}, '  answers: {"*": [403]}'),
        _step("include", {"/etc/apache2/shop-root.conf": "DocumentRoot /var/www/shop\n"}),
        _step("mend", {"/etc/php/first.php": "<?php\n"}),
    ]  # fmt: skip
    host.write("/etc/harden-tui/steps.d/site.yaml", "\n".join(steps))


def _reload(host: LabHost) -> None:
    """A graceful restart, which `systemctl reload` does not wait for."""
    host.run("systemctl", "reload", "apache2")
    host.run("sleep", "1")


def _page(host: LabHost, name: str = SHOP, port: int = 80) -> str:
    return host.out("python3", "-c", ASKING, name, str(port))


@pytest.fixture(scope="module")
def sites(suite: str, installed: Path) -> Iterator[tuple[LabHost, Fingerprint]]:
    """A host with the sites, and what it was like; each test leaves it so."""
    with LabHost(suite, installed) as host:
        _furnish(host)
        assert (_page(host), _page(host, WIKI, 443)) == ("200 shop", "200 wiki")
        yield host, fingerprint(host)


def _logged(host: LabHost) -> dict[str, Any]:
    """The last entry of the session log."""
    rows = host.out("tail", "-n", "1", "/var/log/harden-tui/sessions.jsonl")
    entry: dict[str, Any] = json.loads(rows)
    return entry


HARM = {
    "prepend": (f"http://{SHOP}/ answered 200 before and answers 500 now",
                "shop.log said last:", "PHP Parse error:"),
    "denied": (f"https://{WIKI}/ answered 200 before and answers 403 now",),
    "disabled": (f"http://{SHOP}/ answered 200 before and now another site answers for it",),
    "root": (f"https://{WIKI}/ answers 200 as before, but with another page",),
    # Dead two seconds after a reload that exits 0. In a container systemd may still call it active.
    "curves": ("AH02312: Fatal error initialising mod_ssl, exiting.",),
    "unit": (
        "fragile.service was running and has failed",
        "fragile.service said last: ^[[31mgoing down^[[0m / fragile.service: Main process exited",
    ),
    "port": ("http://localhost:8080/ answered 200 before and does not answer now",
             "nothing listens on tcp port 8080 (127.0.0.1) any more",),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_harm_to_the_rest_of_the_host_goes_back(
    sites: tuple[LabHost, Fingerprint], harm: str
) -> None:
    host, before = sites
    done = harden(host, "apply", f"site.{harm}", "--yes", check=False)
    assert done.returncode == ROLLED_BACK, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    for words in (f"site.{harm} failed and was rolled back: ", *HARM[harm]):
        assert words in said, said
    assert (_page(host), _page(host, WIKI, 443)) == ("200 shop", "200 wiki")
    assert history(host)[-1]["status"] == "rolled-back"
    entry = _logged(host)
    assert entry["kind"] == "apply-failed" and HARM[harm][-1] in entry["fields"]["reason"]
    # The last look at the host has nothing to tell where Apache died while its reload was proved.
    assert entry["fields"].get("lost") or harm == "curves"
    assert differences(before, fingerprint(host)) == []


def test_what_a_step_means_to_refuse_is_kept_and_undone(
    sites: tuple[LabHost, Fingerprint],
) -> None:
    host, before = sites
    apply(host, "site.meant")
    assert _page(host)[:3] == "403"
    roll_back(host, "site.meant")
    assert differences(before, fingerprint(host)) == []


def test_a_list_of_files_may_go_and_comes_back(sites: tuple[LabHost, Fingerprint]) -> None:
    """Without mod_autoindex a folder without an index file is not found, which the step means."""
    host, before = sites
    host.run("mv", "/var/www/wiki/index.html", "/var/www/wiki/page.html")
    assert "Index of /" in _page(host, WIKI, 443)
    apply(host, "minimal.apache-modules")
    assert _page(host, WIKI, 443)[:3] in ("403", "404")
    roll_back(host, "minimal.apache-modules")
    assert "Index of /" in _page(host, WIKI, 443)
    host.run("mv", "/var/www/wiki/page.html", "/var/www/wiki/index.html")
    assert differences(before, fingerprint(host)) == []


def test_an_undo_that_loses_a_site_goes_back(sites: tuple[LabHost, Fingerprint]) -> None:
    """Somebody has built on what the step brought."""
    host, before = sites
    apply(host, "site.include")
    built_on = SHOP_HOST.replace("DocumentRoot /var/www/shop", "IncludeOptional shop-root.conf")
    host.write(f"{SITES}/shop.conf", built_on)
    _reload(host)
    assert _page(host) == "200 shop"
    done = harden(host, "rollback", "site.include", "--yes", check=False)
    assert done.returncode == ROLLED_BACK, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert f"http://{SHOP}/ answers 200 as before, but with another page" in said
    assert _page(host) == "200 shop"
    assert _logged(host)["fields"]["lost"]

    host.write(f"{SITES}/shop.conf", SHOP_HOST)
    _reload(host)
    roll_back(host, "site.include")
    assert differences(before, fingerprint(host)) == []


def test_a_site_that_was_broken_before_is_no_reason(sites: tuple[LabHost, Fingerprint]) -> None:
    """A step mends it; the undo brings it back as it was, and says so."""
    host, before = sites
    php = host.out("ls", "/etc/php").strip().split()[0]
    host.write("/etc/php/first.php", "<?php if (\n")
    ini = f"/etc/php/{php}/apache2/conf.d/99-site.ini"
    host.write(ini, "auto_prepend_file=/etc/php/first.php\n")
    _reload(host)
    assert _page(host)[:3] == "500"
    apply(host, "apache.banner")
    roll_back(host, "apache.banner")
    apply(host, "site.mend")
    assert _page(host) == "200 shop"
    done = harden(host, "rollback", "site.mend", "--yes")
    assert "answers 500 now, as it was before that change." in " ".join(done.stdout.split())
    assert _page(host)[:3] == "500"
    host.run("rm", ini, "/etc/php/first.php")
    _reload(host)
    assert differences(before, fingerprint(host)) == []
