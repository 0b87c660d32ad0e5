"""ModSecurity with the Core Rule Set: first it only watches, and only then it blocks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.apache import APACHE, RUNNING, Apache, Running
from host.facts.apache_config import Directive
from host.facts.apache_http import ANSWERS
from host.facts.apache_modsecurity import HITS, PROBE, Stopped, read_hits, stopped, summary
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.apache_dropin import planned

FOLDER = "/etc/modsecurity"
OURS = f"{FOLDER}/zz-harden-tui.conf"
"""Read after modsecurity.conf, whose values it overrules."""

_BASE, _RECOMMENDED = f"{FOLDER}/modsecurity.conf", f"{FOLDER}/modsecurity.conf-recommended"
_RULES = "/usr/share/modsecurity-crs/rules/"
_OBJECT, _MODULE = "mod_security2.so", "security2_module"
_MIB = 1024 * 1024
_LOGGED_WITHIN_S = 2.0
_LOOKED_AT = (*range(200, 300), 404)
"""Redirects of mod_rewrite and questions for passwords come before the rules look at arguments."""

_ENGINE = {"detect": "DetectionOnly", "block": "On"}
_BUILT_IN = {"SecRequestBodyLimit": 134217728, "SecRequestBodyNoFilesLimit": 1048576}
"""What holds where nothing is said (ModSecurity 2.9, Reference Manual)."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Sizes in MiB: of a whole request with its files, and of all that is not a file."""

    mode: Literal["detect", "block"]
    request_mib: int
    form_mib: int


class ApacheModSecurity(Resource):
    """`apache-modsecurity: {mode: detect, request-mib: 128, form-mib: 4}`."""

    kind: ClassVar[str] = "apache-modsecurity"

    def __init__(self, step_id: str, body: Body) -> None:
        self.step_id = step_id
        self.body = body
        self.engine = _ENGINE[body.mode]

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheModSecurity:
        return cls(step_id, msgspec.convert(body, Body, strict=True))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, HITS)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        if _MODULE not in apache.modules:
            return [_loaded(apache, running)]
        findings = [_loaded(apache, running), self._engine(apache, running)]
        findings += self._limits(apache, running)
        findings.append(_rules(apache, running))
        findings += [
            Finding(
                resource="apache",
                setting=f"SecRuleEngine in <{one.within[-1].name} {one.within[-1].args}>",
                expected=self.engine,
                persistent=one.args,
                origin=one.origin,
                note="somebody's exception; it is left alone",
                applicable=False,
            )
            for one in apache.config.named("SecRuleEngine")
            if one.within and one.args.lower() != self.engine.lower()
        ]
        hits = summary(_stopped(ctx))
        findings.append(
            Finding(
                resource="apache",
                setting="stopped" if self.body.mode == "block" else "would have been stopped",
                expected="what nobody misses",
                running=hits,
                note=hits,
                applicable=False,
            )
        )
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        deciding = apache.config.for_server("SecRuleEngine")
        now = deciding.args if deciding else ""
        if self.body.mode == "block" and now.lower() not in ("detectiononly", "on"):
            return Planned(
                refusals=(
                    "ModSecurity has not watched yet, so nobody knows what it would block; nothing"
                    " was changed. Apply this step with mode detect first, use the applications for"
                    " some days, and look at what it would have stopped.",
                )
            )
        changes: list[Change] = []
        if ctx.host.state(_BASE) is None:
            changes.append(
                RunCommand(
                    argv=("cp", "--no-clobber", _RECOMMENDED, _BASE),
                    why="begin with the configuration that ModSecurity recommends",
                )
            )
        text = self._text().encode()
        there = ctx.host.state(OURS)
        as_wanted = all(f.ok for f in self.observe(ctx) if f.applicable)
        if not as_wanted or (there is not None and ctx.host.read_bytes(OURS) != text):
            if there is None or ctx.host.read_bytes(OURS) != text:
                changes.append(WriteFile(path=OURS, content=text))
        elif not changes:
            return planned([], running)
        if _MODULE not in apache.modules and ctx.host.state(_RECOMMENDED) is not None:
            changes.append(RunCommand(argv=("a2enmod", "security2"), why="load ModSecurity"))
        notes = []
        if self.body.mode == "block":
            notes.append(f"it would have stopped so far: {summary(_stopped(ctx))}")
        return planned(changes, running, notes=notes)

    def prove(self, ctx: Context) -> list[Finding]:
        """A harmless request that looks like an attack: refused, or let through and logged."""
        asked = ctx.facts.get(ANSWERS).asked
        whom = next((one for one in asked if one.page and one.page.status in _LOOKED_AT), None)
        if whom is None or whom.page is None:
            return []
        argument = f"{PROBE}-{secrets.token_hex(4)}"
        target = whom.target
        try:
            answer = ctx.host.http(
                f"/?{argument}=%3Cscript%3Ealert(1)%3C/script%3E", port=target.port,
                tls=target.tls, host_header=target.name, address=target.address,
            )  # fmt: skip
        except HostError as error:
            return [_probe(self.body.mode, "", None, str(error))]
        if self.body.mode == "block":
            return [_probe("block", f"answers {answer.status}", answer.status == 403, "")]
        is_through = answer.status == whom.page.status or answer.status != 403
        is_logged = self._is_logged(ctx, argument)
        said = f"answers {answer.status}, {'logged' if is_logged else 'not logged'}"
        return [_probe("detect", said, is_through and is_logged, "")]

    def _is_logged(self, ctx: Context, argument: str) -> bool:
        until_s = time.monotonic() + _LOGGED_WITHIN_S
        apache = ctx.facts.get(APACHE)
        while True:
            if any(argument in hit.data for hit in read_hits(ctx.host, apache)):
                return True
            if time.monotonic() > until_s:
                return False
            time.sleep(0.1)

    def _engine(self, apache: Apache, running: Running) -> Finding:
        deciding = apache.config.for_server("SecRuleEngine")
        value = deciding.args if deciding else "Off"
        enough = value.lower() == self.engine.lower()
        if self.body.mode == "detect" and value.lower() == "on":
            # Somebody who blocks already is not held back; what we wrote ourselves is.
            enough = deciding is not None and deciding.file != OURS
        return _setting(
            "SecRuleEngine", self.engine, value, deciding, running, ok=enough,
            default="off where nothing is said",
        )  # fmt: skip

    def _limits(self, apache: Apache, running: Running) -> Iterator[Finding]:
        for name, mib in (
            ("SecRequestBodyLimit", self.body.request_mib),
            ("SecRequestBodyNoFilesLimit", self.body.form_mib),
        ):
            deciding = apache.config.for_server(name)
            text = deciding.args.strip() if deciding else str(_BUILT_IN[name])
            number = int(text) if text.isascii() and text.isdigit() else 0
            yield _setting(
                name, f"at least {mib * _MIB}", text, deciding, running, ok=number >= mib * _MIB,
                default="its built-in default",
            )  # fmt: skip

    def _text(self) -> str:
        return (
            f"# Written by harden-tui for the step {self.step_id}; read after modsecurity.conf.\n"
            f"SecRuleEngine {self.engine}\n"
            f"SecRequestBodyLimit {self.body.request_mib * _MIB}\n"
            f"SecRequestBodyNoFilesLimit {self.body.form_mib * _MIB}\n"
        )


