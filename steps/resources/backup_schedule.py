"""Whether something backs this host up and did so lately; a simple job where nothing does."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.backup_jobs import BACKUP_JOBS, Job, newest_s
from host.facts.mariadb import MARIADB
from host.facts.units import UNITS
from host.mariadb import ask
from host.restore_test import free_bytes
from snapshots.model import Activation, Change, Root, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources import backup_own as own

_DAY_S = 86400.0
_SPACE = 2
"""A dump, and another one while it is compressed."""
_SIZE = "SELECT IFNULL(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES;"
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    max_age_days: int = 2
    evidence: list[str] = []
    folder: str = "/var/backups/mariadb"
    keep: int = 14
    time: str = "03:15"


class BackupSchedule(Resource):
    """`backup-schedule: {max-age-days: 2, evidence: [/srv/backup], folder: …, keep: 14}`."""

    kind: ClassVar[str] = "backup-schedule"

    def __init__(self, body: _Body) -> None:
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> BackupSchedule:
        given = msgspec.convert(body, _Body)
        if not _PLAIN_PATH.fullmatch(given.folder) or given.folder.count("/") < 2:
            raise StepError(f"folder: expected an absolute path of plain names: {given.folder!r}")
        if not _TIME.fullmatch(given.time):
            raise StepError(f"time: expected hours and minutes such as 03:15, not {given.time!r}")
        for path in given.evidence:
            if not path.startswith("/") or path.count("/") < 2:
                raise StepError(f"evidence: {path!r} is no absolute path below a folder")
        return cls(given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (BACKUP_JOBS, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        jobs = self._jobs(ctx)
        seen = newest_s(ctx.host, self.body.evidence)
        findings = [self._finding(job) for job in jobs]
        # One that ran is enough; of the others it is only told.
        good = any(finding.ok for finding in findings)
        if seen:
            findings.append(self._said("evidence", ", ".join(self.body.evidence), seen))
            good = good or bool(findings[-1].ok)
        if not findings:
            return [
                Finding(
                    resource="backup-schedule",
                    setting="backup job",
                    expected="one that ran lately",
                    running="none in cron, systemd's timers or among known agents",
                    ok=False,
                    note="a backup that is made from elsewhere leaves files: name them in evidence",
                )
            ]
        if good:
            return [
                finding if finding.ok else msgspec.structs.replace(finding, applicable=False)
                for finding in findings
            ]
        return findings

    def told(self, findings: Sequence[Finding]) -> str:
        return "; ".join(f"{one.setting} {one.running}" for one in findings if one.ok)

    def plan(self, ctx: Context) -> Planned:
        jobs = [job for job in self._jobs(ctx) if job.name != own.TIMER]
        if jobs or newest_s(ctx.host, self.body.evidence):
            if any(finding.ok for finding in self.observe(ctx)):
                return Planned()
            names = ", ".join(job.name for job in jobs) or "the evidence"
            return Planned(
                notes=(
                    f"{names} is there but did not back up within {self.body.max_age_days} days, or"
                    " it cannot be told: mend it, or name in `evidence` what it writes. No second"
                    " job is set up beside it.",
                )
            )
        return self._own(ctx)

    def _own(self, ctx: Context) -> Planned:
        body = self.body
        files = {
            own.SCRIPT: own.script(body.folder, body.keep),
            f"{own.UNITS}/{own.SERVICE}": own.service(),
            f"{own.UNITS}/{own.TIMER}": own.timer(body.time),
        }
        wanted = [(path, text) for path, text in files.items() if _text(ctx, path) != text]
        fresh = all(finding.ok for finding in self.observe(ctx))
        if not wanted and fresh:
            return Planned()
        try:
            ctx.facts.get(MARIADB)
        except FactUnavailable as error:
            return Planned(refusals=(f"No job can be set up: {error}.",))
        try:
            refusal = _no_room(ctx, body.folder)
        except HostError as error:
            refusal = str(error)
        if refusal:
            return Planned(refusals=(refusal,))
        there = ctx.host.state(body.folder)
        if there is not None and there.kind != "dir":
            return Planned(
                refusals=(f"{body.folder} is a {there.kind}, not a folder; choose another one.",)
            )
        changes: list[Change] = [
            WriteFile(
                path=path,
                content=text.encode(),
                mode=0o700 if path == own.SCRIPT else 0o644,
            )
            for path, text in wanted
        ]
        changes += [
            RunCommand(argv=("systemctl", "daemon-reload"), why="have systemd read the new units"),
            RunCommand(
                argv=("systemctl", "enable", "--now", own.TIMER),
                why=f"dump all databases every night at {body.time}, and at boot what was missed",
            ),
            RunCommand(
                argv=("systemctl", "start", own.SERVICE),
                why="make the first dump now, which proves that the job works",
                timeout_s=4 * 3600.0,
            ),
        ]
        return Planned(
            changes=tuple(changes),
            activations=(Activation(how="daemon-reload"),),
            roots=(Root(body.folder), Root(own.STAMP, content=True)),
            notes=(
                f"The dumps lie in {body.folder}, for root only, on this same machine: copy them"
                " elsewhere too, with /etc and the application's own files.",
            ),
        )

    def _jobs(self, ctx: Context) -> list[Job]:
        """Our own tells by its dumps: a run whose dump is gone again is no backup."""
        jobs = []
        for job in ctx.facts.get(BACKUP_JOBS):
            if job.name == own.TIMER:
                last = newest_s(ctx.host, _dumps(ctx, self.body.folder))
                job = msgspec.structs.replace(job, last_s=last or 1.0)
            jobs.append(job)
        return jobs

    def _finding(self, job: Job) -> Finding:
        finding = self._said(job.name, job.origin, job.last_s)
        if job.failed:
            return msgspec.structs.replace(
                finding, ok=False, note=f"its last run failed: `journalctl -u {job.what}`"
            )
        if not job.last_s:
            return msgspec.structs.replace(
                finding,
                running=job.what,
                ok=None,
                note="when it last ran cannot be told from here; name in evidence what it writes",
            )
        return finding

    def _said(self, name: str, origin: str, last_s: float) -> Finding:
        age_s = time.time() - last_s
        ok = age_s <= self.body.max_age_days * _DAY_S
        shown = datetime.fromtimestamp(last_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return Finding(
            resource="backup-schedule",
            setting=name,
            expected=f"ran within {self.body.max_age_days} days",
            running=f"last ran {shown}" if last_s > _DAY_S else "left no dump",
            origin=origin,
            ok=ok,
        )


def _no_room(ctx: Context, folder: str) -> str:
    """Why a first dump might fill a disk; empty where it will not."""
    size = int(ask(ctx.host, _SIZE)[0][0].partition(".")[0])
    while ctx.host.state(folder) is None and folder != "/":
        folder = folder.rpartition("/")[0] or "/"
    free = free_bytes(ctx.host, folder)
    if free > size * _SPACE:
        return ""
    return (
        f"The databases take {size // 1024**2} MiB and below {folder} only {free // 1024**2} MiB"
        " are free: a dump could fill the disk. Choose another `folder`, or make room."
    )


def _dumps(ctx: Context, folder: str) -> list[str]:
    return ctx.host.glob(f"{folder}/all-*.sql.gz")


def _text(ctx: Context, path: str) -> str:
    try:
        return ctx.host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""
