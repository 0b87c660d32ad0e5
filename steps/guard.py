"""The login rehearsal: could an administrator still come in after a change?

Asked of the merged configuration before anything is touched. It is strict on purpose: a refusal
costs a minute, a lock-out costs a night.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from host.base import Host, HostError
from host.facts import FactUnavailable
from host.facts.login import (
    ACCOUNTS,
    LOGGED_IN,
    Account,
    AuthorizedKey,
    parse_authorized_keys,
    parse_sudo_list,
)
from host.facts.sshd import SSHD_DAEMON, Effective
from snapshots.model import RemoveFile, WriteFile
from steps.login_patterns import address_listed, listed
from steps.resource import Context, Planned
from steps.sshd_merged import Merged, merged

_AGAIN = "then apply again"
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


def rehearse_login(ctx: Context, planned: Planned, result: Merged | None = None) -> list[str]:
    """Reasons why `planned` must not be applied; empty where an administrator can come back.

    `result` is the configuration of sshd as it will be; without it, it is merged here from the
    files that `planned` writes.
    """
    try:
        if result is not None:
            return _rehearse(ctx, result)
        overlay: dict[str, str | None] = {}
        for change in planned.changes:
            if isinstance(change, WriteFile) and not change.secret:
                overlay[change.path] = change.content.decode("utf-8", "surrogateescape")
            elif isinstance(change, RemoveFile):
                overlay[change.path] = None
        with merged(ctx.host, ctx.facts.get(SSHD_DAEMON), overlay) as private:
            return _rehearse(ctx, private)
    except HostError as error:
        return [f"Whether an administrator could still log in could not be found out: {error}"]


def _rehearse(ctx: Context, result: Merged) -> list[str]:
    accounts = ctx.facts.get(ACCOUNTS)
    present = accounts.get(ctx.session.user) if ctx.session.over_ssh else None
    candidates = [account for account in accounts.values() if _may_be_administrator(account)]
    if present is not None:
        candidates.sort(key=lambda account: account.name != present.name)
    obstacles: dict[str, str] = {}
    administrators = []
    able = []
    for account in candidates:
        if not _has_sudo(ctx.host, account):
            continue
        administrators.append(account.name)
        obstacle = _obstacle(ctx, account, result.connection(account.name, ctx.session))
        if obstacle:
            obstacles[account.name] = obstacle
        else:
            able.append(account.name)
            if present is None or present.uid != 0:
                break
    if not administrators:
        return [
            "No administrator could still log in: no account but root may become root with sudo. "
            f"Create one (adduser NAME, adduser NAME sudo), give it a key, {_AGAIN}."
        ]
    if not able:
        reasons = "; ".join(obstacles.values())
        return [f"No administrator with sudo could still log in: {reasons}. {_way_out(obstacles)}"]
    if present is None:
        return []
    if present.uid == 0:
        return _root_alone(ctx, present, result, able, administrators)
    if present.name in obstacles:
        return [
            f"You are logged in as {present.name}, who could not log in again: "
            f"{obstacles[present.name]}. {_way_out({present.name: obstacles[present.name]})}"
        ]
    return []


def _root_alone(
    ctx: Context, root: Account, result: Merged, able: Sequence[str], administrators: Sequence[str]
) -> list[str]:
    """Root sits here over SSH: before root is shut out, somebody else must have come in."""
    if not _obstacle(ctx, root, result.connection(root.name, ctx.session)):
        return []
    try:
        logged_in: tuple[str, ...] = ctx.facts.get(LOGGED_IN)
        if set(logged_in) & set(administrators):
            return []
    except FactUnavailable:
        pass  # who is logged in is not known: as if nobody were
    return [
        "You are logged in as root over SSH, root could not log in again, and no administrator "
        f"with sudo is logged in beside you. Log in as {able[0]} in a second session to see that "
        f"it works, {_AGAIN}."
    ]


def _may_be_administrator(account: Account) -> bool:
    return account.uid != 0 and account.has_shell


def _has_sudo(host: Host, account: Account) -> bool:
    """Whether the account can become root: sudo's own answer, and a password if sudo asks one."""
    try:
        answer = host.run(["sudo", "-l", "-U", account.name], timeout_s=10, ok=None)
    except HostError:
        return False
    everything, without_password = parse_sudo_list(answer.stdout)
    return everything and (without_password or account.password == "usable")


