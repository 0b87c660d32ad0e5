"""Security headers, measured on real answers and sent exactly once.

mod_headers keeps two lists: `always` (errors and redirects too) is worked off before `onsuccess`,
and a header in both is sent twice. `<If "true">` is merged after virtual hosts, directories and
.htaccess, so that what stands in it has the last word. What the application sent itself is looked
up with `%{resp:…}`, moved to the one list, and kept where it is at least as strict: a page's own
DENY is not weakened to SAMEORIGIN, and TYPO3's own policy for its backend stays. (All of this
tried on bookworm and trixie, on 200, 301, 302, 403, 404 and 500, static, PHP and .htaccess.)
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec

from host.base import HttpAnswer
from host.facts import Fact
from host.facts.apache import APACHE, RUNNING, Apache
from host.facts.apache_config import Directive
from host.facts.apache_http import ANSWERS, Answers, Asked
from snapshots.model import Change, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import DropIn, Edits, planned

CSP = "Content-Security-Policy"
HSTS = "Strict-Transport-Security"
_WORD = re.compile(r"[A-Za-z0-9-]*")

_NOT_MEASURED = (400, 408, 421)
"""Apache answers these before it looks at its headers (a client certificate is missing, …)."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What a header must be; nothing is asked for where `value` is empty.

    `accept`: other values that are as good or stricter. `keep`: any value the application sends
    itself counts. `tls-only`: only over HTTPS. `mode` is for Content-Security-Policy.
    """

    value: str
    accept: list[str] = []
    keep: bool = False
    tls_only: bool = False
    mode: Literal["enforce", "report-only", "off"] = "enforce"


class ApacheHeader(Resource):
    """`apache-header: {Name: value, …}` or `{Name: {value: …, accept: […]}}`."""

    kind: ClassVar[str] = "apache-header"

    def __init__(self, step_id: str, wanted: dict[str, Header]) -> None:
        self.step_id = step_id
        self.wanted = {n: h for n, h in wanted.items() if h.value and h.mode != "off"}
        self.drop_in = DropIn(step_id)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheHeader:
        if not isinstance(body, dict) or not body:
            raise StepError("expected HTTP headers with the value of each")
        wanted = {}
        for name, value in body.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", str(name)):
                raise StepError(f"{name!r} is no name of an HTTP header")
            given = value if isinstance(value, dict) else {"value": value}
            header = msgspec.convert(given, Header, strict=True)
            if any(ord(char) < 32 or ord(char) > 126 for char in header.value):
                raise StepError(f"{name}: a header holds one line of ASCII text")
            if header.accept and not all(map(_WORD.fullmatch, [header.value, *header.accept])):
                raise StepError(f"{name}: with `accept`, a value is one word")
            if str(name) == HSTS and _max_age(header.value) is None:
                raise StepError(f"{name}: expected max-age=SECONDS, not {header.value!r}")
            wanted[str(name)] = header
        return cls(step_id, wanted)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, ANSWERS)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        answers = ctx.facts.get(ANSWERS)
        findings = []
        for name, header in self.wanted.items():
            about = [one for one in answers.asked if one.target.tls or not header.tls_only]
            if not about:
                findings.append(_not_asked(name, header, answers, running.pid))
            for one in about:
                finding = _finding(name, header, one, _lines_for(apache, name, one))
                if running.stale:
                    finding = msgspec.structs.replace(
                        finding,
                        ok=finding.ok and None,
                        note=f"{running.stale}; reload it, then this can be told",
                    )
                elif finding.ok:
                    finding = msgspec.structs.replace(finding, persistent=finding.running)
                findings.append(finding)
        if answers.left_out:
            findings.append(_left_out(answers))
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        open_ones = [f for f in self.observe(ctx) if f.ok is not True and f.applicable]
        only_stale = running.stale and not any(f.ok is False for f in open_ones)
        if (not open_ones or only_stale) and not self._outdated(ctx):
            return planned([], running)
        changes: list[Change] = []
        if "headers_module" not in apache.modules:
            changes.append(RunCommand(argv=("a2enmod", "headers"), why="load mod_headers"))
        edits = Edits(ctx.host)
        notes = [self._let_win(edits, d) for d in self._explicit(apache)]
        changes += edits.changes
        changes += self.drop_in.changes(ctx.host, self.text())
        refusals = [*edits.refusals, *filter(None, [self.drop_in.refusal(ctx.host, apache)])]
        if changes and not running.pid:
            refusals.append(
                "Apache does not run, so no answer of it could prove the headers; nothing was"
                " changed. Start it (`systemctl start apache2`), then look again."
            )
        if not changes and not running.stale and open_ones:
            first = open_ones[0]
            refusals.append(
                f"{first.resource} sends {first.setting}: {first.running or 'nothing'}, although"
                f" {self.drop_in.path} is in force; something after Apache's own headers changes it"
            )
        return planned(changes, running, notes=notes, refusals=refusals)

    def _outdated(self, ctx: Context) -> bool:
        """Our own file holds other values: a parameter was changed, perhaps to a milder one."""
        return self.drop_in.exists(ctx.host) and bool(self.drop_in.changes(ctx.host, self.text()))

    def text(self) -> str:
        """The drop-in."""
        lines = [
            f"# Written by harden-tui for the step {self.step_id}.",
            "# <If> is merged last, after virtual hosts and .htaccess; `always` covers errors and",
            "# redirects; `onsuccess unset` takes the copy away that would be sent as well.",
            "<IfModule mod_headers.c>",
            '<If "true">',
        ]
        for name, header in self.wanted.items():
            lines += [f"    {line}" for line in _lines(name, header)]
        return "\n".join([*lines, "</If>", "</IfModule>", ""])

    def _explicit(self, apache: Apache) -> list[Directive]:
        """Lines of the configuration that set a good value, but on successful answers only."""
        names = {name.lower(): header for name, header in self.wanted.items()}
        found = []
        for directive in apache.config.named("Header"):
            words = [word for word in directive.words if word.lower() != "onsuccess"]
            if len(words) < 3 or words[0].lower() != "set":
                continue
            name, value = words[1].rstrip(":"), words[2]
            header = names.get(name.lower())
            if header and value.lower() != header.value.lower() and good(name, header, value):
                found.append(directive)
        return found

    def _let_win(self, edits: Edits, directive: Directive) -> str:
        edits.set_args(directive, "always " + re.sub(r"^onsuccess\s+", "", directive.args))
        return (
            f"{directive.origin} sets {directive.words[1]} itself, to a value that is kept; it is"
            " made to hold for errors and redirects too"
        )


def good(name: str, header: Header, value: str) -> bool:
    """Whether a value that was sent is what is wanted, or as good."""
    text = value.strip()
    if name.lower() == HSTS.lower():
        sent, least = _max_age(text), _max_age(header.value)
        return sent is not None and least is not None and sent >= least
    if header.keep:
        return bool(text)
    return text.lower() in {header.value.lower(), *(a.lower() for a in header.accept)}


def _max_age(value: str) -> int | None:
    found = re.search(r'max-age="?(\d{1,15})', value, re.IGNORECASE)
    return int(found.group(1)) if found else None


def _lines(name: str, header: Header) -> list[str]:
    """The directives for one header."""
    value = header.value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    sent = f"%{{resp:{name}}}"
    if name == CSP:
        if header.mode == "enforce":
            return [f'Header always set {CSP} "{value}" "expr=-z {sent}"']
        only = f"{CSP}-Report-Only"
        return [f'Header always set {only} "{value}" "expr=-z {sent} && -z %{{resp:{only}}}"']
    if header.keep:
        keep = f"-n {sent}"
    elif name == HSTS:
        keep = f"{sent} =~ /max-age=.?([0-9]+)/ && $1 -ge {_max_age(header.value)}"
    elif header.accept:
        values = dict.fromkeys([header.value, *header.accept])
        keep = f"{sent} =~ m#^({'|'.join(values)})$#i"
    else:
        return [f'Header always set {name} "{value}"', f"Header onsuccess unset {name}"]
    tls = "%{HTTPS} == 'on' && " if header.tls_only else ""
    return [
        f'Header always set {name} "expr={sent}" "expr={tls}{keep}"',
        f'Header always set {name} "{value}" "expr={tls}! ({keep})"',
        f"Header onsuccess unset {name}",
    ]


def _values(name: str, header: Header, answer: HttpAnswer) -> list[str]:
    found = answer.header(name)
    if name == CSP and header.mode == "report-only":
        found = found or answer.header(f"{CSP}-Report-Only")
    return found


def _finding(name: str, header: Header, one: Asked, lines: list[Directive]) -> Finding:
    seen: list[tuple[HttpAnswer, list[str]]] = [
        (answer, _values(name, header, answer))
        for answer in (one.page, one.missing)
        if answer is not None and answer.status not in _NOT_MEASURED
    ]
    ok: bool | None = None
    running, note = "", ""
    if one.problem:
        note = one.problem
    elif not seen:
        note = "Apache refuses our request before it comes to headers"
    for answer, values in seen:
        said = _verdict(name, header, values)
        if said:
            ok, running = False, f"{said} (answer {answer.status})"
            if name == CSP and len(values) > 1:
                note = "a .htaccess sets it too: take it out there, or use csp-mode report-only"
            break
        if len(seen) == 2:
            ok, running = True, values[0]
    return Finding(
        resource=f"apache {one.target.label}",
        setting=name,
        expected=_expected(name, header),
        running=running,
        origin=_origin(lines, running),
        ok=ok,
        note=note,
    )


def _verdict(name: str, header: Header, values: list[str]) -> str:
    """What is wrong with what was sent; empty if nothing."""
    if not values:
        return "not sent"
    if len(values) > 1 and (name != CSP or header.value in values):
        return f"sent {len(values)} times: {' | '.join(values)}"
    return "" if good(name, header, values[0]) else values[0]


def _expected(name: str, header: Header) -> str:
    if name == CSP and header.mode == "report-only":
        return f"{header.value} (report only), or the application's own"
    if name == HSTS:
        return f"max-age of at least {_max_age(header.value)}, once"
    own = ", or the application's own" if header.keep else ""
    return " or ".join(dict.fromkeys([header.value, *header.accept])) + own


def _lines_for(apache: Apache, name: str, one: Asked) -> list[Directive]:
    """The lines of the configuration that set the header for this host."""
    names = {name.lower(), f"{name}-Report-Only".lower()}
    found = []
    for directive in apache.config.named("Header"):
        host = directive.virtual_host
        words = [word.lower().rstrip(":") for word in directive.words]
        here = host is None or host.origin == one.target.section_line
        if here and names & set(words[1:3]) and "unset" not in words[:2]:
            found.append(directive)
    return found


def _origin(lines: list[Directive], sent: str) -> str:
    """The last line that says what was sent, else the last line about the header."""
    saying = [line for line in lines if sent in line.words]
    return (saying or lines)[-1].origin if lines else ""


def _not_asked(name: str, header: Header, answers: Answers, pid: int) -> Finding:
    if not pid:
        ok_note, applicable = "Apache does not run, so no answer of it could be looked at", True
    elif header.tls_only and answers.asked:
        ok_note, applicable = "no virtual host of Apache speaks TLS", False
    else:
        ok_note, applicable = "Apache listens on no port", True
    return Finding(
        resource="apache", setting=name, expected=_expected(name, header), note=ok_note,
        applicable=applicable,
    )  # fmt: skip


def _left_out(answers: Answers) -> Finding:
    return Finding(
        resource="apache",
        setting="more virtual hosts",
        expected="the same headers",
        note=f"{answers.left_out} more names were not asked, to keep the check short",
        applicable=False,
    )
