"""A secret file that somebody edited since: the step's line goes, the edit stays."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from snapshots.inverse import Contents, Inverse
from snapshots.model import Delta, FileItem, Item
from snapshots.secret_merge import taken_out
from snapshots.secret_paths import PREFIX

PATH = "/var/www/i-doit/src/config.inc.php"
OLD = b"<?php\n$db = [\n    'pass' => 'old',\n];\n"
NEW = OLD.replace(b"'old'", b"'new'")


class Known:
    """Kept is what the step replaced; of what it wrote there is only a keyed hash."""

    def __init__(self, now: bytes, *kept: bytes) -> None:
        self._now = now
        self._kept = {self.hashed(content): content for content in kept}

    def hashed(self, content: bytes) -> str:
        return PREFIX + hashlib.sha256(content).hexdigest()

    def content(self, hashed: str) -> bytes | None:
        return self._kept.get(hashed)

    def stands(self, path: str) -> bytes | None:
        assert path == PATH
        return self._now


def undone(now: bytes, known: Known) -> tuple[Item | None, str, dict[str, bytes]]:
    contents = Contents(_none, known)
    old, new, there = (_item(known, content) for content in (OLD, NEW, now))
    item, how = Inverse(Delta("files", PATH, old, new), contents).of(there)
    return item, how, contents.made_secret


@pytest.mark.parametrize(
    "edited",
    [
        NEW + b"// a note of mine\n",
        b"<?php\n// of mine\n" + NEW.removeprefix(b"<?php\n"),
        NEW.replace(b"    'pass'", b"    // right above\n    'pass'"),
        NEW.replace(b"'new',\n", b"'new',\n    // right below\n"),
        NEW.rstrip(b"\n"),
    ],
)
def test_an_edit_of_another_line_stays(edited: bytes) -> None:
    known = Known(edited, OLD)
    item, how, made = undone(edited, known)
    assert how == "merged"
    assert isinstance(item, FileItem)
    assert made == {item.state.sha256: edited.replace(b"'new'", b"'old'")}


@pytest.mark.parametrize(
    ("edited", "kept"),
    [
        (NEW.replace(b"'new',", b"'new', // mine"), (OLD,)),
        (NEW.replace(b"'new'", b"'newer'"), (OLD,)),
        (NEW + b"    'pass' => 'new',\n", (OLD,)),
        (NEW + b"    'pass' => 'old',\n", (OLD,)),
        (NEW + b"// mine\n", ()),
    ],
)
def test_what_cannot_be_told_is_a_conflict(edited: bytes, kept: tuple[bytes, ...]) -> None:
    item, how, made = undone(edited, Known(edited, *kept))
    assert (how, made) == ("failed", {})
    assert item == _item(Known(b""), edited)


def test_a_file_that_changes_meanwhile_is_not_merged() -> None:
    _, how, _ = undone(NEW + b"// mine\n", Known(b"something else", OLD))
    assert how == "failed"


LINES = st.lists(st.sampled_from([b"a", b"b", b"", b"c"]), max_size=6)


@given(LINES, LINES, st.binary(max_size=5).filter(lambda one: b"\n" not in one), st.booleans())
def test_only_the_line_with_the_secret_differs(
    above: list[bytes], below: list[bytes], word: bytes, ends: bool
) -> None:
    end = b"\n" if ends else b""
    old, new = b"pass=old" + word, b"pass=new" + word

    def text(line: bytes, *more: bytes) -> bytes:
        return b"\n".join([*above, line, *below, *more, b"last"]) + end

    merged = taken_out(text(old), text(new, b"mine"), lambda content: content == text(new))
    assert merged == text(old, b"mine")


def _item(known: Known, content: bytes) -> FileItem:
    sha256 = known.hashed(content)
    return FileItem(FileState(kind="file", mode=0o640, sha256=sha256, size_bytes=len(content)))


def _none(sha256: str) -> bytes:
    raise AssertionError("a secret is not read from where the others lie")
