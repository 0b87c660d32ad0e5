"""What a step installed is another package's by now, or a window's: its undo leaves it to that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.histories.archive import EXTRA, Deb
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back
from tests.hosts.test_upgrades import SOURCE, offer, site_step, upgrade

pytestmark = pytest.mark.either_release

THING = "/etc/thing/thing.conf"
DATA = "/var/lib/thing/db"

_MAKES = f"mkdir -p /var/lib/thing; echo {{}} > {DATA}; echo made > /etc/thing/made"
_ALTERNATIVE = "update-alternatives --install /usr/bin/{0} {0} /usr/share/{1}/bin {2}"


def offering(package: str, priority: int, *groups: str) -> Deb:
    """A package with a program for groups of alternatives."""
    leaves = " && ".join(
        f"update-alternatives --remove {g} /usr/share/{package}/bin" for g in groups
    )
    return Deb(
        name=package, version="1", files={f"/usr/share/{package}/bin": "#!/bin/sh\n"},
        scripts={
            "postinst": "\n".join(_ALTERNATIVE.format(g, package, priority) for g in groups),
            "prerm": f'test "$1" != remove || {{ {leaves}; }}',
        },
    )  # fmt: skip


SINCE = {"Breaks": "extra (<< 2)", "Replaces": "extra (<< 2)"}
IN_PLACE = {"Provides": "thing", "Conflicts": "thing", "Replaces": "thing"}
DEBS = (
    Deb(name="extra", version="1", files={EXTRA: "one\n"}),
    Deb(name="extra", version="2.0", depends="extra-common", files={"/usr/share/extra/2": "two\n"}),
    Deb(name="extra-common", version="2.0", files={EXTRA: "one\n"}, fields=SINCE),
    Deb(name="mine", version="1", depends="extra-common"),
    Deb(name="thing", version="1", files={THING: "one\n"}, scripts={"postinst": _MAKES.format(1)}),
    Deb(
        name="thing-ng", version="1", files={THING: "one\n"}, fields=IN_PLACE,
        scripts={"postinst": _MAKES.format("ng")},
    ),
    Deb(name="waits", version="1", triggers="activate-await ldconfig"),
    Deb(name="base", version="1"),
    Deb(name="base-like", version="1", fields={"Provides": "base (= 0.5)"}),
    Deb(name="needs-base", version="1", depends="base (>= 1)"),
    offering("began", 10, "low", "high", "hand", "own"),
    offering("joins", 5, "low"),
    offering("leads", 50, "high"),
)  # fmt: skip


def test_what_other_packages_have_by_now_stays(host: LabHost, tmp_path: Path) -> None:
    """One took over a configuration file in an upgrade, one came in place of the step's, one is
    only in too low a version what another needs of the step's. A trigger that was still to be run
    before the step is no part of it. Others registered in groups of alternatives that it began."""
    offer(host, tmp_path, DEBS, "1")
    site_step(host, "package: {installed: [base, began, extra, thing]}")
    host.run("dpkg", "--no-triggers", "-i", f"{SOURCE}/waits_1_all.deb")
    assert "triggers-pending" in host.out("dpkg-query", "-W", "-f", "${db:Status-Status} ")
    apply(host, "site.packages")
    upgrade(host, "extra_2.0", "extra-common_2.0", "mine_1", "base-like_1", "needs-base_1")
    host.run("apt-get", "install", "-y", "-q", "thing-ng", "joins", "leads")
    host.run("update-alternatives", "--install", "/usr/bin/hand", "hand", "/bin/true", "5")

    shown = " ".join(harden(host, "rollback", "site.packages", "--dry-run").stdout.split())
    for path, why in (
        (EXTRA, "needed by extra-common"),
        (THING, "needed by thing-ng"),
        ("/etc/thing/made", "needed by thing-ng"),
        (DATA, "thing-ng came in place of its package, and may use it"),
    ):
        assert f"files: {path}: keep, what stays still needs it kept: {why}" in shown, shown
    assert "packages: base: keep, what stays still needs it kept: needed by needs-base" in shown
    assert "dpkg --purge began extra thing" in shown and "libc-bin" not in shown, shown
    roll_back(host, "site.packages")
    assert host.run("dpkg", "-V", "extra-common", "thing-ng").stdout == ""
    assert host.out("cat", DATA, "/etc/thing/made").split() == ["ng", "made"]
    known = host.out("dpkg-query", "-W", "-f", "${Package} ").split()
    assert not {"extra", "thing"} & set(known) and "mine" in known
    assert host.run("dpkg", "--audit").stdout == ""
    links = [f"/etc/alternatives/{name}" for name in ("low", "high", "hand")]
    programs = ["/usr/share/joins/bin", "/usr/share/leads/bin", "/bin/true"]
    assert host.out("readlink", *links).split() == programs
    host.run("update-alternatives", "--query", "low")
    assert host.run("readlink", "/etc/alternatives/own", check=False).returncode


def test_what_a_window_took_over_or_put_on_hold_goes_with_it(host: LabHost, tmp_path: Path) -> None:
    offer(host, tmp_path, DEBS, "1")
    site_step(host, "package: {installed: [extra, thing]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    harden(host, "window", "open", "--checklist", "i-doit", "--for=2h", "--yes")
    upgrade(host, "extra_2.0", "extra-common_2.0")
    host.run("apt-mark", "hold", "thing")
    harden(host, "window", "close", "--yes")
    shown = " ".join(harden(host, "rollback", "site.packages", "--dry-run").stdout.split())
    for path, who in ((EXTRA, "extra-common"), (DATA, "thing")):
        kept = f"keep, Update window still needs it kept: needed by {who} (Update window)"
        assert f"files: {path}: {kept}" in shown, shown
    roll_back(host, "site.packages")
    assert host.out("dpkg-query", "-W", "-f", "${db:Status-Want}", "thing") == "hold"
    harden(host, "window", "undo", "--yes")
    assert differences(first, fingerprint(host)) == []


def test_nftables_stays_while_somebody_elses_table_needs_it(host: LabHost) -> None:
    """It came with fail2ban; without it nothing could read that table, nor put it back."""
    apply(host, "defence.fail2ban")
    host.run("nft", "add table inet mine { chain c { type filter hook input priority 5; }; }")
    for how in ("--dry-run", "--yes"):
        refused = harden(host, "rollback", "defence.fail2ban", how, check=False)
        assert refused.returncode == 3, refused.stdout
        assert "apt-mark hold nftables" in refused.stdout + refused.stderr
    assert host.out("systemctl", "is-active", "fail2ban") == "active"
    host.run("apt-mark", "hold", "nftables")
    roll_back(host, "defence.fail2ban")
    assert "table inet mine" in host.out("nft", "list", "tables")
    assert host.run("dpkg", "-s", "fail2ban", check=False).returncode == 1
