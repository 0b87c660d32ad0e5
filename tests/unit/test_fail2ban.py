"""fail2ban's answers on both releases, and the one file that makes the jails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState, Port
from host.facts.addresses import parse_addresses
from host.facts.apt import Simulation
from host.facts.fail2ban import (
    Jail,
    deciding,
    enabled,
    parse_dump,
    parse_ini,
    parse_interactive,
    seconds,
)
from host.facts.packages import Package
from snapshots.model import Activation, InstallPackages, RunCommand, Validation, WriteFile
from steps.resource import Context, Planned
from steps.resources.fail2ban import Fail2ban
from steps.resources.fail2ban_default import JAIL_LOCAL
from steps.resources.fail2ban_plan import JAIL_FILE
from tests.unit.given import RELEASES, SSHD, context, packages, recorded, unit

JAILS = ("sshd", "apache-auth", "mysqld-auth", "nosuch")


@pytest.mark.parametrize("release", RELEASES)
def test_what_runs(release: str) -> None:
    found = parse_interactive(recorded(release, "fail2ban/interactive.txt"), JAILS)
    assert list(found) == ["sshd", "apache-auth", "mysqld-auth"]
    assert found["sshd"].maxretry == 3
    assert found["apache-auth"].maxretry == 5
    assert found["sshd"].findtime == found["sshd"].bantime == 600
    assert set(found["sshd"].ignored) == {"127.0.0.0/8", "::1", "10.1.2.3"}
    assert found["apache-auth"].ignored == ()
    assert found["mysqld-auth"].watches == ("/var/log/syslog",)
    reads = {"bookworm": "/var/log/auth.log", "trixie": "_SYSTEMD_UNIT=ssh.service + _COMM=sshd"}
    assert found["sshd"].watches == (reads[release],)
    assert found["sshd"].actions == ("nftables",)


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_start_would_run(release: str) -> None:
    found = parse_dump(recorded(release, "fail2ban/dump.txt"))
    assert list(found) == ["sshd", "apache-auth", "mysqld-auth", "recidive"]
    assert found["sshd"].maxretry == 3
    assert found["sshd"].ignored == ("127.0.0.1/8", "::1", "10.1.2.3")
    assert found["sshd"].backend == {"bookworm": "auto", "trixie": "systemd"}[release]
    assert found["sshd"].ports == "ssh"
    assert found["recidive"].bantime == 604800
    assert not any(jail.is_blind for jail in found.values())


def test_a_jail_without_a_log_is_blind() -> None:
    text = "['add', 'mysqld-auth', 'auto']\n['start', 'mysqld-auth']\n"
    assert parse_dump(text)["mysqld-auth"].is_blind
    assert not parse_dump(text.replace("auto", "systemd"))["mysqld-auth"].is_blind


@pytest.mark.parametrize("release", RELEASES)
def test_a_stopped_server_answers_nothing(release: str) -> None:
    assert parse_interactive(recorded(release, "fail2ban/stopped.txt"), JAILS) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10m", 600), ("1h 30m", 5400), ("600", 600), ("-1", -1), ("1w", 604800), ("1mo", 2629746),
     ("soon", None), ("", None), ("%(x)s", None)],
)  # fmt: skip
def test_seconds(text: str, expected: int | None) -> None:
    assert seconds(text) == expected


def test_the_line_that_decides() -> None:
    text = (
        "[DEFAULT]\nmaxretry = 9\n\n[sshd]\nmaxretry = 4 ; few\nignoreip = 10.0.0.1\n  10.0.0.2\n"
    )
    sources = parse_ini(text, "/f")
    line = deciding(sources, "sshd", "maxretry")
    assert line is not None
    assert (line.value, line.origin) == ("4", "/f:5")
    other = deciding(sources, "apache-auth", "maxretry")
    assert other is not None
    assert other.origin == "/f:2"
    continued = deciding(sources, "sshd", "ignoreip")
    assert continued is not None
    assert continued.value == "10.0.0.1 10.0.0.2"


BODY: dict[str, Any] = {
    "max-retry": 3,
    "find-time": "10m",
    "ban-time": "1h",
    "jail-local": True,
    "jails": {
        "sshd": {
            "any-package": ["openssh-server"],
            "port": "ssh",
            "journal": ["_SYSTEMD_UNIT=ssh.service", "_COMM=sshd"],
            "log": "/var/log/auth.log",
            "required": True,
        },
        "mysqld-auth": {
            "any-package": ["mariadb-server"],
            "port": "3306",
            "journal": ["_SYSTEMD_UNIT=mariadb.service"],
            "log": "/var/log/syslog",
        },
    },
}


class _Daemon:
    by_socket = False


def host(directory: Path, **changed: Any) -> Context:
    answers: dict[str, Any] = {
        "packages": packages("openssh-server", "mariadb-server"),
        "units": {},
        "ports": (SSHD,),
        "sshd_daemon": _Daemon(),
        "sshd_effective": {},
        "fail2ban_running": None,
        "fail2ban_configuration": None,
        "fail2ban_sources": {},
        "own_addresses": (),
        "dpkg_busy": "",
        "apt_simulation": Simulation(brings=("fail2ban 1",)),
    }
    answers.update(changed)
    return context(directory, **answers)


def resource(**changed: Any) -> Fail2ban:
    return Fail2ban.parse("defence.fail2ban", {**BODY, **changed})


def jail_file(planned: Planned, path: str = JAIL_FILE) -> bytes:
    files = (change for change in planned.changes if isinstance(change, WriteFile))
    return next(change.content for change in files if change.path == path)


def written(planned: Planned) -> dict[str, dict[str, str]]:
    """The jail file of a plan as sections."""
    text = jail_file(planned).decode()
    sections: dict[str, dict[str, str]] = {}
    for (section, option), lines in parse_ini(text, JAIL_FILE).items():
        sections.setdefault(section, {})[option] = lines[-1].value
    return sections


def test_a_blank_host(tmp_path: Path) -> None:
    ctx = host(tmp_path)
    assert any(finding.ok is False for finding in resource().observe(ctx))
    planned = resource().plan(ctx)
    install = planned.changes[0]
    assert isinstance(install, InstallPackages)
    assert install.packages == ("fail2ban", "nftables", "python3-systemd")
    sections = written(planned)
    assert sections["sshd"]["backend"] == "systemd"
    assert sections["sshd"]["port"] == "22"
    assert sections["sshd"]["maxretry"] == "3"
    assert sections["sshd"]["banaction"] == "nftables"
    assert sections["sshd"]["ignoreip"] == "127.0.0.1/8 ::1 198.51.100.7"
    assert sections["mysqld-auth"]["journalmatch"] == "_SYSTEMD_UNIT=mariadb.service"
    assert planned.validations == (Validation(("fail2ban-client", "-t")),)
    assert planned.activations == (Activation("restart", "fail2ban.service"),)


def test_no_jail_for_what_is_not_installed(tmp_path: Path) -> None:
    """One jail without a log keeps fail2ban from starting, and sshd's protection is gone too."""
    ctx = host(tmp_path, packages=packages("openssh-server"))
    assert list(written(resource().plan(ctx))) == ["sshd"]


