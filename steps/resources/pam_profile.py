"""A module that every login asks, by a profile of pam-auth-update(8), as packages bring theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.packages import PACKAGES
from host.facts.pam_files import PAM_FILES, PLACE, PROFILES, PamLine, parse_pam
from snapshots.model import Change, Root, RunCommand, WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.package import plan_install

STATE: Final = Root("/var/lib/pam", content=True)
"""Where pam-auth-update keeps what it wrote last, and so tells edits of others."""

Phase = Literal["auth", "account", "password", "session"]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"with_": "with"}):
    """`line`: "required pam_faillock.so preauth". `with`: arguments NAME=value with what is right.
    `first` is the line as it is where no other module of its type comes before it. `before` and
    `after` name a module that must come later, or earlier, for this one to be asked in time."""

    type: Phase
    line: str
    with_: dict[str, Any] = {}
    first: str = ""
    before: str = ""
    after: str = ""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name`: of the file; `priority`: the highest is asked first (pam_unix has 256). With
    `package` the file is that package's, and neither title nor priority is ours to say."""

    name: str
    lines: list[_Line]
    title: str = ""
    priority: int = 0
    package: str = ""


class _Wanted(msgspec.Struct, frozen=True):
    """A line taken apart, and what its arguments must be."""

    given: _Line
    control: str
    module: str
    words: tuple[str, ...]
    expected: dict[str, Expectation]

    @property
    def stack(self) -> str:
        return f"{PLACE}/common-{self.given.type}"

    @property
    def label(self) -> str:
        return " ".join((self.module, *self.words))

    def is_like(self, line: PamLine) -> bool:
        """Whether it is this line, whatever the values of its arguments."""
        words = set(self.words) & set((self.given.first or self.given.line).split())
        mine = (self.given.type, self.control, self.module)
        return (line.type, line.control, line.module) == mine and words <= set(line.arguments)


