"""IPv6 beside IPv4: the same rules, or off where nothing needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import Port, Session
from host.facts.iptables import Filter, parse_filter
from host.facts.networkd import network_file, switches_ipv6_on
from host.facts.sysctl import Boot, Parameter, parse_assignments
from host.facts.ufw import RULES, RULES6, Configuration, Rule, Status, parse_rules
from snapshots.model import RunCommand, WriteFile
from steps.resource import Context, Planned
from steps.resources.ipv6 import KEYS, Ipv6
from steps.resources.ipv6_off import listen_lines
from tests.unit.given import ALICE, SSHD, context, packages, unit

ETH0 = "net.ipv6.conf.eth0.disable_ipv6"
HERE = (*KEYS, ETH0)
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
        "sysctl": {key: Parameter("0") for key in HERE},
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
        "networkd_ipv6": {},
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
    ctx = host(tmp_path, sysctl=values(), sysctl_boot=boot(), ip6tables=None)
    assert wrong(ctx) == []
    (found,) = Ipv6.parse("firewall.ipv6", {"mode": "guard"}).observe(ctx)
    assert (found.running, found.origin) == ("off", "/etc/sysctl.d/50-off.conf:1")


def values(**interfaces: str) -> dict[str, Parameter]:
    """All is said to be off; an interface may say otherwise."""
    keys = {key: Parameter("1") for key in HERE}
    return keys | {ETH0.replace("eth0", name): Parameter(v) for name, v in interfaces.items()}


def boot(more: str = "", name: str = "50-off.conf") -> Boot:
    path = f"/etc/sysctl.d/{name}"
    text = "".join(f"{key} = 1\n" for key in KEYS) + more
    return Boot(tuple(parse_assignments(path, text)), (), (), {path: text})


@pytest.mark.parametrize(
    "changed",
    [
        {"sysctl": values(eth0="0")},  # alive, whatever conf.all says
        {"sysctl_boot": Boot(())},  # nothing keeps it off
        {"sysctl_boot": boot(f"{ETH0} = 0\n")},
        {"networkd_ipv6": {"eth0": "/etc/systemd/network/lan.network"}, "units": {
            one: unit(one) for one in ("ufw.service", "systemd-networkd.service")}},
        {"units": {"NetworkManager.service": unit("NetworkManager.service")}},
    ],
)  # fmt: skip
def test_what_is_not_off_everywhere_and_for_good_is_judged_by_its_firewall(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    known = {"sysctl": values(), "sysctl_boot": boot(), "ip6tables": None, **changed}
    assert "firewall" in wrong(host(tmp_path / "a", ufw_status=Status(False), **known))
    assert wrong(host(tmp_path / "b", ufw_configuration=None, **known)) == ["IPv6"]
    assert wrong(host(tmp_path / "c", **known), "off") != []
    told = Ipv6.parse("x.y", {"mode": "guard"}).observe(host(tmp_path / "d", **known))[-1]
    assert told.setting == "IPv6 off" and not told.applicable and told.note


def test_a_link_that_networkd_leaves_alone_stays_off(tmp_path: Path) -> None:
    units = {"systemd-networkd.service": unit("systemd-networkd.service")}
    ctx = host(tmp_path, sysctl=values(), sysctl_boot=boot(), units=units, ufw_configuration=None)
    assert wrong(ctx) == wrong(ctx, "off") == []


def test_whether_networkd_gives_a_link_ipv6() -> None:
    state = "ADMIN_STATE=configured\nOPER_STATE=routable\nNETWORK_FILE=/etc/x.network\n"
    assert network_file(state) == "/etc/x.network"
    assert network_file(state.replace("configured", "unmanaged")) == network_file("") == ""
    without = "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing = no\n"
    assert not switches_ipv6_on([without])
    assert switches_ipv6_on(["[Network]\nDHCP=yes\n"])
    assert switches_ipv6_on([f"{without}Address=2001:db8::7/64\n"])
    assert switches_ipv6_on([without, "[Network]\nLinkLocalAddressing=ipv6\n"])
    assert switches_ipv6_on(["[Network]\n#LinkLocalAddressing=no\n"])


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
    assert b"net.ipv6.conf.*.disable_ipv6 = 1" in written.content
    assert commands(planned) == [f"sysctl -w {KEYS[0]}=1 {KEYS[1]}=1 {ETH0}=1"]


def test_off_sets_an_interface_that_was_switched_on_by_itself(tmp_path: Path) -> None:
    ctx = host(tmp_path, sysctl=values(eth0="0"), sysctl_boot=boot())
    assert wrong(ctx, "off") == [ETH0]
    planned = plan(ctx, "off")
    assert planned.refusals == () and commands(planned) == [f"sysctl -w {ETH0}=1"]


@pytest.mark.parametrize("name", ["50-off.conf", "99-zzz.conf"])
def test_off_wins_over_a_line_that_names_an_interface(tmp_path: Path, name: str) -> None:
    there = boot(f"{ETH0} = 0\n", name)
    ctx = host(tmp_path, sysctl=values(), sysctl_boot=there)
    ctx.host.write_file(f"/etc/sysctl.d/{name}", next(iter(there.texts.values())).encode())
    assert wrong(ctx, "off") == [ETH0]
    planned = plan(ctx, "off")
    written = {c.path: c.content for c in planned.changes if isinstance(c, WriteFile)}
    assert planned.refusals == ()
    ours = written.pop("/etc/sysctl.d/99-zz-harden-tui-firewall-ipv6.conf")
    assert f"{ETH0} = 1".encode() in ours
    later = {path: f"{ETH0} = 0".encode() in content for path, content in written.items()}
    assert later == ({} if name == "50-off.conf" else {f"/etc/sysctl.d/{name}": False})


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
    network_file(text)
    switches_ipv6_on([text, f"[Network]\n{text}"])
