"""A real Debian host to harden and to break: booted in about 1.5 seconds, thrown away after."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from tests.hosts.base import ADMIN, LAB, base, key
from tests.hosts.person import Person

POWER_OFF = signal.SIGRTMIN + 4
"""What systemd as PID 1 takes for 'power off' (systemd(1), SIGNALS)."""

BOOT_LIMIT_S = 60.0

NUMBERS = Path("/run/lock/harden-tui-lab")
"""Of the machine: two labs of one machine share its network."""


class LabHost:
    """One host in a network of its own; use as a context manager.

    `run` acts inside as root; `ssh` logs in from outside as the administrator. `person` sits at a
    second terminal and confirms what is guarded; set `person.present` to false where nobody shall.
    """

    def __init__(self, suite: str, layer: Path | None = None, *, mounts_tmp: bool = True) -> None:
        """`layer`: changes (an overlay's upper directory) to begin with, over the base.
        `mounts_tmp`: the container's manager puts a tmpfs over /tmp; without, the release decides.
        """
        self.suite = suite
        self.mounts_tmp = mounts_tmp
        self.base = base(suite)
        self._below = f"{layer}:{self.base}" if layer else str(self.base)
        self._number_lock, self.number = _free_number()
        self.name = f"ht{self.number}"
        self.directory = LAB / "hosts" / self.name
        self.root = self.directory / "root"
        self.address = f"10.77.{self.number}.2"
        self.leader = 0
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.person = Person(self.root, lambda command: self.ssh(command, check=False))

    def __enter__(self) -> LabHost:
        try:
            self._mount()
            self.boot()
            self.person.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def run(
        self, *argv: str, stdin: str = "", check: bool = True, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside as root; its output is text."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "--", *argv],
            input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False,
            env=_ENVIRONMENT,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(
                f"{shlex.join(argv)} on {self.suite}: exit {done.returncode}\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def out(self, *argv: str) -> str:
        """What a program inside prints, without the last newline."""
        return self.run(*argv).stdout.rstrip("\n")

    def ssh_argv(
        self, command: str = "", *, user: str = ADMIN, options: tuple[str, ...] = ()
    ) -> list[str]:
        """The command line of a login over SSH."""
        return [
            "ssh", "-q", "-i", str(key()), "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5",
            "-o", "BatchMode=yes", *options, f"{user}@{self.address}",
            *([command] if command else []),
        ]  # fmt: skip

    def ssh(
        self, command: str, *, user: str = ADMIN, check: bool = True, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Log in over real SSH and run a shell command there."""
        done = subprocess.run(
            self.ssh_argv(command, user=user), capture_output=True, text=True,
            timeout=timeout_s, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(
                f"ssh {user}@{self.suite} {command}: exit {done.returncode}\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def can_log_in(self, user: str = ADMIN) -> bool:
        """Whether a new login over SSH works now."""
        return self.ssh("true", user=user, check=False, timeout_s=30).returncode == 0

    def http(self, path: str = "/", method: str = "GET") -> http.client.HTTPResponse:
        """One request over the host's network, from outside; the body is read already."""
        connection = http.client.HTTPConnection(self.address, 80, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]  # kept beside the response
        connection.close()
        return answer

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Put a file into the host."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)

    def install(self, package: Path) -> None:
        """Install a .deb the way an administrator would, without a network."""
        self.write(f"/root/{package.name}", package.read_bytes())
        self.run(
            "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
            f"/root/{package.name}", timeout_s=180,
        )  # fmt: skip

    def boot(self) -> None:
        """Start systemd inside and wait until it is up; also after `power_off`."""
        console = (self.directory / "console.log").open("ab")
        # --keep-unit and --register=no: this machine's own PID 1 may be no systemd
        self._nspawn = subprocess.Popen(
            # setpriv: a killed test run must not leave its hosts behind
            ["setpriv", "--pdeathsig", "TERM", "systemd-nspawn", "-q", "-D", str(self.root),
             "--boot", "--register=no", "--keep-unit", f"--machine={self.name}",
             "--network-veth", "--console=pipe"],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            env={**os.environ, "SYSTEMD_NSPAWN_TMPFS_TMP": str(int(self.mounts_tmp))},
        )  # fmt: skip
        console.close()
        self._wait_until_up()
        _call("ip", "addr", "add", f"10.77.{self.number}.1/24", "dev", f"ve-{self.name}")
        _call("ip", "link", "set", f"ve-{self.name}", "up")
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", "host0")
        self.run("ip", "link", "set", "host0", "up")

    def power_off(self) -> None:
        """Shut down cleanly."""
        self._stop(POWER_OFF)

    def pull_the_plug(self) -> None:
        """End every process inside at once."""
        self._stop(signal.SIGKILL)

    def reboot(self) -> None:
        """Shut down and start again; what lies on the disk stays."""
        self.power_off()
        self.boot()

    def _mount(self) -> None:
        if self.directory.exists():
            for mounted in mounted_below(self.directory):
                subprocess.run(["umount", "-l", mounted], check=False, capture_output=True)
            shutil.rmtree(self.directory)
        self.directory.mkdir(parents=True)
        changes = self.place_for_changes()
        for part in (changes / "upper", changes / "work", self.root):
            part.mkdir(parents=True)
        self.lay_over(changes)
        # In a container trixie's systemd takes up to 90 s to stop the manager of whoever logged out
        # last, and the next login waits for that: alice's stays.
        linger = self.root / "var/lib/systemd/linger"
        linger.mkdir(parents=True, exist_ok=True)
        (linger / ADMIN).touch()
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/hosts").write_text(
            f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {self.name}\n"
        )

    def place_for_changes(self) -> Path:
        """An empty directory for what the host changes."""
        return self.directory

    def lay_over(self, changes: Path) -> None:
        """Mount the host's root: what it changed over its base."""
        _call(
            "mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={self._below},upperdir={changes / 'upper'},workdir={changes / 'work'}",
            str(self.root),
        )  # fmt: skip

    def _wait_until_up(self) -> None:
        assert self._nspawn is not None
        until = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < until:
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
            pids = children.read_text().split() if children.exists() else []
            if pids and Path(f"/proc/{pids[0]}/root/run/systemd/private").exists():
                self.leader = int(pids[0])
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if state in ("running", "degraded"):
                    return
                time.sleep(0.2)  # each question costs what a tenth of a boot costs
            time.sleep(0.1)
        log = (self.directory / "console.log").read_text(errors="replace")
        raise AssertionError(f"{self.name} did not boot:\n{log[-2000:]}")

    def _stop(self, number: int) -> None:
        if self._nspawn is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.leader, number)
        try:
            self._nspawn.wait(15)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(5)
        self._nspawn = None
        if Path(f"/sys/class/net/ve-{self.name}").exists():
            # The kernel takes a network namespace down when it likes; the next boot needs the name.
            subprocess.run(
                ["ip", "link", "delete", f"ve-{self.name}"], check=False, capture_output=True
            )

    def _leave(self) -> None:
        if self.person.is_alive():
            self.person.leave()
        self._stop(signal.SIGKILL)
        subprocess.run(["umount", "-l", str(self.root)], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._number_lock.close()


def installed_layer(suite: str, package: Path, place: Path) -> Path:
    """What installing `package` changes on a blank host, kept in `place` to begin others with."""
    upper, work, root = (place / part for part in ("upper", "work", "root"))
    for part in (upper, work, root):
        part.mkdir(parents=True)
    options = f"lowerdir={base(suite)},upperdir={upper},workdir={work}"
    _call("mount", "-t", "overlay", "overlay", "-o", options, str(root))
    try:
        shutil.copy(package, root / "root" / package.name)
        _call(
            "systemd-nspawn", "-q", "--register=no", "--keep-unit", "--private-network",
            "--resolv-conf=off", "--timezone=off", "-D", str(root),
            "--setenv=DEBIAN_FRONTEND=noninteractive",
            "apt-get", "install", "-y", "-q", f"/root/{package.name}",
        )  # fmt: skip
    finally:
        subprocess.run(["umount", str(root)], check=True)
    return upper


_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "TERM": "xterm-256color",
}


def mounted_below(directory: Path) -> list[str]:
    """Mount points, the innermost first."""
    rows = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [row[1] for row in reversed(rows) if row[1].startswith(f"{directory}/")]


def _free_number() -> tuple[IO[str], int]:
    """A network number (10.77.N.0/24) that no other test process holds."""
    NUMBERS.mkdir(parents=True, exist_ok=True)
    for number in range(120, 250):
        if Path(f"/sys/class/net/ve-ht{number}").exists():
            continue  # a host that a killed run left behind still has it
        lock = (NUMBERS / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return lock, number
    raise AssertionError("no free network number: are a hundred test hosts running?")


def _call(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(argv)}: {done.stderr.strip()}")
