"""Packages are upgraded between a change and its undo, as they are on any real host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.histories import archive
from tests.histories.archive import Deb
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, details, harden, history, roll_back

pytestmark = pytest.mark.either_release

STEP = """\
- id: site.packages
  stage: post-install
  title: Packages of the site
  why: A test of packages that are upgraded later.
  breaks: Nothing.
  source: this test
  ensure:
    - {resource}
"""
SOURCE = "/srv/upgrades"

UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"

NEEDY = (
    Deb(name="libneedy", version="1", files={"/usr/share/libneedy/1": "one\n"}),
    # Not "2": apt takes a status file of the same size and second for the one it knows.
    Deb(name="libneedy", version="2.0", files={"/usr/share/libneedy/2": "two\n"}),
    Deb(
        name="needy", version="1", depends="libneedy (>= 1), libneedy (<< 2)",
        files={"/etc/needy.conf": "one\n"},
    ),
)  # fmt: skip


def offer(host: LabHost, folder: Path, debs: tuple[Deb, ...], *first: str) -> None:
    """The packages in a folder of the host, those of version `first` from a source."""
    for deb in debs:
        host.write(f"{SOURCE}/{deb.file_name}", archive.build(deb, folder).read_bytes())
    names = [deb.file_name for deb in debs if deb.version in first]
    archive.offer(host.root / SOURCE.lstrip("/"), names)
    host.write("/etc/apt/sources.list.d/here.list", f"deb [trusted=yes] file:{SOURCE} ./\n")
    host.run("apt-get", "update", "-q")


def upgrade(host: LabHost, *names: str, how: str = "--force-confold") -> None:
    host.run("dpkg", how, "-i", *(f"{SOURCE}/{name}_all.deb" for name in names))


def site_step(host: LabHost, resource: str) -> None:
    host.write("/etc/harden-tui/steps.d/packages.yaml", STEP.format(resource=resource))


def test_what_a_step_installed_goes_with_all_that_its_upgrades_brought(
    host: LabHost, tmp_path: Path
) -> None:
    offer(host, tmp_path, tuple(archive.debs()), "1")
    site_step(host, "package: {installed: [extra]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    upgrade(host, "libextra_2", "extra_2")
    for name in ("since-2.conf", "made-by-2"):
        assert (host.root / "etc/extra" / name).exists()
    preview = harden(host, "rollback", "site.packages", "--dry-run").stdout
    assert "/etc/extra/since-2.conf" in preview and "/etc/extra/made-by-2" in preview
    roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []


@pytest.mark.parametrize("how", ["mark", "needer"])
def test_a_dependency_that_an_administrator_wants_stays(
    host: LabHost, tmp_path: Path, how: str
) -> None:
    mine = Deb(name="mine", version="1", depends="libextra")
    offer(host, tmp_path, (*archive.debs(), mine), "1")
    site_step(host, "package: {installed: [extra]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    if how == "mark":
        host.run("apt-mark", "manual", "libextra")
    else:
        host.run("apt-get", "install", "-y", "-q", "mine")
    preview = harden(host, "rollback", "site.packages", "--dry-run").stdout
    assert {
        "mark": "somebody marked it as manually installed since",
        "needer": "kept: needed by mine",
    }[how] in " ".join(preview.split())
    assert "dpkg --purge extra\n" in preview
    said = harden(host, "rollback", "site.packages", "--yes").stdout
    why = {"mark": "somebody marked it as manually installed since", "needer": "mine needs it"}
    assert f"The package libextra stays installed: {why[how]}." in " ".join(said.split())
    left = {line.split(": ")[0] for line in differences(first, fingerprint(host))}
    names = {"packages libextra", *(["packages mine"] if how == "needer" else [])}
    assert names <= left and "packages extra" not in left
    assert host.run("dpkg", "--audit").stdout == ""


def test_an_edit_of_what_an_upgrade_brought_is_asked_about(host: LabHost, tmp_path: Path) -> None:
    offer(host, tmp_path, tuple(archive.debs()), "1")
    site_step(host, "package: {installed: [extra]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    upgrade(host, "libextra_2", "extra_2")
    new = "/etc/extra/since-2.conf"
    host.run("sh", "-c", f"sleep 1.1; echo mine >> {new}; echo mine > /etc/extra/mine.conf")

    refused = harden(host, "rollback", "site.packages", "--yes", check=False)
    assert refused.returncode == 3 and new in refused.stdout + refused.stderr
    assert host.out("tail", "-n", "1", new) == "mine"
    shown = harden(host, "rollback", "site.packages", "--dry-run", check=False).stdout
    assert "its package goes, but somebody changed it since" in shown and "+mine" in shown
    harden(host, "rollback", "site.packages", "--keep-current", "--yes")
    left = {line.split(": ")[0] for line in differences(first, fingerprint(host))}
    assert left == {"files /etc/extra", f"files {new}", "files /etc/extra/mine.conf"}
    assert host.out("tail", "-n", "1", new) == "mine"


def test_an_edit_that_an_upgrade_put_aside_is_asked_about(host: LabHost, tmp_path: Path) -> None:
    """dpkg would take it along with its package; and so is a copy that keeps the edit's time."""
    offer(host, tmp_path, tuple(archive.debs()), "1")
    site_step(host, "package: {installed: [extra]}")
    apply(host, "site.packages")
    edit, old, mine = (f"{archive.EXTRA}{end}" for end in ("", ".dpkg-old", ".mine"))
    host.run("sh", "-c", f"sleep 1.1; echo mine >> {edit}; sleep 3; cp -p {edit} {mine}")
    upgrade(host, "libextra_2", "extra_2", how="--force-confnew")

    refused = harden(host, "rollback", "site.packages", "--yes", check=False)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    shown = harden(host, "rollback", "site.packages", "--dry-run", check=False).stdout
    asked = [line.strip() for line in shown.splitlines() if line.endswith(": CONFLICT")]
    assert asked == [f"files: {path}: CONFLICT" for path in (old, mine)]
    assert "its package goes, but somebody changed it since" in shown and "+mine" in shown
    words = (f"--keep-current={old}", f"--restore={mine}")
    harden(host, "rollback", "site.packages", *words, "--yes")
    assert host.run("dpkg-query", "-W", "extra", check=False).returncode != 0
    assert sorted(one.name for one in (host.root / "etc/extra").iterdir()) == [
        "extra.conf.dpkg-old"
    ]
    assert host.out("tail", "-n", "1", old) == "mine"