def test_the_ports_ssh_really_uses(tmp_path: Path) -> None:
    other = Port(protocol="tcp", address="::", port=2022, process="sshd")
    assert (
        written(resource().plan(host(tmp_path, ports=(SSHD, other))))["sshd"]["port"] == "22,2022"
    )


NO_JOURNAL = Simulation(missing=("python3-systemd",))


class _Offered:
    """apt's answers: everything but what reads the journal."""

    def __init__(self, ctx: Context) -> None:
        facts: Any = ctx.facts
        original = facts.get

        def get(fact: Any) -> Any:
            if fact.name.startswith("apt-simulation"):
                return NO_JOURNAL if "python3-systemd" in fact.name else Simulation()
            return original(fact)

        facts.get = get


def test_without_the_journal_the_log_files_are_read(tmp_path: Path) -> None:
    ctx = host(tmp_path)
    _Offered(ctx)
    ctx.host.write_file("/var/log/auth.log", b"")
    ctx.host.put("/var/log/syslog", None)
    planned = resource().plan(ctx)
    assert written(planned)["sshd"]["backend"] == "auto"
    assert written(planned)["sshd"]["logpath"] == "/var/log/auth.log"
    assert "mysqld-auth" not in written(planned)
    assert any("No jail mysqld-auth" in note for note in planned.notes)


