"""Core dumps off: for logins, login shells, services, and systemd-coredump if it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.core_limits import (
    LIMITS,
    PROFILE_LIMITS,
    SERVICES,
    Limit,
    Service,
    Shell,
    hard_limit,
    hard_part,
)
from host.facts.packages import PACKAGES
from host.facts.systemd_conf import configuration
from host.facts.units import UNITS
from snapshots.model import Activation, Change, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

SYSTEM = configuration("system")
COREDUMP = configuration("coredump")
WHO = {"*": "logins of users", "root": "logins of root"}
"""pam_limits does not take `*` for root."""

COREDUMP_WANTED = {"Storage": "none", "ProcessSizeMax": "0"}
PROBE = ("runuser", "-u", "nobody", "--", "sh", "-c", "ulimit -Hc")

SHELL_PROBE = (
    "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--uid=nobody",
    "--property=LimitCORE=infinity", "sh", "-l", "-c", "ulimit -Hc",
)  # fmt: skip
"""nobody's login shell without PAM. systemd begins it without a limit: the one of whoever asks may
be 0 already, and a container lets nobody raise it."""

_BY = "# Written by harden-tui for the step {step}.\n"


class CoreDumps(Resource):
    """`core-dumps: {}`."""

    kind: ClassVar[str] = "core-dumps"

    def __init__(self, step_id: str) -> None:
        self.step_id = step_id
        name = step_id.replace(".", "-")
        self.limits = f"/etc/security/limits.d/zz-harden-tui-{name}.conf"
        self.system = f"/etc/systemd/system.conf.d/zz-harden-tui-{name}.conf"
        self.coredump = f"/etc/systemd/coredump.conf.d/zz-harden-tui-{name}.conf"
        self.profile = f"/etc/profile.d/zz-harden-tui-{name}.sh"
        self.drop_in = f"zz-harden-tui-{name}.conf"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> CoreDumps:
        if body != {}:
            raise StepError("expected nothing: {}")
        return cls(step_id)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (LIMITS, PROFILE_LIMITS, SERVICES, SYSTEM, COREDUMP, PACKAGES, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        limits = ctx.facts.get(LIMITS)
        findings = [_login(limits, who) for who in WHO]
        findings += [
            _finding(
                f"logins of {one.who}", "0", one.value, one.value, one.origin, False,
                "this line counts more than the one for everybody",
            )
            for one in _exceptions(limits)
        ]  # fmt: skip
        shells = _shells(ctx.facts.get(PROFILE_LIMITS))
        findings += [shells, self._default(ctx), self._running(ctx)]
        findings += [
            _finding(
                one.unit, "0", one.now_soft or "ended", one.line.value if one.line else one.hard,
                one.line.origin if one.line else "", False, "its unit sets LimitCORE itself",
            )
            for one in self._own(ctx)
        ]  # fmt: skip
        return [*findings, *self._systemd_coredump(ctx)]

    def told(self, findings: Sequence[Finding]) -> str:
        return "".join(f"services that {one.note}" for one in findings if not one.applicable)

    def plan(self, ctx: Context) -> Planned:
        limits = ctx.facts.get(LIMITS)
        by = _BY.format(step=self.step_id)
        changes: list[Change] = []
        if not all(_login(limits, who).ok for who in WHO):
            text = f"{by}* hard core 0\nroot hard core 0\n"
            changes.append(WriteFile(path=self.limits, content=text.encode()))
        if not _shells(ctx.facts.get(PROFILE_LIMITS)).ok:
            changes.append(WriteFile(path=self.profile, content=f"{by}ulimit -c 0\n".encode()))
        if self._default(ctx).ok is False:
            text = f"{by}[Manager]\nDefaultLimitCORE=0\n"
            changes.append(WriteFile(path=self.system, content=text.encode()))
        for one in self._own(ctx):
            path = f"/etc/systemd/system/{one.unit}.d/{self.drop_in}"
            text = f"{by}[Service]\nLimitCORE=0\n"
            changes.append(WriteFile(path=path, content=text.encode()))
        reloads = any(isinstance(c, WriteFile) and "/systemd/" in c.path for c in changes)
        if any(finding.ok is False for finding in self._systemd_coredump(ctx)):
            lines = "".join(f"{key}={value}\n" for key, value in COREDUMP_WANTED.items())
            text = f"{by}[Coredump]\n{lines}"
            changes.append(WriteFile(path=self.coredump, content=text.encode()))
        return Planned(
            changes=tuple(changes),
            activations=(Activation("daemon-reload"),) if reloads else (),
            refusals=(
                *self._refusals(limits, ctx.facts.get(PROFILE_LIMITS)),
                *self._overruled(self._own(ctx)),
            ),
            notes=self._notes(ctx) if changes else (),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """A session of PAM, and a login shell without one, are opened for nobody, and asked."""
        try:
            session = ctx.host.run(PROBE, timeout_s=15).stdout.strip()
            # What a profile prints comes before the answer.
            shell = (ctx.host.run(SHELL_PROBE, timeout_s=15).stdout.split() or [""])[-1]
        except HostError as error:
            raise FactUnavailable(
                f"no session could be opened to ask for its limit: {error}"
            ) from None
        return [
            _finding("a new session of nobody", "0", session, "", "", session == "0", ""),
            _finding("a login shell of nobody without PAM", "0", shell, "", "", shell == "0", ""),
        ]

    def _refusals(self, limits: tuple[Limit, ...], shells: tuple[Shell, ...]) -> tuple[str, ...]:
        """Lines that ours could not overrule."""
        found = [*_exceptions(limits)]
        for who in WHO:
            deciding = hard_limit(limits, who)
            if deciding is not None and deciding.value != "0" and deciding.file > self.limits:
                found.append(deciding)
        later = [one for one in shells if one.value != "0" and one.file > self.profile]
        return tuple(
            f"{one.origin} lets login shells write core dumps ({one.value}), and is read after what"
            " this step would write; nothing was changed. Take that line away first."
            for one in later[-1:]
        ) + tuple(
            f"{one.origin} lets {one.who} write core dumps ({one.value}), and counts more than "
            "what this step would write; nothing was changed. Take that line away first."
            for one in found
        )

    def _overruled(self, own: list[Service]) -> tuple[str, ...]:
        """Drop-ins that are read after ours."""
        return tuple(
            f"{one.line.origin} sets LimitCORE={one.line.value} for {one.unit} and is read after"
            " what this step would write; nothing was changed. Take that line away first."
            for one in own
            if one.line is not None
            and "/service.d/" not in one.line.file
            and one.line.file.endswith(".conf")
            and one.line.file.rpartition("/")[2] > self.drop_in
        )

    def _default(self, ctx: Context) -> Finding:
        running = ctx.facts.get(SERVICES).default_hard
        line = ctx.facts.get(SYSTEM).get(("Manager", "DefaultLimitCORE"))
        persistent = line.value if line else "infinity"
        ok = running == "0" and persistent in ("0", "0:0")
        origin = line.origin if line else ""
        return _finding("services, DefaultLimitCORE", "0", running, persistent, origin, ok, "")

    def _running(self, ctx: Context) -> Finding:
        """Services that run: what they write now counts, what they might allow themselves not.

        Where systemd would start every one that writes dumps without, it is told and not counted:
        nothing is left to be set, and none is restarted for this.
        """
        running = ctx.facts.get(SERVICES).running
        dumping = [one for one in running if one.dumps]
        later = [one for one in dumping if _next_hard(one) != "0"]
        loose = [one.unit for one in running if one.now_hard not in ("", "0")]
        note = f"may allow themselves more until restarted: {', '.join(loose)}" if loose else ""
        if dumping:
            note = f"write core dumps: {', '.join(one.unit for one in dumping)}"
        finding = _finding(
            "services that run", "none writes any", _writing(dumping, running),
            _writing(later, running), "", not dumping, note,
        )  # fmt: skip
        if dumping and not later:
            note += "; systemd forbids it from their next start on, and none is restarted for this"
            return msgspec.structs.replace(finding, ok=None, applicable=False, note=note)
        return finding

    def _own(self, ctx: Context) -> list[Service]:
        """Services whose unit has a limit of its own, also where it is the same as the default."""
        services = ctx.facts.get(SERVICES)
        default = services.default_hard
        return [
            one
            for one in services.running
            if _next_hard(one) != "0" and (one.line is not None or one.hard != default)
        ]

    def _systemd_coredump(self, ctx: Context) -> list[Finding]:
        """Its settings stand also where it is not installed: who brings it wants no dumps kept."""
        there = "systemd-coredump" in ctx.facts.get(PACKAGES)
        lines = ctx.facts.get(COREDUMP)
        found = []
        for key, wanted in COREDUMP_WANTED.items():
            line = lines.get(("Coredump", key))
            value = line.value if line else ""
            found.append(
                _finding(
                    f"systemd-coredump, {key}", wanted,
                    (value or "default") if there else "not installed", value or "default",
                    line.origin if line else "", value.lower() == wanted, "",
                )
            )  # fmt: skip
        return found

    def _notes(self, ctx: Context) -> tuple[str, ...]:
        loose = [one.unit for one in ctx.facts.get(SERVICES).running if one.now_hard != "0"]
        if not loose:
            return ()
        return (
            f"Running services keep their limit until they are restarted ({len(loose)} of them); "
            "none is restarted for this.",
        )


def _writing(some: Sequence[Service], running: Sequence[Service]) -> str:
    return f"{len(some)} of {len(running)} write core dumps"


def _next_hard(one: Service) -> str:
    """The limit of its next start, once systemd has read the unit anew."""
    return hard_part(one.line.value if one.line else one.hard)


def _login(limits: tuple[Limit, ...], who: str) -> Finding:
    line = hard_limit(limits, who)
    value = line.value if line else "unlimited"
    origin = line.origin if line else ""
    return _finding(WHO[who], "0", value, value, origin, value == "0", "")


def _shells(lines: tuple[Shell, ...]) -> Finding:
    """Login shells that come without PAM, such as those of containers and of a rescue."""
    hard = [one for one in lines if one.hard]
    value = hard[-1].value if hard else "as it was"
    origin = hard[-1].origin if hard else ""
    return _finding("login shells without PAM", "0", value, value, origin, value == "0", "")


def _exceptions(limits: tuple[Limit, ...]) -> list[Limit]:
    """Lines for single users and groups that allow what `*` forbids."""
    return [one for one in limits if one.who not in WHO and one.hard and one.value != "0"]


def _finding(
    setting: str, expected: str, running: str, persistent: str, origin: str, ok: bool, note: str
) -> Finding:
    return Finding(
        resource="core-dumps",
        setting=setting,
        expected=expected,
        running=running,
        persistent=persistent,
        origin=origin,
        ok=ok,
        note=note,
    )
