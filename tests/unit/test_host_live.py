"""Ports, the administrator's session, HTTP over loopback, packages and the release."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host import distribution, http, ports, processes, services, session
from host.base import HostError, Port
from host.facts.packages import parse_packages

RECORDED = Path(__file__).parent / "recorded"
CLIENT = "10.77.23.1 33964 10.77.23.2 22"


def recorded(suite: str, name: str) -> str:
    return (RECORDED / suite / "host" / name).read_text()


def test_kernel_tables() -> None:
    bound = [
        (entry.protocol, entry.address, entry.port)
        for table in ("tcp", "tcp6")
        for entry in ports.parse_table(recorded("trixie", f"net-{table}.txt").splitlines(), "tcp")
    ]
    assert bound == [
        ("tcp", "127.0.0.1", 631), ("tcp", "0.0.0.0", 22), ("tcp", "127.0.0.1", 3306),
        ("tcp", "::1", 631), ("tcp", "::", 80), ("tcp", "::", 22),
    ]  # fmt: skip


def test_addresses_in_the_kernels_writing() -> None:
    assert ports.parse_address("0100007F") == "127.0.0.1"
    assert ports.parse_address("0000000000000000FFFF00000100007F") == "::ffff:127.0.0.1"
    assert ports.parse_address("B80D01200000000000000000010000FF") == "2001:db8::ff00:1"


def test_unit_of_a_cgroup_in_both_layouts() -> None:
    assert ports.unit_of_cgroup(recorded("trixie", "cgroup-ssh.txt")) == "ssh.service"
    assert ports.unit_of_cgroup("0::/system.slice/ssh.service\n") == "ssh.service"
    nested = "0::/system.slice/docker.service/payload/ssh.service\n"
    assert ports.unit_of_cgroup(nested) == "ssh.service"
    assert ports.unit_of_cgroup("0::/\n") == ""


def test_a_users_own_unit_is_not_taken_for_the_hosts() -> None:
    own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/ssh.service\n"
    assert ports.unit_of_cgroup(own) == "user@1000.service"


def test_what_systemd_holds_gets_its_socket_unit() -> None:
    held = Port("tcp", "::", 3306, process="systemd", pid=1, unit="init.scope")
    other = Port("tcp", "0.0.0.0", 22, process="sshd", pid=58, unit="ssh.service")
    listen = services.parse_listen(recorded("bookworm", "show-listen.txt"))
    named = ports.held_by_systemd([held, other], listen)
    assert [port.unit for port in named] == ["mariadb.socket", "ssh.service"]


def test_our_own_sockets_are_seen() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server(("::", 0), family=socket.AF_INET6) as six,
    ):
        udp.bind(("0.0.0.0", 0))
        found = {(p.protocol, p.address, p.port): p for p in ports.read()}
        mine = [
            found["tcp", "127.0.0.1", tcp.getsockname()[1]],
            found["udp", "0.0.0.0", udp.getsockname()[1]],
            found["tcp", "::", six.getsockname()[1]],
        ]
    assert [port.pid for port in mine] == [os.getpid()] * 3
    assert [port.exposed for port in mine] == [False, True, True]
    assert mine[0].process


class Proc:
    """A pretend /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "net").mkdir()
        (root / "net" / "tcp").write_text(recorded("trixie", "net-tcp.txt"))

    def add(
        self, pid: int, parent: int, name: str, *, title: str = "", uid: int = 0,
        environ: str = "", inode: str = "",
    ) -> None:  # fmt: skip
        directory = self.root / str(pid)
        (directory / "fd").mkdir(parents=True)
        (directory / "status").write_text(
            f"Name:\t{name}\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
        )
        (directory / "cmdline").write_text(title)
        (directory / "environ").write_text(environ.replace(" | ", "\0"))
        if inode:
            (directory / "fd" / "4").symlink_to(f"socket:[{inode}]")

    def in_login(self, pid: int, name: str, **kept: str) -> None:
        """Put a process into a session of logind's."""
        (self.root / str(pid) / "cgroup").write_text(
            f"0::/user.slice/user-1000.slice/session-{name}.scope\n"
        )
        (self.root / "sessions").mkdir(exist_ok=True)
        lines = ["# This is private data. Do not parse.", *(f"{k}={v}" for k, v in kept.items())]
        (self.root / "sessions" / name).write_text("\n".join(lines) + "\n")

    def session(self, pid: int, **environ: str) -> tuple[str, str]:
        table = processes.ProcessTable(str(self.root), str(self.root / "sessions"))
        found = session.read(table, environ, pid)
        return found.user, (
            f"{found.client_address} {found.client_port} {found.server_address} {found.server_port}"
        )


