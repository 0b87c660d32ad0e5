"""What somebody put into a directory that came with packages stays when these are undone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from host.base import Completed, FileState, HostError
from host.local import LocalHost
from host.practice import PracticeHost
from snapshots import opening, put_kept, put_there, undo
from snapshots.guard_switch import Switch
from snapshots.model import FileItem, Item, UndoItem, UndoPlan
from snapshots.objects import ObjectStore
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from snapshots.transaction import Transaction
from tests.unit.snapshots_host import Bench, Waits
from tests.unit.test_mounted import put
from tui import output
from tui.out import Out
from tui.views import preview

HOME = "/var/lib/nagios"
MINE = f"{HOME}/my_check.sh"
OF_ROOT, OF_A_PERSON, OF_A_DAEMON = (
    FileItem(FileState(kind="file", mode=0o644, uid=uid)) for uid in (0, 1000, 105)
)


class Programs:
    """What dpkg lists of a package, and what grep finds in that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.listed: list[str] = []
        self.says: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        real = PracticeHost.run

        def run(host: PracticeHost, argv: Sequence[str], **how: Any) -> Completed:
            told = {"grep": self.says, "dpkg-query": self.listed}
            if argv[0] == "grep" or tuple(argv[:2]) == ("dpkg-query", "-L"):
                self.asked.append(tuple(argv))
                return Completed(tuple(argv), 0, "\n".join(told[argv[0]]), "", 0.0)
            return real(host, argv, **how)

        monkeypatch.setattr(PracticeHost, "run", run)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(monkeypatch)


@pytest.mark.parametrize(
    ("path", "item", "stays"),
    [
        (MINE, OF_ROOT, True),
        (MINE, OF_A_PERSON, True),
        (MINE, OF_A_DAEMON, False),
        (MINE, FileItem(FileState(kind="file", uid=61200)), False),
        (MINE, FileItem(FileState(kind="dir")), False),
        (MINE, FileItem(FileState(kind="socket")), False),
        (MINE, FileItem(FileState(kind="symlink", target="/srv/x")), True),
        ("/srv/ftp/welcome", OF_ROOT, True),
        ("/var/log/sysstat/sa26", OF_ROOT, False),
        ("/var/log/sysstat/notes", OF_A_PERSON, True),
        ("/var/cache/modsecurity/x", OF_ROOT, False),
        ("/var/spool/cron/crontabs/root", OF_ROOT, True),
        ("/opt/tool/__pycache__/x.pyc", OF_ROOT, False),
    ],
)
def test_whose_a_file_is_is_told_by_owner_and_place(
    tmp_path: Path, path: str, item: Item, stays: bool
) -> None:
    host = PracticeHost(tmp_path)
    assert bool(put_there.put_there(host, {path: item}, (), ())) == stays
    assert not put_there.put_there(host, {path: item}, {path}, ())


def test_what_a_program_of_the_package_names_is_its_own(tmp_path: Path, programs: Programs) -> None:
    host = PracticeHost(tmp_path)
    own = "/var/lib/unattended-upgrades/kept-back"
    programs.listed = ["/usr/bin/u", "/etc/u.conf", "/usr/share/doc/u/README", "/."]
    programs.says = [own[1:], "something/else"]
    put(host, MINE)
    found = put_there.put_there(host, {own: OF_ROOT, MINE: OF_ROOT}, (), {"u"})
    assert found == {MINE: put_there.WHY}
    # What an administrator wrote into a configuration file names files of administrators.
    assert programs.asked[-1][-2:] == ("--", "/usr/bin/u")


def test_what_is_too_large_to_be_kept_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_kept, "KEPT_BYTES", 10)
    host = PracticeHost(tmp_path)
    for name, size in (("a", 6), ("b", 4), ("c", 9)):
        put(host, f"/srv/ftp/{name}")
        host.write_file(f"/srv/ftp/{name}", b"x" * size)
    came: dict[str, Item] = {f"/srv/ftp/{name}": OF_ROOT for name in "abc"}
    assert put_there.put_there(host, came, (), ()) == {
        "/srv/ftp/a": put_there.WHY,
        "/srv/ftp/b": put_there.WHY,
        "/srv/ftp/c": put_there.TOO_MUCH,
    }


def brought(bench: Bench, tx: Transaction) -> None:
    """The packages of a transaction brought a directory with something in it."""
    put(bench.host, f"{HOME}/own")
    Records(bench.state).journal(tx.id, "came", f"{HOME} came with packages", path=HOME)


def applied(bench: Bench) -> str:
    tx = bench.begin("monitoring")
    brought(bench, tx)
    made = tx.commit().id
    put(bench.host, MINE)
    return made


def test_an_undo_leaves_it_and_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = applied(bench)
    plan = undo.plan_undo(bench.host, bench.state, made)
    how = {item.key: item.how for item in plan.items}
    assert (how[MINE], how[f"{HOME}/own"]) == ("left", "restore")
    assert plan.stays == (
        f"1 file came later and no package has it, so it may be yours and stays: {MINE}."
    )
    ended = bench.undo(made, plan.fingerprint)
    assert (ended.status, ended.reason) == ("committed", plan.stays)
    assert bench.host.listdir(HOME) == ["my_check.sh"]


def takes(bench: Bench, *paths: str) -> None:
    for path in paths:
        bench.host.put(path, None)


