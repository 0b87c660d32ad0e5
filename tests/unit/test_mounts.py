"""Mounts: what is in force and at boot, what is written where, and how options come back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import Completed, FileState, HostError
from host.facts.mounts import (
    Boot,
    Listed,
    Mount,
    Mounts,
    Own,
    Unit,
    boot_of,
    merged,
    parse_cat,
    parse_fstab,
    parse_mountinfo,
    parse_units,
    unit_of,
    with_options,
)
from host.facts.systemd_conf import Setting
from host.practice import PracticeHost
from snapshots.domains import mounts as domain
from snapshots.model import RunCommand, WriteFile
from snapshots.progress import Silent
from steps.resource import Planned, StepError
from steps.resources.mount import Mount as Resource
from steps.resources.mount_use import mapped_from
from tests.unit.given import RELEASES, context, packages, recorded, unit

TMPFS = Mount("/tmp", frozenset({"rw", "nosuid", "nodev"}), "/", "tmpfs", "tmpfs")
GOOD = Mount("/dev/shm", frozenset({"nodev", "nosuid", "noexec"}), "/", "tmpfs", "tmpfs")
KEPT = Boot("fstab", "defaults,nodev,nosuid,noexec", "/etc/fstab:3")


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_mounts(release: str) -> None:
    found = parse_mountinfo(recorded(release, "system/mountinfo.txt"))
    assert found["/dev/shm"].type == "tmpfs"
    assert "nosuid" in found["/dev/shm"].flags
    assert found["/"].type == "overlay"


def test_of_several_mounts_over_a_point_the_one_that_is_seen() -> None:
    """Apache's own /tmp (31) after /tmp of the host (40) slipped below it."""
    text = (
        "30 1 0:30 / / rw - ext4 /dev/vda rw\n"
        "31 40 0:30 /tmp/private /tmp rw,noexec - ext4 /dev/vda rw\n"
        "40 30 0:30 /tmp /tmp rw - ext4 /dev/vda rw\n"
    )
    assert parse_mountinfo(text)["/tmp"].root == "/tmp/private"


def test_recorded_units() -> None:
    fragment, lines = parse_cat(recorded("trixie", "system/mount-units.txt"))["tmp.mount"]
    assert fragment == "/usr/lib/systemd/system/tmp.mount"
    assert lines["Mount", "Options"].value == "mode=1777,noexec"
    assert lines["Mount", "Options"].origin == "/etc/systemd/system/tmp.mount.d/zz.conf:2"
    assert "tmp.mount" not in parse_cat("")


@settings(max_examples=60)
@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_mountinfo(text)
    parse_cat(text)
    parse_units(text)
    parse_fstab(text)
    mapped_from(text, ["/tmp"])


UNIT = {"What": "tmpfs", "Where": "/tmp", "Options": "mode=1777,nosuid,nodev"}


def lines(file: str, settings: Mapping[str, str]) -> dict[tuple[str, str], Setting]:
    found = {("Mount", key): Setting(value, file, 9) for key, value in settings.items()}
    if file.startswith("/run/systemd/generator"):
        found["Unit", "SourcePath"] = Setting("/etc/fstab", file, 6)
    return found


def boot(
    file: str = "",
    state: str = "",
    *,
    options: str = "defaults,noexec",
    asked: bool = True,
    more: Mapping[tuple[str, str], Setting] | None = None,
    point: str = "/tmp",
) -> Boot:
    """Of a line of fstab (none where `options` is empty) and a unit file (likewise)."""
    listed = Listed("tmpfs", point, "tmpfs", options, 3) if options else None
    known = {**(lines(file, UNIT) if file else {}), **(more or {})}
    return boot_of(point, listed, file, known, Unit(state, asked))


MADE = "/run/systemd/generator/tmp.mount"
ADMINS = "/etc/systemd/system/tmp.mount"
DEBIANS = "/usr/lib/systemd/system/tmp.mount"
DROP_IN = "/etc/systemd/system/tmp.mount.d/a.conf"


