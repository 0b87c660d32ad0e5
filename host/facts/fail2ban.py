"""fail2ban: what the running server says, what its files amount to, and which line decides."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from host.base import CommandMissing, CommandTimeout, Host
from host.facts.base import Fact, Facts, FactUnavailable

DIRECTORY: Final = "/etc/fail2ban"
SETTINGS: Final = ("maxretry", "findtime", "bantime")
MAIL_ONLY: Final = ("typo3-first", "idoit-first")
"""Jails of ours that mail and turn nobody away, although fail2ban calls it a ban."""
_PROMPT: Final = "fail2ban> "
_NOT_RUNNING: Final = "Failed to access socket path"


class Jail(msgspec.Struct, frozen=True, kw_only=True):
    """A jail, running or as configured. Times in seconds, -1 for ever.

    `watches` is what it reads: log files, or journal matches ("_SYSTEMD_UNIT=ssh.service + …").
    `backend` and `ports` ("22,2222", or names) are known of a configured jail only.
    """

    maxretry: int | None = None
    findtime: int | None = None
    bantime: int | None = None
    ignored: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    backend: str = ""
    ports: str = ""

    @property
    def is_blind(self) -> bool:
        """Configured to read log files, of which there is none: fail2ban refuses to start."""
        return self.backend != "systemd" and not self.watches


class Line(msgspec.Struct, frozen=True):
    """A value as a configuration file has it, uninterpreted."""

    value: str
    origin: str


Sources = dict[tuple[str, str], list[Line]]
"""(section, option) -> its lines in the order fail2ban reads them: the last one wins."""


def parse_interactive(text: str, jails: Sequence[str]) -> dict[str, Jail]:
    """The answers of `fail2ban-client -i` to the questions of `questions(jails)`.

    Each answer follows a prompt; a jail that does not run has none. Lists look like
    "These IP addresses/networks are ignored:\\n|- 127.0.0.0/8\\n`- ::1".
    """
    answers = text.split(_PROMPT)[1:]
    found: dict[str, Jail] = {}
    for index, name in enumerate(jails):
        mine = answers[index * _PER_JAIL : (index + 1) * _PER_JAIL]
        if len(mine) < _PER_JAIL or "does not exist" in mine[0]:
            continue
        numbers = [_number(answer) for answer in mine[:3]]
        journal = mine[5].strip().splitlines()[1:]
        found[name] = Jail(
            maxretry=numbers[0],
            findtime=numbers[1],
            bantime=numbers[2],
            ignored=_listed(mine[3]),
            watches=(*_listed(mine[4]), *(line.strip() for line in journal)),
            actions=tuple(mine[6].strip().splitlines()[1:]),
        )
    return found


_QUESTIONS: Final = (*SETTINGS, "ignoreip", "logpath", "journalmatch", "actions")
_PER_JAIL: Final = len(_QUESTIONS)


def questions(jails: Sequence[str]) -> bytes:
    """What to ask `fail2ban-client -i` for all jails: one process instead of one per value."""
    lines = [f"get {jail} {what}\n" for jail in jails for what in _QUESTIONS]
    return "".join(lines).encode()


def _number(text: str) -> int | None:
    found = re.fullmatch(r"-?\d+", text.strip())
    return int(found[0]) if found else None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"^[|`]- (.+)$", text, re.MULTILINE))


def parse_dump(text: str) -> dict[str, Jail]:
    """`fail2ban-client -d`: one Python list a line, ['set', 'sshd', 'maxretry', 5], …"""
    started: list[str] = []
    jails: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        try:
            command = ast.literal_eval(line.strip())
        except (ValueError, SyntaxError):
            continue  # a warning among the commands
        match command:
            case ["start", name]:
                started.append(name)
            case ["add", name, backend]:
                jails.setdefault(name, {})["backend"] = backend
            case ["set", name, "addignoreip" | "addaction" as option, *values]:
                jails.setdefault(name, {}).setdefault(option, []).extend(values)
            case ["set", name, "addlogpath", path, *_]:
                jails.setdefault(name, {}).setdefault("addlogpath", []).append(path)
            case ["set", name, "addjournalmatch", *words]:
                jails.setdefault(name, {}).setdefault("journal", []).append(" ".join(words))
            case ["set", name, option, value]:
                jails.setdefault(name, {})[option] = value
            case ["multi-set", name, "action", _, settings]:
                ports = [pair[1] for pair in settings if pair[0] == "port"]
                jails.setdefault(name, {}).setdefault("ports", []).extend(ports)
    return {name: _configured(jails.get(name, {})) for name in started}


def _configured(values: dict[str, Any]) -> Jail:
    backend = str(values.get("backend", ""))
    return Jail(
        maxretry=_number(str(values.get("maxretry", ""))),
        findtime=seconds(str(values.get("findtime", ""))),
        bantime=seconds(str(values.get("bantime", ""))),
        ignored=tuple(values.get("addignoreip", ())),
        watches=tuple(values.get("journal" if backend == "systemd" else "addlogpath", ())),
        actions=tuple(values.get("addaction", ())),
        backend=backend,
        ports=next(iter(values.get("ports", ())), ""),
    )


_UNITS: Final = {
    "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "mo": 2629746, "y": 31556952,
}  # fmt: skip


def seconds(text: str) -> int | None:
    """ "10m", "1h 30m" or "600" as seconds, -1 for any negative; `None` for anything else."""
    text = text.strip().lower()
    if re.fullmatch(r"-\d+", text):
        return -1
    parts = re.findall(r"(\d+)\s*([a-z]*)", text)
    if not parts or re.sub(r"(\d+)\s*([a-z]*)\s*", "", text):
        return None
    total = 0
    for number, unit in parts:
        short = unit[:2] if unit[:2] == "mo" else unit[:1]
        if short not in _UNITS:
            return None
        total += int(number) * _UNITS[short]
    return total


def parse_ini(text: str, path: str) -> Sources:
    """One of fail2ban's files: {("sshd", "maxretry"): [Line("3", "/etc/fail2ban/jail.local:7")]}.

    A line that begins with space goes on the value before it.
    """
    found: Sources = {}
    section, option = "DEFAULT", ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip()
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        if raw[0].isspace() and option:
            last = found[section, option][-1]
            joined = Line(f"{last.value} {line.strip()}".strip(), last.origin)
            found[section, option][-1] = joined
            continue
        header = re.fullmatch(r"\[([^\]]+)\]\s*", line)
        if header:
            section, option = header[1].strip(), ""
            continue
        name, separator, value = line.partition("=")
        if separator:
            option = name.strip().lower()
            value = re.sub(r"\s[;#].*$", "", value).strip()
            found.setdefault((section, option), []).append(Line(value, f"{path}:{number}"))
    return found


def deciding(sources: Sources, jail: str, option: str) -> Line | None:
    """The line that decides: the jail's own last one, else the last of [DEFAULT]."""
    for section in (jail, "DEFAULT"):
        lines = sources.get((section, option))
        if lines:
            return lines[-1]
    return None


