"""The Defaults of sudo: what it says that holds for root, and the lines that say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.sudoers import MAIN

_HEAD: Final = re.compile(r"Matching Defaults entries for \S+ on \S+:")
_INCLUDE: Final = re.compile(r'\s*[@#](include|includedir)\s+"?([^"\s]+)"?\s*')
_DEFAULTS: Final = re.compile(r'\s*Defaults([@:!>](?:\s*"[^"]*"|[^\s"]+))?\s+(.*)')
_ENTRY: Final = re.compile(r'(!*)\s*([a-z_]+)\s*(?:[+-]?=\s*(?:"([^"]*)"|((?:\\.|[^,\\])*)))?')
_COMMENT: Final = re.compile(r'(?:^|(?<=\s))#[^"]*$')
_DEEPEST: Final = 16


class DefaultsLine(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: key "logfile", value "/var/log/sudo.log" ("" for a flag), `negated` for
    !use_pty, `bound` to ":alice" or the like, "" where it holds for all."""

    key: str
    value: str = ""
    negated: bool = False
    bound: str = ""
    origin: str = ""


class SudoDefaults(msgspec.Struct, frozen=True):
    """`holding` is what `sudo -l -U root` said: {"use_pty": "", "logfile": "/var/log/sudo.log"};
    `lines` every setting of the files in the order sudo reads them; `texts` path to content."""

    holding: dict[str, str]
    lines: tuple[DefaultsLine, ...] = ()
    texts: dict[str, str] = {}


def parse_matching(text: str) -> dict[str, str] | None:
    """`sudo -l -U root`: what stands under "Matching Defaults entries for root on …:".

    "    env_reset, secure_path=/usr/sbin\\:/usr/bin, use_pty" gives {"env_reset": "",
    "secure_path": "/usr/sbin:/usr/bin", "use_pty": ""}. Every line of sudoers is told in its order,
    so a later "!use_pty" takes it away. `None` where sudo did not say.
    """
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    if not any(_HEAD.match(line) for line in lines):
        return None
    block = []
    for line in lines:
        if not line.startswith((" ", "\t")):
            break
        block.append(line.strip())
    for word in re.split(r"(?<!\\),\s*", " ".join(block)):
        key, _, value = word.strip().partition("=")
        if key.startswith("!"):
            found.pop(key[1:], None)
        elif re.fullmatch(r"[a-z_]+", key):
            found[key] = re.sub(r"\\(.)", r"\1", value).strip('"')
    return found


def read_sudoers(
    read: Callable[[str], str | None], listdir: Callable[[str], Sequence[str]], main: str = MAIN
) -> tuple[list[DefaultsLine], dict[str, str]]:
    """Every Defaults setting in the order sudo reads them, and path to text of what it reads."""
    texts: dict[str, str] = {}
    lines = [
        entry
        for path, number, line in _walk(read, listdir, main, texts, 0)
        for entry in parse_defaults(line, f"{path}:{number}")
    ]
    return lines, texts


def parse_defaults(line: str, origin: str) -> list[DefaultsLine]:
    """The settings of one line, whatever it is bound to; none where it is no Defaults line."""
    parts = _DEFAULTS.fullmatch(line)
    if not parts:
        return []
    found = []
    for entry in _ENTRY.finditer(parts[2]):
        value = entry[3] if entry[3] is not None else (entry[4] or "").strip()
        found.append(
            DefaultsLine(
                key=entry[2],
                value=re.sub(r"\\(.)", r"\1", value),
                negated=len(entry[1]) % 2 == 1,
                bound=(parts[1] or "").strip(),
                origin=origin,
            )
        )
    return found


def _walk(
    read: Callable[[str], str | None],
    listdir: Callable[[str], Sequence[str]],
    path: str,
    texts: dict[str, str],
    depth: int,
) -> Iterator[tuple[str, int, str]]:
    """(path, number, line), what a line includes in its place."""
    text = read(path)
    if text is None or depth > _DEEPEST:
        return
    texts[path] = text
    for number, line in _whole_lines(text):
        found = _INCLUDE.fullmatch(line)
        if not found:
            yield path, number, line
            continue
        target = found[2] if found[2].startswith("/") else f"{path.rpartition('/')[0]}/{found[2]}"
        if found[1] == "include":
            yield from _walk(read, listdir, target, texts, depth + 1)
            continue
        for name in sorted(listdir(target)):
            if "." not in name and not name.endswith("~"):
                yield from _walk(read, listdir, f"{target}/{name}", texts, depth + 1)


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with what a backslash joins put together, comments gone ("#includedir" is none)."""
    start, pending = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        start = start if pending else number
        if raw.endswith("\\") and not raw.endswith("\\\\"):
            pending += raw[:-1] + " "
            continue
        line, pending = pending + raw, ""
        yield start, line if _INCLUDE.fullmatch(line) else _COMMENT.sub("", line).rstrip()


def _sudo_defaults(host: Host, facts: Facts) -> SudoDefaults:
    if not host.is_root:
        raise FactUnavailable("sudo tells its settings for root to root only")
    try:
        answer = host.run(["sudo", "-l", "-U", "root"], timeout_s=10, ok=None)
    except CommandMissing:
        raise FactUnavailable("sudo is not installed") from None
    holding = parse_matching(answer.stdout)
    if holding is None:
        said = (answer.stderr.strip() or answer.stdout.strip() or "nothing").splitlines()[0]
        raise FactUnavailable(f"`sudo -l -U root` does not tell its settings (it said: {said})")
    lines, texts = read_sudoers(reader(host), host.listdir)
    return SudoDefaults(holding, tuple(lines), texts)


def reader(host: Host) -> Callable[[str], str | None]:
    """Gives a file's text, `None` where it cannot be read."""

    def read(path: str) -> str | None:
        try:
            return host.read_bytes(path).decode("utf-8", "surrogateescape")
        except HostError:
            return None

    return read


SUDO_DEFAULTS: Fact[SudoDefaults] = Fact("sudo-defaults", _sudo_defaults)
