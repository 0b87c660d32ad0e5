"""The login rehearsal: could an administrator still come in after a change?

Asked of the merged configuration before anything is touched. It is strict on purpose: a refusal
costs a minute, a lock-out costs a night.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from host.base import HostError
from host.facts import FactUnavailable
from host.facts.login import LOGGED_IN, Accepted, Account, parse_accepted
from host.facts.sshd import Effective
from steps.guard_keys import key_obstacle
from steps.guard_listen import deaf, serves_nobody
from steps.guard_pam import pam_obstacle
from steps.guard_sudo import accounts, administrators
from steps.login_patterns import listed
from steps.resource import Context
from steps.sshd_merged import Merged

_AGAIN = "then apply again"

Files = Mapping[str, str | None]
"""Path to the text it will have; `None` where the file is removed."""


def rehearse_login(ctx: Context, result: Merged, files: Files) -> tuple[list[str], list[str]]:
    """(lock-outs, notes) once `files` are written; `result` is sshd's configuration then.

    Raises `HostError` and `FactUnavailable` where the host cannot be asked.
    """
    rehearsal = _Rehearsal(ctx, result, files)
    reason = deaf(ctx, result, files)
    lockouts = [reason] if reason else rehearsal.reasons()
    return lockouts, list(rehearsal.notes)


class _Rehearsal:
    """One rehearsal; `notes` gathers what could not be told of those who could come in."""

    def __init__(self, ctx: Context, result: Merged, files: Files) -> None:
        self.ctx = ctx
        self.result = result
        self.files = files
        self.notes: dict[str, None] = {}

    def read(self, path: str) -> str | None:
        """A file as it will be."""
        if path in self.files:
            return self.files[path]
        try:
            return self.ctx.host.read_bytes(path).decode("utf-8", "replace")
        except HostError:
            return None

    def reasons(self) -> list[str]:
        session = self.ctx.session
        ours = accounts(self.ctx, self.files)
        present = ours.get(session.user) if session.over_ssh else None
        candidates = administrators(self.ctx, self.files)
        if not candidates:
            return [
                "No administrator could still log in: no account but root may become root with"
                f" sudo. Create one (adduser NAME, adduser NAME sudo), give it a key, {_AGAIN}."
            ]
        obstacles: dict[str, str] = {}
        able: list[str] = []
        for account in candidates:
            obstacle = self.obstacle(account)
            if obstacle:
                obstacles[account.name] = obstacle
            else:
                able.append(account.name)
                if present is None or present.uid != 0:
                    break
        if not able:
            reasons = "; ".join(obstacles.values())
            return [
                f"No administrator with sudo could still log in: {reasons}. {_way_out(obstacles)}"
            ]
        if present is None:
            return []
        if present.uid == 0:
            return self.root_alone(present, able, [account.name for account in candidates])
        if present.name in obstacles:
            why = obstacles[present.name]
            return [
                f"You are logged in as {present.name}, who could not log in again: {why}."
                f" {_way_out({present.name: why})}"
            ]
        return []

    def root_alone(
        self, root: Account, able: Sequence[str], administrators: Sequence[str]
    ) -> list[str]:
        """Root sits here over SSH: before root is shut out, somebody else must have come in."""
        if not self.obstacle(root):
            return []
        try:
            logged_in: tuple[str, ...] = self.ctx.facts.get(LOGGED_IN)
            if set(logged_in) & set(administrators):
                return []
        except FactUnavailable:
            pass  # who is logged in is not known: as if nobody were
        return [
            "You are logged in as root over SSH, root could not log in again, and no administrator"
            f" with sudo is logged in beside you. Log in as {able[0]} in a second session to see"
            f" that it works, {_AGAIN}."
        ]

    def obstacle(self, account: Account) -> str:
        """What keeps `account` from logging in with a key; empty if nothing."""
        ctx, session = self.ctx, self.ctx.session
        seen = self.result.seen_from(account.name, session)
        settings, host_name = seen.settings, seen.host_name
        reason = (
            serves_nobody(settings)
            or self.closed(account, settings)
            or _shut_out(account, settings, session.client_address, host_name)
            or _method_obstacle(account, settings)
        )
        if not reason and settings.get("usepam") == "yes":
            reason, doubt = pam_obstacle(self.read, account, session.client_address, host_name)
            if doubt:
                self.notes[doubt] = None
        if reason:
            return reason
        came = self.came() if account.name == session.user else None
        reason, doubt = key_obstacle(ctx, account, settings, self.read, came, host_name)
        if doubt:
            self.notes[doubt] = None
        return reason

    def closed(self, account: Account, settings: Effective) -> str:
        """The account itself, its shell, and /etc/nologin."""
        host, name = self.ctx.host, account.name
        if account.expired(int(time.time() // 86400)):
            return f"the account {name} has expired"
        if account.locked_by_mark and settings.get("usepam") != "yes":
            return f"the account {name} is locked, which counts while UsePAM is no"
        if host.state(host.realpath(account.shell)) is None:
            return f"{name}'s shell {account.shell} does not exist"
        if account.uid != 0 and any(self.there(f"{p}/nologin") for p in ("/etc", "/run")):
            return f"nobody but root may log in while /etc/nologin or /run/nologin exists ({name})"
        forced = settings.get("forcecommand", "none")
        if forced != "none":
            return f"ForceCommand binds {name} to `{forced}`"
        return ""

    def there(self, path: str) -> bool:
        if path in self.files:
            return self.files[path] is not None
        return self.ctx.host.state(path) is not None

    def came(self) -> Accepted | None:
        """How the present login came in, by the journal; `None` where that is not known."""
        session, host = self.ctx.session, self.ctx.host
        if not session.over_ssh or not host.is_root:
            return None
        argv = ["journalctl", "-q", "-b", "-r", "-n", "1", "-o", "cat"]
        argv += ["-t", "sshd", "-t", "sshd-session", "--grep"]
        where = f"from {session.client_address} port {session.client_port} "
        argv.append(f"^Accepted .* {re.escape(where)}")
        try:
            answer = host.run(argv, timeout_s=10, ok=None)
        except HostError:
            return None
        return parse_accepted(
            answer.stdout, session.user, session.client_address, session.client_port
        )


def _shut_out(account: Account, settings: Effective, address: str, host_name: str) -> str:
    """DenyUsers, AllowUsers, DenyGroups, AllowGroups in sshd's order, and PermitRootLogin."""
    name = account.name
    if account.uid == 0:
        root = settings.get("permitrootlogin", "no")
        if root == "no":
            return "PermitRootLogin is no"
        if root == "forced-commands-only":
            return "PermitRootLogin allows forced commands only"
    deny, allow = settings.get("denyusers", ""), settings.get("allowusers", "")
    if deny and listed([name], deny.split(), address, host_name):
        return f"DenyUsers shuts {name} out"
    if allow and not listed([name], allow.split(), address, host_name):
        return f"AllowUsers does not name {name}"
    deny, allow = settings.get("denygroups", ""), settings.get("allowgroups", "")
    if deny and listed(account.groups, deny.split()):
        return f"DenyGroups shuts {name} out"
    if allow and not listed(account.groups, allow.split()):
        return f"AllowGroups names no group of {name} (it is in {', '.join(account.groups)})"
    return ""


def _method_obstacle(account: Account, settings: Effective) -> str:
    if settings.get("pubkeyauthentication", "yes") != "yes":
        return f"PubkeyAuthentication is no, so no key lets {account.name} in"
    methods = settings.get("authenticationmethods", "any").split()
    if methods == ["any"] or not methods:
        return ""
    offered = {"publickey"}
    if account.password == "usable" and settings.get("passwordauthentication") == "yes":
        offered.add("password")
    if account.password == "usable" and settings.get("kbdinteractiveauthentication") == "yes":
        offered.add("keyboard-interactive")
    for chain in methods:
        if {method.partition(":")[0] for method in chain.split(",")} <= offered:
            return ""
    return f"AuthenticationMethods {' '.join(methods)} asks more than a key of {account.name}"


def _way_out(obstacles: Mapping[str, str]) -> str:
    name, obstacle = next(iter(obstacles.items()))
    if "has no key" in obstacle:
        return f"Install a key first (ssh-copy-id {name}@…), {_AGAIN}."
    return f"Put that right first, {_AGAIN}."
