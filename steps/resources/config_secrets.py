"""The files that hold an application's passwords: for the web server's eyes, and nothing plain."""

from __future__ import annotations

import os.path
import re
import stat
from typing import Any, ClassVar, Final

import msgspec

from host.base import CommandMissing, FileState, Host, HostError, TreeRule
from host.facts import Fact, FactUnavailable
from host.facts.applications import APPLICATIONS, Application
from host.facts.owners import GROUPS, USERS, number
from host.facts.php_source import Literal, assigned_pairs, line_of, quoted, without_comments
from snapshots.model import Change, Root, SealTree, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

MOST: Final = 0o640
"""The most that these files may allow."""

ADMIN: Final = "g_admin_auth"
"""Of i-doit: name => password of its Admin Center; an empty password closes it."""

_HASH: Final = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$.+")
_MAKE = "echo password_hash(stream_get_contents(STDIN), PASSWORD_BCRYPT);"
_VERIFY = (
    '$given = explode("\\n", stream_get_contents(STDIN), 2);'
    " exit(password_verify($given[1], $given[0]) ? 0 : 3);"
)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """`web-server` is a user who has a group of the same name; `owners` may own the files too."""

    web_server: str = "www-data"
    owners: tuple[str, ...] = ("root",)
    admin_password: str = ""


class Held(msgspec.Struct, frozen=True):
    """A file with secrets. `copy`: not what the application reads, but made of it."""

    application: Application
    path: str
    state: FileState
    copy: bool = False


class ConfigSecrets(Resource):
    """`config-secrets: {web-server: www-data, owners: [root], admin-password: "{password}"}`."""

    kind: ClassVar[str] = "config-secrets"

    def __init__(self, body: Body) -> None:
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> ConfigSecrets:
        given = msgspec.convert(body, Body)
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", given.web_server):
            raise StepError(f"web-server: expected the name of a user, not {given.web_server!r}")
        return cls(given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APPLICATIONS, USERS, GROUPS)

    def observe(self, ctx: Context) -> list[Finding]:
        found = _held(ctx)
        if not found:
            return [
                Finding(
                    resource="applications", setting="configuration", expected="for few eyes",
                    note="neither i-doit nor TYPO3 is served here", applicable=False,
                )
            ]  # fmt: skip
        findings = [self._mode(ctx, one) for one in found]
        for one in found:
            if one.application.kind == "i-doit" and not one.copy:
                findings += self._admin(ctx, one)
        return findings

    def _mode(self, ctx: Context, held: Held) -> Finding:
        wanted = self._wanted(ctx, held.state)
        now = (held.state.uid, held.state.gid, held.state.mode)
        running = f"{held.state.mode:04o} {_names(ctx, held.state)}"
        return Finding(
            resource=held.path,
            setting="who may read it",
            expected=f"root and {self.body.web_server} only",
            running=running,
            persistent=running,
            origin=held.path,
            ok=held.state.kind == "file" and now == wanted,
            note="a copy, or a former state, of the configuration" if held.copy else "",
        )

    def _wanted(self, ctx: Context, state: FileState) -> tuple[int, int, int]:
        """Owner, group and mode: what is there less what is too much, and readable by PHP."""
        user = number(ctx.facts.get(USERS), self.body.web_server, "user")
        group = number(ctx.facts.get(GROUPS), self.body.web_server, "group")
        known = ctx.facts.get(USERS)
        owners = {user, *(known[name] for name in self.body.owners if name in known)}
        uid = state.uid if state.uid in owners else user
        gid = state.gid if state.gid in (0, group) else group
        mode = state.mode & MOST
        if uid == user:
            return uid, gid, mode | stat.S_IRUSR
        return uid, group, mode | stat.S_IRUSR | stat.S_IRGRP

    def _admin(self, ctx: Context, held: Held) -> list[Finding]:
        text = _text(ctx.host, held.path)
        entries = assigned_pairs(text, ADMIN)
        if entries is None and ADMIN not in without_comments(text):
            return []
        if entries is None:
            return [
                self._password(
                    held, 0, "its name", None, f"${ADMIN} is not written out in {held.path}; look"
                    " at it yourself", ""
                )
            ]  # fmt: skip
        return [
            self._password(held, line_of(text, one.start), name, *self._verdict(ctx.host, one))
            for name, one in entries.items()
        ]

    def _verdict(self, host: Host, one: Literal) -> tuple[bool | None, str, str]:
        """Whether a password is kept as it should be, a remark, and how it is kept."""
        if one.value is None:
            return None, "it is put together by PHP; look at it yourself", "computed"
        if one.value == "":
            if self.body.admin_password:
                return False, "the password given is not set", "empty: the Admin Center is closed"
            return True, "nobody can log in to the Admin Center", "empty: it is closed"
        if not _HASH.fullmatch(one.value):
            note = "whoever reads the file can log in, and old releases take it as it stands"
            return False, note, "plain text, or no hash of today"
        name = "bcrypt" if one.value.startswith("$2") else "Argon2"
        if self.body.admin_password and not _is_password(host, self.body.admin_password, one.value):
            return False, "not the password given", f"a hash ({name})"
        return True, "", f"a hash ({name})"

    def _password(
        self, held: Held, line: int, name: str, ok: bool | None, note: str, running: str
    ) -> Finding:
        return Finding(
            resource=held.path,
            setting=f"password of the Admin Center ({name})",
            expected="a hash ($2y$ or $argon2), or empty",
            running=running,
            persistent=running,
            origin=f"{held.path}:{line}" if line else held.path,
            ok=ok,
            note=note,
        )

    def plan(self, ctx: Context) -> Planned:
        changes: list[Change] = []
        refusals: list[str] = []
        notes: list[str] = []
        roots: list[Root] = []
        rules: dict[str, list[TreeRule]] = {}
        for held in _held(ctx):
            path, state = held.path, held.state
            written = None
            if held.application.kind == "i-doit" and not held.copy and state.kind == "file":
                try:
                    written = self._hashed(ctx.host, path)
                except FactUnavailable as error:
                    refusals.append(str(error))
            if written is not None:
                changes.append(WriteFile(path=path, content=written, secret=True))
                notes.append(
                    f"{path}: the Admin Center's password is kept as a hash; log in as before"
                    " unless another one was given."
                )
            wanted = self._wanted(ctx, state)
            if state.kind != "file":
                refusals.append(
                    f"{path} is a {state.kind}; nothing was changed. Put the file itself there."
                )
            elif (state.uid, state.gid, state.mode) != wanted:
                folder = os.path.dirname(path)
                rules.setdefault(folder, []).append(_rule(path, wanted))
            if written is not None or (state.uid, state.gid, state.mode) != wanted:
                roots.append(Root(path, content=written is not None))
        if refusals:
            return Planned(refusals=tuple(refusals))
        # By descriptors: whoever may write there must not lead a chown or chmod elsewhere.
        changes += [
            SealTree(root=folder, rules=tuple(wrong), entries=len(wrong))
            for folder, wrong in rules.items()
        ]
        notes += [
            f"{rule.path} becomes {rule.file_mode:04o}."
            for wrong in rules.values()
            for rule in wrong
        ]
        return Planned(changes=tuple(changes), roots=tuple(roots), notes=tuple(notes))

    def _hashed(self, host: Host, path: str) -> bytes | None:
        """The file with hashes in the place of plain passwords; `None` where nothing changes.

        Raises `FactUnavailable` where it must not be touched.
        """
        text = _text(host, path, follow=False)
        entries = assigned_pairs(text, ADMIN) or {}
        changed = text
        for one in sorted(entries.values(), key=lambda entry: -entry.start):
            if self._verdict(host, one)[0] is False:
                password = self.body.admin_password or one.value or ""
                if len(password.encode()) > 72:
                    raise FactUnavailable(
                        f"{path}: bcrypt takes passwords of 72 bytes at most, and the Admin"
                        " Center's is longer. Nothing was changed. Give a shorter one"
                        " (`admin-password`)."
                    )
                made = quoted(_hash_of(host, password))
                changed = changed[: one.start] + made + changed[one.end :]
        return None if changed == text else changed.encode("utf-8", "surrogateescape")


