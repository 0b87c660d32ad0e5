"""Options of a PAM module, wherever it stands in /etc/pam.d.

pam-auth-update(8) keeps what was changed of the options of a line it wrote, so the line itself is
edited, and the edit is what a person sees before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.pam_files import PAM_FILES, PLACE, PamLine, edited, parse_pam, with_arguments
from snapshots.model import WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"with_": "with"}):
    """`flags`: words without a value. `files`: names in /etc/pam.d; all of them where empty."""

    type: Literal["auth", "account", "password", "session"]
    module: str
    without: list[str] = []
    with_: dict[str, Any] = {}
    flags: list[str] = []
    files: list[str] = []


class Pam(Resource):
    """`pam: {type: auth, module: pam_unix.so, without: [nullok], with: {rounds: expectation}}`."""

    kind: ClassVar[str] = "pam"

    def __init__(self, body: _Body, wanted: Mapping[str, Expectation]) -> None:
        self.body = body
        self.wanted = dict(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Pam:
        given = msgspec.convert(body, _Body)
        if not (given.without or given.with_ or given.flags):
            raise StepError("expected what the module is to be without, or with")
        return cls(given, {name: Expectation.of(value) for name, value in given.with_.items()})

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PAM_FILES,)

    def observe(self, ctx: Context) -> list[Finding]:
        lines = list(self._lines(ctx))
        if not lines:
            where = ", ".join(f"{PLACE}/{name}" for name in self.body.files) or PLACE
            return [
                Finding(
                    resource="pam",
                    setting=f"{self.body.module} ({self.body.type})",
                    expected="named",
                    running="not named",
                    persistent="not named",
                    origin=where,
                    note=f"nothing in {where} asks this module",
                    applicable=False,
                )
            ]
        return [
            *(self._absent(option, lines) for option in self.body.without),
            *(
                self._present(name, expectation, line)
                for name, expectation in self.wanted.items()
                for line in lines
            ),
            *(self._flagged(flag, line) for flag in self.body.flags for line in lines),
        ]

    def plan(self, ctx: Context) -> Planned:
        before: dict[str, str] = ctx.facts.get(PAM_FILES)
        texts = dict(before)
        refusals = []
        for line in self._lines(ctx):
            words = with_arguments(line.arguments, self._unwanted(line), self._missing(line))
            words += [flag for flag in self.body.flags if flag not in words]
            if tuple(words) == line.arguments:
                continue
            if line.is_split:
                refusals.append(
                    f"{line.origin} goes on over several lines, which is not edited here; nothing"
                    " was changed. Write it in one line, then look again."
                )
                continue
            texts[line.file] = edited(texts[line.file], line, words)
        return Planned(
            changes=tuple(
                WriteFile(path=path, content=text.encode("utf-8", "surrogateescape"))
                for path, text in sorted(texts.items())
                if before[path] != text
            ),
            refusals=tuple(refusals),
        )

    def _lines(self, ctx: Context) -> Iterator[PamLine]:
        wanted = {f"{PLACE}/{name}" for name in self.body.files}
        for path, text in sorted(ctx.facts.get(PAM_FILES).items()):
            if wanted and path not in wanted:
                continue
            for line in parse_pam(path, text):
                if (line.type, line.module) == (self.body.type, self.body.module):
                    yield line

    def _unwanted(self, line: PamLine) -> list[str]:
        return [option for option in self.body.without if line.value(option) is not None]

    def _missing(self, line: PamLine) -> dict[str, str]:
        return {
            name: expectation.target
            for name, expectation in self.wanted.items()
            if not expectation.satisfied_by(line.value(name) or "")
        }

    def _absent(self, option: str, lines: Sequence[PamLine]) -> Finding:
        having = [line for line in lines if line.value(option) is not None]
        running = "nowhere" if not having else f"in {len(having)} of {len(lines)} lines"
        return Finding(
            resource="pam",
            setting=f"{option} of {self.body.module} ({self.body.type})",
            expected="nowhere",
            running=running,
            persistent=running,
            origin=", ".join(line.origin for line in having or lines),
            ok=not having,
        )

    def _flagged(self, flag: str, line: PamLine) -> Finding:
        there = flag in line.arguments
        return Finding(
            resource="pam",
            setting=f"{flag} of {self.body.module} ({self.body.type})",
            expected="there",
            running="there" if there else "not there",
            persistent="there" if there else "not there",
            origin=line.origin,
            ok=there,
        )

    def _present(self, name: str, expectation: Expectation, line: PamLine) -> Finding:
        value = line.value(name)
        running = "unset" if value is None else value
        return Finding(
            resource="pam",
            setting=f"{name} of {self.body.module} ({self.body.type})",
            expected=str(expectation),
            running=running,
            persistent=running,
            origin=line.origin,
            ok=expectation.satisfied_by(value or ""),
        )
