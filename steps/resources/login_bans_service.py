"""The service that reads failed logins: its unit, its account, and what it may read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.typo3_logins import ACCOUNT, Typo3Logins
from host.failed_logins.table import COLUMNS
from host.mariadb import account, identifier
from snapshots.model import RunSql

IDENTIFIER: Final = "harden-tui-logins"
PROGRAM: Final = "/usr/bin/harden-tui"
STATE: Final = "/var/lib/harden-tui"

_UNIT: Final = """\
# Written by harden-tui for the step {step}.
[Unit]
Description=Hand failed logins of {name} to fail2ban (harden-tui)
{after}StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={program} hand-over-logins {application} {state}/{folder}/place.json {within_s} {sources}
User={user}
{groups}SyslogIdentifier={identifier}
Restart=always
RestartSec=5
# Of the state directory, which is root's own, it sees no more than its own part.
StateDirectory=harden-tui/{folder}
StateDirectoryMode=0700
TemporaryFileSystem={state}:ro,mode=0755
BindPaths={state}/{folder}
UMask=0077
MemoryMax=96M
TasksMax=8
Nice=5
# Every failure counts, however fast they come.
LogRateLimitIntervalSec=0
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
"""

_USERS: Final = """\
# Written by harden-tui for the step {step}.
u {user} - "Reads failed logins of {name}" / /usr/sbin/nologin
"""


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """`files`: path -> text; `columns`: "database.sys_log.column" that it must be able to read."""

    unit: str
    unit_file: str
    users_file: str
    user: str
    files: dict[str, str]
    columns: tuple[str, ...] = ()

    def different(self, host: Host) -> list[str]:
        """Those of its files that are not as they should be."""
        found = []
        for path, text in self.files.items():
            try:
                there = host.state(path)
                same = there is not None and host.read_bytes(path) == text.encode()
            except HostError:
                same = False
            if not same:
                found.append(path)
        return found


def unit_of(application: str) -> str:
    """The service of one application."""
    return f"harden-tui-{application.replace('-', '')}-logins.service"


def reader_of(
    step_id: str, application: str, sources: Sequence[str], within_s: int, *, group: int = 0
) -> Reader:
    """The service for these databases, or these directories that `group` may read."""
    short = application.replace("-", "")
    typo3 = application == "typo3"
    user = ACCOUNT if typo3 else f"harden-tui-{short}"
    name = "TYPO3" if typo3 else "i-doit"
    unit = unit_of(application)
    unit_file = f"/etc/systemd/system/{unit}"
    users_file = f"/etc/sysusers.d/{user}.conf"
    text = _UNIT.format(
        step=step_id, name=name, application=application, program=PROGRAM, state=STATE,
        folder=f"logins-{short}", within_s=within_s, sources=" ".join(sources), user=user,
        identifier=IDENTIFIER, after="After=mariadb.service\n" if typo3 else "",
        groups=f"SupplementaryGroups={group}\n" if group else "",
    )  # fmt: skip
    return Reader(
        unit=unit,
        unit_file=unit_file,
        users_file=users_file,
        user=user,
        files={users_file: _USERS.format(step=step_id, user=user, name=name), unit_file: text},
        columns=tuple(f"{database}.sys_log.{column}" for database in sources for column in COLUMNS)
        if typo3
        else (),
    )


def grants(known: Typo3Logins) -> RunSql:
    """An account that its own name lets in, over the socket alone, to read these columns."""
    who = account(ACCOUNT, "localhost")
    columns = ", ".join(map(identifier, COLUMNS))
    sql = [
        f"CREATE OR REPLACE USER {who} IDENTIFIED VIA unix_socket WITH MAX_USER_CONNECTIONS 3",
        *(
            f"GRANT SELECT ({columns}) ON {identifier(database)}.sys_log TO {who}"
            for database in known.databases
        ),
    ]
    lines = "".join(
        f"+{who} reads {', '.join(COLUMNS)} of {database}.sys_log\n" for database in known.databases
    )
    return RunSql(
        sql=tuple(sql),
        why=f"let {who} read the failed logins, and nothing else",
        diff=f"--- mysql.columns_priv\n+++ mysql.columns_priv\n{lines}",
    )
