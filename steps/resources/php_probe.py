"""The proof over HTTP: a PHP file that lives for one request and says what PHP really has.

Its name is random, it answers nobody without a token, and it is removed whatever happens. One that
a power cut left behind goes when the change is recovered, or with the next probe.
`function_exists` is asked, because `ini_get("disable_functions")` also shows what has no effect.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

import msgspec

from host.base import FileState, Host, HostError
from host.facts.apache import APACHE, RUNNING, Apache
from host.facts.apache_http import Target, targets
from host.facts.php import WEB_PHP, WebPhp
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context
from steps.resources.php_values import LIST, as_shown, satisfied

_PREFIX = "harden-tui-probe-"
_MARK = "harden-tui-answer:"
MOST_ROOTS = 6
"""Document roots that are tried before a PHP counts as not reachable."""

_SAPI = {"apache2handler": "apache2", "fpm-fcgi": "fpm"}

_CODE = """<?php
// Written by harden-tui for one request to itself, and removed right after it.
if (!hash_equals('%(digest)s', hash('sha256', (string) ($_GET['token'] ?? '')))) {
    http_response_code(404);
    exit;
}
$values = [];
foreach (%(keys)s as $key) {
    $values[$key] = ini_get($key);
}
echo '%(mark)s', json_encode([
    'sapi' => PHP_SAPI,
    'version' => PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION,
    'values' => $values,
    'callable' => array_values(array_filter(%(functions)s, 'function_exists')),
]), "\\n";
"""


class Answer(msgspec.Struct, frozen=True):
    """What PHP said. `callable`: those of the asked functions that scripts can call."""

    sapi: str
    version: str
    values: dict[str, str | bool | None]
    callable: tuple[str, ...]


def probe(ctx: Context, wanted: dict[str, Expectation]) -> list[Finding]:
    """The settings as requests see them, for each PHP that Apache uses."""
    php_found = ctx.facts.get(WEB_PHP)
    apache, open_ones = ctx.facts.get(APACHE), list(php_found)
    if not ctx.host.is_root or not ctx.facts.get(RUNNING).pid:
        return [_unproved(php, "this needs root and a running Apache") for php in open_ones]
    findings: list[Finding] = []
    problem = "Apache serves no document root"
    for target, root in _places(apache):
        if not open_ones:
            break
        try:
            answer = _ask(ctx.host, target, root, wanted)
        except HostError as error:
            problem = str(error)
            continue
        if answer is None:
            problem = f"PHP did not answer a probe in {root} ({target.label})"
            continue
        for php in open_ones:
            if (php.version, php.sapi) == (answer.version, _SAPI.get(answer.sapi)):
                findings += _findings(php, target, answer, wanted)
                open_ones.remove(php)
                break
    return findings + [_unproved(php, problem) for php in open_ones]


def _places(apache: Apache) -> list[tuple[Target, str]]:
    """Whom to ask for which document root: over TLS first, because without it the same site may
    only send visitors there."""
    roots = {host.section.origin: host.document_root for host in apache.hosts}
    found: dict[tuple[str, bool], Target] = {}
    for target in sorted(targets(apache), key=lambda one: not one.tls):
        root = (roots.get(target.section_line) or apache.document_root).rstrip("/")
        if root.startswith("/"):
            found.setdefault((root, target.tls), target)
    chosen = list(dict.fromkeys(root for root, _ in found))[:MOST_ROOTS]
    return [(target, root) for (root, _), target in found.items() if root in chosen]


def _ask(host: Host, target: Target, root: str, wanted: dict[str, Expectation]) -> Answer | None:
    _remove_left(host, root)
    token = secrets.token_hex(16)
    name = f"{_PREFIX}{secrets.token_hex(16)}.php"
    path = f"{root}/{name}"
    host.write_file(path, code(token, wanted).encode(), FileState(kind="file", mode=0o644))
    try:
        answer = host.http(
            f"/{name}?token={token}", port=target.port, tls=target.tls, host_header=target.name,
            address=target.address,
        )  # fmt: skip
    finally:
        host.put(path, None)
    return parse(answer.body) if answer.status == 200 else None


def remove_left(ctx: Context) -> None:
    """Take away the probes of a process that was killed. Raises `HostError`."""
    for _, root in _places(ctx.facts.get(APACHE)):
        _remove_left(ctx.host, root)


def _remove_left(host: Host, root: str) -> None:
    for name in host.listdir(root):
        path = f"{root}/{name}"
        # Whoever may write in the root can plant a directory of that name to stop us here.
        if name.startswith(_PREFIX) and name.endswith(".php"):
            state = host.state(path)
            if state is not None and state.kind == "file":
                host.put(path, None)


def code(token: str, wanted: dict[str, Expectation]) -> str:
    """The PHP file; it holds only the token's hash."""
    functions = [name for key in LIST & set(wanted) for name in wanted[key].contains or []]
    return _CODE % {
        "digest": hashlib.sha256(token.encode()).hexdigest(),
        "keys": _array(wanted),
        "functions": _array(functions),
        "mark": _MARK,
    }


def _array(names: Iterable[str]) -> str:
    return (
        "["
        + ", ".join(f"'{name}'" for name in names if name.replace(".", "_").isidentifier())
        + "]"
    )


def parse(body: bytes) -> Answer | None:
    """The answer in a page; a file that PHP prepends may print something before it."""
    _, found, rest = body.partition(_MARK.encode())
    if not found or body.lstrip().startswith(b"<?php"):
        return None
    try:
        return msgspec.json.decode(rest.splitlines()[0], type=Answer)
    except (msgspec.DecodeError, IndexError):
        return None


def _findings(
    php: WebPhp, target: Target, answer: Answer, wanted: dict[str, Expectation]
) -> list[Finding]:
    found = []
    for key, expectation in wanted.items():
        value = answer.values.get(key)
        if value is None or value is False:
            continue  # this PHP does not know the setting; `observe` says so
        shown = as_shown(str(value), expectation)
        ok = satisfied(key, expectation, str(value))
        note = "asked over HTTP"
        if key in LIST:
            still = sorted(set(answer.callable) & set(expectation.contains or []))
            ok = not still
            note = f"still callable: {', '.join(still)}" if still else "asked with function_exists"
        found.append(
            Finding(
                resource=f"{php.label} at {target.label}", setting=key, expected=str(expectation),
                running=shown, ok=ok, note=note,
            )
        )  # fmt: skip
    return found


def _unproved(php: WebPhp, why: str) -> Finding:
    return Finding(
        resource=php.label,
        setting="asked over HTTP",
        expected="the same values",
        note=f"not asked: {why}",
        applicable=False,
    )
