"""What the SSH server offers: algorithms this sshd knows, host keys and groups that are large."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.ports import PORTS
from host.facts.ssh_crypto import (
    MODULI,
    SSH_HOST_KEYS,
    SSH_MODULI,
    SSH_SUPPORTED,
    HostKey,
    parse_keyscan,
)
from host.facts.sshd import SSHD_DAEMON, SSHD_EFFECTIVE
from snapshots.model import Change, RunCommand, Validation, WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources import ssh_algorithms
from steps.resources.ssh_algorithms import PREFERENCES, Profile, without_small_moduli
from steps.resources.sshd import Sshd, activations

RSA_HOST_KEY_BITS = {"strict": 4096, "compatible": 3072}
KEY_MADE_WITHIN_S = 300.0
"""4096 bits take a second or two, on a small machine without much entropy a minute."""

_ED25519 = "ssh-ed25519"
_RSA = "ssh-rsa"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    profile: Profile
    rsa_host_key: Literal["remade", "dropped"]


class SshCrypto(Resource):
    """`ssh-crypto: {profile: strict, rsa-host-key: remade}`.

    With `dropped` no RSA host key is offered; `remade` makes one anew where it is too short.
    """

    kind: ClassVar[str] = "ssh-crypto"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> SshCrypto:
        return cls(step_id, msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (*Sshd(self.step_id, {}).facts(), SSH_SUPPORTED, SSH_HOST_KEYS, SSH_MODULI)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = self._sshd(ctx).observe(ctx)
        if self.body.rsa_host_key == "remade":
            findings.append(self._rsa(ctx))
        return [*findings, _moduli(ctx)]

    def plan(self, ctx: Context) -> Planned:
        if not any(key.type == _ED25519 for key in ctx.facts.get(SSH_HOST_KEYS)):
            return Planned(
                refusals=(
                    "sshd has no Ed25519 host key on this host, so some clients could not connect"
                    " any more; nothing was changed. Run `ssh-keygen -A`, see that a HostKey line"
                    " names /etc/ssh/ssh_host_ed25519_key if there are such lines, `systemctl"
                    " reload ssh`, then apply again.",
                )
            )
        planned = self._sshd(ctx).plan(ctx)
        changes: list[Change] = list(planned.changes)
        notes = list(planned.notes)
        key = self._short_key(ctx)
        if key is not None:
            changes += self._remake(key)
            notes.append(
                f"Clients that know this host by its RSA key of {key.bits} bits will be warned that"
                f" it changed; `ssh-keygen -lf {key.path}.pub` tells the new fingerprint."
            )
            signed = ctx.facts.get(SSHD_EFFECTIVE).get("hostcertificate", "none")
            if f"{key.path}-cert.pub" in signed.split():
                notes.append(
                    f"{key.path}-cert.pub was signed for the old key; have {key.path}.pub signed."
                )
        moduli = _smaller_moduli(ctx)
        if moduli is not None:
            changes.append(moduli)
        if not changes:
            return planned
        if self.body.profile == "strict":
            notes.append(_older_clients(ctx))
        return msgspec.structs.replace(
            planned,
            changes=tuple(changes),
            notes=tuple(notes),
            validations=planned.validations or (Validation(("sshd", "-t")),),
            activations=planned.activations or activations(ctx.facts.get(SSHD_DAEMON)),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """A real key exchange with what listens, over this host's own address."""
        place = _listens(ctx)
        if place is None:
            return []
        address, port = place
        asked = ["ssh-keyscan", "-T", "5", "-t", "ed25519,rsa", "-p", str(port), address]
        try:
            answer = ctx.host.run(asked, timeout_s=30, ok=None)
        except HostError as error:
            return [_handshake(address, port, "", ok=None, note=str(error))]
        shown = parse_keyscan(answer.stdout, answer.stderr)
        if not shown.version:
            note = (
                "sshd did not answer this host's own question (it may have penalised its address)"
            )
            return [_handshake(address, port, "", ok=None, note=note)]
        least = RSA_HOST_KEY_BITS[self.body.profile]
        sizes = [bits for kind, bits in shown.keys if kind == _RSA]
        right = (
            any(kind == _ED25519 for kind, _ in shown.keys)
            and all(bits >= least for bits in sizes)
            and "debian" not in shown.version.lower()
            and not (sizes and self.body.rsa_host_key == "dropped")
        )
        keys = ", ".join(f"{kind} {bits}" if bits else kind for kind, bits in shown.keys)
        return [_handshake(address, port, f"{shown.version}, {keys or 'no host key'}", ok=right)]

    def _sshd(self, ctx: Context) -> Sshd:
        """The options, for what this very sshd knows: one unknown word and it does not start."""
        profile = self.body.profile
        lists = ssh_algorithms.wanted(
            profile, ctx.facts.get(SSH_SUPPORTED), rsa=self.body.rsa_host_key == "remade"
        )
        unknown = [option for option, names in lists.items() if not names]
        if unknown:
            raise FactUnavailable(f"this sshd knows none of the {unknown[0]} of profile {profile}")
        options = {
            option: Expectation(only=list(names), ordered=option in PREFERENCES)
            for option, names in lists.items()
        }
        options["RequiredRSASize"] = Expectation(at_least=ssh_algorithms.smallest_rsa_bits(profile))
        keys = self._in_order(ctx)
        if keys:
            # sshd shows them in the order of these lines, whatever HostKeyAlgorithms says.
            options["HostKey"] = Expectation(only=keys, ordered=True, set=" ".join(keys))
        options["DebianBanner"] = Expectation(is_="no")
        return Sshd(self.step_id, options)

    def _in_order(self, ctx: Context) -> list[str]:
        """The host keys to use, the preferred one first."""
        order = [_ED25519]
        if self.body.rsa_host_key == "remade":
            order.append(_RSA)
        if self.body.profile == "compatible":
            order += ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
        order.append("")
        keys = [key for key in ctx.facts.get(SSH_HOST_KEYS) if key.type in order]
        return [key.path for key in sorted(keys, key=lambda key: order.index(key.type))]

    def _short_key(self, ctx: Context) -> HostKey | None:
        """The RSA host key, if it is shorter than it should be and is to stay."""
        if self.body.rsa_host_key == "dropped":
            return None
        least = RSA_HOST_KEY_BITS[self.body.profile]
        keys = ctx.facts.get(SSH_HOST_KEYS)
        return next((key for key in keys if key.type == _RSA and key.bits < least), None)

    def _rsa(self, ctx: Context) -> Finding:
        least = RSA_HOST_KEY_BITS[self.body.profile]
        key = next((key for key in ctx.facts.get(SSH_HOST_KEYS) if key.type == _RSA), None)
        value = f"{key.bits} bits" if key else "none"
        return Finding(
            resource="host key",
            setting="RSA",
            expected=f"at least {least} bits, or none",
            running=value,
            persistent=value,
            origin=f"{key.path}.pub" if key else "",
            ok=key is None or key.bits >= least,
        )

    def _remake(self, key: HostKey) -> list[Change]:
        bits = str(RSA_HOST_KEY_BITS[self.body.profile])
        make = ("ssh-keygen", "-q", "-t", "rsa", "-b", bits, "-N", "", "-f", key.path)
        return [
            RunCommand(
                argv=("rm", "--", key.path, f"{key.path}.pub"),
                why=f"remove the RSA host key of {key.bits} bits",
            ),
            RunCommand(
                argv=make,
                why=f"make an RSA host key of {bits} bits",
                timeout_s=KEY_MADE_WITHIN_S,
            ),
        ]


