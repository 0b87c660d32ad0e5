"""What the firewall step would do, and when it refuses: nobody is ever locked out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host.base import FileState, Port, Session
from host.facts.apt import Simulation
from host.facts.iptables import Filter, parse_filter
from host.facts.ufw import RULES, RULES6, Configuration, Rule, Status, parse_rules
from snapshots.model import InstallPackages, RunCommand, WriteFile
from steps.resource import Context, Planned, StepError
from steps.resources.ufw import Ufw
from tests.unit.given import ALICE, SSHD, context, packages, recorded, unit

WEB = ["80/tcp", "443/tcp"]
NOTHING = Filter({"INPUT": "ACCEPT", "FORWARD": "ACCEPT", "OUTPUT": "ACCEPT"}, {})
CHAINS = """\
-P INPUT DROP
-P FORWARD DROP
-P OUTPUT ACCEPT
-A INPUT -j ufw{0}-before-input
-A ufw{0}-before-input -j ufw{0}-user-input
"""


def tuples(*rules: str) -> tuple[Rule, ...]:
    """ "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", for both families unless it names an address."""
    found: list[Rule] = []
    for rule in rules:
        text = f"### tuple ### {rule}"
        found += parse_rules(text, RULES, ipv6=False)
        if rule.split()[5] == "0.0.0.0/0":
            found += parse_rules(text.replace("0.0.0.0/0", "::/0"), RULES6, ipv6=True)
    return tuple(found)


def port_rule(action: str, port: str) -> str:
    return f"{action} tcp {port} 0.0.0.0/0 any 0.0.0.0/0 in"


OPEN = [port_rule("allow", port) for port in ("22", "80", "443")]


def kernel(rules: tuple[Rule, ...], ipv6: bool) -> Filter:
    prefix = "6" if ipv6 else ""
    lines = [CHAINS.format(prefix)]
    for rule in rules:
        if rule.ipv6 is ipv6:
            source = "" if rule.from_anywhere else f"-s {rule.source} "
            target = {"allow": "ACCEPT", "deny": "DROP"}[rule.action]
            match = "" if rule.port == "any" else f"-p tcp -m tcp --dport {rule.port} "
            lines.append(f"-A ufw{prefix}-user-input {source}{match}-j {target}\n")
    return parse_filter("".join(lines))


def installed(directory: Path, *rules: str, session: Session = ALICE, **changed: Any) -> Context:
    """A host with ufw on and these rules, in its files and in the kernel."""
    known = tuples(*rules)
    answers: dict[str, Any] = {
        "packages": packages("ufw", "openssh-server"),
        "ufw_configuration": Configuration(
            enabled=True,
            ipv6=True,
            policies={"input": "DROP", "output": "ACCEPT", "forward": "DROP"},
            rules=known,
            origins={},
        ),
        "ufw_status": Status(True),
        "iptables": kernel(known, False),
        "ip6tables": kernel(known, True),
        "kernel_has_ipv6": True,
        "units": {"ufw.service": unit("ufw.service")},
        "ports": (SSHD,),
        "sshd_daemon": None,
        "sshd_effective": {},
    }
    answers.update(changed)
    answers["sshd_daemon"] = _Daemon()
    return context(directory, session, **answers)


class _Daemon:
    by_socket = False


def blank(directory: Path, **changed: Any) -> Context:
    answers: dict[str, Any] = {
        "packages": packages("openssh-server"),
        "ufw_configuration": None,
        "iptables": None,
        "ip6tables": None,
        "units": {},
        "dpkg_busy": "",
        "apt_simulation": Simulation(brings=("ufw 0.36.2-1",)),
    }
    answers.update(changed)
    return installed(directory, **answers)


def wanted(**body: Any) -> Ufw:
    return Ufw.parse("firewall.ufw", {"allow": WEB, **body})


def commands(planned: Planned) -> list[str]:
    return [" ".join(c.argv) for c in planned.changes if isinstance(c, RunCommand)]


def good(resource: Ufw, ctx: Context) -> bool:
    return all(finding.ok for finding in resource.observe(ctx) if finding.applicable)


def test_a_blank_host_opens_ssh_before_it_shuts_the_rest(tmp_path: Path) -> None:
    ctx = blank(tmp_path)
    assert not good(wanted(), ctx)
    planned = wanted().plan(ctx)
    assert isinstance(planned.changes[0], InstallPackages)
    assert commands(planned) == [
        "ufw allow 22/tcp",
        "ufw allow 80/tcp",
        "ufw allow 443/tcp",
        "ufw default deny incoming",
        "ufw --force enable",
    ]


def test_a_host_as_wanted_is_left_alone(tmp_path: Path) -> None:
    ctx = installed(tmp_path, *OPEN)
    assert good(wanted(), ctx)
    assert wanted().plan(ctx) == Planned()


def test_the_port_of_the_present_connection_is_opened_whatever_listens(tmp_path: Path) -> None:
    session = Session(user="a", client_address="198.51.100.7", client_port=1, server_port=2022)
    planned = wanted().plan(installed(tmp_path, *OPEN, session=session, ports=()))
    assert commands(planned) == ["ufw allow 2022/tcp"]


def test_a_socket_of_systemd_counts_as_ssh(tmp_path: Path) -> None:
    listening = Port(protocol="tcp", address="::", port=2222, process="systemd", unit="ssh.socket")
    ctx = installed(tmp_path, *OPEN, session=Session(), ports=(listening,))
    assert commands(wanted().plan(ctx)) == ["ufw allow 2222/tcp"]


def test_only_what_differs(tmp_path: Path) -> None:
    planned = wanted().plan(installed(tmp_path, *OPEN[:2]))
    assert commands(planned) == ["ufw allow 443/tcp"]


def test_networks_for_ssh_replace_everyone(tmp_path: Path) -> None:
    resource = wanted(**{"from": ["198.51.100.0/24", "2001:db8::/32"]})
    planned = resource.plan(installed(tmp_path, *OPEN))
    assert commands(planned) == [
        "ufw allow from 198.51.100.0/24 to any port 22 proto tcp",
        "ufw allow from 2001:db8::/32 to any port 22 proto tcp",
        "ufw --force delete allow 22/tcp",
    ]


@pytest.mark.parametrize("address", ["198.51.100.7", "::ffff:198.51.100.7"])
@pytest.mark.parametrize(("network", "refused"), [("198.51.100.0/24", False), ("10.0.0.0/8", True)])
def test_networks_without_the_present_client_are_refused(
    tmp_path: Path, address: str, network: str, refused: bool
) -> None:
    session = Session(user="a", client_address=address, client_port=1, server_port=22)
    planned = wanted(**{"from": [network]}).plan(installed(tmp_path, *OPEN, session=session))
    assert bool(planned.lockouts) is refused
    assert planned.changes and not planned.refusals
    if refused:
        assert "198.51.100.7" in planned.lockouts[0]


def test_a_rule_that_would_turn_the_present_client_away_is_refused(tmp_path: Path) -> None:
    deny = "deny any any 0.0.0.0/0 any 198.51.100.0/24 in"
    planned = wanted().plan(installed(tmp_path, deny, *OPEN[:2]))
    assert any("turn away your own connection" in lockout for lockout in planned.lockouts)
    assert planned.changes and not planned.refusals


def test_a_rule_of_the_other_action_is_replaced_in_its_place(tmp_path: Path) -> None:
    planned = wanted().plan(installed(tmp_path, port_rule("deny", "443"), *OPEN[:2]))
    assert commands(planned) == ["ufw allow 443/tcp"]
    assert not planned.refusals


def test_a_rule_before_it_that_keeps_a_port_shut_is_refused(tmp_path: Path) -> None:
    ctx = installed(tmp_path, port_rule("deny", "400:500"), *OPEN)
    assert not good(wanted(), ctx)
    assert "comes first and keeps 443/tcp shut" in wanted().plan(ctx).refusals[0]


def test_rules_of_the_host_are_kept_unless_strict(tmp_path: Path) -> None:
    ctx = installed(tmp_path, *OPEN, port_rule("allow", "8080"))
    assert good(wanted(), ctx)
    assert commands(wanted(strict=True).plan(ctx)) == ["ufw --force delete allow 8080/tcp"]


def test_active_by_its_own_word_but_gone_from_the_kernel(tmp_path: Path) -> None:
    ctx = installed(tmp_path, *OPEN, iptables=NOTHING)
    assert not good(wanted(), ctx)
    assert commands(wanted().plan(ctx)) == ["ufw reload"]


def test_a_gate_that_somebody_opened_is_shut(tmp_path: Path) -> None:
    table = kernel(tuples(*OPEN), False)
    chain = ("-j ACCEPT", *table.chains["INPUT"])
    opened = Filter(table.policies, {**table.chains, "INPUT": chain})
    ctx = installed(tmp_path, *OPEN, iptables=opened)
    assert not good(wanted(), ctx)
    assert commands(wanted().plan(ctx)) == ["iptables -D INPUT -j ACCEPT"]


def test_without_ipv6_in_the_kernel_nothing_of_it_is_asked(tmp_path: Path) -> None:
    ctx = installed(tmp_path, *OPEN, kernel_has_ipv6=False, ip6tables=None)
    assert good(wanted(), ctx)
    assert not any("IPv6" in finding.running for finding in wanted().observe(ctx))


def test_ipv6_switched_off_in_ufw_is_switched_on(tmp_path: Path) -> None:
    known = tuple(rule for rule in tuples(*OPEN) if not rule.ipv6)
    off = Configuration(
        enabled=True,
        ipv6=False,
        policies={"input": "DROP", "output": "ACCEPT", "forward": "DROP"},
        rules=known,
        origins={},
    )
    ctx = installed(tmp_path, *OPEN, ufw_configuration=off, ip6tables=NOTHING)
    ctx.host.write_file("/etc/default/ufw", recorded("trixie", "ufw/default").encode())
    text = ctx.host.read_bytes("/etc/default/ufw").replace(b"IPV6=yes", b"IPV6=no")
    ctx.host.write_file("/etc/default/ufw", text)
    planned = wanted().plan(ctx)
    written = [change for change in planned.changes if isinstance(change, WriteFile)]
    assert written[0].content == text.replace(b"IPV6=no", b"IPV6=yes")
    assert commands(planned)[:2] == ["ufw reload", "ufw allow 22/tcp"]


@pytest.mark.parametrize("rival", ["iptables-persistent", "firewalld"])
def test_another_manager_of_the_firewall_is_refused(tmp_path: Path, rival: str) -> None:
    planned = wanted().plan(blank(tmp_path, packages=packages("openssh-server", rival)))
    assert rival in planned.refusals[0]
    assert not planned.changes


DEBIANS_NFTABLES = """\
#!/usr/sbin/nft -f

