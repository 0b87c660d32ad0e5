"""What logrotate would rotate, asked of logrotate itself."""

from __future__ import annotations

import re

import msgspec

from host.base import CommandMissing, Host
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.texts import read_texts

MAIN = "/etc/logrotate.conf"
FOLDER = "/etc/logrotate.d"
ASK = ("logrotate", "-d", MAIN)
TIMEOUT_S = 20.0

_RULE = "rotating pattern: "
_HOW = re.compile(
    r"(?<!\S)((?:after|weekly|daily|monthly|hourly|yearly|forced|[0-9]+ bytes|empty)(?!\S).*)"
)
_ERROR = re.compile(r"(?:^|\s)error: (.*)")


class Rotation(msgspec.Struct, frozen=True):
    """`patterns`: each word of a rule -> how it rotates ("weekly (12 rotations)"); `errors` as
    logrotate says them."""

    patterns: dict[str, str] = {}
    errors: tuple[str, ...] = ()


def parse_debug(text: str) -> Rotation:
    """The output of `logrotate -d`.

    "rotating pattern: /var/log/a/*.log /var/log/b.log  weekly (4 rotations)" names the words of a
    rule; "error: skipping "/srv/x.log" because parent directory has insecure permissions …" what
    it will not do.
    """
    patterns: dict[str, str] = {}
    errors = []
    words: list[str] | None = None
    for line in text.splitlines():
        if line.startswith(_RULE):
            words, line = [], line.removeprefix(_RULE)
        if words is not None:
            how = _HOW.search(line)
            words += line[: how.start()].split() if how else line.split()
            if how:
                patterns.update({w.strip('"'): how[1].strip() for w in words if w not in patterns})
                words = None
        wrong = _ERROR.search(line)
        if wrong:
            errors.append(wrong[1].strip())
    return Rotation(patterns, tuple(dict.fromkeys(errors)))


def origin_of(pattern: str, texts: dict[str, str]) -> str:
    """The file and line that names a pattern; empty where none does."""
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if pattern in [word.strip('"') for word in line.split()]:
                return f"{path}:{number}"
    return ""


def _rotation(host: Host, facts: Facts) -> Rotation:
    if not host.is_root:
        raise FactUnavailable("what logrotate would do can be asked by root only")
    try:
        answer = host.run(ASK, ok=None, timeout_s=TIMEOUT_S)
    except CommandMissing:
        return Rotation()
    return parse_debug(f"{answer.stdout}\n{answer.stderr}")


def _texts(host: Host, facts: Facts) -> dict[str, str]:
    return read_texts(host, (MAIN, f"{FOLDER}/*"))


LOGROTATE: Fact[Rotation] = Fact("logrotate", _rotation)
LOGROTATE_FILES: Fact[dict[str, str]] = Fact("logrotate-files", _texts)
"""Path -> text of the main file and what it includes."""
