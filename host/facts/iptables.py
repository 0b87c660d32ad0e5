"""What the kernel filters, asked through iptables: the truth below every front end."""

from __future__ import annotations

import shlex
from typing import Literal

import msgspec

from host.base import CommandMissing, Host
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.ufw import ANYWHERE, Rule

IPV6_IN_KERNEL = "/proc/sys/net/ipv6"


class Filter(msgspec.Struct, frozen=True):
    """The filter table of one address family.

    `policies`: {"INPUT": "DROP", …}. `chains`: {"INPUT": ("-j ufw-before-input", …), …}, each
    rule as `iptables -S` prints it, without "-A CHAIN".
    """

    policies: dict[str, str]
    chains: dict[str, tuple[str, ...]]

    def jumps(self, chain: str, target: str) -> bool:
        """Whether everything that enters `chain` comes to `target` (no condition on the jump)."""
        return f"-j {target}" in self.chains.get(chain, ())

    def accepts_everything(self, chain: str) -> bool:
        """Whether a rule without any condition accepts whatever reaches it in `chain`."""
        return "-j ACCEPT" in self.chains.get(chain, ())


def parse_filter(text: str) -> Filter:
    """`iptables -S` or `ip6tables -S`: policies "-P INPUT DROP", chains "-N x", rules "-A x …"."""
    policies: dict[str, str] = {}
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        what, _, rest = line.partition(" ")
        name, _, rule = rest.partition(" ")
        if what == "-P":
            policies[name] = rule
            chains.setdefault(name, [])
        elif what == "-N":
            chains.setdefault(name, [])
        elif what == "-A":
            chains.setdefault(name, []).append(rule)
    return Filter(policies, {name: tuple(rules) for name, rules in chains.items()})


Way = Literal["input", "output"]


def in_force(table: Filter | None, *, ipv6: bool, way: Way = "input") -> bool:
    """Whether packets are led through ufw's chains: `ufw status` does not look."""
    prefix = _prefix(ipv6)
    return (
        table is not None
        and table.jumps(way.upper(), f"{prefix}-before-{way}")
        and table.jumps(f"{prefix}-before-{way}", f"{prefix}-user-{way}")
    )


def _prefix(ipv6: bool) -> str:
    return "ufw6" if ipv6 else "ufw"


def user_rules(table: Filter, *, ipv6: bool, way: Way = "input") -> tuple[Rule, ...]:
    """The chain ufw-user-input (or -output) as rules; those with conditions ufw does not make are
    left out."""
    found = []
    for text in table.chains.get(f"{_prefix(ipv6)}-user-{way}", ()):
        rule = _rule(text, ipv6, way)
        if rule is not None:
            found.append(rule)
    return tuple(found)


_OPTIONS = ("-s", "-d", "-p", "-i", "-o", "-j", "--dport", "--dports", "--sport", "--sports")
_ACTIONS = {
    "ACCEPT": "allow",
    "ufw-user-limit-accept": "limit",
    "ufw6-user-limit-accept": "limit",
    "DROP": "deny",
    "REJECT": "reject",
}


def _rule(text: str, ipv6: bool, way: Way) -> Rule | None:
    """ "-s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT" as a `Rule`."""
    words = shlex.split(text)
    values: dict[str, str] = {}
    index = 0
    while index < len(words):
        word = words[index]
        following = words[index + 1] if index + 1 < len(words) else ""
        if word in ("-m", "--comment", "--reject-with"):
            if following not in ("tcp", "udp", "multiport", "comment") and word == "-m":
                return None  # conntrack, recent …: not a plain rule
        elif word in _OPTIONS:
            values[word.rstrip("s") if word.endswith("ports") else word] = following
        else:
            return None
        index += 2
    action = _ACTIONS.get(values.get("-j", ""))
    if action is None:
        return None
    anywhere = ANYWHERE[ipv6]
    return Rule(
        action=action,
        protocol=values.get("-p", "any"),
        port=values.get("--dport", "any"),
        to=values.get("-d", anywhere),
        source_port=values.get("--sport", "any"),
        source=values.get("-s", anywhere),
        direction="in" if way == "input" else "out",
        interface_in=values.get("-i", ""),
        interface_out=values.get("-o", ""),
        ipv6=ipv6,
        origin=text,
    )


def _read(program: str) -> Fact[Filter | None]:
    def read(host: Host, facts: Facts) -> Filter | None:
        try:
            answer = host.run((program, "--wait", "5", "-S"), ok=None)
        except CommandMissing:
            return None
        if not answer.ok:
            said = (answer.stderr.strip() or "no reason given").splitlines()[0]
            raise FactUnavailable(f"`{program} -S` does not answer: {said}")
        return parse_filter(answer.stdout)

    return Fact(program, read)


def _ipv6(host: Host, facts: Facts) -> bool:
    return host.state(IPV6_IN_KERNEL) is not None


IPTABLES: Fact[Filter | None] = _read("iptables")
"""`None` where iptables is not installed."""

IP6TABLES: Fact[Filter | None] = _read("ip6tables")

KERNEL_HAS_IPV6: Fact[bool] = Fact("kernel-has-ipv6", _ipv6)
