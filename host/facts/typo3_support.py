"""Which TYPO3 is installed, and how long its branch gets security fixes.

As known on `AS_OF`: https://get.typo3.org/api/v1/major/ (maintained_until, elts_until) and
https://typo3.com/services/extended-support-elts. Nothing is said of a branch that is not in the
table.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.applications import APPLICATIONS, Application
from host.facts.base import Fact, Facts
from host.facts.php_source import line_of, without_comments

AS_OF: Final = date(2026, 7, 3)


class Support(msgspec.Struct, frozen=True):
    """`branch`: the only one of its major version that gets fixes. The last days of fixes for all,
    and for who pays for them (ELTS)."""

    branch: str
    until: date
    extended: date


SUPPORT: Final[dict[int, Support]] = {
    9: Support("9.5", date(2021, 9, 30), date(2024, 9, 30)),
    10: Support("10.4", date(2023, 4, 30), date(2026, 4, 30)),
    11: Support("11.5", date(2024, 10, 31), date(2027, 10, 31)),
    12: Support("12.4", date(2026, 4, 30), date(2029, 4, 30)),
    13: Support("13.4", date(2027, 12, 31), date(2030, 12, 31)),
    14: Support("14.3", date(2029, 6, 30), date(2032, 6, 30)),
}
"""By major version."""

_VERSION: Final = re.compile(r"\bconst\s+VERSION\s*=\s*['\"](\d+(?:\.\d+)+)[^'\"]*['\"]")


class Installed(msgspec.Struct, frozen=True):
    """One installation: its version ("13.4.19") and where it stands; "" where it could not be read,
    and then why."""

    application: Application
    version: str
    origin: str
    problem: str = ""


def _read(host: Host, facts: Facts) -> tuple[Installed, ...]:
    return tuple(_one(host, one) for one in facts.get(APPLICATIONS) if one.kind == "typo3")


def _one(host: Host, application: Application) -> Installed:
    core = (
        f"{application.path}/vendor/typo3/cms-core"
        if application.layout == "composer"
        else f"{application.path}/typo3/sysext/core"
    )
    file = host.realpath(f"{core}/Classes/Information/Typo3Version.php")
    try:
        text = host.read_bytes(file).decode("utf-8", "replace")
    except HostError as error:
        return Installed(application, "", file, str(error))
    found = parse_version(text)
    if found is None:
        return Installed(application, "", file, f"{file} names no version")
    version, line = found
    return Installed(application, version, f"{file}:{line}")


def parse_version(text: str) -> tuple[str, int] | None:
    """The version that Typo3Version.php names, and its line."""
    found = _VERSION.search(without_comments(text))
    return (found.group(1), line_of(text, found.start())) if found else None


INSTALLED: Fact[tuple[Installed, ...]] = Fact("typo3-installed", _read)
