"""A file whose mode a step wants keeps what was given to it beside; what goes is in the preview."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from host.base import FLAG_IMMUTABLE, FileState
from snapshots.model import WriteFile
from snapshots.overwriting import ACL, CAPABILITIES, lost, state_after
from steps.redact import Redactor
from steps.render import render
from tests.unit.snapshots_host import Bench

PATH = "/etc/site.conf"
NOBODY = 0xFFFFFFFF
WEB = 33


def acl(user: int, *, group: int = 4, mask: int = 4, other: int = 4) -> bytes:
    """`user::rw-,u:33:…,group::…,mask::…,other::…` as the kernel has it."""
    entries = ((0x01, 6, NOBODY), (0x02, user, WEB), (0x04, group, NOBODY), (0x10, mask, NOBODY))
    said = b"".join(struct.pack("<HHI", *entry) for entry in (*entries, (0x20, other, NOBODY)))
    return struct.pack("<I", 2) + said


def there(mode: int = 0o644, **xattrs: bytes) -> FileState:
    names = {"acl": ACL, "note": "user.note", "capabilities": CAPABILITIES}
    given = {names[name]: value for name, value in xattrs.items()}
    return FileState(kind="file", mode=mode, flags=FLAG_IMMUTABLE, xattrs=given)


def write(mode: int = 0o644, *, force_state: bool = True, secret: bool = False) -> WriteFile:
    return WriteFile(
        path=PATH, content=b"b\n", mode=mode, force_state=force_state, secret=secret
    )  # fmt: skip


def test_flags_attributes_and_an_acl_that_gives_no_more_stay() -> None:
    had = there(acl=acl(4), note=b"1")
    after = state_after(had, write())
    assert after == FileState(kind="file", mode=0o644, flags=FLAG_IMMUTABLE, xattrs=had.xattrs)
    assert lost(had, write()) == ()


def test_an_acl_says_of_the_owning_group_what_the_mode_says() -> None:
    after = state_after(there(acl=acl(4, group=0)), write())
    assert after is not None and after.xattrs[ACL] == acl(4)


@pytest.mark.parametrize(
    ("had", "mode"),
    [
        (acl(6, mask=6), 0o644),  # it may write, others may not
        (acl(4, other=0), 0o640),  # it may read, others may not
        (acl(4, other=0), 0o600),  # the mode shuts it out: that is not done in silence
        (acl(6, mask=4), 0o664),  # masked until now
    ],
)
def test_an_acl_that_does_not_go_with_the_mode_is_named(had: bytes, mode: int) -> None:
    after = state_after(there(acl=had), write(mode))
    assert after is not None and ACL not in after.xattrs
    assert lost(there(acl=had), write(mode))[0].startswith("ACL u:33:r")


def test_what_a_program_might_do_is_not_handed_to_another() -> None:
    had = there(capabilities=b"x", note=b"1")
    after = state_after(had, write())
    assert after is not None and after.xattrs == {"user.note": b"1"}
    assert lost(had, write()) == ("capabilities removed",)


def test_who_only_changes_the_content_leaves_the_rest() -> None:
    assert state_after(there(acl=acl(6, mask=6)), write(force_state=False)) is None
    assert lost(there(acl=acl(6, mask=6)), write(force_state=False)) == ()


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_the_preview_is_what_happens_and_the_undo_exact(tmp_path: Path, mode: int) -> None:
    bench = Bench(tmp_path)
    bench.host.put(PATH, there(acl=acl(4), note=b"1"), b"a\n")
    before = bench.host.state(PATH, content=True)
    shown = render(write(mode), bench.host, Redactor([])).summary
    hidden = render(write(mode, secret=True), bench.host, Redactor([])).summary
    record = bench.apply("a", write(mode))
    after = bench.host.state(PATH)
    assert after is not None and (after.flags, after.mode) == (FLAG_IMMUTABLE, mode)
    assert after.xattrs["user.note"] == b"1"
    assert (ACL in after.xattrs) is (mode == 0o644)
    assert ("ACL u:33:r-- removed" in shown) is (mode == 0o640)
    assert ("ACL u:33:r-- removed" in hidden) is (mode == 0o640)
    bench.undo(record.id)
    now = bench.host.state(PATH, content=True)
    assert before is not None and before.same_as(now)
