"""A new login of an administrator, after a change: what proves that the way in still works."""

from __future__ import annotations

from host.base import Session
from host.facts.login import ACCOUNTS
from host.logins import SshLogin
from snapshots.guard import Guard
from steps.guard_sudo import administrators
from steps.resource import Context


def since(ctx: Context, guard: Guard) -> str:
    """Who logged in since the guarded change, as words; empty where nobody did.

    It must be a login of its own over SSH, on another connection than the one the change was made
    from, of somebody who can become root. Raises `HostError` where it cannot be found out.
    """
    for login in reversed(ctx.host.ssh_logins()):
        if login.at_s <= guard.since_s:
            break
        if f"{login.address} {login.port}" == guard.connection:
            continue
        if may_administer(ctx, login.user):
            pretended = " (pretended)" if ctx.host.is_practice else ""
            return f"{words(login)}{pretended}"
    return ""


def words(login: SshLogin) -> str:
    """ "alice from 192.0.2.7 port 51234"."""
    if not login.address:
        return login.user
    port = f" port {login.port}" if login.port else ""
    return f"{login.user} from {login.address}{port}"


def may_administer(ctx: Context, name: str) -> bool:
    """Whether an account is root or may become root with sudo, by sudo's own answer."""
    if ctx.host.is_practice:
        return True
    account = ctx.facts.get(ACCOUNTS).get(name)
    if account is not None and account.uid == 0:
        return True
    return any(account.name == name for account in administrators(ctx, {}))


def attempt(session: Session, host_name: str) -> str:
    """What to type in a second terminal, at home: "ssh -p 2222 alice@192.0.2.1"."""
    user = session.user or "YOU"
    where = session.server_address or host_name
    port = f"-p {session.server_port} " if session.server_port not in (0, 22) else ""
    return f"ssh {port}{user}@{where}"
