"""TLS as Apache speaks it, by Mozilla's guideline: measured in handshakes, set in one drop-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import msgspec

from host.base import CommandMissing
from host.facts import Fact
from host.facts.apache import APACHE, RUNNING, Apache
from host.facts.apache_config import Directive, VirtualHost
from host.facts.apache_tls import OPENSSL, TLS, Spoken
from host.facts.packages import PACKAGES
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.apache_dropin import DropIn, Edits, planned
from steps.resources.apache_tls_policy import guideline, protocols_of, suites_of, within

NO_TLS = "no virtual host of Apache speaks TLS; the step apache.certificate brings that"
_DEFAULT = "Apache's built-in default"
_CURVES = "SSLOpenSSLConfCmd Curves"
_TLS12, _TLS13 = "SSLCipherSuite", "SSLCipherSuite TLSv1.3"
_BUILT_IN = {
    "SSLProtocol": "all",
    _TLS12: "DEFAULT",
    _TLS13: "",
    _CURVES: "",
    "SSLHonorCipherOrder": "off",
    "SSLSessionTickets": "on",
    "SSLCompression": "off",
    "SSLInsecureRenegotiation": "off",
    "SSLUseStapling": "off",
}
"""What holds where nothing is said (mod_ssl, "Default")."""

_UNUSUAL_GROUP = "P-521"
"""A curve that every OpenSSL has and the guideline does not."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: Literal["intermediate", "modern"]


