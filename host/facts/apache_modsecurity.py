"""What ModSecurity wrote into Apache's error logs: requests it stopped, or would have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from host.base import Host, HostError
from host.facts.apache import APACHE, Apache
from host.facts.apache_http import MISSING
from host.facts.base import Fact, Facts

PROBE = "harden-tui-probe"
"""Begins the name of the argument by which our own probes are known again."""

_SCORE = ("949110", "949111", "959100")
"""The rules of the Core Rule Set that say that a request, or its answer, went too far."""

_FIELD = re.compile(r'\[(\w+) "((?:[^"\\]|\\.)*)"\]')
_TIME = re.compile(r"^\[([^\]]*)\]")
_CLIENT = re.compile(r"\[client ([^\]\s]+)\]")
_LOOPBACK = ("127.", "::1")
_TAIL_BYTES = 512 * 1024
_MOST_LOGS = 8


class Hit(msgspec.Struct, frozen=True):
    """One line: a rule that matched. `at` is Apache's own time ("Wed Nov 25 21:50:03 2026")."""

    request: str
    at: str
    client: str
    uri: str
    rule: str
    message: str
    data: str
    denied: bool = False


class Stopped(msgspec.Struct, frozen=True):
    """A request that went too far; `rules` are those that found something ("941100 XSS …")."""

    at: str
    client: str
    uri: str
    rules: tuple[str, ...]
    denied: bool


def parse_log(text: str) -> list[Hit]:
    """Lines such as `[…] [security2:error] … [client 192.0.2.1:1] ModSecurity: Warning. …
    [id "941100"] [msg "XSS …"] [data "…"] [uri "/"] [unique_id "Z…"]`; all others are passed over.
    """
    found = []
    for line in text.splitlines():
        head, mark, rest = line.partition("ModSecurity: ")
        if not mark:
            continue
        fields = dict(reversed(_FIELD.findall(rest)))
        if "id" not in fields or "unique_id" not in fields:
            continue
        time, client = _TIME.match(head), _CLIENT.search(head)
        found.append(
            Hit(
                request=fields["unique_id"],
                at=re.sub(r"\.\d+", "", time.group(1)) if time else "",
                client=_without_port(client.group(1)) if client else "",
                uri=fields.get("uri", ""),
                rule=fields["id"],
                message=fields.get("msg", ""),
                data=fields.get("data", ""),
                denied=rest.startswith("Access denied"),
            )
        )
    return found


def _without_port(text: str) -> str:
    address, colon, port = text.rpartition(":")
    return address.strip("[]") if colon and port.isdigit() and address.strip("[]") else text


def stopped(hits: Iterable[Hit]) -> list[Stopped]:
    """The requests that went too far, in their order, without the probes of our own checks."""
    requests: dict[str, list[Hit]] = {}
    for hit in hits:
        requests.setdefault(hit.request, []).append(hit)
    found = []
    for lines in requests.values():
        decided = [hit for hit in lines if hit.rule in _SCORE or hit.denied]
        if decided and not any(_is_ours(hit) for hit in lines):
            rules = [f"{h.rule} {h.message}".strip() for h in lines if h.rule not in _SCORE]
            found.append(
                Stopped(
                    at=lines[0].at,
                    client=lines[0].client,
                    uri=lines[0].uri,
                    rules=tuple(dict.fromkeys(rules)),
                    denied=any(hit.denied for hit in lines),
                )
            )
    return found


def summary(requests: Iterable[Stopped], most: int = 3) -> str:
    """ "12 requests since Wed Nov 25 …: 941100 XSS (10, last at /index.php), …"; "none"."""
    known = list(requests)
    if not known:
        return "none"
    last = {rule: one.uri for one in known for rule in one.rules}
    often = Counter(rule for one in known for rule in one.rules).most_common(most)
    shown = ", ".join(f"{rule} ({count}, last at {last[rule]})" for rule, count in often)
    word = "request" if len(known) == 1 else "requests"
    return f"{len(known)} {word} since {known[0].at}: {shown or 'no rule named'}"


def _is_ours(hit: Hit) -> bool:
    """A probe: of this step, or the ones by which other steps measure answers (TRACE)."""
    if PROBE in hit.data or hit.uri == MISSING:
        return True
    local = hit.client.startswith(_LOOPBACK)
    return local and hit.rule == "911100" and "TRACE" in hit.data


def error_logs(apache: Apache) -> list[str]:
    """The error logs that are files, the server's own first."""
    named = [apache.settings.get("Main ErrorLog", "")]
    named += [" ".join(directive.words) for directive in apache.config.named("ErrorLog")]
    return [path for path in dict.fromkeys(named) if path.startswith("/")][:_MOST_LOGS]


def read_hits(host: Host, apache: Apache) -> list[Hit]:
    """What stands at the end of the error logs (half a MiB of each)."""
    found = []
    for path in error_logs(apache):
        try:
            answer = host.run(("tail", "-c", str(_TAIL_BYTES), path), ok=None)
        except HostError:
            continue
        found += parse_log(answer.stdout) if answer.ok else []
    return found


def _read(host: Host, facts: Facts) -> tuple[Hit, ...]:
    apache = facts.get(APACHE)
    return tuple(read_hits(host, apache)) if "security2_module" in apache.modules else ()


HITS: Fact[tuple[Hit, ...]] = Fact("modsecurity-hits", _read)
