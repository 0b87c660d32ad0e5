"""An administrator with a name: in group sudo, with a password for it, and a key to come in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.login import (
    ACCOUNTS,
    Account,
    AuthorizedKey,
    parse_authorized_keys,
    parse_sudo_list,
)
from host.facts.login_defs import LOGIN_DEFS
from host.facts.owners import GROUPS, USERS
from host.facts.packages import PACKAGES
from host.facts.pwquality import PWQUALITY, shortcoming
from host.facts.sshd import SSHD_EFFECTIVE, Effective
from snapshots.model import Change, Root, RunCommand, WriteFile
from steps.file_roots import roots_of_file
from steps.guard_keys import key_obstacle
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

GROUP: Final = "sudo"
KEYS: Final = ".ssh/authorized_keys"
LEAST_RSA_BITS: Final = 3072
"""BSI TR-02102-1 from 2024 on, and sshd's own RequiredRSASize in ssh-audit's guides."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_WHO: Final = (
    "There is no administrator on this host who has a password for sudo and a key to come in with;"
    " nothing was changed. Say who it shall be: `--set accounts.admin-user.name=NAME`, `--set"
    " 'accounts.admin-user.key=ssh-ed25519 AAAA…'`, and the password on standard input (`--values"
    " -`); on the screen press a."
)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All may be empty: then any administrator there is will do."""

    name: str = ""
    key: str = ""
    password: str = ""


class Administrator(Resource):
    """`administrator: {name: anna, key: "ssh-ed25519 AAAA… anna@laptop", password: …}`."""

    kind: ClassVar[str] = "administrator"

    def __init__(self, body: _Body) -> None:
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Administrator:
        given = msgspec.convert(body, _Body)
        if given.name and (not _NAME.fullmatch(given.name) or given.name == "root"):
            raise StepError(f"name: {given.name!r} is no name for an administrator")
        if given.key:
            problem = key_problem(given.key)
            if problem:
                raise StepError(f"key: {problem}")
        return cls(given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (ACCOUNTS, SSHD_EFFECTIVE)

    def observe(self, ctx: Context) -> list[Finding]:
        accounts = ctx.facts.get(ACCOUNTS)
        if self.body.name:
            return self._of(ctx, accounts.get(self.body.name))
        lacks = {}
        for account in _members(accounts):
            lack = self._lacks(ctx, account)
            if not lack:
                return [_finding("a named administrator", "at least one", account.name, True)]
            lacks[account.name] = lack
        running = "; ".join(f"{name} lacks {lack[0]}" for name, lack in lacks.items()) or "none"
        return [_finding("a named administrator", "at least one", running, False)]

    def plan(self, ctx: Context) -> Planned:
        if not self.body.name:
            fine = all(finding.ok for finding in self.observe(ctx))
            return Planned() if fine else Planned(refusals=(_WHO,))
        account = ctx.facts.get(ACCOUNTS).get(self.body.name)
        lacks = ["everything"] if account is None else self._lacks(ctx, account)
        if not lacks:
            return Planned()
        if account is None:
            return self._created(ctx)
        return self._completed(ctx, account)

    def prove(self, ctx: Context) -> list[Finding]:
        """What sudo itself says."""
        name = self.body.name
        if not name:
            return []
        try:
            answer = ctx.host.run(["sudo", "-l", "-U", name], timeout_s=10, ok=None)
            may = parse_sudo_list(answer.stdout)[0]
            said = "everything" if may else "not everything"
        except HostError as error:
            may, said = False, str(error)
        return [_finding(f"what sudo lets {name} do", "everything", said, may)]

    def _of(self, ctx: Context, account: Account | None) -> list[Finding]:
        name = self.body.name
        there = account is not None and account.uid != 0
        findings = [_finding(f"account {name}", "there", "there" if there else "absent", there)]
        if account is None:
            return findings
        obstacle = self._key_obstacle(ctx, account)
        member = GROUP in account.groups
        return [
            *findings,
            _finding(f"shell of {name}", "a login shell", account.shell, account.has_shell),
            _finding(f"{name} in group {GROUP}", "yes", "yes" if member else "no", member),
            _finding(
                f"password of {name}", "usable", account.password, account.password == "usable"
            ),
            _finding(f"SSH key of {name}", "lets in", obstacle or "lets in", not obstacle),
        ]

    def _lacks(self, ctx: Context, account: Account) -> list[str]:
        """What keeps an account from being such an administrator, in words."""
        lacks = []
        if not account.has_shell:
            lacks.append("a login shell")
        if GROUP not in account.groups:
            lacks.append(f"group {GROUP}")
        if account.password != "usable":
            lacks.append("a password")
        if not lacks and self._key_obstacle(ctx, account):
            lacks.append("a key that lets in")
        return lacks

    def _key_obstacle(self, ctx: Context, account: Account) -> str:
        return key_obstacle(ctx, account, _sshd(ctx), lambda path: _text(ctx, path), None, "")[0]

    def _created(self, ctx: Context) -> Planned:
        name, home = self.body.name, f"/home/{self.body.name}"
        refusals = [
            f"{name} cannot be made without {what}; nothing was changed. {how}"
            for what, given, how in (
                ("a public key", self.body.key, "Give it: --set 'accounts.admin-user.key=…'."),
                ("a password", self.body.password, "Give it on standard input: --values -."),
            )
            if not given
        ]
        if name in ctx.facts.get(GROUPS):
            refusals.append(
                f"There is a group {name} already, which is not this administrator's; nothing was"
                " changed. Choose another name."
            )
        if ctx.host.state(home) is not None:
            refusals.append(
                f"{home} is there already, and would become {name}'s; nothing was changed. Move it"
                " away, or choose another name."
            )
        refusals += self._too_weak(ctx)
        number = _free_number(ctx)
        changes: tuple[Change, ...] = (
            RunCommand(
                argv=(
                    "useradd", "--create-home", "--home-dir", home, "--shell", "/bin/bash",
                    "--uid", str(number), "--user-group", "--groups", GROUP, name,
                ),
                why=f"create the account {name}",
            ),
            *self._key_changes(ctx, home, number, number),
            *self._password_changes(),
        )  # fmt: skip
        return Planned(
            changes=changes,
            roots=roots_of_file(ctx.host, home),
            refusals=(*refusals, *self._elsewhere(ctx)),
        )

    def _completed(self, ctx: Context, account: Account) -> Planned:
        """Add to an account that is there what it lacks."""
        name = account.name
        refusals: list[str] = []
        defs = ctx.facts.get(LOGIN_DEFS)
        if not account.has_shell or account.uid < defs.number("UID_MIN", 1000):
            refusals.append(
                f"{name} is no account of a person (user number {account.uid}, shell"
                f" {account.shell}); nothing was changed. Choose another name."
            )
        changes: list[Change] = []
        roots: tuple[Root, ...] = ()
        if GROUP not in account.groups:
            changes.append(
                RunCommand(
                    argv=("usermod", "--append", "--groups", GROUP, name),
                    why=f"put {name} into group {GROUP}",
                )
            )
        obstacle = self._key_obstacle(ctx, account)
        if obstacle:
            known = [key.public for key in parse_authorized_keys(_keys_of(ctx, account) or "")]
            if not self.body.key:
                refusals.append(
                    f"No key lets {name} in: {obstacle}. Nothing was changed. Give one: --set"
                    " 'accounts.admin-user.key=…'."
                )
            elif parse_authorized_keys(self.body.key)[0].public in known:
                refusals.append(
                    f"The key given stands in {account.home}/{KEYS} already, and does not let"
                    f" {name} in: {obstacle}. Nothing was changed. Put that right first."
                )
            changes += self._key_changes(ctx, account.home, account.uid, account.gid)
            refusals += self._elsewhere(ctx)
            roots = roots_of_file(ctx.host, f"{account.home.rstrip('/')}/.ssh")
        if account.password != "usable":
            if not self.body.password:
                refusals.append(
                    f"{name} has no password that works, so sudo would refuse; nothing was changed."
                    " Give one on standard input: --values -."
                )
            refusals += self._too_weak(ctx)
            changes += self._password_changes()
        return Planned(changes=tuple(changes), roots=roots, refusals=tuple(refusals))

    def _key_changes(self, ctx: Context, home: str, uid: int, gid: int) -> Iterable[Change]:
        directory, path = f"{home.rstrip('/')}/.ssh", f"{home.rstrip('/')}/{KEYS}"
        there = _text(ctx, path) or ""
        if ctx.host.state(directory) is None:
            yield RunCommand(
                argv=("install", "-d", "-m", "0700", "-o", str(uid), "-g", str(gid), directory),
                why=f"make {directory}",
            )
        joined = there + ("" if there.endswith("\n") or not there else "\n")
        yield WriteFile(
            path=path,
            content=f"{joined}{self.body.key}\n".encode("utf-8", "surrogateescape"),
            mode=0o600,
            uid=uid,
            gid=gid,
        )

    def _password_changes(self) -> Iterable[Change]:
        if self.body.password:
            yield RunCommand(
                argv=("chpasswd",),
                why=f"set the password of {self.body.name} (not shown)",
                stdin=f"{self.body.name}:{self.body.password}\n".encode(),
            )

    def _too_weak(self, ctx: Context) -> list[str]:
        """What chpasswd would say only after the account is made."""
        if not self.body.password or "libpam-pwquality" not in ctx.facts.get(PACKAGES):
            return []
        lack = shortcoming(ctx.facts.get(PWQUALITY), self.body.password)
        if not lack:
            return []
        return [f"The password {lack}; nothing was changed. Choose another one."]

    def _elsewhere(self, ctx: Context) -> list[str]:
        """Why a key in the home directory would not be looked at."""
        places = _sshd(ctx).get("authorizedkeysfile", KEYS).split()
        if {KEYS, f"%h/{KEYS}"} & set(places):
            return []
        return [
            f"sshd looks for keys in {' '.join(places)} only (AuthorizedKeysFile), not in the home"
            " directory; nothing was changed. Put the key there by hand, or change that setting."
        ]


def key_problem(text: str) -> str:
    """What is wrong with a public key that somebody gave; empty if nothing is."""
    if "PRIVATE KEY" in text:
        return "this is a private key: give the public one (its file ends in .pub)"
    keys: list[AuthorizedKey] = parse_authorized_keys(text)
    if len(keys) != 1 or "\n" in text.strip():
        return "expected one public key, such as ssh-ed25519 AAAA… anna@laptop"
    key = keys[0]
    if key.options:
        return "expected the key alone, without options before it"
    if key.type == "ssh-dss" or (key.type == "ssh-rsa" and key.bits < LEAST_RSA_BITS):
        bits = f" of {key.bits} bits" if key.bits else ""
        return f"{key.type}{bits} is too weak: use ed25519 (ssh-keygen -t ed25519)"
    return ""


def _members(accounts: dict[str, Account]) -> Iterable[Account]:
    return (one for one in accounts.values() if one.uid != 0 and GROUP in one.groups)


def _free_number(ctx: Context) -> int:
    """A number that is neither a user's nor a group's: the one behind the highest, as useradd
    takes it, or the first free one."""
    defs = ctx.facts.get(LOGIN_DEFS)
    first, last = defs.number("UID_MIN", 1000), defs.number("UID_MAX", 60000)
    taken = {*ctx.facts.get(USERS).values(), *ctx.facts.get(GROUPS).values()}
    highest = max((number for number in taken if first <= number <= last), default=first - 1)
    if highest < last:
        return highest + 1
    return next((number for number in range(first, last) if number not in taken), last)


def _sshd(ctx: Context) -> Effective:
    """sshd's settings; its defaults where it is not there."""
    try:
        settings: Effective = ctx.facts.get(SSHD_EFFECTIVE)
        return settings
    except FactUnavailable:
        return {}


def _keys_of(ctx: Context, account: Account) -> str | None:
    return _text(ctx, f"{account.home.rstrip('/')}/{KEYS}")


def _text(ctx: Context, path: str) -> str | None:
    try:
        return ctx.host.read_bytes(path).decode("utf-8", "surrogateescape")
    except HostError:
        return None


def _finding(setting: str, expected: str, running: str, ok: bool) -> Finding:
    return Finding(
        resource="account",
        setting=setting,
        expected=expected,
        running=running,
        persistent=running,
        origin="/etc/passwd, /etc/group",
        ok=ok,
    )
