"""A command about accounts that failed or was cut off: what it did goes, what others did stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from host.base import HostError
from snapshots.cut_off_accounts import without
from snapshots.execute import describe
from snapshots.merge import Lines
from snapshots.model import RunCommand
from snapshots.programs import may_have_written
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_others_edits import Programs, lists

LEFT = {
    "passwd": "root:x:0:0:::/bin/sh\ngit:x:900:900:::/bin/false\nsvn:x:901:901:::/bin/bash\n"
    "bob:x:1000:1000:::/bin/bash\n",
    "shadow": "root:r:1:0:99999:7:::\ngit:!:1::::::\nsvn:s:1:0:99999:7:::\nbob:b:1:0:99999:7:::\n",
    "group": "root:x:0:\nsudo:x:27:\nbob:x:1000:\n",
    "gshadow": "root:*::\nsudo:*::\nbob:!::\n",
    "subuid": "bob:100000:65536\n",
}


def book(texts: dict[str, str]) -> dict[str, Lines]:
    return {f"/etc/{name}": text.encode().split(b"\n")[:-1] for name, text in texts.items()}


def with_(*changes: tuple[str, str, str]) -> dict[str, str]:
    """LEFT with these replaced: list, old, new."""
    texts = dict(LEFT)
    for name, old, new in changes:
        assert old in texts[name]
        texts[name] = texts[name].replace(old, new)
    return texts


def with_carol(texts: dict[str, str]) -> dict[str, str]:
    return {
        "passwd": f"{texts['passwd']}carol:x:1001:1001::/home/carol:/bin/bash\n",
        "shadow": f"{texts['shadow']}carol:!:2:0:99999:7:::\n",
        "group": texts["group"].replace("sudo:x:27:", "sudo:x:27:carol") + "carol:x:1001:\n",
        "gshadow": texts["gshadow"].replace("sudo:*::", "sudo:*::carol") + "carol:!::\n",
        "subuid": f"{texts['subuid']}carol:165536:65536\n",
    }


NEW_PASSWORD = ("shadow", "bob:b:1:", "bob:new:2:")
SHELL = "usermod --shell /bin/false svn"
AGES = "chage --maxdays 90 --mindays 1 svn"
ADDED = (
    "useradd --create-home --home-dir /home/carol --shell /bin/bash --uid 1001 --user-group"
    " --groups sudo carol"
)


@pytest.mark.parametrize(
    ("summary", "did"),
    [
        (SHELL, with_(("passwd", "901:::/bin/bash", "901:::/bin/false"))),
        ("/usr/sbin/usermod --lock svn", with_(("shadow", "svn:s", "svn:!s"))),
        (AGES, with_(("shadow", "svn:s:1:0:99999", "svn:s:1:1:90"))),
        (AGES, with_(("shadow", "svn:s:1:0:99999", "svn:s:1:1:99999"))),
        ("usermod --append --groups sudo svn",
         with_(("group", "sudo:x:27:", "sudo:x:27:svn"), ("gshadow", "sudo:*::", "sudo:*::svn"))),
        ("usermod --append --groups sudo svn", with_(("group", "sudo:x:27:", "sudo:x:27:svn"))),
        ("chpasswd for svn", with_(("shadow", "svn:s:1:", "svn:$y$new:2:"))),
        (ADDED, with_carol(LEFT)),
        (ADDED, {**LEFT, "passwd": with_carol(LEFT)["passwd"]}),
        ("useradd --defaults --inactive 45", LEFT),
        ("gpasswd --add svn sudo", with_(("group", "sudo:x:27:", "sudo:x:27:svn"))),
    ],
)  # fmt: skip
def test_what_a_command_did_goes_and_its_half_too(summary: str, did: dict[str, str]) -> None:
    left = book(LEFT)
    assert without(summary, left, book(did)) == left
    assert without(summary, left, left) == left
    if summary.startswith("gpasswd"):
        return  # nobody knows what it may have done: all of it goes back
    for name, old, new in (NEW_PASSWORD, ("group", "root:x:0:", "root:x:0:dave")):
        also = {**did, name: did[name].replace(old, new)}
        theirs = {**LEFT, name: LEFT[name].replace(old, new)}
        assert without(summary, left, book(also)) == book(theirs)


def test_what_others_made_of_the_same_account_stays() -> None:
    """A password set since is neither the lock's nor the shell's."""
    left, now = book(LEFT), book(with_(("shadow", "svn:s:1:", "svn:new:2:")))
    for summary in (
        "usermod --lock svn",
        "usermod --shell /bin/false svn",
        "chage --maxdays 9 svn",
    ):
        assert without(summary, left, now) == now
    assert without(ADDED.replace("carol", "svn"), left, now) == now, "it cannot have made it"


def test_whose_password_is_set_is_told_and_the_password_is_not() -> None:
    given = b"alice:Secret-1\nBad Line Secret-2\nno/name:Secret-3\n"
    told = describe(RunCommand(argv=("chpasswd",), why="a test", stdin=given))
    assert told == "chpasswd for alice"
    assert describe(RunCommand(argv=("cat",), why="a test", stdin=given)) == "cat"


@pytest.mark.parametrize(
    ("summary", "known"),
    [
        ("usermod --lock root", True), ("/usr/sbin/a2enmod ssl", True), ("sysctl -w a=1", True),
        ("chpasswd for alice", True), ("/bin/sh /etc/harden-tui/x.sh", True),
        ("install fail2ban", False), ("apt-get purge -y cups", False), ("dpkg -i x.deb", False),
        ("something", False), ("sh -c true", False), ("it's", False), ("", False),
    ],
)  # fmt: skip
def test_of_which_program_that_was_cut_off_it_is_known_what_it_may_write(
    summary: str, known: bool
) -> None:
    assert (may_have_written(summary) is not None) is known


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(monkeypatch)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    lists(bench, **with_(("passwd", "900:::/bin/false", "900:::/bin/bash")))
    return bench


def say(bench: Bench) -> dict[str, str]:
    return {name: bench.read(f"/etc/{name}") for name in LEFT}


def somebody_works(bench: Bench) -> None:
    """A new account, a new password, and a message: while a command hangs, or before recover."""
    now = with_carol({name: bench.read(f"/etc/{name}") for name in LEFT})
    name, old, new = NEW_PASSWORD
    lists(bench, **{**now, name: now[name].replace(old, new)})
    bench.host.write_file("/etc/motd", b"somebody's\n")


EXPECTED = with_carol(with_(("passwd", "900:::/bin/false", "900:::/bin/bash"), NEW_PASSWORD))


def locks(bench: Bench, old: str, new: str) -> Callable[[], None]:
    return lambda: lists(bench, passwd=bench.read("/etc/passwd").replace(old, new))


GIT = ("900:::/bin/bash", "900:::/bin/false")
SVN = ("901:::/bin/bash", "901:::/bin/false")


@pytest.mark.parametrize("first", [True, False])
def test_recover_after_a_command_was_cut_off(bench: Bench, programs: Programs, first: bool) -> None:
    """Whether it was the first about accounts or one before it came to its end."""
    tx = bench.begin("s")

    def killed() -> None:
        locks(bench, *SVN)()
        os.kill(os.getpid(), 9)

    def work() -> None:
        if not first:
            shell = ("usermod", "--shell", "/bin/false", "git")
            programs.perform(tx, *shell, act=locks(bench, *GIT))
        programs.perform(
            tx, "usermod", "--shell", "/bin/false", "svn",
            act=killed,
        )  # fmt: skip

    dies_in_the_middle(bench, work)
    assert Records(bench.state).cut_off(tx.id) == "usermod --shell /bin/false svn"
    assert "901:::/bin/false" in bench.read("/etc/passwd")
    somebody_works(bench)
    tx._held.close()
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert say(bench) == EXPECTED
    assert bench.read("/etc/motd") == "somebody's\n"


def test_what_it_did_itself_is_not_called_somebodys(bench: Bench, programs: Programs) -> None:
    tx = bench.begin("s")
    programs.perform(tx, "usermod", "--shell", "/bin/false", "git", act=locks(bench, *GIT))

    def fails() -> None:
        locks(bench, *SVN)()
        lists(bench, **{"passwd-": "older\n"})
        raise HostError("usermod failed")

    with pytest.raises(HostError):
        programs.perform(tx, "usermod", "--shell", "/bin/false", "svn", act=fails)
    ended = tx.roll_back("usermod failed")
    assert (ended.status, ended.reason) == ("rolled-back", "usermod failed")
    assert say(bench) == with_(("passwd", "900:::/bin/false", "900:::/bin/bash"))


def test_a_command_that_fails_after_it_did_its_work(bench: Bench, programs: Programs) -> None:
    tx = bench.begin("s")
    programs.perform(tx, "usermod", "--shell", "/bin/false", "git", act=locks(bench, *GIT))

    def fails() -> None:
        locks(bench, *SVN)()
        somebody_works(bench)
        raise HostError("usermod failed")

    with pytest.raises(HostError):
        programs.perform(tx, "usermod", "--shell", "/bin/false", "svn", act=fails)
    assert tx.roll_back("usermod failed").status == "rolled-back"
    assert say(bench) == EXPECTED


def test_a_stale_line_of_an_account_that_was_to_be_made_stays() -> None:
    left = {**LEFT, "subuid": f"{LEFT['subuid']}carol:7:1\n"}
    did = {**left, "passwd": with_carol(LEFT)["passwd"], "subuid": f"{left['subuid']}carol:8:1\n"}
    assert without(ADDED, book(left), book(did)) == book(left)


def test_a_journal_of_a_build_before_does_not_say_whose_password_was_set() -> None:
    did = book(with_(("shadow", "svn:s:1:", "svn:$y$new:2:")))
    assert without("chpasswd", book(LEFT), did) == book(LEFT)


@pytest.mark.parametrize(
    ("which", "old", "new"),
    [
        ("shadow", "carol:!:", "carol:$y$hers:"),
        ("passwd", "carol:x:1001:1001:", "carol:x:1005:1005:"),
        ("passwd", ":/home/carol:", ":/srv/carol:"),
        ("passwd", "/home/carol:/bin/bash", "/home/carol:/bin/zsh"),
    ],
)
def test_an_account_that_somebody_made_by_hand_stays(which: str, old: str, new: str) -> None:
    by_hand = with_carol(LEFT)
    by_hand[which] = by_hand[which].replace(old, new)
    assert without(ADDED, book(LEFT), book(by_hand)) == book(by_hand)


def test_a_password_that_we_gave_to_our_own_account_does_not_make_it_somebodys() -> None:
    ours = with_carol(LEFT)
    ours["shadow"] = ours["shadow"].replace("carol:!:", "carol:$y$ours:")
    found = without("chpasswd for carol", book(LEFT), book(ours))
    assert without(ADDED, book(LEFT), found) == book(LEFT)
