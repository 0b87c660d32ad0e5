"""Modules that the web server's PHP shall not load; phpdismod takes them out, SAPI by SAPI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.apache import APACHE, RUNNING
from host.facts.php import WEB_PHP, WebPhp
from host.facts.php_ini import Assignment
from snapshots.model import Activation, Change, Root, RunCommand, Validation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import CONFIGTEST

REGISTRY = "/var/lib/php/modules"
"""Where phpenmod and phpdismod keep what a person and what packages decided."""

_LINK = re.compile(r"/conf\.d/[0-9]+-([A-Za-z0-9_]+)\.ini$")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    disabled: list[str]
    keep: list[str] = []


class PhpModule(Resource):
    """`php-module: {disabled: [xdebug, …], keep: [ftp]}`."""

    kind: ClassVar[str] = "php-module"

    def __init__(self, disabled: Sequence[str], keep: Sequence[str]) -> None:
        self.unwanted = tuple(dict.fromkeys(disabled))
        self.kept = tuple(keep)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> PhpModule:
        given = msgspec.convert(body, _Body)
        for name in (*given.disabled, *given.keep):
            if not re.fullmatch(r"[A-Za-z0-9_]+", name):
                raise StepError(f"disabled: {name!r} is no module of PHP")
        return cls(given.disabled, given.keep)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, WEB_PHP)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = []
        for php in ctx.facts.get(WEB_PHP):
            loaded = loaded_by(php)
            findings += [self._finding(php, name, loaded.get(name)) for name in self.unwanted]
        return findings

    def plan(self, ctx: Context) -> Planned:
        changes: list[Change] = []
        refusals: list[str] = []
        touched = []
        for php in ctx.facts.get(WEB_PHP):
            loaded = loaded_by(php)
            names = []
            for module, line in self._going(loaded):
                link = _LINK.search(line.file)
                state = ctx.host.state(line.file)
                if link and state is not None and state.kind == "symlink":
                    names.append(link[1])
                else:
                    refusals.append(
                        f"{line.origin} loads the PHP module {module} with a line that phpdismod"
                        " does not know; nothing was changed. Put a semicolon before that line, or"
                        f" keep {module}."
                    )
            if names:
                touched.append(php)
                changes.append(
                    RunCommand(
                        argv=("phpdismod", "-v", php.version, "-s", php.sapi, *names),
                        why=f"unload {', '.join(names)} from {php.label}",
                    )
                )
            elif php.stale and php.running:
                touched.append(php)
        if not changes and touched:
            changes = [
                RunCommand(
                    argv=_validation(touched[0]).argv,
                    why="no file changes; PHP only has to read them again",
                )
            ]
        if not changes:
            return Planned(refusals=tuple(refusals))
        return Planned(
            changes=tuple(changes),
            # Apache's reload shuts PHP down and starts it anew with its modules, as PHP-FPM's does.
            activations=tuple(dict.fromkeys(Activation("reload", php.unit) for php in touched)),
            validations=tuple(dict.fromkeys(_validation(php) for php in touched)),
            roots=(Root(REGISTRY, content=True),),
            refusals=tuple(refusals),
        )

    def _going(self, loaded: dict[str, Assignment]) -> Iterator[tuple[str, Assignment]]:
        for name in self.unwanted:
            if name not in self.kept and name in loaded:
                yield name, loaded[name]

    def _finding(self, php: WebPhp, name: str, line: Assignment | None) -> Finding:
        shown = "loaded" if line is not None else "not loaded"
        finding = Finding(
            resource=php.label,
            setting=name,
            expected="not loaded",
            running="" if php.stale or not php.running else shown,
            persistent=shown,
            origin=line.origin if line is not None else "",
            ok=line is None,
        )
        if name in self.kept:
            return msgspec.structs.replace(
                finding, expected="whatever it is", ok=None, applicable=False, note="kept by choice"
            )
        if line is None and php.stale and php.running:
            return msgspec.structs.replace(finding, ok=None, note=f"{php.stale}; reload {php.unit}")
        return finding


def loaded_by(php: WebPhp) -> dict[str, Assignment]:
    """Module -> the line of an ini file that loads it."""
    lines = (*php.assigned.get("extension", ()), *php.assigned.get("zend_extension", ()))
    return {module_of(line.value): line for line in lines if line.value}


def module_of(value: str) -> str:
    """ "/usr/lib/php/20220829/xdebug.so" -> "xdebug"."""
    return value.rpartition("/")[2].removesuffix(".so").lower()


def _validation(php: WebPhp) -> Validation:
    if php.sapi == "apache2":
        return CONFIGTEST
    return Validation((f"php-fpm{php.version}", "-t"))
