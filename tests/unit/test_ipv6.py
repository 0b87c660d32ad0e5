"""IPv6 beside IPv4: the same rules, or off where nothing needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import Port, Session
from host.facts.iptables import Filter, parse_filter
from host.facts.sysctl import Boot, Parameter
from host.facts.ufw import RULES, RULES6, Configuration, Rule, Status, parse_rules
from snapshots.model import RunCommand, WriteFile
from steps.resource import Context, Planned
from steps.resources.ipv6 import KEYS, Ipv6
from steps.resources.ipv6_off import listen_lines
from tests.unit.given import ALICE, SSHD, context, packages, unit

SSH = "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"
ADMIN = "### tuple ### allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in"


def rules(four: tuple[str, ...], six: tuple[str, ...]) -> tuple[Rule, ...]:
    ours = parse_rules("\n".join(four), RULES, ipv6=False)
    theirs = "\n".join(six).replace("0.0.0.0/0", "::/0")
    return (*ours, *parse_rules(theirs, RULES6, ipv6=True))


def kernel(configured: tuple[Rule, ...], *, ipv6: bool, policy: str = "DROP") -> Filter:
    prefix = "ufw6" if ipv6 else "ufw"
    lines = [f"-P INPUT {policy}", "-P OUTPUT ACCEPT"]
    for way in ("input", "output"):
        lines += [
            f"-A {way.upper()} -j {prefix}-before-{way}",
            f"-A {prefix}-before-{way} -j {prefix}-user-{way}",
        ]
    for rule in configured:
        if rule.ipv6 is ipv6:
            source = "" if rule.from_anywhere else f"-s {rule.source} "
            lines.append(f"-A {prefix}-user-input {source}-p tcp -m tcp --dport 22 -j ACCEPT")
    return parse_filter("\n".join(lines))


def host(
    directory: Path,
    four: tuple[str, ...] = (SSH,),
    six: tuple[str, ...] = (SSH,),
    *,
    session: Session = ALICE,
    **changed: Any,
) -> Context:
    configured = rules(four, six)
    answers: dict[str, Any] = {
        "kernel_has_ipv6": True,
        "sysctl": {key: Parameter("0") for key in KEYS},
        "sysctl_boot": Boot(()),
        "interfaces": ("lo", "eth0"),
        "packages": packages("ufw"),
        "ufw_configuration": Configuration(
            enabled=True, ipv6=True, rules=configured, origins={},
            policies={"input": "DROP", "output": "ACCEPT", "forward": "DROP"},
        ),
        "ufw_status": Status(True),
        "iptables": kernel(configured, ipv6=False),
        "ip6tables": kernel(configured, ipv6=True),
        "units": {"ufw.service": unit("ufw.service")},
        "ports": (SSHD,),
    }  # fmt: skip
    return context(directory, session, **{**answers, **changed})


def wrong(ctx: Context, mode: str = "guard") -> list[str]:
    found = Ipv6.parse("firewall.ipv6", {"mode": mode}).observe(ctx)
    return [f.setting for f in found if f.applicable and f.ok is not True]


def plan(ctx: Context, mode: str = "guard") -> Planned:
    return Ipv6.parse("firewall.ipv6", {"mode": mode}).plan(ctx)


def commands(planned: Planned) -> list[str]:
    return [" ".join(change.argv) for change in planned.changes if isinstance(change, RunCommand)]


def test_the_same_rules_pass_and_so_do_rules_for_single_networks(tmp_path: Path) -> None:
    ctx = host(tmp_path, (ADMIN, SSH), (SSH,))
    assert wrong(ctx) == []
    assert plan(ctx).changes == ()


def test_a_host_without_ipv6_passes(tmp_path: Path) -> None:
    assert wrong(host(tmp_path, kernel_has_ipv6=False)) == []
    off = {key: Parameter("1") for key in KEYS}
    assert wrong(host(tmp_path, sysctl=off, ip6tables=None)) == []


def test_without_a_firewall_the_step_for_it_is_named(tmp_path: Path) -> None:
    ctx = host(tmp_path, ufw_configuration=None)
    assert wrong(ctx) == ["IPv6"]
    planned = plan(ctx)
    assert planned.changes == ()
    assert "firewall.ufw" in planned.notes[0]


def test_rules_that_ipv6_lacks_are_added(tmp_path: Path) -> None:
    ctx = host(tmp_path, (SSH,), ())
    assert wrong(ctx) == ["rules for what comes in"]
    assert commands(plan(ctx)) == ["ufw allow 22/tcp"]


def test_what_only_ipv6_lets_in_is_left_to_a_person(tmp_path: Path) -> None:
    more = SSH.replace("tcp 22", "tcp 8080")
    ctx = host(tmp_path, (SSH,), (SSH, more))
    assert wrong(ctx) == ["rules for what comes in"]
    assert "allow 8080/tcp" in plan(ctx).refusals[0]


def test_a_kernel_that_lost_its_rules_gets_them_again(tmp_path: Path) -> None:
    ctx = host(tmp_path, ip6tables=kernel((), ipv6=True))
    assert commands(plan(ctx)) == ["ufw reload"]


def test_a_weaker_policy_is_found(tmp_path: Path) -> None:
    configured = rules((SSH,), (SSH,))
    ctx = host(tmp_path, ip6tables=kernel(configured, ipv6=True, policy="ACCEPT"))
    assert wrong(ctx) == ["incoming (IPv6)"]


def test_off_sets_both_keys_now_and_at_boot(tmp_path: Path) -> None:
    planned = plan(host(tmp_path), "off")
    (written,) = [c for c in planned.changes if isinstance(c, WriteFile)]
    assert written.path.startswith("/etc/sysctl.d/")
    assert [f"{key} = 1".encode() in written.content for key in KEYS] == [True, True]
    assert commands(planned) == [f"sysctl -w {KEYS[0]}=1 {KEYS[1]}=1"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"session": Session("alice", "2001:db8::7", 5000, "2001:db8::1", 22)}, "over IPv6"),
        ({"ports": (Port("tcp", "2001:db8::1", 443, "apache2"),)}, "apache2 on [2001:db8::1]:443"),
    ],
)
def test_off_is_refused_where_somebody_needs_it(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    assert any(said in one for one in plan(host(tmp_path, **more), "off").refusals)


def test_lines_that_bind_a_daemon_to_ipv6() -> None:
    texts = {
        "/etc/ssh/sshd_config": "Port 22\n#ListenAddress ::\nListenAddress ::\n",
        "/etc/apache2/ports.conf": "Listen 80\nListen [::1]:8080\n  Listen 10.0.0.1:443\n",
        "/etc/mysql/my.cnf": "bind-address = ::1\nbind-address = 127.0.0.1\n",
        "/etc/chrony/chrony.conf": "bindcmdaddress ::1\nbindcmdaddress /run/chrony.sock\n",
    }
    assert [origin for origin, _ in listen_lines(texts)] == [
        "/etc/ssh/sshd_config:3",
        "/etc/apache2/ports.conf:2",
        "/etc/mysql/my.cnf:1",
        "/etc/chrony/chrony.conf:1",
    ]


@given(st.text())
def test_no_text_breaks_a_parser(text: str) -> None:
    list(listen_lines({"/x": text, "/y": f"Listen {text}"}))