def _obstacle(ctx: Context, account: Account, settings: Effective) -> str:
    """What keeps `account` from logging in with a key under `settings`; empty if nothing."""
    host, name = ctx.host, account.name
    today = int(time.time() // 86400)
    if account.expired(today):
        return f"the account {name} has expired"
    if account.locked_by_mark and settings.get("usepam") != "yes":
        return f"the account {name} is locked, which counts while UsePAM is no"
    if host.state(host.realpath(account.shell)) is None:
        return f"{name}'s shell {account.shell} does not exist"
    if account.uid != 0 and any(host.state(f"{place}/nologin") for place in ("/etc", "/run")):
        return f"nobody but root may log in while /etc/nologin or /run/nologin exists ({name})"
    shut_out = _shut_out(ctx, account, settings)
    if shut_out:
        return shut_out
    method = _method_obstacle(account, settings)
    return method or _key_obstacle(ctx, account, settings)


def _shut_out(ctx: Context, account: Account, settings: Effective) -> str:
    """DenyUsers, AllowUsers, DenyGroups, AllowGroups in sshd's order, and PermitRootLogin."""
    name, address = account.name, ctx.session.client_address
    if account.uid == 0:
        root = settings.get("permitrootlogin", "no")
        if root == "no":
            return "PermitRootLogin is no"
        if root == "forced-commands-only":
            return "PermitRootLogin allows forced commands only"
    deny, allow = settings.get("denyusers", ""), settings.get("allowusers", "")
    if deny and listed([name], deny.split(), address):
        return f"DenyUsers shuts {name} out"
    if allow and not listed([name], allow.split(), address):
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


def _key_obstacle(ctx: Context, account: Account, settings: Effective) -> str:
    host = ctx.host
    found: list[str] = []
    places = settings.get("authorizedkeysfile", ".ssh/authorized_keys").split()
    paths = [_key_path(place, account) for place in places if place != "none"]
    for path in paths:
        try:
            text = host.read_bytes(path).decode("utf-8", "replace")
        except HostError:
            continue
        keys = parse_authorized_keys(text)
        if not keys:
            continue
        loose = _loose(host, path, account) if settings.get("strictmodes", "yes") == "yes" else ""
        if loose:
            found.append(loose)
            continue
        for key in keys:
            problem = _key_problem(key, settings, ctx.session.client_address)
            if not problem:
                return ""
            found.append(f"{problem} ({path})")
    if found:
        return "; ".join(dict.fromkeys(found))
    return f"{account.name} has no key in {paths[0] if paths else 'any AuthorizedKeysFile'}"


def _key_path(place: str, account: Account) -> str:
    tokens = {"%%": "%", "%h": account.home, "%u": account.name, "%U": str(account.uid)}
    path = re.sub(r"%.", lambda token: tokens.get(token.group(), token.group()), place)
    return path if path.startswith("/") else f"{account.home}/{path}"


def _loose(host: Host, path: str, account: Account) -> str:
    """What StrictModes has against a key file: as safe_path() of OpenSSH's misc.c walks up."""
    home = host.realpath(account.home)
    place = host.realpath(path)
    while True:
        state = host.state(place)
        if state is None:
            return f"{place} is missing"
        if state.uid not in (0, account.uid):
            return f"{place} belongs to neither {account.name} nor root, so StrictModes ignores it"
        if state.mode & 0o022:
            return f"{place} is writable by others, so StrictModes ignores it"
        if place in (home, "/"):
            return ""
        place = place.rpartition("/")[0] or "/"


def _key_problem(key: AuthorizedKey, settings: Effective, address: str) -> str:
    if "cert-authority" in key.options:
        return "only a certificate authority is listed, whose certificates were not tried"
    if "command" in key.options:
        return "the key is bound to one command"
    sources = key.options.get("from", "").split(",") if address else [""]
    if sources != [""] and not address_listed(address, sources):
        return f"the key is not accepted from {address}"
    if "expiry-time" in key.options and _past(key.options["expiry-time"]):
        return "the key has expired"
    accepted = settings.get("pubkeyacceptedalgorithms", "")
    usable = _RSA_SIGNATURES if key.type == "ssh-rsa" else (key.type,)
    if accepted and not set(usable) & set(accepted.split(",")):
        return f"PubkeyAcceptedAlgorithms does not accept {key.type}"
    smallest = settings.get("requiredrsasize", "1024")
    if key.type == "ssh-rsa" and smallest.isdigit() and key.bits < int(smallest):
        return f"the RSA key has {key.bits} bits, RequiredRSASize wants {smallest}"
    return ""


def _past(expiry: str) -> bool:
    """YYYYMMDD[HHMM[SS]], local time unless it ends in Z; seen as past when in doubt."""
    digits = expiry.rstrip("Zz")
    clock = time.gmtime() if digits != expiry else time.localtime()
    return not digits.isdigit() or digits < time.strftime("%Y%m%d%H%M%S", clock)[: len(digits)]


def _way_out(obstacles: dict[str, str]) -> str:
    name, obstacle = next(iter(obstacles.items()))
    if "has no key" in obstacle:
        return f"Install a key first (ssh-copy-id {name}@…), {_AGAIN}."
    return f"Put that right first, {_AGAIN}."