def test_what_counts_of_fstab_and_units() -> None:
    """As hosts of both releases were seen to boot."""
    by_line = ("fstab", "defaults,noexec", "/etc/fstab:3")
    for found in (boot(), boot(MADE, "generated"), boot(DEBIANS, "static")):
        assert (found.how, found.options, found.origin) == by_line
    assert boot(ADMINS, "disabled").origin == f"{ADMINS}:9"
    assert boot(ADMINS, "disabled").options == UNIT["Options"]
    more = {("Mount", "Options"): Setting("size=5m", DROP_IN, 2)}
    for file, state in ((MADE, "generated"), (DEBIANS, "static")):
        found = boot(file, state, more=more)
        assert (found.how, found.options, found.origin) == ("unit", "size=5m", f"{DROP_IN}:2")
    assert boot("", "masked") == boot(MADE, "generated", options="") == Boot()
    assert boot(DEBIANS, "static", options="").how == "unit"


def test_systemd_takes_no_unit_for_shared_memory() -> None:
    file = "/etc/systemd/system/dev-shm.mount"
    assert boot(file, "enabled", point="/dev/shm", options="") == Boot()
    found = boot(file, "enabled", point="/dev/shm", options="noexec,noauto", asked=False)
    assert (found.how, found.options, found.asked) == ("fstab", "noexec,noauto", True)


def test_what_nothing_asks_for_is_not_mounted_at_boot() -> None:
    assert boot(MADE, "generated", options="noexec,noauto", asked=True).asked
    assert not boot(MADE, "generated", options="noexec,noauto", asked=False).asked
    assert boot("", "", options="noauto,x-systemd.automount", asked=False).asked
    assert boot("", "", options="noauto,auto", asked=False).asked
    assert boot(ADMINS, "disabled", asked=False).asked  # fstab's line asks for it by name
    assert not boot(ADMINS, "disabled", options="", asked=False).asked


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_units_and_what_asks_for_them(release: str) -> None:
    """/tmp by a unit that is disabled: Debian's basic.target wants it. /var/tmp has none."""
    found = parse_units(recorded(release, "system/mount-units-asked.txt"))
    assert found["tmp.mount"] == Unit("disabled", True)
    assert found["var-tmp.mount"] == Unit("", False)


def test_only_what_every_boot_reaches_asks() -> None:
    text = "Id=tmp.mount\nUnitFileState={}\nWantedBy={}\nRequiredBy=\nTriggeredBy={}\n"
    assert parse_units(text.format("generated", "local-fs.target", ""))["tmp.mount"].asked
    assert parse_units(text.format("enabled", "my.target", ""))["tmp.mount"].asked
    assert parse_units(text.format("generated", "", "tmp.automount"))["tmp.mount"].asked
    assert not parse_units(text.format("disabled", "cron.service", ""))["tmp.mount"].asked


def test_what_a_reboot_forgets_is_left_out() -> None:
    passing = "# /run/systemd/transient/tmp.mount\n[Mount]\nOptions=noexec\n"
    assert parse_cat(passing) == {}
    drop_in = "# /run/systemd/system/tmp.mount.d/x.conf\n[Mount]\nOptions=noexec\n"
    fragment, found = parse_cat(f"# {DEBIANS}\n[Mount]\nOptions=nodev\n\n{drop_in}")["tmp.mount"]
    assert (fragment, found["Mount", "Options"].value) == (DEBIANS, "nodev")


def test_units_have_the_names_systemd_gives_them() -> None:
    assert [unit_of(point) for point in ("/tmp", "/var/tmp", "/dev/shm")] == [
        "tmp.mount", "var-tmp.mount", "dev-shm.mount",
    ]  # fmt: skip


def test_options_are_added_and_contradictions_taken_away() -> None:
    assert merged("defaults,exec,size=50%", ["nodev", "noexec"]) == (
        "defaults,size=50%,nodev,noexec"
    )
    fstab = "# tmp\nUUID=tmp  /tmp\text4   defaults,exec 0 2\n"
    assert with_options(fstab, "/tmp", ["noexec"]) == (
        "# tmp\nUUID=tmp  /tmp\text4   defaults,noexec 0 2\n"
    )
    assert parse_fstab(fstab)["/tmp"].line == 2


