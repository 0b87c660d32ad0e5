"""What shells of people are told when they start: the umask and how long they may stand idle."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Container, Iterator, Sequence
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts
from host.facts.shell_commands import Command, literal, parse_commands
from host.facts.shell_umask import parse_umasks

PROFILE: Final = "/etc/profile"
PARTS: Final = "/etc/profile.d"
BASHRC: Final = "/etc/bash.bashrc"
_RUN_PARTS: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]*\.sh", re.ASCII)
"""What the /etc/profile of trixie lets run-parts(8) look for."""

_DECLARES: Final = {
    "readonly": "aAfnp", "export": "aAfnp",
    "declare": "acfgilnprtuxAFIG", "typeset": "acfgilnprtuxAFIG",
}  # fmt: skip
"""Builtins that set variables, with the letters of bash 5.2: with any other they do nothing."""

_SETS: Final = frozenset("read printf let eval mapfile readarray getopts".split())
_ASSIGNS: Final = re.compile(r"[A-Za-z_]\w*(?:\[[^]]*\])?\+?=", re.ASCII)
_SECONDS: Final = re.compile(r"[1-9]\d{0,8}", re.ASCII)
UNKNOWN: Final = "something that only a shell can tell"


class Said(msgspec.Struct, frozen=True):
    """A line that sets the umask: its number (octal digits read), and where it stands."""

    value: int
    origin: str


class Idle(msgspec.Struct, frozen=True):
    """TMOUT at the end: its text, `None` for none; `fixed` where a person cannot change it again,
    since the line `origin`."""

    text: str | None = None
    fixed: bool = False
    origin: str = ""

    @property
    def seconds(self) -> int:
        """0 for never, and for what is no number."""
        return int(self.text) if self.text and _SECONDS.fullmatch(self.text) else 0


def idle_after(idle: Idle, words: Sequence[str], origin: str) -> Idle:
    """What TMOUT is once a command was run: `readonly TMOUT=900 X=1`, `declare -rx TMOUT=900`,
    `TMOUT=900`, `readonly TMOUT`, `unset TMOUT`, …; what is fixed stays as it is."""
    if idle.fixed:
        return idle
    if all(_ASSIGNS.match(word) for word in words):
        for word in words:
            if re.match(r"TMOUT\b", word):
                text = literal(word.removeprefix("TMOUT="))
                known = text is not None and word.startswith("TMOUT=")
                idle = Idle(text if known else UNKNOWN, False, origin)
        return idle
    first, *rest = itertools.dropwhile(_ASSIGNS.match, words)
    first = literal(first) or first
    if first in _DECLARES:
        return _declared(idle, first, rest, origin)
    if first == "unset":
        return _unset(idle, rest, origin)
    if first in _SETS or first.startswith("(("):
        named = any("TMOUT" in word for word in words)
        return Idle(UNKNOWN, first == "eval", origin) if named else idle
    return idle


def _unset(idle: Idle, words: Sequence[str], origin: str) -> Idle:
    if "TMOUT" not in map(literal, words):
        return idle
    options = ""
    for word in words:  # up to the first name; behind it, and behind "--", all are names
        if word == "--" or not re.fullmatch(r"-[A-Za-z]+", word):
            break
        options += word[1:]
    if set(options) - set("fvn") or "f" in options:
        return idle
    return Idle(UNKNOWN, False, origin) if "n" in options else Idle()


def _declared(idle: Idle, builtin: str, words: Sequence[str], origin: str) -> Idle:
    """A TMOUT that is no plain variable (an array, a name of another) is taken for fixed: no later
    line is known to change what a shell makes of it."""
    rest = list(words)
    on, off = "", ""
    declares = builtin in ("declare", "typeset")
    signs = "+-" if declares else "-"
    while rest and (option := re.fullmatch(rf"-(-)|([{signs}])([A-Za-z]+)", rest[0])):
        del rest[0]
        if option[1]:
            break
        on, off = (on + option[3], off) if option[2] == "-" else (on, off + option[3])
    if set(on + off) - set(_DECLARES[builtin]) or "f" in (on + off).lower():
        return idle
    if declares and "p" in on:
        return idle
    final = "r" in on and "r" not in off if declares else builtin == "readonly" and "n" not in on
    odd = bool(set(on) & set("aAn" if declares else "aA"))
    for word in rest:
        plain = literal(word)
        name, given, text = (plain or word).partition("=")
        if idle.fixed or "TMOUT" not in word or (name != "TMOUT" and re.fullmatch(r"\w+", name)):
            continue
        if name != "TMOUT" or (given and plain is None) or odd:
            idle = Idle(UNKNOWN, final or odd, origin)
        elif given:
            idle = Idle(text, final, origin)
        elif final:
            idle = Idle(idle.text, True, origin)
    return idle


class ShellSession(msgspec.Struct, frozen=True):
    """`texts`: path to text of /etc/profile and its parts, in the order in which a login shell
    reads them, and of /etc/bash.bashrc; what is not there is left out."""

    texts: dict[str, str]

    def login(self) -> list[Said]:
        """What a login shell is told of the umask, in order."""
        return [
            said
            for path, text in self.texts.items()
            if path != BASHRC
            for said in parse_session(path, text)
        ]

    def interactive(self) -> list[Said]:
        """What a shell without login is told, as in a terminal of tmux that is none."""
        return parse_session(BASHRC, self.texts.get(BASHRC, ""))

    def idle(self, sure: Container[str] = ()) -> frozenset[Idle]:
        """What TMOUT can be when a login shell of a person shows its prompt: several, where it
        depends on a condition. The conditions of the files in `sure` hold."""
        found = {Idle()}
        for path, command in self._read():
            origin = f"{path}:{command.line}"
            after = {idle_after(idle, command.words, origin) for idle in found}
            found = after | found if command.perhaps and path not in sure else after
        return frozenset(found)

    def _read(self) -> Iterator[tuple[str, Command]]:
        """The commands in the order in which bash reads the files: /etc/profile reads
        /etc/bash.bashrc where it says so, then the parts, and has its own lines around them."""
        parts = sorted(path for path in self.texts if path.startswith(f"{PARTS}/"))
        pending = True
        for command in _reached(self.texts.get(PROFILE, "")):
            if command.words[0] not in (".", "source"):
                yield PROFILE, command
            elif literal(command.words[-1]) == BASHRC:
                yield from ((BASHRC, one) for one in _reached(self.texts.get(BASHRC, "")))
            elif "$" in command.words[-1] and pending:
                pending = False
                for path in parts:
                    yield from ((path, one) for one in _reached(self.texts[path]))
        for path in parts if pending else ():
            yield from ((path, one) for one in _reached(self.texts[path]))


def _reached(text: str) -> Iterator[Command]:
    """The commands of a file up to the one that leaves it; behind one that may, all are perhaps."""
    perhaps = False
    for command in parse_commands(text):
        if command.words[0] not in ("return", "exit"):
            yield msgspec.structs.replace(command, perhaps=perhaps or command.perhaps)
        elif command.perhaps:
            perhaps = True
        else:
            return


def parse_session(path: str, text: str) -> list[Said]:
    """Lines such as "    umask 077"; other forms are not looked at."""
    return [Said(mask, origin) for origin, mask in parse_umasks(path, text)]


def last(lines: list[Said]) -> Said | None:
    """The one that counts."""
    return lines[-1] if lines else None


def _shell_session(host: Host, facts: Facts) -> ShellSession:
    texts: dict[str, str] = {}

    def read(path: str) -> None:
        with contextlib.suppress(HostError):  # absent, or not ours to read
            texts[path] = host.read_bytes(path).decode("utf-8", "surrogateescape")

    read(PROFILE)
    strict = "run-parts" in texts.get(PROFILE, "")
    for name in sorted(host.listdir(PARTS)):
        hidden = not _RUN_PARTS.fullmatch(name) if strict else name.startswith(".")
        if name.endswith(".sh") and not hidden:
            read(f"{PARTS}/{name}")
    read(BASHRC)
    return ShellSession(texts)


SHELL_SESSION: Fact[ShellSession] = Fact("shell-session", _shell_session)
