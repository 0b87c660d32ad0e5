"""An application's tree, sealed: owner, modes, and immutable but for what it must write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Final

import msgspec

from host.base import FLAG_IMMUTABLE, CommandMissing, Host, HostError, TreeRule
from host.facts import Fact, Facts, FactUnavailable
from host.facts.owners import GROUPS, USERS, number
from snapshots.model import Root, SealTree
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources import tree_oddities
from steps.resources.tree_oddities import Writer
from steps.resources.tree_survey import PROPERTIES, Survey, survey

BASES: Final = ("/var/www", "/srv", "/opt", "/usr/local/share", "/usr/share/webapps")
"""Where applications live. Anything else could be the system itself, which would not survive."""

_ASIDE: Final = 4
"""Questions to the kernel at a time, each a program of its own."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The resource as a catalogue file writes it. Modes are octal text.

    `writable` and `executable` are relative to `path`; `executable` may name "*.sh" (any such
    file of the tree).
    """

    path: str
    owner: str = "www-data:www-data"
    dir_mode: str = "0550"
    file_mode: str = "0440"
    writable: list[str] = []
    executable: list[str] = []
    immutable: bool = True


class Tree(Resource):
    """`tree: {path: /var/www/html/app, owner: www-data:www-data, writable: [log], …}`."""

    kind: ClassVar[str] = "tree"

    def __init__(self, body: Body) -> None:
        self.path = body.path.rstrip("/") or "/"
        self.user, _, self.group = body.owner.partition(":")
        self.dir_mode = _mode("dir-mode", body.dir_mode)
        self.file_mode = _mode("file-mode", body.file_mode)
        self.writable = tuple(_relative("writable", name) for name in body.writable)
        names = [name for name in body.executable if not name.startswith("*")]
        self.executable = tuple(_relative("executable", name) for name in names)
        self.suffixes = tuple(_suffix(name) for name in body.executable if name.startswith("*"))
        self.immutable = body.immutable
        self.has_flags = _has_flags(self.path)
        self.survey = survey(self.path, self._rules, repr(body))

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Tree:
        given = msgspec.convert(body, Body)
        if not given.path.startswith("/") or "/../" in f"{given.path}/":
            raise StepError(f"path: expected an absolute path without .., not {given.path!r}")
        if not re.fullmatch(r"[^:\s]+:[^:\s]+", given.owner):
            raise StepError(f"owner: expected user:group, not {given.owner!r}")
        return cls(given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (USERS, GROUPS) if not _inside_a_base(self.path) else (USERS, GROUPS, self.survey)

    def _rules(self, facts: Facts) -> list[TreeRule]:
        uid = number(facts.get(USERS), self.user, "user")
        gid = number(facts.get(GROUPS), self.group, "group")
        flags = FLAG_IMMUTABLE if self.immutable and facts.get(self.has_flags) else 0

        def sealed(path: str, file_mode: int, suffixes: tuple[str, ...] = ()) -> TreeRule:
            return TreeRule(
                path=path,
                uid=uid,
                gid=gid,
                dir_mode=self.dir_mode,
                file_mode=file_mode,
                flags_set=flags,
                name_suffixes=suffixes,
            )

        found = [sealed(self.path, self.file_mode)]
        if self.suffixes:
            found.append(sealed(self.path, self._runnable, self.suffixes))
        for name in self.executable:
            place = facts.host.state(f"{self.path}/{name}")
            if place is not None and place.kind == "file":
                found.append(sealed(f"{self.path}/{name}", self._runnable))
        found += [
            TreeRule(
                path=f"{self.path}/{name}",
                uid=uid,
                gid=gid,
                dir_mode=0o770,
                file_mode=0o660,
                flags_clear=FLAG_IMMUTABLE,
            )
            for name in self.writable
        ]
        return found

    @property
    def _runnable(self) -> int:
        """Executable for whoever may read."""
        return self.file_mode | (self.file_mode & 0o444) >> 2

    def observe(self, ctx: Context) -> list[Finding]:
        problem = self._problem(ctx.host)
        if problem:
            raise FactUnavailable(problem)
        found = ctx.facts.get(self.survey)
        if found is None:
            return [
                Finding(
                    resource=self.path,
                    setting="tree",
                    expected="sealed",
                    note=f"{self.path} does not exist on this host",
                    applicable=False,
                )
            ]
        expected = {
            "owner": f"{self.user}:{self.group}",
            "directory modes": f"{self.dir_mode:04o}",
            "file modes": f"{self.file_mode:04o}",
            "immutable": "set (chattr +i)",
            "writable": f"not immutable: {', '.join(self.writable)}",
        }
        findings = [
            self._finding(name, expected[name], found)
            for name in PROPERTIES
            if (name != "immutable" or self._seals(ctx)) and (name != "writable" or self.writable)
        ]
        if self.immutable and not self._seals(ctx):
            findings.append(
                Finding(
                    resource=self.path,
                    setting="immutable",
                    expected="set (chattr +i)",
                    running="not supported",
                    note="this file system has no immutable flag; owner and modes alone protect,"
                    " and the owner can change those",
                    applicable=False,
                )
            )
        findings += tree_oddities.findings(self.path, found)
        return findings

    def _seals(self, ctx: Context) -> bool:
        return self.immutable and ctx.facts.get(self.has_flags)

    def _finding(self, name: str, expected: str, found: Survey) -> Finding:
        count = found.counts.get(name, 0)
        running = f"so for all that it is about ({found.entries:,} entries looked at)"
        if count:
            examples = found.examples[name]
            more = ", …" if count > len(examples) else ""
            running = f"{count:,} of {found.entries:,} differ: {', '.join(examples)}{more}"
        return Finding(
            resource=self.path,
            setting=name,
            expected=expected,
            running=running,
            persistent=running,
            origin=self.path,
            ok=count == 0,
        )

    def plan(self, ctx: Context) -> Planned:
        problem = self._problem(ctx.host)
        if problem:
            return Planned(refusals=(problem,))
        found = ctx.facts.get(self.survey)
        if found is None:
            return Planned(notes=(f"{self.path} does not exist on this host.",))
        if not found.differing:
            return Planned()
        writers = tree_oddities.writers(ctx.host, self.path)
        half_way = tree_oddities.half_way(ctx.host, self.path, self.writable, writers)
        if half_way and self._seals(ctx):
            return Planned(refusals=(half_way,))
        return Planned(
            changes=(
                SealTree(
                    root=self.path, rules=tuple(self._rules(ctx.facts)), entries=found.differing
                ),
            ),
            roots=(Root(self.path, content=False),),
            notes=tuple(self._notes(ctx, found, writers)),
        )

    def _problem(self, host: Host) -> str:
        """Why this path must not be sealed; empty if nothing speaks against it."""
        if not _inside_a_base(self.path):
            return (
                f"{self.path} is not below {', '.join(BASES)}: sealing it could stop the system"
                " itself. Nothing was changed. Set `path` to the application's own directory."
            )
        state = host.state(self.path)
        if state is None:
            return ""
        real = host.realpath(self.path)
        if real != self.path:
            return (
                f"{self.path} leads through a symbolic link to {real}. Nothing was changed."
                f" Set `path` to {real} if that is the application."
            )
        if state.kind != "dir":
            return f"{self.path} is a {state.kind}, not a directory. Nothing was changed."
        return ""

    def _notes(self, ctx: Context, found: Survey, writers: Sequence[Writer]) -> list[str]:
        notes = tree_oddities.notes(found)
        absent = [n for n in self.writable if ctx.host.state(f"{self.path}/{n}") is None]
        if absent:
            notes.append(
                f"Not there, and the application cannot make them once the tree is sealed:"
                f" {', '.join(absent)}."
            )
        busy = [writer.path for writer in writers]
        if busy:
            more = f" and {len(busy) - 3} more" if len(busy) > 3 else ""
            notes.append(
                f"Being written right now, in writable directories, and undisturbed:"
                f" {', '.join(busy[:3])}{more}."
            )
        return notes

    def prove(self, ctx: Context) -> list[Finding]:
        """Asked of the kernel: root cannot write, the owner can read, and write where it must."""
        if self._problem(ctx.host) or ctx.facts.get(self.survey) is None:
            return []
        as_owner = ("runuser", "-u", self.user, "--", "test")
        asked: list[tuple[str, bool, tuple[str, ...]]] = []
        if self._seals(ctx):
            asked.append(("root writes into it", False, ("test", "-w", self.path)))
        reads = (*as_owner, "-r", self.path, "-a", "-x", self.path)
        asked.append((f"{self.user} reads it", True, reads))
        for name in self.writable:
            place = f"{self.path}/{name}"
            if ctx.host.state(place) is not None:
                writes = (*as_owner, "-w", place)
                asked.append((f"{self.user} writes into {name}", True, writes))
        with ThreadPoolExecutor(_ASIDE) as pool:
            answers = list(pool.map(lambda one: _test(ctx.host, one[2]), asked))
        return [
            self._proof(setting, expected, possible)
            for (setting, expected, _), possible in zip(asked, answers, strict=True)
        ]

    def _proof(self, setting: str, expected: bool, possible: bool) -> Finding:
        words = {True: "possible", False: "refused"}
        return Finding(
            resource=self.path,
            setting=setting,
            expected=words[expected],
            running=words[possible],
            ok=possible is expected,
        )


def _has_flags(path: str) -> Fact[bool]:
    """Whether the file system knows chattr's flags; taken for granted where `lsattr` is missing."""

    def read(host: Host, facts: Facts) -> bool:
        try:
            return host.run(("lsattr", "-d", path), ok=None).ok
        except CommandMissing:
            return True

    return Fact(f"has-flags {path}", read)


def _test(host: Host, argv: Sequence[str]) -> bool:
    try:
        return host.run(argv, ok=None).ok
    except HostError:
        return False


def _inside_a_base(path: str) -> bool:
    return any(path.startswith(f"{base}/") for base in BASES)


def _mode(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-7]{3,4}", text):
        raise StepError(f'{name}: expected octal digits such as "0550", not {text!r}')
    return int(text, 8)


def _relative(name: str, text: str) -> str:
    cleaned = text.strip().strip("/")
    if not cleaned or ".." in cleaned.split("/") or "*" in cleaned or text.startswith("/"):
        raise StepError(f"{name}: expected a path below the tree, such as log, not {text!r}")
    return cleaned


def _suffix(text: str) -> str:
    if not re.fullmatch(r"\*\.[A-Za-z0-9._-]+", text):
        raise StepError(f"executable: expected a name or something like *.sh, not {text!r}")
    return text[1:]
