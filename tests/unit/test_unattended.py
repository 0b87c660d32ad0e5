"""unattended-upgrades: what it may take, when it runs, and its own dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import Service
from host.distribution import Distribution
from host.facts.apt_config import AptConfig, parse_dump, parse_file
from snapshots.model import RunCommand, WriteFile
from steps.resource import Planned
from steps.resources.unattended import (
    TIMERS,
    Unattended,
    allowed_in,
    matches,
    patterns,
    security_release,
)
from tests.unit.given import RELEASES, context, packages, recorded, unit


def distribution(release: str) -> Distribution:
    return Distribution("debian", "Debian", "12", release)


def recorded_config(release: str) -> AptConfig:
    file = "/etc/apt/apt.conf.d/50unattended-upgrades"
    text = recorded(release, "apt/50unattended-upgrades")
    return AptConfig(
        *parse_dump(recorded(release, "apt/config-dump.txt")), parse_file(file, text), {file: text}
    )


def is_security(release: str, pattern: str) -> bool:
    where = distribution(release)
    return matches(pattern, security_release(where), where)


@pytest.mark.parametrize("release", RELEASES)
def test_debians_own_patterns_take_security_updates(release: str) -> None:
    found = [is_security(release, pattern) for pattern in patterns(recorded_config(release))]
    assert found == [False, False, True]


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_dry_run_says(release: str) -> None:
    allowed = allowed_in(recorded(release, "apt/dry-run.txt"))
    assert f"origin=Debian,codename={release}-security,label=Debian-Security" in allowed
    assert any(is_security(release, pattern) for pattern in allowed)
    assert allowed_in("E: nothing") == ()


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("o=Debian,a=stable-security", True),
        ("origin=*,label=Debian-Security", True),
        ("site=security.debian.org,origin=Debian,l=Debian-Security", True),
        ("origin=Debian,label=Debian", False),
        ("", False),
        ("Debian:stable", False),
        ("what=Debian", False),
    ],
)
def test_patterns(pattern: str, taken: bool) -> None:
    assert is_security("trixie", pattern) is taken


def test_the_older_form_of_ubuntu() -> None:
    ubuntu = Distribution("ubuntu", "Ubuntu", "24.04", "noble")
    key = "unattended-upgrade::allowed-origins"
    entry = "${distro_id}:${distro_codename}-security"
    (found,) = patterns(AptConfig({}, {key: (entry,)}))
    assert matches(found, security_release(ubuntu), ubuntu)


@given(st.text(alphabet="origin=Debian,label\\ ${}:*[", max_size=40))
def test_no_pattern_breaks_it(pattern: str) -> None:
    assert is_security("trixie", pattern) in (True, False)
    patterns(AptConfig({}, {"unattended-upgrade::allowed-origins": (pattern,)}))


def units(**enabled: str) -> dict[str, Service]:
    """The timers and their services; of a service it may be said how it is (apt_daily="masked")."""
    names = {timer: unit(timer) for timer in TIMERS}
    services = [timer.replace(".timer", ".service") for timer in TIMERS]
    names |= {name: unit(name, "inactive", "static") for name in services}
    said = {name.replace("_", "-") + ".service": state for name, state in enabled.items()}
    return names | {name: unit(name, "inactive", state) for name, state in said.items()}


def plan(tmp_path: Path, config: AptConfig, body: dict[str, Any], **answers: Any) -> Planned:
    given_answers = {
        "apt_config": config,
        "packages": packages("unattended-upgrades"),
        "distribution": distribution("bookworm"),
        "units": units(),
        **answers,
    }
    return Unattended.parse("updates.unattended", body).plan(context(tmp_path, **given_answers))


def test_all_of_it_in_one_drop_in(tmp_path: Path) -> None:
    config = recorded_config("bookworm")
    (change,) = plan(tmp_path, config, {"mail": "ops@example.org", "reboot": True}).changes
    assert isinstance(change, WriteFile)
    text = change.content.decode()
    assert 'Unattended-Upgrade::Mail "ops@example.org";' in text
    assert 'Automatic-Reboot "true";' in text and 'Automatic-Reboot-Time "04:00";' in text
    assert "Origins-Pattern" not in text
    values, _ = parse_dump(text)
    after = AptConfig({**config.values, **values}, config.lists)
    assert plan(tmp_path, after, {"mail": "ops@example.org", "reboot": True}) == Planned()


def test_security_is_added_where_nothing_takes_it(tmp_path: Path) -> None:
    config = AptConfig({}, {"unattended-upgrade::origins-pattern": ("origin=Debian,label=Debian",)})
    (change,) = plan(tmp_path, config, {}).changes
    assert isinstance(change, WriteFile)
    assert b"${distro_codename}-security,label=Debian-Security" in change.content
    # Its package brings them.
    (change,) = plan(tmp_path, config, {}, packages=packages("apt")).changes
    assert isinstance(change, WriteFile) and b"Origins-Pattern" not in change.content


def test_stopped_and_masked_timers_are_brought_back(tmp_path: Path) -> None:
    there = units() | {TIMERS[1]: unit(TIMERS[1], "inactive", "masked")}
    planned = plan(tmp_path, recorded_config("bookworm"), {}, units=there)
    commands = [c.argv for c in planned.changes if isinstance(c, RunCommand)]
    assert commands == [
        ("systemctl", "unmask", TIMERS[1]),
        ("systemctl", "enable", "--now", TIMERS[1]),
    ]
    refused = plan(tmp_path, recorded_config("bookworm"), {}, units={})
    assert "nothing was changed" in refused.refusals[0]


def timers(tmp_path: Path, there: dict[str, Service]) -> list[tuple[bool | None, str]]:
    ctx = context(
        tmp_path, apt_config=recorded_config("trixie"), packages=packages("unattended-upgrades"),
        distribution=distribution("trixie"), units=there,
    )  # fmt: skip
    found = {f.setting: f for f in Unattended.parse("x.y", {}).observe(ctx)}
    return [(found[timer].ok, found[timer].note) for timer in TIMERS]


def test_a_timer_whose_service_is_masked_starts_nothing(tmp_path: Path) -> None:
    assert timers(tmp_path / "a", units()) == [(True, ""), (True, "")]
    there = units(apt_daily="masked-runtime", apt_daily_upgrade="masked")
    assert timers(tmp_path / "b", there) == [
        (False, "apt-daily.service, which it starts, is masked-runtime"),
        (False, "apt-daily-upgrade.service, which it starts, is masked"),
    ]
    planned = plan(tmp_path, recorded_config("bookworm"), {}, units=there)
    assert [c.argv for c in planned.changes if isinstance(c, RunCommand)] == [
        ("systemctl", "unmask", "apt-daily-upgrade.service"),
        ("systemctl", "unmask", "--runtime", "apt-daily.service"),
    ]


def test_a_timer_without_its_service_is_refused(tmp_path: Path) -> None:
    there = units()
    del there["apt-daily-upgrade.service"]
    (_, good), (ok, note) = timers(tmp_path / "a", there)
    assert (good, ok) == ("", False) and "there is no apt-daily-upgrade.service" in note
    planned = plan(tmp_path, recorded_config("bookworm"), {}, units=there)
    assert "apt-daily-upgrade.service" in planned.refusals[0]


def test_findings_name_what_decides(tmp_path: Path) -> None:
    ctx = context(
        tmp_path,
        apt_config=recorded_config("trixie"),
        packages=packages("unattended-upgrades"),
        distribution=distribution("trixie"),
        units=units(),
    )
    found = {f.setting: f for f in Unattended.parse("x.y", {"mail": "root"}).observe(ctx)}
    origins = found["Unattended-Upgrade::Origins-Pattern"]
    assert origins.ok and "/etc/apt/apt.conf.d/50unattended-upgrades:" in origins.origin
    assert found["Unattended-Upgrade::Mail"].ok is False
    assert "relay" in found["a program that sends the report"].note
