"""Lines of audit.rules(7) for one machine: its architectures, and the files it has. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from host.facts.audit import paths_in

_ARCHES: Final = {"amd64": ("b64", "b32"), "i386": ("b32",), "armhf": ("b32",), "armel": ("b32",)}
"""By Debian's name; every other one has 64 bits only."""

_OLD_CALLS: Final = frozenset(
    ("creat", "open", "chmod", "chown", "lchown", "rename", "unlink", "rmdir", "stime")
)
"""System calls that arm64 and riscv64 never had: a rule that names one is refused there."""

_WITHOUT_OLD_CALLS: Final = ("arm64", "riscv64", "loong64")


def arches(architecture: str) -> tuple[str, ...]:
    """("b64", "b32") on amd64: whose system calls the kernel takes, its own first."""
    return _ARCHES.get(architecture, ("b64",))


def expand(
    group: str, lines: Sequence[str], architecture: str, exists: Callable[[str], bool]
) -> list[str]:
    """The rules as they are loaded, each with its key.

    "arch=*" becomes one rule for each architecture of the machine. Left out is a watch in a
    directory that is not there, and a rule about a program that is not.
    """
    found = []
    for line in lines:
        if not all(_watchable(line, path, exists) for path in paths_in(line)):
            continue
        text = _without_old_calls(line) if architecture in _WITHOUT_OLD_CALLS else line
        each = arches(architecture) if "arch=*" in text else ("",)
        found += [f"{text.replace('arch=*', f'arch={arch}')} -k {group}" for arch in each]
    return found


def _watchable(line: str, path: str, exists: Callable[[str], bool]) -> bool:
    """A watch waits for a file that does not exist yet, but not for its directory."""
    if line.startswith("-w"):
        return exists(path.rstrip("/").rpartition("/")[0] or "/") and (
            not path.endswith("/") or exists(path.rstrip("/"))
        )
    return exists(path)


def _without_old_calls(line: str) -> str:
    def modern(match: re.Match[str]) -> str:
        return "-S " + ",".join(name for name in match[1].split(",") if name not in _OLD_CALLS)

    return re.sub(r"-S ([a-z0-9_,]+)", modern, line)