def _moduli(ctx: Context) -> Finding:
    path, text = ctx.facts.get(SSH_MODULI)
    _, small, large = without_small_moduli(text or "")
    value = "no such file" if text is None else f"{small} smaller, {large} as large"
    return Finding(
        resource="moduli",
        setting="Diffie-Hellman groups",
        expected="none of fewer than 3072 bits",
        running=value,
        persistent=value,
        origin=path,
        ok=None if text is None or not large else not small,
        note="" if large else "sshd falls back to groups of its own without it",
    )


def _smaller_moduli(ctx: Context) -> WriteFile | None:
    path, text = ctx.facts.get(SSH_MODULI)
    rest, small, large = without_small_moduli(text or "")
    if not small or not large or path != MODULI:
        return None
    return WriteFile(path=path, content=rest.encode("utf-8", "surrogateescape"))


def _older_clients(ctx: Context) -> str:
    only_new = "mlkem768x25519-sha256" in ctx.facts.get(SSH_SUPPORTED)["kex"]
    which = (
        "clients that know no key exchange safe from quantum computers (OpenSSH before 8.5, PuTTY"
        " before 0.78, most programs with an SSH of their own)"
        if only_new
        else "clients that know neither curve25519 nor a large Diffie-Hellman group"
    )
    return f"Not able to connect any more: {which}. profile=compatible lets them in."


def _listens(ctx: Context) -> tuple[str, int] | None:
    """An address of this host's own and a port at which sshd answers."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    for port in ctx.facts.get(PORTS):
        if port.protocol == "tcp" and (port.process == "sshd" or port.unit == "ssh.socket"):
            return own.get(port.address, port.address), port.port
    return None


def _handshake(address: str, port: int, shown: str, *, ok: bool | None, note: str = "") -> Finding:
    return Finding(
        resource="sshd",
        setting=f"key exchange at {address} port {port}",
        expected="an Ed25519 host key, long RSA keys, no word about Debian",
        running=shown,
        ok=ok,
        note=note,
    )
