"""Encrypted disks: what lsblk says of stacks, and when a person is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from host.facts import FactUnavailable
from host.facts.block_devices import (
    Place,
    Storage,
    parse_crypttab,
    parse_lsblk,
    parse_places,
    parse_swaps,
)
from steps.check import measure_step
from steps.model import Finding, Step
from steps.resources.disk_encryption import DiskEncryption
from tests.unit.given import RELEASES, context, recorded

DATA = Place("/data", "ext4", "/dev/mapper/vg-data", "254:3")
ROOT = Place("/", "ext4", "/dev/vda1", "254:1")


def device(name: str, kind: str, number: str, *children: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": kind, "maj:min": number, "children": list(children)}


LVM_ON_LUKS = device(
    "/dev/vdb", "disk", "254:16",
    device(
        "/dev/mapper/data_crypt", "crypt", "254:2",
        device("/dev/mapper/vg-data", "lvm", "254:3"),
        device("/dev/mapper/vg-wide", "lvm", "254:4"),
    ),
)  # fmt: skip
PLAIN = device(
    "/dev/vdc", "disk", "254:32",
    device("/dev/mapper/vg-wide", "lvm", "254:4"),
)  # fmt: skip


def lsblk(*devices: dict[str, Any]) -> str:
    return json.dumps({"blockdevices": list(devices)})


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_answers(release: str) -> None:
    known, encrypted, _mapped = parse_lsblk(recorded(release, "system/lsblk.json"))
    assert {"/dev/vda", "254:0"} <= known
    assert encrypted == frozenset()
    places = parse_places(recorded(release, "system/mountinfo.txt"))
    assert places[0].point == "/"
    assert places[0].type == "overlay"


def test_a_volume_is_encrypted_only_if_all_of_it_is() -> None:
    known, encrypted, mapped = parse_lsblk(lsblk(LVM_ON_LUKS, PLAIN))
    assert "254:3" in encrypted
    assert mapped["/dev/mapper/vg-data"] == "/dev/mapper/data_crypt"
    assert "/dev/mapper/vg-wide" in known - encrypted
    assert "/dev/vdb" in known - encrypted


@settings(max_examples=60)
@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_places(text)
    parse_crypttab(text)
    parse_swaps(text)
    try:
        parse_lsblk(text)
    except (msgspec.DecodeError, ValueError):
        return


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["blockdevices", "children", "name"]), inner)
        ),
    )
)
def test_any_json_is_read(answer: Any) -> None:
    try:
        parse_lsblk(json.dumps(answer))
    except ValueError:
        return


def test_swap_and_crypttab() -> None:
    rows = ("Filename Type Size Used Priority", "/dev/dm-1 partition 1 0 -2", "/dev/zram0 x 1 0 1")
    text = "\n".join(rows)
    assert parse_swaps(text) == ("/dev/dm-1",)
    assert parse_crypttab("# x\ndata_crypt UUID=1 none luks\n") == {"data_crypt": "/etc/crypttab:2"}


def storage(**fields: Any) -> Storage:
    known, encrypted, mapped = parse_lsblk(
        lsblk(
            LVM_ON_LUKS,
            device("/dev/vda", "disk", "254:0", device("/dev/vda1", "part", "254:1")),
        )
    )
    plain: dict[str, Any] = {
        "places": (ROOT, DATA), "known": known, "encrypted": encrypted, "mapped": mapped,
        "crypttab": {"data_crypt": "/etc/crypttab:1"}, "swaps": (),
    }  # fmt: skip
    return Storage(**{**plain, **fields})


def findings(directory: Path, found: Storage, *paths: str) -> list[Finding]:
    no_apache = FactUnavailable("no Apache here")
    ctx = context(directory, block_devices=found, apache=no_apache)
    for path in paths:
        if ctx.host.state(path) is None:
            ctx.host.put(path, FileState(kind="dir", mode=0o755))
    step = DiskEncryption.parse("x.y", {"paths": list(paths), "question": "Is it?"})
    return step.observe(ctx)


def test_measured_encryption_asks_nobody(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, storage(), "/data")
    assert found.ok is True
    assert (found.running, found.origin) == ("dm-crypt /dev/mapper/data_crypt", "/etc/crypttab:1")


def test_a_plain_disk_is_no_failure_but_a_question(tmp_path: Path) -> None:
    plain, question = findings(tmp_path, storage(hypervisor=True), "/etc")
    assert plain.ok is question.ok is None
    assert "without dm-crypt" in plain.running
    assert "virtual machine" in question.note


def test_swap_counts(tmp_path: Path) -> None:
    found = findings(tmp_path, storage(swaps=("/dev/vda1",)), "/data")
    assert [finding.ok for finding in found] == [True, None, None]


def test_a_directory_below_another_is_told_once(tmp_path: Path) -> None:
    found = findings(tmp_path, storage(), "/data", "/data/www")
    assert [finding.setting for finding in found] == ["/data"]


def test_the_step_is_manual_where_it_cannot_be_measured_and_passes_where_it_can(
    tmp_path: Path,
) -> None:
    step = Step(
        id="x.y", stage="pre-install", title="", why="", breaks="", source="",
        ensure=[{"disk-encryption": {}}],
    )  # fmt: skip
    for number, (path, status) in enumerate((("/data", "pass"), ("/etc", "manual"))):
        ctx = context(
            tmp_path / str(number), block_devices=storage(), apache=FactUnavailable("none")
        )
        if ctx.host.state(path) is None:
            ctx.host.put(path, FileState(kind="dir", mode=0o755))
        resource = DiskEncryption.parse("x.y", {"paths": [path], "question": "Is it?"})
        assert measure_step(step, [resource], [], ctx).status == status
