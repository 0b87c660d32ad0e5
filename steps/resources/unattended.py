"""Updates that install themselves: what unattended-upgrades may take, when it runs, whom it tells.

Each setting is asked of apt-config, the timers of systemd, and what it would do of its own dry run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import msgspec

from host.base import HostError, Service
from host.distribution import Distribution
from host.facts import Fact
from host.facts.apt_config import APT_CONFIG, AptConfig
from host.facts.os import DISTRIBUTION
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.dpkg import let_in
from snapshots.model import Change, RunCommand
from snapshots.progress import Silent
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.apt_config import checked, holds, plan_drop_in, setting_finding

PACKAGE = "unattended-upgrades"
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
"""Each starts the service of its name; that of a masked one elapses, and nothing comes of it."""

DRY_RUN_TIMEOUT_S = 300.0

PATTERNS = "Unattended-Upgrade::Origins-Pattern"
ALLOWED = "Unattended-Upgrade::Allowed-Origins"
BLACKLIST = "Unattended-Upgrade::Package-Blacklist"
MAIL = "Unattended-Upgrade::Mail"
_MAILERS = ("/usr/sbin/sendmail", "/usr/bin/mail")
"""What unattended-upgrades looks for, in this order (SENDMAIL_BINARY, MAIL_BINARY)."""

_SAID = re.compile(r"^Allowed origins are: (.*)$", re.MULTILINE)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    mail: str = ""
    reboot: bool = False
    reboot_time: str = "04:00"


class Unattended(Resource):
    """`unattended-upgrades: {mail: root, reboot: false, reboot-time: "04:00"}`."""

    kind: ClassVar[str] = "unattended-upgrades"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.mail = body.mail
        settings: dict[str, Any] = {
            "APT::Periodic::Enable": {"is": "1", "unset-ok": True},
            "APT::Periodic::Update-Package-Lists": {"one-of": ["1", "1d", "always"]},
            "APT::Periodic::Unattended-Upgrade": {"one-of": ["1", "1d", "always"]},
            MAIL: body.mail,
            "Unattended-Upgrade::MailReport": {
                "one-of": ["on-change", "always", "only-on-error"],
                "unset-ok": not body.mail,
            },
            "Unattended-Upgrade::Automatic-Reboot": body.reboot,
            "Unattended-Upgrade::Remove-Unused-Kernel-Packages": "true",
            "Unattended-Upgrade::Remove-New-Unused-Dependencies": "true",
        }
        if body.reboot:
            settings["Unattended-Upgrade::Automatic-Reboot-Time"] = body.reboot_time
        self.wanted: dict[str, Expectation] = checked(settings)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Unattended:
        return cls(step_id, msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APT_CONFIG, DISTRIBUTION, PACKAGES, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        config = ctx.facts.get(APT_CONFIG)
        findings = [setting_finding(config, key, value) for key, value in self.wanted.items()]
        findings.append(_origins_finding(config, ctx.facts.get(DISTRIBUTION)))
        findings += [_timer_finding(ctx, timer) for timer in TIMERS]
        held_back = config.items(BLACKLIST)
        if held_back:
            findings.append(
                Finding(
                    resource="apt",
                    setting=BLACKLIST,
                    expected="whatever it is",
                    running=", ".join(held_back),
                    origin=config.list_origin(BLACKLIST),
                    applicable=False,
                    note="these packages get no update by themselves, security or not",
                )
            )
        if self.mail:
            findings.append(_delivery(ctx))
        return findings

    def plan(self, ctx: Context) -> Planned:
        config = ctx.facts.get(APT_CONFIG)
        more = []
        if PACKAGE in ctx.facts.get(PACKAGES) and not _is_covered(
            config, ctx.facts.get(DISTRIBUTION)
        ):
            pattern = security_pattern(ctx.facts.get(DISTRIBUTION))
            more = [f'{PATTERNS}:: "{pattern}";']
        is_so = not more and all(
            holds(value, config.value(key)) for key, value in self.wanted.items()
        )
        planned = (
            Planned() if is_so else plan_drop_in(ctx.host, config, self.step_id, self.wanted, more)
        )
        timers, refusals = _start(ctx)
        return msgspec.structs.replace(
            planned,
            changes=(*planned.changes, *timers),
            refusals=(*planned.refusals, *refusals),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        return [_dry_run(ctx)]


def security_pattern(distribution: Distribution) -> str:
    """The origin of the distribution's security updates, as unattended-upgrades is told it."""
    if distribution.id == "ubuntu":
        return "origin=Ubuntu,archive=${distro_codename}-security,label=Ubuntu"
    return "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"