LIVE_INODE = "393790"
"""Of the SSH connection in the recorded table."""


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    made = Proc(tmp_path)
    made.add(100, 1, "sshd", title="sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups")
    made.add(110, 100, "sshd-session", title="sshd-session: alice [priv]", inode=LIVE_INODE)
    made.add(111, 110, "sshd-session", title="sshd-session: alice@pts/0", uid=1000)
    made.add(112, 111, "bash", uid=1000)
    return made


def test_session_from_our_own_environment(proc: Proc) -> None:
    proc.add(120, 112, "python3", uid=1000)
    assert proc.session(120, SSH_CONNECTION=CLIENT, SUDO_USER="alice") == ("alice", CLIENT)


def test_session_under_sudo_and_su(proc: Proc) -> None:
    proc.add(120, 112, "sudo", title="sudo su -", environ=f"SSH_CONNECTION={CLIENT}")
    proc.add(121, 120, "su", title="su -", environ="SUDO_USER=alice | TERM=xterm")
    proc.add(122, 121, "bash")
    assert proc.session(122) == ("alice", CLIENT)


def test_session_from_sshd_above_us(proc: Proc) -> None:
    proc.add(120, 112, "su", title="su -")
    assert proc.session(120) == ("alice", CLIENT)


def test_session_in_tmux_is_that_of_the_attached_client(proc: Proc) -> None:
    gone = "192.0.2.9 50000 10.77.23.2 22"
    proc.add(200, 1, "tmux: server", uid=1000, environ=f"SSH_CONNECTION={gone}")
    proc.add(201, 200, "bash", uid=1000, environ=f"SSH_CONNECTION={gone}")
    proc.add(113, 112, "tmux: client", title="tmux attach", uid=1000)
    proc.add(202, 201, "sudo")
    assert proc.session(202, SUDO_USER="alice") == ("alice", CLIENT)


def test_session_of_a_detached_worker_is_the_accounts_login(proc: Proc) -> None:
    proc.add(300, 1, "python3")
    assert proc.session(300, SUDO_USER="alice") == ("alice", CLIENT)


def test_session_that_a_stranger_only_pretends_is_not_believed(proc: Proc) -> None:
    (proc.root / "110" / "fd" / "4").unlink()
    for title in ("sshd: alice [priv]", "sshd: alice@pts/9"):
        proc.add(400 + len(title), 1, "sshd", title=title, uid=1001, inode=LIVE_INODE)
    proc.add(300, 1, "python3")
    assert proc.session(300, SUDO_USER="alice") == ("alice", " 0  0")


def test_session_that_ended_is_better_than_none(proc: Proc) -> None:
    gone = "192.0.2.9 50000 10.77.23.2 22"
    proc.add(300, 1, "python3")
    assert proc.session(300, SUDO_USER="bob", SSH_CONNECTION=gone) == ("bob", gone)


def test_no_session_on_the_console(proc: Proc) -> None:
    proc.add(300, 1, "bash")
    assert proc.session(300, SUDO_USER="bob") == ("bob", " 0  0")
    assert session.parse_connection("192.0.2.7 x 10.0.0.5 22") is None


def test_a_local_login_is_not_taken_for_the_accounts_other_one(proc: Proc) -> None:
    proc.add(300, 1, "bash", uid=1000)
    proc.in_login(300, "c1", REMOTE="0", TTY="tty1")
    assert proc.session(300, SUDO_USER="alice") == ("alice", " 0  0")