class PamProfile(Resource):
    """`pam-profile: {name: …, title: …, priority: 1024, lines: [{type: auth, line: …}, …]}`."""

    kind: ClassVar[str] = "pam-profile"

    def __init__(self, step_id: str, body: _Body, wanted: Sequence[_Wanted]) -> None:
        self.step_id = step_id
        self.body = body
        self.path = f"{PROFILES}/{body.name}"
        self.wanted = tuple(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> PamProfile:
        given = msgspec.convert(body, _Body)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", given.name):
            raise StepError(f"name: {given.name!r} is no name of a profile (a-z, 0-9, -)")
        if not given.lines:
            raise StepError("lines: expected what PAM is to ask")
        if bool(given.title) == bool(given.package):
            raise StepError("title: expected for a profile of ours, or package for one of Debian's")
        return cls(step_id, given, [_taken_apart(line) for line in given.lines])

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PAM_FILES, PACKAGES) if self.body.package else (PAM_FILES,)

    def observe(self, ctx: Context) -> list[Finding]:
        texts = ctx.facts.get(PAM_FILES)
        return [
            finding
            for wanted in self.wanted
            for finding in self._findings(wanted, texts.get(wanted.stack))
        ]

    def plan(self, ctx: Context) -> Planned:
        texts = ctx.facts.get(PAM_FILES)
        if all(f.ok or not f.applicable for f in self.observe(ctx)):
            return Planned()
        refusals = [
            f"{line.origin} asks {line.module} already, in another way; nothing was changed. Take"
            " that line out (`pam-auth-update` where a profile brought it), then look again."
            for wanted in self.wanted
            for line in parse_pam(wanted.stack, texts.get(wanted.stack, ""))
            if line.type == wanted.given.type and line.module == wanted.module
            and not any(one.is_like(line) for one in self.wanted)
        ]  # fmt: skip
        enable = RunCommand(
            argv=("pam-auth-update", "--package", "--enable", self.body.name),
            why=f"let PAM ask {', '.join(dict.fromkeys(one.module for one in self.wanted))}",
        )
        if self.body.package:
            install = plan_install(ctx, [self.body.package])
            return Planned(
                changes=install.changes or (() if install.refusals else (enable,)),
                packages=install.packages,
                notes=install.notes,
                refusals=(*install.refusals, *dict.fromkeys(refusals)),
                roots=(STATE,),
            )
        content = self._profile().encode()
        changes: list[Change] = [enable]
        if self._kept(ctx) != content:
            changes.insert(0, WriteFile(path=self.path, content=content))
        return Planned(
            changes=tuple(changes),
            refusals=tuple(dict.fromkeys(refusals)),
            roots=(Root(self.path, content=True), STATE),
        )

    def _findings(self, wanted: _Wanted, text: str | None) -> Iterator[Finding]:
        if text is None:
            note = f"there is no {wanted.stack} on this host"
            found = _finding(wanted, wanted.label, "asked", "not asked", wanted.stack, False)
            yield msgspec.structs.replace(found, applicable=False, note=note)
            return
        lines = parse_pam(wanted.stack, text)
        ours = [line for line in lines if wanted.is_like(line)]
        if not ours:
            yield _finding(wanted, wanted.label, "asked", "not asked", wanted.stack, False)
            return
        line = ours[0]
        late = _out_of_place(wanted.given, line, lines)
        yield _finding(wanted, wanted.label, "asked", late or "asked", line.origin, not late)
        for name, expectation in wanted.expected.items():
            value = line.value(name) or ""
            yield _finding(
                wanted, f"{name} of {wanted.label}", str(expectation), value or "unset",
                line.origin, expectation.satisfied_by(value),
            )  # fmt: skip

    def _kept(self, ctx: Context) -> bytes | None:
        try:
            return ctx.host.read_bytes(self.path)
        except HostError:
            return None

    def _profile(self) -> str:
        """As pam-auth-update reads it: a block for each type, lines that begin with a tab."""
        blocks = []
        for phase in dict.fromkeys(one.given.type for one in self.wanted):
            ours = [one for one in self.wanted if one.given.type == phase]
            name = phase.capitalize()
            blocks.append(f"{name}-Type: Primary\n{name}:\n")
            blocks += [_written(one, one.given.line) for one in ours]
            if any(one.given.first for one in ours):
                blocks.append(f"{name}-Initial:\n")
                blocks += [_written(one, one.given.first or one.given.line) for one in ours]
        return (
            f"Name: {self.body.title}\nDefault: yes\nPriority: {self.body.priority}\n"
            + "".join(blocks)
        )  # fmt: skip


def _taken_apart(given: _Line) -> _Wanted:
    parts = re.fullmatch(r"(\[[^\]]*\]|[a-z]+)\s+(pam_\w+\.so)((?:\s+\w+)*)", given.line)
    if parts is None:
        raise StepError(f"line: expected a control, a module and words, not {given.line!r}")
    expected = {name: Expectation.of(value) for name, value in given.with_.items()}
    return _Wanted(given, parts[1], parts[2], tuple(parts[3].split()), expected)


def _written(wanted: _Wanted, line: str) -> str:
    values = (f"{key}={one.target}" for key, one in wanted.expected.items())
    return f"\t{' '.join((line, *values))}\n"


def _out_of_place(given: _Line, line: PamLine, lines: Sequence[PamLine]) -> str:
    """What is wrong about its place; empty where nothing is."""
    for other in lines:
        if other.type != given.type:
            continue
        if other.module == given.before and other.number < line.number:
            return f"asked only after {given.before}"
        if other.module == given.after and other.number > line.number:
            return f"asked before {given.after} already"
    return ""


def _finding(
    wanted: _Wanted, setting: str, expected: str, running: str, origin: str, ok: bool
) -> Finding:
    return Finding(
        resource="pam",
        setting=f"{setting} ({wanted.given.type})",
        expected=expected,
        running=running,
        persistent=running,
        origin=origin,
        ok=ok,
    )
