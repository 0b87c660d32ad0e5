"""A web server as administrators have them: PHP-FPM beside mod_php, own headers, own overrides."""

from __future__ import annotations

import json

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, details, harden, roll_back, statuses

pytestmark = pytest.mark.either_release

SITE = "/etc/apache2/sites-available/fpm.conf"
PAGE = """<?php
foreach ($_GET as $name => $value) { header("$name: $value"); }
echo json_encode([PHP_SAPI, ini_get('display_errors'), function_exists('popen')]);
"""
STEPS = ("minimal.apache-modules", "php.settings", "apache.headers", "apache.banner")


def _php_version(host: LabHost) -> str:
    return host.out("ls", "/etc/php").strip()


def _furnish(host: LabHost) -> None:
    """Two virtual hosts: mod_php in the default one, PHP-FPM and own directives in the other."""
    version = _php_version(host)
    host.run("apt-get", "install", "-y", "-q", f"php{version}-fpm")
    host.run("a2enmod", "-q", "proxy_fcgi", "headers")
    host.write(
        SITE,
        "<VirtualHost *:80>\n"
        "    ServerName fpm.example.org\n"
        "    DocumentRoot /var/www/fpm\n"
        '    Header set X-Frame-Options "DENY"\n'
        "    TraceEnable on\n"
        "    php_admin_value disable_functions exec\n"
        "    <FilesMatch \\.php$>\n"
        f'        SetHandler "proxy:unix:/run/php/php{version}-fpm.sock|fcgi://localhost"\n'
        "    </FilesMatch>\n"
        "</VirtualHost>\n",
    )
    host.run("mkdir", "-p", "/var/www/fpm")
    for root in ("/var/www/html", "/var/www/fpm"):
        host.write(f"{root}/page.php", PAGE)
    pool = f"/etc/php/{version}/fpm/pool.d/www.conf"
    host.write(pool, (host.root / pool[1:]).read_text() + "php_flag[display_errors] = on\n")
    host.run("a2ensite", "-q", "fpm")
    host.run("systemctl", "restart", f"php{version}-fpm", "apache2")


def _get(host: LabHost, path: str, name: str = "localhost") -> tuple[list[tuple[str, str]], str]:
    """Headers and body, asked from inside the host, where names need no DNS."""
    program = (
        "import http.client, json, sys; c = http.client.HTTPConnection('127.0.0.1');"
        " c.request('GET', sys.argv[1], headers={'Host': sys.argv[2]}); r = c.getresponse();"
        " print(json.dumps([r.getheaders(), r.read().decode()]))"
    )
    headers, body = json.loads(host.out("python3", "-c", program, path, name))
    return [(key.lower(), value) for key, value in headers], body


def _sent(headers: list[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in headers if key == name]


def test_fpm_overrides_and_own_headers_are_seen_set_and_undone(host: LabHost) -> None:
    """What a drop-in cannot overrule is found with file and line, changed there, and put back."""
    _furnish(host)
    before = fingerprint(host)
    found = details(host, "php.settings", "apache.banner")
    origins = {
        finding["setting"]: finding["origin"]
        for step in found["steps"]
        for finding in step["findings"]
        if finding["ok"] is False
    }
    assert origins["TraceEnable"] == "/etc/apache2/sites-enabled/fpm.conf:5"
    assert "/fpm/pool.d/www.conf:" in origins["display_errors"]

    for step in STEPS:
        apply(host, step)
    assert set(statuses(host, *STEPS).values()) == {"pass"}
    assert json.loads(_get(host, "/page.php")[1]) == ["apache2handler", "", False]
    sapi, shown, popen = json.loads(_get(host, "/page.php", "fpm.example.org")[1])
    assert (sapi, shown.lower() in ("", "0", "off"), popen) == ("fpm-fcgi", True, False)
    assert "display_errors" not in host.out("sh", "-c", "ls /etc/php/*/cli/conf.d")
    assert host.out("php", "-r", "echo (int) function_exists('popen');") == "1"

    for path in ("/page.php", "/none"):
        headers, _ = _get(host, path, "fpm.example.org")
        assert _sent(headers, "x-frame-options") == ["DENY"], path
    headers, _ = _get(host, "/page.php?X-Frame-Options=SAMEORIGIN&Content-Security-Policy=own")
    assert _sent(headers, "x-frame-options") == ["SAMEORIGIN"]
    assert _sent(headers, "content-security-policy") == ["own"]
    assert _sent(headers, "content-security-policy-report-only") == []
    headers, _ = _get(host, "/page.php?X-Frame-Options=ALLOWALL")
    assert _sent(headers, "x-frame-options") == ["SAMEORIGIN"]

    for step in ("php.settings", "apache.banner", "minimal.apache-modules", "apache.headers"):
        roll_back(host, step)
    assert differences(before, fingerprint(host)) == []
    assert json.loads(_get(host, "/page.php")[1])[2] is True


def test_a_module_that_something_needs_is_kept_and_named(host: LabHost) -> None:
    """Turning proxy_fcgi off would stop PHP-FPM."""
    _furnish(host)
    apply(host, "minimal.apache-modules")
    loaded = host.out("apache2ctl", "-M")
    assert "proxy_fcgi_module" in loaded and "status_module" not in loaded
    notes = [f["note"] for f in details(host, "minimal.apache-modules")["steps"][0]["findings"]]
    assert any("sites-enabled/fpm.conf:8 uses it" in note for note in notes)
    assert json.loads(_get(host, "/page.php", "fpm.example.org")[1])[0] == "fpm-fcgi"


def test_a_file_on_disk_that_apache_has_not_read_is_no_pass(host: LabHost) -> None:
    """The right file and a server that was never told: unknown, and the plan is a reload."""
    apply(host, "php.settings")
    ini = f"/etc/php/{_php_version(host)}/apache2/php.ini"
    host.run("sleep", "1")
    host.run("touch", ini)
    assert statuses(host, "php.settings") == {"php.settings": "unknown"}
    apply(host, "php.settings")
    assert statuses(host, "php.settings") == {"php.settings": "pass"}


@pytest.mark.parametrize("mode", ["report-only", "enforce"])
def test_applying_again_changes_nothing(host: LabHost, mode: str) -> None:
    chosen = ("--set", f"apache.headers.csp-mode={mode}")
    apply(host, "apache.headers", more=chosen)
    done = harden(host, "plan", "--checklist", "i-doit", "apache.headers", *chosen, check=False)
    assert done.returncode == 0, done.stdout
