"""What may leave, and IPv6 beside IPv4: tried from outside, with real connections."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator

from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden
from tests.hosts.trials.trial import Answers, Trial

LIVESTATUS, UNASKED = 6557, 6558
RESOLV_CONF = "/etc/resolv.conf"


def outside(host: LabHost) -> tuple[str, str]:
    """This machine's addresses as the host sees them, in IPv4 and IPv6."""
    return f"10.77.{host.number}.1", f"fd00:77:{host.number:x}::1"


def with_ipv6(host: LabHost) -> None:
    """An IPv6 address for the host, and one for this machine beside it."""
    far = outside(host)[1]
    subprocess.run(
        ["ip", "addr", "replace", f"{far}/64", "dev", f"ve-{host.name}", "nodad"], check=True
    )
    host.run("ip", "addr", "replace", f"{far[:-1]}2/64", "dev", "host0", "nodad")


def without_ipv6(host: LabHost) -> None:
    far = outside(host)[1]
    subprocess.run(["ip", "addr", "del", f"{far}/64", "dev", f"ve-{host.name}"], check=True)
    host.run("ip", "addr", "del", f"{far[:-1]}2/64", "dev", "host0", check=False)


@contextlib.contextmanager
def listening(host: LabHost, *ports: int) -> Iterator[None]:
    """This machine takes connections on these ports, towards the host only."""
    with contextlib.ExitStack() as stack:
        for address in outside(host):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for port in ports:
                one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((address, port))
                one.listen()
        yield


def connects(host: LabHost, address: str, port: int) -> bool:
    """Whether a program on the host reaches that port, within two seconds."""
    talk = f"exec 3<>/dev/tcp/{address}/{port}"
    return host.run("timeout", "2", "bash", "-c", talk, check=False).returncode == 0


def _name_server(host: LabHost) -> None:
    with_ipv6(host)
    host.write(RESOLV_CONF, f"nameserver {outside(host)[0]}\n")
    with listening(host, LIVESTATUS, UNASKED):  # both can be reached before
        for address in outside(host):
            assert connects(host, address, LIVESTATUS)
            assert connects(host, address, UNASKED)


def _no_name_server(host: LabHost) -> None:
    without_ipv6(host)
    host.run("rm", RESOLV_CONF)


def _egress(host: LabHost) -> Answers:
    near, far = outside(host)
    rules = host.out("iptables", "-S", "ufw-user-output")
    with listening(host, LIVESTATUS, UNASKED):
        found = [
            (f"{address} port {port} {'answers' if wanted else 'is out of reach'}",
             connects(host, address, port) is wanted)
            for address in (near, far)
            for port, wanted in ((LIVESTATUS, True), (UNASKED, False))
        ]  # fmt: skip
    return [
        *found,
        ("deny outgoing", "deny (outgoing)" in host.out("ufw", "status", "verbose")),
        ("OUTPUT drops", "-P OUTPUT DROP" in host.out("iptables", "-S", "OUTPUT")),
        ("OUTPUT drops in IPv6", "-P OUTPUT DROP" in host.out("ip6tables", "-S", "OUTPUT")),
        ("names are asked of the name server only",
         f"-d {near}/32 -p udp -m udp --dport 53 -j ACCEPT" in rules
         and "-A ufw-user-output -p udp -m udp --dport 53" not in rules),
        ("MariaDB answers over loopback", connects(host, "127.0.0.1", 3306)),
        ("the web answers", host.http("/index.html").status == 200),
    ]  # fmt: skip


def _blind(host: LabHost) -> None:
    """A firewall that knows IPv4 only, as IPV6=no makes it."""
    with_ipv6(host)
    apply(host, "firewall.ufw")
    host.run("sed", "-i", "s/^IPV6=yes/IPV6=no/", "/etc/default/ufw")
    host.run("ufw", "reload")


def _seeing(host: LabHost) -> None:
    host.run("sed", "-i", "s/^IPV6=no/IPV6=yes/", "/etc/default/ufw")
    host.run("ufw", "reload")
    # ufw wrote its rules anew meanwhile.
    harden(host, "rollback", "firewall.ufw", "--restore", "--yes")
    without_ipv6(host)


def _ipv6(host: LabHost) -> Answers:
    rules = host.out("ip6tables", "-S")
    near = f"{outside(host)[1][:-1]}2"

    def answers(port: int) -> bool:
        try:
            socket.create_connection((near, port), timeout=2).close()
        except OSError:
            return False
        return True

    with serving(host, near, UNASKED):
        return [
            ("INPUT drops in IPv6", "-P INPUT DROP" in rules),
            ("SSH is let in in IPv6", "-A ufw6-user-input -p tcp -m tcp --dport 22" in rules),
            ("SSH answers in IPv6", answers(22)),
            ("the web answers in IPv6", answers(80)),
            ("another port is out of reach", not answers(UNASKED)),
        ]


@contextlib.contextmanager
def serving(host: LabHost, address: str, port: int) -> Iterator[None]:
    """The host takes connections on this port."""
    server = subprocess.Popen(
        ["nsenter", "-t", str(host.leader), "-n", "python3", "-m", "http.server", str(port),
         "--bind", address, "--directory", "/nonexistent"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(50):
            if f"[{address}]:{port}" in host.out("ss", "-Htln"):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"nothing listens on {port}")
        yield
    finally:
        server.kill()
        server.wait()


TRIALS = (
    Trial(
        step="firewall.egress",
        furnish=_name_server,
        tidy=_no_name_server,
        given=("--set", "firewall.egress.also=livestatus"),
        holds=_egress,
    ),
    Trial(step="firewall.ipv6", furnish=_blind, tidy=_seeing, holds=_ipv6),
)
