"""logwatch: a daily mail of what the logs say, from logs that are really written."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.logwatch import LOGWATCH, LOGWATCH_FILES, OURS, origin_of, with_settings
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.package import installed_finding, plan_install

DETAILS: Final = {"low": "0", "med": "5", "high": "10"}
JOB: Final = "/etc/cron.daily/00logwatch"
SENDMAIL: Final = "/usr/sbin/sendmail"
READS: Final = ("/var/log/auth.log", "/var/log/syslog")
FRESH_S: Final = 36 * 3600
REPORTS_S: Final = 120.0


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    mail_to: str
    mail_from: str
    detail: Literal["low", "med", "high"]


class Logwatch(Resource):
    """`logwatch: {mail-to: root, mail-from: logwatch@web.example, detail: med}`."""

    kind: ClassVar[str] = "logwatch"

    def __init__(self, body: _Body) -> None:
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Logwatch:
        return cls(msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, UNITS, LOGWATCH, LOGWATCH_FILES)

    def observe(self, ctx: Context) -> list[Finding]:
        installed = installed_finding(ctx, "logwatch")
        around = [_text_logs(ctx), _mailer(ctx)]
        if not installed.ok:
            return [installed, *around]
        return [installed, *self._settings(ctx), _daily(ctx), *around]

    def plan(self, ctx: Context) -> Planned:
        install = plan_install(ctx, ("logwatch",))
        refusals = [*install.refusals, *_refusals(ctx)]
        changes: list[Change] = [*install.changes]
        there = "logwatch" in ctx.facts.get(PACKAGES)
        if not there or not all(finding.ok for finding in self._settings(ctx)):
            text = ctx.facts.get(LOGWATCH_FILES).get(OURS, "")
            changes.append(WriteFile(path=OURS, content=with_settings(text, self._wanted).encode()))
        if there and not _daily(ctx).ok:
            changes += _every_day(ctx)
        if not changes:
            return Planned(refusals=tuple(refusals))
        return msgspec.structs.replace(install, changes=tuple(changes), refusals=tuple(refusals))

    def prove(self, ctx: Context) -> list[Finding]:
        """It reports on today, as it would by mail."""
        argv = ("logwatch", "--range", "today", "--output", "stdout")
        try:
            answer = ctx.host.run(argv, ok=None, timeout_s=REPORTS_S)
        except HostError as error:
            raise FactUnavailable(str(error)) from None
        lines = answer.stdout.splitlines()
        services = sum(line.rstrip("- ").endswith("Begin") for line in lines)
        good = answer.ok and "Logwatch" in answer.stdout
        return [
            Finding(
                resource="logwatch", setting="a report on today", expected="is written",
                running=f"{len(lines)} lines of {services} services" if good
                else (answer.stderr.strip() or "nothing").splitlines()[-1],
                ok=good,
            )
        ]  # fmt: skip

    @property
    def _wanted(self) -> dict[str, str]:
        body = self.body
        return {
            "MailTo": body.mail_to,
            "MailFrom": body.mail_from,
            "Detail": body.detail.capitalize(),
        }

    def _settings(self, ctx: Context) -> list[Finding]:
        said, texts = ctx.facts.get(LOGWATCH), ctx.facts.get(LOGWATCH_FILES)
        found = []
        for name, value in self._wanted.items():
            expected = DETAILS[self.body.detail] if name == "Detail" else value
            running = said.get(name.lower(), "") or "unset"
            found.append(
                Finding(
                    resource="logwatch", setting=name, expected=expected, running=running,
                    persistent=running, origin=origin_of(name, texts), ok=running == expected,
                )
            )  # fmt: skip
        return found


def _daily(ctx: Context) -> Finding:
    job = ctx.host.state(JOB)
    cron = ctx.facts.get(UNITS).get("cron.service")
    runs = cron is not None and cron.active == "active"
    at_boot = cron is not None and cron.enabled == "enabled"
    there = job is not None and bool(job.mode & 0o100)
    return Finding(
        resource="logwatch",
        setting="every day",
        expected="by cron",
        running="by cron" if there and runs else ("cron does not run" if there else "no job"),
        persistent="by cron" if there and at_boot else "not after a boot",
        origin=JOB if there else "",
        ok=there and runs and at_boot,
    )


def _every_day(ctx: Context) -> list[Change]:
    changes: list[Change] = []
    job = ctx.host.state(JOB)
    if job is not None and not job.mode & 0o100:
        changes.append(RunCommand(argv=("chmod", "a+x", JOB), why="let run-parts run the job"))
    if "cron.service" in ctx.facts.get(UNITS):
        changes.append(
            RunCommand(
                argv=("systemctl", "enable", "--now", "cron.service"),
                why="start cron, now and at every boot",
            )
        )
    return changes


def _text_logs(ctx: Context) -> Finding:
    """logwatch reads text; a journal alone makes it report on next to nothing."""
    states = {path: ctx.host.state(path) for path in READS}
    ages = {
        path: time.time() - state.mtime_ns / 1e9
        for path, state in states.items()
        if state is not None
    }
    fresh = [path for path, age in ages.items() if age < FRESH_S]
    return Finding(
        resource="logwatch",
        setting="text logs to read",
        expected=f"{READS[0]} or {READS[1]}, written today or yesterday",
        running=", ".join(fresh) or ("old ones only" if ages else "none"),
        ok=bool(fresh),
        note="" if fresh else "without rsyslog most of what logwatch would report is missing",
    )


def _mailer(ctx: Context) -> Finding:
    there = ctx.host.state(SENDMAIL) is not None
    return Finding(
        resource="logwatch",
        setting="a mail program",
        expected=SENDMAIL,
        running=SENDMAIL if there else "none",
        ok=there,
    )


def _refusals(ctx: Context) -> list[str]:
    found = []
    if not _text_logs(ctx).ok:
        found.append(
            "Nothing writes /var/log/auth.log or /var/log/syslog on this host, so logwatch would"
            " report on nothing; nothing was changed. Apply logs.persistent with"
            " text-logs=rsyslog first."
        )
    if not _mailer(ctx).ok:
        found.append(
            "There is no mail program on this host, so logwatch could not send its report; nothing"
            " was changed. Apply mail.relay first."
        )
    if "cron" not in ctx.facts.get(PACKAGES):
        found.append(
            "cron is not installed on this host, and logwatch is run by it; nothing was changed."
            " Install cron (`apt-get install cron`), then look again."
        )
    return found
