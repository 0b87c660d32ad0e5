"""systemctl and loginctl over the pretend units."""

from __future__ import annotations

import datetime

from host.practice.machine import Machine
from host.practice.programs.answer import Answer

_VERBS = (
    "start stop restart reload enable disable reset-failed daemon-reload try-restart"
    " try-reload-or-restart reload-or-restart mask unmask"
).split()
_REFUSED = ("start", "restart", "reload", "reload-or-restart")
"""What systemd does not do with a unit that is masked."""


def systemctl(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """The verbs that facts, steps and transactions use."""
    words = [word for word in args if not word.startswith("-")]
    options = [word for word in args if word.startswith("-")]
    verb = words[0] if words else ""
    if verb == "show":
        return _show(machine, args[args.index("show") + 1 :])
    if verb == "is-active":
        answers = ["active" if _active(machine, unit) else "inactive" for unit in words[1:]]
        good = "active" in answers
        return Answer(0 if good else 3, "\n".join(answers) + "\n")
    if verb == "is-enabled":
        answers = [machine.enabled(_full(unit)) for unit in words[1:]]
        return Answer(0 if "enabled" in answers else 1, "\n".join(answers) + "\n")
    if verb == "is-system-running":
        return Answer(0, "running\n")
    if verb == "is-failed":
        return Answer(1, "inactive\n")
    if verb == "list-unit-files":
        rows = [f"{unit} {machine.enabled(unit)} enabled" for unit in sorted(machine.memory.units)]
        return Answer(0, "\n".join(rows) + "\n")
    if verb == "list-units":
        return Answer(0, _list(machine, options))
    if verb == "cat":
        return Answer(0, f"# /lib/systemd/system/{words[1]}\n")
    if verb in _VERBS:
        units = [_full(unit) for unit in words[1:]]
        if "--runtime" in options and verb in ("mask", "unmask"):
            return _mask_until_boot(machine, verb, units)
        return _change(machine, verb, units, "--now" in options)
    return Answer(1, "", f"Unknown command verb {verb}.\n")


def loginctl(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """One session: the administrator's."""
    return Answer(0, "1 1000 admin - pts/0 active no -\n")


def _full(unit: str) -> str:
    return unit if "." in unit else f"{unit}.service"


def _active(machine: Machine, unit: str) -> bool:
    there = machine.memory.units.get(_full(unit))
    return there is not None and there.active


def _list(machine: Machine, options: list[str]) -> str:
    rows = []
    for service in machine.services():
        if "--all" in options or service.active == "active":
            rows.append(
                f"{service.unit} loaded {service.active} {service.sub} {service.description}"
            )
    return "\n".join(rows) + "\n" if rows else ""


def _show(machine: Machine, args: list[str]) -> Answer:
    units, wanted = [], []
    rest = iter(args)
    for word in rest:
        if word in ("-p", "--property"):
            wanted += next(rest, "").split(",")
        elif word.startswith(("--property=", "-p")):
            wanted += word.removeprefix("--property=").removeprefix("-p").split(",")
        elif not word.startswith("-"):
            units.append(word)
    blocks = []
    for unit in _matching(machine, units):
        known = _properties(machine, unit)
        chosen = wanted or sorted(known)
        blocks.append("\n".join(f"{key}={known.get(key, '')}" for key in chosen))
    value_only = "--value" in args
    text = "\n\n".join(blocks) + "\n"
    if value_only:
        text = "\n".join(line.partition("=")[2] for line in text.splitlines()) + "\n"
    return Answer(0, text)


def _matching(machine: Machine, units: list[str]) -> list[str]:
    if not units:
        return sorted(machine.memory.units)
    found: list[str] = []
    for unit in units:
        if unit.startswith("*"):
            found += [name for name in sorted(machine.memory.units) if name.endswith(unit[1:])]
        else:
            found.append(_full(unit))
    return found


def _properties(machine: Machine, name: str) -> dict[str, str]:
    unit = machine.memory.units.get(name)
    if unit is None:
        return {"Id": name, "Names": name, "LoadState": "not-found", "ActiveState": "inactive",
                "SubState": "dead", "UnitFileState": "", "MainPID": "0"}  # fmt: skip
    service = next(one for one in machine.services() if one.unit == name)
    kinds = {"tcp": "Stream", "udp": "Datagram"}
    listens = [f"{address}:{port} ({kinds[p]})" for p, address, port in unit.listens]
    now = datetime.datetime.now(datetime.UTC).strftime("%a %Y-%m-%d %H:%M:%S UTC")
    return {
        "Id": name,
        "Names": name,
        "Description": unit.description,
        "LoadState": "masked" if service.enabled.startswith("masked") else "loaded",
        "ActiveState": service.active,
        "SubState": service.sub,
        "UnitFileState": service.enabled,
        "UnitFilePreset": "enabled" if unit.preset else "disabled",
        "MainPID": str(unit.pid),
        "TriggeredBy": " ".join(service.triggered_by),
        "Triggers": " ".join(service.triggers),
        "NeedDaemonReload": "no",
        "FragmentPath": f"/lib/systemd/system/{name}",
        "ActiveEnterTimestamp": now if unit.active else "",
        "StateChangeTimestamp": now,
        "Result": "success",
        "Type": "simple" if unit.process else "oneshot",
        "ExecStart": "{ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D $SSHD_OPTS ; }"
        if name == "ssh.service"
        else "",
        "Listen": "\nListen=".join(listens) if name.endswith(".socket") else "",
    }


def _mask_until_boot(machine: Machine, verb: str, units: list[str]) -> Answer:
    for unit in units:
        path = f"/run/systemd/system/{unit}"
        if verb == "mask":
            machine.link(path, "/dev/null")
        else:
            machine.remove(path)
    return Answer()


def _change(machine: Machine, verb: str, units: list[str], now: bool) -> Answer:
    for unit in units:
        if unit not in machine.memory.units:
            return Answer(5, "", f"Unit {unit} could not be found.\n")
        if verb == "enable":
            machine.link(f"/etc/systemd/system/multi-user.target.wants/{unit}",
                         f"/lib/systemd/system/{unit}")  # fmt: skip
        elif verb in ("disable", "mask"):
            for path in machine.files.glob(f"/etc/systemd/system/*.wants/{unit}"):
                machine.remove(path)
            if verb == "mask":
                machine.link(f"/etc/systemd/system/{unit}", "/dev/null")
        elif verb == "unmask" and machine.enabled(unit) == "masked":
            machine.remove(f"/etc/systemd/system/{unit}")
        active = machine.memory.units[unit].active
        if verb in _REFUSED and machine.enabled(unit).startswith("masked"):
            return Answer(1, "", f"Failed to {verb} {unit}: Unit {unit} is masked.\n")
        if verb in ("start", "restart", "reload-or-restart") or (now and verb == "enable"):
            machine.start(unit)
        elif verb == "stop" or (now and verb in ("disable", "mask")):
            machine.stop(unit)
        elif verb in ("reload", "try-restart", "try-reload-or-restart"):
            if not active and verb == "reload":
                return Answer(1, "", f"{unit} is not active, cannot reload.\n")
            if active:
                machine.reload(unit)
    return Answer()
