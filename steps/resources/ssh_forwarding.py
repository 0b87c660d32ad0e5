"""What may be forwarded through the SSH server: nothing, or TCP connections alone."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.ports import PORTS
from steps.expectation import Expectation
from steps.resource import Context, Planned
from steps.resources.ssh_ports import ssh_ports
from steps.resources.sshd import Sshd

_SESSIONS = ("sshd", "sshd-session")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tcp: Literal["no", "local", "remote", "yes"]


class SshForwarding(Sshd):
    """`ssh-forwarding: {tcp: "no"}`: `local` lets clients reach what this host reaches (`ssh -L`).

    TCPKeepAlive and Compression go with it: they are there for such long and large connections.
    With "no" DisableForwarding is set beside the single options: it covers kinds of forwarding that
    a later sshd may bring, but leaves what `sshd -T` says of the others as it is, which is all that
    most auditing programs read.
    """

    kind: ClassVar[str] = "ssh-forwarding"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> SshForwarding:
        tcp = msgspec.convert(body, _Body).tcp
        wanted = {
            "DisableForwarding": "yes" if tcp == "no" else "no",
            "AllowTcpForwarding": tcp,
            "AllowStreamLocalForwarding": tcp,
            "AllowAgentForwarding": "no",
            "X11Forwarding": "no",
            "PermitTunnel": "no",
            "GatewayPorts": "no",
            "TCPKeepAlive": "no",
            "Compression": "no",
        }
        return cls(step_id, {option: Expectation(is_=value) for option, value in wanted.items()})

    def facts(self) -> tuple[Fact[Any], ...]:
        return (*super().facts(), PORTS)

    def plan(self, ctx: Context) -> Planned:
        planned = super().plan(ctx)
        if not planned.changes:
            return planned
        return msgspec.structs.replace(planned, notes=(*planned.notes, *_in_use(ctx)))


def _in_use(ctx: Context) -> list[str]:
    """Forwardings that a session holds now; they last as long as it does."""
    try:
        ports = ctx.facts.get(PORTS)
        own = ssh_ports(ctx)
    except FactUnavailable:
        return []
    held = sorted(
        {
            f"{port.address}:{port.port}"
            for port in ports
            if port.process in _SESSIONS and port.protocol == "tcp" and port.port not in own
        }
    )
    if not held:
        return []
    return [
        f"Sessions forward connections to {', '.join(held)} now; they go on until those sessions"
        " end, and cannot be opened again."
    ]
