"""What PAM would say to an account that comes with a key: its account phase, on paper."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from host.facts.login import Account
from host.facts.pam import ACCESS, access, stack

_HARMLESS: Final = frozenset(
    ("pam_unix.so", "pam_permit.so", "pam_deny.so", "pam_nologin.so", "pam_access.so",
     "pam_faillock.so", "pam_systemd.so", "pam_systemd_home.so", "pam_warn.so", "pam_localuser.so",
     "pam_tally2.so", "pam_debug.so")
)  # fmt: skip
"""Modules looked at here, or that let everybody through. A login with a key does not pass the auth
phase, so what pam_faillock counts does not stop it (its account phase only forgets the count)."""


def pam_obstacle(
    read: Callable[[str], str | None], account: Account, address: str, host_name: str
) -> tuple[str, str]:
    """(what keeps `account` out, what could not be judged); each may be empty.

    `read` gives a file as it will be, `None` where there is none.
    """
    name = "" if host_name == address else host_name
    today = int(time.time() // 86400)
    modules = stack(read, "sshd", "account") or stack(read, "other", "account")
    names = {module.name for module in modules}
    if "pam_unix.so" in names and _must_change(account, today) and account.password != "usable":
        return (
            f"the password of {account.name} has expired, and none works with which a new one could"
            " be set",
            "",
        )
    for module in modules:
        if module.name != "pam_access.so":
            continue
        path = module.argument("accessfile") or ACCESS
        lets_in, line = access(read(path) or "", account, address, name, module.argument("listsep"))
        if lets_in is False:
            return f"{path} shuts {account.name} out from {address or 'elsewhere'} ({line})", ""
        if lets_in is None:
            return "", f"Whether {path} lets {account.name} in cannot be told ({line})."
    others = [m.name for m in modules if m.name not in _HARMLESS and m.control != "optional"]
    if others:
        return "", f"PAM also asks {', '.join(dict.fromkeys(others))} about a login; not tried."
    return "", ""


def _must_change(account: Account, today: int) -> bool:
    if account.changed_day == 0:
        return True
    if account.changed_day < 0 or account.maximum_days < 0:
        return False
    return today > account.changed_day + account.maximum_days