def test_nothing_to_read_for_ssh_is_refused(tmp_path: Path) -> None:
    ctx = host(tmp_path)
    _Offered(ctx)
    ctx.host.put("/var/log/auth.log", None)
    planned = resource().plan(ctx)
    assert "Install rsyslog" in planned.refusals[0]
    assert not planned.changes


def test_addresses_that_the_host_ignores_already_stay_ignored(tmp_path: Path) -> None:
    theirs = parse_ini("[DEFAULT]\nignoreip = 192.0.2.9 %(other)s\n", "/etc/fail2ban/jail.local")
    planned = resource(ignore=["10.0.0.0/8"]).plan(host(tmp_path, fail2ban_sources=theirs))
    ignored = written(planned)["sshd"]["ignoreip"].split()
    assert ignored == ["127.0.0.1/8", "::1", "10.0.0.0/8", "198.51.100.7", "192.0.2.9"]


DEFAULT = "[DEFAULT]\nignoreip = 127.0.0.1/8 ::1 203.0.113.5 2001:db8::5\n"


def test_a_jail_added_later_ignores_the_same(tmp_path: Path) -> None:
    debian = parse_ini("[DEFAULT]\nignoreip = 192.0.2.9\n", "/etc/fail2ban/jail.d/x.conf")
    ctx = host(tmp_path / "1", **running(fail2ban_sources=debian))
    assert wrong(ctx) == {"jails added later, ignoreip"}
    text = jail_file(resource().plan(ctx), JAIL_LOCAL).decode()
    assert "[DEFAULT]\nignoreip = 127.0.0.1/8 ::1 198.51.100.7 192.0.2.9\n" in text
    assert parse_ini(text, JAIL_LOCAL).keys() == {("DEFAULT", "ignoreip")}


def test_another_step_with_jails_of_its_own_leaves_it_alone(tmp_path: Path) -> None:
    other = resource(**{"jail-local": False})
    answers = running(fail2ban_sources={})
    assert other.plan(host(tmp_path / "1", **answers)) == Planned()
    files = [c.path for c in other.plan(host(tmp_path / "2")).changes if isinstance(c, WriteFile)]
    assert files == [JAIL_FILE]


def test_a_jail_local_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    theirs = b"[DEFAULT]\nbantime = 1d\n"
    ctx = host(tmp_path, **running(fail2ban_sources=parse_ini(theirs.decode(), JAIL_LOCAL)))
    ctx.host.put("/etc/fail2ban", FileState(kind="dir", mode=0o755))
    ctx.host.write_file(JAIL_LOCAL, theirs)
    assert wrong(ctx) == set()
    assert resource().plan(ctx) == Planned()
    (told,) = (f for f in resource().observe(ctx) if f.setting.startswith("jails added later"))
    assert "add them to its [DEFAULT] yourself" in told.note


OWN = ("203.0.113.5", "2001:db8::5")


def test_an_older_fail2ban_is_told_the_hosts_own_addresses(tmp_path: Path) -> None:
    """1.0.2 bans 203.0.113.5 when ssh-audit runs on the host itself and asks there."""
    offered = Simulation(brings=("fail2ban 1.0.2-2", "nftables 1.0.6-2"))
    ctx = host(tmp_path, own_addresses=OWN, apt_simulation=offered)
    ignored = written(resource().plan(ctx))["sshd"]["ignoreip"]
    assert ignored == "127.0.0.1/8 ::1 203.0.113.5 2001:db8::5 198.51.100.7"


