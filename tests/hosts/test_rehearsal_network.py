"""The network rehearsal against the kernel: real connections decide whether it foresees rightly."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from host.facts.iptables_packet import parse_save
from host.packet_walk import Packet, Verdict
from steps.guard_network import through_filter, through_ruleset
from tests.hosts.lab import LabHost

pytestmark = pytest.mark.either_release

PORTS = (22, 2222)
SITE = "/etc/harden-tui/steps.d/site.yaml"
NFTABLES = """\
- id: site.nftables
  stage: pre-install
  title: nftables of this site
  why: For this test.
  breaks: Nothing.
  source: this test
  guard: network
  ensure:
    - file: {{path: /etc/nftables.conf, content: {content}}}
"""


@pytest.fixture(scope="module")
def host(suite: str, installed: Path) -> Iterator[LabHost]:
    """A host with IPv6 and a second port of sshd, which the tests share."""
    with LabHost(suite, installed) as host:
        near, far = f"fd77:{host.number}::1", f"fd77:{host.number}::2"
        subprocess.run(
            ["ip", "address", "add", f"{near}/64", "dev", f"ve-{host.name}", "nodad"], check=True
        )
        host.run("ip", "address", "add", f"{far}/64", "dev", "host0", "nodad")
        _neighbours(host, near, far)
        host.write("/etc/ssh/sshd_config.d/ports.conf", "Port 22\nPort 2222\n")
        host.run("systemctl", "restart", "ssh")
        host.run(
            "sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get install -y -q nftables iptables"
        )
        yield host


def _neighbours(host: LabHost, near: str, far: str) -> None:
    """Known to each other for good: rules for TCP are the subject, not those for ICMPv6."""
    addresses = [Path(f"/sys/class/net/ve-{host.name}/address").read_text().strip()]
    addresses.append(host.out("cat", "/sys/class/net/host0/address"))
    tail = ("nud", "permanent", "dev")
    add = ("ip", "-6", "neigh", "replace")
    host.run(*add, near, "lladdr", addresses[0], *tail, "host0")
    subprocess.run([*add, far, "lladdr", addresses[1], *tail, f"ve-{host.name}"], check=True)


def _install(host: LabHost, *packages: str) -> None:
    host.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", *packages)


def _ends(host: LabHost, *, ipv6: bool) -> tuple[str, str]:
    if ipv6:
        return f"fd77:{host.number}::1", f"fd77:{host.number}::2"
    return f"10.77.{host.number}.1", host.address


def _packet(host: LabHost, port: int, *, ipv6: bool) -> Packet:
    near, far = (ipaddress.ip_address(end) for end in _ends(host, ipv6=ipv6))
    return Packet(source=near, destination=far, source_port=50000, port=port, interface_in="host0")


def gets_in(host: LabHost, port: int, *, ipv6: bool, patience_s: float = 1.0) -> bool:
    """Whether sshd's greeting comes back over a new connection."""
    try:
        end = (_ends(host, ipv6=ipv6)[1], port)
        with socket.create_connection(end, timeout=patience_s) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


WAYS = tuple((port, ipv6) for port in PORTS for ipv6 in (False, True))


def answers(host: LabHost, foreseen: dict[tuple[int, bool], str]) -> dict[tuple[int, bool], str]:
    """The kernel's own answer for each port and family.

    Silence is no answer at once on a busy machine: where another one is foreseen it is asked again.
    """

    def one(way: tuple[int, bool]) -> str:
        for patience_s in (1.0, 3.0, 9.0):
            if gets_in(host, way[0], ipv6=way[1], patience_s=patience_s):
                return "accept"
            if foreseen[way] != "accept":
                break
        return "drop"

    with ThreadPoolExecutor(len(WAYS)) as pool:
        return dict(zip(WAYS, pool.map(one, WAYS), strict=True))


def _unforeseen(
    host: LabHost, rules: object, found: dict[tuple[int, bool], Verdict]
) -> list[tuple[object, tuple[int, bool], Verdict, str]]:
    """Where the kernel's answer is another one."""
    expected = answers(host, {way: verdict.answer for way, verdict in found.items()})
    return [(rules, way, found[way], expected[way]) for way in WAYS
            if found[way].answer != expected[way]]  # fmt: skip