def test_what_is_executed_from_there() -> None:
    maps = (
        "5581-5582 r-xp 00002000 00:75 5                          /dev/shm/my prog\n"
        "5581-5582 rw-p 00002000 00:75 5                          /tmp/data\n"
        "7fd1-7fd2 r-xp 00026000 00:58 1                          /usr/lib/libc.so.6\n"
        "7fd1-7fd2 r-xp 00026000 00:58 1                          /tmp/gone (deleted)\n"
        "7fd1-7fd2 r-xp 00000000 00:00 0                          [vdso]\n"
    )
    assert mapped_from(maps, ["/tmp", "/dev/shm"]) == ["/dev/shm/my prog"]


def plan(directory: Path, points: list[str], mounts: Mounts, **answers: Any) -> Planned:
    usual: dict[str, Any] = {"mounts": mounts, "units": {}, "packages": packages()}
    ctx = context(directory, **{**usual, **answers})
    for point in ("/dev", *points):
        if ctx.host.state(point) is None:
            ctx.host.put(point, FileState(kind="dir", mode=0o1777))
    return Resource.parse("x.y", {"points": points}).plan(ctx)


def files(planned: Planned) -> dict[str, str]:
    return {c.path: c.content.decode() for c in planned.changes if isinstance(c, WriteFile)}


def commands(planned: Planned) -> list[str]:
    return [" ".join(c.argv) for c in planned.changes if isinstance(c, RunCommand)]


def test_a_directory_of_the_root_file_system_is_mounted_over_itself(tmp_path: Path) -> None:
    planned = plan(tmp_path, ["/tmp"], Mounts({}, {"/tmp": Boot()}, ""))
    text = files(planned)["/etc/systemd/system/tmp.mount"]
    assert "What=/tmp\nWhere=/tmp\nType=none\nOptions=bind,nodev,nosuid,noexec\n" in text
    assert commands(planned) == ["systemctl daemon-reload", "systemctl enable --now tmp.mount"]


def test_debians_own_unit_gets_a_drop_in_that_keeps_its_options(tmp_path: Path) -> None:
    boot = Boot("unit", "mode=1777,size=50%%,nosuid", "/usr/lib/systemd/system/tmp.mount:9")
    planned = plan(tmp_path, ["/tmp"], Mounts({"/tmp": TMPFS}, {"/tmp": boot}, ""))
    ((path, text),) = files(planned).items()
    assert path == "/etc/systemd/system/tmp.mount.d/zz-harden-tui-x-y.conf"
    assert "Options=mode=1777,size=50%%,nosuid,nodev,noexec\n" in text
    assert commands(planned)[-1] == "mount -o remount,bind,nodev,nosuid,noexec /tmp"


def test_shared_memory_gets_a_line_of_fstab(tmp_path: Path) -> None:
    shm = Mount("/dev/shm", frozenset({"nosuid"}), "/", "tmpfs", "tmpfs")
    planned = plan(tmp_path, ["/dev/shm"], Mounts({"/dev/shm": shm}, {"/dev/shm": Boot()}, "# x"))
    text = files(planned)["/etc/fstab"]
    assert text.startswith("# x\n# Written by harden-tui")
    assert text.endswith("\ntmpfs /dev/shm tmpfs nodev,nosuid,noexec 0 0\n")


def test_a_partition_of_its_own_keeps_its_line(tmp_path: Path) -> None:
    fstab = "UUID=x /var/tmp ext4 defaults 0 2\n"
    boot = {"/var/tmp": Boot("fstab", "defaults", "/etc/fstab:1")}
    now = {"/var/tmp": Mount("/var/tmp", frozenset({"rw"}), "/", "ext4", "/dev/vdb")}
    planned = plan(tmp_path, ["/var/tmp"], Mounts(now, boot, fstab))
    assert files(planned) == {
        "/etc/fstab": "UUID=x /var/tmp ext4 defaults,nodev,nosuid,noexec 0 2\n"
    }


