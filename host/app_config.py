"""With what an application logs in to its database: what its configuration file says. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from host import php_literals
from host.php_literals import NotPlain, literals
from host.secret_text import Secret

ApplicationKind = Literal["i-doit", "typo3"]

_DEFAULT: Final = ("DB", "Connections", "Default")
_WHERE: Final[dict[ApplicationKind, tuple[str, tuple[str, ...], dict[str, str]]]] = {
    "i-doit": (
        "$g_db_system",
        (),
        {"host": "host", "port": "port", "user": "user", "password": "pass", "name": "name"},
    ),
    "typo3": (
        "return",
        _DEFAULT,
        {
            "host": "host", "port": "port", "user": "user", "password": "password",
            "name": "dbname", "socket": "unix_socket",
        },
    ),
}  # fmt: skip

LOCAL: Final = ("", "localhost", "127.0.0.1", "::1")


class Login(msgspec.Struct, frozen=True):
    """How somebody logs in to MariaDB. `host` "localhost" is the socket, as PHP has it."""

    user: str
    password: Secret
    host: str = "localhost"
    port: str = ""
    socket: str = ""

    @property
    def is_local(self) -> bool:
        return self.host in LOCAL


class Access(msgspec.Struct, frozen=True):
    """What the file says, and on which line its password stands."""

    login: Login
    database: str
    line: int


def access(kind: ApplicationKind, content: bytes) -> Access:
    """What `content`, the application's configuration file, says. Raises `NotPlain`."""
    what, above, names = _WHERE[kind]
    found = literals(content, what)
    values = {name: found.get((*above, key)) for name, key in names.items()}
    for name in ("user", "password", "name"):
        if values[name] is None:
            raise NotPlain(f"{'/'.join((*above, names[name]))} is not written out there")
    said = {name: one.value for name, one in values.items() if one is not None}
    password = values["password"]
    assert password is not None
    return Access(
        login=Login(
            user=said["user"],
            password=Secret(said["password"]),
            host=said.get("host") or "localhost",
            port=said.get("port", ""),
            socket=said.get("socket", ""),
        ),
        database=said["name"],
        line=password.line,
    )


def with_password(kind: ApplicationKind, content: bytes, password: Secret) -> bytes:
    """The file with another password, and nothing else changed. Raises `NotPlain`."""
    what, above, names = _WHERE[kind]
    found = literals(content, what).get((*above, names["password"]))
    if found is None:
        raise NotPlain("the password is not written out there")
    return php_literals.replaced(content, found, password.reveal())
