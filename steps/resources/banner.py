"""What strangers read before they log in, and everybody after: no word about the system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from host.base import FileState, Host, HostError
from host.facts import Fact, Facts, FactUnavailable
from host.facts.os import DISTRIBUTION
from snapshots.model import Change, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.banner_text import AUTHORIZED, script_tells, tells, without_telling, wrapped

MOTD = "/etc/motd"
MOTD_SCRIPTS = "/etc/update-motd.d"
ISSUE_PARTS = "/etc/issue.d/*.issue"
MODE = 0o644
_RUNNABLE = 0o111


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`files` are shown before a login; with `exact` they hold `text` and nothing else, without it
    any words do that name no system. `motd`: look after the message of the day too."""

    files: list[str]
    text: str = AUTHORIZED
    exact: bool = False
    motd: bool = False


class Banner(Resource):
    """`banner: {files: [/etc/issue.net], text: …, exact: true, motd: true}`."""

    kind: ClassVar[str] = "banner"

    def __init__(self, body: _Body) -> None:
        self.body = body
        self.text = wrapped(body.text)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Banner:
        given = msgspec.convert(body, _Body)
        for path in given.files:
            if not path.startswith("/etc/") or "/../" in f"{path}/":
                raise StepError(f"files: expected a file below /etc, not {path!r}")
        if not given.text.strip():
            raise StepError("text: expected a sentence")
        telling = tells(given.text)
        if telling:
            raise StepError(f"text: it must not name the system, but says {', '.join(telling)}")
        return cls(given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (DISTRIBUTION,)

    def observe(self, ctx: Context) -> list[Finding]:
        names = _names(ctx)
        findings = [self._shown(ctx, path, names) for path in self.body.files]
        if "/etc/issue" in self.body.files:
            findings += [
                self._part(path, said)
                for path in ctx.host.glob(ISSUE_PARTS)
                if (said := tells(_text(ctx, path) or "", names))
            ]
        if self.body.motd:
            findings.append(self._motd(ctx, names))
            findings += [
                Finding(
                    resource=path,
                    setting="prints into the message of the day",
                    expected="nothing about the system",
                    running=f"{', '.join(said)}, at every login",
                    persistent=f"{', '.join(said)}, at every login",
                    origin=path,
                    ok=False,
                )
                for path, said in _telling_scripts(ctx, names)
            ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        names = _names(ctx)
        refusals = [
            f"{path} is a {state.kind}, not a file; nothing was changed. Put a file in its place,"
            " then apply again."
            for path in (*self.body.files, *([MOTD] if self.body.motd else []))
            if (state := ctx.host.state(path)) is not None and state.kind != "file"
        ]
        if refusals:
            return Planned(refusals=tuple(refusals))
        changes: list[Change] = [
            _write(path, self.text)
            for path in self.body.files
            if not self._shown(ctx, path, names).ok
        ]
        notes = [
            f"{path} names the system and is shown before logins too; edit it by hand."
            for path in ctx.host.glob(ISSUE_PARTS)
            if "/etc/issue" in self.body.files and tells(_text(ctx, path) or "", names)
        ]
        if self.body.motd:
            if not self._motd(ctx, names).ok:
                changes.append(_write(MOTD, without_telling(_text(ctx, MOTD) or "", names)))
            for path, _ in _telling_scripts(ctx, names):
                changes.append(_write(path, _text(ctx, path) or ""))
                notes.append(f"{path} stays, but is not run any more (its mode becomes 0644).")
        right = [path for path in self.body.files if self._shown(ctx, path, names).ok]
        return Planned(
            changes=tuple(changes),
            notes=tuple(notes),
            claims=tuple(("files", path) for path in right),
        )

    def _shown(self, ctx: Context, path: str, names: Sequence[str]) -> Finding:
        text, state = _text(ctx, path), ctx.host.state(path)
        problems = _loose(state)
        said = tells(text or "", names)
        if text is None:
            problems.append("absent")
        elif not text.strip():
            problems.append("empty")
        elif said:
            problems.append(f"names the system ({', '.join(said)})")
        elif self.body.exact and text.split() != self.body.text.split():
            problems.append("another text")
        return _finding(path, "shown before a login", problems, "a warning that names no system")

    def _part(self, path: str, said: list[str]) -> Finding:
        problems = [f"names the system ({', '.join(said)})"]
        return _finding(path, "shown before a login", problems, "no word about the system")

    def _motd(self, ctx: Context, names: Sequence[str]) -> Finding:
        text, problems = _text(ctx, MOTD), _loose(ctx.host.state(MOTD))
        said = tells(text or "", names)
        if said:
            problems.append(f"names the system ({', '.join(said)})")
        return _finding(MOTD, "shown after a login", problems, "no word about the system")


def _finding(path: str, setting: str, problems: Sequence[str], expected: str) -> Finding:
    running = ", ".join(problems) or "as expected"
    return Finding(
        resource=path,
        setting=setting,
        expected=expected,
        running=running,
        persistent=running,
        origin=path,
        ok=not problems,
    )


def _telling_scripts(ctx: Context, names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """(path, what it tells) of the scripts that pam_motd runs and that tell the system."""
    found = []
    for path in ctx.host.glob(f"{MOTD_SCRIPTS}/*"):
        state = ctx.host.state(path)
        if state is None or state.kind != "file" or not state.mode & _RUNNABLE:
            continue
        said = script_tells(_text(ctx, path) or "", names)
        if said:
            found.append((path, said))
    return found


def _names(ctx: Context) -> tuple[str, ...]:
    """Codename and kernel release."""
    try:
        codename = ctx.facts.get(DISTRIBUTION).codename
    except FactUnavailable:
        codename = ""
    return codename, ctx.facts.get(KERNEL)


def _loose(state: FileState | None) -> list[str]:
    if state is None or state.kind != "file":
        return []
    problems = [f"mode {state.mode:04o}"] if state.mode & ~MODE else []
    if (state.uid, state.gid) != (0, 0):
        problems.append(f"owned by {state.uid}:{state.gid}")
    return problems


def _write(path: str, text: str) -> WriteFile:
    content = text.encode("utf-8", "surrogateescape")
    return WriteFile(path=path, content=content, mode=MODE, force_state=True)


def _text(ctx: Context, path: str) -> str | None:
    if ctx.host.state(path) is None:
        return None
    try:
        return ctx.host.read_bytes(path).decode("utf-8", "surrogateescape")
    except HostError:
        return None


def _kernel(host: Host, facts: Facts) -> str:
    try:
        return host.read_bytes("/proc/sys/kernel/osrelease").decode("ascii", "replace").strip()
    except HostError:
        return ""


KERNEL: Fact[str] = Fact("kernel-release", _kernel)
