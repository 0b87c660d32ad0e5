"""The simple backup job of our own: a nightly dump of all databases, the newest few kept."""

from __future__ import annotations

TIMER = "harden-tui-backup.timer"
SERVICE = "harden-tui-backup.service"
UNITS = "/etc/systemd/system"
SCRIPT = "/etc/harden-tui/backup.sh"
STAMP = f"/var/lib/systemd/timers/stamp-{TIMER}"
"""systemd's memory of when a persistent timer last elapsed."""


def script(folder: str, keep: int) -> str:
    """`folder` is an absolute path of plain characters."""
    return f"""\
#!/bin/sh
# Written by harden-tui for the step backup.schedule.
# Dumps all databases of this host's MariaDB into {folder}; the newest {keep} dumps stay.
# Root is let in by who it is; there is no password here.
set -eu
umask 077
folder={folder}
keep={keep}
draft="$folder/.draft.sql"
mkdir -p -m 0700 "$folder"
chmod 0700 "$folder"
trap 'rm -f "$draft" "$draft.gz"' EXIT
mariadb-dump --user=root --protocol=socket --all-databases --single-transaction --quick \\
    --routines --events --triggers --hex-blob --flush-privileges --result-file="$draft"
gzip -f "$draft"
mv "$draft.gz" "$folder/all-$(date -u +%Y%m%dT%H%M%SZ).sql.gz"
ls -1 "$folder" | grep '^all-.*\\.sql\\.gz$' | sort | head -n "-$keep" | while read -r old; do
    rm -f -- "$folder/$old"
done
"""


def service() -> str:
    """The unit that makes one dump."""
    return f"""\
# Written by harden-tui for the step backup.schedule.
[Unit]
Description=Dump of all databases (harden-tui)
Documentation=man:harden-tui(8)
After=mariadb.service
Requisite=mariadb.service

[Service]
Type=oneshot
ExecStart=/bin/sh {SCRIPT}
UMask=0077
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=full
"""


def timer(time: str) -> str:
    """`time` such as "03:15"."""
    return f"""\
# Written by harden-tui for the step backup.schedule.
[Unit]
Description=Nightly dump of all databases (harden-tui)

[Timer]
OnCalendar=*-*-* {time}:00
RandomizedDelaySec=10min
Persistent=true

[Install]
WantedBy=timers.target
"""
