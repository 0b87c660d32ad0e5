"""Directives of Apache that hold for the whole server, and virtual hosts that say otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from host.base import HttpAnswer
from host.facts import Fact
from host.facts.apache import APACHE, RUNNING, Apache, Running
from host.facts.apache_config import Directive, VirtualHost
from host.facts.apache_http import ANSWERS, Asked
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import DropIn, Edits, planned

BUILT_IN = {"servertokens": "Full", "serversignature": "Off", "traceenable": "on"}
"""What holds where nothing is said (Apache 2.4 documentation, "Default")."""

_ALIASES = {"productonly": "Prod", "minimal": "Min"}


class ApacheDirective(Resource):
    """`apache: {Directive: expectation, …}`."""

    kind: ClassVar[str] = "apache"

    def __init__(self, step_id: str, wanted: dict[str, Expectation]) -> None:
        self.wanted = wanted
        self.drop_in = DropIn(step_id)
        self.step_id = step_id

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheDirective:
        if not isinstance(body, dict) or not body:
            raise StepError("expected directives of Apache with what each must be")
        for name in body:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", str(name)):
                raise StepError(f"{name!r} is no directive of Apache")
        return cls(step_id, {str(name): Expectation.of(value) for name, value in body.items()})

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, ANSWERS)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        asked = {one.target.section_line: one for one in reversed(ctx.facts.get(ANSWERS).asked)}
        findings = []
        for name, expectation in self.wanted.items():
            own = {d.within[0].origin for d in _overrides(apache, name) if len(d.within) == 1}
            inheriting = [one for at, one in asked.items() if at not in own]
            findings.append(
                _finding(name, expectation, apache.config.for_server(name), inheriting, running)
            )
            findings += [
                _finding(name, expectation, directive, _of_host(asked, directive), running, apache)
                for directive in _overrides(apache, name)
                if not satisfied(expectation, directive.args)
            ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        edits = Edits(ctx.host)
        notes: list[str] = []
        needs_drop_in = False
        for name, expectation in self.wanted.items():
            deciding = apache.config.for_server(name)
            value = deciding.args if deciding else BUILT_IN.get(name.lower(), "")
            needs_drop_in |= not satisfied(expectation, value)
            outside = [d for d in apache.config.named(name) if not d.within]
            stronger = [d for d in outside if self.drop_in.loses_to(ctx.host, apache, d)]
            for directive in [*stronger, *_overrides(apache, name)]:
                if not satisfied(expectation, directive.args):
                    edits.set_args(directive, expectation.target)
                    notes.append(
                        f"{directive.origin} says {directive.name} {directive.args} where a drop-in"
                        " cannot overrule it; that line itself is changed"
                    )
        changes = list(edits.changes)
        refusals = list(edits.refusals)
        if needs_drop_in:
            changes += self.drop_in.changes(ctx.host, self._text())
            refusals += filter(None, [self.drop_in.refusal(ctx.host, apache)])
        return planned(changes, running, notes=notes, refusals=refusals)

    def _text(self) -> str:
        lines = [f"# Written by harden-tui for the step {self.step_id}."]
        lines += [f"{name} {wanted.target}" for name, wanted in self.wanted.items()]
        return "\n".join(lines) + "\n"


def satisfied(expectation: Expectation, value: str) -> bool:
    """Whether a value as Apache writes it is what is expected; its long names count as short."""
    text = value.strip("\"' ")
    return expectation.satisfied_by(_ALIASES.get(text.lower(), text))


def _overrides(apache: Apache, name: str) -> list[Directive]:
    return [d for d in apache.config.named(name) if d.within]


def _of_host(asked: dict[str, Asked], directive: Directive) -> list[Asked]:
    """The answer that shows a directive directly inside a virtual host."""
    host = directive.virtual_host
    if host is None or len(directive.within) > 1 or host.origin not in asked:
        return []
    return [asked[host.origin]]


def _finding(
    name: str, expectation: Expectation, deciding: Directive | None, asked: list[Asked],
    running: Running, apache: Apache | None = None,
) -> Finding:  # fmt: skip
    """One place where the directive is decided, and what the answers of Apache show of it."""
    persistent = deciding.args if deciding else BUILT_IN.get(name.lower(), "")
    measured = _measured(name, asked)
    wrong = [one for one in measured if not satisfied(expectation, one[0])]
    ok: bool | None
    note = ""
    if not running.pid:
        shown, note = "", "Apache does not run; this holds when it starts"
        ok = satisfied(expectation, persistent)
    elif measured:
        shown, note = (wrong or measured)[0]
        ok = satisfied(expectation, persistent) and not wrong
        if wrong and running.stale:
            note = f"{note}; {running.stale}"
    elif running.stale:
        shown, note = "", f"{running.stale}; reload it, then this can be told"
        ok = None if satisfied(expectation, persistent) else False
    else:
        shown, ok = persistent, satisfied(expectation, persistent)
    return Finding(
        resource=f"apache {_where(deciding, apache)}".rstrip(),
        setting=name,
        expected=str(expectation),
        running=shown,
        persistent=persistent,
        origin=deciding.origin if deciding else "Apache's built-in default",
        ok=ok,
        note=note,
    )


def _where(directive: Directive | None, apache: Apache | None) -> str:
    if directive is None or apache is None:
        return ""
    names: dict[str, VirtualHost] = {host.section.origin: host for host in apache.hosts}
    inner = directive.within[-1]
    host = directive.virtual_host
    label = names[host.origin].label if host and host.origin in names else ""
    if inner == host:
        return label
    return f"{label} <{inner.name} {inner.args}>".strip()


def _measured(name: str, asked: list[Asked]) -> list[tuple[str, str]]:
    """Value and what was seen, for every answer that shows the directive."""
    proof = _PROOFS.get(name.lower())
    found = []
    for one in asked:
        seen = proof(one) if proof else None
        if seen:
            found.append(seen)
    return found


def _server_tokens(one: Asked) -> tuple[str, str] | None:
    """Its level, and the header: "Apache/2.4.68 (Debian)" shows OS."""
    values = one.page.header("server") if one.page else []
    found = re.match(r"Apache(?:/(\d+)(\.\d+)?(\.\d+)?)?( \(.*)?$", values[0]) if values else None
    if not found:
        return None
    major, minor, patch, system = found.groups()
    level = (
        ("OS" if system and system.endswith(")") else "Full")
        if system
        else "Min" if patch
        else "Minor" if minor
        else "Major" if major
        else "Prod"
    )  # fmt: skip
    return level, f"Server: {values[0]}"


def _server_signature(one: Asked) -> tuple[str, str] | None:
    """Only Apache's own error page shows it; one that the site made does not."""
    body = one.missing.body if one.missing else b""
    if b"<title>404 Not Found</title>" not in body and b"<address>Apache" not in body:
        return None
    signed = re.search(rb"<address>(.*?)</address>", body)
    if not signed:
        return "Off", "no signature below an error page"
    value = "EMail" if b"mailto:" in signed.group(1) else "On"
    text = re.sub(rb"<[^>]*>", b"", signed.group(1)).decode("utf-8", "replace")
    return value, f"below an error page: {text}"


def _trace_enable(one: Asked) -> tuple[str, str] | None:
    answer: HttpAnswer | None = one.trace
    if answer is None:
        return None
    value = "on" if answer.status == 200 and b"TRACE" in answer.body else "Off"
    return value, f"TRACE is answered with {answer.status}"


_PROOFS: dict[str, Callable[[Asked], tuple[str, str] | None]] = {
    "servertokens": _server_tokens,
    "serversignature": _server_signature,
    "traceenable": _trace_enable,
}
