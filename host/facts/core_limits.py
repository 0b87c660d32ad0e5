"""How large a core dump may become: of logins (pam_limits), and of services (systemd)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.systemd_conf import Setting, parse_cat_config
from host.facts.unit_process import process_of
from host.facts.units import UNITS
from host.services import blocks

MAIN_FILE = "/etc/security/limits.conf"
FOLDER = "/etc/security/limits.d"

PROFILE = "/etc/profile"
PROFILES = "/etc/profile.d/*.sh"
_ULIMIT = re.compile(r"[ \t]*ulimit((?:[ \t]+-[HSc]+)+)[ \t]+(\w+)[ \t]*(?:(?:\d?>|[;#&|]).*)?")


class Limit(msgspec.Struct, frozen=True):
    """A line of limits.conf about core dumps. `hard` and `soft` say which of the two it sets."""

    who: str
    value: str
    hard: bool
    soft: bool
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Shell(msgspec.Struct, frozen=True):
    """A line "ulimit -c 0" of a login shell's profile. Without -S or -H it sets both limits."""

    value: str
    hard: bool
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Service(msgspec.Struct, frozen=True):
    """A running service: what its next start gives it, and what its main process has now.

    Values are bytes or "infinity"; `now_soft` and `now_hard` are "" where the process ended.
    `line` is what its unit or a drop-in says of LimitCORE, `None` where none does.
    """

    unit: str
    hard: str
    soft: str
    now_hard: str = ""
    now_soft: str = ""
    line: Setting | None = None

    @property
    def dumps(self) -> bool:
        """Whether a crash of its main process, as it runs now, leaves a dump."""
        return self.now_soft not in ("", "0")


class Shown(NamedTuple):
    """A service as `systemctl show` has it. `files`: its own file, then its drop-ins as they count.

    Shown("ssh.service", "infinity", "0", 116, ("/usr/lib/systemd/system/ssh.service",)).
    """

    unit: str
    hard: str
    soft: str
    main_pid: int
    files: tuple[str, ...] = ()


class Services(msgspec.Struct, frozen=True):
    """systemd's default for services that set nothing themselves, and what runs."""

    default_hard: str
    running: tuple[Service, ...]


def parse_limits(texts: Mapping[str, str]) -> tuple[Limit, ...]:
    """limits.conf(5): "* hard core 0", "@dev - core unlimited"; in the order of the files."""
    found = []
    for file, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            words = line.partition("#")[0].split()
            if len(words) == 4 and words[2].lower() == "core":
                kind = words[1].lower()
                if kind in ("hard", "soft", "-"):
                    hard, soft = kind != "soft", kind != "hard"
                    found.append(Limit(words[0], words[3], hard, soft, file, number))
    return tuple(found)


def parse_profile(path: str, text: str) -> list[Shell]:
    """Lines "ulimit -c 0" or "ulimit -S -c unlimited"; other forms are not looked at."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        match = _ULIMIT.fullmatch(line)
        if match and "c" in match[1]:
            hard = "H" in match[1] or "S" not in match[1]
            found.append(Shell(match[2], hard, path, number))
    return found


def hard_limit(limits: Sequence[Limit], who: str) -> Limit | None:
    """The line that decides the hard limit for exactly this subject: the last one."""
    return next((one for one in reversed(limits) if one.who == who and one.hard), None)


def parse_services(text: str) -> list[Shown]:
    """`systemctl show -p Id,LimitCORE,LimitCORESoft,MainPID,FragmentPath,DropInPaths UNITS`."""
    found = []
    for block in blocks(text):
        one = {key: values[0] for key, values in block.items()}
        if one.get("Id") and one.get("MainPID", "").isdigit():
            files = (one.get("FragmentPath", ""), *one.get("DropInPaths", "").split())
            found.append(
                Shown(
                    one["Id"], one.get("LimitCORE", ""), one.get("LimitCORESoft", ""),
                    int(one["MainPID"]), tuple(filter(None, files)),
                )
            )  # fmt: skip
    return found


def own_limit(texts: Mapping[str, str]) -> Setting | None:
    """Files of a unit, in the order in which they count: the line that decides LimitCORE=.

    `None` where there is none, or where the last one is empty, which takes those before it back.
    """
    found = None
    for file, text in texts.items():
        lines = parse_cat_config(f"# {file}\n{text}")
        found = lines.get(("Service", "LimitCORE"), found)
    return found if found is not None and found.value else None


def hard_part(value: str) -> str:
    """Of "infinity", "0", or "soft:hard" the hard limit; 0 in any unit is "0"."""
    hard = value.rpartition(":")[2].strip()
    return "0" if re.fullmatch(r"0+[KMGTPEB]?", hard) else hard


def parse_process(text: str) -> tuple[str, str]:
    """/proc/PID/limits: hard and soft "Max core file size", ("infinity", "0"); ("", "") if none."""
    for line in text.splitlines():
        name, _, rest = line.partition("Max core file size")
        words = rest.split()
        if not name and len(words) >= 2:
            soft, hard = (word.replace("unlimited", "infinity") for word in words[:2])
            return hard, soft
    return "", ""


def files_of(main: str, names: Iterable[str]) -> list[str]:
    """The files pam_limits reads, in order."""
    return [main, *(f"{FOLDER}/{name}" for name in sorted(names) if name.endswith(".conf"))]


def _limits(host: Host, facts: Facts) -> tuple[Limit, ...]:
    texts = {}
    for path in files_of(MAIN_FILE, host.listdir(FOLDER)):
        try:
            texts[path] = host.read_bytes(path).decode("utf-8", "replace")
        except HostError:
            continue
    return parse_limits(texts)


def _profiles(host: Host, facts: Facts) -> tuple[Shell, ...]:
    found: list[Shell] = []
    for path in (PROFILE, *host.glob(PROFILES)):
        try:
            found += parse_profile(path, host.read_bytes(path).decode("utf-8", "replace"))
        except HostError:
            continue
    return tuple(found)


def _services(host: Host, facts: Facts) -> Services:
    """Two questions: systemd shows its own properties and those of units apart."""
    if host.is_practice:
        raise FactUnavailable("the services of a practice host are pretended, and have no limits")
    default = host.run(("systemctl", "show", "--property=DefaultLimitCORE"), timeout_s=10)
    running = sorted(
        name
        for name, unit in facts.get(UNITS).items()
        if name.endswith(".service") and unit.sub == "running"
    )
    shown = ""
    if running:
        asked = "Id,LimitCORE,LimitCORESoft,MainPID,FragmentPath,DropInPaths"
        argv = ("systemctl", "show", f"--property={asked}", *running)
        shown = host.run(argv, timeout_s=10).stdout
    services = []
    for unit, hard, soft, main_pid, files in parse_services(shown):
        pid = process_of(host, unit, main_pid)
        line = own_limit({file: _text(host, file) for file in files})
        try:
            now = parse_process(host.read_bytes(f"/proc/{pid}/limits").decode())
        except HostError:
            now = ("", "")
        services.append(Service(unit, hard, soft, *now, line))
    return Services(default.stdout.strip().partition("=")[2], tuple(services))


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""  # a transient unit that just ended


LIMITS: Fact[tuple[Limit, ...]] = Fact("core-limits", _limits)
PROFILE_LIMITS: Fact[tuple[Shell, ...]] = Fact("core-profiles", _profiles)
"""In the order a login shell reads them: /etc/profile ends with those of profile.d, by name."""

SERVICES: Fact[Services] = Fact("core-services", _services)
