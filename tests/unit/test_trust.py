"""What strangers on the host can plant, and what they must not get root to do with it."""

from __future__ import annotations

import io
import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from host import scratch
from host.base import FileState, HostError
from host.facts import Facts
from host.facts.sshd import SSHD_DAEMON
from host.practice import PracticeHost
from snapshots.model import SnapshotError
from snapshots.sessionlog import SessionLog
from snapshots.state import StateDir
from steps.resources import php_probe
from steps.sshd_merged import COPIES, merged
from tui import config, entry, failures, paths, text
from tui.failures import Scene, Stop
from tui.out import Out
from tui.private_file import write_privately
from tui.widgets.lines import strip_of

STRANGER = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def test_a_report_never_goes_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "report.md").symlink_to(precious)
    with pytest.raises(Stop, match="it is a symbolic link") as stopped:
        write_privately(str(tmp_path / "report.md"), b"report")
    assert stopped.value.exit == failures.REFUSED
    assert precious.read_text() == "kept"


def test_a_report_over_an_open_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    file.write_text("old")
    file.chmod(0o666)
    reader = file.open()
    write_privately(str(file), b"new")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o600)
    assert reader.read() == "old"  # whoever had it open does not see the report


def test_a_plan_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    state, file = tmp_path / "state", tmp_path / "plan.json"
    file.touch(mode=0o644)
    arguments = ["plan", "ssh.limits", "--practice", "--state-dir", str(state), "--out", str(file)]
    assert entry.main(arguments) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_bytes())["schema"] == "harden-tui/plan/1"


@as_root
@pytest.mark.parametrize("how", ["owner", "mode", "link"])
def test_a_state_directory_that_others_can_exchange_is_refused(tmp_path: Path, how: str) -> None:
    above = tmp_path / "above"
    above.mkdir()
    (above / "inner").mkdir(mode=0o700)
    state = above / "inner" / "state"
    if how == "owner":
        os.chown(above, STRANGER, STRANGER)
    elif how == "mode":
        above.chmod(0o777)
    else:
        (tmp_path / "real").mkdir()
        (above / "link").symlink_to(tmp_path / "real")
        os.chown(above, STRANGER, STRANGER)
        state = above / "link" / "state"
    with pytest.raises(SnapshotError, match="is not used"):
        StateDir(state)
    assert not state.exists()
    above.chmod(0o1777)
    os.chown(above, 0, 0)
    assert StateDir(state).path == state  # sticky: nobody can exchange what is root's


@as_root
def test_the_log_is_not_written_into_a_strangers_directory(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    scene = Scene()
    for place in ("theirs", "link"):
        with pytest.raises(SnapshotError, match="nothing was logged there"):
            SessionLog(tmp_path / place, syslog=False).append("apply", step="a.b")
        scene.log_dir = tmp_path / place
        assert failures.keep_details(ValueError("x"), scene) is None
    assert not list((tmp_path / "theirs").iterdir())


@as_root
def test_root_writes_nothing_into_the_home_that_sudo_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(tmp_path, STRANGER, STRANGER)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.xdg_state() == Path("/root/.local/state/harden-tui")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "deeper"))
    assert paths.xdg_state() == Path("/root/.local/state/harden-tui")
    os.chown(tmp_path, 0, 0)
    assert paths.xdg_state() == tmp_path / "deeper" / "harden-tui"


@as_root
def test_settings_behind_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "real" / "config.yaml").write_text("checklist: lamp\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Stop, match="link: not used"):
        config.load(tmp_path / "link" / "config.yaml")


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt.exe\u200b"
OBEYED = {"\x1b", "\x07", "\x9b", "\u202e", "\u200b"}


def test_json_and_errors_hold_nothing_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Out().json({"description": EVIL})
    shown = capsys.readouterr().out
    assert not OBEYED & set(shown)
    assert json.loads(shown) == {"description": EVIL}

    def stops(*_: object) -> int:
        raise failures.refused(f"{EVIL} is there.")

    monkeypatch.setattr("tui.cli.dispatch", stops)
    entry.main(["check"])
    assert not OBEYED & set(capsys.readouterr().err)


def test_the_screen_draws_nothing_that_a_terminal_obeys() -> None:
    assert not OBEYED & set(strip_of(((EVIL, ""),), 80).text)
    assert strip_of((("grün · 日本 …", ""),), 20).text.rstrip() == "grün · 日本 …"
    assert text.clean("日本") == "日本"


def test_a_value_from_standard_input_that_is_no_secret_stays_readable(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.BytesIO(b"ssh.limits: {max-auth-tries: 3}\n")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=given, closed=False))
    state = tmp_path / "state"
    arguments = ["apply", "ssh.limits", "--values", "-", "--yes", "--no-wait", "--format", "events"]
    assert entry.main([*arguments, "--practice", "--state-dir", str(state)]) == 0
    shown = capfd.readouterr().out
    assert "+MaxAuthTries 3" in shown
    assert "•" not in shown


def test_no_core_file_could_hold_a_password() -> None:
    code = (
        "import resource; from tui.entry import main; main(['--version']);"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    _, highest = resource.getrlimit(resource.RLIMIT_CORE)

    def allow() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (highest, highest))

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=allow,
    )
    assert done.stdout.splitlines()[-1] == "0"


def test_left_copies_of_sshds_configuration_go_and_those_in_use_stay(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    folder = FileState(kind="dir", mode=0o700)
    ended = subprocess.Popen(["true"])
    ended.wait()
    old, young = f"{ended.pid}-00000000", scratch.suffix()
    for name in (old, young):
        host.put(COPIES + name, folder)
        host.write_file(f"{COPIES}{name}/0.conf", b"Port 22\n")
    with merged(host, Facts(host).get(SSHD_DAEMON), {}):
        pass
    assert [name for name in host.listdir("/run") if name.startswith("harden-tui")] == [
        f"harden-tui-sshd-{young}"
    ]


def test_no_copy_of_sshds_configuration_stays_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = PracticeHost(tmp_path)
    put = host.put

    def made_but_not_synced(path: str, state: FileState | None) -> None:
        put(path, state)
        if state is not None and path.startswith(COPIES):
            raise HostError(f"{path}: No space left on device")

    monkeypatch.setattr(host, "put", made_but_not_synced)
    with (
        pytest.raises(HostError, match="No space"),
        merged(host, Facts(host).get(SSHD_DAEMON), {}),
    ):
        pass
    assert not [name for name in host.listdir("/run") if name.startswith("harden-tui")]


def test_what_is_planted_beside_a_probe_does_not_stop_the_next(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    planted = "/var/www/html/harden-tui-probe-planted.php"
    host.put(planted, FileState(kind="dir", mode=0o755))
    host.write_file(f"{planted}/in-the-way", b"")
    left = "/var/www/html/harden-tui-probe-left.php"
    host.write_file(left, b"<?php")
    php_probe._remove_left(host, "/var/www/html")
    assert host.state(left) is None
    assert host.state(f"{planted}/in-the-way") is not None
