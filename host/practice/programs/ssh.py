"""sshd -t and -T: the first value wins, Include in place, Match by what -C says."""

from __future__ import annotations

import fnmatch
import re

from host.practice.machine import Machine
from host.practice.programs.answer import Answer
from host.practice.programs.sshd_defaults import DEFAULTS, REPEATED

MAIN = "/etc/ssh/sshd_config"


def sshd(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """-t, -T, -ddd -T, with -f, -o and -C."""
    main, given, connection = MAIN, [], {}
    rest = iter(args)
    for word in rest:
        if word == "-f":
            main = next(rest)
        elif word == "-o":
            given.append(next(rest).replace("=", " ", 1))
        elif word == "-C":
            connection = dict(pair.split("=", 1) for pair in next(rest).split(",") if "=" in pair)
    settings: dict[str, list[str]] = {}
    trace: list[str] = []
    problem = ""
    for line in given:
        problem = problem or _set(line, settings, trace, "command line", 0)
    problem = problem or _read(machine, main, settings, trace, connection, _Match())
    if problem:
        return Answer(255, "", f"{problem}\n")
    if "-T" not in args:
        return Answer()
    merged = {**DEFAULTS, **{name: " ".join(values) for name, values in settings.items()}}
    port = merged["port"].split()[0]
    merged["listenaddress"] = f"[::]:{port}"
    out = []
    for name, value in merged.items():
        values = settings.get(name, [value]) if name in REPEATED else [value]
        out += [f"{name} {one}" for one in values]
    return Answer(0, "\n".join(out) + "\n", "\n".join(trace) + "\n" if "-ddd" in args else "")


class _Match:
    """Whether the lines now read are for this connection; a file's Match ends with the file."""

    def __init__(self, open_: bool = True) -> None:
        self.open = open_


def _read(
    machine: Machine,
    file: str,
    settings: dict[str, list[str]],
    trace: list[str],
    connection: dict[str, str],
    match: _Match,
) -> str:
    if machine.files.state(file) is None:
        return f"{file}: No such file or directory"
    for number, raw in enumerate(machine.text(file).splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        word, rest = _words(line)
        if word == "match":
            match.open = _matches(rest, connection)
        elif not match.open:
            continue
        elif word == "include":
            for pattern in rest.split():
                full = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
                for path in machine.files.glob(full):
                    problem = _read(machine, path, settings, trace, connection, _Match(match.open))
                    if problem:
                        return problem
        else:
            problem = _set(line, settings, trace, file, number)
            if problem:
                return problem
    return ""


def _set(
    line: str, settings: dict[str, list[str]], trace: list[str], file: str, number: int
) -> str:
    word, value = _words(line)
    if word not in DEFAULTS and word not in (
        "allowusers",
        "allowgroups",
        "denyusers",
        "denygroups",
    ):
        return f"{file}: line {number}: Bad configuration option: {line.split()[0]}"
    if value == "":
        return f"{file} line {number}: no argument after keyword"
    if word in REPEATED or word not in settings:
        settings.setdefault(word, []).append(value)
    trace.append(f"debug3: {file}:{number} setting {line.split()[0]} {value}")
    return ""


def _words(line: str) -> tuple[str, str]:
    found = re.match(r"(\S+?)(?:\s*=\s*|\s+|$)(.*)", line)
    assert found is not None
    return found.group(1).lower(), found.group(2).split(" #")[0].strip().strip('"')


def _matches(criteria: str, connection: dict[str, str]) -> bool:
    words = criteria.split()
    if [word.lower() for word in words] == ["all"]:
        return True
    if not connection:
        return False
    keys = {"user": "user", "address": "addr", "host": "host", "localport": "lport"}
    for kind, patterns in zip(words[::2], words[1::2], strict=False):
        value = connection.get(keys.get(kind.lower(), ""))
        if value is None or not any(fnmatch.fnmatchcase(value, one) for one in patterns.split(",")):
            return False
    return True
