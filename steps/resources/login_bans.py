"""Failed logins of a web application: read where it keeps them, banned by fail2ban."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.typo3_logins import TYPO3_LOGINS, Typo3Logins
from host.facts.units import UNITS
from snapshots.domains.mariadb import ACCOUNTS
from snapshots.model import Activation, Change, Root, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.fail2ban import Fail2ban
from steps.resources.login_bans_jails import RATE_LIMIT, jails_of, reachable
from steps.resources.login_bans_service import Reader, grants, reader_of

_DATABASE = re.compile(r"[A-Za-z0-9_-]+")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """`path`: the application's own directory (i-doit); `proxies` those that stand before it."""

    application: Literal["typo3", "i-doit"]
    path: str = ""
    failed_attempts: int
    look_up_time: str
    ban_time: str
    ignore: list[str] = []
    proxies: list[str] = []
    mail: str = ""
    login_path: str = "/typo3/login"
    access_log: str = "/var/log/apache2/*access.log"


class LoginBans(Resource):
    """`login-bans: {application: typo3, failed-attempts: 5, look-up-time: 1h, …}`."""

    kind: ClassVar[str] = "login-bans"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.body = body
        self.jails = Fail2ban.parse(
            step_id,
            jails_of(
                body.application,
                max_retry=body.failed_attempts,
                find_time=body.look_up_time,
                ban_time=body.ban_time,
                ignore=[*body.ignore, *body.proxies],
                mail=body.mail,
                login_path=body.login_path,
                access_log=body.access_log,
            ),
        )

    @classmethod
    def parse(cls, step_id: str, body: Any) -> LoginBans:
        given = msgspec.convert(body, _Body)
        if not re.fullmatch(r"/[A-Za-z0-9._/-]*", given.login_path):
            raise StepError(f"login-path: {given.login_path!r} is no path of a page")
        if not re.fullmatch(r"/[A-Za-z0-9._/*?-]+", given.access_log):
            raise StepError(f"access-log: {given.access_log!r} is no name of a log")
        if given.application == "i-doit" and not re.fullmatch(r"/[A-Za-z0-9._/-]+", given.path):
            raise StepError(f"path: {given.path!r} is not a path that a unit file takes")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        own: tuple[Fact[Any], ...] = (TYPO3_LOGINS,) if self.body.application == "typo3" else ()
        return (*own, UNITS, *self.jails.facts())

    def observe(self, ctx: Context) -> list[Finding]:
        reader = self._reader(ctx)
        if isinstance(reader, str):
            return [_finding(self.body.application, "", "", None, note=reader)]
        findings = [*self._service(ctx, reader), *self._possible()]
        if self.body.application == "typo3":
            known = ctx.facts.get(TYPO3_LOGINS)
            findings += [_rights(known, reader), *self._proxied(known)]
        return findings + self.jails.observe(ctx)

    def _reader(self, ctx: Context) -> Reader | str:
        """What shall run, or why there is nothing to be read."""
        if self.body.application == "typo3":
            if ctx.host.which("mariadb") is None:
                return "there is no MariaDB on this host, where TYPO3 would write its failed logins"
            databases = ctx.facts.get(TYPO3_LOGINS).databases
            if not databases:
                return "no database of this host has a sys_log of TYPO3"
            return reader_of(self.step_id, "typo3", databases, self.jails.find_s)
        log = f"{self.body.path.rstrip('/')}/log"
        state = ctx.host.state(log)
        if state is None or ctx.host.state(f"{self.body.path}/src/config.inc.php") is None:
            return f"there is no i-doit in {self.body.path}"
        return reader_of(self.step_id, "i-doit", (log,), self.jails.find_s, group=state.gid)

    def _service(self, ctx: Context, reader: Reader) -> list[Finding]:
        unit = ctx.facts.get(UNITS).get(reader.unit)
        active = unit.active if unit else "not there"
        enabled = unit.enabled if unit else "not there"
        wrong = reader.different(ctx.host)
        stale = unit is not None and unit.need_daemon_reload
        return [
            _finding(
                "unit files", "as the step has them", ", ".join(wrong) or "the same", not wrong,
                origin=reader.unit_file,
                note="systemd has read older ones" if stale else "",
            ),
            Finding(
                resource=reader.unit, setting="reads failed logins", expected="active",
                running=active, persistent=enabled, origin=reader.unit_file,
                ok=active == "active" and enabled == "enabled" and not stale,
                note="" if active == "active" else f"journalctl -u {reader.unit}",
            ),
        ]  # fmt: skip

    def _possible(self) -> list[Finding]:
        """TYPO3's own limit keeps further attempts out of its table."""
        most = reachable(self.jails.find_s)
        if self.body.application != "typo3" or self.body.failed_attempts <= most:
            return []
        return [
            _finding(
                "failed-attempts", f"at most {most} within {self.body.look_up_time}",
                str(self.body.failed_attempts), False, note=self._never(),
            )
        ]  # fmt: skip

    def _never(self) -> str:
        most = reachable(self.jails.find_s)
        return (
            f"{self.body.failed_attempts} failed logins within {self.body.look_up_time} are never"
            f" seen: after {RATE_LIMIT} in a quarter of an hour TYPO3 turns an address away without"
            f" writing it down, so at most {most} can be counted. Set failed-attempts to {most} or"
            " less, or a longer look-up-time."
        )

    def _proxied(self, known: Typo3Logins) -> list[Finding]:
        found = []
        for database, logged in known.logged.items():
            reason = behind_proxy(logged, self.body.proxies)
            found.append(
                _finding(
                    f"addresses in {database}", "those of visitors",
                    f"of {_several(logged)}", not reason, note=reason,
                )
            )  # fmt: skip
        return found

    def plan(self, ctx: Context) -> Planned:
        reader = self._reader(ctx)
        if isinstance(reader, str):
            return Planned()
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        refusals = self._refusals(ctx)
        if refusals:
            return Planned(refusals=tuple(refusals))
        jails = self.jails.plan(ctx)
        if jails.refusals:
            return jails
        changes: list[Change] = []
        roots: tuple[Root, ...] = ()
        wrong = reader.different(ctx.host)
        changes += [WriteFile(path=path, content=reader.files[path].encode()) for path in wrong]
        if reader.users_file in wrong:
            changes.append(
                RunCommand(
                    argv=("systemd-sysusers", reader.users_file),
                    why=f"make the system account {reader.user}, which can do nothing else",
                )
            )
        if self.body.application == "typo3":
            known = ctx.facts.get(TYPO3_LOGINS)
            if _rights(known, reader).ok is False:
                roots = (ACCOUNTS,)
                changes.append(grants(known))
        unit = ctx.facts.get(UNITS).get(reader.unit)
        if wrong or unit is None or unit.need_daemon_reload:
            changes.append(
                RunCommand(argv=("systemctl", "daemon-reload"), why="have systemd read the unit")
            )
        changes += [
            RunCommand(argv=("systemctl", "enable", reader.unit), why="read after each boot"),
            RunCommand(argv=("systemctl", "restart", reader.unit), why="read from now on"),
        ]
        return Planned(
            changes=(*changes, *jails.changes),
            validations=jails.validations,
            activations=(Activation(how="daemon-reload"), *jails.activations),
            roots=roots,
            packages=jails.packages,
            notes=jails.notes,
        )

    def _refusals(self, ctx: Context) -> list[str]:
        found = [f"Nothing was changed. {finding.note}" for finding in self._possible()]
        if self.body.application != "typo3":
            return found
        known = ctx.facts.get(TYPO3_LOGINS)
        found += [
            f"Nothing was changed. {finding.setting}: {finding.note}"
            for finding in self._proxied(known)
            if not finding.ok
        ]
        strange = [name for name in known.databases if not _DATABASE.fullmatch(name)]
        if strange:
            found.append(
                f"The database {strange[0]!r} has a name that no unit file can hold. Nothing was"
                " changed."
            )
        return found

    def prove(self, ctx: Context) -> list[Finding]:
        return self.jails.prove(ctx)


