"""The rehearsal of sudo: whoever comes in must also be able to become root."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping

from host.base import Host, HostError
from host.facts.login import ACCOUNTS, Account, parse_accounts, parse_faillock, parse_sudo_list
from host.facts.pam import Module, stack
from host.facts.pam_files import PROFILES
from host.facts.sudoers import MAIN, Rights, one_text, rights
from steps.private_copy import private_copy
from steps.resource import Context

FAILLOCK = "pam_faillock.so"
COPY = "/run/harden-tui-sudoers-"
_FAILS = 3
"""pam_faillock's own `deny`, where faillock.conf and the stack do not say another number."""


def rehearse_sudo(ctx: Context, files: Mapping[str, str | None]) -> list[str]:
    """Why nobody but root could become root once `files` (path to text, `None`: removed) are
    written; empty where somebody could. Raises `HostError`, `FactUnavailable`."""
    found = administrators(ctx, files)
    if found or any(account.uid == 0 for account in _present(ctx, files)):
        return []
    return [
        "Nobody could become root any more: no account but root's own may run everything with sudo,"
        " by a password that works or without one. Nothing was changed. See `sudo -l -U NAME` for"
        " each administrator, put that right, then apply again."
    ]


def administrators(ctx: Context, files: Mapping[str, str | None]) -> list[Account]:
    """The accounts with a shell that may become root by sudo; the one present comes first."""
    ours = accounts(ctx, files)
    candidates = [account for account in ours.values() if account.uid != 0 and account.has_shell]
    candidates.sort(key=lambda account: account.name != ctx.session.user)
    planned = _planned(ctx, files)
    found = []
    for account in candidates:
        may = planned(account) if planned is not None else _asked(ctx.host, account)
        if may.everything and (may.without_password or _password_works(ctx, account, files)):
            found.append(account)
    return found


def accounts(ctx: Context, files: Mapping[str, str | None]) -> dict[str, Account]:
    """The accounts as they will be; those that are kept elsewhere (LDAP) stay as they are."""
    paths = ("/etc/passwd", "/etc/group", "/etc/shadow")
    known: dict[str, Account] = ctx.facts.get(ACCOUNTS)
    if not any(path in files for path in paths):
        return known
    here = parse_accounts(*(text_of(ctx.host, {}, path) or "" for path in paths))
    then = parse_accounts(*(text_of(ctx.host, files, path) or "" for path in paths))
    return {**{name: one for name, one in known.items() if name not in here}, **then}


def _present(ctx: Context, files: Mapping[str, str | None]) -> list[Account]:
    """The account that sits here over SSH, if it is root: root needs no sudo."""
    account = accounts(ctx, files).get(ctx.session.user) if ctx.session.over_ssh else None
    return [account] if account is not None and account.uid == 0 else []


def _asked(host: Host, account: Account) -> Rights:
    """sudo's own answer, for the files as they are."""
    try:
        answer = host.run(["sudo", "-l", "-U", account.name], timeout_s=10, ok=None)
    except HostError:
        return Rights(False, False)
    return Rights(*parse_sudo_list(answer.stdout))


def _planned(ctx: Context, files: Mapping[str, str | None]) -> Callable[[Account], Rights] | None:
    """Who may what by the sudoers files as they will be; `None` where they stay as they are.

    Raises `HostError` where sudo would not accept them.
    """
    if not any(path.startswith((MAIN, "/etc/group", "/etc/passwd")) for path in files):
        return None
    host = ctx.host

    def names(directory: str) -> list[str]:
        new = [path for path, text in files.items() if text is not None]
        gone = [path for path, text in files.items() if text is None]
        there = [name for name in host.listdir(directory) if f"{directory}/{name}" not in gone]
        beside = [p.rpartition("/")[2] for p in new if p.rpartition("/")[0] == directory]
        return list(dict.fromkeys((*there, *beside)))

    text = one_text(lambda path: text_of(host, files, path), names)
    with private_copy(host, COPY, text) as path:
        answer = host.run(["cvtsudoers", "-e", "-f", "json", path], timeout_s=10, ok=None)
    if not answer.ok:
        said = (answer.stderr.strip() or "no reason given").splitlines()[0].replace(path, MAIN)
        raise HostError(f"sudo would not accept its new configuration: {said}")
    try:
        document = json.loads(answer.stdout)
    except ValueError:
        raise HostError("cvtsudoers answered with something that is no JSON") from None
    short = host.name.partition(".")[0]
    return lambda account: rights(document, account, (host.name, short, "localhost"))


def _password_works(ctx: Context, account: Account, files: Mapping[str, str | None]) -> bool:
    """Whether sudo would take the account's password: there is one, and no lock is on it."""
    if account.password != "usable":
        return False
    modules = stack(lambda path: text_of(ctx.host, files, path), "sudo", "auth")
    faillock = next((m for m in modules if m.name == FAILLOCK), None) or _planned_faillock(files)
    if faillock is None:
        return True
    try:
        answer = ctx.host.run(["faillock", "--user", account.name], timeout_s=5, ok=None)
    except HostError:
        return True
    conf = text_of(ctx.host, files, "/etc/security/faillock.conf") or ""
    settings = dict(re.findall(r"(?m)^\s*(deny|unlock_time)\s*=\s*(\d+)", conf))
    deny = faillock.argument("deny") or settings.get("deny", str(_FAILS))
    pause_s = faillock.argument("unlock_time") or settings.get("unlock_time", "600")
    last = parse_faillock(answer.stdout)
    if not deny.isdigit() or int(deny) == 0 or len(last) < int(deny):
        return True
    return pause_s.isdigit() and int(pause_s) > 0 and time.time() - last[-1] > int(pause_s)


def _planned_faillock(files: Mapping[str, str | None]) -> Module | None:
    """The module as a new profile brings it, which pam-auth-update puts into the stacks later."""
    for path, text in files.items():
        if path.startswith(f"{PROFILES}/"):
            for line in (text or "").splitlines():
                control, _, words = line.strip().partition(f" {FAILLOCK} ")
                if words:
                    return Module(control, FAILLOCK, tuple(words.split()))
    return None


def text_of(host: Host, files: Mapping[str, str | None], path: str) -> str | None:
    """A file as it will be; `None` where there is none."""
    if path in files:
        return files[path]
    try:
        return host.read_bytes(path).decode("utf-8", "surrogateescape")
    except HostError:
        return None
