"""fail2ban: jails for what is installed, each with a log that exists, and never you in one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.addresses import OWN_ADDRESSES
from host.facts.fail2ban import (
    FAIL2BAN_CONFIGURATION,
    FAIL2BAN_RUNNING,
    FAIL2BAN_SOURCES,
    Jail,
    deciding,
    seconds,
)
from host.facts.packages import PACKAGES
from host.facts.ports import PORTS
from host.facts.units import UNITS
from snapshots.model import InstallPackages
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.fail2ban_default import default_line, is_theirs, write_default
from steps.resources.fail2ban_own import own_addresses
from steps.resources.fail2ban_plan import FOLDER, UNIT, Values, Wanted, own_files, plan, watch
from steps.resources.ssh_ports import FACTS as SSH_PORTS
from steps.resources.ssh_ports import ssh_ports
from steps.resources.ufw_rules import plain_address

LOOPBACK = ("127.0.0.1/8", "::1")

NUMBERS = {"ssh": "22", "http": "80", "https": "443"}
"""nft knows names of ports only where /etc/services is, which a small host may lack (netbase): then
a jail counts, says that it bans, and bans nobody."""


class JailBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True
):
    """One jail as a catalogue file writes it.

    `journal` are matches of which one is enough; `log` a file or pattern, read where the journal
    cannot be. `port` "ssh" means the ports SSH really uses. `required` jails must not be left out.
    `max-retry` and `ban-time` where they are the jail's own; a jail with a
    `mail-action` bans nobody, and is made only where there is somebody to mail.
    """

    any_package: list[str] = []
    port: str = ""
    journal: list[str] = []
    log: str = ""
    settings: dict[str, str] = {}
    required: bool = False
    max_retry: int | None = None
    ban_time: str = ""
    mail_action: str = ""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The resource as a catalogue file writes it. `jail-local`: whether jails of others, which come
    later, shall ignore the same addresses; `files`: "filter.d/mine" -> text."""

    jail_local: bool = False
    max_retry: int = 3
    find_time: str = "10m"
    ban_time: str = "1h"
    ignore: list[str] = []
    mail: str = ""
    files: dict[str, str] = {}
    jails: dict[str, JailBody]


