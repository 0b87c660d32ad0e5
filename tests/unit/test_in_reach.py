"""What a package's own scripts may remove although it did not come with the package."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from host.base import FileKind, FileState, HostError
from host.local import LocalHost
from host.practice import PracticeHost
from snapshots import in_reach, package_owners, purge_reach, put_kept, returned, undo
from snapshots.capture import Keeper
from snapshots.model import SnapshotError, TransactionRecord
from snapshots.progress import Silent
from snapshots.put_since import PutSince
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench
from tests.unit.test_mounted import mount, put
from tests.unit.test_others_edits import waiting
from tests.unit.test_put_since import back_with, fails, is_kept, waits
from tests.unit.test_put_there import MINE, applied, takes
from tests.unit.test_snapshots_meanwhile import write

OLD, NEW, SINCE = 1_000.0, 3_000.0, "1970-01-01T00:33:20+00:00"
HOME = "/var/lib/thing"
Born = Callable[[dict[str, float]], None]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def host(bench: Bench) -> PracticeHost:
    return bench.host


@pytest.fixture
def born(monkeypatch: pytest.MonkeyPatch) -> Born:
    """The practice host's disk does not tell when a file was made."""
    return lambda told: monkeypatch.setattr(in_reach, "born_s", lambda host, paths: told)


def postrm(host: PracticeHost, text: str) -> None:
    put(host, "/var/lib/dpkg/info/thing.postrm")
    host.write_file("/var/lib/dpkg/info/thing.postrm", text.encode())


def beside(bench: Bench, *leaving: int, known: tuple[str, ...] = ()) -> in_reach.Beside:
    record = TransactionRecord(
        id="t", kind="apply", steps=("s",), title="s", status="open", started=SINCE, user="u"
    )
    keeper = Keeper(bench.host, bench.state)
    return in_reach.lies_there(keeper, {"thing"}, set(known), record, set(leaving))


def found(bench: Bench, *known: str) -> list[str]:
    return [*beside(bench, 105, known=known).stays]


@pytest.mark.parametrize(
    ("said", "path", "is_in_reach"),
    [
        ("rm -rf /var/lib/thing", f"{HOME}/a/b", True),
        ('rm -rf "/var/lib/thing/"', f"{HOME}/a", True),
        ("D=/var/lib/thing; rm -r $D", f"{HOME}/a", True),
        ("rm -f /var/log/thing.log*", "/var/log/thing.log.1", True),
        ("rm -rf /var/lib/thing-$1", "/var/lib/thing-8/a", True),
        ("rm -f /srv/ftp/welcome", "/srv/ftp/welcome", True),
        ("rm -rf /var/lib//thing/./x", f"{HOME}/x/a", True),
        ("rm -rf /var/lib/thing", f"{HOME}/caf\udce9", True),
        ("rm -f /var/log/thing.log*", "/var/log/other.log", False),
        ("rm -rf /var/lib/$NAME", f"{HOME}/a", False),
        ("rm -f /var/lib/systemd/x", "/var/lib/systemd/x", False),
        ("rm -rf /etc/thing", "/etc/thing/a", False),
    ],
)
def test_what_a_script_names_is_in_its_reach(
    bench: Bench, host: PracticeHost, said: str, path: str, is_in_reach: bool
) -> None:
    postrm(host, said)
    put(host, path)
    assert (path in found(bench)) == is_in_reach


def test_what_came_with_it_or_was_made_by_programs_since_goes(
    bench: Bench, host: PracticeHost, born: Born
) -> None:
    postrm(host, "rm -rf /var/lib/thing")
    for name in ("before", "brought", "roots", "of-a-daemon", "mine"):
        put(host, f"{HOME}/{name}")
    for name, uid in (("before", 105), ("brought", 0), ("of-a-daemon", 105), ("mine", 1000)):
        host.put(f"{HOME}/{name}", FileState(kind="file", uid=uid), b"x")
    born(
        {f"{HOME}/before": OLD}
        | {f"{HOME}/{name}": NEW for name in ("brought", "roots", "of-a-daemon", "mine")}
    )
    kept = [HOME, f"{HOME}/before", f"{HOME}/mine", f"{HOME}/roots"]
    assert found(bench, f"{HOME}/brought") == kept
    born({})  # a file system that does not tell
    assert found(bench, f"{HOME}/brought") == sorted([*kept, f"{HOME}/of-a-daemon"])


