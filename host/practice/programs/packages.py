"""dpkg and apt with a small archive: the packages that the steps of the checklists install."""

from __future__ import annotations

import re

from host.practice.archive import ARCHIVE, unpack
from host.practice.machine import Machine, Package
from host.practice.programs.answer import Answer

EXTENDED_STATES = "/var/lib/apt/extended_states"
LEFTOVER = "config-files"


def dpkg_query(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """-W/--show with any format; -L and -s for one package."""
    layout = "${binary:Package}\t${Version}\n"
    names = []
    rest = iter(args)
    for word in rest:
        if word in ("-f", "--showformat"):
            layout = next(rest)
        elif word.startswith(("--showformat=", "-f=")):
            layout = word.partition("=")[2]
        elif not word.startswith("-"):
            names.append(word)
    layout = layout.replace("\\t", "\t").replace("\\n", "\n")
    out, missing = "", ""
    for name in names or sorted(machine.memory.packages):
        package = machine.memory.packages.get(name)
        if package is None:
            missing += f"dpkg-query: no packages found matching {name}\n"
            continue
        fields = {
            "binary:Package": name, "Package": name, "Version": package.version,
            "Architecture": "amd64",
            "db:Status-Want": "deinstall" if package.status == LEFTOVER else "install",
            "db:Status-Status": package.status, "db:Status-Abbrev": "ii ", "Essential": "no",
            "Depends": ", ".join(ARCHIVE[name].depends) if name in ARCHIVE else "",
        }  # fmt: skip
        out += re.sub(r"\$\{([^}]+)\}", lambda m, f=fields: f.get(m[1], ""), layout)  # type: ignore[misc]  # the row's own fields
    return Answer(1 if missing else 0, out, missing)


def apt_mark(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """showauto, showmanual, auto and manual."""
    verb, names = args[0], [word for word in args[1:] if not word.startswith("-")]
    if verb in ("showauto", "showmanual"):
        wanted = verb == "showauto"
        rows = [name for name, package in sorted(machine.memory.packages.items())
                if package.automatic == wanted]  # fmt: skip
        return Answer(0, "".join(f"{row}\n" for row in rows))
    for name in names:
        if name in machine.memory.packages:
            machine.memory.packages[name].automatic = verb == "auto"
    _write_states(machine)
    return Answer()


def apt_get(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """install (also simulated), purge and update."""
    words, rest = [], iter(args)
    for word in rest:
        if word == "-o":
            next(rest, None)
        elif not word.startswith("-"):
            words.append(word)
    simulated = bool({"-s", "--simulate", "--dry-run"} & set(args))
    if words[:1] == ["purge"]:
        return _purge(machine, words[1:], simulated)
    if words[:1] != ["install"]:
        return Answer()
    unknown = [name for name in words[1:] if name not in ARCHIVE
               and not machine.has_package(name)]  # fmt: skip
    if unknown:
        return Answer(100, "", f"E: Unable to locate package {unknown[0]}\n")
    coming: list[str] = []
    for name in words[1:]:
        _with_dependencies(machine, name, coming)
    out = "".join(f"Inst {name} ({ARCHIVE[name].version} Debian:12/stable [amd64])\n"
                  for name in coming)  # fmt: skip
    if simulated:
        return Answer(0, out)
    for name in coming:
        automatic = name not in words[1:]
        machine.memory.packages[name] = Package(ARCHIVE[name].version, automatic)
        unpack(machine, name)
        out += f"Setting up {name} ({ARCHIVE[name].version}) ...\n"
    _write_states(machine)
    return Answer(0, out)


def dpkg(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """--purge, --remove, --print-architecture and --audit."""
    if "--print-architecture" in args:
        return Answer(0, "amd64\n")
    if "--purge" in args or "-P" in args:
        return _purge(machine, [word for word in args if not word.startswith("-")], False)
    if "--remove" in args or "-r" in args:
        return _remove(machine, [word for word in args if not word.startswith("-")])
    return Answer()


def _remove(machine: Machine, names: list[str]) -> Answer:
    """Its configuration stays, which dpkg knows."""
    for name in names:
        package = machine.memory.packages.get(name)
        if package is not None and package.status != LEFTOVER:
            _without_units(machine, name)
            package.status, package.automatic = LEFTOVER, False
    _write_states(machine)
    return Answer()


def _without_units(machine: Machine, name: str) -> None:
    for unit in [u for u, there in machine.memory.units.items() if there.package == name]:
        machine.stop(unit)
        for link in machine.files.glob(f"/etc/systemd/system/*.wants/{unit}"):
            machine.remove(link)
        machine.memory.units.pop(unit)
        machine.memory.loaded.pop(unit, None)


def _purge(machine: Machine, names: list[str], simulated: bool) -> Answer:
    out = "".join(f"Purg {name} [{machine.memory.packages[name].version}]\n" for name in names
                  if name in machine.memory.packages)  # fmt: skip
    if simulated:
        return Answer(0, out)
    for name in names:
        if machine.memory.packages.pop(name, None) is None:
            continue
        _without_units(machine, name)
        if name == "ufw":
            machine.memory.firewall_on = False
        if name == "fail2ban":
            machine.memory.jails = {}
        for directory in ARCHIVE[name].owns if name in ARCHIVE else ():
            if machine.files.state(directory) is not None:
                machine.remove(directory)
    _write_states(machine)
    return Answer(0, out)


def _with_dependencies(machine: Machine, name: str, coming: list[str]) -> None:
    if machine.has_package(name) or name in coming:
        return
    for other in ARCHIVE[name].depends:
        _with_dependencies(machine, other, coming)
    coming.append(name)


def _write_states(machine: Machine) -> None:
    """apt's own file of automatic marks, which others read."""
    rows = [f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n\n"
            for name, package in sorted(machine.memory.packages.items())
            if package.automatic]  # fmt: skip
    machine.write(EXTENDED_STATES, "".join(rows))
