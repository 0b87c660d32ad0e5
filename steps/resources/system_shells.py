"""System accounts that nobody can log in to: no login shell, and no password either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.local_accounts import LOCAL_ACCOUNTS, PASSWD, LocalAccount
from host.facts.login import LOGGED_IN, NO_LOGIN_SHELLS, parse_authorized_keys
from host.facts.login_defs import LOGIN_DEFS
from snapshots.model import RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

NOLOGIN: Final = "/usr/sbin/nologin"
SHELLS: Final = "/etc/shells"
_KEY_FILES: Final = (".ssh/authorized_keys", ".ssh/authorized_keys2")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`keep`: accounts that need their shell."""

    shell: str = NOLOGIN
    keep: list[str] = []


class SystemShells(Resource):
    """`system-shells: {shell: /usr/sbin/nologin, keep: [gitlab]}`."""

    kind: ClassVar[str] = "system-shells"

    def __init__(self, shell: str, keep: tuple[str, ...]) -> None:
        self.shell = shell
        self.keep = keep

    @classmethod
    def parse(cls, step_id: str, body: Any) -> SystemShells:
        given = msgspec.convert(body, _Body)
        if given.shell.rpartition("/")[2] not in ("nologin", "false"):
            raise StepError(f"shell: expected nologin or false, not {given.shell!r}")
        return cls(given.shell, tuple(given.keep))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (LOCAL_ACCOUNTS, LOGIN_DEFS)

    def observe(self, ctx: Context) -> list[Finding]:
        accounts = list(self._system(ctx))
        findings = [self._shell_finding(one) for one in accounts if _has_shell(one)]
        findings += [_password_finding(one) for one in accounts if self._is_open(one)]
        if not [one for one in findings if one.ok is False]:
            findings.append(
                _finding(
                    "system accounts with a login shell",
                    "none",
                    "none",
                    PASSWD,
                    True,
                    f"{len(accounts)} system accounts looked at",
                )
            )
        listed = _listed(ctx)
        findings.append(
            _finding(
                f"{SHELLS} lists nologin",
                "no",
                "yes" if listed else "no",
                f"{SHELLS}:{listed[0][0]}" if listed else SHELLS,
                not listed,
                "",
            )
        )
        return findings

    def plan(self, ctx: Context) -> Planned:
        accounts = list(self._system(ctx))
        changes = []
        refusals = []
        for one in accounts:
            if _has_shell(one) and one.name not in self.keep:
                needed = _needed(ctx, one)
                if needed:
                    refusals.append(
                        f"{one.name} {needed}, so it seems to need its shell {one.shell}; nothing"
                        " was changed. Keep it (--set accounts.system-shells.keep="
                        f"{','.join((*self.keep, one.name))}), or end that use first."
                    )
                changes.append(
                    RunCommand(
                        argv=("usermod", "--shell", self.shell, one.name),
                        why=f"give {one.name} {self.shell} instead of {one.shell}",
                    )
                )
            if self._is_open(one):
                changes.append(
                    RunCommand(
                        argv=("usermod", "--lock", one.name),
                        why=f"lock the password of {one.name}, which has no login shell",
                    )
                )
        changes += [
            RunCommand(argv=("remove-shell", shell), why=f"take {shell} out of {SHELLS}")
            for shell in dict.fromkeys(shell for _, shell in _listed(ctx))
        ]
        return Planned(changes=tuple(changes), refusals=tuple(refusals))

    def _system(self, ctx: Context) -> Iterator[LocalAccount]:
        """The accounts that are no person's: numbers outside of those that useradd gives people."""
        defs = ctx.facts.get(LOGIN_DEFS)
        first, last = defs.number("UID_MIN", 1000), defs.number("UID_MAX", 60000)
        for account in ctx.facts.get(LOCAL_ACCOUNTS).values():
            if account.uid != 0 and not first <= account.uid <= last:
                yield account

    def _is_open(self, account: LocalAccount) -> bool:
        """A password that works although nobody is to log in with it."""
        stays = _has_shell(account) and account.name in self.keep
        return account.password != "locked" and not stays

    def _shell_finding(self, account: LocalAccount) -> Finding:
        kept = account.name in self.keep
        return msgspec.structs.replace(
            _finding(
                f"shell of {account.name}", self.shell, account.shell, account.origin, kept,
                "kept, because it was named" if kept else f"user number {account.uid}",
            ),
            applicable=not kept,
        )  # fmt: skip


def _has_shell(account: LocalAccount) -> bool:
    return account.shell.rpartition("/")[2] not in NO_LOGIN_SHELLS


def _password_finding(account: LocalAccount) -> Finding:
    return _finding(
        f"password of {account.name}", "locked", account.password, account.password_origin, False,
        "a system account",
    )  # fmt: skip


def _finding(
    setting: str, expected: str, running: str, origin: str, ok: bool, note: str
) -> Finding:
    return Finding(
        resource="account",
        setting=setting,
        expected=expected,
        running=running,
        persistent=running,
        origin=origin,
        ok=ok,
        note=note,
    )


def _needed(ctx: Context, account: LocalAccount) -> str:
    """What speaks for somebody using the account's shell; empty where nothing does."""
    try:
        if account.name in ctx.facts.get(LOGGED_IN):
            return "is logged in now"
    except FactUnavailable:
        pass  # without logind its keys are what can be looked at
    for place in _KEY_FILES:
        path = f"{account.home.rstrip('/')}/{place}"
        try:
            if parse_authorized_keys(ctx.host.read_bytes(path).decode("utf-8", "replace")):
                return f"has SSH keys in {path}"
        except HostError:
            continue
    return ""


def _listed(ctx: Context) -> list[tuple[int, str]]:
    """Lines of /etc/shells that name nologin: chsh and FTP servers would take it for a shell."""
    try:
        text = ctx.host.read_bytes(SHELLS).decode("utf-8", "replace")
    except HostError:
        return []
    return [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip().startswith("/") and line.strip().endswith("/nologin")
    ]
