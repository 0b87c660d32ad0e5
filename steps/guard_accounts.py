"""What the programs of package passwd would make of the account files: for the rehearsal, on paper.

Only the forms that this program's own steps use; any other command is passed over, as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

from snapshots.model import Change, RunCommand

PASSWD: Final = "/etc/passwd"
SHADOW: Final = "/etc/shadow"
GROUP: Final = "/etc/group"
_USABLE: Final = "$y$rehearsed"
"""Where a password is set: its hash is not known yet, that there is one is."""

Read = Callable[[str], str | None]


def foreseen(changes: Iterable[Change], read: Read) -> dict[str, str | None]:
    """/etc/passwd, /etc/group and /etc/shadow as they would be; empty where nothing touches them.

    `read` gives a file as it will be apart from that.
    """
    commands = [one for one in changes if isinstance(one, RunCommand) and _is_known(one)]
    if not commands:
        return {}
    passwd, shadow, group = (_rows(read(path) or "") for path in (PASSWD, SHADOW, GROUP))
    for command in commands:
        program, options, name = command.argv[0], _options(command.argv), command.argv[-1]
        if program == "chpasswd":
            for line in command.stdin.decode("utf-8", "replace").splitlines():
                _set(shadow, line.partition(":")[0], 1, _USABLE)
        elif program == "chage":
            for option, field in (("--mindays", 3), ("--maxdays", 4), ("--inactive", 6)):
                if option in options:
                    _set(shadow, name, field, options[option])
        elif program == "useradd":
            number = options.get("--uid", "")
            home, shell = options.get("--home-dir", ""), options.get("--shell", "")
            passwd.append([name, "x", number, number, "", home, shell])
            shadow.append([name, "!", *[""] * 7])
            group.append([name, "x", number, ""])
            _join(group, options.get("--groups", ""), name)
        elif "--lock" in command.argv:
            for row in shadow:
                if row[0] == name and len(row) > 1 and not row[1].startswith("!"):
                    row[1] = f"!{row[1]}"
        elif "--shell" in options:
            _set(passwd, name, 6, options["--shell"])
        elif "--groups" in options:
            _join(group, options["--groups"], name)
    tables = ((PASSWD, passwd), (SHADOW, shadow), (GROUP, group))
    return {path: "".join(f"{':'.join(row)}\n" for row in rows) for path, rows in tables}


def _is_known(command: RunCommand) -> bool:
    argv = command.argv
    if argv[0] == "useradd":
        return "--uid" in argv
    if argv[0] == "usermod":
        return any(word in argv for word in ("--lock", "--shell", "--append"))
    return argv[0] in ("chpasswd", "chage")


def _options(argv: Iterable[str]) -> dict[str, str]:
    """Long options with the word that follows them."""
    return {word: following for word, following in pairwise(argv) if word.startswith("--")}


def _rows(text: str) -> list[list[str]]:
    return [line.split(":") for line in text.splitlines() if line]


def _set(rows: list[list[str]], name: str, field: int, value: str) -> None:
    for row in rows:
        if row[0] == name and len(row) > field:
            row[field] = value


def _join(group: list[list[str]], names: str, member: str) -> None:
    for row in group:
        if row[0] in names.split(",") and len(row) > 3:
            members = [one for one in row[3].split(",") if one]
            row[3] = ",".join(dict.fromkeys((*members, member)))
