"""Settings of the PHP that answers web requests, each SAPI for itself; never the command line's."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.apache import APACHE, RUNNING
from host.facts.php import FIXED_BY_COMMAND_LINE, WEB_PHP, Override, WebPhp
from host.facts.php_ini import Assignment
from snapshots.model import Activation, Change, RunCommand, Validation, WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import CONFIGTEST, Edits
from steps.resources.php_probe import probe, remove_left
from steps.resources.php_values import (
    LIST,
    as_shown,
    function_list,
    ini_value,
    managed,
    satisfied,
    with_value,
)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    settings: dict[str, Any]
    sapi: Literal["web"] = "web"


class Php(Resource):
    """`php: {sapi: web, settings: {key: expectation, …}}`."""

    kind: ClassVar[str] = "php"

    def __init__(self, step_id: str, wanted: dict[str, Expectation]) -> None:
        self.step_id = step_id
        self.wanted = {key: value for key, value in wanted.items() if managed(value)}

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Php:
        given = msgspec.convert(body, _Body, strict=True)
        wanted = {}
        for key, value in given.settings.items():
            if not re.fullmatch(r"[a-z_][a-z0-9_.]*", key):
                raise StepError(f"settings: {key!r} is no setting of PHP")
            wanted[key] = Expectation.of(value)
            if re.search(r"[\x00-\x1f\"]", wanted[key].target):
                raise StepError(f"settings.{key}: a value is one line without double quotes")
        return cls(step_id, wanted)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, WEB_PHP)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = []
        for php in ctx.facts.get(WEB_PHP):
            for key, expectation in self.wanted.items():
                findings.append(_from_files(php, key, expectation))
                findings += [
                    _overridden(php, one, expectation)
                    for one in _effective_overrides(php, key)
                    if not satisfied(key, expectation, one.value)
                ]
        return findings

    def prove(self, ctx: Context) -> list[Finding]:
        return probe(ctx, self.wanted)

    def tidy(self, ctx: Context) -> None:
        remove_left(ctx)

    def plan(self, ctx: Context) -> Planned:
        edits = Edits(ctx.host)
        notes: list[str] = []
        changes: list[Change] = []
        touched: list[WebPhp] = []
        stale = ""
        for php in ctx.facts.get(WEB_PHP):
            before = len(edits.changes), len(edits.refusals)
            self._edit_lines(php, edits, notes)
            drop_in = self._drop_in(ctx, php)
            changes += drop_in
            if drop_in or before != (len(edits.changes), len(edits.refusals)):
                touched.append(php)
            elif php.stale:
                touched.append(php)
                stale = php.stale
        changes = [*edits.changes, *changes]
        if not changes and stale:
            notes.append(stale)
            changes.append(
                RunCommand(
                    argv=_validation(touched[0]).argv,
                    why="no file changes; PHP only has to read them again",
                )
            )
        if not changes:
            return Planned(refusals=tuple(edits.refusals))
        return Planned(
            changes=tuple(changes),
            validations=tuple(dict.fromkeys(_validation(php) for php in touched)),
            activations=tuple(dict.fromkeys(Activation("reload", php.unit) for php in touched)),
            notes=tuple(notes),
            refusals=tuple(edits.refusals),
        )

    def _path(self, php: WebPhp) -> str:
        return f"{php.folder}/conf.d/99-harden-tui-{self.step_id}.ini"

    def _drop_in(self, ctx: Context, php: WebPhp) -> list[Change]:
        """Our own ini file, the last but for what an administrator named to come after it."""
        path = self._path(php)
        ours = ctx.host.state(path) is not None
        lacking = [
            key
            for key, expectation in self.wanted.items()
            if not _later(php, key, path) and _lacks(php, key, expectation)
        ]
        if not lacking and not ours:
            return []
        content = self._text(php, path).encode()
        if ours and ctx.host.read_bytes(path) == content:
            return []
        return [WriteFile(path=path, content=content)]

    def _text(self, php: WebPhp, path: str) -> str:
        lines = [f"; Written by harden-tui for the step {self.step_id}."]
        for key, expectation in self.wanted.items():
            if php.from_files(key) is None and key not in FIXED_BY_COMMAND_LINE:
                continue  # this PHP does not know the setting
            target = expectation.target
            others = [a.value for a in php.assigned.get(key, ()) if a.file != path]
            if key in LIST:
                # The last file alone counts: what earlier files switch off must stay off.
                target = function_list(others[-1] if others else "", expectation)
            elif others and satisfied(key, expectation, others[-1]):
                # As good, perhaps stricter: not to be weakened.
                target = as_shown(others[-1], expectation)
            lines.append(f"{key} = {ini_value(target)}")
        return "\n".join(lines) + "\n"

    def _edit_lines(self, php: WebPhp, edits: Edits, notes: list[str]) -> None:
        """Lines that a drop-in cannot overrule: later ini files, pools, Apache's directives."""
        path = self._path(php)
        for key, expectation in self.wanted.items():
            later = _later(php, key, path)
            if later and not satisfied(key, expectation, later.value):
                target = expectation.target
                if key in LIST:
                    target = function_list(later.value, expectation)
                _replace_value(edits, later.file, later.line, key, ini_value(target))
                notes.append(f"{later.origin} is read after our file; that line itself is changed")
            for one in _effective_overrides(php, key):
                if satisfied(key, expectation, one.value):
                    continue
                flag = as_shown(expectation.target, expectation).lower()
                if one.directive is not None:
                    value = flag if "flag" in one.directive.name.lower() else expectation.target
                    edits.set_args(one.directive, f"{key} {_apache_value(value)}")
                elif one.pool is not None:
                    value = flag if "flag" in one.pool.how else ini_value(expectation.target)
                    _replace_value(edits, one.pool.file, one.pool.line, key, value)
                notes.append(
                    f"{one.origin} overrules the ini files for {one.where or 'the whole server'};"
                    " that line itself is changed"
                )


