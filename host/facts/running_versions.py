"""What the web server's main programs and its applications call themselves.

Asked when an update window opens and when it closes, not in a check: PHP alone takes 50 ms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from host.app_config import access
from host.base import Host, HostError
from host.mariadb import ask, base_table, literal
from host.php_literals import NotPlain

_PROGRAMS: Final = {
    "Apache": (("apache2", "-v"), re.compile(r"Apache/(\S+)")),
    "PHP": (("php", "-v"), re.compile(r"^PHP (\S+)", re.MULTILINE)),
}
_TYPO3_CLASS: Final = "typo3/sysext/core/Classes/Information/Typo3Version.php"
_TYPO3: Final = re.compile(r"VERSION = '([^']+)'")
_PLAIN: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,39}")
_COMPOSER_LIMIT: Final = 32 * 1024 * 1024


def versions(host: Host, trees: Iterable[str]) -> dict[str, str]:
    """Name -> version: "Apache", "PHP", "MariaDB", and of applications "TYPO3 in /var/www/x" and
    "i-doit in /var/www/y".

    What is not there, or does not say, is left out.
    """
    found = {}
    for name, (argv, pattern) in _PROGRAMS.items():
        if host.which(argv[0]) is None:
            continue
        try:
            said = pattern.search(host.run(argv, ok=None).stdout)
        except HostError:
            continue
        if said:
            found[name] = said[1]
    try:
        if host.which("mariadb") is not None:
            found["MariaDB"] = ask(host, "SELECT VERSION();")[0][0]
    except (HostError, IndexError):
        pass  # it does not run, or lets nobody in
    for tree in trees:
        for name, read in (("TYPO3", _typo3), ("i-doit", _idoit)):
            version = read(host, tree)
            if version:
                found[f"{name} in {tree}"] = version
    return found


def locked_version(text: str, package: str) -> str:
    """The version of a package in a composer.lock, without its "v"; "" where it is not there."""
    try:
        packages = json.loads(text)["packages"]
        return next(
            str(one["version"]).removeprefix("v") for one in packages if one["name"] == package
        )
    except (ValueError, KeyError, TypeError, StopIteration):
        return ""


def _typo3(host: Host, tree: str) -> str:
    try:
        content = host.read_bytes(f"{tree}/composer.lock", limit_bytes=_COMPOSER_LIMIT)
        version = locked_version(content.decode("utf-8", "replace"), "typo3/cms-core")
        if version:
            return version
    except HostError:
        pass  # the older layout has none
    for above in ("public/", ""):
        try:
            text = host.read_bytes(f"{tree}/{above}{_TYPO3_CLASS}").decode("utf-8", "replace")
        except HostError:
            continue
        said = _TYPO3.search(text)
        if said:
            return said[1]
    return ""


def _idoit(host: Host, tree: str) -> str:
    """What its system database says, which an update of it changes last (`isys_db_init`)."""
    try:
        there = access("i-doit", host.read_bytes(f"{tree}/src/config.inc.php"))
        if not there.login.is_local:
            return ""
        answer = ask(
            host,
            f"SELECT isys_db_init__value FROM {base_table(there.database, 'isys_db_init')}"
            f" WHERE isys_db_init__key = {literal('version')};",
        )
    except (HostError, NotPlain):
        return ""
    return answer[0][0] if answer and _PLAIN.fullmatch(answer[0][0]) else ""