def test_what_a_packages_script_takes_is_put_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = applied(bench)
    bench.host.put(MINE, FileState(kind="file", mode=0o640, uid=1000), b"x")
    undone = bench.undo(made, prove=lambda: takes(bench, MINE, f"{HOME}/own", HOME))
    assert undone.status == "committed"
    assert undone.reason == (
        f"1 file came later and no package has it, so it may be yours and stays: {MINE}."
    )
    mine = bench.host.state(MINE)
    assert mine is not None and (mine.mode, mine.uid, bench.read(MINE)) == (0o640, 1000, "x")
    assert not (Records(bench.state).where(undone.id) / put_kept.NAME).exists()


def test_what_is_too_large_and_taken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_kept, "KEPT_BYTES", 0)
    bench = Bench(tmp_path)
    undone = bench.undo(applied(bench), prove=lambda: takes(bench, MINE))
    assert undone.status == "committed"
    assert undone.reason == (
        f"{MINE} was removed by its package's own script; it was too large to be kept."
    )
    assert bench.host.state(HOME) is None


def test_what_cannot_be_put_back_is_kept_with_the_undo(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = applied(bench)

    def prove() -> None:
        takes(bench, MINE, f"{HOME}/own", HOME)
        bench.host.put(HOME, FileState(kind="symlink", target="/srv/other"))

    undone = bench.undo(made, prove=prove)
    assert undone.status == "committed"
    assert f"{MINE} was removed by its package's own script; it could not be put back" in (
        undone.reason
    )
    assert f"but what it held is kept, see `harden-tui history show {undone.id}`." in undone.reason
    (delta,) = [one for one in Records(bench.state).deltas(undone.id) if one.key == MINE]
    assert isinstance(delta.before, FileItem) and delta.after is None
    assert ObjectStore(bench.state.objects).get(delta.before.state.sha256) == b"x"


def test_an_undo_that_fails_puts_back_what_a_script_took(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = applied(bench)

    def fails() -> None:
        takes(bench, MINE, f"{HOME}/own", HOME)
        raise HostError("it does not hold")

    assert bench.undo(made, prove=fails).status == "rolled-back"
    assert bench.read(MINE) == "x"


def test_an_undo_that_is_not_confirmed_puts_it_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = applied(bench)
    bench.host.put(f"{HOME}/link", FileState(kind="symlink", target="/srv/mine"))
    bench.host.put(MINE, FileState(kind="file", mode=0o750, uid=1000), b"x")

    def prove() -> None:
        takes(bench, MINE, f"{HOME}/link", f"{HOME}/own", HOME)

    assert bench.undo(made, prove=prove, switch=cast(Switch, Waits())).status == "pending"
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    assert bench.host.listdir(HOME) == ["link", "my_check.sh"]
    mine = bench.host.state(MINE)
    assert mine is not None and (mine.mode, mine.uid) == (0o750, 1000)
    assert bench.read(MINE) == "x"


def test_nothing_is_put_back_through_a_link(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = applied(bench)
    put(bench.host, "/srv/other/x")

    def fails() -> None:
        takes(bench, MINE, f"{HOME}/own", HOME)
        bench.host.put(HOME, FileState(kind="symlink", target="/srv/other"))
        raise HostError("it does not hold")

    bench.undo(made, prove=fails)
    assert bench.host.listdir("/srv/other") == ["x"]


def test_what_was_not_confirmed_leaves_it_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    tx = opening.begin(
        bench.host, bench.state, steps=("s",), title="s", user="t", progress=Silent(),
        switch=cast(Switch, Waits()),
    )  # fmt: skip
    brought(bench, tx)
    assert tx.commit().status == "pending"
    put(bench.host, MINE)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    assert f"1 file came later and no package has it, so it may be yours and stays: {MINE}." in (
        ended.reason
    )
    assert bench.host.listdir(HOME) == ["my_check.sh"]


def test_many_are_counted_and_some_are_named() -> None:
    paths = [f"/srv/{number}" for number in range(7)]
    assert put_there.sentence(paths) == (
        "7 files came later and no package has them, so they may be yours and stay: "
        "/srv/0, /srv/1, /srv/2, /srv/3, /srv/4 and 2 more."
    )
    assert put_there.sentence([]) == ""


def test_a_preview_names_them_first(capsys: pytest.CaptureFixture[str]) -> None:
    items = (
        UndoItem(domain="files", key="/etc/a", how="restore"),
        UndoItem(domain="files", key=MINE, how="left", note=put_there.WHY),
    )
    plan = UndoPlan(
        transaction="t", steps=("s",), items=items, commands=(), fingerprint="",
        stays=put_there.sentence([MINE]),
    )  # fmt: skip
    output.undo_text(Out(), [plan])
    text = capsys.readouterr().out
    screen = "\n".join(
        "".join(words for words, _ in line) for line in preview.undo_lines([plan], 70)
    )
    for shown in (text, screen):
        assert shown.index("1 file came later") < shown.index("it may be yours\n")
        assert shown.index(f"{MINE}: stays") < shown.index("/etc/a")


def test_a_name_in_a_longer_one_is_not_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, program = tmp_path / "postrm", tmp_path / "daemon"
    script.write_text("rm -f /var/lib/x/own* /var/lib/x/a+b\nlast /var/lib/x/end")
    program.write_bytes(b"\0\xff/var/lib/x/bin\0more /var/lib/x/app.sqlite3\0")
    files = [str(script), str(program)]
    monkeypatch.setattr("snapshots.put_there.listed", lambda host, names: files)
    said = {f"/var/lib/x/{name}" for name in ("own", "a+b", "end", "bin", "app.sqlite3")}
    paths = said | {f"/var/lib/x/{name}" for name in ("app", "en", "a", "ow")}
    assert put_there.named_by(LocalHost(), paths, ["x"]) == said
