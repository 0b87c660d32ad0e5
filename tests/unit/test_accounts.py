"""An undo leaves accounts that fit: no id twice, nobody without a group, dpkg able to work."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import FileState
from snapshots import account_undo, accounts
from snapshots.account_undo import named_by_dpkg
from snapshots.accounts import GROUP, PASSWD, Fitted, Named
from snapshots.decision import Decision
from snapshots.execute import make_directories
from snapshots.model import UNRESOLVED, FileItem, Item, Resolutions
from tests.unit.snapshots_host import Bench
from tests.unit.undo_world import World, simplified, text


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


ROOT = "root:x:0:0::/root:/bin/sh"
AVAHI = "avahi:x:101:105:mDNS:/run/avahi:/usr/sbin/nologin"
BACKUP = "backupbot:x:101:105::/nonexistent:/usr/sbin/nologin"


def passwd(*lines: str) -> Item:
    return text("".join(f"{line}\n" for line in (ROOT, *lines)))


def group(*lines: str) -> Item:
    return text("".join(f"{line}\n" for line in ("root:x:0:", *lines)))


def shadow(*names: str) -> Item:
    return text("".join(f"{name}:!:1::::::\n" for name in ("root", *names)), 0o640)


def files(users: tuple[str, ...], groups: tuple[str, ...]) -> dict[str, Item]:
    names = [line.partition(":")[0] for line in users]
    return {PASSWD: passwd(*users), GROUP: group(*groups), "/etc/shadow": shadow(*names)}


def edit(world: World, users: tuple[str, ...], groups: tuple[str, ...]) -> None:
    world.edit(dict(files(users, groups)))


def lines_of(world: World, path: str) -> set[str]:
    return set(str(world.file(path)).splitlines())


def notes(decisions: list[Decision]) -> str:
    return " | ".join(f"{one.delta.key} {one.how} {one.note}" for one in decisions)


def fit(
    now: tuple[list[str], list[str]],
    then: tuple[list[str], list[str]],
    before: tuple[list[str], list[str]] | None = None,
    named: Named = accounts.NOBODY,
) -> Fitted:
    def book(sides: tuple[list[str], list[str]]) -> dict[str, list[bytes]]:
        return {
            path: [line.encode() for line in side]
            for path, side in zip((PASSWD, GROUP), sides, strict=True)
        }

    return accounts.fit(book(before or then), book(now), book(then), named)


def lines(fitted: Fitted, path: str) -> list[str]:
    return [line.decode() for line in fitted.book[path]]


def owned(uid: int, gid: int) -> Item:
    return FileItem(FileState(kind="dir", mode=0o750, uid=uid, gid=gid))


def test_who_comes_back_to_a_taken_id_gets_a_free_one() -> None:
    """With the group, and what in /etc is the account's; whoever has the id now keeps it."""
    world = World({**files((AVAHI,), ("avahi:x:105:",)), "/etc/avahi": owned(101, 105)})
    done = world.apply("purge", {**files((), ()), "/etc/avahi": None})
    edit(world, (BACKUP,), ("backupbot:x:105:",))
    told = notes(world.decided(done, UNRESOLVED))
    came = AVAHI.replace("101:105", "102:100")
    assert lines_of(world, PASSWD) == {ROOT, came, BACKUP}
    assert lines_of(world, GROUP) == {"root:x:0:", "avahi:x:100:", "backupbot:x:105:"}
    assert world.now["files"]["/etc/avahi"] == owned(102, 100)
    assert "avahi comes back with UID 102: 101 is backupbot's now" in told
    assert "avahi comes back with GID 100: 105 is backupbot's now" in told


def test_without_a_clash_everything_is_as_it_was() -> None:
    first = files((AVAHI,), ("avahi:x:105:",))
    world = World(first)
    done = world.apply("purge", dict(files((), ())))
    assert notes(world.decided(done, UNRESOLVED)).count("restore") == 3
    assert simplified(world.now) == simplified(World(first).now)


def test_a_later_step_has_the_id_and_both_are_undone() -> None:
    """What the later one tells is rewritten, so that its undo takes away only its own."""
    world = World(files((AVAHI,), ("avahi:x:105:",)))
    done = world.apply("purge", dict(files((), ())))
    ftp = "ftp:x:101:105::/srv/ftp:/bin/false"
    later = world.apply("ftp", dict(files((ftp,), ("ftp:x:105:",))))
    world.undo(done)
    came = AVAHI.replace("101:105", "102:100")
    assert lines_of(world, PASSWD) == {ROOT, ftp, came}
    world.undo(later)
    assert world.file(PASSWD) == f"{ROOT}\n{came}\n"
    assert world.file(GROUP) == "root:x:0:\navahi:x:100:\n"


