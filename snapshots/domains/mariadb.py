"""MariaDB's accounts and grants, row by row, and the database `test` with what is in it.

Asked only where a step declares that it changes them (`ACCOUNTS` among its roots): of all other
transactions MariaDB may be stopped, slow or broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from host.base import CommandFailed, Host, HostError
from host.mariadb import DUMP, ask, complaint, tell
from snapshots.domains.base import Domain, Scope
from snapshots.mariadb_rows import (
    DATABASE,
    QUESTION,
    Unreadable,
    dump_of,
    dump_value,
    key_of,
    parse,
    split_key,
    statements,
)
from snapshots.model import DomainName, Item, Root, SnapshotError, ValueItem
from snapshots.progress import Progress

ACCOUNTS = Root("/var/lib/mysql/mysql")
"""Where the tables of accounts lie; their content is captured here, through the server."""

TEST = "test"
LARGEST_BYTES = 16 * 1024 * 1024
"""A larger database `test` is no test: it is not dropped, and not captured."""

SIZE_OF_TEST = """\
SELECT COUNT(DISTINCT SCHEMA_NAME), IFNULL(SUM(DATA_LENGTH + INDEX_LENGTH), 0)
  FROM information_schema.SCHEMATA LEFT JOIN information_schema.TABLES
  ON TABLE_SCHEMA = SCHEMA_NAME WHERE SCHEMA_NAME = 'test';
"""


class Mariadb(Domain):
    """Empty where no step declared it, and where there is no MariaDB."""

    name: ClassVar[DomainName] = "mariadb"

    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        if not any(root.path == ACCOUNTS.path for root in scope.roots):
            return {}
        if host.which("mariadbd") is None:
            if host.state(ACCOUNTS.path) is None:
                return {}
            raise HostError(
                "MariaDB is not installed any more but its accounts still lie in"
                f" {ACCOUNTS.path}; they can only be read by it. Install mariadb-server again."
            )
        try:
            found = parse(tell(host, QUESTION).stdout)
        except Unreadable as error:
            raise HostError(f"MariaDB's accounts could not be read: {error}") from None
        if not found:
            raise HostError("MariaDB named no account at all, so its accounts are not known")
        items: dict[str, Item] = {key: ValueItem(value) for key, value in found.items()}
        if 0 <= size_of_test(host) <= LARGEST_BYTES:
            dump = _dump(host)
            items[key_of(DATABASE, [TEST])] = ValueItem(dump_value(dump))
        return items

    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        rows: dict[str, str | None] = {}
        try:
            for key, item in wanted.items():
                value = item.value if isinstance(item, ValueItem) else None
                table, parts = split_key(key)
                if table != DATABASE:
                    rows[key] = value
                elif parts == [TEST]:
                    self._database(host, None if value is None else dump_of(value), progress)
            text = "\n".join(statements(rows))
        except Unreadable as error:
            raise SnapshotError(f"MariaDB's accounts were left as they are: {error}") from None
        if rows:
            progress.command("MariaDB> (rows of accounts and grants); FLUSH PRIVILEGES;")
            tell(host, text)

    def _database(self, host: Host, dump: str | None, progress: Progress) -> None:
        what = "DROP DATABASE" if dump is None else "(the dump of)"
        progress.command(f"MariaDB> {what} {TEST};")
        tell(host, f"DROP DATABASE IF EXISTS {TEST};")
        if dump is not None:
            # Read as the dump was written: it sets what it needs itself.
            tell(host, dump, timeout_s=120.0)


def size_of_test(host: Host) -> int:
    """Bytes in the database `test`; -1 where there is none. Raises `HostError`."""
    answer = ask(host, SIZE_OF_TEST)
    if not answer or answer[0][0] == "0":
        return -1
    return int(answer[0][1].partition(".")[0] or 0)


def _dump(host: Host) -> str:
    try:
        return host.run((*DUMP, "--skip-comments", "--databases", TEST), timeout_s=60.0).stdout
    except CommandFailed as error:
        raise complaint(error) from None
