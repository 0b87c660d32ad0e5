"""ufw's own view: its files (what a boot will load) and `ufw status` (what it says is loaded)."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable

DEFAULTS: Final = "/etc/default/ufw"
MAIN: Final = "/etc/ufw/ufw.conf"
RULES: Final = "/etc/ufw/user.rules"
RULES6: Final = "/etc/ufw/user6.rules"
SYSCTL: Final = "/etc/ufw/sysctl.conf"

ANYWHERE: Final = ("0.0.0.0/0", "::/0")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of ufw, of one address family.

    `action`: allow, deny, reject, limit. `port` as ufw writes it: "22", "80,443", "5000:5010",
    "any". `app` is the application profile it came from ("OpenSSH"). Interfaces are "" for any.
    `origin` is the file and line, or the rule itself where the kernel was asked.
    """

    action: str
    protocol: str = "any"
    port: str = "any"
    to: str = ANYWHERE[0]
    source_port: str = "any"
    source: str = ANYWHERE[0]
    direction: Literal["in", "out", "route"] = "in"
    interface_in: str = ""
    interface_out: str = ""
    app: str = ""
    ipv6: bool = False
    origin: str = ""

    @property
    def lets_in(self) -> bool:
        return self.action in ("allow", "limit")

    @property
    def from_anywhere(self) -> bool:
        return self.source in ANYWHERE

    def covers(self, port: int, protocol: str) -> bool:
        """Whether it is about incoming packets to this port, over every interface and address.

        `protocol` "any" asks for both TCP and UDP.
        """
        return (
            self.direction == "in"
            and not self.interface_in
            and self.to in ANYWHERE
            and self.source_port == "any"
            and self.protocol in ("any", protocol)
            and _port_in(port, self.port)
        )

    def takes(self, source: Address, port: int, protocol: str) -> bool:
        """Whether a packet from `source` to this port would be decided by this rule."""
        return self.covers(port, protocol) and source in ipaddress.ip_network(self.source, False)

    @property
    def specification(self) -> tuple[str, ...]:
        """The words after `ufw` (or `ufw delete`) that make this rule, for both families."""
        words = ["route"] if self.direction == "route" else []
        words.append(self.action)
        plain = self.from_anywhere and self.to in ANYWHERE and self.source_port == "any"
        if plain and not self.interface_in and not self.interface_out and self.direction == "in":
            if self.app:
                return (*words, self.app)
            if self.port != "any":
                suffix = "" if self.protocol == "any" else f"/{self.protocol}"
                return (*words, f"{self.port}{suffix}")
        if self.direction == "out" and not self.interface_out:
            words.append("out")
        if self.interface_in:
            words += ["in", "on", self.interface_in]
        if self.interface_out:
            words += ["out", "on", self.interface_out]
        words += ["from", "any" if self.from_anywhere else self.source]
        if self.source_port != "any":
            words += ["port", self.source_port]
        words += ["to", "any" if self.to in ANYWHERE else self.to]
        if self.app:
            return (*words, "app", self.app)
        if self.port != "any":
            words += ["port", self.port]
        if self.protocol != "any":
            words += ["proto", self.protocol]
        return tuple(words)

    @property
    def command(self) -> str:
        return " ".join(self.specification)


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What ufw's files say; what a boot will load.

    `policies`: {"input": "DROP", "output": "ACCEPT", "forward": "DROP"}. `origins` maps
    "enabled", "ipv6" and "input" … to file:line.
    """

    enabled: bool
    ipv6: bool
    policies: dict[str, str]
    rules: tuple[Rule, ...]
    origins: dict[str, str]

    def family(self, ipv6: bool) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.ipv6 is ipv6)


class Status(msgspec.Struct, frozen=True):
    """`ufw status verbose`. `defaults`: {"incoming": "deny", "outgoing": "allow", …}."""

    active: bool
    defaults: dict[str, str] = {}


def parse_rules(text: str, path: str, *, ipv6: bool) -> tuple[Rule, ...]:
    """/etc/ufw/user.rules, whose `### tuple ###` comments hold the rules as ufw knows them.

    "### tuple ### allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in" is: action, protocol, port, to,
    source port, from, direction; before the direction stand application profiles ("OpenSSH -").
    """
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("### tuple ### "):
            continue
        words = line.removeprefix("### tuple ### ").split()
        words = [word for word in words if not word.startswith("comment=")]
        if len(words) not in (7, 9):
            continue
        action, protocol, port, to, source_port, source = words[:6]
        app = words[6].replace("%20", " ") if len(words) == 9 and words[6] != "-" else ""
        route = action.startswith("route:")
        into, _, out = _interfaces(words[-1])
        direction: Literal["in", "out", "route"]
        direction = "route" if route else "out" if words[-1].startswith("out") else "in"
        rules.append(
            Rule(
                action=action.removeprefix("route:").partition("_")[0],
                protocol=protocol,
                port=port,
                to=to,
                source_port=source_port,
                source=source,
                direction=direction,
                interface_in=into,
                interface_out=out,
                app=app,
                ipv6=ipv6,
                origin=f"{path}:{number}",
            )
        )
    return tuple(rules)


def parse_assignments(text: str) -> dict[str, tuple[str, int]]:
    """Shell assignments, each with the line that decides (the last): {"IPV6": ("yes", 7), …}."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*([A-Z0-9_]+)=(.*)", line)
        if match:
            found[match[1]] = (match[2].strip().strip("\"'"), number)
    return found


