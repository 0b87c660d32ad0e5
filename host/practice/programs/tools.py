"""Small utilities that are asked about the practice host's own files."""

from __future__ import annotations

import os
import re

import msgspec

from host.base import FLAG_IMMUTABLE
from host.practice.machine import Machine
from host.practice.programs.answer import Answer


def getent(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """getent passwd|group|shadow [NAME]."""
    text = machine.text(f"/etc/{args[0]}")
    if len(args) > 1:
        rows = [line for line in text.splitlines() if line.split(":")[0] in args[1:]]
        return Answer(0 if rows else 2, "".join(f"{row}\n" for row in rows))
    return Answer(0, text)


def grep(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """grep -o PATTERN FILE (basic regular expressions without groups)."""
    words = [word for word in args if not word.startswith("-")]
    pattern, files = words[0], words[1:]
    found = [
        match.group(0)
        for file in files
        for match in re.finditer(pattern, machine.text(file), re.MULTILINE)
    ]
    return Answer(0 if found else 1, "".join(f"{line}\n" for line in found))


def cp(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """cp --no-clobber FILE FILE."""
    source, target = [word for word in args if not word.startswith("-")]
    if machine.files.state(source) is None:
        return Answer(1, "", f"cp: cannot stat '{source}': No such file or directory\n")
    if machine.files.state(target) is None:
        machine.write(target, machine.text(source))
    return Answer()


def tail(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """tail -c BYTES FILE."""
    count, path = int(args[args.index("-c") + 1]), args[-1]
    if machine.files.state(path) is None:
        return Answer(1, "", f"tail: cannot open '{path}' for reading: No such file or directory\n")
    return Answer(0, machine.text(path)[-count:])


def find(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """find -L PATH… -maxdepth 0 -newerct @SECONDS: what changed since; nothing for the rest.

    (The practice tree has no hard links and no special files, which is what else is asked.)
    """
    if "-newerct" not in args:
        return Answer()
    paths = [word for word in args if word.startswith("/")]
    moment = float(args[args.index("-newerct") + 1].lstrip("@"))
    newer = [path for path in paths if _changed(machine, path) > moment]
    return Answer(0, "".join(f"{path}\n" for path in newer))


def stat(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """stat -L -c FORMAT PATH… with %Y %Z %n and a precision."""
    layout = args[args.index("-c") + 1]
    paths = [word for word in args if word.startswith("/")]
    lines, missing = [], ""
    for path in paths:
        real = machine.files.real(machine.files.realpath(path))
        if not real.exists():
            missing += f"stat: cannot statx '{path}': No such file or directory\n"
            continue
        there = real.stat()
        text = re.sub(r"%(\.9)?Y", f"{there.st_mtime_ns / 1e9:.9f}", layout)
        text = re.sub(r"%(\.9)?Z", f"{_changed(machine, path):.9f}", text)
        lines.append(text.replace("%n", path))
    return Answer(1 if missing else 0, "".join(f"{line}\n" for line in lines), missing)


def sudo(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """sudo -l -U NAME."""
    name = args[args.index("-U") + 1] if "-U" in args else ""
    group = next((line for line in machine.text("/etc/group").splitlines()
                  if line.startswith("sudo:")), "")  # fmt: skip
    if name in group.rpartition(":")[2].split(","):
        return Answer(0, f"User {name} may run the following commands on practice:\n"
                         "    (ALL : ALL) ALL\n")  # fmt: skip
    return Answer(0, f"User {name} is not allowed to run sudo on practice.\n")


def test(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """test -r|-w|-x|-e PATH [-a …], as root or as the user in `env["USER"]`."""
    words = [word for word in args if word != "-a"]
    user = env.get("USER", "root")
    good = all(
        _may(machine, user, sign, path) for sign, path in zip(words[::2], words[1::2], strict=True)
    )
    return Answer(0 if good else 1)


def runuser(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """runuser -u USER -- test …"""
    user, command = args[args.index("-u") + 1], args[args.index("--") + 1 :]
    if command[:1] != ["test"]:
        return Answer(127, "", f"runuser: {command[0]} is not there on the practice host\n")
    return test(machine, command[1:], stdin, {**env, "USER": user})


def _may(machine: Machine, user: str, sign: str, path: str) -> bool:
    there = machine.files.state(path)
    if there is None:
        return False
    if sign in ("-e", "-d", "-f"):
        return sign == "-e" or (there.kind == "dir") == (sign == "-d")
    if sign == "-w" and there.flags & FLAG_IMMUTABLE:
        return False
    if user == "root":
        return True
    number = _number(machine, "passwd", user)
    group = _number(machine, "group", user)
    shift = 6 if there.uid == number else 3 if there.gid == group else 0
    return bool(there.mode >> shift & {"-r": 4, "-w": 2, "-x": 1}[sign])


def _number(machine: Machine, table: str, name: str) -> int:
    for line in machine.text(f"/etc/{table}").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    return -1


def chmod(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """chmod OCTAL PATH…"""
    return _changed_state(machine, args[1:], mode=int(args[0], 8))


def chown(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """chown USER:GROUP PATH…"""
    user, _, group = args[0].partition(":")
    uid, gid = _number(machine, "passwd", user), _number(machine, "group", group)
    return _changed_state(machine, args[1:], uid=uid, gid=gid)


def _changed_state(machine: Machine, paths: list[str], **fields: int) -> Answer:
    for path in paths:
        there = machine.files.state(path)
        if there is None:
            return Answer(1, "", f"cannot access '{path}': No such file or directory\n")
        machine.files.put(path, msgspec.structs.replace(there, **fields))
    return Answer()


def nothing(machine: Machine, args: list[str], stdin: bytes, env: dict[str, str]) -> Answer:
    """A program that has nothing to report."""
    return Answer()


def _changed(machine: Machine, path: str) -> float:
    real = machine.files.real(machine.files.realpath(path))
    try:
        status = os.stat(real)
    except OSError:
        return 0.0
    # A directory here also changes through our own temporary files; its mtime says as much.
    return status.st_ctime_ns / 1e9
