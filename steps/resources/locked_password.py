"""Passwords that must not let anybody in: root's own, or those that are empty."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.local_accounts import LOCAL_ACCOUNTS, SHADOW, LocalAccount
from snapshots.model import RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource

_NOBODY_ELSE = (
    "root's password stays as it is: no account but root's own may become root with sudo, by a"
    " password that works or without one, so nobody could mend this host any more. Nothing was"
    " changed. Apply accounts.admin-user first, log in as that administrator, then look again."
)
_RESCUE = (
    "The rescue and emergency shells ask for root's password and refuse a locked one: keep another"
    " way to the console, such as a rescue image of your provider."
)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    of: Literal["root", "empty"]


class LockedPassword(Resource):
    """`locked-password: {of: root}` or `{of: empty}`."""

    kind: ClassVar[str] = "locked-password"

    def __init__(self, of: Literal["root", "empty"]) -> None:
        self.of = of

    @classmethod
    def parse(cls, step_id: str, body: Any) -> LockedPassword:
        return cls(msgspec.convert(body, _Body).of)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (LOCAL_ACCOUNTS,)

    def observe(self, ctx: Context) -> list[Finding]:
        accounts = ctx.facts.get(LOCAL_ACCOUNTS)
        if self.of == "root":
            return [_finding(one, "locked") for one in accounts.values() if one.name == "root"]
        empty = [_finding(one, "set or locked") for one in self._wrong(accounts)]
        if empty:
            return empty
        return [
            Finding(
                resource="account",
                setting="empty passwords",
                expected="none",
                running="none",
                persistent="none",
                origin=SHADOW,
                ok=True,
                note=f"{len(accounts)} accounts looked at",
            )
        ]

    def plan(self, ctx: Context) -> Planned:
        wrong = self._wrong(ctx.facts.get(LOCAL_ACCOUNTS))
        if not wrong:
            return Planned()
        changes = tuple(
            RunCommand(
                argv=("usermod", "--lock", one.name),
                why=f"lock the password of {one.name}",
            )
            for one in wrong
        )
        if self.of == "empty":
            return Planned(changes=changes)
        from steps.guard_sudo import administrators  # a check does without

        if not [one for one in administrators(ctx, {}) if one.name != "root"]:
            return Planned(refusals=(_NOBODY_ELSE,))
        return Planned(changes=changes, notes=(_RESCUE,))

    def _wrong(self, accounts: dict[str, LocalAccount]) -> list[LocalAccount]:
        if self.of == "root":
            return [a for a in accounts.values() if a.name == "root" and a.password != "locked"]
        return [account for account in accounts.values() if account.password == "empty"]


def _finding(account: LocalAccount, expected: str) -> Finding:
    return Finding(
        resource="account",
        setting=f"password of {account.name}",
        expected=expected,
        running=account.password,
        persistent=account.password,
        origin=account.password_origin,
        ok=account.password == "locked",
    )