def test_the_other_way_round_it_is_exact() -> None:
    first = files((AVAHI,), ("avahi:x:105:",))
    world = World(first)
    done = world.apply("purge", dict(files((), ())))
    later = world.apply("ftp", dict(files(("ftp:x:101:105::/:/bin/sh",), ("ftp:x:105:",))))
    world.undo(later)
    world.undo(done)
    assert simplified(world.now) == simplified(World(first).now)


def test_a_person_whose_id_is_taken_is_a_conflict() -> None:
    """Whose files these are now nobody can tell; it can only be kept away."""
    bob, carol = "bob:x:1001:100::/home/bob:/bin/sh", "carol:x:1001:100::/home/carol:/bin/sh"
    world = World(files((bob,), ()))
    done = world.apply("remove", dict(files((), ())))
    edit(world, (carol,), ())
    inversion = world.invert(done)
    assert inversion.conflicts == [PASSWD]
    refused = next(one for one in inversion.decisions if one.how == "conflict")
    assert refused.note == "UID 1001 of bob is carol's now"
    assert set(refused.cannot) == {"restore", "merge"}
    assert world.invert(done, Resolutions("keep-current")).chosen == {PASSWD: "keep-current"}
    told = notes(world.decided(done, Resolutions("keep-current")))
    assert "bob does not come back: UID 1001 is carol's now" in told
    assert lines_of(world, PASSWD) == {ROOT, carol}
    assert "bob" not in str(world.file("/etc/shadow"))


def test_an_account_that_is_there_keeps_its_id_and_is_there_once() -> None:
    """It came back under another id meanwhile; the old line is not put beside it."""
    old, new = AVAHI.replace("101:105", "102:105"), AVAHI.replace("101:105", "103:107")
    world = World({**files((old,), ("avahi:x:105:",)), "/etc/avahi": owned(102, 105)})
    done = world.apply("purge", {**files((), ()), "/etc/avahi": None})
    later = world.apply("again", dict(files((new,), ("avahi:x:107:",))))
    told = notes(world.decided(done, UNRESOLVED))
    assert world.file(PASSWD) == f"{ROOT}\n{new}\n"
    assert world.file(GROUP) == "root:x:0:\navahi:x:107:\n"
    assert "avahi stays with UID 103" in told and "avahi stays with GID 107" in told
    assert world.now["files"]["/etc/avahi"] == owned(103, 107)
    world.undo(later)
    assert world.file(PASSWD) == f"{ROOT}\n{new}\n"
    assert world.file("/etc/shadow") == "root:!:1::::::\navahi:!:1::::::\n"


def test_ids_that_were_double_before_are_so_again() -> None:
    toor = "toor:x:0:0::/root:/bin/sh"
    world = World(files((toor,), ()))
    done = world.apply("remove", dict(files((), ())))
    world.undo(done)
    assert world.file(PASSWD) == f"{ROOT}\n{toor}\n"


def test_a_primary_group_stays_with_its_account() -> None:
    world = World(files((), ()))
    ftp, uploader = "ftp:x:101:105::/:/bin/sh", "uploader:x:998:105::/:/bin/sh"
    done = world.apply("ftp", dict(files((ftp,), ("ftp:x:105:",))))
    edit(world, (ftp, uploader), ("ftp:x:105:",))
    told = notes(world.decided(done, UNRESOLVED))
    assert lines_of(world, PASSWD) == {ROOT, uploader}
    assert world.file(GROUP) == "root:x:0:\nftp:x:105:\n"
    assert f"{GROUP} already ftp stays: it is the primary group of uploader" in told


def test_whom_dpkg_names_stays() -> None:
    """Only the group where only that is named, the user with its hash and group otherwise."""
    there = [ROOT, "ftp:x:101:105::/:/bin/sh"], ["root:x:0:", "ftp:x:105:"]
    gone = [ROOT], ["root:x:0:"]
    fitted = fit(there, gone, named=Named(groups={"ftp": "/srv/up"}))
    assert lines(fitted, GROUP) == there[1] and lines(fitted, PASSWD) == [ROOT]
    assert fitted.notes[GROUP] == ["ftp stays: dpkg-statoverride names it for /srv/up"]
    fitted = fit(there, gone, named=Named(users={"ftp": "/srv/up"}))
    assert (lines(fitted, PASSWD), lines(fitted, GROUP)) == there


def test_what_stays_stays_in_its_place() -> None:
    now = [ROOT], ["root:x:0:", "ftp:x:105:", "later:x:106:"]
    then = [ROOT], ["root:x:0:", "later:x:106:"]
    fitted = fit(now, then, named=Named(groups={"ftp": "/srv/up"}))
    assert lines(fitted, GROUP) == now[1]


