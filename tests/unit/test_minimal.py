"""What a server can do without: packages, ports, modules of PHP, phpMyAdmin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState, Port
from host.facts import FactUnavailable
from host.facts.apt import Simulation
from host.facts.packages import Package
from host.facts.packages_unneeded import purpose, unneeded_packages
from host.facts.php import WebPhp
from host.facts.php_ini import Assignment, Ini
from host.facts.port_packages import names_of, parse_owners
from snapshots.model import Activation, RunCommand
from steps.resource import StepError
from steps.resources.package_unneeded import UnneededPackage
from steps.resources.php_module import REGISTRY, PhpModule, loaded_by, module_of
from steps.resources.phpmyadmin import PhpMyAdmin
from steps.resources.ports import Ports, expected_ports
from tests.unit.given import SSHD, context, packages, unit

THERE = {
    **packages("inetutils-telnet", "cups-daemon", "apache2"),
    "tnftp": Package("tnftp", "1", "amd64", "deinstall", "config-files"),
}
MARIADB = Port(
    protocol="tcp", address="::", port=3306, process="mariadbd", pid=9, unit="mariadb.service"
)


def test_unneeded_packages_are_found_by_name(tmp_path: Path) -> None:
    ctx = context(tmp_path, known_packages=THERE)
    assert unneeded_packages(ctx.facts) == ["cups-daemon", "inetutils-telnet", "tnftp"]
    assert purpose("xserver-xorg-core") == "X server"
    assert purpose("libcups2") == purpose("vsftpd") == ""


def test_what_is_purged_and_what_is_kept(tmp_path: Path) -> None:
    ctx = context(
        tmp_path,
        known_packages=THERE,
        packages={name: one for name, one in THERE.items() if one.installed},
        dpkg_busy="",
        apt_purge=Simulation(removes=("inetutils-telnet",)),
        units_of=(),
    )
    resource = UnneededPackage.parse("x.y", {"purged": ["inetutils-telnet"]})
    found = {f.setting: f for f in resource.observe(ctx)}
    assert found["inetutils-telnet"].ok is False
    assert not found["cups-daemon"].applicable and "kept by choice" in found["tnftp"].note
    planned = resource.plan(ctx)
    (change,) = planned.changes
    assert isinstance(change, RunCommand) and change.argv[1] == "purge"
    assert "inetutils-telnet: telnet client: passwords in clear text." in planned.notes


def test_nothing_chosen_is_good(tmp_path: Path) -> None:
    ctx = context(tmp_path, known_packages=packages("apache2"), packages=packages("apache2"))
    resource = UnneededPackage.parse("x.y", {"purged": []})
    assert [f.ok for f in resource.observe(ctx)] == [True]
    assert resource.plan(ctx).changes == ()
    with pytest.raises(StepError):
        UnneededPackage.parse("x.y", {"purged": ["-oX"]})


def ask(directory: Path, *ports: Port, **answers: Any) -> Any:
    given_answers = {
        "ports": (SSHD, *ports),
        "units": {"mariadb.service": unit("mariadb.service")},
        "port_packages": {9: "mariadb-server"},
        "packages": packages("apache2"),
        "sshd_daemon": FactUnavailable("no sshd"),
        "sshd_effective": FactUnavailable("no sshd"),
        **answers,
    }
    return context(directory, **given_answers)


def test_an_unexpected_port_is_shown_with_whose_it_is(tmp_path: Path) -> None:
    here = Port(protocol="tcp", address="127.0.0.1", port=6379, process="redis-server")
    ctx = ask(tmp_path, MARIADB, here)
    resource = Ports.parse("x.y", {"expected": ["22/tcp", "80/tcp"]})
    found = {f.setting: f for f in resource.observe(ctx)}
    assert set(found) == {"22/tcp", "3306/tcp", "80/tcp"}
    assert found["22/tcp"].ok and not found["80/tcp"].applicable
    bad = found["3306/tcp"]
    assert bad.ok is False
    assert bad.running == "mariadbd (mariadb.service, package mariadb-server) on [::]"
    assert bad.persistent == "mariadb.service is enabled"
    planned = resource.plan(ctx)
    assert planned.changes == () and "3306/tcp is open and not expected" in planned.refusals[0]
    assert "minimal.ports.expected='22/tcp 80/tcp 3306/tcp'" in planned.refusals[1]
    assert Ports.parse("x.y", {"expected": ["22/tcp", "3306/tcp"]}).plan(ctx).refusals == ()


def test_what_the_network_and_logins_need(tmp_path: Path) -> None:
    lease = Port(protocol="udp", address="0.0.0.0", port=68, process="dhclient")
    login = Port(protocol="udp", address="0.0.0.0", port=60001, process="mosh-server")
    other = Port(protocol="udp", address="0.0.0.0", port=68, process="dnsmasq")
    resource = Ports.parse("x.y", {"expected": ["22/tcp"]})
    assert resource.plan(ask(tmp_path, lease, login)).refusals == ()
    assert len(resource.plan(ask(tmp_path, other)).refusals) == 2


def test_ports_expected_by_default(tmp_path: Path) -> None:
    assert expected_ports(ask(tmp_path)) == ("22/tcp", "80/tcp", "443/tcp")
    assert expected_ports(ask(tmp_path, packages=packages("dash"))) == ("22/tcp",)


@pytest.mark.parametrize("port", ["443", "0/tcp", "70000/udp", "80/sctp"])
def test_what_is_no_port(port: str) -> None:
    with pytest.raises(StepError):
        Ports.parse("x.y", {"expected": [port]})


def test_owners_of_programs() -> None:
    text = (
        "diversion by dash from: /bin/sh\n"
        "cups-daemon: /usr/sbin/cupsd\n"
        "a:amd64, b: /bin/x\n"
        "dpkg-query: no path found matching pattern /usr/y\n"
    )
    assert parse_owners(text) == {"/usr/sbin/cupsd": "cups-daemon", "/bin/x": "a"}
    assert names_of("/usr/sbin/cupsd") == ("/usr/sbin/cupsd", "/sbin/cupsd")
    assert names_of("/opt/x") == ("/opt/x",)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser_of_owners(text: str) -> None:
    parse_owners(text)
    module_of(text)


FOLDER = "/etc/php/8.2/apache2/conf.d"


def php(*lines: Assignment, stale: str = "", sapi: Any = "apache2") -> WebPhp:
    assigned: dict[str, tuple[Assignment, ...]] = {}
    for line in lines:
        assigned[line.key] = (*assigned.get(line.key, ()), line)
    unit_name = "apache2.service" if sapi == "apache2" else "php8.2-fpm.service"
    return WebPhp("8.2", sapi, unit_name, Ini("8.2.1", {}, ()), assigned, (), True, stale)


XDEBUG = Assignment("zend_extension", "xdebug.so", f"{FOLDER}/20-xdebug.ini", 1)
FTP = Assignment("extension", "ftp.so", f"{FOLDER}/20-ftp.ini", 3)


def modules(directory: Path, *several: WebPhp, keep: tuple[str, ...] = ()) -> tuple[Any, Any]:
    ctx = context(directory, web_php=several)
    for place in ("/etc/php/8.2", "/etc/php/8.2/apache2", FOLDER):
        if ctx.host.state(place) is None:
            ctx.host.put(place, FileState(kind="dir", mode=0o755))
    for name in ("xdebug", "ftp"):
        target = f"/etc/php/8.2/mods-available/{name}.ini"
        ctx.host.put(f"{FOLDER}/20-{name}.ini", FileState(kind="symlink", target=target))
    body = {"disabled": ["xdebug", "ffi", "ftp"], "keep": list(keep)}
    return PhpModule.parse("x.y", body), ctx


def test_modules_go_by_phpdismod_for_that_sapi_alone(tmp_path: Path) -> None:
    resource, ctx = modules(tmp_path, php(XDEBUG, FTP), keep=("ftp",))
    found = {f.setting: f for f in resource.observe(ctx)}
    assert found["xdebug"].ok is False and found["xdebug"].origin == f"{FOLDER}/20-xdebug.ini:1"
    assert found["ffi"].ok and not found["ftp"].applicable
    planned = resource.plan(ctx)
    (change,) = planned.changes
    assert change.argv == ("phpdismod", "-v", "8.2", "-s", "apache2", "xdebug")
    assert planned.activations == (Activation("reload", "apache2.service"),)
    assert [root.path for root in planned.roots] == [REGISTRY]


def test_a_line_of_its_own_is_left_to_a_person(tmp_path: Path) -> None:
    line = Assignment("zend_extension", "/opt/xdebug.so", "/etc/php/8.2/apache2/php.ini", 7)
    resource, ctx = modules(tmp_path, php(line))
    planned = resource.plan(ctx)
    assert planned.changes == () and "php.ini:7 loads" in planned.refusals[0]


def test_what_still_runs_is_not_called_good(tmp_path: Path) -> None:
    resource, ctx = modules(tmp_path, php(stale="x.ini changed after Apache read it"))
    assert {f.ok for f in resource.observe(ctx)} == {None}
    assert resource.plan(ctx).activations == (Activation("reload", "apache2.service"),)


def test_names_of_modules() -> None:
    assert module_of("/usr/lib/php/20220829/Xdebug.so") == "xdebug"
    assert set(loaded_by(php(XDEBUG, FTP))) == {"xdebug", "ftp"}
    with pytest.raises(StepError):
        PhpModule.parse("x.y", {"disabled": ["../x"]})


def test_a_copy_of_phpmyadmin_is_found_and_left_to_a_person(tmp_path: Path) -> None:
    ctx = context(
        tmp_path,
        packages=packages("apache2"),
        known_packages=packages("apache2"),
        apache=FactUnavailable("no Apache"),
    )
    resource = PhpMyAdmin.parse("x.y", {})
    assert [f.ok for f in resource.observe(ctx)] == [True, True]
    for place in ("/var/www", "/var/www/html", "/var/www/html/pma"):
        if ctx.host.state(place) is None:
            ctx.host.put(place, FileState(kind="dir", mode=0o755))
    ctx.host.write_file("/var/www/html/pma/show_config_errors.php", b"<?php\n")
    assert [f.ok for f in resource.observe(ctx)] == [True, False]
    (refusal,) = resource.plan(ctx).refusals
    assert refusal.startswith("/var/www/html/pma looks like a copy")
