"""sysctl over the practice tree's own /proc/sys."""

from __future__ import annotations

from host.practice.machine import Machine
from host.practice.programs.answer import Answer

ROOT = "/proc/sys"


def sysctl(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """-a, -n KEY…, [-q] -w KEY=VALUE…, and -p FILE."""
    words = [word for word in args if not word.startswith("-")]
    if "-a" in args:
        return Answer(0, "".join(f"{key} = {value}\n" for key, value in everything(machine)))
    if "-p" in args or "--load" in args:
        text = "".join(machine.text(file) for file in words)
        words = [line.replace(" ", "") for line in text.splitlines()
                 if "=" in line and not line.lstrip().startswith(("#", ";"))]  # fmt: skip
    out, err = "", ""
    for word in words:
        key, equals, value = word.partition("=")
        key = key.strip().lstrip("-")
        path = f"{ROOT}/{key.replace('.', '/')}"
        if machine.files.state(path) is None:
            err += f"sysctl: cannot stat {path}: No such file or directory\n"
        elif equals:
            machine.write(path, f"{value.strip()}\n")
            out += "" if "-q" in args else f"{key} = {value.strip()}\n"
        else:
            shown = machine.text(path).strip()
            out += f"{shown}\n" if "-n" in args else f"{key} = {shown}\n"
    return Answer(255 if err else 0, out, err)


def everything(machine: Machine) -> list[tuple[str, str]]:
    """Every key and its value, sorted."""
    found = []
    for path, state in machine.files.walk(ROOT, content=False):
        if state.kind == "file":
            key = path.removeprefix(f"{ROOT}/").replace("/", ".")
            found.append((key, machine.text(path).strip()))
    return sorted(found)