def _held(ctx: Context) -> list[Held]:
    """Configuration files and what lies beside them under their names."""
    found = []
    for application in ctx.facts.get(APPLICATIONS):
        for config in application.config:
            folder, _, name = config.rpartition("/")
            state = ctx.host.state(config)
            if state is not None:
                found.append(Held(application, config, state))
            for other in ctx.host.listdir(folder):
                path = f"{folder}/{other}"
                is_copy = other != name and other.lstrip(".").startswith(name)
                if is_copy and path not in application.config:
                    beside = ctx.host.state(path)
                    if beside is not None and beside.kind == "file":
                        found.append(Held(application, path, beside, copy=True))
    return found


def _text(host: Host, path: str, *, follow: bool = True) -> str:
    try:
        return host.read_bytes(path, follow=follow).decode("utf-8", "surrogateescape")
    except HostError as error:
        raise FactUnavailable(str(error)) from None


def _names(ctx: Context, state: FileState) -> str:
    def name(known: dict[str, int], wanted: int) -> str:
        return next((name for name, value in known.items() if value == wanted), str(wanted))

    return f"{name(ctx.facts.get(USERS), state.uid)}:{name(ctx.facts.get(GROUPS), state.gid)}"


def _rule(path: str, wanted: tuple[int, int, int]) -> TreeRule:
    uid, gid, mode = wanted
    return TreeRule(path=path, uid=uid, gid=gid, file_mode=mode)


def _hash_of(host: Host, password: str) -> str:
    """bcrypt, made by the PHP that will have to understand it. Raises `FactUnavailable`."""
    try:
        made = host.run(("php", "-r", _MAKE), stdin=password.encode()).stdout.strip()
    except CommandMissing:
        raise FactUnavailable(
            "The Admin Center's password cannot be hashed without PHP's command line. Nothing was"
            " changed. Install it first: `apt-get install php-cli`."
        ) from None
    except HostError:
        made = ""
    if not _HASH.fullmatch(made):
        raise FactUnavailable(
            "PHP made no hash of the Admin Center's password (`php -r`). Nothing was changed. See"
            " whether `php -v` works on this host."
        )
    return made


def _is_password(host: Host, password: str, kept: str) -> bool:
    try:
        given = f"{kept}\n{password}".encode()
        return host.run(("php", "-r", _VERIFY), stdin=given, ok=None).returncode == 0
    except HostError:
        return False