RULESETS = [
    ["-P INPUT DROP", "-A INPUT -p tcp --dport 22 -j ACCEPT"],
    ["-P INPUT DROP", "-A INPUT -p tcp -m multiport --dports 80,2200:2300 -j ACCEPT"],
    ["-A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j REJECT"],
    ["-P INPUT DROP", "-A INPUT -m conntrack --ctstate NEW -j ACCEPT"],
    ["-P INPUT DROP", "-A INPUT -m conntrack --ctstate NEW,ESTABLISHED -p tcp -j ACCEPT"],
    ["-N X", "-A X -p tcp --dport 22 -j RETURN", "-A X -j DROP", "-A INPUT -j X"],
    ["-N X", "-A X -i host0 -p tcp ! --dport 22 -j ACCEPT", "-A INPUT -g X", "-P INPUT DROP"],
    ["-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT ! -i lo -p tcp --syn -j ACCEPT",
     "-A INPUT -m state --state ESTABLISHED -j ACCEPT"],
    ["-P INPUT DROP", "-A INPUT -m limit --limit 1000/sec --limit-burst 100 -j ACCEPT"],
    ["-P OUTPUT DROP", "-A OUTPUT -p tcp --sport 22 -j ACCEPT"],
    ["-P OUTPUT DROP", "-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"],
    ["-P INPUT DROP", "-A INPUT -m addrtype --dst-type LOCAL -p tcp --dport 2222 -j ACCEPT"],
    ["-A INPUT -p tcp --dport 22 -m recent --name x --set",
     "-A INPUT -p tcp --dport 22 -m recent --name x --update --seconds 60 --hitcount 9 -j DROP"],
]  # fmt: skip


def test_iptables_as_the_kernel_answers(host: LabHost) -> None:
    wrong = []
    try:
        for rules in RULESETS:
            _clean(host)
            saved = {}
            for ipv6, program in ((False, "iptables"), (True, "ip6tables")):
                for rule in rules:
                    host.run(program, *rule.split())
                saved[ipv6] = parse_save(host.out(f"{program}-save"))["filter"]
            found = {way: through_filter(saved[way[1]], _packet(host, way[0], ipv6=way[1]))
                     for way in WAYS}  # fmt: skip
            wrong += _unforeseen(host, rules, found)
    finally:
        _clean(host)
    assert wrong == []


def _clean(host: LabHost) -> None:
    host.run("nft", "flush", "ruleset")


NFT_RULES = [
    "tcp dport 22 accept",
    "tcp dport {{ 22, 2200-2300 }} accept",
    "ip saddr 10.77.0.0/16 accept\n  ip6 saddr fd00::/8 tcp dport 2222 accept",
    "ct state vmap {{ established : accept, invalid : drop }}\n  tcp dport vmap {{ 22 : accept }}",
    "ct state established,related accept\n  iifname host0 ct state new tcp dport ssh accept",
    "tcp dport != 22 accept",
    "meta nfproto ipv6 accept\n  tcp dport 22 limit rate 10/second accept",
    "ip saddr @some accept",
    "fib daddr type local tcp dport 2222 jump x",
    "meta l4proto tcp th dport 22 accept",
]


def test_nftables_as_the_kernel_answers(host: LabHost) -> None:
    wrong = []
    try:
        for rules in NFT_RULES:
            _clean(host)
            host.run("nft", "-f", "-", stdin=_table(rules.replace("{{", "{").replace("}}", "}")))
            ruleset = host.out("nft", "-j", "list", "ruleset")
            found = {way: through_ruleset(ruleset, _packet(host, way[0], ipv6=way[1]))
                     for way in WAYS}  # fmt: skip
            wrong += _unforeseen(host, rules, found)
    finally:
        _clean(host)
    assert wrong == []


def _table(rules: str) -> str:
    return (
        "table inet filter {\n set some { type ipv4_addr; flags interval;"
        " elements = { 10.77.0.0/16 }; }\n chain x { accept; }\n chain input {\n"
        f"  type filter hook input priority filter; policy drop;\n  {rules}\n"
        "  ct state established accept\n }\n}\n"
    )


