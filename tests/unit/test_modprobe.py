"""Kernel modules: modprobe's own answers, what is found to be needed, and what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.facts.modprobe import (
    Modules,
    file_systems,
    listed_types,
    parse_config,
    parse_files,
    parse_loaded,
    read_order,
)
from snapshots.model import RunCommand, WriteFile
from steps.resource import Planned, StepError
from steps.resources.modprobe import Modprobe
from tests.unit.given import RELEASES, context, packages, recorded

SITE = (
    "# a site\ninstall dccp /bin/true\nblacklist pcspkr\n"
    "install usb-storage \\\n  /sbin/modprobe --ignore-install usb-storage\nblacklist last\n"
)
OURS = "/etc/modprobe.d/00-harden-tui-x-y.conf"


@pytest.mark.parametrize("release", RELEASES)
def test_of_two_install_lines_the_first_is_run(release: str) -> None:
    """probe.conf says /bin/true, zz-ours.conf /bin/false; `modprobe -n -v dccp` said /bin/true."""
    commands, blacklisted = parse_config(recorded(release, "system/modprobe-config.txt"))
    assert commands["dccp"] == "/bin/true"
    assert commands["usb_storage"] == "/sbin/modprobe --ignore-install usb-storage"
    assert blacklisted == {"pcspkr", "usb_storage"}


def test_joined_lines_keep_their_number() -> None:
    lines = parse_files({"/etc/modprobe.d/site.conf": SITE})
    assert [(line.module, line.line) for line in lines] == [
        ("dccp", 2), ("pcspkr", 3), ("usb_storage", 4), ("last", 6),
    ]  # fmt: skip


def test_the_order_of_files() -> None:
    listed = {
        "/etc/modprobe.d": ["b.conf", "c.conf", "x.bak"],
        "/lib/modprobe.d": ["a.conf", "c.conf"],
    }
    assert read_order(listed) == [
        "/lib/modprobe.d/a.conf", "/etc/modprobe.d/b.conf", "/etc/modprobe.d/c.conf",
    ]  # fmt: skip


def test_loaded_modules_and_file_systems() -> None:
    text = "overlay 151552 3 - Live 0x0\nusb_storage 81920 0 - Live 0x0\nbroken\n"
    assert parse_loaded(text) == {"overlay": 3, "usb_storage": 0}
    assert listed_types("# x y udf\n/dev/sr0 /media udf,iso9660 ro 0 0\n") == {"udf", "iso9660"}


@pytest.mark.parametrize("release", RELEASES)
def test_mounted_file_systems(release: str) -> None:
    found = file_systems(recorded(release, "system/mountinfo.txt"))
    assert {"overlay", "tmpfs", "proc"} <= found


@settings(max_examples=60)
@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_config(text)
    parse_loaded(text)
    file_systems(text)
    listed_types(text)


def modules(**fields: Any) -> Modules:
    plain: dict[str, Any] = {
        "commands": {}, "blacklisted": frozenset(), "origins": {}, "asked": True, "used": {},
    }  # fmt: skip
    return Modules(**{**plain, **fields})


def plan(directory: Path, found: Modules, *names: str, barred: str = "dccp") -> Planned:
    ctx = context(directory, kernel_modules=found, packages=packages(*names))
    return Modprobe.parse("x.y", {"barred": barred.split()}).plan(ctx)


def test_both_lines_are_written(tmp_path: Path) -> None:
    (change,) = plan(tmp_path, modules()).changes
    assert isinstance(change, WriteFile)
    assert change.path == OURS
    assert change.content.endswith(b"install dccp /bin/false\nblacklist dccp\n")


def test_what_is_needed_is_left_out_and_named(tmp_path: Path) -> None:
    found = modules(used={"sctp": 2}, file_systems=frozenset({"udf"}))
    planned = plan(
        tmp_path, found, "docker.io", "snapd", barred="dccp overlay squashfs udf sctp usb-storage"
    )
    (change,) = planned.changes
    assert isinstance(change, WriteFile)
    words = change.content.decode().split()
    assert {"dccp", "usb-storage"} <= set(words)
    assert not {"overlay", "squashfs", "udf", "sctp"} & set(words)
    assert len(planned.notes) == 4


def test_a_loaded_module_that_nothing_uses_is_unloaded(tmp_path: Path) -> None:
    planned = plan(tmp_path, modules(used={"dccp": 0}))
    assert [c.argv for c in planned.changes if isinstance(c, RunCommand)] == [
        ("modprobe", "-r", "dccp")
    ]
    assert any(note.startswith("Cannot come back") for note in planned.notes)


def test_an_install_line_that_is_read_first_is_refused(tmp_path: Path) -> None:
    found = modules(
        commands={"dccp": "/sbin/modprobe -i dccp"},
        origins={"dccp": "/etc/modprobe.d/00-a.conf:3"},
    )
    assert "/etc/modprobe.d/00-a.conf:3" in plan(tmp_path, found).refusals[0]


def test_what_we_barred_and_is_needed_now_is_let_go(tmp_path: Path) -> None:
    found = modules(
        commands={"overlay": "/bin/false"}, blacklisted=frozenset({"overlay"}),
        origins={"overlay": f"{OURS}:3"},
    )  # fmt: skip
    ctx = context(tmp_path, kernel_modules=found, packages=packages("docker.io"))
    step = Modprobe.parse("x.y", {"barred": ["overlay"]})
    assert [finding.ok for finding in step.observe(ctx)] == [False]
    (change,) = step.plan(ctx).changes
    assert isinstance(change, WriteFile)
    assert b"overlay" not in change.content


def test_a_containers_modules_are_not_counted(tmp_path: Path) -> None:
    found = modules(used={"dccp": 4}, container=True)
    ctx = context(tmp_path, kernel_modules=found, packages=packages())
    findings = Modprobe.parse("x.y", {"barred": ["dccp"]}).observe(ctx)
    assert [(finding.ok, finding.applicable) for finding in findings] == [
        (False, True), (None, False),
    ]  # fmt: skip


def test_vfat_is_never_barred() -> None:
    with pytest.raises(StepError, match="EFI"):
        Modprobe.parse("x.y", {"barred": ["vfat"]})