def test_a_worker_of_the_console_is_told_so(proc: Proc) -> None:
    proc.add(300, 1, "python3")
    assert proc.session(300, SUDO_USER="alice", SSH_CONNECTION="") == ("alice", " 0  0")


def test_an_unprivileged_login_is_known_by_logind(proc: Proc) -> None:
    """Without root neither sshd's sockets nor its environment can be read."""
    (proc.root / "110" / "fd" / "4").unlink()
    proc.add(300, 111, "python3", uid=1000)
    proc.in_login(300, "7", REMOTE="1", REMOTE_HOST=CLIENT.split()[0])
    assert proc.session(300, SUDO_USER="alice") == ("alice", CLIENT)


def test_mosh_comes_back_to_the_port_it_was_started_by(proc: Proc) -> None:
    began = "198.51.100.9 50000 10.77.23.2 2222"
    proc.add(400, 1, "mosh-server", uid=1000, environ=f"SSH_CONNECTION={began}")
    proc.add(401, 400, "bash", uid=1000)
    assert proc.session(401, SUDO_USER="alice") == ("alice", began)
    hosts = ["192.0.2.1", "203.0.113.5 via mosh [40]", "203.0.113.7 via mosh [400]"]
    assert session.mosh_address(hosts, 400) == "203.0.113.7"
    assert session.mosh_address(hosts, 4) == ""


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    """Answers one request with fixed bytes; gives the port and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(
                    b"HTTP/1.1 302 Moved\r\nLocation: /elsewhere\r\nX-Frame-Options: DENY\r\n"
                    b"X-FRAME-OPTIONS: SAMEORIGIN\r\nContent-Length: 4\r\n\r\nbody"
                )

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join()


def test_http_keeps_repeats_and_follows_nothing(server: tuple[int, list[bytes]]) -> None:
    port, asked = server
    answer = http.request("/x?y=1", port=port, host_header="shop.example")
    assert (answer.status, answer.body) == (302, b"body")
    assert answer.header("X-Frame-Options") == ["DENY", "SAMEORIGIN"]
    assert asked[0].startswith(b"GET /x?y=1 HTTP/1.1\r\n")
    assert asked[0].count(b"Host:") == 1 and b"Host: shop.example\r\n" in asked[0]


def test_http_failures_are_sentences() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(HostError, match=f"port {port} did not answer .* within 0.2 s"):
            http.request(port=port, timeout_s=0.2)
    with pytest.raises(HostError, match=f"port {port}: connection refused"):
        http.request(port=port)


def test_an_answer_in_drops_is_none() -> None:
    cut_off = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    for _ in range(200):
                        connection.sendall(b".")
                        time.sleep(0.05)
                except OSError as error:
                    cut_off.append(error)

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(HostError, match=r"did not answer .* within 0.3 s"):
            http.request(port=listener.getsockname()[1], timeout_s=0.3)
        thread.join()
    assert cut_off


@pytest.mark.parametrize(
    ("suite", "version"), [("bookworm", "1:9.2p1-2"), ("trixie", "1:10.0p1-7")]
)
def test_packages(suite: str, version: str) -> None:
    found = parse_packages(recorded(suite, "dpkg-query.txt"))
    assert found["openssh-server"].version.startswith(version)
    assert found["openssh-server"].installed and not found["openssh-server"].essential
    assert found["dpkg"].essential
    removed = parse_packages("ufw\t0.36.2-1\tall\tdeinstall\tconfig-files\tno\n")["ufw"]
    assert not removed.installed
    two = parse_packages(
        "libc6\t2.36\tamd64\tinstall\tinstalled\tno\nlibc6\t2.36\ti386\tinstall\tinstalled\tno\n"
    )
    assert list(two) == ["libc6", "libc6:i386"]


def test_release() -> None:
    bookworm = distribution.parse(recorded("bookworm", "os-release.txt").encode())
    assert (bookworm.id, bookworm.version, bookworm.codename) == ("debian", "12", "bookworm")
    assert bookworm.is_debian_family
    ubuntu = distribution.parse(
        b'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nNAME="Ubuntu"\n'
    )
    assert (ubuntu.version, ubuntu.codename, ubuntu.is_debian_family) == ("24.04", "noble", True)
