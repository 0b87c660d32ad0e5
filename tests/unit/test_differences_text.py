"""Two states as text: whatever a name holds, each line stays one."""

from __future__ import annotations

from host.base import FileState
from snapshots.differences_text import between
from snapshots.model import FileItem


def _file(sha256: str, mode: int) -> FileItem:
    return FileItem(FileState(kind="file", mode=mode, uid=0, gid=0, sha256=sha256, size_bytes=2))


def test_a_newline_in_a_name_is_shown_as_one() -> None:
    contents = {"a": b"a\n", "b": b"b\n"}
    told = between(
        "/etc/new\nline", _file("a", 0o644), _file("b", 0o600), contents.__getitem__
    ).splitlines()
    assert told[0] == "/etc/new^Jline: mode 0644 -> 0600"
    assert told[1:3] == ["--- /etc/new^Jline", "+++ /etc/new^Jline"]


def test_a_newline_in_what_a_link_leads_to_is_shown_as_one() -> None:
    one, two = (
        FileItem(FileState(kind="symlink", mode=0o777, uid=0, gid=0, target=target))
        for target in ("a\nb", "c\n")
    )
    assert between("/etc/link", one, two, lambda _: b"") == "/etc/link: target a^Jb -> c^J"
    assert between("/etc/link", None, one, lambda _: b"").endswith("link to a^Jb")