def test_what_is_too_large_is_said_beforehand(
    bench: Bench, host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(host, f"{HOME}/a")
    assert in_reach.too_large(host, [f"{HOME}/a"]) == ""
    monkeypatch.setattr(put_kept, "KEPT_BYTES", 0)
    assert in_reach.too_large(host, [f"{HOME}/a"]) == (
        f"Scripts of the packages may remove {HOME}/a, which did not come with them and is too "
        "large to be kept: move it away first."
    )


def test_births_are_asked_of_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "with space"
    path.write_text("x")
    told = in_reach.born_s(LocalHost(), [str(path)])
    assert not told or abs(told[str(path)] - path.stat().st_mtime) < 10
    assert in_reach.born_s(LocalHost(), [str(path), str(tmp_path / "gone")]) == {}


def test_what_was_there_before_is_put_back_and_not_said_to_have_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    postrm(bench.host, f"rm -rf {HOME}")
    old = f"{HOME}/old"
    put(bench.host, old)
    monkeypatch.setattr(PutSince, "_going", lambda self: {"thing"})
    waiting(bench)
    for act in (fails, lambda: None):
        ended = back_with(bench, lambda: takes(bench, old, HOME), act)
    assert (ended.status, ended.reason) == ("rolled-back", ended.reason.partition(" 1 file")[0])
    assert bench.read(old) == "x"
    assert not is_kept(bench, ended.id)


def test_dpkg_that_does_not_answer_stops_no_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks(*given: object) -> dict[str, object]:
        raise HostError("`dpkg-query` took too long")

    bench = Bench(tmp_path)
    waits(bench)
    monkeypatch.setattr(in_reach, "lies_there", asks)
    ended = back_with(bench, lambda: takes(bench, MINE))
    assert (ended.status, bench.read(MINE)) == ("rolled-back", "x")


def test_a_name_that_no_program_can_be_given_takes_no_other_along(
    bench: Bench, host: PracticeHost
) -> None:
    postrm(host, f"rm -rf {HOME}")
    for name in ("a", "caf\udce9"):
        put(host, f"{HOME}/{name}")
    assert found(bench) == [HOME, f"{HOME}/a", f"{HOME}/caf\udce9"]


def test_names_are_asked_in_parts_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_owners, "AT_ONCE_BYTES", 40)
    names = [f"/{number}" * 4 for number in range(5)]
    parts = [*package_owners.batches(names)]
    assert [name for part in parts for name in part] == names and len(parts) == 3
    assert [*package_owners.batches(["x" * 99])] == [["x" * 99]]
    assert [*package_owners.batches([])] == []


