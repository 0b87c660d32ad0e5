"""Mail that leaves this host through a relay: cron's, root's, and that of every report."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.mail import ALIASES, MAIL_ALIASES, MSMTP, POSTFIX, alias_of, with_alias
from host.facts.packages import PACKAGES
from host.facts.ports import PORTS
from host.facts.ufw import UFW_CONFIGURATION
from snapshots.model import Activation, Change, RunCommand, Validation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.mail_wanted import (
    MARK,
    MSMTPRC,
    SASL,
    Wanted,
    compared,
    msmtp_answers,
    msmtprc,
    password_in,
    password_in_sasl,
    postfix_settings,
    sasl_line,
)
from steps.resources.package import installed_finding, plan_install
from steps.resources.way_out import way_findings, way_refusals

MAIL_PORTS: Final = (25, 465, 587)
SENDS_S: Final = 60.0
LEAVES_S: Final = 15.0
"""How long postfix may take to hand a mail on."""


class MailRelay(Resource):
    """`mail-relay: {by: msmtp, host: mail.example.org, port: 587, tls: starttls, …}`."""

    kind: ClassVar[str] = "mail-relay"

    def __init__(self, step_id: str, wanted: Wanted) -> None:
        self.step_id = step_id
        self.wanted = wanted
        self.packages: tuple[str, ...] = ("msmtp-mta",) if wanted.by == "msmtp" else ("postfix",)
        if wanted.by == "postfix" and wanted.user:
            self.packages = ("postfix", "libsasl2-modules")

    @classmethod
    def parse(cls, step_id: str, body: Any) -> MailRelay:
        wanted = msgspec.convert(body, Wanted)
        for field in ("host", "sender", "to"):
            if not getattr(wanted, field).strip():
                raise StepError(f"{field}: expected a value")
        return cls(step_id, wanted)

    def facts(self) -> tuple[Fact[Any], ...]:
        program = MSMTP if self.wanted.by == "msmtp" else POSTFIX
        return (PACKAGES, MAIL_ALIASES, PORTS, program, UFW_CONFIGURATION)

    def observe(self, ctx: Context) -> list[Finding]:
        installed = [installed_finding(ctx, name) for name in self.packages]
        if not all(finding.ok for finding in installed):
            return [*installed, _listening(ctx)]
        way = way_findings(ctx, self.wanted.host, self.wanted.port)
        return [*installed, *self._settings(ctx), *self._aliases(ctx), *way, _listening(ctx)]

    def plan(self, ctx: Context) -> Planned:
        install = plan_install(ctx, self.packages)
        refusals = [*install.refusals, *self._refusals(ctx)]
        there = not install.changes and not install.refusals
        changes: list[Change] = [*install.changes]
        if not there or not all(finding.ok for finding in self._settings(ctx)) or self._new(ctx):
            changes += self._write(ctx, whole=not there)
        if not there or not all(finding.ok for finding in self._aliases(ctx)):
            text = ctx.facts.get(MAIL_ALIASES)
            for name in self._names:
                text = with_alias(name, self.wanted.to, text)
            changes.append(WriteFile(path=ALIASES, content=text.encode("utf-8", "surrogateescape")))
            if self.wanted.by == "postfix":
                changes.append(
                    RunCommand(argv=("newaliases",), why="have postfix read /etc/aliases")
                )
        if not changes:
            return Planned(refusals=tuple(refusals))
        test = self.wanted.test_to
        by_postfix = self.wanted.by == "postfix"
        return Planned(
            changes=tuple(changes),
            packages=install.packages,
            refusals=tuple(refusals),
            notes=(
                *install.notes,
                f"One test mail will be sent to {test}; it cannot come back."
                if test
                else f"{self.wanted.host} will be asked whether it answers; no mail is sent.",
            ),
            validations=(Validation(("postfix", "check")),) if by_postfix else (),
            activations=(Activation("restart", "postfix.service"),) if by_postfix else (),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """A real mail to the person's address; else the relay is greeted, certificate and all."""
        if self.wanted.test_to:
            return [_sent(ctx, self.wanted)]
        if self.wanted.by == "postfix":
            return []
        argv = ("msmtp", "--serverinfo", "--account=default")
        answer = _run(ctx, argv)
        return [
            Finding(
                resource="mail", setting=f"{self.wanted.host} answers", expected="yes",
                running=answer or "yes", ok=not answer,
            )
        ]  # fmt: skip

    @property
    def _names(self) -> tuple[str, ...]:
        """`default` is msmtp's own word for every other local name: it keeps no mailboxes."""
        return ("root", "default") if self.wanted.by == "msmtp" else ("root",)

    def _settings(self, ctx: Context) -> list[Finding]:
        if self.wanted.by == "postfix":
            said = ctx.facts.get(POSTFIX)
            return compared("postfix", postfix_settings(self.wanted), said, "/etc/postfix/main.cf")
        said = ctx.facts.get(MSMTP)
        return compared("msmtp", msmtp_answers(self.wanted), said, said.get("_file", ""))

    def _aliases(self, ctx: Context) -> list[Finding]:
        text = ctx.facts.get(MAIL_ALIASES)
        found = []
        for name in self._names:
            to, line = alias_of(name, text)
            found.append(
                Finding(
                    resource="mail", setting=f"mail for {name}", expected=self.wanted.to,
                    running=to or "nobody", persistent=to or "nobody",
                    origin=f"{ALIASES}:{line}" if line else "", ok=to == self.wanted.to,
                )
            )  # fmt: skip
        return found

    def _refusals(self, ctx: Context) -> list[str]:
        found = [*way_refusals(ctx, self.wanted.host, self.wanted.port)]
        text = _text(ctx, MSMTPRC)
        foreign = self.wanted.by == "msmtp" and text and not text.startswith(MARK)
        if foreign and not all(finding.ok for finding in self._settings(ctx)):
            found.append(
                f"{MSMTPRC} was written by somebody else and says otherwise; nothing was changed."
                f" Mend it by hand, or move it away (`mv {MSMTPRC} {MSMTPRC}.old`) and look again."
            )
        if self.wanted.user and not (self.wanted.password or self._kept(ctx)):
            found.append(
                f"The relay asks {self.wanted.user} for a password, and none was given; nothing"
                f" was changed. Give it on standard input: printf '{self.step_id}: {{password:"
                f" …}}' | harden-tui apply {self.step_id} --values -"
            )
        listening = _listening(ctx)
        # postfix itself is told to listen on loopback only.
        if listening.ok is False and self.wanted.by == "msmtp":
            found.append(
                f"A mail server listens to others ({listening.running}); nothing was changed. If"
                " this host shall receive mail, it needs more than this step; else stop it."
            )
        return found

    def _kept(self, ctx: Context) -> str:
        """The password that stands in our own file."""
        if self.wanted.by == "postfix":
            return password_in_sasl(_text(ctx, SASL))
        text = _text(ctx, MSMTPRC)
        return password_in(text) if text.startswith(MARK) else ""

    def _new(self, ctx: Context) -> bool:
        """Whether a password was given that is not the one in the file."""
        wanted = self.wanted
        return bool(wanted.user and wanted.password) and wanted.password != self._kept(ctx)

    def _write(self, ctx: Context, *, whole: bool) -> list[Change]:
        wanted = self.wanted
        password = wanted.password or self._kept(ctx)
        secret = bool(wanted.user)
        if wanted.by == "msmtp":
            return [
                WriteFile(
                    path=MSMTPRC, content=msmtprc(self.step_id, wanted, password).encode(),
                    mode=0o600 if secret else 0o644, force_state=True, secret=secret,
                )
            ]  # fmt: skip
        said = {} if whole else ctx.facts.get(POSTFIX)
        settings = [
            f"{name}={value}"
            for name, value in postfix_settings(wanted).items()
            if said.get(name) != value
        ]
        changes: list[Change] = []
        if secret and sasl_line(wanted, password) != _text(ctx, SASL):
            changes.append(
                WriteFile(
                    path=SASL, content=sasl_line(wanted, password).encode(), mode=0o600,
                    force_state=True, secret=True,
                )
            )  # fmt: skip
        if settings:
            changes.append(
                RunCommand(
                    argv=("postconf", "-e", *settings),
                    why=f"send through {wanted.host}, and listen on loopback only",
                )
            )
        return changes