class Fail2ban(Resource):
    """`fail2ban: {max-retry: 3, …, jails: {sshd: {…}, …}}`."""

    kind: ClassVar[str] = "fail2ban"

    def __init__(self, step_id: str, body: Body) -> None:
        self.step_id = step_id
        self.body = body
        self.find_s = _seconds("find-time", body.find_time)
        self.ban_s = _seconds("ban-time", body.ban_time)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Fail2ban:
        given = msgspec.convert(body, Body)
        for name in given.jails:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise StepError(f"jails: {name!r} is no name of a jail")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (
            PACKAGES,
            UNITS,
            FAIL2BAN_RUNNING,
            FAIL2BAN_CONFIGURATION,
            FAIL2BAN_SOURCES,
            OWN_ADDRESSES,
            *SSH_PORTS,
        )

    def wanted(self, ctx: Context) -> dict[str, Wanted]:
        """The jails whose service is installed, with their ports as this host uses them."""
        installed = ctx.facts.get(PACKAGES)
        found = {}
        for name, jail in self.body.jails.items():
            if jail.any_package and not any(package in installed for package in jail.any_package):
                continue
            if jail.mail_action and not self.body.mail:
                continue
            port = jail.port
            if port == "ssh":
                port = ",".join(str(number) for number in ssh_ports(ctx)) or "ssh"
            port = ",".join(NUMBERS.get(name.strip(), name.strip()) for name in port.split(","))
            found[name] = Wanted(
                port=port,
                journal=tuple(jail.journal),
                log=jail.log,
                settings=tuple(jail.settings.items()),
                required=jail.required,
                max_retry=jail.max_retry,
                ban_time=jail.ban_time,
                mail_action=jail.mail_action,
            )
        return found

    def ignored(self, ctx: Context) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*LOOPBACK, *own_addresses(ctx), *self.body.ignore)))

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        mine = plain_address(ctx.session.client_address)
        own = (str(mine),) if mine is not None and not mine.is_loopback else ()
        values = Values(
            max_retry=self.body.max_retry,
            find_time=self.body.find_time,
            ban_time=self.body.ban_time,
            ignored=tuple(dict.fromkeys((*self.ignored(ctx), *own))),
            mail=self.body.mail,
            files=tuple(self.body.files.items()),
        )
        planned = plan(ctx, self.step_id, self.wanted(ctx), values)
        if planned.refusals or not self.body.jail_local or self._default(ctx).ok is not False:
            return planned
        default = write_default(ctx, self.step_id, values.ignored)
        if default is None:
            return planned
        # Before anything is started, but after the package.
        index = next(
            (n for n, one in enumerate(planned.changes) if not isinstance(one, InstallPackages)),
            len(planned.changes),
        )
        changes = (*planned.changes[:index], default, *planned.changes[index:])
        return msgspec.structs.replace(planned, changes=changes)

    def observe(self, ctx: Context) -> list[Finding]:
        configured = ctx.facts.get(FAIL2BAN_CONFIGURATION)
        wanted = self.wanted(ctx)
        if not wanted:
            return [_beside("fail2ban", "no service of these jails is installed on this host")]
        if configured is None:
            return [_finding("fail2ban", "running", "not installed", "not installed", False)]
        now = ctx.facts.get(FAIL2BAN_RUNNING)
        findings = [_service(ctx, now is not None, configured)]
        for name, body in self.body.jails.items():
            if name not in wanted and body.mail_action:
                findings.append(_beside(name, "nobody is to be mailed"))
            elif name not in wanted:
                packages = " or ".join(body.any_package)
                findings.append(_beside(name, f"{packages} is not installed"))
            elif not wanted[name].required and watch(ctx, wanted[name]) is None:
                findings.append(_beside(name, "its service writes no log that could be read"))
            else:
                jail = (now or {}).get(name)
                findings += self._jail(ctx, name, wanted[name], jail, configured.get(name))
        if self.body.jail_local:
            findings.append(self._default(ctx))
        findings += self._files(ctx)
        findings += self._own_address(ctx, now or {})
        return findings

    def _files(self, ctx: Context) -> list[Finding]:
        found = []
        for path, text in own_files(self.step_id, self.body.files.items()).items():
            there = ctx.host.state(path) is not None
            same = there and ctx.host.read_bytes(path) == text
            state = "the same" if same else "different" if there else "absent"
            name = path.removeprefix(f"{FOLDER}/")
            found.append(_finding(name, "as the step has it", state, state, same, origin=path))
        return found

    def _jail(
        self, ctx: Context, name: str, wanted: Wanted, now: Jail | None, boot: Jail | None
    ) -> list[Finding]:
        sources = ctx.facts.get(FAIL2BAN_SOURCES)
        note = _about_database(ctx) if name.startswith("mysql") else ""
        line = deciding(sources, name, "enabled")
        findings = [
            _finding(
                f"{name} jail",
                "running",
                _watched(now),
                _watched(boot),
                now is not None and bool(now.watches) and boot is not None,
                origin=line.origin if line else "",
                note=note,
            )
        ]
        if now is None and boot is None:
            return findings
        ban_s = seconds(wanted.ban_time) or self.ban_s
        for option, limit, enough in (
            ("maxretry", wanted.max_retry or self.body.max_retry, _at_most),
            ("findtime", self.find_s, _at_least),
            ("bantime", ban_s, _at_least),
        ):
            values: list[int | None] = [
                getattr(jail, option) if jail else None for jail in (now, boot)
            ]
            shown = ["" if value is None else str(value) for value in values]
            line = deciding(sources, name, option)
            word = "at most" if enough is _at_most else "at least"
            findings.append(
                _finding(
                    f"{name} {option}",
                    f"{word} {limit}{'' if option == 'maxretry' else ' s'}",
                    shown[0],
                    shown[1],
                    all(value is not None and enough(value, limit) for value in values),
                    origin=line.origin if line else "",
                )
            )
        line = deciding(sources, name, "ignoreip")
        lists = [jail.ignored if jail else () for jail in (now, boot)]
        findings.append(
            _finding(
                f"{name} ignoreip",
                f"contains {' '.join(self.ignored(ctx))}",
                " ".join(lists[0]),
                " ".join(lists[1]),
                all(_covers(found, one) for found in lists for one in self.ignored(ctx)),
                origin=line.origin if line else "",
            )
        )
        if boot is not None and not wanted.mail_action:
            nameless = ctx.host.state("/etc/services") is None and re.search("[a-z]", boot.ports)
            if name == "sshd" or nameless:
                findings.append(_ports(name, wanted.port, boot, {} if nameless else NUMBERS))
        return findings

    def _default(self, ctx: Context) -> Finding:
        """What a jail without `ignoreip` ignores. A jail.local of somebody else's is no failure."""
        line = default_line(ctx)
        words = line.value if line else ""
        good = all(_covers(words.split(), one) for one in self.ignored(ctx))
        finding = _finding(
            "jails added later, ignoreip", f"contains {' '.join(self.ignored(ctx))}", words, words,
            good, origin=line.origin if line else "",
        )  # fmt: skip
        if good or not is_theirs(ctx):
            return finding
        note = "jail.local is not this program's: add them to its [DEFAULT] yourself"
        return msgspec.structs.replace(finding, ok=None, applicable=False, note=note)

    def _own_address(self, ctx: Context, now: dict[str, Jail]) -> list[Finding]:
        """Told, but no failure: it depends on who asks, and a check must not."""
        mine = plain_address(ctx.session.client_address)
        if mine is None or mine.is_loopback or not now:
            return []
        if all(_covers(jail.ignored, str(mine)) for jail in now.values()):
            return [_finding("your own address", "ignored", "ignored", "", True, note=str(mine))]
        note = f"{mine} could be banned: add it to `ignore` if it stays yours"
        return [_beside("your own address", note)]


