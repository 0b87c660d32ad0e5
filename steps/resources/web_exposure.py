"""What of an application must not be reachable over HTTP is not: asked of the web server itself."""

from __future__ import annotations

import os.path
import re
from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.apache import APACHE, RUNNING
from host.facts.applications import APPLICATIONS
from host.facts.exposure import EXPOSURE, Probed
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.apache_dropin import DropIn, planned

_WORDS = {
    "shown": "anybody can read it",
    "run": "anybody can run it",
    "listed": "anybody gets the list of its files",
}

_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f$\udc80-\udcff]")
"""What no line of Apache's configuration can hold as it is: whoever owns the tree chose the names
in it, and after the end of a line would stand a directive of theirs. Each is one byte."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Nothing to choose: the rules are those of the applications."""


class WebExposure(Resource):
    """`web-exposure: {}`."""

    kind: ClassVar[str] = "web-exposure"

    def __init__(self, step_id: str) -> None:
        self.step_id = step_id
        self.drop_in = DropIn(step_id)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> WebExposure:
        msgspec.convert(body or {}, _Body)
        return cls(step_id)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, APPLICATIONS, EXPOSURE)

    def observe(self, ctx: Context) -> list[Finding]:
        if not ctx.facts.get(APPLICATIONS):
            return [
                Finding(
                    resource="applications", setting="over HTTP", expected="only their pages",
                    note="neither i-doit nor TYPO3 is served here", applicable=False,
                )
            ]  # fmt: skip
        if not ctx.facts.get(RUNNING).pid:
            return [
                Finding(
                    resource="apache", setting="over HTTP", expected="only pages",
                    note="Apache does not run, so nothing could be asked for; start it first",
                )
            ]  # fmt: skip
        probed = ctx.facts.get(EXPOSURE)
        findings = [_bad(one) for one in probed if one.verdict in _WORDS]
        findings += [_unknown(one) for one in probed if one.verdict == "unknown"]
        for application in ctx.facts.get(APPLICATIONS):
            findings += _summary(
                application.label, [one for one in probed if one.application == application]
            )
        return findings

    def plan(self, ctx: Context) -> Planned:
        """Every place there is is refused, so that the next one is found closed too."""
        running = ctx.facts.get(RUNNING)
        probed = ctx.facts.get(EXPOSURE)
        bad = [one for one in probed if one.verdict in _WORDS]
        if not bad:
            return planned([], running)
        if self.drop_in.exists(ctx.host) and all(
            block in _text_of(ctx, self.drop_in.path) for block in map(_block, bad)
        ):
            return Planned(
                refusals=(
                    f"{self.drop_in.path} refuses {bad[0].shown_as}, and {_url(bad[0])} answers all"
                    " the same: another rule lets it through. Nothing was changed. Look for"
                    f" `Require all granted` in {bad[0].application.public} (.htaccess) and in"
                    " <Location> sections.",
                )
            )
        notes = [
            f"{one.application.path} is shown as a whole, not only {one.application.public}; better"
            f" let {one.target.label} have that as its DocumentRoot."
            for one in bad
            if one.place.path.startswith(f"{one.application.path}/")
            and not f"{one.place.path}/".startswith(f"{one.application.public}/")
        ]
        return planned(
            self.drop_in.changes(ctx.host, self._text(probed)),
            running,
            notes=dict.fromkeys(notes),
            refusals=filter(None, [self.drop_in.refusal(ctx.host, ctx.facts.get(APACHE))]),
        )

    def _text(self, probed: tuple[Probed, ...]) -> str:
        lines = [
            f"# Written by harden-tui for the step {self.step_id}.",
            "# What of an application no visitor needs is refused, also without its .htaccess.",
        ]
        return "\n".join(lines) + "\n" + "".join(dict.fromkeys(_block(one) for one in probed))


def _block(one: Probed) -> str:
    """The section that refuses a place, by the path that Apache puts together for it."""
    if one.place.directory:
        kept = one.place.rule.keep
        if not kept:
            return f'<Directory "{_quoted(one.shown_as)}">\n    Require all denied\n</Directory>\n'
        return (
            f'<Directory "{_quoted(one.shown_as)}">\n'
            f'    <FilesMatch "^(?!.*\\.(?:{"|".join(kept)})$)">\n'
            "        Require all denied\n    </FilesMatch>\n</Directory>\n"
        )
    folder, name = os.path.split(one.shown_as)
    pattern = re.sub(r"[^A-Za-z0-9_-]", lambda sign: _literal(sign[0]), name)
    return (
        f'<Directory "{_quoted(folder)}">\n    <FilesMatch "^{pattern}$">\n'
        "        Require all denied\n    </FilesMatch>\n</Directory>\n"
    )


def _literal(sign: str) -> str:
    """A sign of a name in a regular expression."""
    return "." if _UNWRITABLE.fullmatch(sign) else f"\\{sign}"


def _quoted(path: str) -> str:
    """For `<Directory>`, which takes *, ? and [ for patterns."""
    return _UNWRITABLE.sub("?", re.sub(r'([*?\[\]"\\])', r"\\\1", path))


def _text_of(ctx: Context, path: str) -> str:
    return ctx.host.read_bytes(path).decode("utf-8", "replace")


def _url(one: Probed) -> str:
    return f"{one.target.url.rstrip('/')}{one.url}"


def _summary(label: str, probed: list[Probed]) -> list[Finding]:
    """How much of an application was asked for and refused."""
    kept = [one for one in probed if one.verdict == "kept"]
    finding = Finding(
        resource=label,
        setting="over HTTP",
        expected="configuration, logs, uploads and the like are not reachable",
    )
    if not probed:
        note = "no name that Apache answers shows it, or nothing of the kind is there"
        return [msgspec.structs.replace(finding, note=note, applicable=False)]
    if not kept:
        return []
    names = ", ".join(sorted({one.target.label for one in probed}))
    running = f"{len(kept)} of them were asked for by {names} and refused"
    return [msgspec.structs.replace(finding, running=running, persistent=running, ok=True)]


def _bad(one: Probed) -> Finding:
    said = f"{one.status}: {_WORDS[one.verdict]}"
    return Finding(
        resource=one.application.label,
        setting=f"{_url(one)}",
        expected="refused",
        running=said,
        persistent=said,
        origin=one.place.path,
        ok=False,
        note=one.place.rule.what,
    )


def _unknown(one: Probed) -> Finding:
    return Finding(
        resource=one.application.label,
        setting=f"{_url(one)}",
        expected="refused",
        origin=one.place.path,
        note=one.problem,
    )
