"""Who may become root by sudoers files that are not in place yet, as `cvtsudoers` reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from host.facts.login import Account

MAIN = "/etc/sudoers"
_INCLUDE = re.compile(r'^\s*[@#](include|includedir)\s+"?([^"\s]+)"?\s*$')
_DEEPEST = 16
"""Includes within includes; sudo's own limit is 128, and nobody has more than one."""


class Rights(msgspec.Struct, frozen=True):
    """What sudo lets an account do: everything as root, and that without its password."""

    everything: bool
    without_password: bool


def one_text(
    read: Callable[[str], str | None], listdir: Callable[[str], Sequence[str]], main: str = MAIN
) -> str:
    """The sudoers file with what it includes put in its place, as sudo reads it.

    In a directory, names with a dot or ending in "~" are left out, and the rest is sorted.
    """
    return "\n".join(_lines(read, listdir, main, 0)) + "\n"


def _lines(
    read: Callable[[str], str | None],
    listdir: Callable[[str], Sequence[str]],
    path: str,
    depth: int,
) -> Iterator[str]:
    text = read(path)
    if text is None or depth > _DEEPEST:
        return
    for line in text.splitlines():
        found = _INCLUDE.match(line)
        if not found:
            yield line
            continue
        target = found[2] if found[2].startswith("/") else f"{path.rpartition('/')[0]}/{found[2]}"
        if found[1] == "include":
            yield from _lines(read, listdir, target, depth + 1)
            continue
        for name in sorted(listdir(target)):
            if "." not in name and not name.endswith("~"):
                yield from _lines(read, listdir, f"{target}/{name}", depth + 1)


def rights(document: Mapping[str, Any], account: Account, host_names: Sequence[str]) -> Rights:
    """From `cvtsudoers -e -f json`, aliases expanded; the last fitting specification decides."""
    everything = without_password = False
    for default in document.get("Defaults", ()):
        for option in default.get("Options", ()):
            if option.get("authenticate") is False and _bound(default, account, host_names):
                without_password = True
    for spec in document.get("User_Specs", ()):
        if not _fits(spec.get("User_List", ()), lambda item: _user(item, account)):
            continue
        if not _fits(spec.get("Host_List", ()), lambda item: _host(item, host_names)):
            continue
        for commands in spec.get("Cmnd_Specs", ()):
            if "runasusers" in commands and not _fits(commands["runasusers"], _is_root):
                continue
            names = [item for item in commands.get("Commands", ()) if isinstance(item, dict)]
            if any(i.get("command") == "ALL" and not i.get("negated") for i in names):
                everything = True
                for option in commands.get("Options", ()):
                    if "authenticate" in option:
                        without_password = option["authenticate"] is False
            elif any(i.get("command") == "ALL" for i in names):
                everything = False
    return Rights(everything, without_password)


def _bound(default: Mapping[str, Any], account: Account, host_names: Sequence[str]) -> bool:
    binding = default.get("Binding")
    if binding is None:
        return True
    return _fits(binding, lambda i: _user(i, account) or _host(i, host_names))


def _fits(items: Sequence[Mapping[str, Any]], fits: Callable[[Mapping[str, Any]], bool]) -> bool:
    """sudo reads a list from its end: the last entry that fits decides, negated or not."""
    for item in reversed(items):
        if fits(item):
            return not item.get("negated", False)
    return False


def _user(item: Mapping[str, Any], account: Account) -> bool:
    if "usergroup" in item:
        return item["usergroup"] in account.groups
    if "usergid" in item:
        return bool(item["usergid"] == account.gid)
    if "userid" in item:
        return bool(item["userid"] == account.uid)
    return item.get("username") in (account.name, "ALL")


def _host(item: Mapping[str, Any], host_names: Sequence[str]) -> bool:
    return item.get("hostname") in ("ALL", *host_names)


def _is_root(item: Mapping[str, Any]) -> bool:
    return item.get("username") in ("ALL", "root") or item.get("userid") == 0
