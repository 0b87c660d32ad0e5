"""apache2ctl, a2enmod and their like: the configuration is really parsed, from the tree's files."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

import msgspec

from host.practice.machine import Machine
from host.practice.programs.answer import Answer

FOLDER = "/etc/apache2"
MAIN = f"{FOLDER}/apache2.conf"
STATIC = ("core", "so", "watchdog", "http", "log_config", "logio", "version", "unixd")
ESSENTIAL = (
    "access_compat alias auth_basic authn_core authn_file authz_core authz_host authz_user"
    " autoindex deflate dir env filter mime negotiation reqtimeout setenvif"
).split()


class Line(msgspec.Struct, frozen=True):
    """One directive or section boundary that takes effect."""

    file: str
    number: int
    text: str


class Parsed(msgspec.Struct):
    """A configuration as the pretend Apache reads it."""

    lines: list[Line] = []
    modules: list[str] = []
    objects: list[str] = []
    includes: list[tuple[int, int, str]] = []
    error: str = ""


def parse(machine: Machine) -> Parsed:
    """The configuration on disk, in the order in which it takes effect."""
    parsed = Parsed(modules=list(STATIC))
    _read(machine, MAIN, parsed, 0, 0)
    return parsed


def apache2ctl(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """configtest, -M, and the dumps of -t -D."""
    parsed = parse(machine)
    if parsed.error:
        return Answer(1, "", f"{parsed.error}\nAction '{' '.join(args)}' failed.\n")
    text = ""
    if "DUMP_CONFIG" in args:
        text += _dump_config(parsed)
    if "DUMP_INCLUDES" in args:
        text += _dump_includes(parsed)
    if "DUMP_RUN_CFG" in args:
        text += (
            'ServerRoot: "/etc/apache2"\nMain DocumentRoot: "/var/www/html"\n'
            'Main ErrorLog: "/var/log/apache2/error.log"\n'
            'PidFile: "/var/run/apache2/apache2.pid"\n'
            'User: name="www-data" id=33\nGroup: name="www-data" id=33\n'
        )
    if "DUMP_MODULES" in args or "-M" in args:
        text += "Loaded Modules:\n"
        for name in parsed.modules:
            text += f" {name}_module ({'static' if name in STATIC else 'shared'})\n"
    return Answer(0, text, "Syntax OK\n")


def a2tool(kind: str, enable: bool) -> object:
    """a2enmod, a2dismod, a2enconf, a2disconf, a2ensite or a2dissite."""
    folder, endings = {
        "module": ("mods", ("load", "conf")),
        "conf": ("conf", ("conf",)),
        "site": ("sites", ("conf",)),
    }[kind]

    def tool(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
        said = ""
        for name in (word for word in args if not word.startswith("-")):
            if machine.files.state(f"{FOLDER}/{folder}-available/{name}.{endings[0]}") is None:
                return Answer(1, said, f"ERROR: {kind.title()} {name} does not exist!\n")
            if not enable and name in ESSENTIAL and "-f" not in args:
                return Answer(1, said, f"WARNING: The {name} module is essential.\n")
            for ending in endings:
                file = f"{name}.{ending}"
                link = f"{FOLDER}/{folder}-enabled/{file}"
                there = machine.files.state(link) is not None
                if enable and machine.files.state(f"{FOLDER}/{folder}-available/{file}"):
                    if not there:
                        machine.link(link, f"../{folder}-available/{file}")
                elif not enable and there:
                    machine.remove(link)
            mark = f"/var/lib/apache2/{kind}"
            if enable:
                machine.write(f"{mark}/enabled_by_admin/{name}", "")
            else:
                machine.write(f"{mark}/disabled_by_admin/{name}", "")
                machine.files.put(f"{mark}/enabled_by_admin/{name}", None)
            said += f"{kind.title()} {name} {'enabled' if enable else 'disabled'}.\n"
        return Answer(0, said)

    return tool


def loaded(machine: Machine) -> dict[str, list[str]]:
    """What a server that starts now runs with."""
    parsed = parse(machine)
    plain = [line.text for line in parsed.lines]
    return {"modules": parsed.modules, "objects": parsed.objects, "directives": plain}


def _read(machine: Machine, file: str, parsed: Parsed, depth: int, included_at: int) -> None:
    parsed.includes.append((depth, included_at, file))
    skipped: list[bool] = []
    for number, text in _logical_lines(machine.text(file)):
        opening = re.fullmatch(
            r"<(IfModule|IfDefine|IfVersion)\s+(!?)([^>]+)>", text, re.IGNORECASE
        )
        if opening:
            holds = _holds(opening.group(1).lower(), opening.group(3).strip(), parsed)
            skipped.append(holds == bool(opening.group(2)))
            continue
        if re.fullmatch(r"</(IfModule|IfDefine|IfVersion)>", text, re.IGNORECASE):
            skipped.pop()
            continue
        if any(skipped) or parsed.error:
            continue
        word, _, rest = text.partition(" ")
        rest = rest.strip().strip('"')
        if word.lower() in ("include", "includeoptional"):
            _include(machine, rest, parsed, depth + 1, number, word.lower() == "include")
        elif word.lower() == "loadmodule":
            name, _, path = rest.partition(" ")
            parsed.modules.append(name.removesuffix("_module"))
            parsed.objects.append(path.strip().rsplit("/", 1)[-1])
        elif word.lower() not in ("define", "undefine"):
            _complain(word, file, number, parsed)
            variables = {"APACHE_RUN_USER": "www-data", "APACHE_RUN_GROUP": "www-data",
                         "APACHE_LOG_DIR": "/var/log/apache2",
                         "APACHE_PID_FILE": "/var/run/apache2/apache2.pid"}  # fmt: skip
            for name, value in variables.items():
                text = text.replace("${" + name + "}", value)
            parsed.lines.append(Line(file, number, text))


def _include(
    machine: Machine, pattern: str, parsed: Parsed, depth: int, number: int, needed: bool
) -> None:
    absolute = pattern if pattern.startswith("/") else f"{FOLDER}/{pattern}"
    folder, _, name = absolute.rpartition("/")
    names = [one for one in machine.files.listdir(folder) if fnmatch.fnmatchcase(one, name)]
    if needed and not names and "*" not in name:
        parsed.error = f"AH00526: Could not open configuration file {absolute}: No such file"
    for one in names:
        _read(machine, f"{folder}/{one}", parsed, depth, number)


def _holds(test: str, argument: str, parsed: Parsed) -> bool:
    if test == "ifmodule":
        name = argument.removeprefix("mod_").removesuffix(".c").removesuffix("_module")
        return any(name in (module, f"{module}5", f"{module}7") for module in parsed.modules)
    return test == "ifversion"


def _complain(word: str, file: str, number: int, parsed: Parsed) -> None:
    owners = {"header": "headers", "extendedstatus": "status", "indexoptions": "autoindex"}
    owner = owners.get(word.lower())
    if (owner and owner not in parsed.modules) or not re.match(r"</?[A-Za-z]|[A-Za-z]", word):
        parsed.error = (
            f"AH00526: Syntax error on line {number} of {file}:\n"
            f"Invalid command '{word}', perhaps misspelled or defined by a module not included"
            " in the server configuration"
        )


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    kept = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = f"{kept} {raw.strip()}".strip() if kept else raw.strip()
        kept = ""
        if line.endswith("\\"):
            kept = line[:-1].rstrip()
        elif line and not line.startswith("#"):
            yield number, re.sub(r"\s+", " ", line)


def _dump_config(parsed: Parsed) -> str:
    text, file, depth = "", "", 0
    for line in parsed.lines:
        if line.file != file:
            file = line.file
            text += f"# In file: {file}\n"
        if line.text.startswith("</"):
            depth -= 1
            text += f"{'  ' * depth}{line.text}\n"
            continue
        indent = "  " * depth
        text += f"{indent}# {line.number:3d}:\n{indent}{line.text}\n"
        depth += line.text.startswith("<")
    return text


def _dump_includes(parsed: Parsed) -> str:
    text = "Included configuration files:\n"
    for depth, number, file in parsed.includes:
        text += f"{'  ' * (depth + 1)}({number if depth else '*'}) {file}\n"
    return text
