"""What dpkg, apt, sysctl and systemd say, as data; recorded on bookworm and trixie."""

from __future__ import annotations

import pytest

from host.base import Completed, Service
from snapshots import dependencies, dpkg
from snapshots.domains import kernel, packages, units
from snapshots.execute import _REPLACES, _TAKES_AWAY
from snapshots.model import ValueItem


def test_packages() -> None:
    text = (
        "ufw\tinstall\tinstalled\t0.36.2-9\n"
        "libc6:amd64\thold\tinstalled\t2.41-12\n"
        "cups\tdeinstall\tconfig-files\t2.4.10-3\n"
        "broken\tinstall\thalf-configured\t1:1.0\n"
        "netbase\tpurge\tinstalled\t6.4\n"
        "libc-bin\tinstall\ttriggers-pending\t2.41-12\n"
        "trig\thold\ttriggers-awaited\t1\n"
        "gone\tunknown\tnot-installed\t\n"
    )
    assert packages.parse(text, frozenset({"libc6"})) == {
        "ufw": ValueItem("0.36.2-9;manual"),
        "libc6:amd64": ValueItem("2.41-12;auto;hold"),
        "cups": ValueItem("config-files"),
        "broken": ValueItem("1:1.0;manual;half-configured"),
        "netbase": ValueItem("6.4;manual;purge"),  # what a purge that was cut off would take next
        "libc-bin": ValueItem("2.41-12;manual"),  # both work; the next apt runs their triggers
        "trig": ValueItem("1;manual;hold"),
    }


def test_automatic_marks() -> None:
    text = (
        "Package: iptables\nArchitecture: amd64\nAuto-Installed: 1\n\n"
        "Package: ufw\nArchitecture: amd64\nAuto-Installed: 0\n\n"
    )
    assert packages.parse_automatic(text) == {"iptables"}


def test_sysctls() -> None:
    text = (
        "kernel.random.uuid = 5e7dcfab-2280-4274-8f17-131314edefe4\n"
        "net.ipv4.ip_local_port_range = 32768\t60999\n"
        "net.ipv4.conf.eth0/100.rp_filter = 0\n"
        "net.ipv4.tcp_fastopen_key = 00000000-00000000-00000000-00000000\n"
        "kernel.core_pattern = |/usr/share/apport %p\n"
        "kernel.domainname = (none)\n"
        "kernel.modprobe =\n"
    )
    assert dict(kernel.parse(text)) == {
        "net.ipv4.ip_local_port_range": "32768\t60999",
        "net.ipv4.conf.eth0/100.rp_filter": "0",
        "kernel.core_pattern": "|/usr/share/apport %p",
        "kernel.domainname": "(none)",
        "kernel.modprobe": "",
    }


@pytest.mark.parametrize(
    ("unit", "active", "enabled", "triggered_by", "value"),
    [
        ("cups.service", "active", "enabled", ("cups.socket",), "active"),
        ("cups.service", "inactive", "enabled", (), ""),
        ("aide.service", "failed", "static", (), "failed"),
        ("apt-daily.service", "activating", "static", ("apt-daily.timer",), ""),
        ("mariadb.service", "activating", "enabled", (), "changing"),
        ("session-3.scope", "active", "transient", (), ""),
        ("run-r1.service", "active", "transient", (), ""),
        ("user@1000.service", "active", "static", (), ""),
        ("systemd-hostnamed.service", "active", "static", (), ""),
        ("tmp.mount", "active", "static", (), ""),
        ("apache2.service", "reloading", "enabled", (), "active"),
    ],
)
def test_units(
    unit: str, active: str, enabled: str, triggered_by: tuple[str, ...], value: str
) -> None:
    service = Service(
        unit=unit, description="", active=active, sub="", enabled=enabled,
        triggered_by=triggered_by,
    )  # fmt: skip
    assert units.value_of(service) == value


INSTALLED = dependencies.parse(
    "ufw\tinstalled\t\t\tiptables, ucf, python3:any\trsyslog\t\n"
    "iptables\tinstalled\t\t\tlibip4tc2 (= 1.8), libnftnl11 (>= 1.2)\tnftables\t\n"
    "libip4tc2:amd64\tinstalled\t\t\tlibc6\t\t\n"
    "libnftnl11:amd64\tinstalled\t\t\tlibc6\t\t\n"
    "nftables\tinstalled\t\t\tlibnftnl11\t\t\n"
    "fail2ban\tinstalled\t\t\tpython3\tnftables | iptables\t\n"
    "exim4-daemon-light\tinstalled\tmail-transport-agent\t\tlibc6\t\t\n"
    "bsd-mailx\tinstalled\t\t\tdefault-mta | mail-transport-agent\t\t\n"
)