class ApacheTls(Resource):
    """`apache-tls: {profile: intermediate}`, or modern."""

    kind: ClassVar[str] = "apache-tls"

    def __init__(self, step_id: str, profile: str) -> None:
        self.step_id = step_id
        self.profile = profile
        self.wanted = guideline().profiles[profile]
        self.drop_in = DropIn(step_id)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheTls:
        return cls(step_id, msgspec.convert(body, _Body, strict=True).profile)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, TLS, OPENSSL, PACKAGES)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        if not speaks_tls(apache):
            return [
                Finding(
                    resource="apache", setting="TLS", expected=self._title(), note=NO_TLS,
                    applicable=False,
                )
            ]  # fmt: skip
        spoken = ctx.facts.get(TLS).spoken
        findings = [finding for one in spoken for finding in self._measured(apache, one)]
        for finding in self._configured(ctx, apache, spoken):
            if not running.pid:
                findings.append(_but(finding, "Apache does not run; this holds when it starts"))
            elif running.stale:
                ok = None if finding.ok else finding.ok
                findings.append(_but(finding, f"{running.stale}; reload it", ok=ok))
            else:
                findings.append(msgspec.structs.replace(finding, running=finding.persistent))
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        if not speaks_tls(apache):
            return Planned()
        spoken = ctx.facts.get(TLS).spoken
        values = self.values(ctx, spoken)
        edits, notes = Edits(ctx.host), []
        for name, directive in _others(ctx, apache, self.drop_in):
            if not self._good(ctx, spoken, name, _bare(name, directive.args)):
                edits.set_args(directive, _full(name, values[name])[len(directive.name) + 1 :])
                notes.append(
                    f"{directive.origin} says {directive.name} {directive.args} where a drop-in"
                    " cannot overrule it; that line itself is changed"
                )
        needs = any(
            not self._good(ctx, spoken, name, _bare(name, found.args) if found else default)
            for name, default in _BUILT_IN.items()
            for found in [_deciding(apache, None, name)]
        )
        changes, refusals = edits.changes, edits.refusals
        text = self._text(apache, values)
        if needs or (self.drop_in.exists(ctx.host) and self.drop_in.changes(ctx.host, text)):
            changes += self.drop_in.changes(ctx.host, text)
            refusals += filter(None, [self.drop_in.refusal(ctx.host, apache)])
        if changes and self.profile == "modern":
            notes.append("browsers and programs that know no TLS 1.3 cannot reach this host then")
        return planned(changes, running, notes=notes, refusals=refusals)

    def prove(self, ctx: Context) -> list[Finding]:
        """A client that knows only a curve beside the guideline is refused."""
        findings = []
        for one in ctx.facts.get(TLS).spoken:
            target = one.target
            if one.problem:
                continue
            address = f"[{target.address}]" if ":" in target.address else target.address
            try:
                answer = ctx.host.run(
                    ("openssl", "s_client", "-connect", f"{address}:{target.port}", "-servername",
                     target.name, "-groups", _UNUSUAL_GROUP, "-tls1_3"),
                    ok=None, timeout_s=10.0,
                )  # fmt: skip
            except CommandMissing:
                return []
            findings.append(
                Finding(
                    resource=f"apache {target.label}",
                    setting=f"curve {_UNUSUAL_GROUP}",
                    expected="refused",
                    running="accepted" if answer.ok else "refused",
                    ok=not answer.ok,
                )
            )
        return findings

    def values(self, ctx: Context, spoken: tuple[Spoken, ...]) -> dict[str, str]:
        """What each setting must be, by the names of `_BUILT_IN`."""
        stapling = bool(spoken) and all(
            one.certificate is not None and one.certificate.ocsp for one in spoken
        )
        return {
            "SSLProtocol": "-all " + " ".join(f"+{name}" for name in self.wanted.protocols),
            _TLS12: ":".join(self.wanted.ciphers),
            _TLS13: ":".join(guideline().suites),
            _CURVES: ":".join(guideline().curves_for(ctx.facts.get(OPENSSL))),
            "SSLHonorCipherOrder": "off",
            "SSLSessionTickets": "off",
            "SSLCompression": "off",
            "SSLInsecureRenegotiation": "off",
            "SSLUseStapling": "on" if stapling else "off",
        }

    def _good(self, ctx: Context, spoken: tuple[Spoken, ...], name: str, value: str) -> bool:
        wanted = self.values(ctx, spoken)[name]
        if name == "SSLProtocol":
            return within(protocols_of(value), self.wanted.protocols)
        if name == _TLS12 and not self.wanted.ciphers:
            return True
        if name in (_TLS12, _TLS13, _CURVES):
            return within(value.split(":"), wanted.split(":"))
        return value.strip().lower() == wanted

    def _text(self, apache: Apache, values: dict[str, str]) -> str:
        lines = [
            f"# Written by harden-tui for the step {self.step_id}:",
            f"# {self._title()}, with the curves that this OpenSSL knows.",
            "<IfModule mod_ssl.c>",
            *(_full(name, value) for name, value in values.items() if value),
        ]
        if values["SSLUseStapling"] == "on" and apache.config.for_server("SSLStaplingCache") in (
            None,
            _own(apache, self.drop_in, "SSLStaplingCache"),
        ):
            lines.append("SSLStaplingCache shmcb:${APACHE_RUN_DIR}/ssl_stapling(32768)")
        return "\n".join([*lines, "</IfModule>", ""])

    def _title(self) -> str:
        return f"Mozilla {self.profile} {guideline().version}"

    def _measured(self, apache: Apache, one: Spoken) -> Iterator[Finding]:
        label = f"apache {one.target.label}"
        protocols = " ".join(self.wanted.protocols)
        if one.problem:
            yield Finding(resource=label, setting="protocols", expected=protocols, note=one.problem)
            return
        virtual = _virtual(apache, one)
        found = _deciding(apache, virtual, "SSLProtocol")
        yield Finding(
            resource=label,
            setting="protocols",
            expected=f"at most {protocols}",
            running=" ".join(one.accepted),
            persistent=" ".join(protocols_of(found.args if found else "all")),
            origin=found.origin if found else _DEFAULT,
            ok=set(one.accepted) <= set(self.wanted.protocols),
        )
        suites = _deciding(apache, virtual, _TLS12)
        yield Finding(
            resource=label,
            setting="weak cipher suites",
            expected="refused",
            running=f"takes {one.weak}" if one.weak else "refused",
            persistent=suites.args if suites else "DEFAULT",
            origin=suites.origin if suites else _DEFAULT,
            ok=not one.weak,
        )
        tickets = _deciding(apache, virtual, "SSLSessionTickets")
        yield Finding(
            resource=label,
            setting="session tickets",
            expected="none",
            running={None: "", True: "given", False: "none"}[one.ticket],
            persistent=tickets.args if tickets else "on",
            origin=tickets.origin if tickets else _DEFAULT,
            ok=not one.ticket,
            applicable=one.ticket is not None,
            note="" if one.ticket is not None else "seen in TLS 1.2 only, which it does not speak",
        )

    def _configured(
        self, ctx: Context, apache: Apache, spoken: tuple[Spoken, ...]
    ) -> Iterator[Finding]:
        """What is on disk: for the whole server, and where a virtual host has it worse."""
        values = self.values(ctx, spoken)
        for virtual in (None, *(host for host in apache.hosts if host.tls)):
            for name, default in _BUILT_IN.items():
                found = _deciding(apache, virtual, name)
                value = _bare(name, found.args) if found else default
                ok = self._good(ctx, spoken, name, value)
                own = virtual is None or (found is not None and bool(found.within))
                if not own or (virtual is not None and ok) or not (values[name] or not ok):
                    continue
                note = ""
                if name == "SSLUseStapling" and values[name] == "off":
                    note = "not every certificate here names an OCSP responder"
                yield Finding(
                    resource=f"apache {virtual.label}" if virtual else "apache",
                    setting=name,
                    expected=values[name],
                    persistent=value or "OpenSSL's default",
                    origin=found.origin if found else _DEFAULT,
                    ok=ok,
                    note=note,
                )


