"""The one file that makes fail2ban's jails, and what must be installed for them to work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from host.base import HostError
from host.facts.apt import simulation
from host.facts.fail2ban import FAIL2BAN_CONFIGURATION, FAIL2BAN_SOURCES, Sources
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Activation, Change, RunCommand, Validation, WriteFile
from steps.resource import Context, Planned
from steps.resources.fail2ban_default import sources_of_others
from steps.resources.package import absent, plan_install

UNIT: Final = "fail2ban.service"
JAIL_FILE: Final = "/etc/fail2ban/jail.d/zz-harden-tui.local"
"""fail2ban reads jail.d/*.local last, in the order of their names: this one wins."""
FOLDER: Final = "/etc/fail2ban"

PACKAGES_NEEDED: Final = ("fail2ban", "nftables")
"""Bans are made with nft on every release: bookworm's default, iptables, may not be installed."""

JOURNAL_PACKAGE: Final = "python3-systemd"
"""What fail2ban reads the journal with; only recommended by bookworm's fail2ban."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A jail of this host. `settings` are further lines of its section."""

    port: str
    journal: tuple[str, ...]
    log: str
    settings: tuple[tuple[str, str], ...]
    required: bool
    max_retry: int | None = None
    ban_time: str = ""
    mail_action: str = ""


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What every jail shares; durations as fail2ban writes them."""

    max_retry: int
    find_time: str
    ban_time: str
    ignored: tuple[str, ...]
    mail: str
    files: tuple[tuple[str, str], ...] = ()


def jail_file(step_id: str) -> str:
    """A step's own file: that of defence.fail2ban is the one without a name."""
    if step_id == "defence.fail2ban":
        return JAIL_FILE
    return JAIL_FILE.replace(".local", f"-{step_id.replace('.', '-')}.local")


def own_files(step_id: str, files: Iterable[tuple[str, str]]) -> dict[str, bytes]:
    """Path -> content of the filters and actions that a step brings ("filter.d/mine")."""
    head = f"# Written by harden-tui for the step {step_id}.\n"
    return {f"{FOLDER}/{name}.conf": f"{head}{text}".encode() for name, text in files}


def watch(
    ctx: Context, wanted: Wanted, *, journal: bool | None = None
) -> list[tuple[str, str]] | None:
    """The lines that tell a jail what to read; `None` where there is nothing.

    `journal`: whether it can be read; by default, whether the package for it is installed.
    """
    if journal is None:
        journal = JOURNAL_PACKAGE in ctx.facts.get(PACKAGES)
    if wanted.journal and journal:
        return [("backend", "systemd"), ("journalmatch", " + ".join(wanted.journal))]
    if wanted.log and ctx.host.glob(wanted.log):
        return [("backend", "auto"), ("logpath", wanted.log)]
    return None


def plan(ctx: Context, step_id: str, wanted: Mapping[str, Wanted], values: Values) -> Planned:
    """The packages, the file, and a start; validated by fail2ban itself before it restarts."""
    refusals = _foreign_blind(ctx, wanted) + _no_mailer(ctx, values)
    if refusals:
        return Planned(refusals=tuple(refusals))
    journal = _journal_can_be_read(ctx, wanted)
    needed = (*PACKAGES_NEEDED, JOURNAL_PACKAGE) if journal else PACKAGES_NEEDED
    install = plan_install(ctx, needed)
    if install.refusals:
        return install
    notes = list(install.notes)
    sections = []
    for name, jail in wanted.items():
        lines = watch(ctx, jail, journal=journal)
        if lines is None and jail.required:
            return Planned(refusals=(_unwatchable(name, jail),))
        if lines is None:
            notes.append(f"No jail {name}: its service writes no log that could be read.")
            continue
        if jail.journal and not journal:
            notes.append(
                f"{JOURNAL_PACKAGE} is not offered by this host's sources, so the jail {name}"
                f" reads {jail.log} and depends on rsyslog."
            )
        sections.append(_section(ctx, name, jail, lines, values))
    head = f"# Written by harden-tui for the step {step_id}.\n"
    content = "\n".join([head, *sections]).encode()
    changes: list[Change] = [*install.changes]
    files = own_files(step_id, values.files) | {jail_file(step_id): content}
    changes += [
        WriteFile(path=path, content=text)
        for path, text in files.items()
        if _read(ctx, path) != text
    ]
    changes += _start(ctx, bool(install.changes), bool(changes))
    return Planned(
        changes=tuple(changes),
        validations=(Validation(("fail2ban-client", "-t")),),
        activations=(Activation("restart", UNIT),),
        # Also those that an earlier step brought: undoing that one leaves them to this.
        packages=needed,
        notes=tuple(notes),
    )


def _section(
    ctx: Context, name: str, jail: Wanted, watched: list[tuple[str, str]], values: Values
) -> str:
    """All values stand in the jail's own section: there they win over any [DEFAULT] and file."""
    sources = sources_of_others(ctx)
    ignored = dict.fromkeys((*values.ignored, *_kept(sources, name)))
    lines = [
        ("enabled", "true"),
        *([("port", jail.port)] if jail.port else []),
        *jail.settings,
        *watched,
        ("maxretry", str(jail.max_retry or values.max_retry)),
        ("findtime", values.find_time),
        ("bantime", jail.ban_time or values.ban_time),
        ("ignoreip", " ".join(ignored)),
        ("banaction", "nftables"),
        ("banaction_allports", "nftables[type=allports]"),
    ]
    if values.mail:
        mailed = f'{jail.mail_action or "sendmail"}[dest="{values.mail}", sender="fail2ban"]'
        action = mailed if jail.mail_action else f"%(action_)s\n         {mailed}"
        lines.append(("action", action))
    return "".join([f"[{name}]\n", *(f"{option} = {value}\n" for option, value in lines)])


def _kept(sources: Sources, jail: str) -> list[str]:
    """Addresses that files of this host's own have this jail ignore."""
    for section in (jail, "DEFAULT"):
        theirs = [
            line
            for line in sources.get((section, "ignoreip"), [])
            if not line.origin.startswith(JAIL_FILE.removesuffix(".local"))
        ]
        if theirs:
            return [
                word for word in re.split(r"[\s,]+", theirs[-1].value) if "%" not in word and word
            ]
    return []


def _journal_can_be_read(ctx: Context, wanted: Mapping[str, Wanted]) -> bool:
    if not any(jail.journal for jail in wanted.values()):
        return False
    if JOURNAL_PACKAGE in ctx.facts.get(PACKAGES):
        return True
    needed = absent(ctx, (*PACKAGES_NEEDED, JOURNAL_PACKAGE))
    return JOURNAL_PACKAGE not in ctx.facts.get(simulation(needed)).missing


def _unwatchable(name: str, jail: Wanted) -> str:
    log = f"{jail.log} (there is no such file)" if jail.log else "any file instead"
    return (
        f"fail2ban could read neither the journal ({JOURNAL_PACKAGE} is not offered by this host's"
        f" package sources) nor {log}: the jail {name} would keep"
        " fail2ban from starting. Nothing was changed. Install rsyslog, or add Debian's own"
        " repository and run `apt-get update`, and look again."
    )


def _foreign_blind(ctx: Context, wanted: Mapping[str, Wanted]) -> list[str]:
    """Refused: a jail of this host's own without a log, with which fail2ban cannot start."""
    configured = ctx.facts.get(FAIL2BAN_CONFIGURATION) or {}
    for name, jail in configured.items():
        if jail.is_blind and name not in wanted:
            lines = ctx.facts.get(FAIL2BAN_SOURCES).get((name, "enabled"), [])
            place = f" ({lines[-1].origin})" if lines else ""
            return [
                f"The jail {name}{place} has no log to read, which keeps fail2ban from starting at"
                f" all. Nothing was changed. Give it a `logpath` that exists, or set"
                f" `enabled = false`, and look again."
            ]
    return []


def _no_mailer(ctx: Context, values: Values) -> list[str]:
    if not values.mail or ctx.host.which("sendmail") is not None:
        return []
    return [
        f"Mails to {values.mail} need a `sendmail`, which this host does not have. Nothing was"
        " changed. Install msmtp-mta or another mail transport, or leave `mail` empty."
    ]


def _read(ctx: Context, path: str) -> bytes:
    try:
        return ctx.host.read_bytes(path)
    except HostError:
        return b""


def _start(ctx: Context, fresh: bool, changed: bool) -> list[Change]:
    """A restart needs a running unit; without rsyslog, bookworm's fresh fail2ban never started."""
    unit = ctx.facts.get(UNITS).get(UNIT)
    up = unit is not None and unit.active == "active" and unit.enabled == "enabled"
    if up and changed:
        return []
    if up and not fresh:
        why = "let the running fail2ban take up its files"
        return [RunCommand(argv=("systemctl", "restart", UNIT), why=why)]
    why = "start fail2ban, now and at every boot"
    return [RunCommand(argv=("systemctl", "enable", "--now", UNIT), why=why)]