def behind_proxy(logged: Sequence[str], proxies: Sequence[str]) -> str:
    """Why a ban by these addresses would shut out everybody, or nobody; empty where it would not.

    One visitor's address among them shows that visitors are told apart.
    """
    networks = [ipaddress.ip_network(text, strict=False) for text in proxies]

    def of_proxy(text: str) -> bool:
        address = ipaddress.ip_address(text)
        return address.is_loopback or any(
            address.version == network.version and address in network for network in networks
        )

    if not logged or not all(map(of_proxy, logged)):
        return ""
    return (
        f"TYPO3 writes {logged[0]} for every login, which is a proxy, not a visitor: a ban would"
        " shut out everybody or nobody. Set SYS/reverseProxyIP in TYPO3 (config/system/settings.php"
        " or additional.php) to the proxy's address, log in once, and look again."
    )


def _rights(known: Typo3Logins, reader: Reader) -> Finding:
    wanted = set(reader.columns)
    lacking = sorted(wanted - set(known.rights))
    ok = not lacking and not known.more and known.methods == ("unix_socket",)
    now = f"{', '.join(known.methods) or 'no account'}"
    if lacking and known.methods:
        now += f", may not read {lacking[0]}"
    if known.more:
        now += f", also {known.more[0]}"
    return _finding(
        f"MariaDB account {reader.user}", "unix_socket, reads columns of sys_log only", now, ok
    )


def _several(logged: Sequence[str]) -> str:
    shown = ", ".join(logged[:3])
    return f"{shown} and {len(logged) - 3} more" if len(logged) > 3 else shown


def _finding(
    setting: str, expected: str, running: str, ok: bool | None, *, origin: str = "", note: str = ""
) -> Finding:
    return Finding(
        resource="failed logins", setting=setting, expected=expected, running=running,
        persistent=running, origin=origin, ok=ok, note=note, applicable=ok is not None,
    )  # fmt: skip