def test_a_newer_fail2ban_knows_them_itself(tmp_path: Path) -> None:
    offered = Simulation(brings=("fail2ban 1.1.0-8", "nftables 1.1.3-1"))
    ctx = host(tmp_path, own_addresses=OWN, apt_simulation=offered)
    assert written(resource().plan(ctx))["sshd"]["ignoreip"] == "127.0.0.1/8 ::1 198.51.100.7"


def test_an_address_the_host_got_later_is_missed(tmp_path: Path) -> None:
    answers = running(own_addresses=OWN)
    assert wrong(host(tmp_path, **answers)) == {"sshd ignoreip", "mysqld-auth ignoreip"}
    newer = {**answers["packages"], "fail2ban": Package("fail2ban", "1.1.0-8", "all", "install",
                                                        "installed")}  # fmt: skip
    assert wrong(host(tmp_path / "2", **{**answers, "packages": newer})) == set()


@pytest.mark.parametrize("release", RELEASES)
def test_own_addresses_as_ip_tells_them(release: str) -> None:
    found = parse_addresses(recorded(release, "host/addresses.txt"))
    assert found[1:] == ("2001:db8:78:0:3cd:63ff:fe0e:c16", "2001:db8:77::2")
    assert found[0].startswith("10.77.")


@settings(max_examples=60)
@given(st.text())
def test_any_answer_of_ip_is_read(text: str) -> None:
    parse_addresses(text)


def running(**changed: Any) -> dict[str, Any]:
    """A host where the jails run as wanted."""
    jail = Jail(
        maxretry=3,
        findtime=600,
        bantime=3600,
        ignored=("127.0.0.0/8", "::1", "198.51.100.7"),
        watches=("/var/log/auth.log",),
        backend="auto",
        ports="22",
    )
    jails = {"sshd": jail, "mysqld-auth": jail}
    return {
        "packages": packages("openssh-server", "mariadb-server", "fail2ban", "python3-systemd"),
        "units": {"fail2ban.service": unit("fail2ban.service")},
        "fail2ban_running": jails,
        "fail2ban_configuration": jails,
        "fail2ban_sources": parse_ini(DEFAULT, JAIL_LOCAL),
        **changed,
    }


def test_as_wanted_nothing_is_planned(tmp_path: Path) -> None:
    ctx = host(tmp_path, **running())
    findings = resource().observe(ctx)
    assert all(finding.ok for finding in findings if finding.applicable), findings
    assert resource().plan(ctx) == Planned()
    notes = [finding.note for finding in findings if finding.setting == "mysqld-auth jail"]
    assert "nobody to ban" in notes[0]


def wrong(ctx: Context) -> set[str]:
    return {finding.setting for finding in resource().observe(ctx) if finding.ok is False}


def test_the_running_value_counts_not_the_file(tmp_path: Path) -> None:
    good = running()["fail2ban_configuration"]
    loose = Jail(maxretry=5, findtime=600, bantime=3600, ignored=("127.0.0.0/8", "::1"),
                 watches=("x",))  # fmt: skip
    ctx = host(tmp_path, **running(fail2ban_running={**good, "sshd": loose}))
    assert wrong(ctx) == {"sshd maxretry"}
    ctx = host(tmp_path, **running(fail2ban_running=None))
    assert "fail2ban" in wrong(ctx)


def test_stricter_is_good(tmp_path: Path) -> None:
    strict = Jail(maxretry=2, findtime=86400, bantime=-1, ignored=("127.0.0.0/8", "::1"),
                  watches=("x",), ports="22")  # fmt: skip
    jails = {"sshd": strict, "mysqld-auth": strict}
    ctx = host(tmp_path, **running(fail2ban_running=jails, fail2ban_configuration=jails))
    assert wrong(ctx) - {"fail2ban"} == set()


