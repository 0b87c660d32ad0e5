"""ufw and iptables: rules kept in ufw's own files, a filter that is on or off."""

from __future__ import annotations

import itertools
import re

from host.practice.machine import Machine
from host.practice.programs.answer import Answer

MAIN, DEFAULTS = "/etc/ufw/ufw.conf", "/etc/default/ufw"
RULES = {False: "/etc/ufw/user.rules", True: "/etc/ufw/user6.rules"}
ANYWHERE = {False: "0.0.0.0/0", True: "::/0"}
_POLICIES = {"deny": "DROP", "allow": "ACCEPT", "reject": "REJECT"}
_VARIABLES = {"incoming": "DEFAULT_INPUT_POLICY", "outgoing": "DEFAULT_OUTPUT_POLICY",
              "routed": "DEFAULT_FORWARD_POLICY"}  # fmt: skip
_TARGETS = {"allow": "ACCEPT", "deny": "DROP", "reject": "REJECT"}


def ufw(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """enable, disable, reload, default, status, allow/deny/reject and delete."""
    words = [word for word in args if word != "--force"]
    verb = words[0] if words else "status"
    if verb == "status":
        return Answer(0, _status(machine))
    if verb in ("enable", "disable"):
        machine.memory.firewall_on = verb == "enable"
        _assign(machine, MAIN, "ENABLED", "yes" if verb == "enable" else "no")
        if verb == "enable":
            _set_kernel(machine)
        return Answer(0, f"Firewall {verb}d\n")
    if verb == "reload":
        return Answer(0, "Firewall reloaded\n")
    if verb == "default":
        direction = words[2] if len(words) > 2 else "incoming"
        _assign(machine, DEFAULTS, _VARIABLES[direction], f'"{_POLICIES[words[1]]}"')
        return Answer(0, f"Default {direction} policy changed to '{words[1]}'\n")
    delete = verb == "delete"
    return _rule(machine, words[1:] if delete else words, delete)


def iptables(ipv6: bool) -> object:
    """`iptables -S` or `ip6tables -S`: ufw's chains while the firewall is on."""

    def program(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
        if not machine.memory.firewall_on:
            return Answer(0, "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n")
        prefix = "ufw6" if ipv6 else "ufw"
        policies = _assignments(machine.text(DEFAULTS))
        rows = [f"-P {chain} {policies.get(variable, 'ACCEPT')}" for chain, variable in (
            ("INPUT", "DEFAULT_INPUT_POLICY"), ("FORWARD", "DEFAULT_FORWARD_POLICY"),
            ("OUTPUT", "DEFAULT_OUTPUT_POLICY"))]  # fmt: skip
        chains = [f"{prefix}-{when}-{way}" for when in ("before", "user", "after")
                  for way in ("input", "output", "forward")]  # fmt: skip
        rows += [f"-N {chain}" for chain in chains]
        for way, builtin in (("input", "INPUT"), ("forward", "FORWARD"), ("output", "OUTPUT")):
            rows += [f"-A {builtin} -j {prefix}-before-{way}",
                     f"-A {builtin} -j {prefix}-after-{way}",
                     f"-A {prefix}-before-{way} -j {prefix}-user-{way}"]  # fmt: skip
        for line in machine.text(RULES[ipv6]).splitlines():
            if line.startswith("-A"):
                rows.append(re.sub(r"-p (tcp|udp) --", r"-p \1 -m \1 --", line))
        return Answer(0, "\n".join(rows) + "\n")

    return program


def _status(machine: Machine) -> str:
    if not machine.memory.firewall_on:
        return "Status: inactive\n"
    shown = {value: key for key, value in _POLICIES.items()}
    policies = _assignments(machine.text(DEFAULTS))
    named = {way: shown.get(policies.get(variable, ""), "allow")
             for way, variable in _VARIABLES.items()}  # fmt: skip
    rows = []
    for ipv6 in (False, True):
        for line in machine.text(RULES[ipv6]).splitlines():
            found = re.match(r"### tuple ### (\w+) (\w+) (\S+) \S+ any (\S+) in", line)
            if found:
                to = found[3] if found[2] == "any" else f"{found[3]}/{found[2]}"
                source = "Anywhere" if found[4] == ANYWHERE[ipv6] else found[4]
                mark = " (v6)" if ipv6 else ""
                rows.append(f"{to + mark:<27}{found[1].upper() + ' IN':<12}{source}{mark}")
    return (
        "Status: active\nLogging: on (low)\n"
        f"Default: {named['incoming']} (incoming), {named['outgoing']} (outgoing),"
        f" {named['routed']} (routed)\nNew profiles: skip\n\n"
        "To                         Action      From\n--                         ------      ----\n"
        + "\n".join(rows) + "\n"
    )  # fmt: skip


def _rule(machine: Machine, words: list[str], delete: bool) -> Answer:
    action, rest = words[0], words[1:]
    if action not in _TARGETS:
        return Answer(1, "", f"ERROR: Invalid syntax: {' '.join(words)}\n")
    port, protocol, source = "any", "any", ""
    if rest and re.fullmatch(r"[\d:]+(/\w+)?", rest[0]):
        port, _, protocol = rest[0].partition("/")
    pairs = dict(itertools.pairwise(rest))
    port = pairs.get("port", port)
    protocol = pairs.get("proto", protocol or "any")
    source, to = pairs.get("from", "any"), pairs.get("to", "any")
    way = "out" if rest[:1] == ["out"] else "in"
    single = next((address for address in (source, to) if address != "any"), "")
    for ipv6 in [":" in single] if single else [False, True]:
        place = ANYWHERE[ipv6] if source == "any" else source
        target = ANYWHERE[ipv6] if to == "any" else to
        chain = f"{'ufw6' if ipv6 else 'ufw'}-user-{way}put"
        tuple_line = f"### tuple ### {action} {protocol} {port} {target} any {place} {way}"
        rule = f"-A {chain}" + ("" if to == "any" else f" -d {to}")
        rule += "" if protocol == "any" else f" -p {protocol} --dport {port}"
        rule += "" if source == "any" else f" -s {source}"
        rule += f" -j {_TARGETS[action]}"
        text = machine.text(RULES[ipv6])
        block = f"{tuple_line}\n{rule}\n\n"
        if delete:
            text = text.replace(block, "")
        elif block not in text:
            text = text.replace("### END RULES ###", f"{block}### END RULES ###")
        machine.write(RULES[ipv6], text, 0o640)
    return Answer(0, "Rule deleted\n" if delete else "Rule added\n")


def _assign(machine: Machine, path: str, name: str, value: str) -> None:
    lines = [f"{name}={value}" if line.startswith(f"{name}=") else line
             for line in machine.text(path).splitlines()]  # fmt: skip
    machine.write(path, "\n".join(lines) + "\n")


def _assignments(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
    return {name: value.strip().strip('"') for name, value in found}


def _set_kernel(machine: Machine) -> None:
    """ufw sets its own kernel parameters whenever it is switched on."""
    for line in machine.text("/etc/ufw/sysctl.conf").splitlines():
        key, equals, value = line.partition("=")
        path = f"/proc/sys/{key.strip()}"
        if equals and not key.startswith("#") and machine.files.state(path):
            machine.write(path, f"{value.strip()}\n")