@pytest.mark.parametrize("line", ["+::::::", "", "# a comment", "odd", "bad:x:y:z::/:"])
def test_what_is_no_account_is_left_alone(line: str) -> None:
    sides = [ROOT, line, line], ["root:x:0:", line]
    assert fit(([ROOT], ["root:x:0:"]), sides, sides).book == fit(sides, sides).book


def ahead(path: str, now: list[str], goal: list[str]) -> list[str]:
    put = accounts.ahead(path, [one.encode() for one in now], [one.encode() for one in goal])
    return [line.decode() for line in put]


def test_who_comes_back_is_there_before_the_packages() -> None:
    ftp = "ftp:x:102:106::/:/bin/sh"
    assert ahead(PASSWD, [ROOT], [AVAHI, ROOT]) == [AVAHI, ROOT]
    assert ahead(PASSWD, [ROOT, ftp], [AVAHI, ROOT]) == [AVAHI, ROOT, ftp]
    taken = ftp.replace("102", "101")
    assert ahead(PASSWD, [ROOT, taken], [AVAHI, ROOT]) == [AVAHI, ROOT]
    assert ahead(PASSWD, [ROOT, ftp], [ROOT]) == [ROOT, ftp]
    moved = AVAHI.replace("101", "103")
    assert ahead(PASSWD, [ROOT, moved], [ROOT, AVAHI]) == [ROOT, AVAHI]
    assert ahead(GROUP, ["avahi:x:1:bob"], ["avahi:x:1:", "ftp:x:2:"]) == [
        "avahi:x:1:bob",
        "ftp:x:2:",
    ]


def test_an_override_of_a_package_that_goes_holds_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own removal script takes that back; one of an administrator does not go by itself."""
    host = bench.host
    own = "/usr/sbin/ufw"
    monkeypatch.setattr(account_undo, "listed", lambda *_: [own])
    assert named_by_dpkg(host, ["ufw"]) == accounts.NOBODY
    for path in ("/var/lib/dpkg/statoverride", "/var/lib/dpkg/info/ufw.postrm"):
        make_directories(host, path)
    host.write_file(
        "/var/lib/dpkg/statoverride", f"root ftp 750 /srv/up\nbob #105 755 {own}\n".encode()
    )
    found = named_by_dpkg(host, ["ufw"])
    assert found.groups["ftp"] == "/srv/up" and found.users["bob"] == own
    host.write_file("/var/lib/dpkg/info/ufw.postrm", b"dpkg-statoverride --remove it\n")
    found = named_by_dpkg(host, ["ufw"])
    assert found.groups == {"ftp": "/srv/up"} and "bob" not in found.users
    host.write_file("/var/lib/dpkg/info/ufw.postrm", b"dpkg-statoverride --remove /srv/up\n")
    assert "ftp" not in named_by_dpkg(host, ["ufw"]).groups


def test_who_goes_is_left_in_no_group() -> None:
    """Whoever is called so next would have its rights. What was so before is not ours to mend."""
    bob = "bob:x:1000:1000::/home/bob:/bin/sh"
    before = ([ROOT], ["root:x:0:", "www:x:33:", "old:x:40:bob", "x:x:41:ann,bob"])
    now = (
        [ROOT, bob],
        ["root:x:0:", "www:x:33:eve,bob", "old:x:40:bob", "x:x:41:ann,bob", "bob:x:1000:"],
    )
    then = ([ROOT], ["root:x:0:", "www:x:33:eve,bob", "old:x:40:bob", "x:x:41:ann,bob"])
    fitted = fit(now, then, before=before)
    assert [line.decode() for line in fitted.book[GROUP]] == [
        "root:x:0:", "www:x:33:eve", "old:x:40:bob", "x:x:41:ann,bob",
    ]  # fmt: skip
    assert fitted.notes[GROUP] == ["bob goes, and is no member of www any more"]
    assert fit(now, now, before=before).notes == {}


def test_who_goes_manages_no_group() -> None:
    gshadow = "/etc/gshadow"
    now = {
        PASSWD: [b"root:x:0:0", b"bob:x:1000:1000"], GROUP: [b"www:x:33:bob"],
        gshadow: [b"www:*:bob:bob", b"odd"],
    }  # fmt: skip
    before = {PASSWD: [b"root:x:0:0"], GROUP: [b"www:x:33:"], gshadow: [b"www:*::"]}
    then = {**now, PASSWD: [b"root:x:0:0"]}
    fitted = accounts.fit(before, now, then, accounts.NOBODY)
    assert fitted.book[gshadow] == [b"www:*::", b"odd"]
    assert fitted.book[GROUP] == [b"www:x:33:"]
