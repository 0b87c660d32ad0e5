"""guard.sh by itself: a damaged restore point, a soft reboot, and older changes that are left."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snapshots import guard as guards
from snapshots import guard_units
from snapshots.durable import private_directory
from snapshots.guard_switch import SCRIPT
from snapshots.state import StateDir

ALONE = 'manager=no\nrun() { echo "ran $*"; }\nwake_sshd() { echo woken; }\nby_script\n'
"""What it would do to the daemons of this machine is only said."""


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_damaged_restore_point_keeps_nothing_else_from_being_put_back(
    tmp_path: Path, is_damaged: bool
) -> None:
    state = StateDir(tmp_path / "state")
    place = guards.directory(state)
    private_directory(place)
    points = [tmp_path / name for name in ("later", "earlier")]
    for point in points:
        point.mkdir()
        status = int(is_damaged and point.name == "later")
        script = f"echo {point.name} >>'{tmp_path}/done'; exit {status}\n"
        (point / "restore.sh").write_text(script)
    (place / "points").write_text("".join(f"{point}\n" for point in points))
    (place / "live.sh").write_text("run reload\n")
    (place / "armed").touch()
    functions = SCRIPT.read_text().partition('\nmain "$@"\n')[0]
    done = subprocess.run(
        ["/bin/sh", "-c", f"{functions}\n{ALONE}"], cwd=place, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert (tmp_path / "done").read_text() == "later\nearlier\n"
    assert "ran reload" in done.stdout and "woken" in done.stdout
    assert guards.was_put_back_by_script(state) and not guards.is_armed(state)
    told, log = guards.told_of_script(state), (place / "fired.log").read_text()
    assert (f"{points[0]}/restore.sh ended with exit status 1" in log) == is_damaged
    assert (f"but for what {place}/fired.log names" in told) == is_damaged


def functions_with(words: str) -> str:
    return f"{SCRIPT.read_text().partition(chr(10) + 'main ')[0]}\n{words}\n"


def sh(place: Path, words: str) -> subprocess.CompletedProcess[str]:
    script = place / "guard.sh"
    return subprocess.run(
        ["/bin/sh", "-c", functions_with(words), str(script)], cwd=place, capture_output=True,
        text=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.fixture
def armed(tmp_path: Path) -> Path:
    """The directory of a guard of this boot."""
    (tmp_path / "boot").write_text(f"{guards.this_boot()}\n")
    (tmp_path / "armed").touch()
    return tmp_path


def test_after_a_soft_reboot_it_waits_for_the_deadline_and_holds_up_no_boot(armed: Path) -> None:
    """The kernel goes on, so it is the same boot; whatever waited was ended."""
    (armed / "deadline").write_text(f"{int(guards.boottime_s()) + 2}\n")
    done = sh(armed, 'take_back() { left_s; echo "$why $((left > -9))"; }\nmain boot')
    assert done.stdout == "deadline 1\n", done.stderr
    (armed / "boot").write_text("another\n")
    assert sh(armed, 'take_back() { echo "$why"; }\nmain boot').stdout == "boot\n"
    boot = guard_units.units("/x/guard.sh", 300)[guard_units.BOOT_SERVICE]
    assert "Type=exec\n" in boot and "After=multi-user.target\n" in boot


@pytest.mark.parametrize("status", [0, 5])
@pytest.mark.parametrize("is_off", [True, False])
def test_what_is_off_went_back_whatever_is_left_of_older_changes(
    armed: Path, status: int, is_off: bool
) -> None:
    program = armed / "program.sh"
    off = f"rm '{armed}/armed'\n" if is_off else ""
    program.write_text(f"#!/bin/sh\n{off}exit {status}\n")
    program.chmod(0o700)
    (armed / "program").write_text(f"{program}\n")
    done = sh(armed, "manager=yes\nby_program && echo over || echo by script")
    assert done.stdout.splitlines()[-1] == ("over" if is_off else "by script")
