"""How the administrator came: each way in over real connections, and what is made of it."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.base import key
from tests.hosts.lab import LabHost
from tests.hosts.mosh import mosh_packages
from tests.hosts.screen import Console, Screen

pytestmark = pytest.mark.either_release

TELL = """\
#!/bin/sh
PYTHONPATH=/usr/lib/harden-tui exec python3 -c '
from host import session
s = session.read()
print(f"[{s.user} {s.client_address or None} {s.server_address or None} {s.server_port}]")'
"""
ANSWER = re.compile(r"\[(\S+) (\S+) (\S+) (\d+)\]")


@pytest.fixture(scope="module")
def host(suite: str, installed: Path) -> Iterator[LabHost]:
    with LabHost(suite, installed) as host:
        host.write("/usr/local/bin/tell", TELL, 0o755)
        host.write("/etc/ssh/sshd_config.d/ports.conf", "Port 22\nPort 2222\n")
        host.run("systemctl", "restart", "ssh")
        yield host


def near(host: LabHost) -> str:
    return f"10.77.{host.number}.1"


def told(text: str) -> tuple[str, str, str, str]:
    """(user, client address, server address, server port) as the last `tell` on the screen said."""
    user, client, server, port = ANSWER.findall(text)[-1]
    return user, client, server, port


@pytest.mark.parametrize(
    "command",
    ["tell", "sudo tell", "sudo su -c tell", "sudo su - -c tell", "sudo -i tell",
     "sudo env -i /usr/local/bin/tell", "sudo setsid -w tell", "sudo su alice -c tell",
     "env -u SSH_CONNECTION tell", "sudo systemd-run -q --scope tell"],
)  # fmt: skip
def test_over_ssh_with_and_without_sudo_and_su(host: LabHost, command: str) -> None:
    for options in ((), ("-tt",), ("-p", "2222")):
        argv = host.ssh_argv(command, options=options)
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60,
                              stdin=subprocess.DEVNULL)  # fmt: skip
        port = "2222" if "2222" in options else "22"
        assert told(done.stdout) == ("alice", near(host), host.address, port)


@pytest.mark.parametrize("multiplexer", ["tmux new -A -s x", "screen -dRR -S x"])
def test_in_a_multiplexer_it_is_the_login_that_looks_on(host: LabHost, multiplexer: str) -> None:
    """Started in a login that has ended, attached to from another port."""
    leave = ("C-b", "d") if "tmux" in multiplexer else ("C-a", "d")
    with Screen(host, "") as first:
        first.wait(r"\$ *$")
        first.type(multiplexer)
        first.keys("Enter")
        time.sleep(1)
        first.type("sudo tell")
        first.keys("Enter")
        assert told(first.wait(ANSWER.pattern)) == ("alice", near(host), host.address, "22")
        first.keys("C-l", *leave)
    with Screen(host, "", ssh_options=("-p", "2222")) as second:
        second.wait(r"\$ *$")
        second.type(multiplexer)
        second.keys("Enter")
        time.sleep(1)
        second.type("clear; sudo tell")
        second.keys("Enter")
        assert told(second.wait(ANSWER.pattern + r"[\s\S]*\$")) == (
            "alice", near(host), host.address, "2222"
        )  # fmt: skip
        second.type("exit")
        second.keys("Enter")


def test_on_the_console_nobody_came_over_ssh(host: LabHost) -> None:
    """Also where the same person is logged in over SSH elsewhere, and for the worker."""
    beside = subprocess.Popen(host.ssh_argv("sleep 60"), stdin=subprocess.DEVNULL)
    try:
        time.sleep(1)
        with Console(host) as screen:
            screen.wait(r"\$ *$")
            screen.type("sudo tell")
            screen.keys("Enter")
            assert told(screen.wait(ANSWER.pattern)) == ("alice", "None", "None", "0")
            screen.type("exit")
            screen.keys("Enter")
        worker = host.run("env", "SSH_CONNECTION=", "SUDO_USER=alice", "setsid", "-w", "tell")
        assert told(worker.stdout) == ("alice", "None", "None", "0")
        detached = host.run("env", "SUDO_USER=alice", "setsid", "-w", "tell")
        assert told(detached.stdout) == ("alice", near(host), host.address, "22")
    finally:
        beside.kill()
        beside.wait()


@pytest.fixture(scope="module")
def elsewhere(host: LabHost, suite: str) -> Iterator[LabHost]:
    """A second host, from which one gets to the first one as from a jump host."""
    with LabHost(suite) as second:
        for one, other in ((host, second), (second, host)):
            # of these two interfaces only; the machine itself forwards nothing else
            Path(f"/proc/sys/net/ipv4/conf/ve-{one.name}/forwarding").write_text("1\n")
            one.run("ip", "route", "add", f"10.77.{other.number}.0/24", "via", near(one))
        yield second


def test_through_a_jump_host_it_is_the_jump_hosts_address(
    host: LabHost, elsewhere: LabHost
) -> None:
    hop = shlex.join([*elsewhere.ssh_argv()[:-1], "-W", "%h:%p", f"alice@{elsewhere.address}"])
    argv = host.ssh_argv("sudo tell", options=("-o", f"ProxyCommand={hop}"))
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60,
                          stdin=subprocess.DEVNULL)  # fmt: skip
    assert told(done.stdout) == ("alice", elsewhere.address, host.address, "22")


def test_by_mosh_the_address_may_wander(host: LabHost, elsewhere: LabHost) -> None:
    packages = mosh_packages(host.suite)
    for one in (host, elsewhere):
        for package in packages:
            one.write(f"/root/mosh/{package.name}", package.read_bytes())
        one.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get install -y -q /root/mosh/*.deb")
    elsewhere.write("/home/alice/.ssh/id_ed25519", key().read_bytes(), 0o600)
    elsewhere.run("chown", "alice:alice", "/home/alice/.ssh/id_ed25519")
    ssh = "ssh -p 2222 -o StrictHostKeyChecking=no"
    mosh = f"LC_ALL=C.UTF-8 mosh --ssh='{ssh}' alice@{host.address}"
    beside = subprocess.Popen(host.ssh_argv("sleep 90"), stdin=subprocess.DEVNULL)
    try:
        with Screen(elsewhere, mosh) as screen:
            screen.wait(r"\$ *\n*$")
            time.sleep(1)
            screen.type("clear; sudo tell")
            screen.keys("Enter")
            came = ("alice", elsewhere.address, host.address, "2222")
            assert told(screen.wait(ANSWER.pattern)) == came
            screen.type("tmux new -s m")
            screen.keys("Enter")
            time.sleep(1)
            screen.type("clear; sudo tell")
            screen.keys("Enter")
            assert told(screen.wait(ANSWER.pattern)) == came
            screen.keys("C-b", "d")
            other = f"10.77.{elsewhere.number}.9"
            elsewhere.run("ip", "address", "add", f"{other}/24", "dev", "host0")
            elsewhere.run("ip", "route", "replace", f"10.77.{host.number}.0/24", "via",
                          near(elsewhere), "src", other)  # fmt: skip
            time.sleep(1)
            screen.type("clear; sudo tell")
            screen.keys("Enter")
            time.sleep(2)
            # trixie keeps no such records any more: there it is the address it was started from
            records = host.run("test", "-e", "/run/utmp", check=False).returncode == 0
            now = other if records else elsewhere.address
            assert told(screen.wait(ANSWER.pattern)) == ("alice", now, host.address, "2222")
            screen.type("exit")
            screen.keys("Enter")
    finally:
        beside.kill()
        beside.wait()
