"""Locked out on purpose, over real SSH: the deadline passes, and the login works again.

For each guarded step, and for each way in which the one who was to take it back may be gone.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from steps.catalog_load import built_in
from tests.hosts.lab import LabHost
from tests.hosts.lockout import (
    GUARD,
    begin,
    guard,
    last_status,
    situation,
    until_taken_back,
    with_password,
)
from tests.hosts.program import furnish
from tests.hosts.trials import all_trials

STEP = "ssh.limits"
TRIALS = all_trials()
OTHERS = [
    name
    for name, step in built_in()[0].items()
    if step.guard and name not in ("ssh.key-only", "ssh.root-login", STEP, "firewall.ufw")
]
DEADLINE = "Nobody confirmed it before its deadline."
PASSWORD = "correct horse"


def impatient(host: LabHost, wrong_keys: list[Path]) -> bool:
    """Whether alice comes in whose agent offers four other keys first: MaxAuthTries 3 is too few.

    No rehearsal can know that.
    """
    argv = _with_many_keys(host, wrong_keys)
    return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode == 0


def is_let_in(host: LabHost, wrong_keys: list[Path]) -> bool:
    """As `impatient`, as far as sshd is asked: PAM waits for minutes where systemd is frozen."""
    argv = [word for word in _with_many_keys(host, wrong_keys) if word != "-q"]
    argv.insert(1, "-v")
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as login:
        assert login.stderr is not None
        found = any("Authenticated to" in line for line in login.stderr)
        login.kill()
    return found


def _with_many_keys(host: LabHost, wrong_keys: list[Path]) -> list[str]:
    argv = host.ssh_argv("true", options=("-o", "IdentitiesOnly=yes"))
    own = argv.index("-i")
    identity = argv[own : own + 2]
    others = [word for key in wrong_keys for word in ("-i", str(key))]
    rest = [*argv[:own], *argv[own + 2 :]]
    return [*rest[:-2], *others, *identity, *rest[-2:]]


@pytest.fixture(scope="session")
def wrong_keys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("keys")
    keys = [folder / f"key{number}" for number in range(4)]
    for key in keys:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return keys


# --- each guarded step ---------------------------------------------------------------------------


def test_key_only_and_the_key_is_lost(host: LabHost, request: pytest.FixtureRequest) -> None:
    with situation(request, host, "ssh.key-only, key lost", same=False):
        assert with_password(host, PASSWORD)
        begin(host, "ssh.key-only")
        host.run("rm", "/home/alice/.ssh/authorized_keys")
        assert not host.can_log_in() and not with_password(host, PASSWORD)
        until_taken_back(host, lambda: with_password(host, PASSWORD))
    assert last_status(host) == ("rolled-back", DEADLINE)


def test_no_root_login_and_sudo_is_broken(host: LabHost, request: pytest.FixtureRequest) -> None:
    with situation(request, host, "ssh.root-login, sudo broken", same=False):
        begin(host, "ssh.root-login")
        host.run("rm", "/etc/sudoers.d/alice")
        host.run("deluser", "alice", "sudo")
        assert not host.can_log_in("root")
        until_taken_back(host, lambda: host.can_log_in("root"))
    status, reason = last_status(host)
    assert status == "rolled-back" and reason.startswith(f"{DEADLINE} /etc/group and 2 more were")
    assert "alice" not in host.out("getent", "group", "sudo")  # no change of ours


def test_fewer_tries_than_keys(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path]
) -> None:
    with situation(request, host, "ssh.limits, many keys"):
        assert impatient(host, wrong_keys)
        begin(host, STEP)
        assert not impatient(host, wrong_keys)
        until_taken_back(host, lambda: impatient(host, wrong_keys))
    assert last_status(host) == ("rolled-back", DEADLINE)


def test_a_firewall_that_lets_somebody_else_in(
    host: LabHost, request: pytest.FixtureRequest
) -> None:
    """Made on the console, where there is no connection whose address could be kept open."""
    with situation(request, host, "firewall.ufw, another address"):
        host.run(
            "harden-tui", "apply", "firewall.ufw", "--yes", "--no-wait", "--confirm-within", "10s",
            "--set", "firewall.ufw.from=192.0.2.7",
        )  # fmt: skip
        assert not host.can_log_in()
        until_taken_back(host, host.can_log_in)
    assert last_status(host) == ("rolled-back", DEADLINE)


def test_an_undo_is_guarded_too(host: LabHost, request: pytest.FixtureRequest) -> None:
    """The step let keys in; since then the password was locked, and the undo shuts keys out."""
    host.write("/etc/ssh/sshd_config.d/10-own.conf", "PubkeyAuthentication no\n")
    host.run("systemctl", "reload", "ssh")
    time.sleep(1)
    assert with_password(host, PASSWORD) and not host.can_log_in()
    host.person.present = False
    host.run("harden-tui", "apply", "ssh.key-only", "--yes", "--no-wait")
    host.ssh("sudo harden-tui confirm")
    host.run("passwd", "-q", "-l", "alice")
    with situation(request, host, "the undo of ssh.key-only, password locked"):
        assert host.can_log_in()
        done = host.ssh(
            "sudo harden-tui rollback ssh.key-only --yes --no-wait --confirm-within 10s",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not host.can_log_in() and not with_password(host, PASSWORD)
        until_taken_back(host, host.can_log_in)
    assert last_status(host) == ("rolled-back", DEADLINE)
    host.run("passwd", "-q", "-u", "alice")
    host.run("harden-tui", "rollback", "ssh.key-only", "--yes", "--no-wait")
    assert with_password(host, PASSWORD) and not host.can_log_in()
    host.run("harden-tui", "confirm")


@pytest.mark.parametrize("step", OTHERS)
def test_nobody_comes_back(host: LabHost, request: pytest.FixtureRequest, step: str) -> None:
    """Every other guarded step, as its trial applies it; then there is silence."""
    trial = TRIALS[step]
    furnish(host)
    if trial.furnish:
        trial.furnish(host)
    with situation(request, host, f"{step}, nobody comes back"):
        begin(host, step, *trial.given, values=trial.values)
        until_taken_back(host, host.can_log_in)
    assert last_status(host) == ("rolled-back", DEADLINE)


# --- whoever should take it back is gone ---------------------------------------------------------


def test_the_line_drops(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path]
) -> None:
    """SIGHUP while waiting deletes what others keep for going back."""
    with situation(request, host, "hang-up while waiting"):
        line = subprocess.Popen(
            host.ssh_argv(
                f"sudo harden-tui apply {STEP} --yes --confirm-within 10s", options=("-tt",)
            ),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _until_it_waits(host)
        line.kill()
        host.run("pkill", "-KILL", "-u", "alice", check=False)
        assert not impatient(host, wrong_keys)
        until_taken_back(host, lambda: impatient(host, wrong_keys))


def test_everything_of_ours_is_killed(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path]
) -> None:
    with situation(request, host, "kill -9 of everything"):
        begin(host, STEP)
        host.run("pkill", "-KILL", "-f", "harden-tui", check=False)
        host.run("pkill", "-KILL", "-f", "guard.sh", check=False)
        until_taken_back(host, lambda: impatient(host, wrong_keys))
    assert last_status(host) == ("rolled-back", DEADLINE)


def test_killed_in_the_middle_of_the_change(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path]
) -> None:
    with situation(request, host, "killed while the change was made"):
        line = _caught_in_the_middle(host)
        host.run("pkill", "-KILL", "-f", "tui/worker.py")
        line.wait(30)
        assert last_status(host)[0] == "open"
        until_taken_back(host, lambda: impatient(host, wrong_keys))
    assert last_status(host)[0] == "rolled-back"


def test_the_worker_hangs(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path]
) -> None:
    """Stopped, it neither ends nor lets go of its lock: at the deadline it is ended."""
    with situation(request, host, "the working process hangs"):
        line = _caught_in_the_middle(host)
        host.run("pkill", "-STOP", "-f", "tui/worker.py")
        until_taken_back(host, lambda: impatient(host, wrong_keys))
        line.wait(30)


@pytest.mark.every_release
@pytest.mark.parametrize("how", ["reboot", "power cut"])
def test_the_host_starts_anew(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path], how: str
) -> None:
    with situation(request, host, how):
        host.ssh(f"sudo harden-tui apply {STEP} --yes --no-wait")  # five minutes: not the deadline
        if how == "reboot":
            host.reboot()
        else:
            host.run("sync")
            host.pull_the_plug()
            host.boot()
        until_taken_back(host, lambda: impatient(host, wrong_keys))
    status, reason = last_status(host)
    assert (status, reason) == (
        "rolled-back", "The host was started anew before anybody confirmed it."
    )  # fmt: skip


def test_the_service_manager_is_frozen(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path]
) -> None:
    """Process 1 stopped: no timer fires, no systemctl answers. The detached shell does it."""
    with situation(request, host, "systemd frozen", same=False):
        begin(host, STEP)
        Path("/proc", str(host.leader), "comm").read_text()
        subprocess.run(["kill", "-STOP", str(host.leader)], check=True)
        try:
            until = time.monotonic() + 120
            while not (host.root / GUARD[1:] / "by-script").exists():
                assert time.monotonic() < until, "nothing took it back"
                time.sleep(0.5)
            time.sleep(1)
            assert is_let_in(host, wrong_keys)
        finally:
            subprocess.run(["kill", "-CONT", str(host.leader)], check=True)
        done = host.run("harden-tui", "recover", "--yes")
        assert STEP in done.stdout
    assert last_status(host)[0] == "rolled-back"


@pytest.mark.every_release
@pytest.mark.parametrize("gone", ["python", "program"])
def test_python_or_the_program_is_gone(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path], gone: str
) -> None:
    with situation(request, host, f"{gone} is gone", same=False):
        begin(host, STEP)
        if gone == "python":
            host.run("sh", "-c", "mkdir /root/away && mv /usr/bin/python3* /root/away")
        else:
            host.run("mv", "/usr/lib/harden-tui", "/root/away")
        until = time.monotonic() + 60
        while not (host.root / GUARD[1:] / "by-script").exists():
            assert time.monotonic() < until, "nothing took it back"
            time.sleep(0.5)
        assert impatient(host, wrong_keys)
        if gone == "python":
            host.run("sh", "-c", "mv /root/away/* /usr/bin && rmdir /root/away")
        else:
            host.run("mv", "/root/away", "/usr/lib/harden-tui")
        refused = host.run("harden-tui", "apply", "ssh.root-login", "--yes", check=False)
        assert refused.returncode == 3 and "recover" in refused.stdout + refused.stderr
        host.run("harden-tui", "recover", "--yes")
    assert last_status(host)[0] == "rolled-back"


def test_no_service_manager_at_all(
    host: LabHost, request: pytest.FixtureRequest, wrong_keys: list[Path]
) -> None:
    """Where /run/systemd/system is missing, the detached shell is all there is."""
    host.write("/etc/harden-tui/steps.d/site.yaml", SITE_STEP)
    with situation(request, host, "no systemd"):
        host.run(
            "unshare", "--mount", "sh", "-c",
            "mount -t tmpfs none /run/systemd && harden-tui apply site.motd --yes --no-wait"
            " --confirm-within 10s",
        )  # fmt: skip
        assert guard(host)["phase"] == "waiting"
        assert not (host.root / "usr/local/lib/systemd").exists()
        until_taken_back(host, lambda: not (host.root / "etc/motd.d/site").exists())


SITE_STEP = """\
- id: site.motd
  stage: surroundings
  title: Say whose host this is
  why: Whoever logs in shall know where they are.
  breaks: Nothing known.
  source: "our own rules"
  guard: login
  ensure:
    - file: {path: /etc/motd.d/site, content: "ours\\n"}
"""


def _caught_in_the_middle(host: LabHost) -> subprocess.Popen[bytes]:
    """An apply whose file is written, and nothing proved yet; its login."""
    line = subprocess.Popen(
        host.ssh_argv(f"sudo harden-tui apply {STEP} --yes --confirm-within 10s"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    written = host.root / "etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"
    until = time.monotonic() + 60
    while not written.exists():
        assert time.monotonic() < until, "it was never written"
        time.sleep(0.01)
    return line


def _until_it_waits(host: LabHost) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if guard(host)["phase"] == "waiting":
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("the change never waited")
