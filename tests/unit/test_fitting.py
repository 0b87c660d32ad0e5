"""What apt would do to bring packages back, and what of it a person sees before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from host.base import CommandFailed, Completed
from host.practice import PracticeHost
from snapshots import undo
from snapshots.debs import KeptDebs
from snapshots.fitting import Fit, fit, several_at_once
from snapshots.model import UNRESOLVED, InstallPackages, SnapshotError
from snapshots.undo_plan import refusal
from tests.unit.snapshots_host import Bench

SIMULATED = """\
Inst libdaemon0 (0.14-7.1+b3 Debian:13.0/stable [amd64])
Inst adduser [3.1] (3.152 Debian:13.0/stable [all])
Inst libold:i386 (1 Debian:13.0/stable [i386])
Inst avahi-daemon (0.8-16 Debian:13.0/stable [amd64]) []
Conf libdaemon0 (0.14-7.1+b3 Debian:13.0/stable [amd64])
"""
SHOWN = """\
Package: libdaemon0
Architecture: amd64
Multi-Arch: same
Description: a library
 Multi-Arch: of daemons

Package: adduser
Architecture: all
Multi-Arch: foreign
"""


class Apt(PracticeHost):
    """Real enough to be asked; `answer` is (exit status, what apt-get prints) for its words."""

    answer: Callable[[Sequence[str]], tuple[int, str]]

    is_practice = False

    def run(self, argv: Sequence[str], **more: object) -> Completed:
        if argv[0] == "apt-cache":
            return Completed(tuple(argv), 0, SHOWN, "", 0.0)
        status, said = self.answer(argv)
        done = Completed(tuple(argv), status, said, "", 0.0)
        if status:
            raise CommandFailed(done)
        return done


def fitted(directory: Path, answer: Callable[[Sequence[str]], tuple[int, str]]) -> Fit:
    host = Apt(directory / "host")
    host.answer = answer
    return fit(host, KeptDebs(directory), {"avahi-daemon": "0.8-16"})


def test_what_comes_with_them_is_named_as_dpkg_names_it(tmp_path: Path) -> None:
    assert fitted(tmp_path, lambda _: (0, SIMULATED)) == Fit(
        besides={"libdaemon0:amd64": "0.14-7.1+b3", "adduser": "3.152", "libold:i386": "1"}
    )


def test_only_what_dpkg_names_with_its_architecture_is() -> None:
    assert several_at_once(SHOWN.split("\n\n")) == {"libdaemon0": "libdaemon0:amd64"}


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    def answer(argv: Sequence[str]) -> tuple[int, str]:
        if "--no-remove" in argv:
            return 100, "E: Packages need to be removed but remove is disabled.\n"
        return 0, "Remv postfix [3.10]\nInst avahi-daemon (0.8-16 Debian [amd64])\n"

    assert fitted(tmp_path, answer).why == "apt would have to remove postfix for avahi-daemon"


def test_where_apt_does_not_say_what_it_is_said_all_the_same(tmp_path: Path) -> None:
    said = "E: Packages need to be removed but remove is disabled.\n"
    why = fitted(tmp_path, lambda _: (100, said)).why
    assert why == "apt would have to remove other packages for avahi-daemon"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("gone", "misfit", "note"),
    [
        ({"ufw": "the kept package ufw 1 is missing"}, "apt stumbles", "ufw 1 is missing"),
        ({}, "apt would have to remove nft for ufw", "have to remove nft for ufw"),
    ],
)
def test_a_preview_says_why_it_cannot_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, gone: dict[str, str], misfit: str, note: str
) -> None:
    bench.apply("fw", InstallPackages(("ufw",)))
    tx = bench.begin("less")
    bench.host.run(("dpkg", "--purge", "ufw"))
    done = tx.commit()
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    assert (plan.cannot, refusal(plan, UNRESOLVED)) == ("", "")
    monkeypatch.setattr("snapshots.intact.lacking", lambda *_, **__: gone)
    monkeypatch.setattr("snapshots.fitting.fit", lambda *_: Fit(why=misfit))
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    (item,) = [item for item in plan.items if item.key == "ufw"]
    assert item.note.startswith("cannot come back now: ") and item.note.endswith(note)
    assert note in refusal(plan, UNRESOLVED) and "was touched" in plan.cannot
    with pytest.raises(SnapshotError, match=note):
        bench.undo(done.id, plan.fingerprint)


def test_what_apt_brings_besides_is_part_of_the_undo(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.apply("fw", InstallPackages(("ufw",)))
    first = bench.fingerprint()
    tx = bench.begin("less")
    bench.host.run(("dpkg", "--purge", "ufw"))
    less = tx.commit()
    bench.host.run(("dpkg", "--purge", "iptables"))
    version = next(
        line.partition("\t")[2] for line in str(first["packages"]).splitlines()
        if line.startswith("iptables\t")
    )  # fmt: skip
    monkeypatch.setattr("snapshots.fitting.fit", lambda *_: Fit(besides={"iptables": version}))
    plan = undo.plan_undo(bench.host, bench.state, less.id)
    assert "apt-get install ufw (from the kept packages)" in plan.commands
    assert "apt-get install iptables (with them, from the host's sources)" in plan.commands
    (item,) = [item for item in plan.items if item.key == "iptables"]
    assert "absent" in item.diff and ";auto" in item.diff
    ended = bench.undo(less.id, plan.fingerprint)
    assert ended.status == "committed"
    assert bench.fingerprint()["packages"] == first["packages"]