def _stopped(ctx: Context) -> list[Stopped]:
    hits = ctx.facts.get(HITS)
    return stopped(hits)


def _setting(
    name: str, expected: str, value: str, deciding: Directive | None, running: Running, *,
    ok: bool, default: str,
) -> Finding:  # fmt: skip
    loaded = running.objects is None or _OBJECT in running.objects
    note, shown, verdict = "", value if loaded else "not loaded", ok
    measured: bool | None = verdict
    if not running.pid:
        shown, note = "", "Apache does not run; this holds when it starts"
    elif running.stale:
        shown, note, measured = "", f"{running.stale}; reload it", None if ok else False
    return Finding(
        resource="apache",
        setting=name,
        expected=expected,
        running=shown,
        persistent=value,
        origin=deciding.origin if deciding else default,
        ok=measured,
        note=note,
    )


def _loaded(apache: Apache, running: Running) -> Finding:
    on_disk = _MODULE in apache.modules
    now = bool(running.pid) and (
        _OBJECT in running.objects if running.objects is not None else on_disk
    )
    return Finding(
        resource="apache",
        setting="ModSecurity",
        expected="loaded",
        running="loaded" if now else "not loaded" if running.pid else "",
        persistent="loaded" if on_disk else "not loaded",
        origin="/etc/apache2/mods-enabled/security2.load" if on_disk else "",
        ok=on_disk and (now or not running.pid),
        note="" if running.pid else "Apache does not run",
    )


def _rules(apache: Apache, running: Running) -> Finding:
    files = [one.file for one in apache.includes if one.file.startswith(_RULES)]
    shown = f"{len(files)} files of rules" if files else "none"
    return Finding(
        resource="apache",
        setting="Core Rule Set",
        expected="read",
        running="" if running.stale else shown,
        persistent=shown,
        origin="/usr/share/modsecurity-crs" if files else "",
        ok=bool(files),
    )


def _probe(mode: str, running: str, ok: bool | None, note: str) -> Finding:
    return Finding(
        resource="apache",
        setting="a request that looks like an attack",
        expected="refused (403)" if mode == "block" else "let through and logged",
        running=running,
        ok=ok,
        note=note,
    )
