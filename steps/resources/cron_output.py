"""Cron jobs whose output nobody ever sees, and passwords in crontabs that others can read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.facts import Fact
from host.facts.crontabs import CRONTABS, Job, jobs_of, silence
from snapshots.model import Change, Root, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource

To = Literal["log", "mail", "report"]

SPOOL: Final = "/var/spool/cron/crontabs"
SENDMAIL: Final = "/usr/sbin/sendmail"
OTHERS: Final = 0o044
"""The mode bits with which group and others may read."""

_TAG = re.compile(r"[^A-Za-z0-9_.-]+")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`to`: where output that was thrown away goes, the log, a mail, or (report) nothing changes.
    `mail_to` who gets what cron mails where MAILTO is empty; `users` whether crontabs of users are
    changed too."""

    to: To
    mail_to: str
    users: bool


class CronOutput(Resource):
    """`cron-output: {to: log, mail-to: root, users: false}`."""

    kind: ClassVar[str] = "cron-output"

    def __init__(self, body: _Body) -> None:
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> CronOutput:
        return cls(msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (CRONTABS,)

    def observe(self, ctx: Context) -> list[Finding]:
        texts = ctx.facts.get(CRONTABS)
        jobs = jobs_of(texts)
        findings = [self._output(job) for job in jobs if job.output == "discarded"]
        holding = dict.fromkeys(job.file for job in jobs if job.has_secret)
        findings += [_readable(ctx, file, jobs) for file in holding]
        good = sum(job.output == "kept" for job in jobs)
        if not findings:
            shown = f"{good} of {len(jobs)}" if jobs else "there are none"
            findings.append(
                Finding(
                    resource="cron", setting="jobs whose output is kept", expected="all",
                    running=shown, ok=True,
                )
            )  # fmt: skip
        mailed = [job.origin for job in jobs if job.output == "kept" and not _goes_by_itself(job)]
        if mailed and ctx.host.state(SENDMAIL) is None:
            findings.append(
                Finding(
                    resource="cron", setting="mail of cron", expected="delivered",
                    running="no mail program", applicable=False,
                    note=f"what {len(mailed)} jobs would have mailed is dropped: see mail.relay",
                )
            )  # fmt: skip
        return findings

    def plan(self, ctx: Context) -> Planned:
        texts = ctx.facts.get(CRONTABS)
        jobs = jobs_of(texts)
        lost = [j for j in jobs if j.output == "discarded" and self._counts(j)]
        if self.body.to == "report" and lost:
            return Planned(
                notes=(
                    f"{len(lost)} jobs throw away what they say. Nothing is changed, because"
                    " `to` is report: choose log or mail, or change them by hand.",
                )
            )
        if self.body.to == "mail" and lost and ctx.host.state(SENDMAIL) is None:
            return Planned(
                refusals=(
                    "There is no mail program on this host, so cron would drop what it shall mail;"
                    " nothing was changed. Apply mail.relay first, or choose to=log.",
                )
            )
        links = [j.file for j in lost if _kind(ctx, j.file) != "file"]
        if links:
            return Planned(
                refusals=(
                    f"{links[0]} is not a plain file; nothing was changed. Change what it leads to"
                    " by hand, or make it a file.",
                )
            )
        changes: list[Change] = []
        notes: list[str] = []
        for file in texts:
            here = [job for job in lost if job.file == file]
            secret = [job for job in jobs if job.file == file and job.has_secret]
            closes = bool(secret) and not _readable(ctx, file, jobs).ok
            if not here and not closes:
                continue
            # Read again: what is not UTF-8 must come through unharmed.
            exact = ctx.host.read_bytes(file).decode("utf-8", "surrogateescape")
            changed = rewritten(exact, here, self.body.to, self.body.mail_to)
            state = ctx.host.state(file)
            mode = state.mode if state is not None else 0o644
            changes.append(
                WriteFile(
                    path=file, content=changed.encode("utf-8", "surrogateescape"),
                    mode=mode & ~OTHERS if closes else mode,
                    uid=state.uid if state is not None else 0,
                    gid=state.gid if state is not None else 0,
                    force_state=closes, secret=bool(secret),
                )
            )  # fmt: skip
            if secret:
                notes += [f"{job.origin}: {job.command}" for job in here]
        users = any(isinstance(c, WriteFile) and c.path.startswith(SPOOL) for c in changes)
        return Planned(
            changes=tuple(changes),
            roots=(Root(SPOOL, content=True),) if users else (),
            notes=tuple(notes),
        )

    def _counts(self, job: Job) -> bool:
        return not job.is_users or self.body.users

    def _output(self, job: Job) -> Finding:
        why = "redirected to /dev/null" if job.redirected else "MAILTO is empty"
        counts = self._counts(job)
        return Finding(
            resource="cron",
            setting=f"{job.user}: {_short(job.command)}",
            expected="its output is kept" if counts else "whatever its user wants",
            running=f"thrown away ({why})",
            persistent=f"thrown away ({why})",
            origin=job.origin,
            ok=not counts,
            note="" if counts else "a user's own crontab is only reported (users=yes changes it)",
        )


def rewritten(text: str, lost: Sequence[Job], to: To, mail_to: str) -> str:
    """A crontab in which the jobs `lost` are heard: in the log, or by mail.

    Only the redirection of each line goes, and an empty MAILTO that silenced one of them.
    """
    lines = text.split("\n")
    for job in lost:
        line = lines[job.line - 1]
        rest = ""
        if job.redirected:
            start = len(line) - len(_command_of(line, job))
            found = silence(line[start:])
            if found is None:
                continue
            head, rest = line[: start + found.start()], line[start + found.end() :]
            if to == "log" and not rest.strip():
                head = f"{head} 2>&1 | logger -t {_tag(job)}"
            lines[job.line - 1] = f"{head}{rest}"
        if job.mail_to == "" and (to == "mail" or not job.redirected or rest.strip()):
            lines[job.mail_line - 1] = f"MAILTO={mail_to}"
    return "\n".join(lines)


def _command_of(line: str, job: Job) -> str:
    """The part of a crontab's line that the shell gets."""
    stripped = line.lstrip()
    fields = (1 if stripped.startswith("@") else 5) + (0 if job.is_users else 1)
    found = re.match(rf"\s*(?:\S+\s+){{{fields}}}", line)
    return line[found.end() :] if found else ""


def _tag(job: Job) -> str:
    """What its lines in the log are called: after the file it stands in."""
    return f"cron-{_TAG.sub('-', job.file.rpartition('/')[2])}"


def _goes_by_itself(job: Job) -> bool:
    return bool(re.search(r">|\|", job.command))


def _readable(ctx: Context, file: str, jobs: Sequence[Job]) -> Finding:
    """Whether others can read a crontab with a password in it."""
    state = ctx.host.state(file)
    mode = state.mode if state is not None else 0
    lines = [str(job.line) for job in jobs if job.file == file and job.has_secret]
    return Finding(
        resource="cron",
        setting=f"{file}, which holds a password",
        expected="read by its owner only",
        running=f"mode {mode:04o}",
        persistent=f"mode {mode:04o}",
        origin=f"{file}:{lines[0]}",
        ok=not mode & OTHERS,
        note=(
            f"line {', '.join(lines)}: whoever looks at the processes while it runs still sees it;"
            " better move it into a file that only the job's user reads"
        ),
    )


def _kind(ctx: Context, path: str) -> str:
    state = ctx.host.state(path)
    return state.kind if state is not None else ""


def _short(command: str) -> str:
    return command if len(command) <= 60 else f"{command[:59]}…"