def test_a_service_with_a_mount_of_its_own_gets_the_options_too(tmp_path: Path) -> None:
    mounts = Mounts(
        {"/dev/shm": GOOD}, {"/dev/shm": KEPT}, "", {"apache2.service": Own(7, {"/dev/shm": TMPFS})}
    )
    assert commands(plan(tmp_path, ["/dev/shm"], mounts)) == [
        "nsenter --target 7 --mount mount -o remount,bind,nodev,nosuid,noexec /dev/shm"
    ]


def test_nothing_to_do(tmp_path: Path) -> None:
    planned = plan(tmp_path, ["/dev/shm"], Mounts({"/dev/shm": GOOD}, {"/dev/shm": KEPT}, ""))
    assert planned.changes == ()


def test_refusals(tmp_path: Path) -> None:
    strange = plan(tmp_path, ["/tmp"], Mounts({"/tmp": TMPFS}, {"/tmp": Boot()}, ""))
    assert "neither by /etc/fstab nor by a unit" in strange.refusals[0]
    masked = {"tmp.mount": unit("tmp.mount", "inactive", "masked")}
    off = plan(tmp_path, ["/tmp"], Mounts({}, {"/tmp": Boot()}, ""), units=masked)
    assert "tmp.mount is masked" in off.refusals[0]


FULL = frozenset({"rw", "nodev", "nosuid", "noexec"})
HARD = Mount("/tmp", FULL, "/", "tmpfs", "tmpfs")
SAID = "mode=1777,nodev,nosuid,noexec"


def test_a_mount_that_nothing_asks_for_at_boot_is_wanted_then(tmp_path: Path) -> None:
    unasked = Boot("unit", SAID, f"{ADMINS}:9", ADMINS, asked=False)
    mounts = Mounts({"/tmp": HARD}, {"/tmp": unasked}, "")
    planned = plan(tmp_path, ["/tmp"], mounts)
    assert commands(planned) == [
        "systemctl daemon-reload", "systemctl add-wants local-fs.target tmp.mount",
    ]  # fmt: skip
    assert (files(planned), planned.refusals) == ({}, ())
    ctx = context(tmp_path / "2", mounts=mounts, units={}, packages=packages())
    ctx.host.put("/tmp", FileState(kind="dir", mode=0o1777))
    (found,) = Resource.parse("x.y", {"points": ["/tmp"]}).observe(ctx)
    assert (found.ok, found.persistent) == (
        False, "nodev, nosuid, noexec, but nothing asks for tmp.mount",
    )  # fmt: skip


def test_a_line_of_fstab_asks_for_its_mount_itself(tmp_path: Path) -> None:
    """systemd adds no link to a unit that it made of fstab."""
    fstab = "tmpfs /tmp tmpfs noauto,exec,nodev,nosuid 0 0\n"
    line = Boot("fstab", "noauto,exec,nodev,nosuid", "/etc/fstab:1", MADE, asked=False)
    planned = plan(tmp_path, ["/tmp"], Mounts({"/tmp": HARD}, {"/tmp": line}, fstab))
    assert files(planned) == {"/etc/fstab": "tmpfs /tmp tmpfs nodev,nosuid,auto,noexec 0 0\n"}
    assert commands(planned) == ["systemctl daemon-reload"]
    dropped_in = Boot("unit", "size=5m", f"{DROP_IN}:2", MADE, asked=False)
    planned = plan(tmp_path / "2", ["/tmp"], Mounts({"/tmp": HARD}, {"/tmp": dropped_in}, fstab))
    assert files(planned)["/etc/fstab"] == "tmpfs /tmp tmpfs exec,nodev,nosuid,auto 0 0\n"
    assert any("tmp.mount.d/zz-harden-tui" in path for path in files(planned))


