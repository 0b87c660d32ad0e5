"""A new password for an application's database account, in every place that must know it.

MariaDB lets an account in with either of two passwords. So the new one is let in beside the old
one first, then the application learns it, and only when no process of the web server can have the
old configuration in memory any more (OPcache keeps compiled files) the old one ends. No request
of the application is lost on the way.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from host.app_config import ApplicationKind, Login, access, with_password
from host.base import CommandFailed, CommandMissing, Host, HostError
from host.idoit_crypt import encrypt
from host.mariadb import UNLOGGED, account, ask, base_table, complaint, literal, tell
from host.php_literals import NotPlain
from host.secret_text import Secret

LENGTH: Final = 32
"""Characters of 62 sorts: 190 bits. Neither PHP, SQL, a shell nor an URL has to quote them."""

_ALPHABET: Final = string.ascii_letters + string.digits
_OLD_REQUESTS_S: Final = 15.0
"""A request that takes longer has connected long ago."""

_SETTLE_S: Final = 0.5
"""For requests without a unit of their own: jobs on the command line."""

_NATIVE: Final = "mysql_native_password"


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What gets the new password. Holds none itself.

    `path` is the application's directory, `config` its file. `hosts` are those of the account's
    entries in MariaDB. `tenants` are rows of `database`.isys_mandator by number, i-doit's only;
    with `crypt` they are written by i-doit's own class, else as plain text. `reloads` are the
    units whose processes may have the file in memory.
    """

    kind: ApplicationKind
    path: str
    config: str
    user: str
    hosts: tuple[str, ...]
    database: str
    tenants: tuple[str, ...] = ()
    crypt: bool = False
    reloads: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """The entries of the account, for a person."""
        return " and ".join(account(self.user, host) for host in self.hosts)

    @property
    def places(self) -> str:
        """Where the password stands, for a person."""
        rows = ""
        if self.tenants:
            many = "s" if len(self.tenants) > 1 else ""
            rows = f", {self.database}.isys_mandator (row{many} {', '.join(self.tenants)})"
        return f"MariaDB{rows} and {self.config}"

    def shown(self) -> str:
        """What goes and comes, without any password."""
        lines = [f"--- {self.user}\n", f"+++ {self.user}\n"]
        how = "encrypted" if self.crypt else "plain"
        for sign, age in (("-", "the present"), ("+", "a new")):
            lines += [
                f"{sign}account {account(self.user, h)}: {age} password\n" for h in self.hosts
            ]
            lines += [
                f"{sign}{self.database}.isys_mandator {n}: {age} password"
                + (f" ({how})\n" if sign == "+" else "\n")
                for n in self.tenants
            ]
            lines.append(f"{sign}{self.config}: {age} password\n")
        return "".join(lines)


def rotate(host: Host, rotation: Rotation, doing: Callable[[str], None]) -> None:
    """Make, spread and prove a new password. Raises `HostError`; what was done until then is for
    the caller to take back."""
    content = host.read_bytes(rotation.config, follow=False)
    try:
        old = access(rotation.kind, content).login
        new = generate()
        changed = with_password(rotation.kind, content, new)
    except NotPlain as error:
        raise HostError(f"{rotation.config} cannot be changed: {error}") from None
    rows = list(_tenant_rows(host, rotation, new))
    doing(f"letting {rotation.user} in with a new password beside the old one")
    hashes = _hashes(host, rotation)
    # Else whoever writes the file could have any account's new password written into it.
    if old.user != rotation.user or set(hashes.values()) != {_kept(old.password)}:
        raise HostError(
            f"{rotation.config} does not hold the present password of {rotation.account}, so"
            " nothing tells that the account is this application's"
        )
    _tell(host, [_either(rotation.user, at, hashes[at], new) for at in rotation.hosts])
    doing(f"writing the new password to {rotation.config}")
    if rows:
        _tell(host, rows)
    host.write_file(rotation.config, changed)
    _reload(host, rotation.reloads, doing)
    doing("ending the old password")
    _tell(host, [_only(rotation.user, at, new) for at in rotation.hosts])
    _prove(host, old, new)


