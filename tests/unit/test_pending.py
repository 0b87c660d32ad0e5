"""Updates that wait: apt's simulation, the age of its lists, and what an upgrade would do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import Completed, Host
from host.facts.pending import Pending, Update, parse_upgrade
from snapshots.model import RunCommand
from steps.model import Finding
from steps.resource import Planned
from steps.resources.pending import PendingUpdates
from tests.unit.given import RELEASES, context, packages, recorded

SECURITY = Update("openssl", "3.0.1", "3.0.2", "Debian-Security:12/oldstable-security")
OTHER = Update("base-files", "12.4", "12.5", "Debian:12.12/oldstable")
BOTH = (
    "Inst openssl [3.0.1] (3.0.2 Debian-Security:12/oldstable-security [amd64])\n"
    "Inst base-files [12.4] (12.5 Debian:12.12/oldstable [amd64]) []\n"
    "Inst linux-image-9 (9.1 Debian-Security:12/oldstable-security [amd64])\n"
)


@pytest.mark.parametrize("release", RELEASES)
def test_what_apt_says(release: str) -> None:
    found = parse_upgrade(recorded(release, "apt/upgrade.txt"), "")
    assert [(u.name, u.old, u.new, u.is_security) for u in found.upgrades] == [
        ("liblab", "1", "2.0", True),
        ("labtool", "1", "2.0", True),
    ]
    assert parse_upgrade(recorded(release, "apt/upgrade-none.txt"), "") == Pending()


def test_security_is_told_by_label_or_suite() -> None:
    found = parse_upgrade(BOTH, "").updates
    assert found[:2] == (SECURITY, OTHER)
    assert [update.is_security for update in found] == [True, False, True]
    assert parse_upgrade(BOTH, "").upgrades == (SECURITY, OTHER)
    ubuntu = Update("a", "1", "2", "Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security")
    assert ubuntu.is_security


def test_what_is_kept_back_and_what_is_wrong() -> None:
    text = "The following packages have been kept back:\n  a b\n  c\nThe following packages\n"
    assert parse_upgrade(text, "W: x\nE: Unmet dependencies.\n") == Pending(
        (), ("a", "b", "c"), "Unmet dependencies"
    )


@given(st.text(alphabet="Inst a[1](2 :/,)\nRemv", max_size=80))
def test_no_answer_breaks_the_parser(text: str) -> None:
    for update in parse_upgrade(text, text).updates:
        assert update.is_security in (True, False)


def answers(**more: Any) -> dict[str, Any]:
    return {
        "pending_updates": Pending((SECURITY, OTHER), ("held",)),
        "apt_lists_fetched": time.time_ns() - 3 * 3600 * 10**9,
        "packages": packages("openssl", "base-files"),
        "automatic_packages": frozenset({"openssl"}),
        "dpkg_busy": "",
        **more,
    }


def findings(tmp_path: Path, body: dict[str, Any], **more: Any) -> dict[str, Finding]:
    ctx = context(tmp_path, **answers(**more))
    return {f.setting: f for f in PendingUpdates.parse("x.y", body).observe(ctx)}


def test_only_security_counts_unless_all_is_asked_for(tmp_path: Path) -> None:
    found = findings(tmp_path, {})
    assert found["openssl"].ok is False and found["openssl"].running == "3.0.1"
    assert not found["base-files"].applicable and not found["held"].applicable
    assert found["lists of packages"].running == "fetched 3 hours ago"
    assert findings(tmp_path, {"which": "all"})["base-files"].ok is False
    none = findings(tmp_path, {}, pending_updates=Pending((OTHER,)))
    assert none["pending security updates"].ok


def test_old_lists_are_no_knowledge(tmp_path: Path) -> None:
    old = time.time_ns() - 12 * 86400 * 10**9
    found = findings(tmp_path, {}, apt_lists_fetched=old)["lists of packages"]
    assert found.ok is False and found.running == "fetched 12 days ago"
    for fetched in (old, 0):
        ctx = context(tmp_path, **answers(apt_lists_fetched=fetched))
        (refusal,) = PendingUpdates.parse("x.y", {}).plan(ctx).refusals
        assert "apt-get update" in refusal and "nothing was changed" in refusal


def plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, body: dict[str, Any], **more: Any
) -> Planned:
    ctx = context(tmp_path, **answers(**more))

    def run(host: Host, argv: tuple[str, ...], **_: Any) -> Completed:
        assert argv[:2] == ("apt-get", "--simulate")
        return Completed(tuple(argv), 0, said, "", 0.0)

    monkeypatch.setattr(type(ctx.host), "run", run)
    return PendingUpdates.parse("x.y", body).plan(ctx)


def test_the_upgrade_keeps_what_apt_knows_of_who_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(tmp_path, monkeypatch, BOTH, {})
    commands = [c.argv for c in planned.changes if isinstance(c, RunCommand)]
    assert commands[0][:3] == ("apt-get", "install", "-y")
    assert commands[0][-2:] == ("--only-upgrade", "openssl")
    assert commands[1] == ("apt-mark", "auto", "openssl")
    assert "openssl 3.0.1 -> 3.0.2 (security)" in planned.notes
    assert any("linux-image-9 9.1 is new" in note for note in planned.notes)
    everything = plan(tmp_path, monkeypatch, BOTH, {"which": "all"})
    assert [c.argv[-1] for c in everything.changes if isinstance(c, RunCommand)] == [
        "--with-new-pkgs"
    ]


def test_nothing_is_removed_for_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(tmp_path, monkeypatch, "Remv apache2 [2.4]\n", {})
    assert "would remove apache2" in planned.refusals[0] and planned.changes == ()
    busy = plan(tmp_path, monkeypatch, BOTH, {}, dpkg_busy="apt (process 9) is installing")
    assert "process 9" in busy.refusals[0]
