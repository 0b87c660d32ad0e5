"""The commands that bring ufw up without closing the door the administrator came through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from host.base import HostError
from host.facts.iptables import (
    IP6TABLES,
    IPTABLES,
    KERNEL_HAS_IPV6,
    Filter,
    in_force,
    user_rules,
)
from host.facts.packages import PACKAGES
from host.facts.ports import PORTS
from host.facts.ufw import DEFAULTS, SYSCTL, UFW_CONFIGURATION, UFW_STATUS, Configuration, Rule
from host.facts.units import UNITS
from snapshots.model import Activation, Change, RunCommand, WriteFile
from steps.resource import Context, Planned
from steps.resources.package import plan_install
from steps.resources.ufw_claims import incoming_of_ufw
from steps.resources.ufw_packets import rehearse
from steps.resources.ufw_rules import (
    Opening,
    after,
    decided_by,
    is_ipv6,
    lacking,
    others,
    too_wide,
)

NFTABLES_FILE: Final = "/etc/nftables.conf"
MARTIANS: Final = "/proc/sys/net/ipv4/conf/all/log_martians"
_RIVALS: Final = ("iptables-persistent", "netfilter-persistent", "firewalld", "shorewall")
_ENOUGH: Final = {
    "deny": ("deny", "reject"),
    "reject": ("deny", "reject"),
    "allow": ("allow", "deny", "reject"),
}
"""Policies that are kept because they are as strict or stricter."""


def plan(
    ctx: Context, incoming: str, outgoing: str, openings: Sequence[Opening], strict: bool
) -> Planned:
    """Rules first, then the policy, then switched on: at no moment is SSH shut."""
    refusals = rivals(ctx)
    if refusals:
        return Planned(refusals=tuple(refusals))
    configuration = ctx.facts.get(UFW_CONFIGURATION)
    has_ipv6 = ctx.facts.get(KERNEL_HAS_IPV6)
    install = plan_install(ctx, ("ufw",)) if configuration is None else Planned()
    if install.refusals:
        return install
    rules = configuration.rules if configuration is not None else ()
    families = (False, True) if has_ipv6 else (False,)
    removed = [rule for opening in openings for rule in too_wide(rules, opening)]
    if strict:
        removed += others(rules, openings)
    staying = [rule for rule in rules if rule not in removed]
    added = [
        rule
        for opening in openings
        for ipv6 in families
        for rule in lacking([r for r in staying if r.ipv6 is ipv6], opening, ipv6=ipv6)
    ]
    result = after(rules, added, removed)
    refusals = _shadowed(result, openings, families)
    if refusals:
        return Planned(refusals=tuple(refusals))
    policies = (
        _stands(configuration, "input", incoming),
        _stands(configuration, "output", outgoing),
    )
    lockouts, notes = rehearse(ctx, openings, result, *policies)
    nftables, activations, stops = without_nftables(ctx)
    changes: list[Change] = [*install.changes, *nftables]
    both_families = ipv6_on(ctx, configuration, has_ipv6)
    changes += both_families
    changes += once(RunCommand(argv=("ufw", *rule.specification), why=_why(rule)) for rule in added)
    changes += _policies(configuration, incoming, outgoing)
    changes += keep_martians(ctx, configuration)
    changes += once(
        RunCommand(
            argv=("ufw", "--force", "delete", *rule.specification),
            why=f"take back the rule `{rule.command}`",
        )
        for rule in removed
    )
    reloaded = any(isinstance(change, RunCommand) for change in both_families)
    if not reloaded or configuration is None or not configuration.enabled:
        changes += _load(ctx, configuration, incoming, openings)
    changes += start_at_boot(ctx, configuration)
    changes += _open_gates(ctx)
    return Planned(
        changes=tuple(changes),
        activations=activations,
        # Also where it was there already: who brought it may be undone before this.
        packages=("ufw",),
        notes=(*install.notes, *notes, *_notes(ctx, openings, result)),
        lockouts=tuple(lockouts),
        stops=stops,
        claims=tuple(incoming_of_ufw(ctx)),
    )


def once(commands: Iterable[RunCommand]) -> list[RunCommand]:
    """One command makes the rule for both families."""
    return list({command.argv: command for command in commands}.values())


def _why(rule: Rule) -> str:
    whom = "everyone" if rule.from_anywhere else rule.source
    return f"let {whom} reach port {rule.port}"


def rivals(ctx: Context) -> list[str]:
    packages = ctx.facts.get(PACKAGES)
    found = [name for name in _RIVALS if name in packages]
    if found:
        return [
            f"{found[0]} is installed and manages this host's firewall; two managers overwrite"
            f" each other. Nothing was changed. Remove it first (`apt-get purge {found[0]}`),"
            " or leave this step out."
        ]
    unit = ctx.facts.get(UNITS).get("nftables.service")
    enabled = unit is not None and unit.enabled in ("enabled", "enabled-runtime")
    if enabled and not _is_empty_ruleset(_read(ctx, NFTABLES_FILE)):
        return [
            f"nftables.service is enabled and {NFTABLES_FILE} holds rules of this host: they are"
            " its firewall now, and ufw's rules would be wiped whenever it starts. Nothing was"
            " changed. Move those rules to ufw and `systemctl disable --now nftables`, or leave"
            " this step out."
        ]
    return []


def _read(ctx: Context, path: str) -> str:
    try:
        return ctx.host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""


def _is_empty_ruleset(text: str) -> bool:
    """Whether an nftables file declares chains at most, as Debian's own does, and no rule."""
    text = re.sub(r"#.*", "", text)
    words = r"flush ruleset|table \w+ \w+|chain \w+|type filter hook \w+ priority [\w-]+|[{};\s]"
    return not re.sub(rf"({words}|policy accept)", "", text).strip()


