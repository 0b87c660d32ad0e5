"""Passwords of people that run out: of accounts to come, and of those that are there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.facts import Fact
from host.facts.local_accounts import LOCAL_ACCOUNTS, LocalAccount
from host.facts.login_defs import LOGIN_DEFS
from host.facts.useradd_defaults import INACTIVE
from snapshots.model import Change, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource

_DAY_S: Final = 86400


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`who`: nobody, accounts that are made from now on, or those that are there too."""

    who: Literal["none", "new", "everyone"]
    maximum_days: int
    minimum_days: int = 1
    warn_days: int = 7
    inactive_days: int = 45


class PasswordAgeing(Resource):
    """`password-ageing: {who: everyone, maximum-days: 365, inactive-days: 45}`."""

    kind: ClassVar[str] = "password-ageing"

    def __init__(self, body: _Body) -> None:
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> PasswordAgeing:
        return cls(msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        if self.body.who == "none":
            return ()
        everyone = (LOCAL_ACCOUNTS, LOGIN_DEFS) if self.body.who == "everyone" else ()
        return (INACTIVE, *everyone)

    def observe(self, ctx: Context) -> list[Finding]:
        if self.body.who == "none":
            return [
                Finding(
                    resource="account",
                    setting="passwords that run out",
                    expected="as it is",
                    applicable=False,
                    note="not asked for: passwords are changed when there is a reason to",
                )
            ]
        inactive, origin = ctx.facts.get(INACTIVE)
        findings = [
            _finding(
                "days until a new account with an expired password is closed",
                f"at most {self.body.inactive_days}",
                "never" if inactive < 0 else str(inactive),
                origin,
                0 <= inactive <= self.body.inactive_days,
            )
        ]
        if self.body.who == "everyone":
            findings += [
                _finding(
                    f"days the password of {one.name} holds",
                    f"at most {self.body.maximum_days}",
                    "for ever" if one.maximum_days < 0 else str(one.maximum_days),
                    one.password_origin,
                    self._ages(one),
                )
                for one in self._people(ctx)
            ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        body = self.body
        if body.who == "none":
            return Planned()
        changes: list[Change] = []
        refusals: list[str] = []
        inactive, _ = ctx.facts.get(INACTIVE)
        if not 0 <= inactive <= body.inactive_days:
            changes.append(
                RunCommand(
                    argv=("useradd", "--defaults", "--inactive", str(body.inactive_days)),
                    why="close new accounts some time after their password has run out",
                )
            )
        today = int(time.time() // _DAY_S)
        for one in self._people(ctx) if body.who == "everyone" else ():
            if self._ages(one):
                continue
            if one.changed_day < 1 or today > one.changed_day + body.maximum_days:
                refusals.append(
                    f"The password of {one.name} is older than {body.maximum_days} days already, so"
                    f" {one.name} could not log in any more; nothing was changed. Change it first"
                    f" (passwd {one.name}), then look again."
                )
            changes.append(
                RunCommand(
                    argv=(
                        "chage", "--maxdays", str(body.maximum_days),
                        "--mindays", str(body.minimum_days), "--warndays", str(body.warn_days),
                        "--inactive", str(body.inactive_days), one.name,
                    ),
                    why=f"let the password of {one.name} run out after {body.maximum_days} days",
                )
            )  # fmt: skip
        return Planned(changes=tuple(changes), refusals=tuple(refusals))

    def _people(self, ctx: Context) -> Iterator[LocalAccount]:
        """Accounts of people with a password; never root, whose own jobs would stop with it."""
        defs = ctx.facts.get(LOGIN_DEFS)
        first, last = defs.number("UID_MIN", 1000), defs.number("UID_MAX", 60000)
        for account in ctx.facts.get(LOCAL_ACCOUNTS).values():
            if first <= account.uid <= last and account.password == "usable":
                yield account

    def _ages(self, account: LocalAccount) -> bool:
        return 0 <= account.maximum_days <= self.body.maximum_days


def _finding(setting: str, expected: str, running: str, origin: str, ok: bool) -> Finding:
    return Finding(
        resource="account",
        setting=setting,
        expected=expected,
        running=running,
        persistent=running,
        origin=origin,
        ok=ok,
    )
