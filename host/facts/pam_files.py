"""The lines of /etc/pam.d, where each stands, and how one is edited. Pure but for the fact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts

PLACE: Final = "/etc/pam.d"
PROFILES: Final = "/usr/share/pam-configs"
"""What pam-auth-update(8) makes the common stacks from."""

_LINE: Final = re.compile(r"\s*-?(\w+)\s+(\[[^\]]*\]|\S+)\s+(\S+)[^\S\n]*(.*)", re.DOTALL)
_NO_SERVICE: Final = re.compile(r"~$|\.(dpkg-|ucf-|pam-|bak$|orig$)")


class PamLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a stack: file "/etc/pam.d/common-auth", number 17, type "auth", module
    "pam_unix.so", arguments ("nullok",). `is_split`: it goes on after a backslash."""

    file: str
    number: int
    type: str
    control: str
    module: str
    arguments: tuple[str, ...] = ()
    is_split: bool = False

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.number}"

    def value(self, name: str) -> str | None:
        """The value of an argument NAME=value, "" of a bare NAME; `None` where it is not there.

        Of several the last counts, as for the modules themselves.
        """
        found = None
        for word in self.arguments:
            key, _, value = word.partition("=")
            if key == name:
                found = value
        return found


def parse_pam(file: str, text: str) -> list[PamLine]:
    """Every module line of one file; comments, includes and what is no such line are left out."""
    found: list[PamLine] = []
    start, pending = 0, ""
    for number, raw in enumerate(text.split("\n"), 1):
        start = start if pending else number
        if raw.endswith("\\"):
            pending += raw[:-1] + " "
            continue
        line, is_split = (pending + raw).partition("#")[0], bool(pending)
        pending = ""
        parts = _LINE.fullmatch(line.rstrip())
        if not parts or line.lstrip().startswith("@") or parts[2] in ("include", "substack"):
            continue
        found.append(
            PamLine(
                file=file,
                number=start,
                type=parts[1].lower(),
                control=parts[2],
                module=parts[3].rpartition("/")[2],
                arguments=tuple(parts[4].split()),
                is_split=is_split,
            )
        )
    return found


def edited(text: str, line: PamLine, arguments: Iterable[str]) -> str:
    """`text` with the arguments of one line replaced; everything else stays byte for byte.

    The line must not be split. It looks as pam-auth-update(8) writes it, which leaves a space where
    no argument is left: so the file stays the same when that program runs again.
    """
    lines = text.split("\n")
    old = lines[line.number - 1]
    body, hash_sign, comment = old.partition("#")
    parts = _LINE.fullmatch(body.rstrip())
    if parts is None:
        return text
    head = body[: parts.end(3)]
    gap = body[parts.end(3) : parts.start(4)] or " "
    tail = " " if hash_sign else ""
    lines[line.number - 1] = f"{head}{gap}{' '.join(arguments)}{tail}{hash_sign}{comment}"
    return "\n".join(lines)


def with_arguments(
    arguments: Iterable[str], without: Iterable[str], values: Mapping[str, str]
) -> list[str]:
    """The arguments, those named in `without` gone, NAME=value of `values` in their place."""
    gone, left, kept = set(without), dict(values), []
    for word in arguments:
        key = word.partition("=")[0]
        if key in gone:
            continue
        if key in values:
            if key in left:
                kept.append(f"{key}={left.pop(key)}")
            continue
        kept.append(word)
    return kept + [f"{key}={value}" for key, value in left.items()]


def _pam_files(host: Host, facts: Facts) -> dict[str, str]:
    found = {}
    for name in host.listdir(PLACE):
        path = f"{PLACE}/{name}"
        state = host.state(path)
        if state is not None and state.kind == "file" and not _NO_SERVICE.search(name):
            found[path] = host.read_bytes(path).decode("utf-8", "surrogateescape")
    return found


PAM_FILES: Fact[dict[str, str]] = Fact("pam-files", _pam_files)
"""Path to text of every service and of what they include: {"/etc/pam.d/sshd": "# PAM …"}."""
