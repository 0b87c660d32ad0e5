"""How long branches of PHP get security fixes, from PHP itself and from distributions.

As known on `AS_OF`: https://www.php.net/supported-versions.php and php.net/eol.php;
https://www.debian.org/releases/ and https://wiki.debian.org/LTS; https://ubuntu.com/about/release-cycle
(standard support). Nothing is said of a branch or release that is not in these tables.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec

AS_OF: Final = date(2026, 7, 3)

UPSTREAM: Final[dict[str, date]] = {
    "5.6": date(2018, 12, 31),
    "7.0": date(2019, 1, 10),
    "7.1": date(2019, 12, 1),
    "7.2": date(2020, 11, 30),
    "7.3": date(2021, 12, 6),
    "7.4": date(2022, 11, 28),
    "8.0": date(2023, 11, 26),
    "8.1": date(2025, 12, 31),
    "8.2": date(2026, 12, 31),
    "8.3": date(2027, 12, 31),
    "8.4": date(2028, 12, 31),
    "8.5": date(2029, 12, 31),
}
"""Branch -> the last day of its security fixes by the PHP project."""


class Support(msgspec.Struct, frozen=True):
    """A distribution's release: the PHP it ships, and until when it gets security fixes."""

    name: str
    php: str
    until: date
    long_term: date


DISTRIBUTIONS: Final[dict[str, Support]] = {
    "bullseye": Support("Debian 11", "7.4", date(2024, 8, 14), date(2026, 8, 31)),
    "bookworm": Support("Debian 12", "8.2", date(2026, 7, 11), date(2028, 6, 30)),
    "trixie": Support("Debian 13", "8.4", date(2028, 8, 9), date(2030, 6, 30)),
    "jammy": Support("Ubuntu 22.04 LTS", "8.1", date(2027, 4, 30), date(2027, 4, 30)),
    "noble": Support("Ubuntu 24.04 LTS", "8.3", date(2029, 4, 30), date(2029, 4, 30)),
}
"""By codename. `long_term` is Debian LTS, which goes on through the same security repository."""


class Verdict(msgspec.Struct, frozen=True):
    """`until`: the last day of fixes; `None` where the tables do not know. `by`: from whom."""

    until: date | None
    by: str


def support_of(branch: str, codename: str, *, is_distributions_own: bool) -> Verdict:
    """Until when PHP `branch` ("8.2") is kept safe on a release, by whoever does so longest."""
    found = []
    release = DISTRIBUTIONS.get(codename)
    if is_distributions_own and release is not None and release.php == branch:
        by = f"{release.name} LTS" if release.long_term > release.until else release.name
        found.append(Verdict(max(release.until, release.long_term), by))
    upstream = UPSTREAM.get(branch)
    if upstream is not None:
        found.append(Verdict(upstream, "the PHP project"))
    return max(found, key=lambda one: one.until or date.min, default=Verdict(None, ""))
