"""Sites, or parts of them, that only who has a client certificate may see.

The handshake asks for one but does without (`optional`), and `Require` refuses who has none with
403: browsers do not answer when they are asked later, for a single folder (TLS 1.3), and who is
refused in the handshake is told nothing that a person understands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.apache import APACHE, FOLDER, RUNNING, Apache
from host.facts.apache_certificates import read_chain
from host.facts.apache_config import VirtualHost
from host.facts.apache_http import Target, targets
from host.facts.apache_plain import PLAIN
from snapshots.model import Change, WriteFile
from steps.model import Finding, MeantAnswer
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.apache_dropin import DropIn, Edits, planned
from steps.resources.apache_site import text_of, with_line

_REFUSED = 403
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_MOVED = range(300, 400)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`sites`: names of virtual hosts; `paths`, `except`: beginnings of addresses; `authority`,
    `revoked`: PEM files of who signs the certificates, and of those that were revoked."""

    sites: list[str]
    authority: str = ""
    revoked: str = ""
    paths: list[str] = []
    except_: list[str] = msgspec.field(default=[], name="except")
    depth: int = 2


class ApacheClients(Resource):
    """`apache-client-certificate: {sites: […], authority: /etc/ssl/…, paths: ["/"], …}`."""

    kind: ClassVar[str] = "apache-client-certificate"

    def __init__(self, step_id: str, body: Body) -> None:
        self.step_id = step_id
        self.body = body
        self.path = f"{FOLDER}/conf-available/{DropIn(step_id).name}.conf"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ApacheClients:
        given = msgspec.convert(body, Body, strict=True)
        for field, paths in (("paths", given.paths), ("except", given.except_)):
            for path in paths:
                if not _PATH.fullmatch(path):
                    raise StepError(f"{field}: expected the beginning of an address, not {path!r}")
        for field, file in (("authority", given.authority), ("revoked", given.revoked)):
            if file and not re.fullmatch(r"/[^\s\"'\\]+", file):
                raise StepError(f"{field}: expected an absolute path without blanks, not {file!r}")
        if given.sites and not (given.authority and given.paths):
            raise StepError("sites: name in authority who signs the certificates, and some paths")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, *((PLAIN,) if self.body.sites else ()))

    def observe(self, ctx: Context) -> list[Finding]:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        if not self.body.sites:
            return [
                Finding(
                    resource="apache", setting="client certificates", expected="where you want",
                    note="no site was named; choose some with the parameter sites",
                    applicable=False,
                )
            ]  # fmt: skip
        findings = []
        for site in self.body.sites:
            target = _target(apache, site)
            if target is None:
                findings.append(self._finding(site, "/", "", ok=False, note=_no_site(site)))
                continue
            virtual = _virtual(apache, site)
            for path in self.body.paths:
                finding = self._asked(ctx, target, path, self._origin(apache, virtual))
                if not running.pid:
                    finding = msgspec.structs.replace(finding, note="Apache does not run")
                elif running.stale:
                    ok = None if finding.ok else finding.ok
                    finding = msgspec.structs.replace(finding, ok=ok, note=running.stale)
                findings.append(finding)
            findings += self._plain(ctx, site)
        return findings

    def plan(self, ctx: Context) -> Planned:
        apache, running = ctx.facts.get(APACHE), ctx.facts.get(RUNNING)
        if not self.body.sites:
            return planned([], running)
        refusals = [*self._unfit(ctx), *self._open_doors(ctx, apache)]
        if refusals:
            return Planned(refusals=tuple(refusals))
        text = self._text().encode()
        there = ctx.host.state(self.path)
        changes: list[Change] = []
        if there is None or ctx.host.read_bytes(self.path) != text:
            changes.append(WriteFile(path=self.path, content=text))
        edits, notes = Edits(ctx.host), []
        line = f"Include {self.path}"
        chosen = [v for site in self.body.sites if (v := _virtual(apache, site)) is not None]
        for virtual in sorted(chosen, key=lambda one: one.section.line, reverse=True):
            if self._includes(apache, virtual):
                continue
            if text_of(ctx.host, virtual) is None:
                notes.append(f"{virtual.section.origin} is a macro; put `{line}` there by hand")
                continue
            edits.replace(
                virtual.section.file,
                partial(with_line, virtual=virtual, line=line),
                f"{virtual.section.origin} is not where a <VirtualHost> begins any more; nothing"
                " was changed. Look at the preview again.",
            )
        changes += edits.changes
        work = planned(changes, running, notes=notes, refusals=edits.refusals)
        if not changes or "/" not in self.body.paths:
            return work
        meant = tuple(MeantAnswer(site, (_REFUSED,)) for site in self.body.sites)
        return msgspec.structs.replace(work, answers=meant)

    def _asked(self, ctx: Context, target: Target, path: str, origin: str) -> Finding:
        try:
            answer = ctx.host.http(
                path, port=target.port, tls=True, host_header=target.name, address=target.address
            )
        except HostError as error:
            return self._finding(target.name, path, "", ok=None, origin=origin, note=str(error))
        return self._finding(
            target.name,
            path,
            f"answers {answer.status}",
            ok=answer.status == _REFUSED,
            origin=origin,
        )

    def _finding(
        self, site: str, path: str, running: str, *, ok: bool | None, origin: str = "",
        note: str = "",
    ) -> Finding:  # fmt: skip
        return Finding(
            resource=f"apache {site}",
            setting=path,
            expected=f"{_REFUSED} without a client certificate",
            running=running,
            origin=origin,
            ok=ok,
            note=note,
        )

    def _plain(self, ctx: Context, site: str) -> Iterator[Finding]:
        for one in ctx.facts.get(PLAIN).names:
            if one.target.name.lower() == site.lower() and one.status:
                yield Finding(
                    resource=f"apache {site}",
                    setting="without TLS",
                    expected="sends visitors to https, or refuses them",
                    running=f"answers {one.status}",
                    ok=one.status in _MOVED or one.status in (_REFUSED, 404),
                )

    def _open_doors(self, ctx: Context, apache: Apache) -> Iterator[str]:
        for site in self.body.sites:
            if _virtual(apache, site) is None or _target(apache, site) is None:
                yield f"{_no_site(site)}; nothing was changed"
            if any(finding.ok is False for finding in self._plain(ctx, site)):
                yield (
                    f"http://{site}/ answers without TLS too, and would ask nobody for a"
                    " certificate; nothing was changed. Apply apache.https-redirect first."
                )

    def _unfit(self, ctx: Context) -> Iterator[str]:
        chain, problem = read_chain(ctx.host, self.body.authority)
        if problem:
            yield f"{problem}; nothing was changed. Name the authority's certificate (PEM)."
        elif not any(one.self_signed for one in chain):
            yield (
                f"{self.body.authority} holds no root certificate, so no client could be trusted;"
                " nothing was changed. Name the authority that signs your client certificates."
            )
        if self.body.revoked and ctx.host.state(self.body.revoked) is None:
            yield (
                f"{self.body.revoked} does not exist, so Apache would not start; nothing was"
                " changed. Let your authority write its list of revoked certificates there."
            )

    def _text(self) -> str:
        body = self.body
        revoked = (
            [f"SSLCARevocationFile {body.revoked}", "SSLCARevocationCheck chain"]
            if body.revoked
            else []
        )
        return "\n".join(
            [
                f"# Written by harden-tui for the step {self.step_id}; virtual hosts include it.",
                "SSLVerifyClient optional",
                f"SSLVerifyDepth {body.depth}",
                f"SSLCACertificateFile {body.authority}",
                *revoked,
                f'<LocationMatch "{_pattern(body.paths, body.except_)}">',
                "    AuthMerging And",
                "    Require expr \"%{SSL_CLIENT_VERIFY} == 'SUCCESS'\"",
                "</LocationMatch>",
                "",
            ]
        )

    def _includes(self, apache: Apache, virtual: VirtualHost) -> bool:
        return any(
            d.file == self.path and d.within[:1] == (virtual.section,)
            for d in apache.config.directives
        )

    def _origin(self, apache: Apache, virtual: VirtualHost | None) -> str:
        if virtual is None:
            return ""
        for directive in reversed(apache.config.named("SSLVerifyClient")):
            if directive.within[:1] in ((virtual.section,), ()):
                return directive.origin
        return virtual.section.origin


def _pattern(paths: list[str], exceptions: list[str]) -> str:
    """A regular expression for the addresses below `paths` but not below `exceptions`."""
    below = "|".join(map(_below, paths))
    but = f"(?!{'|'.join(map(_below, exceptions))})" if exceptions else ""
    return f"^{but}(?:{below})"


def _below(path: str) -> str:
    return f"{re.escape(path)}" if path.endswith("/") else f"{re.escape(path)}(?:/|$)"


def _virtual(apache: Apache, site: str) -> VirtualHost | None:
    name = site.lower()
    return next(
        (
            virtual
            for virtual in apache.hosts
            if virtual.tls
            and name in (virtual.name.lower() or "localhost", *map(str.lower, virtual.aliases))
        ),
        None,
    )


def _target(apache: Apache, site: str) -> Target | None:
    return next(
        (
            target
            for target in targets(apache, aliases=True)
            if target.tls and target.name.lower() == site.lower()
        ),
        None,
    )


def _no_site(site: str) -> str:
    return f"no virtual host that speaks TLS has the name {site}; apache.certificate brings one"