def parse_status(text: str) -> Status:
    """`ufw status verbose`: "Status: active", "Default: deny (incoming), allow (outgoing), …"."""
    active = bool(re.search(r"^Status: active$", text, re.MULTILINE))
    defaults = re.search(r"^Default: (.*)$", text, re.MULTILINE)
    pairs = re.findall(r"(\w+) \((\w+)\)", defaults[1]) if defaults else []
    return Status(active, {which: policy for policy, which in pairs})


def _interfaces(direction: str) -> tuple[str, str, str]:
    """ "in_eth0!out_lo" -> ("eth0", "!", "lo")."""
    into = out = ""
    for part in direction.split("!"):
        way, _, interface = part.partition("_")
        if way == "in":
            into = interface
        else:
            out = interface
    return into, "!", out


def _port_in(port: int, ports: str) -> bool:
    if ports == "any":
        return True
    for part in ports.split(","):
        first, _, last = part.partition(":")
        if first.isdigit() and int(first) <= port <= int(last or first):
            return True
    return False


def _configuration(host: Host, facts: Facts) -> Configuration | None:
    if host.state(MAIN) is None or host.which("ufw") is None:
        return None
    origins: dict[str, str] = {}
    values: dict[str, str] = {}
    wanted = {
        "enabled": (MAIN, "ENABLED"),
        "ipv6": (DEFAULTS, "IPV6"),
        "input": (DEFAULTS, "DEFAULT_INPUT_POLICY"),
        "output": (DEFAULTS, "DEFAULT_OUTPUT_POLICY"),
        "forward": (DEFAULTS, "DEFAULT_FORWARD_POLICY"),
    }
    assignments = {path: parse_assignments(_text(host, path)) for path in (MAIN, DEFAULTS)}
    for key, (path, variable) in wanted.items():
        if variable in assignments[path]:
            values[key], line = assignments[path][variable]
            origins[key] = f"{path}:{line}"
    return Configuration(
        enabled=values.get("enabled", "no").lower() == "yes",
        ipv6=values.get("ipv6", "no").lower() == "yes",
        policies={key: values.get(key, "").upper() for key in ("input", "output", "forward")},
        rules=(
            *parse_rules(_text(host, RULES), RULES, ipv6=False),
            *parse_rules(_text(host, RULES6), RULES6, ipv6=True),
        ),
        origins=origins,
    )


def _text(host: Host, path: str) -> str:
    if host.state(path) is None:
        return ""
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError as error:
        raise FactUnavailable(f"ufw's rules could not be read: {error}") from None


def _status(host: Host, facts: Facts) -> Status:
    answer = host.run(("ufw", "status", "verbose"), ok=None)
    if not answer.ok:
        said = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
        raise FactUnavailable(f"`ufw status` does not answer: {said[0] if said else 'no reason'}")
    return parse_status(answer.stdout)


UFW_CONFIGURATION: Fact[Configuration | None] = Fact("ufw-configuration", _configuration)
"""`None` where ufw is not installed."""

UFW_STATUS: Fact[Status] = Fact("ufw-status", _status)
