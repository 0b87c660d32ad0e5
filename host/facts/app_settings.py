"""Single settings of i-doit: what its table says, and what its cache says, which counts."""

from __future__ import annotations

import msgspec

from host.base import Host, HostError
from host.facts.app_database import APP_DATABASES
from host.facts.base import Fact, Facts
from host.facts.mariadb import MARIADB
from host.mariadb import ask, base_table, literal

CSRF = "system.security.csrf"
CACHE = "temp/settings.cache"
"""All settings as JSON. i-doit reads it instead of the table while it is there
(isys_settings_trait), and writes it anew when it is not."""


class Setting(msgspec.Struct, frozen=True):
    """A setting of one i-doit. `rows`: by tenant ("0": the whole system), as the table has them;
    `cached`: what the cache says, `None` where there is no cache or it does not say it.
    """

    rows: dict[str, str]
    cached: str | None = None
    has_cache: bool = False
    problem: str = ""


def _read_csrf(host: Host, facts: Facts) -> dict[str, Setting]:
    found = {}
    for one in facts.get(APP_DATABASES):
        if one.application.kind != "i-doit":
            continue
        path = one.application.path
        if one.access is None:
            found[path] = Setting({}, problem=one.problem)
        elif not one.is_local or one.access.database not in facts.get(MARIADB).databases:
            found[path] = Setting({}, problem="its system database is not on this machine")
        elif b"$g_dirs" in host.read_bytes(one.config):
            found[path] = Setting({}, problem=f"{one.config} sets another directory for caches")
        else:
            found[path] = _setting(host, path, one.access.database)
    return found


def _setting(host: Host, path: str, database: str) -> Setting:
    try:
        answer = ask(
            host,
            "SELECT isys_settings__isys_mandator__id, isys_settings__value FROM"
            f" {base_table(database, 'isys_settings')} WHERE isys_settings__key = {literal(CSRF)};",
        )
    except HostError as error:
        return Setting({}, problem=str(error))
    rows = {row[0]: row[1] for row in answer if len(row) == 2}
    cache = f"{path}/{CACHE}"
    if host.state(cache) is None:
        return Setting(rows)
    try:
        return Setting(rows, parse_cache(host.read_bytes(cache), CSRF), has_cache=True)
    except HostError as error:
        return Setting(rows, has_cache=True, problem=str(error))


def parse_cache(content: bytes, name: str) -> str | None:
    """What the cache says of a setting; `None` where it is not in it, or no JSON object."""
    try:
        value = msgspec.json.decode(content, type=dict[str, object]).get(name)
    except msgspec.DecodeError:
        return None
    return str(int(value)) if isinstance(value, bool) else None if value is None else str(value)


IDOIT_CSRF: Fact[dict[str, Setting]] = Fact("idoit-csrf", _read_csrf)
"""By the path of the i-doit."""
