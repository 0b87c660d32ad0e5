"""Modules of Apache that a web server seldom needs, unloaded unless something needs them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import msgspec

from host.base import Host, HostError
from host.facts import Fact
from host.facts.apache import APACHE, FOLDER, RUNNING, Apache, Running
from host.facts.apache_modules import AVAILABLE, Module
from snapshots.model import Change, RunCommand
from steps.model import Finding, MeantAnswer
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import planned
from steps.resources.apache_needs import need

_NO_LISTING = MeantAnswer("*", (403, 404), listing=True)
_NAME = re.compile(r"[a-z0-9_.*?-]+")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    disabled: list[str]
    keep: list[str] = []


class ApacheModule(Resource):
    """`apache-module: {disabled: [name or pattern, …], keep: [name or pattern, …]}`."""

    kind: ClassVar[str] = "apache-module"

    def __init__(self, disabled: list[str], keep: list[str]) -> None:
        self.disabled = disabled
        self.keep = keep

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheModule:
        given = msgspec.convert(body, _Body, strict=True)
        for name in [*given.disabled, *given.keep]:
            if not _NAME.fullmatch(name):
                raise StepError(f"{name!r} is no name of an Apache module, or pattern of names")
        if not given.disabled:
            raise StepError("disabled: name at least one module")
        return cls(given.disabled, given.keep)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, AVAILABLE)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        available = ctx.facts.get(AVAILABLE)
        reasons = self._reasons(ctx.host, apache, available)
        findings = []
        for pattern in self.disabled:
            matching = [m for name, m in sorted(available.items()) if fnmatchcase(name, pattern)]
            present = [m for m in matching if _on_disk(m, apache) or _loaded(m, running)]
            findings += [
                _finding(ctx.host, m, apache, running, reasons.get(m.name, "")) for m in present
            ]
            if not present:
                findings.append(_absent(pattern, running))
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        available = ctx.facts.get(AVAILABLE)
        reasons = self._reasons(ctx.host, apache, available)
        notes = [f"{name} stays: {why}" for name, why in sorted(reasons.items())]
        changes: list[Change] = []
        chosen = [m for m in self._enabled(apache, available) if m.name not in reasons]
        refusals = [
            f"{module.name} is loaded by a LoadModule line at"
            f" {_load_line(ctx.host, module, apache)}, not by a2enmod; take that line out by hand"
            for module in self._matching(available)
            if module.name not in apache.enabled
            and module.name not in reasons
            and _on_disk(module, apache)
        ]
        if chosen:
            names = _dependents_first(chosen, apache, available)
            extra = sorted(set(names) - {m.name for m in chosen})
            notes += [f"{name} goes too: it works only with a module that goes" for name in extra]
            notes += _after_effects(chosen, apache)
            # -f: a2dismod asks back for modules of Debian's default set, on a terminal only.
            changes.append(
                RunCommand(argv=("a2dismod", "-f", *names), why="do not load these modules")
            )
        work = planned(changes, running, notes=notes, refusals=refusals)
        if any(module.name == "autoindex" for module in chosen):
            work = msgspec.structs.replace(work, answers=(_NO_LISTING,))
        return work

    def _matching(self, available: dict[str, Module]) -> list[Module]:
        return [
            module
            for name, module in sorted(available.items())
            if any(fnmatchcase(name, pattern) for pattern in self.disabled)
        ]

    def _enabled(self, apache: Apache, available: dict[str, Module]) -> list[Module]:
        return [m for m in self._matching(available) if m.name in apache.enabled]

    def _reasons(self, host: Host, apache: Apache, available: dict[str, Module]) -> dict[str, str]:
        """Modules that stay although they are on the list, and why."""
        stay: dict[str, str] = {}
        for module in self._matching(available):
            if not _on_disk(module, apache):
                continue
            if any(fnmatchcase(module.name, pattern) for pattern in self.keep):
                stay[module.name] = "chosen to be kept"
            elif why := need(host, apache, module.name):
                stay[module.name] = why
        listed = {m.name for m in self._matching(available)}
        users = [available[name] for name in apache.enabled if name in available]
        pending = [user for user in users if user.name in stay]
        while pending:
            user = pending.pop()
            for name in user.depends:
                if name in listed and name not in stay and name in available:
                    stay[name] = f"{user.name} needs it"
                    pending.append(available[name])
        return stay


def _on_disk(module: Module, apache: Apache) -> bool:
    return module.name in apache.enabled or apache.modules.get(module.module) == "shared"


def _loaded(module: Module, running: Running) -> bool:
    return bool(running.objects) and module.shared_object in (running.objects or ())


def _absent(pattern: str, running: Running) -> Finding:
    """Nothing of the pattern is enabled, nor seen in the running server as far as we may look."""
    unseen = running.stale if running.objects is None else ""
    return Finding(
        resource="apache-module",
        setting=pattern,
        expected="not loaded",
        running="not loaded" if running.pid and not unseen else "",
        persistent="not loaded",
        ok=None if unseen else True,
        note=unseen,
    )


def _finding(host: Host, module: Module, apache: Apache, running: Running, reason: str) -> Finding:
    on_disk, note = _on_disk(module, apache), ""
    ok: bool | None = not on_disk
    if not running.pid:
        shown, note = "", "Apache does not run; this holds when it starts"
    elif running.objects is not None:
        shown = "loaded" if _loaded(module, running) else "not loaded"
        if shown == "loaded":
            ok = False
            note = "" if on_disk else "Apache has not read its configuration since; reload it"
    elif running.stale:
        shown, note = "", running.stale
        ok = None if ok else False
    else:
        shown = "loaded" if on_disk else "not loaded"
    if reason:
        ok, note = True, f"kept: {reason}"
    enabled = f"{FOLDER}/mods-enabled/{module.name}.load"
    if module.name in apache.enabled:
        origin = enabled
    else:
        origin = _load_line(host, module, apache) if on_disk else ""
    return Finding(
        resource="apache-module",
        setting=module.name,
        expected="not loaded",
        running=shown,
        persistent="loaded" if on_disk else "not loaded",
        origin=origin,
        ok=ok,
        note=note,
    )


def _load_line(host: Host, module: Module, apache: Apache) -> str:
    """File and line of a LoadModule that did not come from mods-enabled."""
    for include in apache.includes:
        try:
            text = host.read_bytes(include.file).decode("utf-8", "replace")
        except HostError:
            continue  # an unreadable file cannot be the one that Apache, as we, could read
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(rf"\s*LoadModule\s+{re.escape(module.module)}\s", line, re.IGNORECASE):
                return f"{include.file}:{number}"
    return FOLDER


def _dependents_first(
    chosen: Iterable[Module], apache: Apache, available: dict[str, Module]
) -> list[str]:
    """The names to disable: what depends on a chosen module comes before it."""
    names: list[str] = []
    begun: set[str] = set()

    def add(module: Module) -> None:
        if module.name in begun:
            return
        begun.add(module.name)
        for other in sorted(apache.enabled):
            if other in available and module.name in available[other].depends:
                add(available[other])
        names.append(module.name)

    for module in chosen:
        add(module)
    return names


def _after_effects(chosen: Iterable[Module], apache: Apache) -> list[str]:
    if not any(module.name == "autoindex" for module in chosen):
        return []
    return [
        f"{d.origin} says Options {d.args}: folders without an index file are no longer listed,"
        " Apache answers 403 or 404 for them"
        for d in apache.config.named("Options")
        if "indexes" in d.args.lower().replace("+", "").split()
    ]
