"""Whether a database dump was restored and compared: a measured answer that runs out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact, Facts
from host.facts.mariadb import MARIADB
from host.restore_test import SYSTEM, Result, clear, need_room
from snapshots.model import MEASURED, Root, TestRestore
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

PATH = f"{MEASURED}/restore-test.json"
_PREFERRED = ("idoit_data", "idoit_system", "i_doit_data", "typo3", "wordpress", "nextcloud")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    database: str
    valid_days: int = 90


class RestoreTest(Resource):
    """`restore-test: {database: app, valid-days: 90}`."""

    kind: ClassVar[str] = "restore-test"

    def __init__(self, database: str, valid_days: int) -> None:
        self.database = database
        self.valid_days = valid_days

    @classmethod
    def parse(cls, step_id: str, body: Any) -> RestoreTest:
        given = msgspec.convert(body, _Body)
        if given.database and not re.fullmatch(r"[^\x00-\x1f/\\`'\"-][^\x00-\x1f/\\`'\"]*",
                                               given.database):  # fmt: skip
            raise StepError(f"database: {given.database!r} is no name of a database")
        if given.database.lower() in SYSTEM:
            raise StepError(f"database: {given.database} is MariaDB's own")
        return cls(given.database, given.valid_days)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (MARIADB,)

    def observe(self, ctx: Context) -> list[Finding]:
        databases = ctx.facts.get(MARIADB).databases
        finding = Finding(
            resource="restore-test",
            setting=f"restore of {self.database}" if self.database else "restore",
            expected=f"restored and found the same within {self.valid_days} days",
            origin=PATH,
        )
        if not self.database:
            return [
                msgspec.structs.replace(
                    finding, applicable=False, note="there is no database of an application yet"
                )
            ]
        if self.database not in databases:
            note = f"there is no database {self.database}"
            return [msgspec.structs.replace(finding, running=note, ok=False)]
        result = last_result(ctx)
        if result is None or result.database != self.database:
            return [msgspec.structs.replace(finding, running="never tested", ok=False)]
        age = _age(result)
        fresh = age is not None and timedelta(0) <= age + timedelta(hours=1) <= timedelta(
            days=self.valid_days, hours=1
        )
        busy = f"; written to meanwhile: {', '.join(result.busy)}" if result.busy else ""
        return [
            msgspec.structs.replace(
                finding,
                running=f"{result.when[:16].replace('T', ' ')} UTC: {result.tables} tables,"
                f" {result.rows} rows the same, in {result.seconds:g} s{busy}",
                ok=fresh,
                note="" if fresh else "the test is too old",
            )
        ]

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok or not finding.applicable for finding in self.observe(ctx)):
            return Planned()
        if self.database not in ctx.facts.get(MARIADB).databases:
            return Planned(
                refusals=(
                    f"There is no database {self.database}, so nothing was tested. Choose one:"
                    " --set backup.restore-test.database=NAME",
                )
            )
        try:
            need_room(ctx.host, self.database)
        except HostError as error:
            return Planned(refusals=(str(error),))
        return Planned(
            changes=(TestRestore(database=self.database, path=PATH),),
            roots=(Root(MEASURED, content=True),),
            notes=(
                f"{self.database} is only read. The copy beside it is dropped whatever happens;"
                " the disk must hold both, and the dump. Events are not copied.",
            ),
        )

    def told(self, findings: Sequence[Finding]) -> str:
        return "; ".join(f"{one.setting}: {one.running}" for one in findings if one.ok)

    def tidy(self, ctx: Context) -> None:
        if ctx.host.which("mariadb") is not None:
            clear(ctx.host)


def last_result(ctx: Context) -> Result | None:
    """What was measured last; `None` where nothing was, or it cannot be read."""
    try:
        return msgspec.json.decode(ctx.host.read_bytes(PATH), type=Result)
    except (HostError, msgspec.MsgspecError):
        return None


def database_of_the_application(facts: Facts) -> str:
    """The database most worth a test; "" where there is none but MariaDB's own."""
    found = [
        name
        for name in facts.get(MARIADB).databases
        if name.lower() not in (*SYSTEM, "test", "phpmyadmin")
    ]
    return min(found, key=lambda name: (_rank(name), name), default="")


def _rank(name: str) -> int:
    places = [place for place, known in enumerate(_PREFERRED) if name.lower().startswith(known)]
    return places[0] if places else len(_PREFERRED)


def _age(result: Result) -> timedelta | None:
    try:
        return datetime.now(UTC) - datetime.fromisoformat(result.when)
    except (ValueError, TypeError):
        return None
