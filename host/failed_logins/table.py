"""TYPO3's sys_log, read forward by its primary key: a bounded number of rows at a time.

Plain SELECTs in autocommit mode are consistent reads of InnoDB: they take no lock, and nobody who
writes waits for them. TYPO3 writes a refused login as type 255 (login), action 3 (attempt), error 3
(security notice), with the address in `IP` and the name in `log_data`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from host.failed_logins.words import Failure, plain
from host.mariadb import identifier

BATCH = 10_000
"""Rows looked at in one question: about 10 ms of the server."""

OVERLAP = 200
"""Rows looked at again: a number is given before a row is committed, so a lower one may come later.
"""

COLUMNS: Final = ("uid", "tstamp", "type", "action", "error", "IP", "log_data")

_FAILED: Final = "type = 255 AND action = 3 AND error = 3"
_SERIALIZED: Final = re.compile(r's:\d+:"(.*?)";')

Ask = Callable[[str], list[list[str]]]
"""Has a statement answered: rows of fields, NULL as "NULL". Raises `HostError`."""


class Place(msgspec.Struct, frozen=True):
    """How far a table was read.

    `uid` is the highest one seen and `tstamp` its row's; `handed` are those of the last `OVERLAP`
    that were handed over. `newest` is the time of the newest failure handed over. `floor`: while a
    table is read anew from its start, what is older than this was handed over before.
    """

    uid: int
    tstamp: int
    handed: tuple[int, ...] = ()
    newest: int = 0
    floor: int = 0


class Look(msgspec.Struct, frozen=True):
    """What one look found. `behind`: there is more to be read at once. `note`: for the journal."""

    place: Place
    failures: tuple[Failure, ...] = ()
    behind: bool = False
    note: str = ""
    old: int = 0


def begin(ask: Ask, database: str) -> Place:
    """The end of the table: what was refused before the service came is no business of its."""
    rows = ask(
        f"SELECT uid, tstamp FROM {_table(database)} FORCE INDEX (PRIMARY)"
        " ORDER BY uid DESC LIMIT 1"
    )
    if not rows:
        return Place(0, 0)
    uid, tstamp = int(rows[0][0]), int(rows[0][1])
    before = ask(failed_between(database, max(0, uid - OVERLAP), uid))
    return Place(uid, tstamp, tuple(int(row[0]) for row in before))


def look(ask: Ask, database: str, place: Place, oldest_s: int = 0) -> Look:
    """The failures of the next `BATCH` rows.

    `oldest_s`: what is older is not handed over, because it was not read when it came (0: all is
    new). Raises `HostError`.
    """
    rows = ask(where(database, place))
    highest, anchor, end = (int(field) for field in rows[0])
    note = ""
    if highest < place.uid or anchor not in (-1, place.tstamp):
        note = (
            f"The table sys_log of {database} is another one than before (emptied, or put back from"
            " a dump): it is read from its beginning."
        )
        place = Place(0, 0, (), place.newest, place.newest)
        highest, _, end = (int(field) for field in ask(where(database, place))[0])
    end = max(end, place.uid)
    start = max(0, place.uid - OVERLAP)
    found = ask(failed_between(database, start, end)) if end else []
    fresh = [row for row in found if int(row[0]) not in place.handed]
    failures = [one for row in fresh if (one := _failure(database, row)) is not None]
    wanted = tuple(one for one in failures if one.at_s >= max(oldest_s, place.floor))
    tstamp = place.tstamp
    if end != place.uid:
        tstamp = next((int(row[0]) for row in ask(_time_of(database, end))), 0)
    behind = end < highest
    after = Place(
        uid=end,
        tstamp=tstamp,
        handed=tuple(int(row[0]) for row in found if int(row[0]) > end - OVERLAP),
        newest=max([place.newest, *(one.at_s for one in wanted)]),
        floor=place.floor if behind else 0,
    )
    return Look(after, wanted, behind, note, len(failures) - len(wanted))


def where(database: str, place: Place) -> str:
    """(highest uid, time of the row we stopped at or -1, last uid of the next rows or 0)."""
    table = _table(database)
    return (
        f"SELECT IFNULL((SELECT uid FROM {table} FORCE INDEX (PRIMARY)"
        " ORDER BY uid DESC LIMIT 1), 0),"
        f" IFNULL((SELECT tstamp FROM {table} WHERE uid = {place.uid}), -1),"
        f" IFNULL((SELECT MAX(uid) FROM (SELECT uid FROM {table} FORCE INDEX (PRIMARY)"
        f" WHERE uid > {place.uid} ORDER BY uid LIMIT {BATCH}) AS next_rows), 0)"
    )


def failed_between(database: str, after: int, last: int) -> str:
    """The refused logins with after < uid <= last: (uid, tstamp, IP, log_data)."""
    return (
        "SELECT uid, tstamp, IP, IFNULL(LEFT(log_data, 400), '')"
        f" FROM {_table(database)} FORCE INDEX (PRIMARY)"
        f" WHERE uid > {after} AND uid <= {last} AND {_FAILED} ORDER BY uid"
    )


def _time_of(database: str, uid: int) -> str:
    return f"SELECT tstamp FROM {_table(database)} WHERE uid = {uid}"


def _table(database: str) -> str:
    return f"{identifier(database)}.sys_log"


def _failure(database: str, row: list[str]) -> Failure | None:
    address = plain(row[2])
    if address is None:
        return None
    return Failure("typo3", database, address, account_of(row[3]), int(row[1]))


def account_of(log_data: str) -> str:
    """The name in `log_data`: ["bob"] or {"0": "bob"} (12 and later), a:1:{i:0;s:3:"bob";} (11)."""
    try:
        data: Any = msgspec.json.decode(log_data)
    except msgspec.DecodeError:
        found = _SERIALIZED.search(log_data)
        return found[1] if found else ""
    values: Iterable[Any] = data.values() if isinstance(data, dict) else data or ()
    if isinstance(values, str | int | float):
        return str(values)
    return next((str(value) for value in values if isinstance(value, str | int)), "")
