"""Who may log in over SSH at all, and from where."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.login import ACCOUNTS, Account
from host.facts.owners import GROUPS, USERS
from host.facts.sshd import SSHD_EFFECTIVE
from steps.expectation import Expectation
from steps.login_defaults import who_can
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.sshd import Sshd

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.$-]*")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    groups: list[str]
    users: list[str] = []
    network: list[str] = []


class SshAllow(Resource):
    """`ssh-allow: {groups: [sudo], users: [alice], network: [192.0.2.0/24]}`.

    Where both are named, sshd lets in who is one of `users` and in one of `groups`. Fewer than
    these, or from fewer places, satisfies too.
    """

    kind: ClassVar[str] = "ssh-allow"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.groups = tuple(dict.fromkeys(body.groups))
        self.users = tuple(dict.fromkeys(body.users))
        self.networks = tuple(dict.fromkeys(_network(one) for one in body.network))

    @classmethod
    def parse(cls, step_id: str, body: Any) -> SshAllow:
        given = msgspec.convert(body, _Body)
        for field, names in (("groups", given.groups), ("users", given.users)):
            for name in names:
                if not _NAME.fullmatch(name):
                    raise StepError(f"{field}: {name!r} is no name of a group or user")
        if not given.groups and not given.users:
            raise StepError("groups: name at least one group or user that may log in")
        return cls(step_id, given)

    @property
    def entries(self) -> tuple[str, ...]:
        """AllowUsers: names, each with each network; any name where only networks count."""
        if not self.networks:
            return self.users
        return tuple(f"{user}@{net}" for user in self.users or ("*",) for net in self.networks)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (*Sshd(self.step_id, {}).facts(), GROUPS, USERS, ACCOUNTS)

    def observe(self, ctx: Context) -> list[Finding]:
        return self._sshd(ctx).observe(ctx)

    def plan(self, ctx: Context) -> Planned:
        planned = self._sshd(ctx).plan(ctx)
        if not planned.changes:
            return planned
        refusals = [
            f"There is no {what} {name} on this host; nothing was changed. Create it"
            f" (`{how} {name}`), or take it out of ssh.allow, then apply again."
            for what, how, names, fact in (
                ("group", "addgroup", self.groups, GROUPS),
                ("user", "adduser", self.users, USERS),
            )
            for name in names
            if name not in ctx.facts.get(fact)
        ]
        return msgspec.structs.replace(
            planned,
            refusals=(*planned.refusals, *refusals),
            notes=(*planned.notes, *self._shut_out(ctx)),
        )

    def _sshd(self, ctx: Context) -> Sshd:
        wanted = {}
        if self.groups:
            wanted["AllowGroups"] = Expectation(only=list(self.groups), set=" ".join(self.groups))
        if self.entries:
            stricter = [one for one in self._named(ctx) if self._is_stricter(one)]
            wanted["AllowUsers"] = Expectation(
                only=list(dict.fromkeys((*self.entries, *stricter))), set=" ".join(self.entries)
            )
        return Sshd(self.step_id, wanted)

    def _named(self, ctx: Context) -> list[str]:
        return ctx.facts.get(SSHD_EFFECTIVE).get("allowusers", "").split()

    def _is_stricter(self, entry: str) -> bool:
        """Whether an entry lets in nobody whom those of the step would not let in."""
        user, _, place = entry.partition("@")
        if self.users and user not in self.users:
            return False
        return not self.networks or place in self.networks

    def _shut_out(self, ctx: Context) -> list[str]:
        """Who can log in now and could not afterwards."""
        try:
            accounts = who_can(ctx.host, ctx.facts)
        except FactUnavailable:
            return []
        names = [account.name for account in accounts if not self._lets_in(account)]
        if not names:
            return []
        return [f"Not let in any more: {', '.join(names)}, who can log in now."]

    def _lets_in(self, account: Account) -> bool:
        in_group = not self.groups or not set(self.groups).isdisjoint(account.groups)
        return in_group and (not self.users or account.name in self.users)


def _network(text: str) -> str:
    """A network as sshd wants it: it refuses one with bits set beyond its mask."""
    return str(ipaddress.ip_network(text, strict=False))
