"""Values a person may choose: declared by a step, defaulted from the host, strictly converted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from host.base import HostError
from steps.model import Parameter, ParameterValue, Step
from steps.resource import Context, StepError

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9-]*)\}")
_DURATION = re.compile(r"[0-9]+[smhdw]?")

_MAY_BE_EMPTY = ("text", "path", "list", "addresses", "secret")

LONGEST_SHOWN = 60
"""Characters of a wrong value that a sentence repeats."""


def fill(body: Any, values: Mapping[str, ParameterValue]) -> Any:
    """`body` with every `{name}` replaced.

    A string that is nothing but `{name}` becomes the value itself, with its type.
    """
    if isinstance(body, dict):
        return {fill(key, values): fill(value, values) for key, value in body.items()}
    if isinstance(body, list):
        return [fill(item, values) for item in body]
    if not isinstance(body, str):
        return body
    whole = _PLACEHOLDER.fullmatch(body)
    if whole and whole.group(1) in values:
        value = values[whole.group(1)]
        return list(value) if isinstance(value, tuple) else value

    def as_text(match: re.Match[str]) -> str:
        if match.group(1) not in values:
            return match.group(0)
        value = values[match.group(1)]
        return " ".join(value) if isinstance(value, tuple) else str(value)

    return _PLACEHOLDER.sub(as_text, body)


def names_used(body: Any) -> set[str]:
    """The parameters that a body mentions."""
    if isinstance(body, dict):
        return set().union(*(names_used(k) | names_used(v) for k, v in body.items()), set())
    if isinstance(body, list):
        return set().union(*(names_used(item) for item in body), set())
    return set(_PLACEHOLDER.findall(body)) if isinstance(body, str) else set()


def problem_of(parameter: Parameter) -> str:
    """What is wrong with a declaration; empty if nothing is."""
    if parameter.kind == "choice" and not parameter.choices:
        return "a choice needs choices"
    if parameter.kind == "secret" and parameter.default is not None:
        return "a secret has no default"
    if parameter.optional and (
        parameter.kind not in _MAY_BE_EMPTY or parameter.default is not None
    ):
        return f"only {', '.join(_MAY_BE_EMPTY)} without a default can be optional"
    if parameter.default_from and parameter.default_from not in DEFAULTS:
        return f"default-from {parameter.default_from!r} is not known"
    try:
        re.compile(parameter.pattern)
    except re.error as error:
        return f"the pattern is no regular expression: {error}"
    if parameter.default is not None:
        try:
            convert("", "default", parameter, parameter.default)
        except StepError as error:
            return str(error)
    return ""


def convert(step_id: str, name: str, parameter: Parameter, value: Any) -> ParameterValue:
    """`value` (from YAML, JSON or a command line) as the parameter's kind.

    Raises `StepError` with one sentence that never repeats a secret.
    """
    label = f"{step_id}.{name}" if step_id else name
    shown = _shown(value)
    kind = parameter.kind
    if parameter.optional and value in ("", [], ()):
        return _nothing(parameter)
    if kind == "integer":
        return _integer(label, parameter, value)
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        words = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
        if str(value).strip().lower() not in words:
            raise StepError(f"{label}: expected yes or no, not {shown}")
        return words[str(value).strip().lower()]
    if kind in ("list", "addresses"):
        parts = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise StepError(f"{label}: expected a list")
        items = tuple(str(part).strip() for part in parts if str(part).strip())
        for item in items:
            _one_line(label, item)
            _fits(label, parameter, item)
            if kind == "addresses":
                _address(label, item)
        return items
    if not isinstance(value, str | int):
        raise StepError(f"{label}: expected text")
    text = str(value)
    if kind == "secret":
        if not text or "\n" in text or "\0" in text:
            raise StepError(f"{label}: a secret must be one line, and not empty")
        return text
    _one_line(label, text)
    if kind == "choice" and text not in parameter.choices:
        raise StepError(f"{label}: expected one of {', '.join(parameter.choices)}, not {shown}")
    if kind == "duration" and not _DURATION.fullmatch(text):
        raise StepError(f"{label}: expected a duration such as 10m, 1h or 30s, not {shown}")
    if kind == "path" and (not text.startswith("/") or "/../" in f"{text}/"):
        raise StepError(f"{label}: expected an absolute path without .., not {shown}")
    _fits(label, parameter, text)
    return text


def lacks_secret(step: Step, missing: Iterable[str]) -> bool:
    """Whether one of these parameters is a secret, which no argument and no answer may hold."""
    return any(step.parameters[name].kind == "secret" for name in missing)


def by_standard_input(step_id: str, names: Iterable[str]) -> str:
    """The command that gives a step these values where other users cannot see them."""
    values = ", ".join(f"{name}: …" for name in names)
    return f"printf '{step_id}: {{{values}}}\\n' | harden-tui apply {step_id} --values - --yes"


def how_to_give(step: Step, missing: Sequence[str], setting: str) -> str:
    """What is to be done about missing values; `setting`: the option for what is no secret."""
    if lacks_secret(step, missing):
        command = by_standard_input(step.id, missing)
        setting = f"`{command.replace('| ', '| sudo ')}`"
    return f"press e, or {setting}"


def resolve(
    step: Step, given: Mapping[str, Any], ctx: Context
) -> tuple[dict[str, ParameterValue], list[str]]:
    """The values of a step's parameters, and the names of those that still need one.

    `given` holds what was chosen (command line over answers over checklist); the rest comes from
    the host, then from the default.
    """
    unknown = sorted(set(given) - set(step.parameters))
    if unknown:
        known = ", ".join(step.parameters) or "none"
        raise StepError(f"{step.id} has no parameter {unknown[0]!r} (it has: {known})")
    values: dict[str, ParameterValue] = {}
    missing = []
    for name, parameter in step.parameters.items():
        chosen: Any = given.get(name)
        if chosen is None and parameter.default_from:
            try:
                chosen = DEFAULTS[parameter.default_from](ctx)
            except HostError:
                chosen = None  # the host could not say; the plain default serves
        if chosen is None:
            chosen = parameter.default
        if chosen is None and parameter.optional:
            values[name] = _nothing(parameter)
        elif chosen is None:
            missing.append(name)
        else:
            values[name] = convert(step.id, name, parameter, chosen)
    return values, missing


def _nothing(parameter: Parameter) -> ParameterValue:
    return () if parameter.kind in ("list", "addresses") else ""


def _shown(value: object) -> str:
    """A value as a sentence repeats it: a whole file given by mistake would hide the sentence."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _integer(label: str, parameter: Parameter, value: Any) -> int:
    try:
        number = int(str(value).strip())
    except ValueError:
        raise StepError(f"{label}: expected a whole number, not {_shown(value)}") from None
    if parameter.minimum is not None and number < parameter.minimum:
        raise StepError(f"{label}: must be at least {parameter.minimum}, not {_shown(number)}")
    if parameter.maximum is not None and number > parameter.maximum:
        raise StepError(f"{label}: must be at most {parameter.maximum}, not {_shown(number)}")
    return number


