"""ufw's files and the kernel's tables, as both releases write them."""

from __future__ import annotations

import ipaddress

import pytest

from host.facts.iptables import Filter, in_force, parse_filter, user_rules
from host.facts.ufw import Rule, parse_assignments, parse_rules, parse_status
from tests.unit.given import RELEASES, recorded

ADDED = """\
allow 22/tcp
allow 80/tcp
allow from 10.77.0.0/16 to any port 22 proto tcp
allow OpenSSH
limit 2222/tcp
allow in on host0 from any to any port 8080 proto tcp
deny from 192.0.2.0/24 to any
allow 5000:5010/udp
allow 53
route allow in on host0 out on lo from any to any
allow out from any to any port 25 proto tcp
allow 80,443/tcp""".splitlines()
"""What had been typed before the files were recorded (`ufw show added`), in its long form."""


@pytest.mark.parametrize("release", RELEASES)
def test_rules_are_what_was_typed(release: str) -> None:
    rules = parse_rules(recorded(release, "ufw/user.rules"), "/etc/ufw/user.rules", ipv6=False)
    assert [rule.command for rule in rules] == ADDED
    assert rules[0].origin.startswith("/etc/ufw/user.rules:")
    line = int(rules[0].origin.rpartition(":")[2])
    text = recorded(release, "ufw/user.rules").splitlines()[line - 1]
    assert text == "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"


@pytest.mark.parametrize("release", RELEASES)
def test_ipv6_rules(release: str) -> None:
    rules = parse_rules(recorded(release, "ufw/user6.rules"), "f", ipv6=True)
    assert all(rule.ipv6 for rule in rules)
    assert [rule.port for rule in rules if rule.lets_in and rule.direction == "in"] == [
        "22", "80", "22", "2222", "8080", "5000:5010", "53", "80,443",
    ]  # fmt: skip


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("ipv6", [False, True])
def test_the_kernel_has_what_the_files_say(release: str, ipv6: bool) -> None:
    name = "ip6tables-S.txt" if ipv6 else "iptables-S.txt"
    table = parse_filter(recorded(release, f"ufw/{name}"))
    assert table.policies == {"INPUT": "DROP", "FORWARD": "DROP", "OUTPUT": "ACCEPT"}
    assert in_force(table, ipv6=ipv6)
    running = user_rules(table, ipv6=ipv6)
    saved = parse_rules(
        recorded(release, "ufw/user6.rules" if ipv6 else "ufw/user.rules"), "f", ipv6=ipv6
    )
    for port, protocol in ((22, "tcp"), (80, "tcp"), (443, "tcp"), (2222, "tcp"), (53, "udp"),
                           (5005, "udp"), (25, "tcp"), (8080, "tcp"), (3306, "tcp")):  # fmt: skip
        expected = any(rule.lets_in and rule.covers(port, protocol) for rule in saved)
        assert any(rule.lets_in and rule.covers(port, protocol) for rule in running) is expected


@pytest.mark.parametrize("release", RELEASES)
def test_status_and_assignments(release: str) -> None:
    status = parse_status(recorded(release, "ufw/status.txt"))
    assert status.active
    assert status.defaults["incoming"] == "deny"
    assert status.defaults["outgoing"] == "allow"
    assert not parse_status("Status: inactive\n").active
    defaults = parse_assignments(recorded(release, "ufw/default"))
    assert defaults["IPV6"] == ("yes", 7)
    assert defaults["DEFAULT_INPUT_POLICY"][0] == "DROP"
    assert parse_assignments(recorded(release, "ufw/ufw.conf"))["ENABLED"][0] == "yes"


def test_chains_that_are_gone_are_not_in_force() -> None:
    assert not in_force(parse_filter("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n"), ipv6=False)
    assert not in_force(None, ipv6=False)
    table = parse_filter(recorded("trixie", "ufw/iptables-S.txt"))
    cut = Filter(table.policies, {**table.chains, "ufw-before-input": ()})
    assert not in_force(cut, ipv6=False)


def test_accepting_everything_is_seen_only_without_condition() -> None:
    table = parse_filter("-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n")
    assert not table.accepts_everything("INPUT")
    assert parse_filter("-P INPUT DROP\n-A INPUT -j ACCEPT\n").accepts_everything("INPUT")


def test_a_rule_for_an_interface_or_a_negation_covers_nothing_else() -> None:
    text = "-N ufw-user-input\n-A ufw-user-input {}\n"
    plain = parse_filter(text.format("-p tcp -m tcp --dport 22 -j ACCEPT"))
    assert user_rules(plain, ipv6=False)[0].covers(22, "tcp")
    bound = parse_filter(text.format("-i eth0 -p tcp -m tcp --dport 22 -j ACCEPT"))
    assert not user_rules(bound, ipv6=False)[0].covers(22, "tcp")
    negated = parse_filter(text.format("! -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT"))
    assert user_rules(negated, ipv6=False) == ()


def test_whom_a_rule_takes() -> None:
    rule = Rule(action="allow", protocol="tcp", port="22", source="10.0.0.0/8")
    assert rule.takes(ipaddress.ip_address("10.1.2.3"), 22, "tcp")
    assert not rule.takes(ipaddress.ip_address("192.0.2.1"), 22, "tcp")
    assert not rule.takes(ipaddress.ip_address("10.1.2.3"), 23, "tcp")
