"""What shells of people are told when they start: the umask and how long they may stand idle."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts
from host.facts.shell_umask import parse_umasks

PROFILE: Final = "/etc/profile"
PARTS: Final = "/etc/profile.d"
BASHRC: Final = "/etc/bash.bashrc"
_IDLE: Final = re.compile(
    r"[ \t]*(?P<how>readonly[ \t]+|export[ \t]+|typeset -r[ \t]+)?TMOUT=(?P<seconds>\d{1,6})\b.*",
    re.ASCII,
)


class Said(msgspec.Struct, frozen=True):
    """A line: `what` is "umask" or "TMOUT", `value` its number (octal digits read), `fixed` where a
    person cannot change it again."""

    what: str
    value: int
    origin: str
    fixed: bool = False


def parse_session(path: str, text: str) -> list[Said]:
    """Lines such as "    umask 077" and "readonly TMOUT=900", the umasks first; other forms are not
    looked at."""
    found = [Said("umask", mask, origin) for origin, mask in parse_umasks(path, text)]
    for number, line in enumerate(text.split("\n"), 1):
        idle = _IDLE.fullmatch(line)
        if idle:
            fixed = (idle["how"] or "").startswith(("readonly", "typeset"))
            found.append(Said("TMOUT", int(idle["seconds"]), f"{path}:{number}", fixed))
    return found


class ShellSession(msgspec.Struct, frozen=True):
    """`texts`: path to text of /etc/profile and its parts, in the order in which a login shell
    reads them, and of /etc/bash.bashrc; what is not there is left out."""

    texts: dict[str, str]

    def login(self) -> list[Said]:
        """What a login shell is told, in order."""
        return [
            said
            for path, text in self.texts.items()
            if path != BASHRC
            for said in parse_session(path, text)
        ]

    def interactive(self) -> list[Said]:
        """What a shell without login is told, as in a terminal of tmux that is none."""
        return parse_session(BASHRC, self.texts.get(BASHRC, ""))


def last(lines: list[Said], what: str) -> Said | None:
    """The one that counts."""
    found = [one for one in lines if one.what == what]
    return found[-1] if found else None


def _shell_session(host: Host, facts: Facts) -> ShellSession:
    names = sorted(name for name in host.listdir(PARTS) if name.endswith(".sh"))
    texts = {}
    for path in (PROFILE, *(f"{PARTS}/{name}" for name in names), BASHRC):
        try:
            texts[path] = host.read_bytes(path).decode("utf-8", "surrogateescape")
        except HostError:
            continue  # absent, or not ours to read
    return ShellSession(texts)


SHELL_SESSION: Fact[ShellSession] = Fact("shell-session", _shell_session)