def test_what_is_no_mount_now_would_cover_what_lies_there(tmp_path: Path) -> None:
    for boot, by in (
        (Boot("unit", SAID, f"{ADMINS}:9", ADMINS), "systemctl start tmp.mount"),
        (Boot("fstab", SAID, "/etc/fstab:1"), "mount /tmp"),
    ):
        fstab = f"tmpfs /tmp tmpfs {SAID} 0 0\n"
        (refusal,) = plan(tmp_path, ["/tmp"], Mounts({}, {"/tmp": boot}, fstab)).refusals
        assert refusal.startswith(f"{boot.origin} says how to mount /tmp")
        assert f"`{by}`" in refusal


def test_a_directory_over_itself_covers_nothing_and_is_started(tmp_path: Path) -> None:
    ours = Boot("unit", "bind,nodev,nosuid,noexec", f"{ADMINS}:9", ADMINS, over_itself=True)
    planned = plan(tmp_path, ["/tmp"], Mounts({}, {"/tmp": ours}, ""))
    assert commands(planned) == ["systemctl start tmp.mount"]
    assert planned.refusals == ()


def test_other_points_are_no_business_of_it() -> None:
    with pytest.raises(StepError, match="/home"):
        Resource.parse("x.y", {"points": ["/home"]})


class Kernel(PracticeHost):
    """A host whose mounts obey `mount` and `umount`, or do not."""

    def __init__(
        self, directory: Path, flags: str, *, obeys: bool = True, bound: bool = False
    ) -> None:
        super().__init__(directory)
        self.bound = bound
        self.flags = flags
        self.obeys = obeys
        self.ran: list[str] = []

    def read_bytes(
        self, path: str, *, limit_bytes: int = 16 * 1024 * 1024, follow: bool = True
    ) -> bytes:
        if path != "/proc/self/mountinfo":
            return super().read_bytes(path, limit_bytes=limit_bytes)
        root, parent = ("/tmp", "29") if self.bound else ("/", "1")
        text = (
            "29 1 0:30 / / rw - ext4 /dev/vda rw\n"
            f"30 {parent} 0:30 {root} /tmp rw,{self.flags} - ext4 /dev/vda rw\n"
        )
        return text.encode()

    def run(self, argv: Any, **more: Any) -> Completed:
        if argv[0] not in ("mount", "umount"):
            return super().run(argv, **more)
        self.ran.append(" ".join(argv))
        if self.obeys:
            self.flags = argv[2].removeprefix("remount,bind,")
        return Completed(tuple(argv), 0, "", "", 0.0)


def restore(host: Kernel, wanted: Mapping[str, str]) -> None:
    domain.restore(host, wanted, Silent())


def test_options_come_back(tmp_path: Path) -> None:
    host = Kernel(tmp_path / "practice", "nodev,nosuid,noexec")
    assert domain.capture(host)["mount /tmp"] == "nodev,nosuid,noexec"
    restore(host, {"mount /tmp": "nodev,nosuid,exec"})
    assert host.ran == ["mount -o remount,bind,nodev,nosuid,exec /tmp"]
    assert domain.capture(host)["mount /tmp"] == "nodev,nosuid,exec"


def test_a_directory_that_was_no_mount_loses_its_options(tmp_path: Path) -> None:
    host = Kernel(tmp_path / "practice", "nodev,nosuid,noexec", bound=True)
    restore(host, {"mount /tmp": ""})
    assert host.ran == ["mount -o remount,bind,dev,suid,exec /tmp"]
    assert domain.capture(host)["mount /tmp"] == ""


def test_what_somebody_else_mounted_there_is_left_alone(tmp_path: Path) -> None:
    host = Kernel(tmp_path / "practice", "nodev,nosuid,noexec")
    restore(host, {"mount /tmp": ""})
    assert host.ran == []


def test_a_kernel_that_does_not_obey_is_named(tmp_path: Path) -> None:
    host = Kernel(tmp_path / "practice", "nodev,nosuid,noexec", obeys=False)
    with pytest.raises(HostError, match="/tmp could not be given its options back"):
        restore(host, {"mount /tmp": "dev,suid,exec"})
