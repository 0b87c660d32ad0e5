"""Owners and modes of single files: nobody may do more with them than is listed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import FileState
from host.facts import Fact
from host.facts.owners import GROUPS, USERS
from host.facts.statoverride import FILE, OVERRIDES, Override, packaged
from snapshots.model import Change, Root, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

ACL = "system.posix_acl_access"


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of the list.

    `path` may be a pattern in its last part. `mode` (octal text) holds the bits that may be set;
    those that are not set stay so. Any of `groups` is right; the first is given where none is.
    """

    path: str
    mode: str
    owner: str = "root"
    groups: tuple[str, ...] = ("root",)

    @property
    def most(self) -> int:
        return int(self.mode, 8)

    def __str__(self) -> str:
        return f"at most {self.most:04o} {self.owner}:{' or '.join(self.groups)}"


class Modes(Resource):
    """`modes: [{path: /etc/shadow, mode: "0640", groups: [shadow, root]}, …]`.

    What is not there is passed over. Of a packaged file the new mode is told to dpkg as well, so
    that an upgrade of its package keeps it.
    """

    kind: ClassVar[str] = "modes"

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self.wanted = tuple(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Modes:
        wanted = msgspec.convert(body, list[Wanted])
        if not wanted:
            raise StepError("expected paths, each with the mode it may have at most")
        for one in wanted:
            folder, _, name = one.path.rpartition("/")
            if not one.path.startswith("/") or "/../" in f"{one.path}/" or not name:
                raise StepError(f"path: expected an absolute path without .., not {one.path!r}")
            if re.search(r"[*?\[]", folder):
                raise StepError(f"path: only its last part may be a pattern, not {one.path!r}")
            if not re.fullmatch(r"[0-7]{3,4}", one.mode):
                raise StepError(f'mode: expected octal digits such as "0640", not {one.mode!r}')
            if not one.groups:
                raise StepError(f"groups: {one.path} needs at least one group")
        return cls(wanted)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (USERS, GROUPS, OVERRIDES)

    def observe(self, ctx: Context) -> list[Finding]:
        return [self._finding(ctx, path, wanted, state) for path, wanted, state in self._there(ctx)]

    def plan(self, ctx: Context) -> Planned:
        wrong = [
            (path, wanted, state)
            for path, wanted, state in self._there(ctx)
            if self._finding(ctx, path, wanted, state).ok is False
        ]
        if not wrong:
            return Planned()
        links = [path for path, _wanted, state in wrong if state.kind == "symlink"]
        if links:
            return Planned(
                refusals=(
                    f"{links[0]} is a symbolic link; nothing was changed. Look where it leads, "
                    "and put the file itself there, or leave this step.",
                )
            )
        overridden = ctx.facts.get(OVERRIDES)
        of_packages = ctx.facts.get(packaged([path for path, _wanted, _state in wrong]))
        changes: list[Change] = []
        told = [
            path
            for path, _wanted, _state in wrong
            if path in (of_packages.keys() | overridden.keys())
        ]
        for path, wanted, state in wrong:
            owner, group = self._names(ctx, wanted, state)
            mode = f"{state.mode & wanted.most:04o}"
            if path in told:
                changes.append(_override(path, owner, group, mode, of_packages.get(path, "")))
            else:
                changes += _plain(path, owner, group, mode, self._who(ctx, state))
        roots = tuple(
            Root(path, content=path == FILE)
            for path in (*([FILE] if told else []), *(path for path, _wanted, _state in wrong))
            if not path.startswith("/etc/")
        )
        return Planned(changes=tuple(changes), roots=roots)

    def _there(self, ctx: Context) -> list[tuple[str, Wanted, FileState]]:
        """Each path that exists once; of several lines that fit it the first counts."""
        found: dict[str, tuple[str, Wanted, FileState]] = {}
        for wanted in self.wanted:
            pattern = re.search(r"[*?\[]", wanted.path) is not None
            for path in ctx.host.glob(wanted.path) if pattern else (wanted.path,):
                state = ctx.host.state(path)
                if state is not None and path not in found:
                    found[path] = (path, wanted, state)
        return list(found.values())

    def _finding(self, ctx: Context, path: str, wanted: Wanted, state: FileState) -> Finding:
        owner, group = self._who(ctx, state)
        override = ctx.facts.get(OVERRIDES).get(path)
        finding = Finding(
            resource="modes",
            setting=path,
            expected=str(wanted),
            running=f"{state.mode:04o} {owner}:{group}",
            persistent=_kept(override) if override else f"{state.mode:04o} {owner}:{group}",
            origin=override.origin if override else path,
            ok=_fits(wanted, owner, group, state.mode),
        )
        if state.kind == "symlink":
            return msgspec.structs.replace(finding, ok=False, note=f"a link to {state.target}")
        if override and not _fits(wanted, override.owner, override.group, override.mode):
            note = "dpkg gives it this mode again whenever its package is upgraded"
            return msgspec.structs.replace(finding, ok=False, note=note)
        if ACL in state.xattrs:
            note = "has an access list besides (getfacl); the middle digit is its mask"
            return msgspec.structs.replace(finding, note=note)
        return finding

    def _who(self, ctx: Context, state: FileState) -> tuple[str, str]:
        """Names of owner and group; numbers where there is no name."""
        return (
            _name(ctx.facts.get(USERS), state.uid),
            _name(ctx.facts.get(GROUPS), state.gid),
        )

    def _names(self, ctx: Context, wanted: Wanted, state: FileState) -> tuple[str, str]:
        """Owner and group as they shall be; of the groups one that this host has."""
        group = self._who(ctx, state)[1]
        if group in wanted.groups:
            return wanted.owner, group
        known = ctx.facts.get(GROUPS)
        return wanted.owner, next((name for name in wanted.groups if name in known), "root")


def _fits(wanted: Wanted, owner: str, group: str, mode: int) -> bool:
    return owner == wanted.owner and group in wanted.groups and not mode & ~wanted.most


def _kept(override: Override) -> str:
    return f"{override.mode:04o} {override.owner}:{override.group}"


def _name(numbers: dict[str, int], number: int) -> str:
    return next((name for name, value in numbers.items() if value == number), str(number))


def _override(path: str, owner: str, group: str, mode: str, package: str) -> RunCommand:
    return RunCommand(
        # Forced: another override of the path is replaced, not kept beside this one.
        argv=(
            "dpkg-statoverride", "--force-statoverride-add", "--update",
            "--add", owner, group, mode, path,
        ),
        why=f"set {path}, also for upgrades of {package or 'its package'}",
    )  # fmt: skip


def _plain(path: str, owner: str, group: str, mode: str, now: tuple[str, str]) -> list[RunCommand]:
    changes = []
    if now != (owner, group):
        why = f"give {path} to {owner}:{group}"
        changes.append(RunCommand(argv=("chown", f"{owner}:{group}", path), why=why))
    changes.append(RunCommand(argv=("chmod", mode, path), why=f"set the mode of {path}"))
    return changes
