"""What a packet filter would do with a packet: chains, doubts, and both languages of rules."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.facts.iptables_packet import parse_save, verdict
from host.facts.nft_packet import verdict as nft_verdict
from host.packet_walk import Hop, Packet, Verdict, walk

LOGIN = Packet(
    source=ipaddress.ip_address("198.51.100.7"),
    destination=ipaddress.ip_address("10.0.0.5"),
    source_port=50000,
    port=2222,
    interface_in="eth0",
)
LOGIN6 = Packet(
    source=ipaddress.ip_address("2001:db8::7"),
    destination=ipaddress.ip_address("2001:db8::5"),
    source_port=50000,
    port=22,
)


def asked(*rules: str, policy: str = "DROP", packet: Packet = LOGIN) -> Verdict:
    """The verdict of INPUT with these rules; a rule for another chain says so first ("[x] …")."""
    lines = ["*filter", f":INPUT {policy} [0:0]", ":x - [0:0]", ":y - [0:0]"]
    for rule in rules:
        chain, rest = rule[1:].split("] ") if rule.startswith("[") else ("INPUT", rule)
        lines.append(f"-A {chain} {rest}")
    return verdict(parse_save("\n".join([*lines, "COMMIT"]))["filter"], packet)


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("-p tcp -m tcp --dport 2222 -j ACCEPT", "accept"),
        ("-p tcp -m tcp --dport 22 -j ACCEPT", "drop"),
        ("-p tcp -m tcp ! --dport 22 -j ACCEPT", "accept"),
        ("-p tcp -m multiport --dports 22,2200:2300 -j ACCEPT", "accept"),
        ("-p tcp -m multiport --dports 22,80 -j ACCEPT", "drop"),
        ("-p udp -m udp --dport 2222 -j ACCEPT", "drop"),
        ("! -p udp -j ACCEPT", "accept"),
        ("-s 198.51.100.0/24 -j ACCEPT", "accept"),
        ("! -s 198.51.100.0/24 -j ACCEPT", "drop"),
        ("-s 10.0.0.0/8 -j ACCEPT", "drop"),
        ("-d 10.0.0.5/32 -p tcp -j ACCEPT", "accept"),
        ("-i eth0 -j ACCEPT", "accept"),
        ("-i eth+ -j ACCEPT", "accept"),
        ("-i lo -j ACCEPT", "drop"),
        ("! -i lo -j ACCEPT", "accept"),
        ("-m conntrack --ctstate NEW -j ACCEPT", "accept"),
        ("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "drop"),
        ("-m state --state NEW,ESTABLISHED -j ACCEPT", "accept"),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT", "accept"),
        ("-p tcp -m tcp --syn -j ACCEPT", "accept"),
        ("-p tcp -m tcp ! --syn -j ACCEPT", "drop"),
        ("-m limit --limit 3/min --limit-burst 10 -j ACCEPT", "accept"),
        ("-m addrtype --dst-type LOCAL -j ACCEPT", "accept"),
        ("-m addrtype --dst-type BROADCAST -j ACCEPT", "drop"),
        ("-m iprange --src-range 198.51.100.1-198.51.100.9 -j ACCEPT", "accept"),
        ('-m comment --comment "let -j DROP in" -j ACCEPT', "accept"),
        ("-j REJECT --reject-with icmp-port-unreachable", "drop"),
        ("-m set --match-set admins src -j ACCEPT", "unknown"),
        ("-p udp -m set --match-set admins src -j ACCEPT", "drop"),
        ("-m mark --mark 0x1 -j ACCEPT", "unknown"),
        ("-m set --match-set admins src -j DROP", "drop"),
        ("-m recent --rcheck --seconds 30 --name KNOCKED -j ACCEPT", "unknown"),
        ("-j NFQUEUE --queue-num 1", "unknown"),
        ("-j LOG --log-prefix \"[x] \"", "drop"),
    ],
)  # fmt: skip
def test_each_condition(rule: str, answer: str) -> None:
    assert asked(rule).answer == answer


@pytest.mark.parametrize(
    ("rules", "answer", "decides"),
    [
        (["-j x", "-j DROP", "[x] -j RETURN", "[x] -j ACCEPT"], "drop", "-j DROP"),
        (["-j x", "-j ACCEPT", "[x] -g y", "[x] -j DROP", "[y] -j RETURN"], "accept", "-j ACCEPT"),
        (["-j x", "[x] -j y", "[y] -p tcp -j ACCEPT"], "accept", "-p tcp -j ACCEPT"),
        (["-j x", "[x] -p udp -j ACCEPT"], "drop", ""),
        (["-m mark --mark 1 -j x", "-j ACCEPT", "[x] -j ACCEPT"], "accept", "-j ACCEPT"),
        (
            ["-m mark --mark 1 -j x", "-j ACCEPT", "[x] -j DROP"],
            "unknown",
            "-m mark --mark 1 -j x",
        ),
    ],
)
def test_the_way_through_chains(rules: list[str], answer: str, decides: str) -> None:
    found = asked(*rules)
    assert (found.answer, found.rule) == (answer, decides)


def test_chains_that_call_each_other_end_in_doubt() -> None:
    assert asked("-j x", "[x] -j y", "[y] -j x").answer == "unknown"


def test_what_ufw_limits_is_let_in_and_a_policy_is_named() -> None:
    limited = [
        "-p tcp -m tcp --dport 2222 -m conntrack --ctstate NEW -m recent --set --name DEFAULT"
        " --mask 255.255.255.255 --rsource",
        "-p tcp -m tcp --dport 2222 -m conntrack --ctstate NEW -m recent --update --seconds 30"
        " --hitcount 6 --name DEFAULT --mask 255.255.255.255 --rsource -j x",
        "-p tcp -m tcp --dport 2222 -j y",
        "[x] -j REJECT",
        "[y] -j ACCEPT",
    ]
    assert asked(*limited).answer == "accept"
    assert asked().where == "the policy of INPUT"
    assert asked("-s 2001:db8::/32 -p tcp --dport 22 -j ACCEPT", packet=LOGIN6).answer == "accept"
    assert asked("-s 2001:db8:1::/48 -j ACCEPT", packet=LOGIN6).answer == "drop"


_FITS = st.sampled_from([True, False, None])
_ACTIONS = st.sampled_from(["accept", "drop", "return", "next", "jump", "goto", "unknown"])
_CHAINS = st.lists(
    st.lists(st.tuples(_FITS, _ACTIONS, st.integers(1, 3)), max_size=5), min_size=4, max_size=4
)


def naive(chains: dict[str, list[Hop]], chain: str) -> str:
    """One packet for which nothing is in doubt, led through by plain recursion: "" falls through.

    Jumps only lead to chains further on, so it ends.
    """
    for hop in chains[chain]:
        if not hop.fits:
            continue
        if hop.action in ("accept", "drop", "unknown"):
            return hop.action
        if hop.action == "return":
            return ""
        if hop.action in ("jump", "goto"):
            answer = naive(chains, hop.target)
            if answer or hop.action == "goto":
                return answer
    return ""


@settings(max_examples=300)
@given(_CHAINS, st.sampled_from(["accept", "drop"]), st.data())
def test_an_answer_holds_whatever_the_doubtful_rules_are(
    drawn: list[list[tuple[Any, Any, int]]], policy: str, data: st.DataObject
) -> None:
    """Each way of settling every doubt ends as the walk said, where it said anything."""
    chains = {
        str(number): [
            Hop(fits, action, "", str(min(number + to, 3)))
            for fits, action, to in rules
            if action not in ("jump", "goto") or number < 3
        ]
        for number, rules in enumerate(drawn)
    }
    found = walk(chains, "0", policy)
    settled = {
        name: [
            Hop(data.draw(st.booleans()) if hop.fits is None else hop.fits, hop.action, "",
                hop.target)
            for hop in rules
        ]
        for name, rules in chains.items()
    }  # fmt: skip
    truth = naive(settled, "0") or policy
    if found.answer != "unknown":
        assert truth == found.answer
    if settled == chains:
        assert truth == found.answer


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    rules = f"*filter\n:INPUT DROP [0:0]\n-A INPUT {text}\nCOMMIT\n"
    assert verdict(parse_save(rules)["filter"], LOGIN).answer in ("accept", "drop", "unknown")


def rule(*expressions: Any, chain: str = "input") -> dict[str, Any]:
    return {
        "rule": {"family": "inet", "table": "filter", "chain": chain, "handle": 1,
                 "expr": list(expressions)}
    }  # fmt: skip


def match(left: dict[str, Any], right: Any, operator: str = "==") -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}


DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}
SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
STATE = {"ct": {"key": "state"}}
ACCEPT: dict[str, Any] = {"accept": None}
DROP: dict[str, Any] = {"drop": None}


def nft(*rules: dict[str, Any], packet: Packet = LOGIN, policy: str = "drop") -> str:
    entries = [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": "filter", "handle": 1}},
        {"chain": {"family": "inet", "table": "filter", "name": "input", "handle": 2,
                   "type": "filter", "hook": "input", "prio": 0, "policy": policy}},
        {"set": {"family": "inet", "name": "admins", "table": "filter", "type": "ipv4_addr",
                 "elem": [{"prefix": {"addr": "198.51.100.0", "len": 24}}, "192.0.2.1"]}},
        *rules,
    ]  # fmt: skip
    return nft_verdict(json.dumps({"nftables": entries}), packet).answer


@pytest.mark.parametrize(
    ("expressions", "answer"),
    [
        ([match(DPORT, 2222), ACCEPT], "accept"),
        ([match(DPORT, {"set": [22, {"range": [2000, 2300]}]}), ACCEPT], "accept"),
        ([match(DPORT, {"set": [22, 80]}), ACCEPT], "drop"),
        ([match(DPORT, 22, "!="), ACCEPT], "accept"),
        ([match(DPORT, 2000, ">="), ACCEPT], "accept"),
        ([match(SADDR, "@admins"), ACCEPT], "accept"),
        ([match(SADDR, "@elsewhere"), ACCEPT], "unknown"),
        ([match(SADDR, {"prefix": {"addr": "10.0.0.0", "len": 8}}), ACCEPT], "drop"),
        ([match(STATE, ["established", "related"], "in"), ACCEPT], "drop"),
        ([match(STATE, "new", "in"), {"limit": {"rate": 1, "per": "second"}}, ACCEPT], "accept"),
        ([{"limit": {"rate": 1, "per": "second", "inv": True}}, ACCEPT], "drop"),
        ([match({"meta": {"key": "iifname"}}, "lo"), ACCEPT], "drop"),
        ([match({"meta": {"key": "iifname"}}, "eth*"), ACCEPT], "accept"),
        ([match({"meta": {"key": "mark"}}, 1), ACCEPT], "unknown"),
        ([match({"payload": {"protocol": "ip6", "field": "saddr"}}, "fd00::1"), ACCEPT], "drop"),
        ([{"vmap": {"key": DPORT, "data": {"set": [[2222, ACCEPT], [80, DROP]]}}}], "accept"),
        ([{"vmap": {"key": STATE, "data": "@verdicts"}}], "unknown"),
        ([{"set": {"op": "update", "stmt": [{"limit": {"rate": 1}}]}}, ACCEPT], "unknown"),
        ([{"counter": None}, {"log": None}, ACCEPT], "accept"),
        ([{"reject": None}], "drop"),
        ([{"jump": {"target": "nowhere"}}], "drop"),
    ],
)
def test_rules_of_nftables(expressions: list[dict[str, Any]], answer: str) -> None:
    assert nft(rule(*expressions)) == answer


def test_a_second_base_chain_can_still_drop() -> None:
    later = {"chain": {"family": "ip", "table": "own", "name": "late", "handle": 9,
                       "type": "filter", "hook": "input", "prio": 9, "policy": "drop"}}  # fmt: skip
    assert nft(rule(ACCEPT)) == "accept"
    assert nft(rule(ACCEPT), later) == "drop"
    assert nft(rule(ACCEPT), later, packet=LOGIN6) == "accept", "an `ip` table has no IPv6"
