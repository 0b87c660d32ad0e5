"""AppArmor and systemd's sandbox: the kernel's and systemd's answers, and what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.facts import FactUnavailable
from host.facts.apparmor import AppArmor, complaining_in, parse_profiles
from host.facts.apt import Simulation
from host.facts.sandbox import Confinement, parse_exposure, parse_show, says
from host.facts.systemd_conf import Setting
from snapshots.model import Activation, InstallPackages, RunCommand, WriteFile
from steps.resource import Context, StepError
from steps.resources.apparmor import AppArmor as Profiles
from steps.resources.sandbox import Sandbox
from tests.unit.given import RELEASES, context, recorded

SETTINGS = {"ProtectSystem": "full", "ProtectHome": "yes", "RestrictNamespaces": "yes"}
BODY = {"unit": "apache2.service", "settings": SETTINGS, "exposure-below": 8.0}
BARE = Confinement(True, True, False, dict.fromkeys(SETTINGS, "no"), {})
CONFINED = Confinement(
    True, True, False, dict(SETTINGS), {}, frozenset({"/usr", "/etc"}), filtered=True
)


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_answers_of_systemd(release: str) -> None:
    assert parse_exposure(recorded(release, "system/security-apache2.txt")) == (9.2, "UNSAFE")
    shown = parse_show(recorded(release, "system/show-apache2.txt"))
    assert (shown["ProtectSystem"], shown["RestrictAddressFamilies"]) == ("no", "~")


def test_values_as_systemd_shows_them() -> None:
    assert says("AF_UNIX AF_INET", "AF_INET AF_UNIX")
    assert says("yes", "yes")
    assert not says("yes", "no")
    assert not says("yes", "cgroup ipc")
    assert not says("AF_UNIX", "~")


def test_profiles_of_the_kernel() -> None:
    text = "/usr/sbin/cupsd (enforce)\nphp-fpm (complain)\nphp-fpm//hat (complain)\nbroken\n"
    modes = parse_profiles(text)
    assert modes["/usr/sbin/cupsd"] == "enforce"
    assert AppArmor(True, False, modes).complaining == ("php-fpm",)


def test_modes_that_only_report() -> None:
    modes = {
        "cupsd": "enforce", "named": "kill", "devhelp": "unconfined", "snap": "user",
        "php-fpm": "complain", "lxc//&:lxc://unconfined": "mixed",
    }  # fmt: skip
    assert AppArmor(True, False, modes).complaining == ("lxc", "php-fpm")


def test_profiles_that_files_declare() -> None:
    text = (
        "profile php-fpm /usr/sbin/php-fpm* flags=(attach_disconnected,complain) {\n}\n"
        "/usr/sbin/tight flags=(attach_disconnected) {\n}\n"
    )
    assert complaining_in(text) == ["php-fpm"]


@settings(max_examples=60)
@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_profiles(text)
    complaining_in(text)
    parse_exposure(text)
    parse_show(text)
    says(text, text)


def asked(directory: Path, found: Confinement, apache: Any = None) -> Context:
    return context(
        directory,
        confinement=found,
        exposure=9.2,
        apache=apache or FactUnavailable("no Apache here"),
    )


def test_the_drop_in_and_the_restart(tmp_path: Path) -> None:
    planned = Sandbox.parse("mac.apparmor", BODY).plan(asked(tmp_path, BARE))
    (change,) = planned.changes
    assert isinstance(change, WriteFile)
    assert change.path == "/etc/systemd/system/apache2.service.d/zz-harden-tui-mac-apparmor.conf"
    assert change.content.endswith(
        b"[Service]\nProtectSystem=full\nProtectHome=yes\nRestrictNamespaces=yes\n"
    )
    assert planned.activations == (
        Activation("daemon-reload"),
        Activation("restart", unit="apache2.service"),
    )
    assert any("9.2" in note for note in planned.notes)


class _Apache(msgspec.Struct):
    document_root: str
    enabled: tuple[str, ...] = ()
    hosts: tuple[Any, ...] = ()


@pytest.mark.parametrize(
    "apache", [_Apache("/home/site/htdocs"), _Apache("/var/www", ("userdir",))]
)
def test_homes_that_are_served_stay_in_sight(tmp_path: Path, apache: _Apache) -> None:
    step = Sandbox.parse("x.y", BODY)
    ctx = asked(tmp_path, BARE, apache)
    (change,) = step.plan(ctx).changes
    assert isinstance(change, WriteFile)
    assert b"ProtectHome" not in change.content
    (home,) = (finding for finding in step.observe(ctx) if finding.setting == "ProtectHome")
    assert not home.applicable


def test_an_old_process_under_new_settings_is_found_out(tmp_path: Path) -> None:
    step = Sandbox.parse("x.y", BODY)
    assert all(finding.ok for finding in step.observe(asked(tmp_path / "1", CONFINED)))
    old = msgspec.structs.replace(CONFINED, read_only=frozenset(), filtered=False)
    wrong = [finding for finding in step.observe(asked(tmp_path / "2", old)) if not finding.ok]
    assert [finding.setting for finding in wrong] == ["the process that runs"]


def test_a_later_drop_in_is_refused_with_its_place(tmp_path: Path) -> None:
    line = Setting("false", "/etc/systemd/system/apache2.service.d/zzz.conf", 2)
    found = msgspec.structs.replace(BARE, lines={"ProtectHome": line})
    (refusal,) = Sandbox.parse("x.y", BODY).plan(asked(tmp_path, found)).refusals
    assert refusal.startswith("/etc/systemd/system/apache2.service.d/zzz.conf:2 sets ProtectHome")


def test_what_is_not_there_or_not_wanted_is_not_counted(tmp_path: Path) -> None:
    gone = msgspec.structs.replace(BARE, loaded=False)
    step = Sandbox.parse("x.y", BODY)
    assert [f.applicable for f in step.observe(asked(tmp_path / "1", gone))] == [False]
    assert step.plan(asked(tmp_path / "1", gone)).changes == ()
    unwanted = Sandbox.parse("x.y", {**BODY, "wanted": False})
    assert [f.applicable for f in unwanted.observe(asked(tmp_path / "2", BARE))] == [False]


def test_the_proof_wants_less_exposure(tmp_path: Path) -> None:
    ctx = asked(tmp_path, CONFINED)
    assert [f.ok for f in Sandbox.parse("x.y", BODY).prove(ctx)] == [False]
    higher = Sandbox.parse("x.y", {**BODY, "exposure-below": 9.5})
    assert [f.ok for f in higher.prove(ctx)] == [True]


def test_bad_settings() -> None:
    with pytest.raises(StepError, match="no setting"):
        Sandbox.parse("x.y", {**BODY, "settings": {"ProtectHome": "yes\nExecStart=/bin/sh"}})
    with pytest.raises(StepError, match="no service"):
        Sandbox.parse("x.y", {**BODY, "unit": "../x.service"})


def profiles(directory: Path, found: AppArmor, *complain: str) -> tuple[Profiles, Context]:
    ctx = context(directory, apparmor=found, packages={}, dpkg_busy="", apt_simulation=Simulation())
    return Profiles.parse("x.y", {"complain": list(complain)}), ctx


def test_a_container_is_told_apart_from_a_kernel_without_it(tmp_path: Path) -> None:
    step, ctx = profiles(tmp_path / "1", AppArmor(None, True))
    assert [finding.applicable for finding in step.observe(ctx)] == [False]
    assert step.plan(ctx).refusals == ()
    step, ctx = profiles(tmp_path / "2", AppArmor(False, False))
    assert [finding.ok for finding in step.observe(ctx)] == [False]
    assert "update-grub" in step.plan(ctx).refusals[0]


def test_profiles_that_only_name_are_told_and_no_failure(tmp_path: Path) -> None:
    """trixie's apparmor ships 76 of them."""
    modes = {"cupsd": "enforce", "devhelp": "unconfined", "virtiofsd": "unconfined"}
    step, ctx = profiles(tmp_path, AppArmor(True, False, modes))
    found = step.observe(ctx)[1]
    assert (found.ok, found.running) == (True, "1 enforced")
    assert found.note == "2 unconfined: they only give a program a name"
    assert step.plan(ctx).changes == ()
    assert step.plan(ctx).refusals == ()