def test_a_later_package_keeps_what_it_depends_on() -> None:
    going = {"ufw", "iptables", "libip4tc2:amd64", "libnftnl11:amd64"}
    assert dependencies.kept(INSTALLED, going, {"nftables": "later"}) == {
        "libnftnl11:amd64": "nftables"
    }


def test_what_a_later_package_recommends_stays_with_all_below_it() -> None:
    going = {"iptables", "libip4tc2:amd64", "libnftnl11:amd64", "nftables", "ufw"}
    stays = dependencies.kept(INSTALLED, going, {"fail2ban": "later"})
    assert {"iptables", "nftables", "libnftnl11:amd64"} <= stays.keys()
    assert "ufw" not in stays
    assert dependencies.origin(stays, "libnftnl11:amd64") == "fail2ban"


def test_what_a_stranger_only_recommends_goes() -> None:
    assert dependencies.kept(INSTALLED, {"nftables"}, {}) == {}


def test_a_stranger_keeps_what_only_this_provides() -> None:
    assert dependencies.kept(INSTALLED, {"exim4-daemon-light"}, {}) == {
        "exim4-daemon-light": "bsd-mailx"
    }


@pytest.mark.parametrize("status", ["triggers-awaited", "triggers-pending"])
def test_a_package_whose_trigger_is_still_to_be_run_keeps_what_it_depends_on(status: str) -> None:
    installed = dependencies.parse(
        "extra\tinstalled\t\t\t\t\t\n"
        f"mine\t{status}\t\t\textra\t\t\n"
        "old\tconfig-files\t\t\textra\t\t\n"
    )
    assert dependencies.kept(installed, {"extra"}, {}) == {"extra": "mine"}


@pytest.mark.parametrize(
    ("depends", "provides", "needed"),
    [
        ("extra (>= 1)", "extra", True),  # Debian Policy 7.5: it does not say in which version
        ("extra (>= 1)", "extra (= 1)", False),
        ("extra (>= 1) | prov", "extra", False),
        ("extra", "extra", False),
        ("extra:any", "extra (= 1)", False),
    ],
)
def test_what_provides_a_name_without_a_version_is_none(
    depends: str, provides: str, needed: bool
) -> None:
    installed = dependencies.parse(
        "extra:amd64\tinstalled\t\t\t\t\t\n"
        f"mine\tinstalled\t\t\t{depends}\t\t\n"
        f"prov\tinstalled\t{provides}\t\t\t\t\n"
    )
    stays = {"extra:amd64": "mine"} if needed else {}
    assert dependencies.kept(installed, {"extra:amd64"}, {}) == stays


def test_declared_packages_stay() -> None:
    assert dependencies.kept(INSTALLED, {"ufw"}, {"ufw": "later"}) == {"ufw": "ufw"}


def test_what_apt_would_take_away() -> None:
    said = (
        "Remv exim4-base [4.96-15] [bsd-mailx:amd64 ]\n"
        "Purg cups-daemon [2.4.10-3+deb13u2]\n"
        "Inst libssl3 [3.0.17] (3.0.22 Debian:12 [amd64])\n"
        "Inst ufw (0.36.2-1 Debian:12/stable [amd64])\n"
    )
    assert dict(_TAKES_AWAY.findall(said)) == {
        "exim4-base": "4.96-15",
        "cups-daemon": "2.4.10-3+deb13u2",
    }
    assert _REPLACES.findall(said) == [("libssl3", "3.0.17")]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (
            "dpkg: error: dpkg frontend lock was locked by another process with pid 821\n"
            "Note: removing the lock file is always wrong, can damage the locked area\n",
            ("another", "821"),
        ),
        (
            "dpkg: error: dpkg frontend lock was locked by /usr/bin/apt-get process with pid 17\n",
            ("/usr/bin/apt-get", "17"),
        ),
        (
            "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held "
            "by process 42 (unattended-upgr)...\nE: Unable to acquire the dpkg frontend lock "
            "(/var/lib/dpkg/lock-frontend), is another process using it?\n",
            ("unattended-upgr", "42"),
        ),
    ],
)
def test_who_holds_the_lock(said: str, names: tuple[str, str]) -> None:
    held = dpkg._HELD_BY.search(said)
    assert held is not None and dpkg._LOCKED.search(said)
    assert (held["apt"] or held["dpkg"], held["apt_pid"] or held["dpkg_pid"]) == names


def test_a_broken_package_is_no_lock() -> None:
    failed = Completed(("dpkg",), 1, "", "dpkg: error processing package x (--purge):\n", 0.1)
    assert not dpkg._LOCKED.search(failed.stderr)