flush ruleset

table inet filter {
\tchain input {
\t\ttype filter hook input priority filter;
\t}
\tchain forward {
\t\ttype filter hook forward priority filter;
\t}
\tchain output {
\t\ttype filter hook output priority filter;
\t}
}
"""


def test_nftables_service_is_stopped_first_if_it_holds_no_rules(tmp_path: Path) -> None:
    units = {"ufw.service": unit("ufw.service"), "nftables.service": unit("nftables.service")}
    ctx = installed(tmp_path, *OPEN, units=units)
    ctx.host.write_file("/etc/nftables.conf", DEBIANS_NFTABLES.encode())
    assert not good(wanted(), ctx)
    planned = wanted().plan(ctx)
    assert commands(planned)[0] == "systemctl disable --now nftables.service"
    assert planned.stops == ("nftables.service",)
    ctx.host.write_file(
        "/etc/nftables.conf", DEBIANS_NFTABLES.replace(";\n\t}", ";\n\t\ttcp dport 22 accept\n\t}")
        .encode(),
    )  # fmt: skip
    assert "holds rules of this host" in wanted().plan(ctx).refusals[0]


def test_sources_without_ufw_are_refused_with_the_way_out(tmp_path: Path) -> None:
    planned = wanted().plan(blank(tmp_path, apt_simulation=Simulation(missing=("ufw",))))
    assert "do not offer ufw" in planned.refusals[0]
    assert "apt-get update" in planned.refusals[0]
    assert not planned.changes


def test_what_listens_and_will_be_shut_is_told(tmp_path: Path) -> None:
    database = Port(protocol="tcp", address="::", port=3306, process="mariadbd")
    planned = wanted().plan(blank(tmp_path, ports=(SSHD, database)))
    assert any("3306/tcp (mariadbd)" in note for note in planned.notes)
    assert not any("22/tcp" in note for note in planned.notes)


def test_a_stricter_policy_for_outgoing_is_kept(tmp_path: Path) -> None:
    ctx = installed(tmp_path, *OPEN)
    configuration = Configuration(
        enabled=True,
        ipv6=True,
        policies={"input": "REJECT", "output": "DROP", "forward": "DROP"},
        rules=tuples(*OPEN[:2]),
        origins={},
    )
    ctx = installed(tmp_path, *OPEN[:2], ufw_configuration=configuration)
    assert commands(wanted().plan(ctx)) == ["ufw allow 443/tcp"]


@pytest.mark.parametrize("bad", ["0/tcp", "70000", "80/sctp", "ssh; reboot", "443:80/tcp"])
def test_what_is_no_port_is_an_error(bad: str) -> None:
    with pytest.raises(StepError):
        wanted(allow=[bad])


def _beforehand(directory: Path, before: str, **changed: Any) -> Planned:
    """The plan of a host whose before.rules has these lines, as ALICE sees it."""
    ctx = installed(directory, *OPEN[:2], **changed)
    ctx.host.put("/etc/ufw", FileState(kind="dir", mode=0o755))
    ctx.host.write_file("/etc/ufw/before.rules", f"*filter\n{before}COMMIT\n".encode())
    return wanted().plan(ctx)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", ""),
        ("-A ufw-before-input -s 198.51.100.0/24 -j DROP\n", "-s 198.51.100.0/24 -j DROP decides"),
        ("-A ufw-before-output -p tcp --sport 22 -j DROP\n", "--sport 22 -j DROP decides"),
        ("-A ufw-before-input -s 203.0.113.0/24 -j DROP\n", ""),
    ],
)
def test_what_stands_before_ufws_own_rules_counts(tmp_path: Path, before: str, reason: str) -> None:
    planned = _beforehand(tmp_path, before)
    assert planned.changes and not planned.refusals
    assert reason in " ".join(planned.lockouts)
    assert bool(planned.lockouts) is bool(reason)


def test_a_doubt_is_a_note_and_no_lock_out(tmp_path: Path) -> None:
    planned = _beforehand(tmp_path, "-A ufw-before-input -m set --match-set bad src -j DROP\n")
    assert planned.lockouts == ()
    assert any("cannot be told" in note and "--match-set bad" in note for note in planned.notes)