def test_profiles_that_kill_are_enforced_and_asking_ones_told(tmp_path: Path) -> None:
    step, ctx = profiles(tmp_path, AppArmor(True, False, {"named": "kill", "snap": "user"}))
    found = step.observe(ctx)[1]
    assert (found.ok, found.running) == (True, "1 enforced")
    assert found.note == "1 ask the user whether to allow it"
    alone, there = profiles(tmp_path / "2", AppArmor(True, False, {"devhelp": "unconfined"}))
    assert alone.observe(there)[1].ok is False  # nothing is enforced at all


def test_profiles_that_only_report(tmp_path: Path) -> None:
    modes = {"cupsd": "enforce", "php-fpm": "complain"}
    step, ctx = profiles(tmp_path / "1", AppArmor(True, False, modes), "php-fpm")
    assert [finding.ok for finding in step.observe(ctx)] == [True, True]
    step, ctx = profiles(tmp_path / "2", AppArmor(True, False, modes))
    assert [finding.ok for finding in step.observe(ctx)] == [True, False]
    assert "force-complain" in step.plan(ctx).refusals[0]
    known = AppArmor(True, False, modes, {"php-fpm": "/etc/apparmor.d/php-fpm"})
    step, ctx = profiles(tmp_path / "3", known)
    tools, enforce = step.plan(ctx).changes
    assert tools == InstallPackages(packages=("apparmor-utils",), brings=())
    assert isinstance(enforce, RunCommand)
    assert enforce.argv == ("aa-enforce", "/etc/apparmor.d/php-fpm")
