"""The rehearsal of a guarded step: what would be true of the way in, once its changes are made?

Asked of the merged result before anything is touched. A definite lock-out is told apart from what
merely cannot be known; the latter is said with the plan, and the dead-man's switch covers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from host.base import HostError
from host.facts import FactUnavailable
from host.facts.sshd import SSHD_DAEMON, SSHD_EFFECTIVE
from snapshots.model import Change, RemoveFile, WriteFile
from steps.guard_accounts import foreseen
from steps.guard_bans import held
from steps.guard_login import rehearse_login
from steps.guard_network import rehearse_nftables
from steps.guard_sudo import rehearse_sudo, text_of
from steps.model import GuardKind
from steps.resource import Context
from steps.sshd_merged import merged

_LOGIN_PLACES = ("/etc/ssh/", "/etc/pam.d/", "/etc/security/", "/etc/nologin", "/etc/shells")
_SUDO_PLACES = ("/etc/sudoers", "/etc/pam.d/", "/etc/security/", "/etc/nsswitch.conf")
_ACCOUNTS = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")
_ROOT_COMES = ("yes", "without-password", "prohibit-password")
_SSH_SOCKET = ("/etc/systemd/system/ssh.", "/etc/default/ssh")


_ROOT_ALONE = (
    "No account but root's own may become root with sudo: only root itself could log in to mend"
    " anything here."
)
_LATER = (
    "Whether you could still log in afterwards can only be rehearsed as root; it is, before"
    " anything is applied."
)


class Rehearsal(msgspec.Struct, frozen=True):
    """`lockouts`: who could not come back, and the way out. `notes`: what could not be told."""

    lockouts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def rehearse(ctx: Context, guard: GuardKind, changes: Iterable[Change]) -> Rehearsal:
    """What a step's changes would do to the way in.

    Asked are a step that says it needs a guard, and any that writes files which decide who may log
    in or become root.
    """
    changes = list(changes)
    files = written(changes)
    login = guard == "login" or _touches(files, (*_LOGIN_PLACES, *_ACCOUNTS, *_SSH_SOCKET))
    sudo = bool(guard) or _touches(files, (*_SUDO_PLACES, *_ACCOUNTS))
    if not changes or not (login or sudo):
        return Rehearsal()
    if not ctx.host.is_root:
        return Rehearsal(notes=(_LATER,))
    files |= foreseen(changes, partial(text_of, ctx.host, files))
    lockouts: list[str] = []
    notes: list[str] = []
    try:
        if login:
            found = _login(ctx, files)
            lockouts += found[0]
            notes += found[1]
        if sudo and not lockouts:  # without a login there is nobody whose sudo could matter
            reasons = rehearse_sudo(ctx, files)
            if reasons and not _touches(files, (*_SUDO_PLACES, *_ACCOUNTS)) and _root_may_come(ctx):
                notes.append(_ROOT_ALONE)  # as it was before, and sshd lets root in
            else:
                lockouts += reasons
        if guard == "network":
            found = rehearse_nftables(ctx, files)
            lockouts += found[0]
            notes += found[1]
        if guard:
            found = held(ctx)
            lockouts += found[0]
            notes += found[1]
    except (HostError, FactUnavailable) as error:
        lockouts.append(
            f"Whether an administrator could still log in could not be found out: {error}"
        )
    return Rehearsal(tuple(lockouts), tuple(dict.fromkeys(notes)))


def touches_way_in(guard: GuardKind, changes: Iterable[Change]) -> bool:
    """Whether these changes are guarded: the step says so, or they write files that decide who may
    log in or become root."""
    return bool(guard) or decides_way_in(written(changes))


def decides_way_in(paths: Iterable[str]) -> bool:
    """Whether one of these files decides who may log in or become root."""
    places = (*_LOGIN_PLACES, *_SUDO_PLACES, *_ACCOUNTS, *_SSH_SOCKET)
    return _touches(paths, places)


def written(changes: Iterable[Change]) -> dict[str, str | None]:
    """The files that changes write (path to text) or remove (`None`)."""
    files: dict[str, str | None] = {}
    for change in changes:
        if isinstance(change, WriteFile) and not change.secret:
            files[change.path] = change.content.decode("utf-8", "surrogateescape")
        elif isinstance(change, RemoveFile):
            files[change.path] = None
    return files


def _login(ctx: Context, files: Mapping[str, str | None]) -> tuple[list[str], list[str]]:
    with merged(ctx.host, ctx.facts.get(SSHD_DAEMON), files) as private:
        return rehearse_login(ctx, private, files)


def _root_may_come(ctx: Context) -> bool:
    """Whether sshd lets root itself in: a host that knows no sudo is kept by root alone."""
    try:
        return ctx.facts.get(SSHD_EFFECTIVE).get("permitrootlogin") in _ROOT_COMES
    except FactUnavailable:
        return False


def _touches(files: Iterable[str], places: Iterable[str]) -> bool:
    return any(path.startswith(tuple(places)) for path in files)