def _shadowed(
    rules: Sequence[Rule], openings: Sequence[Opening], families: Sequence[bool]
) -> list[str]:
    """Refused: an earlier rule of this host that makes an asked-for opening void."""
    for opening in openings:
        for ipv6 in families:
            family = [rule for rule in rules if rule.ipv6 is ipv6]
            for wanted in opening.rules(ipv6=ipv6):
                decider = decided_by(family, wanted)
                if decider is not None and not decider.lets_in:
                    return [
                        f"ufw's rule `{decider.command}` ({decider.origin}) comes first and keeps"
                        f" {opening.name} shut. Nothing was changed. Delete it"
                        f" (`ufw delete {decider.command}`), or take {opening.name} out of `allow`."
                    ]
    return []


def without_nftables(ctx: Context) -> tuple[list[Change], tuple[Activation, ...], tuple[str, ...]]:
    """Stop what would flush every rule; its own file is empty (see `_rivals`)."""
    unit = ctx.facts.get(UNITS).get("nftables.service")
    if unit is None or unit.enabled not in ("enabled", "enabled-runtime"):
        return [], (), ()
    command = RunCommand(
        argv=("systemctl", "disable", "--now", "nftables.service"),
        why="nftables.service flushes every rule, ufw's too, whenever it starts or stops",
    )
    fail2ban = ctx.facts.get(UNITS).get("fail2ban.service")
    if fail2ban is None or fail2ban.active != "active":
        return [command], (), ("nftables.service",)
    # Stopping it flushes the bans of fail2ban as well; a restart puts them back.
    return [command], (Activation("restart", "fail2ban.service"),), ("nftables.service",)


def ipv6_on(ctx: Context, configuration: Configuration | None, has_ipv6: bool) -> list[Change]:
    if configuration is None or configuration.ipv6 or not has_ipv6:
        return []
    text = _read(ctx, DEFAULTS)
    changed = re.sub(r"(?m)^\s*IPV6=.*$", "IPV6=yes", text)
    if changed == text:
        changed = f"{text.rstrip()}\nIPV6=yes\n"
    write = WriteFile(path=DEFAULTS, content=changed.encode())
    if not ctx.facts.get(UFW_STATUS).active:
        return [write]
    why = "load the chains for IPv6, without which ufw can take no rule"
    return [write, RunCommand(argv=("ufw", "reload"), why=why)]


_NAMES: Final = {"DROP": "deny", "REJECT": "reject", "ACCEPT": "allow"}


def _stands(configuration: Configuration | None, way: str, wanted: str) -> str:
    """The policy there will be: the wanted one, or a stricter one that this host has already."""
    now = _NAMES.get(configuration.policies[way], "") if configuration is not None else ""
    return now if now in _ENOUGH[wanted] else wanted


def _policies(
    configuration: Configuration | None, incoming: str, outgoing: str
) -> list[RunCommand]:
    commands = []
    for way, direction, wanted in (
        ("input", "incoming", incoming),
        ("output", "outgoing", outgoing),
    ):
        now = _NAMES.get(configuration.policies[way], "") if configuration is not None else ""
        if configuration is None and wanted == "allow":
            continue  # what ufw comes with
        if now not in _ENOUGH[wanted]:
            commands.append(
                RunCommand(
                    argv=("ufw", "default", wanted, direction),
                    why=f"{wanted} {direction} connections that no rule is about",
                )
            )
    return commands