def _lacks(php: WebPhp, key: str, expectation: Expectation) -> bool:
    value = php.from_files(key)
    if value is None:
        return key in FIXED_BY_COMMAND_LINE
    return not satisfied(key, expectation, value)


def _later(php: WebPhp, key: str, path: str) -> Assignment | None:
    """The deciding assignment, if it comes after the drop-in at `path`."""
    given = php.assigned.get(key, ())
    if given and given[-1].file.startswith(f"{php.folder}/conf.d/") and given[-1].file > path:
        return given[-1]
    return None


def _effective_overrides(php: WebPhp, key: str) -> list[Override]:
    """What overrules the ini files for `key`.

    disable_functions is read when PHP starts: a directive of Apache for it shows in ini_get() and
    does nothing, and a pool's only adds to the list.
    """
    if key in LIST:
        return []
    return [one for one in php.overrides if one.key == key]


def _from_files(php: WebPhp, key: str, expectation: Expectation) -> Finding:
    value = php.from_files(key)
    given = php.assigned.get(key, ())
    ok: bool | None
    applicable, note = True, ""
    if value is None:
        ok, shown = None, ""
        applicable = key in FIXED_BY_COMMAND_LINE
        note = (
            "not set in any ini file, and PHP's command line does not tell the built-in value"
            if applicable
            else f"PHP {php.version} does not know this setting"
        )
    else:
        shown = as_shown(value, expectation)
        ok = satisfied(key, expectation, value)
        if not php.running:
            note = f"{php.unit} does not run; this holds when it starts"
        elif php.stale:
            ok, note = (None if ok else False), f"{php.stale}; reload {php.unit}"
    if key in LIST:
        note = note or _vain(php, key)
    return Finding(
        resource=php.label,
        setting=key,
        expected=_expected(expectation),
        running="" if php.stale or not php.running else shown,
        persistent=shown,
        origin=given[-1].origin if given else ("" if value is None else "PHP's built-in default"),
        ok=ok,
        note=note,
        applicable=applicable,
    )


def _vain(php: WebPhp, key: str) -> str:
    """What somebody wrote that looks as if it counted."""
    for one in php.overrides:
        if one.key == key and one.directive is not None:
            return (
                f"{one.origin} sets it too, which has no effect: PHP reads it only from ini files"
            )
    return ""


def _overridden(php: WebPhp, one: Override, expectation: Expectation) -> Finding:
    shown = as_shown(one.value, expectation)
    return Finding(
        resource=f"{php.label} {one.where}".rstrip(),
        setting=one.key,
        expected=_expected(expectation),
        running=shown if php.running and not php.stale else "",
        persistent=shown,
        origin=one.origin,
        ok=False,
        note="overrules the ini files",
    )


def _expected(expectation: Expectation) -> str:
    return str(expectation)


def _replace_value(edits: Edits, file: str, line: int, key: str, value: str) -> None:
    edits.replace(
        file,
        lambda text: with_value(text, line, key, value),
        f"{file}:{line} sets {key}, but not in words that can be replaced safely; change it by"
        f" hand to {value}",
    )


def _apache_value(value: str) -> str:
    return value if re.fullmatch(r"[\w./:,-]+", value) else f'"{value}"'


def _validation(php: WebPhp) -> Validation:
    if php.sapi == "apache2":
        return CONFIGTEST
    return Validation((f"php-fpm{php.version}", "-t"))