def _listening(ctx: Context) -> Finding:
    """Whether others can hand mail to this host."""
    open_to = [
        f"{port.process or 'something'} on {port.address}:{port.port}"
        for port in ctx.facts.get(PORTS)
        if port.protocol == "tcp" and port.port in MAIL_PORTS and port.exposed
    ]
    return Finding(
        resource="mail",
        setting="mail from others",
        expected="nothing listens for it",
        running=", ".join(open_to) or "nothing listens for it",
        ok=not open_to,
    )


def _sent(ctx: Context, wanted: Wanted) -> Finding:
    finding = Finding(
        resource="mail", setting=f"a test mail to {wanted.test_to}", expected="taken by the relay"
    )
    stamp = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    message = (
        f"To: {wanted.test_to}\nSubject: harden-tui: test mail of {ctx.host.name}\n\n"
        f"Mail of {ctx.host.name} leaves through {wanted.host}:{wanted.port}. Sent {stamp}.\n"
    )
    problem = _run(ctx, ("/usr/sbin/sendmail", "-i", "-t"), message.encode())
    if not problem and wanted.by == "postfix":
        problem = _still_queued(ctx)
    return msgspec.structs.replace(finding, running=problem or "taken by the relay", ok=not problem)


def _still_queued(ctx: Context) -> str:
    """Why postfix could not hand on what it has, after some seconds; empty where it could."""
    until = time.monotonic() + LEAVES_S
    while True:
        waiting = ctx.host.run(("postqueue", "-p"), ok=None).stdout.strip()
        if not waiting or "queue is empty" in waiting:
            return ""
        if time.monotonic() > until:
            why = [line.strip() for line in waiting.splitlines() if line.strip().startswith("(")]
            return f"still in the queue {why[0] if why else ''}".strip()
        time.sleep(0.5)


def _run(ctx: Context, argv: tuple[str, ...], stdin: bytes = b"") -> str:
    """Why a program failed, in its own last words (msmtp takes several lines); empty if not."""
    try:
        answer = ctx.host.run(argv, stdin=stdin, timeout_s=SENDS_S, ok=None)
    except HostError as error:
        raise FactUnavailable(str(error)) from None
    said = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
    return "" if answer.ok else ("; ".join(said[-3:]) or f"exit status {answer.returncode}")


def _text(ctx: Context, path: str) -> str:
    try:
        return ctx.host.read_bytes(path).decode("utf-8", "replace") if ctx.host.state(path) else ""
    except HostError:
        return ""
