"""The commands that shut the way out: every rule first, the policy after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from host.facts import FactUnavailable
from host.facts.connections import CONNECTIONS
from host.facts.iptables import (
    IP6TABLES,
    IPTABLES,
    KERNEL_HAS_IPV6,
    Filter,
    in_force,
    user_rules,
)
from host.facts.outgoing import OUTGOING
from host.facts.ufw import (
    UFW_CONFIGURATION,
    UFW_STATUS,
    Configuration,
    Rule,
)
from snapshots.model import Change, RunCommand
from steps.resource import Context, Planned
from steps.resources.egress_needs import unmet
from steps.resources.egress_rules import (
    Exit,
    decided_by,
    everything,
    lacking,
    lets_out,
    others,
)
from steps.resources.package import plan_install
from steps.resources.ufw_claims import chains_of_ufw, files_of_ufw
from steps.resources.ufw_packets import rehearse
from steps.resources.ufw_plan import (
    ipv6_on,
    keep_martians,
    once,
    rivals,
    start_at_boot,
    without_nftables,
)
from steps.resources.ufw_rules import after


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    exits: tuple[Exit, ...]
    strict: bool
    cut_off: bool


def plan(ctx: Context, wanted: Wanted) -> Planned:
    """Opens what is asked for, then refuses the rest. Where ufw is not in force it comes on, but
    what comes in stays as it is: that is the other step's to say."""
    configuration = ctx.facts.get(UFW_CONFIGURATION)
    has_ipv6 = ctx.facts.get(KERNEL_HAS_IPV6)
    refusals = rivals(ctx)
    if refusals:
        return Planned(refusals=tuple(refusals))
    install = plan_install(ctx, ("ufw",)) if configuration is None else Planned()
    if install.refusals:
        return install
    rules = configuration.rules if configuration is not None else ()
    families = (False, True) if has_ipv6 else (False,)
    removed = others(rules, wanted.exits) if wanted.strict else []
    staying = [rule for rule in rules if rule not in removed]
    added = [
        rule
        for one in wanted.exits
        for ipv6 in families
        for rule in lacking([r for r in staying if r.ipv6 is ipv6], one, ipv6=ipv6)
    ]
    result = after(rules, added, removed)
    refusals = [*_void(result), *_shadowed(result, wanted.exits, families)]
    if not wanted.cut_off:
        refusals += [
            f"{need.why}, so {need.what} would no longer work. Nothing was changed. Add it to"
            " `also`, or say that this is meant with `cut-off=yes`."
            for need in unmet(ctx.facts.get(OUTGOING), result)
            if not need.ok
        ]
    if refusals:
        return Planned(refusals=tuple(refusals))
    comes_on = configuration is None or not ctx.facts.get(UFW_STATUS).active
    incoming = "allow" if comes_on else _policy_in(configuration)
    lockouts, notes = rehearse(ctx, (), result, incoming, "deny")
    nftables, activations, stops = without_nftables(ctx)
    changes: list[Change] = [*install.changes, *nftables]
    changes += ipv6_on(ctx, configuration, has_ipv6)
    changes += once(RunCommand(argv=("ufw", *rule.specification), why=_why(rule)) for rule in added)
    refuse = RunCommand(
        argv=("ufw", "default", "deny", "outgoing"),
        why="refuse outgoing connections that no rule is about",
    )
    if comes_on:
        changes += _come_on(ctx, configuration)
        changes.append(refuse)
    elif configuration is not None and configuration.policies["output"] == "ACCEPT":
        changes.append(refuse)
    changes += once(
        RunCommand(
            argv=("ufw", "--force", "delete", *rule.specification),
            why=f"take back the rule `{rule.command}`",
        )
        for rule in removed
    )
    if not comes_on and _lost(ctx, configuration, wanted.exits):
        why = "load ufw's rules into the kernel again"
        changes.append(RunCommand(argv=("ufw", "reload"), why=why))
    changes += start_at_boot(ctx, configuration)
    return Planned(
        changes=tuple(changes),
        activations=activations,
        packages=("ufw",),
        notes=(*install.notes, *notes, *_notes(ctx, result, comes_on=comes_on)),
        lockouts=tuple(lockouts),
        stops=stops,
        # Without ufw, or without the rules that let SSH in, a policy of denying shuts the host in:
        # who brought them may be undone before this step is.
        claims=(*files_of_ufw(), *chains_of_ufw(ctx)),
    )