def keep_martians(ctx: Context, configuration: Configuration | None) -> list[Change]:
    """ufw sets log_martians=0 whenever it starts; where this host has it on, it must stay on."""
    running = _read(ctx, MARTIANS).strip()
    if running != "1" or (configuration is not None and configuration.enabled):
        return []  # an enabled ufw has set what it wants already; kernel.sysctl sees to its file
    if configuration is None:
        pattern = r"s#^(net/ipv4/conf/(all|default)/log_martians)=0#\1=1#"
        why = "keep logging packets with impossible addresses, which ufw would switch off"
        return [RunCommand(argv=("sed", "-i", "-E", pattern, SYSCTL), why=why)]
    text = _read(ctx, SYSCTL)
    changed = re.sub(r"(?m)^(net/ipv4/conf/(?:all|default)/log_martians)=0", r"\1=1", text)
    return [WriteFile(path=SYSCTL, content=changed.encode())] if changed != text else []


def start_at_boot(ctx: Context, configuration: Configuration | None) -> list[RunCommand]:
    unit = ctx.facts.get(UNITS).get("ufw.service")
    if configuration is None or unit is None or unit.enabled == "enabled":
        return []
    why = "load the firewall at every boot"
    return [RunCommand(argv=("systemctl", "enable", "ufw.service"), why=why)]


def _load(
    ctx: Context, configuration: Configuration | None, incoming: str, openings: Sequence[Opening]
) -> list[RunCommand]:
    """Switch ufw on, or have it load its rules again where the kernel lost them."""
    if configuration is None or not configuration.enabled or not ctx.facts.get(UFW_STATUS).active:
        why = "switch the firewall on, now and at every boot"
        return [RunCommand(argv=("ufw", "--force", "enable"), why=why)]
    if any(
        _lost(ctx.facts.get(table), configuration, incoming, openings, ipv6)
        for table, ipv6 in ((IPTABLES, False), (IP6TABLES, True))
        if not ipv6 or ctx.facts.get(KERNEL_HAS_IPV6)
    ):
        return [RunCommand(argv=("ufw", "reload"), why="load ufw's rules into the kernel again")]
    return []


def _open_gates(ctx: Context) -> list[RunCommand]:
    """Delete rules without condition that accept everything beside ufw's chains."""
    commands = []
    for program, fact, ipv6 in (("iptables", IPTABLES, False), ("ip6tables", IP6TABLES, True)):
        table = ctx.facts.get(fact) if not ipv6 or ctx.facts.get(KERNEL_HAS_IPV6) else None
        if table is not None and table.accepts_everything("INPUT"):
            command = RunCommand(
                argv=(program, "-D", "INPUT", "-j", "ACCEPT"),
                why="somebody put in a rule that accepts everything; whoever did may do so again",
            )
            commands += [command] * table.chains["INPUT"].count("-j ACCEPT")
    return commands


def _lost(
    table: Filter | None,
    configuration: Configuration,
    incoming: str,
    openings: Sequence[Opening],
    ipv6: bool,
) -> bool:
    """Whether the kernel lacks what ufw's files say: somebody changed it behind ufw's back."""
    if table is None or not in_force(table, ipv6=ipv6):
        return True
    if incoming != "allow" and table.policies.get("INPUT") == "ACCEPT":
        return True
    running = user_rules(table, ipv6=ipv6)
    saved = configuration.family(ipv6)
    return any(
        lacking(running, opening, ipv6=ipv6) and not lacking(saved, opening, ipv6=ipv6)
        for opening in openings
    )


def _notes(ctx: Context, openings: Sequence[Opening], rules: Sequence[Rule]) -> list[str]:
    notes = []
    shut: dict[str, None] = {}
    for port in ctx.facts.get(PORTS):
        if not port.exposed:
            continue
        ipv6 = is_ipv6(port.address)
        reachable = any(
            rule.ipv6 is ipv6 and rule.lets_in and rule.covers(port.port, port.protocol)
            for rule in rules
        )
        if not reachable:
            shut[f"{port.port}/{port.protocol} ({port.process or port.unit or 'unknown'})"] = None
    if shut:
        notes.append(f"Listening now, and shut from outside afterwards: {', '.join(shut)}.")
    if "docker.io" in ctx.facts.get(PACKAGES) or "docker-ce" in ctx.facts.get(PACKAGES):
        notes.append("Ports that Docker publishes bypass ufw; bind them to 127.0.0.1.")
    kept = others(rules, openings)
    if kept:
        names = "; ".join(dict.fromkeys(f"`{rule.command}`" for rule in kept))
        notes.append(f"Rules of this host's own are kept: {names}.")
    return notes
