"""Names that are not UTF-8, links where files were, and what must not be shown of either."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from host.base import FileState
from host.local import LocalHost
from host.names import clean, exact_json, shown_json, visible
from snapshots.model import (
    Change,
    Delta,
    FileItem,
    MakeLink,
    RemoveFile,
    SealTree,
    ValueItem,
    WriteFile,
)
from snapshots.records import Records
from snapshots.state import StateDir
from steps.in_the_way import in_the_way
from steps.redact import MASK, Redactor
from steps.render import unified

LATIN = os.fsdecode(b"/srv/app/caf\xe9.php")
HASH = "$y$j9T$VywmtD8EPMUEi1bzpNJpO/$IoYnIC8nirPO.ZhkHQsthQ2FZ4unL9Beu9VFF8LnA.8"


class _Named(msgspec.Struct):
    path: str
    others: dict[str, tuple[str, ...]]


def test_json_for_readers_spells_such_bytes_out() -> None:
    named = _Named(LATIN, {LATIN: ("plain é", LATIN)})
    shown = "/srv/app/caf\\xe9.php"
    assert json.loads(shown_json(named)) == {"path": shown, "others": {shown: ["plain é", shown]}}
    assert msgspec.json.decode(shown_json(named), type=_Named).path == shown == visible(LATIN)


def test_what_is_shown_names_it_as_it_can_be_typed() -> None:
    assert clean(f"{LATIN}\x1b") == "/srv/app/caf\\xe9.php^["
    assert visible("half \ud83d") == "half \\ud83d"


def test_json_for_ourselves_loses_nothing() -> None:
    named = _Named(LATIN, {LATIN: (LATIN,)})
    assert msgspec.convert(json.loads(exact_json(named)), _Named) == named


def test_differences_of_such_a_file_come_back_as_they_were(tmp_path: Path) -> None:
    records = Records(StateDir(tmp_path / "state"))
    (records.path / "tx").mkdir()
    sealed = FileItem(FileState(kind="file", mode=0o640, xattrs={"user.a": b"\xff\x00"}))
    plain = FileItem(FileState(kind="symlink", target=os.fsdecode(b"\xfe")))
    deltas = [
        Delta("files", "/etc/plain", sealed, None),
        Delta("files", LATIN, plain, sealed),
        Delta("files", "/etc/literal \\udce9", None, sealed),
        Delta("files", "/etc/next", None, sealed),
        Delta("files", f"{LATIN}.too", None, sealed),
        Delta("files", "/etc/other", sealed, None),
        Delta("units", "x.service", None, ValueItem("active")),
    ]
    records.write_deltas("tx", deltas)
    assert records.deltas("tx") == deltas
    lines = (records.where("tx") / "delta.jsonl").read_bytes().splitlines()
    assert lines[:-1] == [exact_json(delta) for delta in deltas]


def test_a_diff_of_another_encoding_is_shown() -> None:
    before, after = b"# caf\xe9\nPort 22\n", b"# caf\xe9\nPort 2222\n"
    diff = unified("/etc/ssh/sshd_config", before, after)
    assert " # caf\\xe9\n-Port 22\n+Port 2222\n" in diff
    assert "Binary content differs: 3 -> 2 bytes" in unified("/etc/x", b"a\0b", b"ab")


def test_what_stands_in_the_way_is_named_before_anything_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_text(f"root:{HASH}:\n")
    for name in ("link", "taken"):
        (tmp_path / name).symlink_to(secret)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    here = str(tmp_path)
    host = LocalHost()
    link, folder, pipe, linked, removed, latin = in_the_way(
        [
            WriteFile(path=f"{here}/link", content=b""),
            WriteFile(path=f"{here}/folder", content=b""),
            WriteFile(path=f"{here}/pipe", content=b""),
            MakeLink(f"{here}/file", "/etc"),
            RemoveFile(f"{here}/folder"),
            WriteFile(path=here + os.fsdecode(b"/\xe9"), content=b""),
        ],
        host,
    )
    assert link.startswith(f"{here}/link is a symbolic link to {secret}, and a plain file")
    assert folder.startswith(f"{here}/folder is a directory, and a plain file belongs there.")
    assert pipe.startswith(f"{here}/pipe is a named pipe")
    assert linked.startswith(f"{here}/file is a plain file, and a link belongs there.")
    assert removed.startswith(f"{here}/folder is a directory, and a file or link")
    assert latin.startswith(f"The name of {here}/\\xe9 is not UTF-8")
    fitting: list[Change] = [
        WriteFile(path=f"{here}/file", content=b""),
        WriteFile(path=f"{here}/new", content=b""),
        RemoveFile(f"{here}/link"),
        MakeLink(f"{here}/taken", "/etc"),
        SealTree(root=here, rules=(), entries=0),
    ]
    assert in_the_way(fitting, host) == ()


@pytest.mark.parametrize(
    "hashed",
    [
        HASH,
        "$6$rounds=5000$usesomesillystri$KqJWpanXZHKq2BOB43TSaYhEWsQ1Lr5QNyPCDH/Tp.6",
        "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW",
        "$apr1$abcdefgh$Ktcs9Qwek1yjkPBPzNnOm/",
    ],
)
def test_a_password_hash_in_a_daemons_complaint_is_masked(hashed: str) -> None:
    complaint = f'line 1: no argument after keyword "root:{hashed}:20778:0:"'
    assert Redactor()(complaint) == f'line 1: no argument after keyword "root:{MASK}:20778:0:"'


def test_shell_variables_are_no_hashes() -> None:
    text = "$HOME/$1$2 ${APACHE_RUN_DIR} $6 $y$ costs $5"
    assert Redactor()(text) == text
