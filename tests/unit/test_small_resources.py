"""package, file and attest: the small kinds, and apt's answers they rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host.base import FileState
from host.facts.apt import Simulation, parse_lslocks, parse_simulation
from host.facts.packages import Package as Installed
from snapshots.model import InstallPackages, RunCommand, WriteFile
from steps.catalog_load import load_catalogue
from steps.resource import Planned, StepError
from steps.resources.attest import Attest
from steps.resources.file import File
from steps.resources.package import Package
from tests.unit.given import RELEASES, context, packages, recorded


@pytest.mark.parametrize("release", RELEASES)
def test_apts_simulation(release: str) -> None:
    found = parse_simulation(recorded(release, "apt/ufw.txt"), "")
    assert found.possible
    assert any(package.startswith("ufw 0.36") for package in found.brings)
    assert any(package.startswith("iptables 1.8") for package in found.brings)
    assert found.removes == found.upgrades == ()


@pytest.mark.parametrize("release", RELEASES)
def test_apt_without_a_candidate(release: str) -> None:
    found = parse_simulation("", recorded(release, "apt/missing.txt"))
    assert not found.possible
    assert "nosuchpackage" in found.missing


def test_upgrades_and_removals() -> None:
    text = "Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])\nRemv iptables-persistent [1.0.20]\n"
    found = parse_simulation(text, "")
    assert found.upgrades == ("libc6 2.36-9 -> 2.36-10",)
    assert found.removes == ("iptables-persistent",)


def test_who_holds_dpkgs_lock() -> None:
    text = "812 /var/lib/dpkg/lock-frontend\n  5 /run/crond.pid\n"
    assert parse_lslocks(text)["/var/lib/dpkg/lock-frontend"] == 812


def plan(directory: Path, **answers: Any) -> Planned:
    ctx = context(directory, **{"packages": packages("sudo"), "dpkg_busy": "", **answers})
    return Package.parse("x.y", {"installed": ["sudo", "chrony"]}).plan(ctx)


def removal_plan(directory: Path, body: dict[str, list[str]], **answers: Any) -> Planned:
    known = {
        "vsftpd": Installed("vsftpd", "3.0", "amd64", "install", "installed"),
        "rpcbind": Installed("rpcbind", "1.2", "amd64", "deinstall", "config-files"),
        "dash": Installed("dash", "0.5", "amd64", "install", "installed", essential=True),
        "telnetd": Installed("telnetd", "0.17", "amd64", "hold", "installed"),
    }
    there = {name: one for name, one in known.items() if one.installed}
    given = {"known_packages": known, "packages": there, "dpkg_busy": "", "units_of": (), **answers}
    return Package.parse("x.y", body).plan(context(directory, **given))


def test_what_is_there_is_removed_and_what_is_left_purged(tmp_path: Path) -> None:
    planned = removal_plan(
        tmp_path,
        {"removed": ["vsftpd"], "purged": ["rpcbind"]},
        apt_remove=Simulation(removes=("vsftpd",)),
        apt_purge=Simulation(removes=("rpcbind",)),
        units_of=("vsftpd.service",),
    )
    commands = [change.argv for change in planned.changes if isinstance(change, RunCommand)]
    assert [(argv[1], argv[-1]) for argv in commands] == [
        ("remove", "vsftpd"),
        ("purge", "rpcbind"),
    ]
    assert any("Cannot come back" in note and "rpcbind" in note for note in planned.notes)
    assert "vsftpd.service" in planned.stops
    # Its configuration alone is no reason to remove it again.
    assert removal_plan(tmp_path, {"removed": ["rpcbind", "rsh-server"]}).changes == ()


@pytest.mark.parametrize(
    ("body", "answer", "said"),
    [
        (
            {"removed": ["vsftpd"]},
            Simulation(removes=("vsftpd", "ftpd-ssl")),
            "also remove ftpd-ssl",
        ),
        ({"removed": ["vsftpd"]}, Simulation(problem="Unmet dependencies"), "Unmet dependencies"),
        ({"removed": ["dash"]}, Simulation(removes=("dash",)), "essential"),
        ({"purged": ["telnetd"]}, Simulation(removes=("telnetd",)), "apt-mark unhold telnetd"),
    ],
)
def test_what_is_not_removed(
    tmp_path: Path, body: dict[str, list[str]], answer: Simulation, said: str
) -> None:
    planned = removal_plan(tmp_path, body, apt_remove=answer)
    assert planned.changes == ()
    assert said in planned.refusals[0] and "nothing was changed" in planned.refusals[0]


def test_nothing_is_installed_or_removed_over_an_interrupted_dpkg(tmp_path: Path) -> None:
    half = {
        **packages("sudo"),
        "whois": Installed("whois", "5.5", "amd64", "install", "half-configured"),
    }
    planned = plan(tmp_path, packages=half, apt_simulation=Simulation(brings=("chrony 4.3",)))
    assert planned.changes == ()
    assert "whois (half-configured)" in planned.refusals[0]
    assert "dpkg --configure -a" in planned.refusals[0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "at least one"),
        ({"installed": ["sudo"], "purged": ["sudo"]}, "twice"),
        ({"removed": ["No Name"]}, "removed: 'No Name'"),
    ],
)
def test_bodies_of_packages_that_make_no_sense(body: dict[str, list[str]], said: str) -> None:
    with pytest.raises(StepError, match=said):
        Package.parse("x.y", body)


def test_only_what_is_missing_is_installed(tmp_path: Path) -> None:
    planned = plan(tmp_path, apt_simulation=Simulation(brings=("chrony 4.3",)))
    assert planned.changes == (InstallPackages(packages=("chrony",), brings=("chrony 4.3",)),)
    assert planned.packages == ("chrony",)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"dpkg_busy": "apt (process 9) is installing"}, "process 9"),
        ({"apt_simulation": Simulation(missing=("chrony",))}, "do not offer chrony"),
        ({"apt_simulation": Simulation(problem="Unmet dependencies")}, "Unmet dependencies"),
        ({"apt_simulation": Simulation(removes=("ntp",))}, "would remove ntp"),
    ],
)
def test_refusals(tmp_path: Path, answers: dict[str, Any], words: str) -> None:
    planned = plan(tmp_path, **answers)
    assert words in planned.refusals[0]
    assert not planned.changes


def test_half_configured_is_not_installed(tmp_path: Path) -> None:
    half = Installed("chrony", "4.3", "amd64", "install", "half-configured")
    ctx = context(tmp_path, packages={"chrony": half})
    finding = Package.parse("x.y", {"installed": ["chrony"]}).observe(ctx)[0]
    assert finding.ok is False
    assert "half-configured" in finding.running


def test_names_are_checked() -> None:
    with pytest.raises(StepError):
        Package.parse("x.y", {"installed": ["-oAPT::x"]})


SECRET = "correct horse"


def file(**body: Any) -> File:
    return File.parse("site.x", {"path": "/etc/site.conf", "content": "a\n", **body})


def test_a_file_comes_into_being_once(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    assert [finding.ok for finding in file().observe(ctx)] == [False]
    change = file(mode="0640").plan(ctx).changes[0]
    assert isinstance(change, WriteFile)
    assert (change.content, change.mode, change.force_state) == (b"a\n", 0o640, True)
    ctx.host.write_file(change.path, change.content, FileState(kind="file", mode=0o640))
    assert all(finding.ok for finding in file(mode="0640").observe(ctx))
    assert file(mode="0640").plan(ctx) == Planned()
    assert [f.setting for f in file().observe(ctx) if not f.ok] == ["mode"]


def test_a_secret_is_compared_and_never_shown(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    ctx.host.write_file("/etc/site.conf", b"other secret")
    resource = file(content=SECRET, secret=True)
    shown = repr(resource.observe(ctx))
    assert SECRET not in shown
    assert "other secret" not in shown
    assert str(len(SECRET)) not in shown
    change = resource.plan(ctx).changes[0]
    assert isinstance(change, WriteFile)
    assert change.secret


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    ctx.host.put("/etc/site.conf", FileState(kind="symlink", target="/etc/passwd"))
    planned = file().plan(ctx)
    assert "symbolic link to /etc/passwd" in planned.refusals[0]
    assert not planned.changes


@pytest.mark.parametrize("body", [{"path": "etc/x"}, {"path": "/etc/../x"}, {"mode": "u=rw"}])
def test_bodies_are_checked(body: dict[str, Any]) -> None:
    with pytest.raises(StepError):
        file(**body)


def test_a_question_never_answers_itself(tmp_path: Path) -> None:
    resource = Attest.parse("x.y", {"question": "Is it so?", "valid-days": 90})
    finding = resource.observe(context(tmp_path))[0]
    assert finding.ok is None
    assert finding.note == "Is it so?"
    assert "90 days" in finding.expected


def test_the_checklists_hold_the_steps_in_one_order(tmp_path: Path) -> None:
    catalogue = load_catalogue(context(tmp_path).host)
    full, other = (
        [choice.id for choice in catalogue.checklist(name).choices] for name in ("i-doit", "typo3")
    )
    assert set(full) | set(other) == set(catalogue.steps), "every step is on a checklist"
    assert [step for step in other if step in full] == [step for step in full if step in other]
    for name in ("server", "lamp"):
        some = [choice.id for choice in catalogue.checklist(name).choices]
        assert some == [step for step in full if step in some]
    lamp = [choice.id for choice in catalogue.checklist("lamp").choices]
    before = [name for name, step in catalogue.steps.items() if step.stage == "pre-install"]
    assert set(lamp) == set(before)
    assert not any(
        choice.id.startswith(("apache", "php", "app", "mariadb"))
        for choice in catalogue.checklist("server").choices
    )
