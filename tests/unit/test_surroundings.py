"""surroundings.*: hardware that tells how it is, and ways in that are narrow enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts import FactUnavailable
from host.facts.hardware import Array, Hardware, parse_mdstat
from host.facts.iptables import Filter, parse_filter
from host.facts.sshd import Daemon
from host.facts.sshd_tree import MAIN, parse_tree
from host.facts.ufw import Configuration, Rule, Status
from steps.resource import Context, StepError
from steps.resources.admin_network import AdminNetwork
from steps.resources.hardware import HardwareFaults
from tests.unit.given import SSHD, context, unit

MDSTAT = """\
Personalities : [raid1] [raid6] [raid5] [raid4]
md1 : active raid1 sdb2[1] sda2[0](F)
      1046528 blocks super 1.2 [2/1] [_U]
      [==>..................]  recovery = 12.6% (37043392/292945152) finish=127.5min
md0 : active (auto-read-only) raid5 sdc1[3] sdb1[1] sda1[0]
      976508928 blocks super 1.2 level 5, 512k chunk, algorithm 2 [3/3] [UUU]
      bitmap: 0/4 pages [0KB], 65536KB chunk
md9 : active raid0 sdd1[0] sde1[1]
      976508928 blocks super 1.2 512k chunks

unused devices: <none>
"""


def test_arrays_of_linux() -> None:
    assert parse_mdstat(MDSTAT) == (
        Array("md1", "raid1", True, 2, 1),
        Array("md0", "raid5", True, 3, 3),
    )
    assert [one.is_whole for one in parse_mdstat(MDSTAT)] == [False, True]


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_mdstat(text)
    parse_mdstat(f"md0 : active raid1 {text}\n{text}")


def hardware(directory: Path, answer: Hardware) -> list[tuple[str, bool | None]]:
    step = HardwareFaults.parse("x.y", {"question": "Well?"})
    ctx = context(directory, hardware=answer)
    planned = step.plan(ctx)
    assert planned.changes == ()
    return [(one.setting, one.ok) for one in step.observe(ctx)]


def test_a_machine_that_knows_all_needs_no_person(tmp_path: Path) -> None:
    answer = Hardware(arrays=(Array("md0", "raid1", True, 2, 2),), memory_controllers=1,
                      corrected=3, ups={"rack": "OL"})  # fmt: skip
    assert hardware(tmp_path, answer) == [
        ("md0 (raid1)", True), ("memory", True), ("UPS rack", True),
    ]  # fmt: skip


def test_faults_are_faults(tmp_path: Path) -> None:
    answer = Hardware(arrays=(Array("md0", "raid1", True, 2, 1),), memory_controllers=1,
                      uncorrected=1, ups={"rack": "OB DISCHRG"})  # fmt: skip
    assert [ok for _, ok in hardware(tmp_path, answer)] == [False, False, False]


def test_a_virtual_machine_cannot_know(tmp_path: Path) -> None:
    found = hardware(tmp_path, Hardware(virtual="virtual machine", memory_controllers=1))
    assert [ok for _, ok in found] == [None] * 4
    assert found[-1][0] == "answer of a person"


def network(
    directory: Path, allowed: str = "", *, files: str = "", **answers: Any
) -> tuple[list[Any], Context]:
    text = files or f"AllowUsers {allowed}\n"
    usual: dict[str, Any] = {
        "sshd_effective": {"port": "22", "allowusers": allowed}, "sshd_origins": {},
        "sshd_daemon": Daemon(state="running"), "sshd_unread": (), "ports": (SSHD,),
        "sshd_tree": parse_tree(MAIN, {MAIN: text}.__getitem__, lambda _: []),
        "ufw_status": Status(False), "ufw_configuration": None,
    }  # fmt: skip
    ctx = context(directory, **{**usual, **answers})
    body = {"networks": ["192.0.2.0/24", "2001:db8::/48"], "question": "Well?"}
    return AdminNetwork.parse("x.y", body).observe(ctx), ctx


@pytest.mark.parametrize(
    ("allowed", "good"),
    [
        ("*@192.0.2.0/25", True),
        ("alice@192.0.2.7 bob@2001:db8::/64", True),
        ("alice@192.0.2.7 bob", False),
        ("*@192.0.0.0/16", False),
        ("*@192.0.2.*", False),
        ("", False),
    ],
)
def test_what_sshd_lets_in(tmp_path: Path, allowed: str, good: bool) -> None:
    findings, _ = network(tmp_path, allowed)
    assert all(finding.ok for finding in findings) is good
    if not good:
        assert findings[-1].setting == "answer of a person"


@pytest.mark.parametrize(
    ("block", "good"),
    [
        ("Match User bob\n  AllowUsers bob\n", False),
        ("Match User bob\n  AllowUsers bob@192.0.2.7\n", True),
        ("Match User bob\n  AllowUsers bob@192.0.2.7 bob\n", False),
        ("Match User bob\n  X11Forwarding no\n", True),
    ],
)
def test_a_match_block_takes_the_place_of_what_sshd_lets_in(
    tmp_path: Path, block: str, good: bool
) -> None:
    allowed = "*@192.0.2.0/24"
    findings, _ = network(tmp_path, allowed, files=f"AllowUsers {allowed}\n{block}")
    assert all(finding.ok for finding in findings) is good
    assert good or ("Match User bob" in findings[1].running and findings[1].ok is None)


def test_what_sshd_did_not_read_yet_keeps_nobody_out(tmp_path: Path) -> None:
    findings, _ = network(tmp_path, "*@192.0.2.0/24", sshd_unread=(MAIN,))
    assert findings[1].ok is None and "not in force" in findings[1].note


def _ufw(*sources: str, policy: str = "DROP", rules: tuple[Rule, ...] = ()) -> dict[str, Any]:
    rules += tuple(
        Rule(action="allow", protocol="tcp", port="22", source=one, ipv6=":" in one)
        for one in sources
    )
    return {
        "ufw_status": Status(True, {"incoming": "deny"}),
        "ufw_configuration": Configuration(
            enabled=True, ipv6=True, policies={"input": policy}, rules=rules, origins={}
        ),
        "units": {"ufw.service": unit("ufw.service")},
        "kernel_has_ipv6": True,
        "iptables": _kernel(rules, ipv6=False, policy=policy),
        "ip6tables": _kernel(rules, ipv6=True, policy=policy),
    }


def _kernel(rules: tuple[Rule, ...], *, ipv6: bool, policy: str = "DROP") -> Filter:
    prefix = "ufw6" if ipv6 else "ufw"
    here = [
        f"-A {prefix}-user-input {f'-i {one.interface_in} ' if one.interface_in else ''}"
        f"-s {one.source} -d {one.to} -p tcp -m tcp --dport 22 -j ACCEPT"
        for one in rules if one.ipv6 is ipv6
    ]  # fmt: skip
    return parse_filter("\n".join([
        f"-P INPUT {policy}", f"-A INPUT -j {prefix}-before-input",
        f"-A {prefix}-before-input -j {prefix}-user-input", *here,
    ]))  # fmt: skip


def test_what_ufw_lets_in(tmp_path: Path) -> None:
    findings, _ = network(tmp_path / "a", **_ufw("192.0.2.0/24", "2001:db8::/64"))
    assert [(one.resource, one.ok) for one in findings] == [("ufw", True)]
    findings, _ = network(tmp_path / "b", **_ufw("192.0.2.0/24", "::/0"))
    assert findings[0].ok is None and "::/0" in findings[0].running
    findings, _ = network(tmp_path / "c", **_ufw("192.0.2.0/24", policy="ACCEPT"))
    assert findings[0].ok is None


ANYONE = Rule(action="allow", protocol="tcp", port="22", source="0.0.0.0/0")


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({"interface_in": "eth0"}, False),
        ({"to": "203.0.113.5"}, False),
        ({"source_port": "1024:65535"}, False),
        ({"port": "any", "protocol": "any", "interface_in": "eth0"}, False),
        ({"interface_in": "lo"}, True),
        ({"interface_in": "eth0", "source": "192.0.2.0/25"}, True),
        ({"direction": "out"}, True),
    ],
)
def test_a_rule_with_a_condition_that_anybody_can_meet_is_too_wide(
    tmp_path: Path, changed: dict[str, Any], good: bool
) -> None:
    rule = msgspec.structs.replace(ANYONE, **changed)
    known = _ufw("192.0.2.0/24", rules=(rule,)) | {"iptables": _kernel((), ipv6=False)}
    findings, _ = network(tmp_path, **known)
    assert findings[0].ok is (True if good else None)
    assert good or "0.0.0.0/0" in findings[0].persistent in findings[0].note


@pytest.mark.parametrize(
    ("changed", "running", "persistent"),
    [
        ({"iptables": parse_filter("-P INPUT ACCEPT")}, "ufw is not in force", "only from there"),
        ({"iptables": None}, "ufw is not in force", "only from there"),
        ({"ip6tables": _kernel((), ipv6=True, policy="ACCEPT")}, "from anywhere",
         "only from there"),
        ({"iptables": _kernel((ANYONE,), ipv6=False)}, "from 0.0.0.0/0", "only from there"),
        ({"units": {"ufw.service": unit("ufw.service", enabled="disabled")}}, "only from there",
         "ufw is off"),
        ({"iptables": FactUnavailable("needs root")}, "not known", ""),
    ],
)  # fmt: skip
def test_what_the_kernel_filters_counts_and_what_it_will_after_a_boot(
    tmp_path: Path, changed: dict[str, Any], running: str, persistent: str
) -> None:
    findings, _ = network(tmp_path, **(_ufw("192.0.2.0/24") | changed))
    assert findings[0].ok is None
    assert findings[0].running.startswith(running) and findings[0].persistent == persistent


def test_ssh_on_the_port_of_its_socket_counts(tmp_path: Path) -> None:
    """ssh.socket listens elsewhere, and sshd does not know."""
    port = msgspec.structs.replace(SSHD, port=2222, process="systemd", unit="ssh.socket")
    known = _ufw("192.0.2.0/24", rules=(msgspec.structs.replace(ANYONE, port="2222"),))
    findings, _ = network(
        tmp_path, ports=(port,), sshd_daemon=Daemon(state="on-demand", by_socket=True), **known
    )
    assert findings[0].ok is None


def test_a_ufw_that_cannot_be_asked_is_no_error(tmp_path: Path) -> None:
    findings, _ = network(tmp_path, ufw_status=FactUnavailable("needs root"))
    assert findings[0].note == "needs root"


def test_no_network_at_all() -> None:
    with pytest.raises(StepError, match="networks"):
        AdminNetwork.parse("x.y", {"networks": [], "question": "Well?"})