def files_in_order(host: Host) -> list[str]:
    """jail.conf, jail.d/*.conf, jail.local, jail.d/*.local: as fail2ban reads them."""
    found = [f"{DIRECTORY}/jail.conf", *host.glob(f"{DIRECTORY}/jail.d/*.conf")]
    found += [f"{DIRECTORY}/jail.local", *host.glob(f"{DIRECTORY}/jail.d/*.local")]
    return [path for path in found if host.state(path) is not None]


def _sources(host: Host, facts: Facts) -> Sources:
    found: Sources = {}
    for path in files_in_order(host):
        text = host.read_bytes(path).decode("utf-8", "replace")
        for key, lines in parse_ini(text, path).items():
            found.setdefault(key, []).extend(lines)
    return found


def enabled(sources: Sources) -> tuple[str, ...]:
    """The jails that any file enables."""
    return tuple(
        dict.fromkeys(
            section
            for (section, option), lines in sources.items()
            if option == "enabled" and section != "DEFAULT"
            and any(line.value.lower() in ("true", "yes", "on", "1") for line in lines)
        )
    )  # fmt: skip


def _running(host: Host, facts: Facts) -> dict[str, Jail] | None:
    names = enabled(facts.get(FAIL2BAN_SOURCES))
    try:
        answer = host.run(("fail2ban-client", "-i"), stdin=questions(names), ok=None)
    except CommandMissing:
        return None
    except CommandTimeout as error:
        raise FactUnavailable(f"fail2ban does not answer: {error}") from None
    if "Permission denied" in answer.stderr:
        raise FactUnavailable("fail2ban answers root only")
    if _NOT_RUNNING in answer.stderr or _PROMPT not in answer.stdout:
        return None
    return parse_interactive(answer.stdout, names)


def _configuration(host: Host, facts: Facts) -> dict[str, Jail] | None:
    try:
        answer = host.run(("fail2ban-client", "-d"), ok=None)
    except CommandMissing:
        return None
    if not answer.ok:
        lines = [x for x in answer.stderr.splitlines() if "ERROR" in x] or ["no reason given"]
        reason = lines[-1].rpartition("ERROR")[2].strip()
        raise FactUnavailable(f"fail2ban's configuration is not valid: {reason}")
    return parse_dump(answer.stdout)


FAIL2BAN_CONFIGURATION: Fact[dict[str, Jail] | None] = Fact(
    "fail2ban-configuration", _configuration
)
"""The jails a start of fail2ban would run; `None` where it is not installed."""

FAIL2BAN_SOURCES: Fact[Sources] = Fact("fail2ban-sources", _sources)

FAIL2BAN_RUNNING: Fact[dict[str, Jail] | None] = Fact("fail2ban-running", _running)
"""The jails that run, of those that a file enables; `None` where the server does not run or is not
installed. One question for all steps: fail2ban's client takes a fifth of a second."""
