"""What runs old code: needrestart's answer, the kernel's maps, and what is restarted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.needrestart_config import ModeLine, parse_mode
from host.facts.restarts import NeedRestart, gone_from, parse_needrestart
from snapshots.model import RunCommand, WriteFile
from steps.resource import Planned
from steps.resources.restarts import Restarts
from tests.unit.given import RELEASES, context, recorded, unit

LIBRARY = "/usr/lib/x86_64-linux-gnu/libssl.so.3"
DROP_IN = "/etc/needrestart/conf.d/zz-harden-tui-updates-restart.conf"
SET = (ModeLine("a", DROP_IN, 2),)


@pytest.mark.parametrize("release", RELEASES)
def test_needrestart_in_a_container(release: str) -> None:
    found = parse_needrestart(recorded(release, "apt/needrestart.txt"))
    assert found.kernel_state == "" and not found.waits_for_reboot
    expected = ("unattended-upgrades.service",) if release == "bookworm" else ()
    assert found.services == expected


def test_needrestart_with_a_kernel_that_waits() -> None:
    text = (
        "NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-18-amd64\nNEEDRESTART-KEXP: 6.1.0-40-amd64\n"
        "NEEDRESTART-KSTA: 3\nNEEDRESTART-SVC: apache2.service\nNEEDRESTART-SVC: apache2.service\n"
    )
    found = parse_needrestart(text)
    assert found == NeedRestart(("apache2.service",), "3", "6.1.0-18-amd64", "6.1.0-40-amd64")
    assert found.waits_for_reboot


@pytest.mark.parametrize("release", RELEASES)
def test_a_program_that_was_replaced(release: str) -> None:
    assert gone_from(recorded(release, "apt/maps-gone.txt")) == ("/usr/lib/labd",)


def test_what_is_no_code_of_a_package() -> None:
    maps = (
        "7f00-7f01 rw-s 00000000 00:01 2048    /memfd:x (deleted)\n"
        "7f00-7f01 r-xp 00000000 00:01 2048    /tmp/jit (deleted)\n"
        "7f00-7f01 rw-p 00000000 08:01 99      /usr/lib/a.so (deleted)\n"
        f"7f00-7f01 r-xp 00000000 08:01 99     {LIBRARY}\n"
    )
    assert gone_from(maps) == ()
    assert gone_from(maps.replace(LIBRARY, f"{LIBRARY} (deleted)")) == (LIBRARY,)


@given(st.text(alphabet="NEEDRESTART-SVCK: 3\n$nrconf{}='a';r-xp /lib(deleted)", max_size=80))
def test_no_text_breaks_the_parsers(text: str) -> None:
    parse_needrestart(text)
    gone_from(text)
    parse_mode("f", text)


def test_modes() -> None:
    text = "#$nrconf{restart} = 'i';\n$nrconf{restart} = 'l';\n $nrconf{'restart'}=\"a\";\n"
    assert [(m.value, m.origin) for m in parse_mode("f", text)] == [("l", "f:2"), ("a", "f:3")]


def ask(tmp_path: Path, **answers: Any) -> Any:
    given_answers = {
        "needrestart": NeedRestart(),
        "needrestart_mode": SET,
        "gone_code": {},
        "units": {"apache2.service": unit("apache2.service")},
        **answers,
    }
    return context(tmp_path, **given_answers)


def plan(tmp_path: Path, **answers: Any) -> Planned:
    return Restarts.parse("updates.restart", {}).plan(ask(tmp_path, **answers))


def test_nothing_to_do(tmp_path: Path) -> None:
    assert plan(tmp_path) == Planned()
    findings = Restarts.parse("x.y", {}).observe(ask(tmp_path))
    assert [f.ok for f in findings if f.applicable] == [True, True]
    assert "container" in findings[-1].note


def test_services_restart_and_needrestart_is_told(tmp_path: Path) -> None:
    gone = {"apache2.service": (LIBRARY, "/usr/lib/b.so")}
    planned = plan(tmp_path, gone_code=gone, needrestart=None, needrestart_mode=())
    write, command = planned.changes
    assert isinstance(write, WriteFile) and write.path == DROP_IN
    assert write.content.endswith(b"$nrconf{restart} = 'a';\n")
    assert isinstance(command, RunCommand)
    assert command.argv == ("systemctl", "restart", "apache2.service")
    assert f"{LIBRARY} and 1 more" in planned.notes[0]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"needrestart": NeedRestart((), "3", "6.1.0-18", "6.1.0-40")}, "kernel 6.1.0-40"),
        ({"needrestart": NeedRestart(("dbus.service",))}, "dbus.service runs old code"),
        ({"gone_code": {"old.service": (LIBRARY,)}}, "systemctl stop old.service"),
        (
            {"needrestart_mode": (ModeLine("l", "/etc/needrestart/conf.d/zzz.conf", 4),)},
            "zzz.conf:4",
        ),
    ],
)
def test_what_is_left_to_a_person(tmp_path: Path, answers: dict[str, Any], said: str) -> None:
    refusal = plan(tmp_path, **answers).refusals[0]
    assert said in refusal and "othing was changed" in refusal
