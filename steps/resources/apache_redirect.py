"""Plain HTTP only sends visitors to HTTPS, for the names that answer there.

The rules stand in one file that each virtual host reads first: before its own rules, its .htaccess
and its questions for passwords, so that nobody types one that others can read. The main server's
rules do not reach a virtual host that has none of its own (`InheritDownBefore`; tried on trixie).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.apache import APACHE, FOLDER, RUNNING, Apache
from host.facts.apache_plain import CHALLENGE, PLAIN, PlainName
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding, MeantAnswer
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import DropIn, Edits, planned
from steps.resources.apache_site import text_of, with_line

_NAMELESS = "localhost"
_MOVED = (301, 302, 303, 307, 308)
_WITHOUT = (200, 401, 403, 404)
_UNDO = (
    "bring https back, or undo this step (`harden-tui rollback apache.https-redirect`), so that"
    " visitors are not sent where nobody answers"
)
_CHALLENGES = "/.well-known/acme-challenge/"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: Literal["301", "302", "308"] = "301"
    except_: list[str] = msgspec.field(default=[], name="except")


class ApacheRedirect(Resource):
    """`apache-redirect: {status: "301", except: [/api]}`."""

    kind: ClassVar[str] = "apache-redirect"

    def __init__(self, step_id: str, status: str, except_: list[str]) -> None:
        self.step_id = step_id
        self.status = status
        self.except_ = except_
        self.path = f"{FOLDER}/conf-available/{DropIn(step_id).name}.conf"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheRedirect:
        given = msgspec.convert(body, _Body, strict=True)
        for path in given.except_:
            if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", path):
                raise StepError(
                    f"except: expected the beginning of an address (/api), not {path!r}"
                )
        return cls(step_id, given.status, given.except_)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, PLAIN)

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        plain = ctx.facts.get(PLAIN)
        findings = [
            finding for one in plain.names for finding in self._findings(apache, one, running.stale)
        ]
        if not findings:
            stopped = "" if running.pid else "Apache does not run, so no answer could be looked at"
            findings.append(
                Finding(
                    resource="apache", setting="port 80", expected="sends visitors to https",
                    note=stopped or "no site answers on port 80", applicable=bool(stopped),
                )
            )  # fmt: skip
        if plain.left_out:
            findings.append(
                Finding(
                    resource="apache", setting="more names", expected="the same", applicable=False,
                    note=f"{plain.left_out} more were not asked, to keep the check short",
                )
            )  # fmt: skip
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        names = ctx.facts.get(PLAIN).names
        open_ones = [one for one in names if one.over_tls and not self._moves(one)]
        text = self._text(names).encode()
        state = ctx.host.state(self.path)
        outdated = state is not None and ctx.host.read_bytes(self.path) != text
        if not open_ones and not (outdated and self._is_ours(apache)):
            return planned([], running)
        dead = [one for one in names if self._moves(one) and not one.over_tls]
        if not open_ones and not any(one.over_tls for one in names):
            return planned([], running, notes=[_UNDO])
        notes = [
            f"{one.target.url} stays as it is: https does not answer for that name"
            for one in names
            if not one.over_tls and not self._moves(one)
        ]
        edits = Edits(ctx.host)
        places = {one.target.section_line for one in open_ones}
        notes += self._let_read(edits, ctx, apache, places)
        changes: list[Change] = []
        if "rewrite_module" not in apache.modules:
            changes.append(RunCommand(argv=("a2enmod", "rewrite"), why="load mod_rewrite"))
        if state is None or outdated:
            changes.append(WriteFile(path=self.path, content=text))
        changes += edits.changes
        if open_ones and not edits.changes and not outdated:
            return planned([], running, notes=notes, refusals=edits.refusals)
        work = planned(changes, running, notes=notes, refusals=edits.refusals)
        meant = [MeantAnswer(one.target.name, (int(self.status),)) for one in open_ones]
        if self._is_ours(apache):  # these answer for themselves again
            meant += [MeantAnswer(one.target.name, _WITHOUT) for one in dead]
        return msgspec.structs.replace(work, answers=tuple(meant))

    def _let_read(
        self, edits: Edits, ctx: Context, apache: Apache, places: set[str]
    ) -> Iterator[str]:
        """One line in each virtual host at `places` that does not read the rules yet; what cannot
        be done, in words."""
        line = f"Include {self.path}"
        # The last of a file first, so that the lines of the others stay where they are.
        hosts = sorted(apache.hosts, key=lambda host: host.section.line, reverse=True)
        if "" in places:
            yield "what answers without a <VirtualHost> stays as it is; write one for port 80"
        for virtual in hosts:
            own = [d for d in apache.config.directives if d.within == (virtual.section,)]
            if virtual.section.origin not in places or any(d.file == self.path for d in own):
                continue
            off = [d for d in own if d.name.lower() == "rewriteengine" and d.args.lower() == "off"]
            if off:
                yield f"{off[0].origin} turns rewriting off, so {virtual.label} stays as it is"
            elif text_of(ctx.host, virtual) is None:
                yield (
                    f"{virtual.section.origin} is no plain <VirtualHost> (a macro?); put"
                    f" `{line}` there by hand"
                )
            else:
                edits.replace(
                    virtual.section.file,
                    partial(with_line, virtual=virtual, line=line),
                    f"{virtual.section.origin} is not where a <VirtualHost> begins any more;"
                    " nothing was changed. Look at the preview again.",
                )

    def _findings(self, apache: Apache, one: PlainName, stale: str) -> Iterable[Finding]:
        label = f"apache {one.target.label}"
        moves = self._moves(one)
        dead = moves and not one.over_tls and self._is_ours(apache)
        if one.problem or (not one.over_tls and not moves):
            yield Finding(
                resource=label,
                setting="/",
                expected="sends visitors to https",
                running=f"answers {one.status}" if one.status else "",
                note=one.problem
                or "https does not answer for this name: apache.certificate comes first",
                applicable=bool(one.problem),
            )
            return
        yield Finding(
            resource=label,
            setting="/",
            expected="sends visitors to https",
            running=f"{one.status} to {one.location}" if one.location else f"answers {one.status}",
            persistent="the same" if not stale else "",
            origin=self._origin(apache, one),
            ok=moves and not dead,
            note=f"https does not answer for this name; {_UNDO}" if dead else stale,
        )
        yield Finding(
            resource=label,
            setting=CHALLENGE.rpartition("/")[0] + "/",
            expected="answers without TLS, for certbot",
            running=f"answers {one.challenge}",
            ok=one.challenge not in _MOVED or not one.challenge_location.startswith("https://"),
            applicable=self._is_ours(apache),
            note="" if self._is_ours(apache) else "somebody else's rules",
        )

    def _is_ours(self, apache: Apache) -> bool:
        return any(include.file == self.path for include in apache.includes)

    def _moves(self, one: PlainName) -> bool:
        return one.status in _MOVED and one.location.lower().startswith("https://")

    def _origin(self, apache: Apache, one: PlainName) -> str:
        """Who sends visitors on: our file, or the virtual host's own lines."""
        if self._is_ours(apache):
            return self.path
        for directive in apache.config.named("Redirect", "RedirectPermanent", "RewriteRule"):
            host = directive.virtual_host
            here = host is None or host.origin == one.target.section_line
            if here and "https://" in directive.args.lower():
                return directive.origin
        return one.target.section_line

    def _text(self, names: Iterable[PlainName]) -> str:
        kept = [_CHALLENGES, *self.except_]
        paths = "|".join(re.escape(path) for path in kept)
        return "\n".join(
            [
                f"# Written by harden-tui for the step {self.step_id}: names that speak TLS.",
                "<IfModule mod_rewrite.c>",
                "RewriteEngine On",
                "RewriteCond %{HTTPS} !=on",
                "RewriteCond %{SERVER_PORT} =80",
                f"RewriteCond %{{REQUEST_URI}} !^(?:{paths})",
                f'RewriteCond %{{HTTP_HOST}} "{_hosts(names)}" [NC]',
                f"RewriteRule ^ https://%1%{{REQUEST_URI}} [R={self.status},L,NE]",
                "</IfModule>",
                "",
            ]
        )


def _hosts(names: Iterable[PlainName]) -> str:
    """The names to send on; with the first site without a name, all but those to leave alone."""
    known = list(names)
    sent = [one.target.name.lower() for one in known if one.over_tls]
    if _NAMELESS in sent:
        left = [re.escape(one.target.name.lower()) for one in known if not one.over_tls]
        but = f"(?!(?:{'|'.join(left)})(?::|$))" if left else ""
        return rf"^{but}([a-z0-9._-]+|\[[0-9a-f:]+\])(?::\d+)?$"
    return rf"^({'|'.join(map(re.escape, sent)) or '(?!)'})(?::\d+)?$"