def _one_line(label: str, text: str) -> None:
    """What ends up in configuration files and on terminals holds no control character."""
    if not text.isprintable():
        raise StepError(f"{label}: must be one line of printable characters, not {_shown(text)}")


def _fits(label: str, parameter: Parameter, text: str) -> None:
    if parameter.pattern and not re.fullmatch(parameter.pattern, text):
        raise StepError(f"{label}: {_shown(text)} does not look right ({parameter.help})")


def _address(label: str, text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise StepError(f"{label}: {_shown(text)} is no IP address or network") from None


def _session_address(ctx: Context) -> ParameterValue | None:
    return (ctx.session.client_address,) if ctx.session.client_address else ()


def _session_user(ctx: Context) -> ParameterValue | None:
    return ctx.session.user if ctx.session.user != "root" else None


def _unneeded_units(ctx: Context) -> ParameterValue | None:
    from host.facts.units_unneeded import unneeded_units

    return tuple(unneeded_units(ctx.facts))


def _unneeded_packages(ctx: Context) -> ParameterValue | None:
    from host.facts.packages_unneeded import unneeded_packages

    return tuple(unneeded_packages(ctx.facts))


def _expected_ports(ctx: Context) -> ParameterValue | None:
    from steps.resources.ports import expected_ports

    return expected_ports(ctx)


def _application_tree(ctx: Context) -> ParameterValue | None:
    """The usual place of i-doit, or where Apache shows it from."""
    if ctx.host.state("/var/www/html/i-doit/src/config.inc.php") is not None:
        return "/var/www/html/i-doit"
    return _installed(ctx, "i-doit")


def _typo3_tree(ctx: Context) -> ParameterValue | None:
    return _installed(ctx, "typo3")


def _typo3_writable(ctx: Context) -> ParameterValue | None:
    """What TYPO3 writes into in this layout, as far as it is there."""
    from host.facts.applications import APPLICATIONS

    for one in ctx.facts.get(APPLICATIONS):
        if one.kind == "typo3":
            return tuple(n for n in one.writable if ctx.host.state(f"{one.path}/{n}") is not None)
    return None


def _installed(ctx: Context, kind: str) -> str | None:
    """Where the first application of this kind lies that the web server shows."""
    from host.facts.applications import APPLICATIONS

    return next((one.path for one in ctx.facts.get(APPLICATIONS) if one.kind == kind), None)


def _login_groups(ctx: Context) -> ParameterValue | None:
    from steps.login_defaults import login_groups

    return login_groups(ctx.host, ctx.facts) or None


def _login_users(ctx: Context) -> ParameterValue | None:
    from steps.login_defaults import login_users

    return login_users(ctx.facts)


def _time_daemon(ctx: Context) -> ParameterValue | None:
    from host.facts.packages import PACKAGES

    installed = ctx.facts.get(PACKAGES)
    return next((one for one in ("chrony", "systemd-timesyncd") if one in installed), None)


def _mail_program(ctx: Context) -> ParameterValue | None:
    from host.facts.packages import PACKAGES

    return "postfix" if "postfix" in ctx.facts.get(PACKAGES) else None


def _text_logs(ctx: Context) -> ParameterValue | None:
    from host.facts.packages import PACKAGES

    return "rsyslog" if "rsyslog" in ctx.facts.get(PACKAGES) else "journald"


def _application_database(ctx: Context) -> ParameterValue | None:
    from steps.resources.restore_test import database_of_the_application

    return database_of_the_application(ctx.facts)


def _outgoing_needs(ctx: Context) -> ParameterValue | None:
    """The interfaces this host's own configuration needs (name servers, package sources …)."""
    from host.facts.outgoing import OUTGOING
    from steps.resources.egress_rules import defaults

    return defaults(ctx.facts.get(OUTGOING))


DEFAULTS: dict[str, Callable[[Context], ParameterValue | None]] = {
    "application-database": _application_database,
    "application-tree": _application_tree,
    "expected-ports": _expected_ports,
    "outgoing-needs": _outgoing_needs,
    "session-address": _session_address,
    "unneeded-packages": _unneeded_packages,
    "login-groups": _login_groups,
    "login-users": _login_users,
    "session-user": _session_user,
    "mail-program": _mail_program,
    "text-logs": _text_logs,
    "time-daemon": _time_daemon,
    "typo3-tree": _typo3_tree,
    "typo3-writable": _typo3_writable,
    "unneeded-units": _unneeded_units,
}
"""Where a default can come from: a name used in `default-from`, and the question it asks."""