def _come_on(ctx: Context, configuration: Configuration | None) -> Iterator[Change]:
    """Switched on while everything may still leave: only then does the kernel follow the
    connections that stand. Afterwards it knows the answers of the present login for what they are.
    """
    if _policy_in(configuration) != "allow":
        why = "leave what comes in as it is: firewall.ufw is the step for that"
        yield RunCommand(argv=("ufw", "default", "allow", "incoming"), why=why)
    if configuration is not None and configuration.policies["output"] != "ACCEPT":
        why = "keep the present connections until the kernel follows them"
        yield RunCommand(argv=("ufw", "default", "allow", "outgoing"), why=why)
    yield from keep_martians(ctx, configuration)
    why = "switch the firewall on, now and at every boot"
    yield RunCommand(argv=("ufw", "--force", "enable"), why=why)


def _why(rule: Rule) -> str:
    where = f" of {rule.to}" if "/0" not in rule.to else ""
    return f"let connections out to port {rule.port}/{rule.protocol}{where}"


def _policy_in(configuration: Configuration | None) -> str:
    """What ufw has for incoming connections; as it comes, it denies them."""
    if configuration is None:
        return "deny"
    names = {"DROP": "deny", "REJECT": "reject", "ACCEPT": "allow"}
    return names.get(configuration.policies["input"], "deny")


def _void(rules: Sequence[Rule]) -> list[str]:
    return [
        f"ufw's rule `{rule.command}` ({rule.origin}) lets every connection out, so refusing the"
        f" rest would do nothing. Nothing was changed. Delete it (`ufw delete {rule.command}`), or"
        " have this step take it back with `strict=yes`."
        for rule in everything(rules)[:1]
    ]


def _shadowed(rules: Sequence[Rule], exits: Sequence[Exit], families: Sequence[bool]) -> list[str]:
    """Refused: an earlier rule of this host that makes an asked-for exit void."""
    for one in exits:
        for ipv6 in families:
            for wanted in one.rules(ipv6=ipv6):
                decider = decided_by(rules, wanted)
                if decider is not None and not decider.lets_in:
                    return [
                        f"ufw's rule `{decider.command}` ({decider.origin}) comes first and keeps"
                        f" {one.label} shut. Nothing was changed. Delete it"
                        f" (`ufw delete {decider.command}`), or take {one.name} out of the list."
                    ]
    return []


def _lost(ctx: Context, configuration: Configuration | None, exits: Sequence[Exit]) -> bool:
    """Whether the kernel lacks what ufw's files say: somebody changed it behind ufw's back."""
    if configuration is None:
        return False
    for ipv6, fact in ((False, IPTABLES), (True, IP6TABLES)):
        if ipv6 and not ctx.facts.get(KERNEL_HAS_IPV6):
            continue
        table = ctx.facts.get(fact)
        if table is None or not in_force(table, ipv6=ipv6, way="output"):
            return True
        if configuration.policies["output"] != "ACCEPT" and _accepts(table):
            return True
        running = user_rules(table, ipv6=ipv6, way="output")
        saved = configuration.family(ipv6)
        if any(
            lacking(running, one, ipv6=ipv6) and not lacking(saved, one, ipv6=ipv6) for one in exits
        ):
            return True
    return False


def _accepts(table: Filter) -> bool:
    return table.policies.get("OUTPUT") == "ACCEPT"


def _notes(ctx: Context, rules: Sequence[Rule], *, comes_on: bool) -> list[str]:
    notes = []
    if comes_on:
        notes.append(
            "ufw is not on yet: this switches it on for what goes out, and leaves what comes in"
            " as it is (firewall.ufw is the step for that)."
        )
    try:
        shut = [
            f"{one.address} {one.port}/{one.protocol}{f' ({one.process})' if one.process else ''}"
            for one in ctx.facts.get(CONNECTIONS)
            if not lets_out(rules, one.address, one.port, one.protocol)
        ]
    except (FactUnavailable, ValueError):
        shut = []
        notes.append("Which connections go out now could not be found out.")
    if shut:
        notes.append(
            f"Connected now, and not again afterwards: {', '.join(shut)}. Add what is needed to"
            " `also`."
        )
    return notes