def speaks_tls(apache: Apache) -> bool:
    return "ssl_module" in apache.modules and any(host.tls for host in apache.hosts)


def _but(finding: Finding, note: str, *, ok: bool | None = True) -> Finding:
    kept = finding.ok if ok is True else ok
    return msgspec.structs.replace(finding, ok=kept, note=finding.note or note)


def _matches(name: str) -> Callable[[Directive], bool]:
    """Whether a directive is the one that `name` of `_BUILT_IN` means."""
    directive, _, first = name.partition(" ")

    def match(one: Directive) -> bool:
        if one.name.lower() != directive.lower():
            return False
        if directive == "SSLCipherSuite":
            return (suites_of(one.args)[0].lower() == "tlsv1.3") == bool(first)
        if directive == "SSLOpenSSLConfCmd":
            return one.words[:1] != [] and one.words[0].lower() in ("curves", "groups")
        return True

    return match


def _bare(name: str, args: str) -> str:
    """The value without what the name says already."""
    words = args.split()
    if name in (_TLS13, _CURVES) or (name == _TLS12 and len(words) > 1):
        return words[-1].strip("\"'") if words else ""
    return args.strip("\"' ")


def _full(name: str, value: str) -> str:
    return f"{name} {value}"


def _deciding(apache: Apache, virtual: VirtualHost | None, name: str) -> Directive | None:
    """The last line that holds for a virtual host, or for the whole server."""
    match = _matches(name)
    found = None
    for directive in apache.config.directives:
        if not directive.within and match(directive) and (found is None or not found.within):
            found = directive
        if virtual is not None and directive.within == (virtual.section,) and match(directive):
            found = directive
    return found


def _others(ctx: Context, apache: Apache, drop_in: DropIn) -> Iterator[tuple[str, Directive]]:
    """Lines that a drop-in cannot overrule: in sections, or read after it."""
    for name in _BUILT_IN:
        match = _matches(name)
        for directive in apache.config.directives:
            if match(directive) and (
                directive.within or drop_in.loses_to(ctx.host, apache, directive)
            ):
                yield name, directive


def _own(apache: Apache, drop_in: DropIn, name: str) -> Directive | None:
    found = apache.config.for_server(name)
    return found if found is not None and found.file == drop_in.link else None


def _virtual(apache: Apache, one: Spoken) -> VirtualHost | None:
    return next(
        (host for host in apache.hosts if host.section.origin == one.target.section_line), None
    )
