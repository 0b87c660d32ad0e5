"""MariaDB's accounts and grants, row by row, the database `test` with what is in it, and cells of
applications' tables.

Asked only where a step declares that it changes them (`ACCOUNTS` or `mariadb_cells.rows` among its
roots): of all other transactions MariaDB may be stopped, slow or broken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from host.base import CommandFailed, Host, HostError
from host.mariadb import DUMP, UNLOGGED, ask, complaint, tell
from snapshots import mariadb_cells
from snapshots.domains.base import Domain, Scope
from snapshots.mariadb_rows import (
    DATABASE,
    LARGE,
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
from snapshots.secret_paths import SecretPaths

ACCOUNTS = Root("/var/lib/mysql/mysql")
"""Where the tables of accounts lie; their content is captured here, through the server."""

TEST = "test"
LARGEST_BYTES = 16 * 1024 * 1024
"""A larger database `test` is no test: it is not dropped, and only captured as `LARGE`."""

SIZE_OF_TEST = """\
SELECT COUNT(DISTINCT SCHEMA_NAME), IFNULL(SUM(DATA_LENGTH + INDEX_LENGTH), 0)
  FROM information_schema.SCHEMATA LEFT JOIN information_schema.TABLES
  ON TABLE_SCHEMA = SCHEMA_NAME WHERE SCHEMA_NAME = 'test';
"""


def asks_mariadb(roots: Sequence[Root]) -> bool:
    """Whether what a step declares is to be asked of MariaDB."""
    accounts = any(root.path == ACCOUNTS.path for root in roots)
    return accounts or bool(mariadb_cells.selected(roots))


class Mariadb(Domain):
    """Empty where no step declared it, and where there is no MariaDB."""

    name: ClassVar[DomainName] = "mariadb"

    def __init__(self, secrets: SecretPaths) -> None:
        self._secrets = secrets
        self._seen: dict[str, bytes] = {}

    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        tables = mariadb_cells.selected(scope.roots)
        accounts = any(root.path == ACCOUNTS.path for root in scope.roots)
        if not tables and not accounts:
            return {}
        if host.which("mariadbd") is None:
            if host.state(ACCOUNTS.path) is None:
                return {}
            raise HostError(
                "MariaDB is not installed any more but its accounts still lie in"
                f" {ACCOUNTS.path}; they can only be read by it. Install mariadb-server again."
            )
        items = self._accounts(host) if accounts else {}
        return {**items, **self._cells(host, tables)} if tables else items

    def keep(self) -> list[str]:
        """Keep the passwords that were captured, which are about to be replaced; durable on return.

        Returns the keyed hashes of those that were not kept already.
        """
        kept = [
            hashed for hashed, cell in self._seen.items() if self._secrets.keep_known(hashed, cell)
        ]
        self._seen.clear()
        return kept

    def _accounts(self, host: Host) -> dict[str, Item]:
        try:
            found = parse(tell(host, QUESTION).stdout)
        except Unreadable as error:
            raise HostError(f"MariaDB's accounts could not be read: {error}") from None
        if not found:
            raise HostError("MariaDB named no account at all, so its accounts are not known")
        items: dict[str, Item] = {key: ValueItem(value) for key, value in found.items()}
        size = size_of_test(host)
        if size >= 0:
            value = dump_value(_dump(host)) if size <= LARGEST_BYTES else LARGE
            items[key_of(DATABASE, [TEST])] = ValueItem(value)
        return items

    def _cells(self, host: Host, tables: list[mariadb_cells.Selection]) -> dict[str, Item]:
        there: dict[str, list[str]] = {}
        for row in ask(host, mariadb_cells.columns_question(tables)):
            if len(row) == 3:
                there.setdefault(f"{row[0]}.{row[1]}", []).append(row[2])
        asked = [one for one in tables if one.name in there]
        # That they were asked for, also where a table has none of the rows.
        items: dict[str, Item] = {one.name: ValueItem("asked") for one in asked}
        sql = "".join(mariadb_cells.question(one, there[one.name]) for one in asked)
        try:
            for key, cells in mariadb_cells.parse(ask(host, sql) if asked else ()):
                items[key] = ValueItem(mariadb_cells.value_of(key, cells, self._hashed))
        except Unreadable as error:
            raise HostError(f"An application's table could not be read: {error}") from None
        return items

    def _hashed(self, cell: bytes) -> str:
        hashed = self._secrets.hashed(hashlib.sha256(cell).hexdigest())
        self._seen[hashed] = cell
        return hashed

    def _content(self, hashed: str) -> bytes:
        content = self._secrets.content(hashed)
        if content is None:
            raise SnapshotError(
                "A password in an application's table was not kept, so it cannot be put back; the"
                " table is as it is now. Give the application a new one: app.database-password."
            )
        return content

    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        rows: dict[str, str | None] = {}
        cells: dict[str, str | None] = {}
        try:
            for key, item in wanted.items():
                value = item.value if isinstance(item, ValueItem) else None
                if not key.startswith("mysql."):
                    if " " in key:
                        cells[key] = value
                    continue
                table, parts = split_key(key)
                if table != DATABASE:
                    rows[key] = value
                elif parts == [TEST]:
                    self._database(host, value, progress)
            written = list(mariadb_cells.statements(cells, self._content))
            changed = list(statements(rows)) if rows else []
        except Unreadable as error:
            raise SnapshotError(f"MariaDB's tables were left as they are: {error}") from None
        if cells:
            names = sorted({key.partition(" ")[0] for key in cells})
            progress.command(f"MariaDB> (rows of {', '.join(names)})")
        if rows:
            progress.command("MariaDB> (rows of accounts and grants); FLUSH PRIVILEGES;")
        if cells or rows:
            tell(host, UNLOGGED + "\n".join((*written, *changed)))

    def _database(self, host: Host, value: str | None, progress: Progress) -> None:
        if value == LARGE:
            raise SnapshotError(
                f"The database {TEST} was too large to be kept and is otherwise now; it was left as"
                " it is. Put it back from a backup."
            )
        if size_of_test(host) > LARGEST_BYTES:
            raise SnapshotError(
                f"The database {TEST} is too large to be kept, so it was not dropped. Move what is"
                " in it to another database and drop it, then try again."
            )
        dump = None if value is None else dump_of(value)
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
