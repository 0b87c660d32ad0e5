"""The network rehearsal: would a new login from the same place still reach sshd after a change?

Asked of the packet filter as it would be. Where the answer is no, the plan is a lock-out; where it
cannot be told (sets, marks, foreign matches), that is said and not refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from host.base import Host, HostError, Session
from host.facts.iptables import Filter
from host.facts.iptables_packet import verdict as iptables_verdict
from host.facts.nft_packet import verdict as nft_verdict
from host.packet_walk import Hook, Packet, Verdict
from steps.private_copy import private_copy
from steps.resource import Context
from steps.resources.ufw_rules import plain_address

NFTABLES_FILE = "/etc/nftables.conf"
TRIAL = "/run/harden-tui-nft-"


def login_packet(ctx: Context) -> Packet | None:
    """The first packet of a new login like the present one; `None` where nobody is here by SSH."""
    session = ctx.session
    client, server = plain_address(session.client_address), plain_address(session.server_address)
    if client is None or server is None or not session.server_port or client.is_loopback:
        return None
    return Packet(
        source=client,
        destination=server,
        source_port=session.client_port or 40000,
        port=session.server_port,
        interface_in=_interface(ctx.host, session),
    )


def through_filter(table: Filter, packet: Packet) -> Verdict:
    """What a filter table of iptables does with a new login: all of its packets, both ways."""
    return _all_let_through(packet, lambda one, hook: iptables_verdict(table, one, hook))


def through_ruleset(ruleset: str, packet: Packet) -> Verdict:
    """What a ruleset of nftables (`nft -j list ruleset`) does with them."""
    return _all_let_through(packet, lambda one, hook: nft_verdict(ruleset, one, hook))


def _all_let_through(packet: Packet, ask: Callable[[Packet, Hook], Verdict]) -> Verdict:
    """The first verdict that does not let a packet through; one that drops counts before doubts."""
    ways: tuple[tuple[Packet, Hook], ...] = (
        (packet, "INPUT"), (packet.reply, "OUTPUT"), (packet.later, "INPUT"),
    )  # fmt: skip
    verdicts = [ask(one, hook) for one, hook in ways]
    for answer in ("drop", "unknown"):
        for found in verdicts:
            if found.answer == answer:
                return found
    return verdicts[0]


def said(found: Verdict, packet: Packet, what: str) -> tuple[list[str], list[str]]:
    """(lock-outs, notes) for a verdict about `what`, such as "ufw's rules"."""
    whom = f"a new login from {packet.source} to port {packet.port}"
    if found.answer == "drop":
        return [
            f"{what} would turn away {whom}: {found.where} decides. Nothing was changed. Let that"
            f" address in first, {_BEFORE_IT}, then apply again."
        ], []
    if found.answer == "unknown":
        return [], [f"Whether {what} would let in {whom} cannot be told: {found.where}."]
    return [], []


_BEFORE_IT = "with a rule before it"


def rehearse_nftables(
    ctx: Context, written: Mapping[str, str | None]
) -> tuple[list[str], list[str]]:
    """(lock-outs, notes) of a new /etc/nftables.conf, if `written` (path to text) has one.

    It is loaded into a network namespace of its own, where it filters nothing and nobody.
    """
    text = written.get(NFTABLES_FILE)
    packet = login_packet(ctx) if text is not None else None
    if text is None or packet is None:
        return [], []
    try:
        found = through_ruleset(_loaded(ctx.host, text), packet)
    except (HostError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [], [f"What {NFTABLES_FILE} does with a new login could not be tried: {error}"]
    return said(found, packet, NFTABLES_FILE)


def _loaded(host: Host, text: str) -> str:
    """The JSON of a ruleset as nft understands it. Raises `HostError` where it does not."""
    with private_copy(host, TRIAL, text) as path:
        # A list in the same file would come before the rules are there: it is one transaction.
        asked = f'include "{path}"\nlist ruleset\n'.encode()
        host.run(["unshare", "--net", "nft", "-c", "-f", path], timeout_s=10)
        return host.run(["unshare", "--net", "nft", "-j", "-i"], stdin=asked, timeout_s=10).stdout


def _interface(host: Host, session: Session) -> str:
    """Where packets of the present connection come in; "" where the kernel does not say."""
    try:
        answer = host.run(
            ["ip", "-o", "route", "get", session.client_address], timeout_s=5, ok=None
        )
    except HostError:
        return ""
    found = re.search(r"\bdev (\S+)", answer.stdout)
    return found[1] if answer.ok and found else ""
