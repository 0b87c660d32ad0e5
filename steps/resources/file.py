"""A file with exactly this content, mode and owner: for the steps of a site."""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import Any, ClassVar

import msgspec

from host.base import FileState, HostError
from host.facts import Fact, FactUnavailable
from host.facts.owners import GROUPS, USERS, number
from snapshots.directories import parents
from snapshots.model import Root, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

HIDDEN = "(not shown)"


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The resource as a catalogue file writes it. `mode` is octal text ("0640").

    With `secret` the content is shown nowhere: not in findings, previews, logs or restore points.
    """

    path: str
    content: str
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    secret: bool = False


class File(Resource):
    """`file: {path: /etc/…, content: …, mode: "0640", owner: root, group: www-data}`."""

    kind: ClassVar[str] = "file"

    def __init__(self, body: Body) -> None:
        self.body = body
        self.content = body.content.encode()
        self.mode = int(body.mode, 8)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> File:
        given = msgspec.convert(body, Body)
        if not given.path.startswith("/") or "/../" in f"{given.path}/":
            raise StepError(f"path: expected an absolute path without .., not {given.path!r}")
        if posixpath.normpath(given.path) != given.path or given.path.startswith("//"):
            raise StepError(f"path: expected no //, no /./ and no / at its end: {given.path!r}")
        if not re.fullmatch(r"[0-7]{3,4}", given.mode):
            raise StepError(f'mode: expected octal digits such as "0640", not {given.mode!r}')
        return cls(given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (USERS, GROUPS)

    def observe(self, ctx: Context) -> list[Finding]:
        state = self._state(ctx)
        wanted = f"{self.body.owner}:{self.body.group}"
        findings = [self._content(ctx, state)]
        if state is not None:
            mode, owner = f"{state.mode:04o}", f"{state.uid}:{state.gid}"
            right = (state.uid, state.gid) == self._ids(ctx)
            findings += [
                self._finding("mode", f"{self.mode:04o}", mode, state.mode == self.mode),
                self._finding("owner", wanted, wanted if right else owner, right),
            ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        state = self._state(ctx)
        if state is not None and state.kind == "symlink":
            return Planned(
                refusals=(
                    f"{self.body.path} is a symbolic link to {state.target}; nothing was written"
                    " through it. Remove the link, or name the file it points to.",
                )
            )
        if state is not None and state.kind != "file":
            return Planned(
                refusals=(f"{self.body.path} is a {state.kind}, not a file; it was left alone.",)
            )
        if all(finding.ok for finding in self.observe(ctx)):
            return Planned()
        if refusal := self._no_way_there(ctx):
            return Planned(refusals=(refusal,))
        uid, gid = self._ids(ctx)
        is_captured = self.body.path.startswith("/etc/")
        return Planned(
            changes=(
                WriteFile(
                    path=self.body.path,
                    content=self.content,
                    mode=self.mode,
                    uid=uid,
                    gid=gid,
                    force_state=True,
                    secret=self.body.secret,
                ),
            ),
            roots=() if is_captured else (Root(self.body.path, content=True),),
        )

    def _no_way_there(self, ctx: Context) -> str:
        """Why the file cannot lie there; empty where it can. Links in /etc are judged elsewhere."""
        folder, _, name = self.body.path.rpartition("/")
        real = ctx.host.realpath(folder or "/").rstrip("/")
        if real != folder and not self.body.path.startswith("/etc/"):
            return (
                f"{folder} lies behind a symbolic link; nothing was written through it. Name the"
                f" file where it lies: {real}/{name}."
            )
        for above in parents(self.body.path):
            state = ctx.host.state(above)
            if state is not None:
                is_dir = state.kind in ("dir", "symlink")
                return "" if is_dir else f"{above} is a {state.kind}, in which no file can lie."
        return ""

    def _state(self, ctx: Context) -> FileState | None:
        return ctx.host.state(self.body.path, content=True)

    def _ids(self, ctx: Context) -> tuple[int, int]:
        return (
            number(ctx.facts.get(USERS), self.body.owner, "user"),
            number(ctx.facts.get(GROUPS), self.body.group, "group"),
        )

    def _content(self, ctx: Context, state: FileState | None) -> Finding:
        expected = HIDDEN if self.body.secret else f"{len(self.content)} bytes as the step has them"
        if state is None:
            return self._finding("content", expected, "absent", False)
        if state.kind != "file":
            return self._finding("content", expected, f"a {state.kind}", False)
        if state.size_bytes != len(self.content):
            digest = ""
        elif not state.sha256:
            try:
                digest = hashlib.sha256(ctx.host.read_bytes(self.body.path)).hexdigest()
            except HostError as error:
                raise FactUnavailable(str(error)) from None
        else:
            digest = state.sha256
        same = digest == hashlib.sha256(self.content).hexdigest()
        running = "the same" if same else "different"
        return self._finding("content", expected, running, same)

    def _finding(self, setting: str, expected: str, running: str, ok: bool) -> Finding:
        return Finding(
            resource=self.body.path,
            setting=setting,
            expected=expected,
            running=running,
            persistent=running,
            origin=self.body.path,
            ok=ok,
        )
