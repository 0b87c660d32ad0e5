"""Settings of MariaDB: what the server says they are, and what they will be after a restart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from host.facts import Fact
from host.facts.mariadb import MARIADB, SERVICE, Server
from host.facts.mariadb_files import OPTIONS, Options
from snapshots.model import Change, Root, RunCommand
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.mariadb_settings import IS_SOUND, RESTART, draft, setting

LEAVE = "leave"
"""As the expected value: this setting is none of our business."""


class Mariadb(Resource):
    """`mariadb: {local_infile: {is: "OFF"}, …}`."""

    kind: ClassVar[str] = "mariadb"

    def __init__(self, step_id: str, wanted: Mapping[str, Expectation]) -> None:
        self.step_id = step_id
        self.wanted = dict(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Mariadb:
        if not isinstance(body, dict) or not body:
            raise StepError("expected settings of MariaDB with what each must be")
        wanted = {}
        for name, value in body.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
                raise StepError(f"{name!r} is no setting of MariaDB")
            expectation = Expectation.of(value)
            if re.search(r"[\x00-\x1f\"\\]", expectation.target):
                raise StepError(f"{name}: a value is one line without double quotes")
            if LEAVE not in (expectation.is_, *(expectation.contains or [])):
                wanted[str(name)] = expectation
        return cls(step_id, wanted)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (MARIADB, OPTIONS)

    def observe(self, ctx: Context) -> list[Finding]:
        server, options = ctx.facts.get(MARIADB), ctx.facts.get(OPTIONS)
        return [_finding(server, options, name, one) for name, one in self.wanted.items()]

    def plan(self, ctx: Context) -> Planned:
        server, options = ctx.facts.get(MARIADB), ctx.facts.get(OPTIONS)
        known = {name: one for name, one in self.wanted.items() if name in server.variables}
        found = {name: setting(server, options, name) for name in known}
        targets = {
            name: _target(expectation, found[name].persistent)
            for name, expectation in known.items()
            if not _holds(expectation, found[name].persistent)
        }
        planned = draft(ctx.host, self.step_id, server, options, targets)
        changes: list[Change] = list(planned.changes)
        roots = []
        for name in ("secure_file_priv",):
            folder = targets.get(name, "")
            if folder.startswith("/") and ctx.host.state(folder) is None:
                # MariaDB does not start where this folder is missing.
                roots.append(Root(folder))
                changes.insert(
                    0,
                    RunCommand(
                        argv=("install", "-d", "-m", "0700", "-o", "mysql", "-g", "mysql", folder),
                        why=f"make the folder {folder}, which MariaDB may read and write",
                    ),
                )
        stale = [name for name, one in known.items() if not _holds(one, found[name].running)]
        if not changes and stale:
            changes.append(
                RunCommand(
                    argv=("systemctl", "restart", SERVICE),
                    why=f"no file changes; MariaDB only has to read them again for {stale[0]}",
                )
            )
        if not changes:
            return Planned(refusals=planned.refusals)
        return Planned(
            changes=tuple(changes),
            validations=(IS_SOUND,),
            activations=(RESTART,),
            roots=tuple(roots),
            refusals=planned.refusals,
            notes=("MariaDB is restarted: applications lose their connections for a moment.",),
        )


def _finding(server: Server, options: Options, name: str, expectation: Expectation) -> Finding:
    if name not in server.variables:
        return Finding(
            resource="mariadb",
            setting=name,
            expected=str(expectation),
            applicable=False,
            note=f"MariaDB {server.version} has no such setting",
        )
    found = setting(server, options, name)
    runs, stays = _holds(expectation, found.running), _holds(expectation, found.persistent)
    note = ""
    if runs != stays:
        note = "another value after the next restart" if runs else "not yet read by the server"
    return Finding(
        resource="mariadb",
        setting=name,
        expected=str(expectation),
        running=found.running,
        persistent=found.persistent,
        origin=found.origin or "the default",
        ok=runs and stays,
        note=note,
    )


def _holds(expectation: Expectation, value: str) -> bool:
    """A folder is the same with a slash at its end."""
    return expectation.satisfied_by(value) or (
        len(value) > 1 and expectation.satisfied_by(value.rstrip("/"))
    )


def _target(expectation: Expectation, there: str) -> str:
    """What to write; of a list what is there stays in it."""
    if expectation.contains is None:
        return expectation.target
    unwanted = {word.upper() for word in expectation.excludes or []}
    words = [word.strip().upper() for word in there.split(",") if word.strip()]
    wanted = [word.upper() for word in expectation.contains]
    return ",".join(word for word in dict.fromkeys([*words, *wanted]) if word not in unwanted)
