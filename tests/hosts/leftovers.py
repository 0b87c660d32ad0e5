"""What an installation may leave outside /etc: every name on the disk, and dpkg's own tables."""

from __future__ import annotations

import hashlib
import os
import re
import stat

from tests.hosts.lab import LabHost

NOT_THE_HOSTS = {
    "etc": "read with its content",
    "proc": "the kernel's, on no disk; its settings are asked for",
    "sys": "the kernel's, on no disk; its settings are asked for",
    "dev": "the kernel's, on no disk; its settings are asked for",
    "run": "made anew at each boot; units and ports are asked for",
    "tmp": "temporary, by name",
    "var/tmp": "temporary, by name",
    "root": "homes, where the measurement's own logins leave marks",
    "home": "homes, where the measurement's own logins leave marks",
    "lost+found": "the file system's own",
    "srv/repo": "what the measurement brought along: its package source",
    "var/lib/harden-tui": "what harden-tui remembers, from which it undoes",
    "var/log/harden-tui": "what harden-tui remembers, from which it undoes",
    "var/log/journal": "the journal",
}
"""Directories that are not looked into here -> why."""

BY_NAME = {
    r"/var/log/(alternatives|dpkg|auth|syslog|kern|cron|daemon|user|mail|messages|debug)(\.log)?":
        "logs of Debian itself, begun with the first line",
    r"/var/log/sudo\.log": "sudo's own log, begun with the first call",
    r"/var/log/apt/(history\.log|term\.log|eipp\.log\.xz)": "apt's logs, begun with the first run",
    r"/var/log/(wtmp|btmp|lastlog|faillog|wtmp\.db)": "records of logins, begun with the first one",
    r"/var/lib/wtmpdb(/.*)?": "records of logins, begun with the first one",
    r"/var/log/(apache2|mysql|cups)/[^/]+": "logs of daemons that were there before",
    r"/var/lib/ucf/(hashfile|registry)\.\d": "ucf's backups of its tables",
    r"/var/lib/apt/extended_states": "read package by package",
    r"/var/lib/dpkg/(status|available|diversions|statoverride)-old": "dpkg's backups of its tables",
    r"/var/lib/dpkg/(lock.*|triggers/.*)": "dpkg's locks and its queue",
    r"/var/cache/(apt|debconf|man)/.*": "caches, made anew at any time",
    r"/var/lib/apt/(lists|periodic|mirrors)(/.*)?": "apt's lists and stamps",
    r"/var/lib/apt/daily_lock": "made by apt's own timer, when that comes",
    r"/var/cache/ldconfig/.*": "a cache, made anew at any time",
    r"/var/lib/systemd/(timers/.*|catalog/.*|random-seed|credential\.secret|timesync/.*|linger)":
        "systemd's own memory of this machine",
    r"/var/lib/(mysql|php/sessions)/.*": "data of daemons that were there before",
    r"/var/lib/(private|cups|dbus|rsyslog)/.*|/var/spool/(rsyslog|cups)/.*|/var/cache/cups/.*":
        "data of daemons that were there before",
    r"/var/backups/(alternatives|apt|dpkg)\.[^/]*|/var/lib/logrotate(/.*)?":
        "Debian's daily copies and its logrotate's memory, where midnight passes meanwhile",
    r"/usr/lib/(python3|harden-tui)/.*__pycache__(/.*)?": "Python's compiled copies",
    r"/var/www/html/i-doit/log/.*": "the application's logs",
}  # fmt: skip
"""Left out, each name with its reason: what changes by itself, or is a log."""

_LEFT_OUT = re.compile("|".join(f"(?:{pattern})" for pattern in BY_NAME))

TABLES = (
    "var/lib/dpkg/diversions", "var/lib/dpkg/statoverride", "var/lib/ucf/hashfile",
    "var/lib/ucf/registry",
)  # fmt: skip
TABLE_DIRECTORIES = (
    "var/lib/dpkg/alternatives", "var/spool/cron", "var/lib/systemd/deb-systemd-helper-enabled",
    "var/lib/systemd/deb-systemd-helper-masked", "var/lib/systemd/deb-systemd-user-helper-enabled",
    "var/lib/pam",
)  # fmt: skip
"""Files whose content counts too: alternatives, diversions, overrides, crontabs, enablement."""


def names(host: LabHost) -> dict[str, str]:
    """Every path outside /etc -> mode, owner and target of a link."""
    found: dict[str, str] = {}
    _names(str(host.root), "", found)
    return found


def _names(directory: str, inside: str, found: dict[str, str]) -> None:
    try:
        entries = [*os.scandir(directory)]
    except FileNotFoundError:
        return  # a directory that somebody removed meanwhile
    for entry in entries:
        path = f"{inside}/{entry.name}"
        is_directory = entry.is_dir(follow_symlinks=False)
        if is_directory and path[1:] in NOT_THE_HOSTS:
            continue
        if not _LEFT_OUT.fullmatch(path):
            found[path] = _shape(entry)
        if is_directory:
            _names(entry.path, path, found)


def tables(host: LabHost) -> dict[str, str]:
    """The tables of packages and crontabs: path -> hash of the content, lines in any order."""
    paths = [host.root / name for name in TABLES]
    for name in TABLE_DIRECTORIES:
        paths += [path for path in (host.root / name).rglob("*") if path.is_file()]
    found = {}
    for path in paths:
        # apt and update-alternatives write the same lines in another order
        lines = sorted(path.read_bytes().splitlines()) if path.exists() else []
        if lines:
            digest = hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]
            found["/" + os.path.relpath(path, host.root)] = digest
    return found | _automatic_marks(host)


def _automatic_marks(host: LabHost) -> dict[str, str]:
    """apt's own memory, which may hold packages that are gone."""
    path = host.root / "var/lib/apt/extended_states"
    blocks = path.read_text().split("\n\n") if path.exists() else []
    marked = [block for block in blocks if "Auto-Installed: 1" in block]
    return {f"automatic mark: {block.splitlines()[0]}": "1" for block in marked if block.strip()}


def _shape(entry: os.DirEntry[str]) -> str:
    status = entry.stat(follow_symlinks=False)
    target = f" {os.readlink(entry)}" if stat.S_ISLNK(status.st_mode) else ""
    return f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}{target}"