def planned(host: LabHost, step: str, port: int = 22, *, ipv6: bool = False) -> dict[str, Any]:
    near, far = _ends(host, ipv6=ipv6)
    done = host.run(
        "env", "SUDO_USER=alice", f"SSH_CONNECTION={near} 50000 {far} {port}",
        "harden-tui", "plan", step, "--checklist", "i-doit", "--format", "json", check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    plan: dict[str, Any] = json.loads(done.stdout)["steps"][0]
    return plan


def test_a_new_nftables_conf_is_tried_in_a_network_of_its_own(host: LabHost) -> None:
    host.run("mkdir", "-p", "/etc/harden-tui/steps.d")
    try:
        for rules, port, ipv6, reason in (
            ("tcp dport 22 accept", 22, False, ""),
            ("tcp dport 22 accept", 2222, False, "/etc/nftables.conf would turn away"),
            ("ip saddr 10.77.0.0/16 accept", 22, True, "would turn away"),
            ("ip6 saddr fd77::/16 accept", 22, True, ""),
        ):
            text = f"#!/usr/sbin/nft -f\nflush ruleset\n{_table(rules)}"
            host.write(SITE, NFTABLES.format(content=json.dumps(text)))
            plan = planned(host, "site.nftables", port, ipv6=ipv6)
            lockouts = " ".join(plan["lockouts"])
            assert reason in lockouts and bool(lockouts) is bool(reason)
        host.write(SITE, NFTABLES.format(content=json.dumps("table inet x { chain y { nonsense")))
        plan = planned(host, "site.nftables")
        assert plan["lockouts"] == [] and "could not be tried" in " ".join(plan["notes"])
        assert host.out("nft", "list", "ruleset") == "", "nothing was loaded here"
        assert host.run("sh", "-c", "ls /run/harden-tui-nft-*", check=False).returncode != 0
    finally:
        host.run("rm", SITE)


def test_ufw_with_rules_before_its_own_is_foreseen(host: LabHost) -> None:
    """before.rules is the administrator's own; what it drops, no rule of ufw lets in."""
    for port, ipv6 in ((22, False), (2222, False), (2222, True)):
        assert planned(host, "firewall.ufw", port, ipv6=ipv6)["lockouts"] == [], "not installed yet"
    _install(host, "ufw")
    for port, ipv6 in ((22, False), (2222, False), (2222, True)):
        plan = planned(host, "firewall.ufw", port, ipv6=ipv6)
        assert plan["lockouts"] == [] and "cannot be told" not in " ".join(plan["notes"])
    dropping = "-A ufw-before-input -p tcp --dport 2222 -j DROP"
    host.run("sed", "-i", f"s/^# allow all on loopback/{dropping}\\n&/", "/etc/ufw/before.rules")
    assert planned(host, "firewall.ufw", 22)["lockouts"] == []
    assert planned(host, "firewall.ufw", 2222, ipv6=True)["lockouts"] == []
    (reason,) = planned(host, "firewall.ufw", 2222)["lockouts"]
    assert "-p tcp --dport 2222 -j DROP decides" in reason
    host.run("sh", "-c", "harden-tui apply firewall.ufw --checklist i-doit --yes")
    assert gets_in(host, 22, ipv6=False) and gets_in(host, 2222, ipv6=True)
    assert not gets_in(host, 2222, ipv6=False), "as it was foreseen"
    saved = parse_save(host.out("iptables-save"))["filter"]
    for port in PORTS:
        found = through_filter(saved, _packet(host, port, ipv6=False))
        assert (found.answer == "accept") is gets_in(host, port, ipv6=False)
    host.run("harden-tui", "rollback", "firewall.ufw", "--yes")
    assert gets_in(host, 2222, ipv6=False)


def test_a_host_that_root_keeps_alone_may_have_a_firewall(host: LabHost) -> None:
    host.run(
        "sh", "-c", "mkdir /root/kept; mv /etc/sudoers.d/alice /root/kept; deluser -q alice sudo"
    )
    try:
        plan = planned(host, "firewall.ufw")
        assert plan["lockouts"] == []
        assert any("only root itself could log in" in note for note in plan["notes"])
        host.write("/etc/ssh/sshd_config.d/root.conf", "PermitRootLogin no\n")
        assert "Nobody could become root" in planned(host, "firewall.ufw")["lockouts"][0]
    finally:
        host.run("sh", "-c", "mv /root/kept/alice /etc/sudoers.d/; adduser -q alice sudo;"
                 " rm -f /etc/ssh/sshd_config.d/root.conf")  # fmt: skip


def test_who_is_banned_is_told_how_to_be_let_go(host: LabHost) -> None:
    host.run(
        "sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get install -y -q fail2ban python3-systemd"
    )
    host.write("/etc/fail2ban/jail.local", "[sshd]\nbackend = systemd\n")
    host.run("systemctl", "restart", "fail2ban")
    until = time.monotonic() + 20
    while host.run("fail2ban-client", "status", "sshd", check=False).returncode:
        assert time.monotonic() < until, host.run("journalctl", "-u", "fail2ban").stdout
        time.sleep(0.2)
    near = f"10.77.{host.number}.1"
    host.run("fail2ban-client", "set", "sshd", "banip", near)
    try:
        (reason,) = planned(host, "ssh.limits")["lockouts"]
        assert f"fail2ban-client set sshd unbanip {near}" in reason
        assert planned(host, "ssh.limits", ipv6=True)["lockouts"] == []
        assert planned(host, "apache.banner")["lockouts"] == [], "no guarded step"
    finally:
        host.run("fail2ban-client", "set", "sshd", "unbanip", near)
    assert planned(host, "ssh.limits")["lockouts"] == []