def generate() -> Secret:
    """A password that nobody chose. Letters of both cases and a digit are among it, and a sign
    that needs no quotes, as password checks of MariaDB may ask for."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_")
    picked = [secrets.choice(kind) for kind in kinds]
    picked += [secrets.choice(_ALPHABET) for _ in range(LENGTH - len(picked))]
    secrets.SystemRandom().shuffle(picked)
    return Secret("".join(picked))


def native_hash(password: Secret) -> str:
    """What mysql_native_password keeps.

    >>> native_hash(Secret("password"))
    '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'
    """
    inner = hashlib.sha1(password.reveal().encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def _kept(password: Secret) -> str:
    """What MariaDB keeps of a password; of an empty one nothing."""
    return native_hash(password) if password else ""


def refusal(host: Host, login: Login) -> str:
    """Why this login is not let in, a clause; "" where it is. Raises `HostError` if none answers.

    The password goes to the client on its standard input, as a file of options.
    """
    given = options(login)
    if max(map(len, given.split(b"\n"))) > _LONGEST_LINE_BYTES:
        return "its name or its password is longer than any that MariaDB's client can be given"
    try:
        answer = host.run(CLIENT, stdin=given, timeout_s=10.0)
    except CommandFailed as error:
        said = str(complaint(error))
        for number, why in _WHY.items():
            if f"ERROR {number} " in error.completed.stderr:
                return why
        raise HostError(said) from None
    if answer.stdout.strip().rpartition("@")[0] != login.user:
        raise HostError("MariaDB's client does not log in as it was told")
    return ""


def is_kept(host: Host, login: Login) -> bool:
    """Whether the MariaDB that root asks keeps this password; True where it cannot be compared.

    Who wrote the application's file chose the socket or port, so another may have let it in. Raises
    `HostError`.
    """
    found = ask(
        host,
        "SELECT JSON_VALUE(Priv, '$.plugin'), JSON_VALUE(Priv, '$.authentication_string'),"
        " JSON_EXISTS(Priv, '$.auth_or') FROM mysql.global_priv"
        f" WHERE User = {literal(login.user)};",
    )
    return any(
        plugin not in (_NATIVE, "") or several != "0" or hashed == _kept(login.password)
        for plugin, hashed, several in found
    )


CLIENT: Final = (
    "mariadb", "--defaults-file=/dev/stdin", "--batch", "--skip-column-names",
    "--execute", "SELECT CURRENT_USER()",
)  # fmt: skip


_WHY: Final = {
    "1045": "MariaDB does not accept its password",
    "1698": "MariaDB does not accept its password",
    "1130": "MariaDB lets nobody in from there",
    "4151": "its account is locked",
    "1862": "its password has expired",
}


_LONGEST_LINE_BYTES: Final = 2048
"""The client reads lines of 4 KiB, and takes what follows in a longer one for another option."""


def options(login: Login) -> bytes:
    """A file of options for MariaDB's client. Its quoting: my_getopt(3) of MariaDB.

    Who wrote the application's file chose the server that answers, which must not ask for files.
    """
    lines = [
        "[client]",
        f"user={_quoted(login.user)}",
        f"password={_quoted(login.password.reveal())}",
    ]
    lines += [f"host={_quoted(login.host)}", "ssl-verify-server-cert=0", "connect-timeout=5"]
    lines.append("local-infile=0")
    if login.port.isdigit():
        lines.append(f"port={login.port}")
    if login.socket:
        lines.append(f"socket={_quoted(login.socket)}")
    return "\n".join(lines).encode() + b"\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for sign, letter in (("\n", "n"), ("\r", "r"), ("\t", "t"), ("\b", "b")):
        escaped = escaped.replace(sign, f"\\{letter}")
    return f'"{escaped}"'


def _hashes(host: Host, rotation: Rotation) -> dict[str, str]:
    """By host, what the account is let in with now. Raises `HostError` if it is no password."""
    found = ask(
        host,
        "SELECT Host, JSON_VALUE(Priv, '$.plugin'), JSON_VALUE(Priv, '$.authentication_string'),"
        " COALESCE(JSON_LENGTH(Priv, '$.auth_or'), 0) > 1 FROM mysql.global_priv"
        f" WHERE User = {literal(rotation.user)};",
    )
    if sorted(row[0] for row in found) != sorted(rotation.hosts):
        raise HostError(f"MariaDB's entries for {rotation.user} have changed since the preview")
    for at, plugin, _, several in found:
        if plugin not in (_NATIVE, "") or several != "0":
            raise HostError(f"{account(rotation.user, at)} is let in by more than one password")
    return {row[0]: row[2] for row in found}


def _either(user: str, at: str, hashed: str, new: Secret) -> str:
    return (
        f"ALTER USER {account(user, at)} IDENTIFIED VIA {_NATIVE} USING {literal(hashed)}"
        f" OR {_NATIVE} USING {literal(native_hash(new))};"
    )


def _only(user: str, at: str, new: Secret) -> str:
    return (
        f"ALTER USER {account(user, at)} IDENTIFIED VIA {_NATIVE}"
        f" USING {literal(native_hash(new))};"
    )


def _tenant_rows(host: Host, rotation: Rotation, new: Secret) -> Iterator[str]:
    """What gives the tenants the new password. Raises `HostError` before anything was changed."""
    table = base_table(rotation.database, "isys_mandator")
    for number in rotation.tenants:
        crypted = encrypt(host, rotation.path, new) if rotation.crypt else None
        if rotation.crypt and crypted is None:
            raise HostError("i-doit's own isys_helper_crypt does not read what it wrote")
        plain, sets = "NULL", ""
        if crypted is None:
            plain = literal(new.reveal())
        if rotation.crypt or _has_encrypted(host, rotation.database):
            encrypted = "NULL" if crypted is None else literal(crypted.reveal())
            sets = f", isys_mandator__db_password = {encrypted}"
        yield (
            f"UPDATE {table} SET isys_mandator__db_pass = {plain}{sets}"
            f" WHERE isys_mandator__id = {literal(number)};"
        )


def _has_encrypted(host: Host, database: str) -> bool:
    """Whether this release of i-doit has a column for encrypted passwords."""
    return bool(
        ask(
            host,
            "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_NAME = 'isys_mandator' AND"
            f" TABLE_SCHEMA = {literal(database)} AND COLUMN_NAME = 'isys_mandator__db_password';",
        )
    )


def _tell(host: Host, statements: Sequence[str]) -> None:
    tell(host, UNLOGGED + "\n".join(statements))


def _reload(host: Host, units: Sequence[str], doing: Callable[[str], None]) -> None:
    """Let the processes that run the application read its configuration anew, and wait until
    those are gone that have the old one and are still at a request."""
    for unit in units:
        before = _processes(host, unit)
        try:
            if not host.run(("systemctl", "is-active", "--quiet", unit), ok=None).ok:
                continue
            doing(f"reloading {unit}")
            host.run(("systemctl", "reload", unit), timeout_s=60.0)
        except CommandMissing:
            continue
        until = time.monotonic() + _OLD_REQUESTS_S
        # The first process of the unit stays.
        while len(before & _processes(host, unit)) > 1 and time.monotonic() < until:
            time.sleep(0.1)
    time.sleep(_SETTLE_S)


def _processes(host: Host, unit: str) -> set[str]:
    """The processes of a unit now; none where that cannot be told."""
    try:
        listing = host.read_bytes(f"/sys/fs/cgroup/system.slice/{unit}/cgroup.procs")
    except HostError:
        return set()
    return set(listing.decode("ascii", "replace").split())


def _prove(host: Host, old: Login, new: Secret) -> None:
    """The new password works and the old one does not. Raises `HostError`."""
    why = refusal(host, msgspec.structs.replace(old, password=new))
    if why:
        raise HostError(f"{old.user} is not let in with the new password: {why}")
    if not refusal(host, old):
        raise HostError(f"{old.user} is still let in with the old password")