def security_release(distribution: Distribution) -> dict[str, tuple[str, ...]]:
    """What the Release file of the security repository says of itself, by the fields of a pattern.

    Debian's suite is called otherwise once the next release is out.
    """
    code = distribution.codename
    if distribution.id == "ubuntu":
        return {"origin": ("Ubuntu",), "label": ("Ubuntu",), "archive": (f"{code}-security",),
                "codename": (code,)}  # fmt: skip
    return {"origin": ("Debian",), "label": ("Debian-Security",), "codename": (f"{code}-security",),
            "archive": ("stable-security", "oldstable-security", f"{code}-security")}  # fmt: skip


_FIELDS = {
    "o": "origin", "l": "label", "a": "archive", "n": "codename", "suite": "archive",
    "c": "component", "site": "site",
}  # fmt: skip


def matches(pattern: str, release: dict[str, tuple[str, ...]], distribution: Distribution) -> bool:
    """Whether a pattern such as "origin=Debian,label=Debian-Security" lets a release in.

    As unattended-upgrades reads it (match_whitelist_string): every field must match, with shell
    patterns in the values; "\\," is a comma. A field that is not known here matches nothing.
    """
    filled = pattern.replace("${distro_codename}", distribution.codename)
    filled = filled.replace("${distro_id}", distribution.id.capitalize())
    fields = [part.replace("%2C", ",") for part in filled.replace(r"\,", "%2C").split(",")]
    for field in fields:
        name, found, value = field.partition("=")
        name = _FIELDS.get(name.strip(), name.strip())
        if not found:
            return False
        if name in ("component", "site"):
            continue  # a security repository has several of both
        if not any(fnmatchcase(said, value.strip()) for said in release.get(name, ())):
            return False
    return True


def patterns(config: AptConfig) -> tuple[str, ...]:
    """Both kinds of what is allowed: patterns, and Ubuntu's "origin:archive"."""
    older = []
    for entry in config.items(ALLOWED):
        origin, _, archive = entry.replace("${distro_id}:", "${distro_id} ").replace(
            ":", " "
        ).partition(" ")  # fmt: skip
        older.append(f"origin={origin.strip()},archive={archive.strip()}")
    return (*config.items(PATTERNS), *older)


def _is_covered(config: AptConfig, distribution: Distribution) -> bool:
    release = security_release(distribution)
    return any(matches(pattern, release, distribution) for pattern in patterns(config))


def _origins_finding(config: AptConfig, distribution: Distribution) -> Finding:
    shown = "; ".join(patterns(config)) or "none"
    return Finding(
        resource="apt",
        setting=PATTERNS,
        expected="security updates of this release among them",
        running=shown,
        persistent=shown,
        origin=", ".join(filter(None, (config.list_origin(PATTERNS), config.list_origin(ALLOWED)))),
        ok=_is_covered(config, distribution),
    )


