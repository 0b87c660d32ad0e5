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
    Mount,
    Mounts,
    Own,
    merged,
    parse_cat,
    parse_fstab,
    parse_mountinfo,
    unit_of,
    with_options,
)
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
    parse_fstab(text)
    mapped_from(text, ["/tmp"])


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