def test_a_blind_jail_of_the_host_is_named(tmp_path: Path) -> None:
    good = running()["fail2ban_configuration"]
    blind = {**good, "typo3": Jail(backend="auto")}
    sources = parse_ini("[typo3]\nenabled = true\n" + DEFAULT, "/etc/fail2ban/jail.local")
    ctx = host(tmp_path, **running(fail2ban_configuration=blind, fail2ban_sources=sources))
    assert wrong(ctx) == {"fail2ban"}
    assert "typo3 (/etc/fail2ban/jail.local:2)" in resource().plan(ctx).refusals[0]


def test_a_good_file_that_is_not_in_force_is_loaded(tmp_path: Path) -> None:
    ctx = host(tmp_path, packages=packages("openssh-server", "fail2ban", "nftables",
                                           "python3-systemd"))  # fmt: skip
    planned = resource().plan(ctx)
    answers = running(
        packages=packages("openssh-server", "fail2ban", "nftables", "python3-systemd"),
        fail2ban_running={},
    )
    ctx = host(tmp_path, **answers)
    for directory in ("/etc/fail2ban", "/etc/fail2ban/jail.d"):
        ctx.host.put(directory, FileState(kind="dir", mode=0o755))
    for path in (JAIL_FILE, JAIL_LOCAL):
        ctx.host.write_file(path, jail_file(planned, path))
    changes = resource().plan(ctx).changes
    assert [c.argv for c in changes if isinstance(c, RunCommand)] == [
        ("systemctl", "restart", "fail2ban.service")
    ]
    assert not any(isinstance(change, WriteFile) for change in changes)


def test_mail_without_a_mailer_is_refused(tmp_path: Path) -> None:
    ctx = host(tmp_path)
    assert ctx.host.which("sendmail") is None
    assert "sendmail" in resource(mail="a@example.org").plan(ctx).refusals[0]


def test_names_of_ports_that_nft_does_not_know(tmp_path: Path) -> None:
    """Without /etc/services the ban of such a jail fails, and the jail says that it bans."""
    good = running()["fail2ban_configuration"]
    web = Jail(maxretry=3, findtime=600, bantime=3600, ignored=("127.0.0.0/8", "::1"),
               watches=("x",), backend="auto", ports="http,https")  # fmt: skip
    jails = {**good, "apache-auth": web}
    answers = running(
        packages=packages("openssh-server", "mariadb-server", "fail2ban", "apache2"),
        fail2ban_running=jails, fail2ban_configuration=jails,
    )  # fmt: skip
    body = {**BODY["jails"], "apache-auth": {"any-package": ["apache2"], "port": "http,https"}}
    body["apache-auth"]["log"] = "/var/log/apache2/*error.log"
    ctx = host(tmp_path, **answers)
    ctx.host.put("/etc/services", None)
    ctx.host.put("/var/log/apache2", FileState(kind="dir", mode=0o755))
    ctx.host.write_file("/var/log/apache2/error.log", b"")
    step = resource(jails=body)
    found = {finding.setting: finding for finding in step.observe(ctx)}
    assert found["apache-auth port"].ok is False
    assert "nobody is banned" in found["apache-auth port"].note
    assert written(step.plan(ctx))["apache-auth"]["port"] == "80,443"
    ctx.host.write_file("/etc/services", b"http 80/tcp\n")
    assert "apache-auth port" not in wrong_of(step, ctx)


def wrong_of(step: Fail2ban, ctx: Context) -> set[str]:
    return {finding.setting for finding in step.observe(ctx) if finding.ok is False}


def test_the_jails_that_are_asked_for_are_those_that_a_file_enables() -> None:
    text = (
        "[DEFAULT]\nenabled = true\n[sshd]\nenabled = TRUE\n[web]\nenabled = false\n[x]\nport = 1\n"
    )
    assert enabled(parse_ini(text, "/f")) == ("sshd",)