def _timer_finding(ctx: Context, timer: str) -> Finding:
    units = ctx.facts.get(UNITS)
    unit = units.get(timer)
    running = unit.active if unit is not None else "there is no such unit"
    enabled = unit.enabled if unit is not None else ""
    service = _service(timer)
    idle = "" if service in units else f"there is no {service} that it could start"
    if _is_masked(units, service):
        idle = f"{service}, which it starts, is {units[service].enabled}"
    note = idle if running == "active" else "without it nothing fetches or installs updates"
    return Finding(
        resource="unit",
        setting=timer,
        expected="active and enabled",
        running=running,
        persistent=enabled,
        ok=running == "active" and enabled == "enabled" and not idle,
        note=note,
    )


def _service(timer: str) -> str:
    """ "apt-daily.timer" -> "apt-daily.service"."""
    return timer.removesuffix(".timer") + ".service"


def _is_masked(units: Mapping[str, Service], unit: str) -> bool:
    """Also until the next boot only ("masked-runtime")."""
    return unit in units and units[unit].enabled.startswith("masked")


def _start(ctx: Context) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """What brings the timers and their services back, and why that cannot be."""
    units = ctx.facts.get(UNITS)
    services = tuple(_service(timer) for timer in TIMERS)
    absent = [unit for unit in (*TIMERS, *services) if unit not in units]
    if absent:
        return (), (
            f"{absent[0]}, which comes with apt itself, does not exist on this host; nothing was"
            " changed. Run `apt-get install --reinstall apt`, then look again.",
        )
    changes: list[Change] = []
    masked = [unit for unit in (*TIMERS, *services) if _is_masked(units, unit)]
    for options, here in (
        ((), [unit for unit in masked if units[unit].enabled != "masked-runtime"]),
        (("--runtime",), [unit for unit in masked if units[unit].enabled == "masked-runtime"]),
    ):
        if here:
            why = f"take the mask from {', '.join(here)}"
            changes.append(RunCommand(argv=("systemctl", "unmask", *options, *here), why=why))
    wrong = [t for t in TIMERS if (units[t].active, units[t].enabled) != ("active", "enabled")]
    if wrong:
        changes.append(
            RunCommand(
                argv=("systemctl", "enable", "--now", *wrong),
                why=f"start {', '.join(wrong)}, also at boot",
            )
        )
    return tuple(changes), ()


def _delivery(ctx: Context) -> Finding:
    """Whether a report can leave this host at all; another step sets mail up."""
    there = [path for path in _MAILERS if ctx.host.state(path) is not None]
    return Finding(
        resource="mail",
        setting="a program that sends the report",
        expected="sendmail or mail",
        running=", ".join(there) or "none",
        applicable=False,
        note="" if there else (
            "without one reports only go to /var/log/unattended-upgrades; install a mail relay"
        ),
    )  # fmt: skip


def allowed_in(text: str) -> tuple[str, ...]:
    """The origins that a dry run says it would take from; empty where it does not say.

    "Allowed origins are: origin=Debian,codename=bookworm,label=Debian, origin=Debian,…"
    """
    found = _SAID.search(text)
    return tuple(part.strip() for part in found[1].split(", ")) if found else ()


def _dry_run(ctx: Context) -> Finding:
    argv = ("unattended-upgrade", "--dry-run", "-d")
    shown = " ".join(argv)
    try:
        with let_in(ctx.host, Silent()):
            answer = ctx.host.run(argv, timeout_s=DRY_RUN_TIMEOUT_S, ok=None)
    except HostError as error:
        return Finding(
            resource="apt", setting=shown, expected="security updates are taken", ok=None,
            note=str(error),
        )  # fmt: skip
    distribution = ctx.facts.get(DISTRIBUTION)
    allowed = allowed_in(f"{answer.stdout}\n{answer.stderr}")
    release = security_release(distribution)
    good = any(matches(pattern, release, distribution) for pattern in allowed)
    last = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
    return Finding(
        resource="apt",
        setting=shown,
        expected="security updates are taken",
        running="; ".join(allowed) or f"exit status {answer.returncode}",
        ok=good and answer.returncode == 0,
        note="" if answer.returncode == 0 else (last[-1] if last else "it said nothing"),
    )