def _service(ctx: Context, answers: bool, configured: dict[str, Jail]) -> Finding:
    unit = ctx.facts.get(UNITS).get(UNIT)
    enabled = unit is not None and unit.enabled == "enabled"
    blind = [name for name, jail in configured.items() if jail.is_blind]
    note = ""
    if blind:
        note = f"the jail {blind[0]} has no log to read: fail2ban will not start again"
    elif not enabled:
        note = f"{UNIT} is not enabled"
    return _finding(
        "fail2ban",
        "running",
        "running" if answers else "not running",
        "running" if enabled and not blind else "not running",
        answers and enabled and not blind,
        note=note,
    )


def _ports(jail: str, wanted: str, boot: Jail, names: Mapping[str, str]) -> Finding:
    have = {names.get(port.strip(), port.strip()) for port in boot.ports.split(",")}
    return _finding(
        f"{jail} port",
        f"contains {wanted}",
        "",
        boot.ports,
        set(wanted.split(",")) <= have or "0:65535" in have,
        note=""
        if names
        else "nft knows no names of ports here (no /etc/services): nobody is banned",
    )


def _about_database(ctx: Context) -> str:
    listening = [port for port in ctx.facts.get(PORTS) if port.port == 3306]
    if any(port.exposed for port in listening):
        return ""
    return "MariaDB is not reachable from outside, so this jail has nobody to ban"


def _watched(jail: Jail | None) -> str:
    if jail is None:
        return "no"
    return f"reads {', '.join(jail.watches)}" if jail.watches else "reads nothing"


def _at_most(value: int, limit: int) -> bool:
    return 0 < value <= limit


def _at_least(value: int, limit: int) -> bool:
    return value < 0 or value >= limit


def _covers(ignored: Sequence[str], wanted: str) -> bool:
    """Whether an address or network is inside one of those that are ignored."""
    network = ipaddress.ip_network(wanted, strict=False)
    for text in ignored:
        try:
            other = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue  # a host name
        if network.version == other.version and network[0] in other and network[-1] in other:
            return True
    return False


def _seconds(name: str, text: str) -> int:
    value = seconds(text)
    if value is None:
        raise StepError(f"{name}: expected a duration such as 10m, not {text!r}")
    return value


def _finding(
    setting: str, expected: str, now: str, boot: str, ok: bool, *, origin: str = "", note: str = ""
) -> Finding:
    return Finding(
        resource="fail2ban",
        setting=setting,
        expected=expected,
        running=now,
        persistent=boot,
        origin=origin,
        ok=ok,
        note=note,
    )


def _beside(setting: str, note: str) -> Finding:
    return Finding(resource="fail2ban", setting=setting, expected="", note=note, applicable=False)