def test_a_removed_package_whose_dependency_was_upgraded_is_refused_whole(
    host: LabHost, tmp_path: Path
) -> None:
    """Nothing half done: what does not fit is named before anything is touched."""
    offer(host, tmp_path, NEEDY, "1")
    host.run("apt-get", "install", "-y", "-q", "needy")
    host.run("sh", "-c", "echo mine >> /etc/needy.conf")
    site_step(host, "package: {purged: [needy]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    upgrade(host, "libneedy_2.0")
    moved_on = fingerprint(host)

    preview = harden(host, "rollback", "site.packages", "--dry-run", check=False)
    assert "cannot come back now: needy 1 depends on libneedy (< 2)" in preview.stdout
    done = harden(host, "rollback", "site.packages", "--yes", check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 3, said
    assert "needy 1 depends on libneedy (< 2)" in said and "Nothing was touched" in said
    assert "libneedy" in said and "Traceback" not in said
    assert differences(moved_on, fingerprint(host)) == []
    assert [record["status"] for record in history(host)] == ["committed"]

    host.run("dpkg", "-i", f"{SOURCE}/libneedy_1_all.deb")
    roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []


@pytest.mark.parametrize("how", ["rm", "ln -sf /run/mine"])
def test_a_package_that_no_source_has_comes_back_without_its_removed_conffile(
    host: LabHost, tmp_path: Path, how: str
) -> None:
    """It is packed again; dpkg still knows the file, and an upgrade does not bring it."""
    offer(host, tmp_path, tuple(archive.debs()), "1")
    host.run("apt-get", "install", "-y", "-q", "oldthing")
    upgrade(host, "oldthing_2")
    host.run("sh", "-c", f"{how} {archive.OLD}")
    site_step(host, "package: {purged: [oldthing]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []
    conf = host.root / archive.OLD.lstrip("/")
    upgrade(host, "oldthing_3")
    assert conf.is_symlink() == (how != "rm") and not conf.is_file()


@pytest.mark.parametrize("takes", [False, True], ids=["keeps", "takes"])
def test_apt_upgrades_with_needrestart_between_apply_and_undo(
    host: LabHost, tmp_path: Path, takes: bool
) -> None:
    """What unattended-upgrades does, and needrestart after it: restarts, stamps and logs are no
    drift; the changed configuration file is, with dpkg's deed beside it."""
    debs = tuple(
        Deb(
            name="daemonette", version=version, depends="needrestart",
            files={
                "/etc/daemonette.conf": archive.lines("daemonette", int(version)),
                "/lib/systemd/system/daemonette.service": UNIT,
            },
            scripts={
                "postinst": "systemctl daemon-reload; systemctl enable daemonette.service; "
                "systemctl restart daemonette.service",
                "prerm": 'test "$1" != remove || systemctl disable --now daemonette.service',
            },
        )
        for version in ("1", "2")
    )  # fmt: skip
    offer(host, tmp_path, debs, "1")
    host.run("apt-get", "install", "-y", "-q", "daemonette")
    wanted = archive.lines("daemonette", 1) + "step 1\n"
    body = json.dumps({"path": "/etc/daemonette.conf", "content": wanted})
    site_step(host, f"file: {body}")
    first = fingerprint(host)
    apply(host, "site.packages")
    archive.offer(host.root / SOURCE.lstrip("/"), [deb.file_name for deb in debs])
    host.run("apt-get", "update", "-q")
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=a", "apt-get", "upgrade", "-y",
        "-q", "-o", f"Dpkg::Options::=--force-conf{'new' if takes else 'old'}",
    )  # fmt: skip
    rows = {row["key"]: row for row in details(host)["drift"]["things"]}
    beside = f"/etc/daemonette.conf.dpkg-{'old' if takes else 'dist'}"
    assert set(rows) == {beside, *(["/etc/daemonette.conf"] if takes else [])}
    assert "upgrade of daemonette 1 -> 2" in rows[beside]["explained"]
    words = ["--merge"] if takes else []
    harden(host, "rollback", "site.packages", *words, "--yes")
    text = (host.root / "etc/daemonette.conf").read_text()
    assert text == archive.lines("daemonette", 2 if takes else 1)
    changed = {line.split(": ")[0] for line in differences(first, fingerprint(host))}
    left = {"files /etc/daemonette.conf"} if takes else set()
    assert changed == left | {f"files {beside}", "packages daemonette"}
