"""sudo itself, which only those can start whom it lets do something."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

from host.facts import Fact
from host.facts.login import ACCOUNTS
from host.facts.packages import PACKAGES
from host.facts.sudo_callers import parse_callers
from host.facts.sudo_defaults import SUDO_DEFAULTS
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.modes import Modes, Wanted

SUDO: Final = "/usr/bin/sudo"
_MODE: Final = "4110"
"""Nobody reads it, its group starts it."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: str


class SudoCallers(Resource):
    """`sudo-callers: {group: sudo}`."""

    kind: ClassVar[str] = "sudo-callers"

    def __init__(self, step_id: str, group: str) -> None:
        self.step_id = step_id
        self.group = group
        self.modes = Modes([Wanted(path=SUDO, mode=_MODE, groups=(group,))])

    @classmethod
    def parse(cls, step_id: str, body: Any) -> SudoCallers:
        return cls(step_id, msgspec.convert(body, _Body).group)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (SUDO_DEFAULTS, ACCOUNTS, PACKAGES, *self.modes.facts())

    def observe(self, ctx: Context) -> list[Finding]:
        """Where others are named it is right as long as all may start it, and wrong otherwise."""
        findings = self.modes.observe(ctx)
        reason = self._others(ctx)
        if not reason:
            return findings
        if self._is_closed(ctx):
            return [
                msgspec.structs.replace(one, expected="started by all", ok=False, note=reason)
                for one in findings
            ]
        return [msgspec.structs.replace(one, applicable=False, note=reason) for one in findings]

    def plan(self, ctx: Context) -> Planned:
        reason = self._others(ctx)
        if not reason:
            return self.modes.plan(ctx)
        if not self._is_closed(ctx):
            return Planned()
        return Planned(
            refusals=(
                f"{SUDO} is for the group {self.group} alone, but {reason}. Nothing was changed."
                f" Run `harden-tui rollback {self.step_id}`, or take the name out with visudo.",
            )
        )

    def _is_closed(self, ctx: Context) -> bool:
        state = ctx.host.state(SUDO)
        return state is not None and not state.mode & 0o001

    def _others(self, ctx: Context) -> str:
        """Who could not start sudo any more although sudoers names them; empty where nobody."""
        accounts = ctx.facts.get(ACCOUNTS)
        inside = {one.name for one in accounts.values() if self.group in one.groups} | {"root"}
        if "sudo-ldap" in ctx.facts.get(PACKAGES):
            return "whom sudo lets do something is kept in LDAP, which is not looked at"
        for name in parse_callers(ctx.facts.get(SUDO_DEFAULTS).texts.values()):
            members = {
                one.name for one in accounts.values() if name[:1] == "%" and name[1:] in one.groups
            }
            if name == f"%{self.group}" or name in inside or (members and members <= inside):
                continue
            return (
                f"sudoers names {name}, and not everybody that stands for is in the group"
                f" {self.group} and so could start sudo"
            )
        return ""
