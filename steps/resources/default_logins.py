"""Logins of i-doit and TYPO3 with the password they came with."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.app_database import APP_DATABASES
from host.facts.app_jobs import IDOIT_JOBS, Job
from host.facts.app_logins import ALL_APP_PERSONS, APP_PERSONS, Person
from host.mariadb import base_table
from snapshots.mariadb_cells import rows
from snapshots.model import RunSql
from steps.model import Finding
from steps.resource import Context, Planned, Resource

How = Literal["password", "disable"]

LOCKED = (
    "CONCAT('$2y$10$', LEFT(REPLACE(REPLACE(REPLACE(TO_BASE64(RANDOM_BYTES(60)), '+', '.'),"
    " '=', ''), '\\n', ''), 53))"
)
"""What looks like bcrypt, of a password that not even this program has seen: of none at all."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""
    change: list[str] = []
    keep: list[str] = []
    how: How = "password"
    thorough: bool = False


class DefaultLogins(Resource):
    """`default-logins: {change: [reader], keep: [], how: password, thorough: false}`."""

    kind: ClassVar[str] = "default-logins"

    def __init__(self, body: _Body) -> None:
        self.path = body.path.rstrip("/")
        self.change = frozenset(body.change)
        self.keep = frozenset(body.keep)
        self.how = body.how
        self.persons = ALL_APP_PERSONS if body.thorough else APP_PERSONS

    @classmethod
    def parse(cls, step_id: str, body: Any) -> DefaultLogins:
        return cls(msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APP_DATABASES, self.persons, IDOIT_JOBS)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = []
        for one in ctx.facts.get(APP_DATABASES):
            if self.path not in ("", one.application.path):
                continue
            problem = one.problem
            if one.access is not None and not one.access.login.is_local:
                problem = f"its database is on {one.access.login.host}"
            found = [
                person
                for person in ctx.facts.get(self.persons)
                if person.application == one.application.path
            ]
            findings += [self._finding(ctx, person) for person in found]
            if problem or not found:
                findings.append(
                    Finding(
                        resource=one.application.label,
                        setting="default logins",
                        expected="none",
                        running="" if problem else "none",
                        origin=one.config,
                        ok=None if problem else True,
                        note=problem,
                    )
                )
        return findings or [
            Finding(
                resource="applications",
                setting="default logins",
                expected="none",
                note="no i-doit and no TYPO3 was found below Apache's document roots",
                applicable=False,
            )
        ]

    def plan(self, ctx: Context) -> Planned:
        refusals, notes = [], []
        touched: dict[str, list[Person]] = {}
        # What somebody wants changed is worth the time that every hash takes.
        persons = ctx.facts.get(ALL_APP_PERSONS if self.change else self.persons)
        for person in persons:
            if self.path not in ("", person.application) or not self._is_open(person):
                continue
            why = self._why_not(ctx, person)
            if why:
                refusals.append(why)
                continue
            touched.setdefault(person.database, []).append(person)
            if self.how == "password":
                notes.append(
                    f"Nobody knows the new password of {person.name}. Whoever needs that account"
                    " gets one from an administrator of i-doit."
                )
        return Planned(
            changes=tuple(self._locked(found) for found in touched.values()),
            roots=tuple(
                rows(database, "isys_cats_person_list", sorted(one.number for one in found))
                for database, found in touched.items()
            ),
            refusals=tuple(refusals),
            notes=tuple(dict.fromkeys(notes)),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """The logins that were locked, whatever their hashes are now."""
        if not self.change:
            return []
        return [
            self._finding(ctx, person)
            for person in ctx.facts.get(ALL_APP_PERSONS)
            if person.kind == "i-doit"
            and person.name in self.change
            and self.path in ("", person.application)
        ]

    def _is_open(self, person: Person) -> bool:
        return bool(person.weak) and person.enabled and person.name not in self.keep

    def _finding(self, ctx: Context, person: Person) -> Finding:
        jobs = _jobs(ctx, person)
        kept = bool(person.weak) and person.name in self.keep
        notes = [person.problem, "kept by choice" if kept else ""]
        if person.untried and person.enabled:
            notes.append("not tried, because that takes long: thorough does")
        notes.append(f"used by {', '.join(job.at for job in jobs)}" if jobs else "")
        running = person.weak or "nothing is known against its password"
        if not person.enabled:
            running = "it cannot log in"
        return Finding(
            resource=person.label,
            setting=f"login {person.name} in {person.database}",
            expected="a password that is its own",
            running="" if person.weak is None and person.enabled else running,
            origin=f"{person.database}.{_TABLES[person.kind]} {person.number}",
            ok=True if not person.enabled else None if person.weak is None else not person.weak,
            applicable=not kept and not (person.untried and person.enabled),
            note="; ".join(filter(None, notes)),
        )

    def _why_not(self, ctx: Context, person: Person) -> str:
        """Why it is not locked by us; "" where it is."""
        who = f"{person.name} of {person.label} ({person.database})"
        if person.kind != "i-doit":
            return (
                f"The password of {who} is {person.weak}; nothing was changed. Set another in"
                " TYPO3's backend: System, Backend Users."
            )
        if person.name not in self.change:
            return (
                f"The password of {who} is {person.weak}; nothing was changed. Set another in"
                f" i-doit, or have it locked: --set app.default-logins.change={person.name}"
                f" (or keep it: --set app.default-logins.keep={person.name})"
            )
        jobs = _jobs(ctx, person)
        if jobs:
            return (
                f"{', '.join(job.at for job in jobs)} logs in as {person.name} and would fail once"
                " its password is another; nothing was changed. Give the job an account of its own"
                " first."
            )
        if self.how == "disable" and not person.can_disable:
            return (
                f"{who}: this release of i-doit cannot disable a login; nothing was changed."
                " Choose: --set app.default-logins.how=password"
            )
        return ""

    def _locked(self, found: list[Person]) -> RunSql:
        """What locks logins of one tenant."""
        database = found[0].database
        setting, after = f"isys_cats_person_list__user_pass = {LOCKED}", "one that nobody knows"
        if self.how == "disable":
            setting, after = "isys_cats_person_list__disabled_login = 1", "of no use (disabled)"
        numbers = ", ".join(str(int(one.number)) for one in found)
        goes = "".join(f"-login {one.name}: its password is {one.weak}\n" for one in found)
        comes = "".join(f"+login {one.name}: its password is {after}\n" for one in found)
        return RunSql(
            sql=(
                f"UPDATE {base_table(database, 'isys_cats_person_list')} SET {setting}"
                f" WHERE isys_cats_person_list__id IN ({numbers})",
            ),
            why=f"lock {', '.join(one.name for one in found)} of {found[0].label}",
            diff=f"--- {database}\n+++ {database}\n{goes}{comes}",
        )


_TABLES = {"i-doit": "isys_cats_person_list", "typo3": "be_users"}


def _jobs(ctx: Context, person: Person) -> list[Job]:
    if person.kind != "i-doit":
        return []
    return [job for job in ctx.facts.get(IDOIT_JOBS) if job.user == person.name]