def test_a_file_of_a_package_that_stays_is_kept(
    bench: Bench, host: PracticeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    postrm(host, f"rm -rf {HOME}")
    for name in ("own", "plug.d/x"):
        put(host, f"{HOME}/{name}")
    owned = {f"{HOME}/own": ["thing"], f"{HOME}/plug.d/x": ["plug"], HOME: ["plug", "thing"]}
    monkeypatch.setattr(
        in_reach, "owners", lambda host, paths: {p: owned[p] for p in paths if p in owned}
    )
    assert found(bench) == [f"{HOME}/plug.d", f"{HOME}/plug.d/x"]


def test_what_an_account_owns_that_stays_is_not_the_packages(bench: Bench, born: Born) -> None:
    """The daemon of a package that stays, in a directory of its own below this one."""
    postrm(bench.host, f"rm -rf {HOME}")
    for name, uid in (("own", 105), ("plug", 106)):
        put(bench.host, f"{HOME}/{name}")
        bench.host.put(f"{HOME}/{name}", FileState(kind="file", uid=uid), b"x")
    born({f"{HOME}/own": NEW, f"{HOME}/plug": NEW})
    assert [*beside(bench, 105).stays] == [HOME, f"{HOME}/plug"]
    assert [*beside(bench, 105).made] == [f"{HOME}/own"]


def test_what_was_put_back_is_as_old_as_it_was(bench: Bench, born: Born) -> None:
    postrm(bench.host, f"rm -rf {HOME}")
    for name in ("old", "anew"):
        put(bench.host, f"{HOME}/{name}")
        bench.host.put(f"{HOME}/{name}", FileState(kind="file", uid=105), b"x")
    made = bench.apply("s").id
    returned.note(Records(bench.state), made, [f"{HOME}/old", f"{HOME}/anew"])
    later = time.time() + 60
    born({f"{HOME}/old": NEW, f"{HOME}/anew": later})
    assert f"{HOME}/old" in beside(bench, 105).stays
    assert [*beside(bench, 105).made] == [f"{HOME}/anew"]


def test_an_empty_directory_is_put_back_too(bench: Bench) -> None:
    path = f"{HOME}/incoming"
    postrm(bench.host, f"rm -rf {HOME}")
    put(bench.host, f"{HOME}/a")
    bench.host.put(path, FileState(kind="dir", mode=0o733))
    keeper, stays = Keeper(bench.host, bench.state), beside(bench).stays
    takes(bench, path)
    assert put_kept.put_back(keeper, stays, {}) == {}
    state = bench.host.state(path)
    assert state is not None and (state.kind, state.mode) == ("dir", 0o733)


@pytest.mark.parametrize("at", [HOME, f"{HOME}/a/disk"])
def test_an_undo_is_refused_where_a_script_would_empty_a_mount(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    made = applied(bench)
    monkeypatch.setattr(in_reach, "going_with", lambda inversion: {"thing"})
    postrm(bench.host, f"rm -rf {HOME} || true")
    put(bench.host, f"{HOME}/a/disk/old")
    mount(bench.host, at)
    why = (
        f"Something is mounted on {at}, and scripts of thing may remove all that lies there: "
        "unmount it first, or stop what mounted it. Nothing was touched."
    )
    assert undo.plan_undo(bench.host, bench.state, made).cannot == why
    with pytest.raises(SnapshotError, match="unmount it first"):
        bench.undo(made)
    mount(bench.host, "/var/lib/other")
    assert undo.plan_undo(bench.host, bench.state, made).cannot == ""


def test_no_package_goes_back_while_its_script_would_empty_a_mount(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx = waiting(bench)
    tx.perform(write("/etc/motd", "x\n"))
    bench.host.run(("apt-get", "install", "-y", "ufw"))
    tx.commit()
    put(bench.host, "/var/lib/dpkg/info/ufw.postrm")
    bench.host.write_file("/var/lib/dpkg/info/ufw.postrm", f"rm -rf {HOME}".encode())
    put(bench.host, f"{HOME}/old")
    mount(bench.host, HOME)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "needs-person"
    assert f"mounted on {HOME}, and scripts of ufw may remove" in ended.reason
    assert bench.read(f"{HOME}/old") == "x" and bench.host.state("/etc/motd") is None
    mount(bench.host)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"


@pytest.mark.parametrize("kind", ["dir", "symlink"])
def test_a_directory_or_link_from_before_stays_though_dpkg_has_its_name(
    bench: Bench, born: Born, monkeypatch: pytest.MonkeyPatch, kind: FileKind
) -> None:
    bench.host.put("/var/lib", FileState(kind="dir"))
    bench.host.put(HOME, FileState(kind=kind, target="/srv/big" if kind == "symlink" else ""))
    monkeypatch.setattr(purge_reach, "listed", lambda host, names: [HOME])
    for module in (in_reach, purge_reach):
        monkeypatch.setattr(module, "owners", lambda host, paths: {key: ["thing"] for key in paths})
    born({HOME: OLD})
    assert [*beside(bench).stays] == [HOME]
    for told in ({HOME: NEW}, {}):
        born(told)
        assert [*beside(bench).stays] == []


def test_what_others_need_stays_though_dpkg_has_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bench.host, "/usr/share/thing/a")
    monkeypatch.setattr(in_reach, "owners", lambda host, paths: {key: ["thing"] for key in paths})
    record = TransactionRecord(
        id="t", kind="apply", steps=("s",), title="s", status="open", started=SINCE, user="u"
    )
    keeper, theirs = Keeper(bench.host, bench.state), ("/usr/share/thing/a",)
    found = in_reach.lies_there(keeper, {"thing"}, set(), record, (), theirs)
    assert [*found.stays] == [*theirs]


@pytest.mark.parametrize(
    ("script", "is_refused"),
    [
        ("rm -rf $HOME", True),
        ("rm -rf /var/lib/thing/x", True),
        ("rm \\\n  --force -R /var/lib/thing", True),
        ("rm -f /var/lib/thing/*", True),
        ("find /var/lib/thing -delete", True),
        ("perl -e 'use File::Path; remove_tree q(/var/lib/thing)'", True),
        ("rmdir --ignore-fail-on-non-empty /var/lib/thing", False),
        ("rm -f /var/lib/thing/state", False),
        ("ls $HOME", False),
        ("", False),
    ],
)
def test_only_what_a_script_may_empty_refuses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, script: str, is_refused: bool
) -> None:
    postrm(bench.host, script)
    put(bench.host, f"{HOME}/x/y")
    mount(bench.host, f"{HOME}/x")
    monkeypatch.setattr(purge_reach, "listed", lambda host, names: [HOME])
    if is_refused:
        with pytest.raises(HostError, match=f"mounted on {HOME}/x, and scripts of thing may"):
            purge_reach.refuse_mounted(bench.host, {"thing"})
    else:
        purge_reach.refuse_mounted(bench.host, {"thing"})
