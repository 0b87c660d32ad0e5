"""fail2ban: jails from its files; what runs is what was read at the last start or reload."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable

from host.practice.machine import Machine
from host.practice.programs.answer import Answer

FOLDER = "/etc/fail2ban"
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def client(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """-t, -d, -i, ping, status, banned, get, set (banip, unbanip), reload."""
    if "-t" in args or "--test" in args:
        return Answer(0, "OK: configuration test is successful\n")
    if "-d" in args:
        return Answer(0, _dump(configured(machine)))
    unit = machine.memory.units.get("fail2ban.service")
    if unit is None or not unit.active:
        return Answer(255, "", "ERROR  Failed to access socket path: is fail2ban running?\n")
    if "-i" in args:
        out = "Fail2Ban v1.0.2 reads log file that contains password failure report\n"
        for line in stdin.decode().splitlines():
            asked = line.split()
            said = _banned(machine) if asked == ["banned"] else _get(machine, asked)
            out += f"fail2ban> {said}\n"
        return Answer(0, out + "fail2ban> ")
    words = [word for word in args if not word.startswith("-")]
    if words[:1] == ["ping"]:
        return Answer(0, "Server replied: pong\n")
    if words[:1] == ["get"]:
        return Answer(0, _get(machine, words) + "\n")
    if words[:1] in (["reload"], ["restart"]):
        machine.reload("fail2ban.service")
        return Answer(0, "OK\n")
    jails = machine.memory.jails
    if words == ["banned"]:
        return Answer(0, _banned(machine) + "\n")
    if words[:1] == ["set"] and len(words) == 4 and words[1] in jails:
        return _set(jails[words[1]], words[2], words[3])
    if words[:1] == ["status"] and len(words) == 1:
        return Answer(0, f"Status\n|- Number of jail:\t{len(jails)}\n"
                         f"`- Jail list:\t{', '.join(sorted(jails))}\n")  # fmt: skip
    if words[:1] == ["status"] and words[1] in jails:
        return Answer(0, f"Status for the jail: {words[1]}\n")
    return Answer(255, "", f"Sorry but the jail '{words[-1]}' does not exist\n")


def _banned(machine: Machine) -> str:
    return repr([{name: jail.get("banned", "").split()}
                 for name, jail in machine.memory.jails.items()])  # fmt: skip


def _set(jail: dict[str, str], what: str, address: str) -> Answer:
    held = jail.get("banned", "").split()
    if what == "banip" and address not in held:
        held.append(address)
    elif what == "unbanip" and address in held:
        held.remove(address)
    else:
        return Answer(0, "0\n")
    jail["banned"] = " ".join(held)
    return Answer(0, "1\n")


def configured(machine: Machine) -> dict[str, dict[str, str]]:
    """The enabled jails as the files say: jail.conf, jail.d/*.conf, jail.local, jail.d/*.local."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",),
                                       inline_comment_prefixes=None)  # fmt: skip
    files = [f"{FOLDER}/jail.conf", *machine.files.glob(f"{FOLDER}/jail.d/*.conf"),
             f"{FOLDER}/jail.local", *machine.files.glob(f"{FOLDER}/jail.d/*.local")]  # fmt: skip
    for file in files:
        parser.read_string(machine.text(file))
    return {
        name: dict(parser[name])
        for name in parser.sections()
        if parser[name].get("enabled", "false").lower() == "true"
    }


def _get(machine: Machine, words: list[str]) -> str:
    jail = machine.memory.jails.get(words[1])
    if jail is None:
        return f"Sorry but the jail '{words[1]}' does not exist"
    questions: dict[str, Callable[[dict[str, str]], str]] = {
        "maxretry": lambda jail: jail.get("maxretry", "5"),
        "findtime": lambda jail: str(_number(jail.get("findtime", "10m"))),
        "bantime": lambda jail: str(_number(jail.get("bantime", "10m"))),
        "ignoreip": lambda jail: _tree("These IP addresses/networks are ignored:", _ignored(jail)),
        "logpath": lambda jail: _tree("Current monitored log file(s):", _logs(jail)),
        "journalmatch": lambda jail: "Current match filter:\n" + jail.get("journalmatch", ""),
        "actions": lambda jail: f"The jail {words[1]} has the following actions:\n" + _action(jail),
    }
    return questions[words[2]](jail) if words[2] in questions else ""


def _dump(jails: dict[str, dict[str, str]]) -> str:
    lines: list[list[object]] = []
    for name, jail in jails.items():
        lines += [
            ["add", name, jail.get("backend", "auto")],
            ["set", name, "maxretry", int(jail.get("maxretry", "5"))],
            ["set", name, "findtime", jail.get("findtime", "10m")],
            ["set", name, "bantime", jail.get("bantime", "10m")],
            ["set", name, "addignoreip", *_ignored(jail)],
        ]
        if jail.get("backend") == "systemd":
            lines.append(["set", name, "addjournalmatch", *jail.get("journalmatch", "").split()])
        else:
            lines += [["set", name, "addlogpath", path, "head"] for path in _logs(jail)]
        action = _action(jail)
        lines.append(["set", name, "addaction", action])
        lines.append(["multi-set", name, "action", action, [["port", jail.get("port", "")]]])
    lines += [["start", name] for name in jails]
    return "".join(f"{line!r}\n" for line in lines)


def _ignored(jail: dict[str, str]) -> list[str]:
    return re.split(r"[,\s]+", jail.get("ignoreip", "").strip()) if jail.get("ignoreip") else []


def _logs(jail: dict[str, str]) -> list[str]:
    if jail.get("backend") == "systemd":
        return []
    return jail.get("logpath", "/var/log/auth.log").split()


def _action(jail: dict[str, str]) -> str:
    return jail.get("banaction", "iptables-multiport").partition("[")[0]


def _tree(title: str, items: list[str]) -> str:
    if not items:
        return f"No {title.split()[1]} {title.split()[-1]}"
    marks = ["|-"] * (len(items) - 1) + ["`-"]
    return "\n".join([title, *(f"{mark} {item}" for mark, item in zip(marks, items, strict=True))])


def _number(text: str) -> int:
    found = re.fullmatch(r"(-?\d+)\s*([smhdw]?)", text.strip())
    return int(found[1]) * _SECONDS[found[2]] if found else 600
