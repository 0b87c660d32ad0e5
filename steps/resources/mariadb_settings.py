"""MariaDB's settings now and after a restart, and the drop-in that makes them so."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from host.base import Host
from host.facts.mariadb import SERVICE, Server
from host.facts.mariadb_files import FOLDER, Options, in_force, read_options
from snapshots.model import Activation, Change, Validation, WriteFile

RESTART = Activation(how="restart", unit=SERVICE)
IS_SOUND = Validation(argv=("mariadbd", "--verbose", "--help"), quiet=True)
"""Reads all option files as a start would, and fails as a start would; without --verbose an option
that it does not know would pass. It prints a thousand lines."""

OPTION_OF = {"have_symlink": "symbolic_links"}
"""Where the option that sets it has another name than the setting."""

_SPOKEN = {"symbolic_links": {"ON": "YES", "OFF": "DISABLED"}}
_WRITTEN = {"symbolic_links": {"YES": "ON", "DISABLED": "OFF", "NO": "OFF"}}
_SWITCH = ("ON", "OFF", "YES", "NO", "DISABLED")
COMMAND_LINE = "the command line of mariadbd"

_HEADER = """\
# Written by harden-tui for the step {step}.
# Of the files in this folder the last by name decides.
[mariadbd]
"""


class Setting(msgspec.Struct, frozen=True):
    """One setting: its value now, the one after a restart, and what decides that."""

    running: str
    persistent: str
    origin: str = ""


class Draft(msgspec.Struct, frozen=True):
    """File changes that make settings hold, and why they cannot be made, where they cannot."""

    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()


def setting(server: Server, options: Options, name: str) -> Setting:
    """A setting that this server knows."""
    variable = server.variables[name]
    if variable.how == "COMMAND-LINE":
        return Setting(variable.value, variable.value, COMMAND_LINE)
    option = OPTION_OF.get(name, name)
    line = options.deciding(option)
    if line is None:
        default = "YES" if name == "have_symlink" else variable.default
        return Setting(variable.value, variable.value if not variable.how else default)
    value = in_force(line, option, switch=variable.value.upper() in _SWITCH)
    return Setting(variable.value, _SPOKEN.get(option, {}).get(value, value), line.origin)


def draft(
    host: Host, step_id: str, server: Server, options: Options, targets: Mapping[str, str]
) -> Draft:
    """Make `targets` hold after a restart: in a drop-in, and in the lines that would win over it.

    What the drop-in already says stays in it.
    """
    path = f"{FOLDER}/zz-harden-tui-{step_id.replace('.', '-')}.cnf"
    lines = {one.option: one.value for one in options.assignments if one.file == path} | {
        OPTION_OF.get(name, name): _written(name, value) for name, value in targets.items()
    }
    text = _HEADER.format(step=step_id) + "".join(
        f"{_line(option, value)}\n" for option, value in lines.items()
    )
    edits = {} if not targets else {path: text}
    refusals = []
    for name, value in targets.items():
        option = OPTION_OF.get(name, name)
        if server.variables[name].how == "COMMAND-LINE":
            refusals.append(
                f"{name} is set on {COMMAND_LINE} (`systemctl cat {SERVICE}`), which no option"
                " file can change. Take it out there first."
            )
            continue
        after = read_options(host, server.version, edits)
        deciding = after.deciding(option)
        if deciding is None:
            refusals.append(
                f"{FOLDER} is not read by this MariaDB: /etc/mysql/my.cnf includes it no more."
                " Put `!includedir /etc/mysql/mariadb.conf.d/` back, then try again."
            )
        elif deciding.file != path:
            if not deciding.file.startswith("/etc/"):
                refusals.append(f"{deciding.origin} sets {name}, and is not ours to edit.")
                continue
            rows = after.texts[deciding.file].splitlines(keepends=True)
            ending = "\n" if rows[deciding.line - 1].endswith("\n") else ""
            rows[deciding.line - 1] = _line(option, _written(name, value)) + ending
            edits[deciding.file] = "".join(rows)
    changed = {file: new for file, new in edits.items() if options.texts.get(file) != new}
    return Draft(
        tuple(WriteFile(path=file, content=_bytes(new)) for file, new in sorted(changed.items())),
        tuple(dict.fromkeys(refusals)),
    )


def _written(name: str, value: str) -> str | None:
    """The value in a file; a switch whose name begins with "skip" is set by its name alone."""
    option = OPTION_OF.get(name, name)
    value = _WRITTEN.get(option, {}).get(value.upper(), value)
    return None if option.startswith("skip_") and value.upper() == "ON" else value


def _line(option: str, value: str | None) -> str:
    name = option.replace("_", "-")
    if value is None:
        return name
    plain = re.fullmatch(r"[A-Za-z0-9_./:,-]+", value) is not None
    return f"{name} = {value}" if plain else f'{name} = "{value}"'


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
