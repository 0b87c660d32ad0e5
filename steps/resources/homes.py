"""Homes of people that are closed to other accounts, and what their shells read when they start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec

from host.base import FileState, HostError
from host.facts import Fact, FactUnavailable
from host.facts.apache import APACHE
from host.facts.local_accounts import LOCAL_ACCOUNTS, LocalAccount
from host.facts.login import NO_LOGIN_SHELLS
from host.facts.login_defs import LOGIN_DEFS
from snapshots.model import Change, Root, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

STARTUP: Final = (
    ".profile", ".bash_profile", ".bash_login", ".bash_logout", ".bashrc", ".zshrc", ".cshrc",
)  # fmt: skip
_KEYS: Final = ".ssh"
_PAGES: Final = "public_html"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Octal texts: the bits that may be set on a home, on what shells read in it, and on what lies
    in .ssh. `keep`: accounts whose home is left alone."""

    mode: str
    startup: str
    keys: str
    keep: list[str] = []


class Homes(Resource):
    """`homes: {mode: "0750", startup: "0740", keys: "0600", keep: [deploy]}`."""

    kind: ClassVar[str] = "homes"

    def __init__(self, mode: int, startup: int, keys: int, keep: Sequence[str]) -> None:
        self.mode = mode
        self.startup = startup
        self.keys = keys
        self.keep = tuple(keep)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Homes:
        given = msgspec.convert(body, _Body)
        texts = (("mode", given.mode), ("startup", given.startup), ("keys", given.keys))
        for field, text in texts:
            if not re.fullmatch(r"0?[0-7]{3}", text):
                raise StepError(f'{field}: expected octal digits such as "0750", not {text!r}')
        mode, startup, keys = (int(text, 8) for _field, text in texts)
        return cls(mode, startup, keys, given.keep)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (LOCAL_ACCOUNTS, LOGIN_DEFS, APACHE)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = []
        for one, state in _people(ctx):
            reason = self._left_alone(ctx, one)
            found = _finding(one, one.home, self.mode, state.mode, one.home)
            if reason:
                found = msgspec.structs.replace(found, applicable=False, note=reason)
            findings.append(found)
            findings += [
                _finding(one, path, most, there.mode, path)
                for path, most, there in self._files(ctx, one)
                if there.mode & ~most
            ]
        if findings:
            return findings
        note = "no person has a home here that is of their own"
        nobody = Finding(resource="home", setting="homes of people", expected="closed",
                         applicable=False, note=note)  # fmt: skip
        return [nobody]

    def plan(self, ctx: Context) -> Planned:
        changes: list[Change] = []
        roots: list[Root] = []
        for one, state in _people(ctx):
            if state.mode & ~self.mode and not self._left_alone(ctx, one):
                changes.append(_close(one, one.home, state.mode & self.mode))
                roots.append(Root(one.home))
            for path, most, there in self._files(ctx, one):
                if there.mode & ~most:
                    changes.append(_close(one, path, there.mode & most))
                    roots.append(Root(path))
        return Planned(changes=tuple(changes), roots=tuple(roots))

    def _files(self, ctx: Context, one: LocalAccount) -> Iterator[tuple[str, int, FileState]]:
        """What the shells of `one` read, and keys and the like, where they are files of their own;
        each with the bits that may be set. sshd reads keys as their owner."""
        if one.name in self.keep:
            return
        home = one.home.rstrip("/")
        wanted = [(f"{home}/{name}", self.startup) for name in STARTUP]
        folder = _state(ctx, f"{home}/{_KEYS}")
        if folder is not None and folder.kind == "dir" and folder.uid == one.uid:
            names = sorted(ctx.host.listdir(f"{home}/{_KEYS}"))
            wanted += [(f"{home}/{_KEYS}/{name}", self.keys) for name in names]
        for path, most in wanted:
            state = _state(ctx, path)
            if state is not None and state.kind == "file" and state.uid == one.uid:
                yield path, most, state

    def _left_alone(self, ctx: Context, one: LocalAccount) -> str:
        """Why a home stays open; empty where nothing speaks for it."""
        if one.name in self.keep:
            return "left alone, as was asked for (keep)"
        home = one.home.rstrip("/")
        if _state(ctx, f"{home}/{_PAGES}") is not None:
            return f"left alone: {home}/{_PAGES} holds pages that a web server may serve"
        try:
            directives = ctx.facts.get(APACHE).config.directives
        except FactUnavailable:
            return ""
        served = next((one for one in directives if f"{home}/" in f"{one.args}/"), None)
        return f"left alone: {served.origin} serves what lies in it" if served else ""


def _people(ctx: Context) -> Iterator[tuple[LocalAccount, FileState]]:
    """Those who may log in, and have a directory of their own for a home."""
    defs = ctx.facts.get(LOGIN_DEFS)
    first, last = defs.number("UID_MIN", 1000), defs.number("UID_MAX", 60000)
    for one in ctx.facts.get(LOCAL_ACCOUNTS).values():
        if not first <= one.uid <= last or one.shell.rpartition("/")[2] in NO_LOGIN_SHELLS:
            continue
        state = _state(ctx, one.home)
        if state is not None and state.kind == "dir" and state.uid == one.uid:
            yield one, state


def _state(ctx: Context, path: str) -> FileState | None:
    try:
        return ctx.host.state(path)
    except HostError:
        return None


def _close(one: LocalAccount, path: str, mode: int) -> RunCommand:
    """As the person themselves: who owns the directory could put a link of theirs in its place."""
    return RunCommand(
        argv=(
            "setpriv", f"--reuid={one.uid}", f"--regid={one.gid}", "--clear-groups",
            "chmod", f"{mode:04o}", path,
        ),
        why=f"close {path} to other accounts",
    )  # fmt: skip


def _finding(one: LocalAccount, path: str, most: int, mode: int, origin: str) -> Finding:
    running = f"{mode:04o} {one.name}"
    return Finding(
        resource="home",
        setting=path,
        expected=f"at most {most:04o} {one.name}",
        running=running,
        persistent=running,
        origin=origin,
        ok=not mode & ~most,
    )
