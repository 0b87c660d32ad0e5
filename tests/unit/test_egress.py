"""What a host needs to reach, and the rules that let only that out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.apt import Simulation
from host.facts.connections import Connection, parse_connections
from host.facts.iptables import Filter, parse_filter, user_rules
from host.facts.outgoing import (
    Outgoing,
    Place,
    parse_forwards,
    parse_proxies,
    parse_relay,
    parse_resolvers,
    parse_sources,
)
from host.facts.ufw import RULES, RULES6, Configuration, Rule, Status, parse_rules
from snapshots.model import RunCommand
from steps.resource import Context, Planned, StepError
from steps.resources.egress import Egress
from steps.resources.egress_needs import unmet
from steps.resources.egress_rules import defaults, parse_exits
from tests.unit.given import SSHD, context, packages, unit

INTERFACES = {"dns": ["53/udp", "53/tcp"], "http": ["80/tcp"], "ldaps": ["636/tcp"]}
NEEDS = Outgoing(resolvers=("10.0.0.53",), apt=(Place("mirror.example.org", 80),))


def out(*rules: str) -> tuple[Rule, ...]:
    """ "allow udp 53 0.0.0.0/0" for both families, "allow udp 53 10.0.0.53" for its own."""
    found: list[Rule] = []
    for rule in rules:
        tuple_ = f"### tuple ### {rule} any 0.0.0.0/0 out"
        found += parse_rules(tuple_, RULES, ipv6=False)
        if "0.0.0.0/0" in rule:
            found += parse_rules(tuple_.replace("0.0.0.0/0", "::/0"), RULES6, ipv6=True)
    return tuple(found)


ASKED = out("allow udp 53 0.0.0.0/0", "allow tcp 53 0.0.0.0/0", "allow tcp 80 0.0.0.0/0")


def kernel(rules: tuple[Rule, ...], *, ipv6: bool, policy: str = "DROP") -> Filter:
    prefix = "ufw6" if ipv6 else "ufw"
    lines = ["-P INPUT DROP", f"-P OUTPUT {policy}"]
    for way in ("input", "output"):
        lines += [
            f"-A {way.upper()} -j {prefix}-before-{way}",
            f"-A {prefix}-before-{way} -j {prefix}-user-{way}",
        ]
    for rule in rules:
        if rule.ipv6 is ipv6:
            to = "" if "/0" in rule.to else f"-d {rule.to} "
            target = "ACCEPT" if rule.lets_in else "DROP"
            match = f"-p {rule.protocol} -m {rule.protocol} --dport {rule.port} "
            lines.append(f"-A {prefix}-user-output {to}{match}-j {target}")
    return parse_filter("\n".join(lines))


def host(directory: Path, rules: tuple[Rule, ...] = ASKED, **changed: Any) -> Context:
    """A host whose ufw is on with these rules, and lets out nothing else."""
    answers: dict[str, Any] = {
        "packages": packages("ufw"),
        "ufw_configuration": Configuration(
            enabled=True, ipv6=True, rules=rules, origins={},
            policies={"input": "DROP", "output": "DROP", "forward": "DROP"},
        ),
        "ufw_status": Status(True),
        "iptables": kernel(rules, ipv6=False),
        "ip6tables": kernel(rules, ipv6=True),
        "kernel_has_ipv6": True,
        "units": {"ufw.service": unit("ufw.service")},
        "outgoing": NEEDS,
        "connections": (),
        "ports": (SSHD,),
    }  # fmt: skip
    return context(directory, **{**answers, **changed})


def egress(*allow: str, **more: Any) -> Egress:
    body = {"interfaces": INTERFACES, "allow": list(allow or ("dns", "http")), **more}
    return Egress.parse("firewall.egress", body)


def commands(planned: Planned) -> list[str]:
    return [" ".join(change.argv) for change in planned.changes if isinstance(change, RunCommand)]


def test_a_host_that_lets_out_what_is_asked_for_passes(tmp_path: Path) -> None:
    ctx = host(tmp_path)
    assert {f.setting for f in egress().observe(ctx) if f.ok is not True} == set()
    assert egress().plan(ctx).changes == ()


def test_what_the_kernel_lost_is_loaded_again(tmp_path: Path) -> None:
    ctx = host(tmp_path, ip6tables=kernel(ASKED[:2], ipv6=True))
    wrong = [f for f in egress().observe(ctx) if f.ok is False]
    assert [(f.setting, f.running) for f in wrong] == [
        ("dns (53/tcp)", "IPv4 open, IPv6 shut"),
        ("http (80/tcp)", "IPv4 open, IPv6 shut"),
    ]
    assert commands(egress().plan(ctx)) == ["ufw reload"]


def test_rules_come_before_the_policy(tmp_path: Path) -> None:
    open_ = Configuration(
        enabled=True, ipv6=True, rules=(), origins={},
        policies={"input": "DROP", "output": "ACCEPT", "forward": "DROP"},
    )  # fmt: skip
    ctx = host(
        tmp_path,
        ufw_configuration=open_,
        iptables=kernel((), ipv6=False, policy="ACCEPT"),
        ip6tables=kernel((), ipv6=True, policy="ACCEPT"),
    )
    assert commands(egress("dns=10.0.0.53", "http").plan(ctx)) == [
        "ufw allow out from any to 10.0.0.53 port 53 proto udp",
        "ufw allow out from any to 10.0.0.53 port 53 proto tcp",
        "ufw allow out from any to any port 80 proto tcp",
        "ufw default deny outgoing",
    ]


def test_ufw_comes_on_open_so_that_the_kernel_knows_the_present_login(tmp_path: Path) -> None:
    nothing = Filter({"INPUT": "ACCEPT", "OUTPUT": "ACCEPT"}, {})
    ctx = host(
        tmp_path, packages={}, ufw_configuration=None, iptables=nothing, ip6tables=nothing,
        units={}, apt_simulation=Simulation(brings=("ufw 0.36",)), dpkg_busy="",
    )  # fmt: skip
    planned = egress().plan(ctx)
    assert commands(planned)[-3:] == [
        "ufw default allow incoming",
        "ufw --force enable",
        "ufw default deny outgoing",
    ]
    assert planned.packages == ("ufw",)


@pytest.mark.parametrize(
    ("allow", "needs", "said"),
    [
        (("http",), NEEDS, "no name server of /etc/resolv.conf (10.0.0.53)"),
        (("dns=10.0.0.54", "http"), NEEDS, "no name server"),
        (("dns",), NEEDS, "(mirror.example.org:80) cannot be reached"),
        (("dns", "http"), Outgoing(apt=(Place("proxy", 3128),), proxied=True), "the proxy of apt"),
    ],
)
def test_names_and_packages_are_not_cut_off_unless_asked(
    tmp_path: Path, allow: tuple[str, ...], needs: Outgoing, said: str
) -> None:
    ctx = host(tmp_path, rules=(), outgoing=needs)
    refusals = egress(*allow).plan(ctx).refusals
    assert any(said in refusal for refusal in refusals)
    assert egress(*allow, **{"cut-off": True}).plan(ctx).refusals == ()


def test_a_rule_that_lets_everything_out_is_named(tmp_path: Path) -> None:
    ctx = host(tmp_path, rules=(*ASKED, *out("allow any any 0.0.0.0/0")))
    assert any(f.setting == "other rules" and f.ok is False for f in egress().observe(ctx))
    assert "lets every connection out" in egress().plan(ctx).refusals[0]
    assert any("delete allow out" in one for one in commands(egress(strict=True).plan(ctx)))


def test_a_rule_before_ours_that_shuts_it_is_named(tmp_path: Path) -> None:
    ctx = host(tmp_path, rules=(*out("deny tcp 79:81 0.0.0.0/0"), *ASKED))
    assert "comes first and keeps http (80/tcp) shut" in egress().plan(ctx).refusals[0]


def test_what_is_connected_now_and_will_not_be_is_said(tmp_path: Path) -> None:
    ctx = host(
        tmp_path, rules=ASKED[:2],
        connections=(Connection("10.0.0.9", 3306, "tcp", "php-fpm"),
                     Connection("10.0.0.8", 80, "tcp")),
    )  # fmt: skip
    notes = " ".join(egress().plan(ctx).notes)
    assert "10.0.0.9 3306/tcp (php-fpm)" in notes
    assert "10.0.0.8" not in notes


def test_items_are_read_strictly() -> None:
    exits = parse_exits(["ldaps=10.0.0.9", "8080/tcp=10.1.0.0/16", "dns"], INTERFACES)
    assert [one.label for one in exits] == [
        "ldaps (636/tcp) to 10.0.0.9",
        "8080/tcp to 10.1.0.0/16",
        "dns (53/udp)",
        "dns (53/tcp)",
    ]
    for wrong in ("ldap", "70000/tcp", "80", "dns=here", "80/icmp"):
        with pytest.raises(StepError):
            parse_exits([wrong], INTERFACES)


def test_defaults_are_what_the_host_is_configured_for() -> None:
    assert defaults(Outgoing()) == ("dns", "ntp", "http", "https")
    assert defaults(
        Outgoing(
            resolvers=("10.0.0.53", "fd00::53"),
            apt=(Place("10.0.0.80", 3128),),
            proxied=True,
            mail=(Place("mail.example.org", 587),),
            syslog=(Place("10.0.0.14", 6514),),
        )
    ) == (
        "dns=10.0.0.53", "dns=fd00::53", "ntp", "3128/tcp=10.0.0.80", "submission",
        "syslog-tls=10.0.0.14",
    )  # fmt: skip
    leased = defaults(Outgoing(resolvers=("10.0.0.53",), leased=True))
    assert leased == ("dns", "ntp", "http", "https", "dhcp")


def test_one_name_server_of_two_is_enough() -> None:
    needs = Outgoing(resolvers=("10.0.0.53", "10.0.0.54"))
    assert unmet(needs, out("allow udp 53 10.0.0.54"))[0].ok
    assert not unmet(needs, out("allow udp 53 10.0.0.55"))[0].ok


def test_the_files_of_a_host_are_read() -> None:
    assert parse_resolvers("nameserver 127.0.0.53\nnameserver fe80::1%eth0\n") == ("fe80::1",)
    sources = (
        "deb [signed-by=/x] http://mirror.example.org/debian bookworm main\n# deb http://no.org/ x"
    )
    assert parse_sources(sources) == (Place("mirror.example.org", 80),)
    stanzas = (
        "Types: deb\nURIs: https://a.example:8443/debian\n\n"
        "Types: deb\nEnabled: no\nURIs: http://b.example/\n\nURIs: file:/srv/repo\n"
    )
    assert parse_sources(stanzas) == (Place("a.example", 8443),)
    dump = 'Acquire::http::Proxy "http://u:p@proxy.example:3128/";\nAcquire::https::Proxy "DIRECT";'
    assert parse_proxies(dump) == (Place("proxy.example", 3128),)
    assert parse_forwards("*.* @@logs.example:6514\nauth.* @10.0.0.1\n#*.* @no") == (
        Place("logs.example", 6514),
        Place("10.0.0.1", 514, "udp"),
    )
    action = 'action(type="omfwd" target="logs.example" port="6514" protocol="tcp")'
    assert parse_forwards(action) == (Place("logs.example", 6514),)
    assert parse_relay("relayhost = [mail.example]:submission\n", "") == (
        Place("mail.example", 587),
    )
    assert parse_relay("relayhost =\n", "host smtp.example\nport 465\n") == (
        Place("smtp.example", 465),
    )


def test_connections_that_came_in_are_not_ours() -> None:
    text = (
        'tcp ESTAB 0 0 10.0.0.2:22 10.0.0.1:57196 users:(("sshd",pid=2,fd=7))\n'
        'tcp ESTAB 0 0 10.0.0.2:41230 10.0.0.9:3306 users:(("php-fpm",pid=7,fd=5))\n'
        "tcp ESTAB 0 0 127.0.0.1:41230 127.0.0.1:3306\n"
        "tcp SYN-SENT 0 1 [fd00::2]:5000 [fd00::9]:389\n"
    )
    assert parse_connections(text, frozenset({22})) == (
        Connection("10.0.0.9", 3306, "tcp", "php-fpm"),
        Connection("fd00::9", 389, "tcp"),
    )


def test_rules_of_the_kernel_for_what_goes_out() -> None:
    table = parse_filter(
        "-A ufw-user-output -d 10.0.0.53/32 -p udp -m udp --dport 53 -j ACCEPT\n"
        "-A ufw-user-output -o eth0 -p tcp -m multiport --dports 80,443 -j ACCEPT\n"
    )
    first, second = user_rules(table, ipv6=False, way="output")
    assert (first.to, first.port, first.direction) == ("10.0.0.53/32", "53", "out")
    assert (second.port, second.interface_out) == ("80,443", "eth0")


@given(st.text(alphabet=st.sampled_from("a@:/[]=# \n\"'().0123456789xnameservr")), st.text())
def test_no_text_breaks_a_parser(words: str, anything: str) -> None:
    for text in (words, anything, f"nameserver {words}", f"*.* @@{words}", f"http://{words}"):
        parse_resolvers(text)
        parse_sources(text)
        parse_proxies(f'Acquire::http::Proxy "{text}";')
        parse_forwards(text)
        parse_relay(text, text)
        parse_connections(text, frozenset())
    try:
        parse_exits([words, anything], INTERFACES)
    except StepError:
        return
