"""guard.sh where a restore point that it puts back by itself is damaged."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snapshots import guard as guards
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
