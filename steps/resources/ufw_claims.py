"""What of ufw a step relies on, whoever switched it on: an undo of that one leaves it standing."""

from __future__ import annotations

from collections.abc import Iterator

from host.facts.iptables import IP6TABLES, IPTABLES
from host.facts.sysctl import BOOT
from host.facts.ufw import DEFAULTS, MAIN, RULES, RULES6
from snapshots.model import EXISTS, DomainName
from steps.resource import Context

Claim = tuple[DomainName, str]


def files_of_ufw() -> Iterator[Claim]:
    """That it is on, its policies and its rules."""
    yield from (("files", path) for path in (MAIN, DEFAULTS, RULES, RULES6))


def chains_of_ufw(ctx: Context) -> Iterator[Claim]:
    """Every chain the kernel has now, of both families; fail2ban's come and go."""
    for family, fact in (("ip", IPTABLES), ("ip6", IP6TABLES)):
        table = ctx.facts.get(fact)
        if table is not None and table.chains:
            yield "firewall", f"{family} filter"
            for chain in table.chains:
                if not chain.startswith("f2b-"):
                    yield "firewall", f"{family} filter {chain}"


def incoming_of_ufw(ctx: Context) -> Iterator[Claim]:
    """What a filter of incoming packets needs: its chains, those for outgoing ones with whatever is
    in them (`ufw status` wants them all), and the parameters ufw sets whenever it starts."""
    for domain, key in chains_of_ufw(ctx):
        outgoing = key.endswith((" OUTPUT", "-output"))
        yield domain, f"{EXISTS}{key}" if outgoing else key
    yield from (("kernel", line.key) for line in ctx.facts.get(BOOT).ufw)
