"""Lines of shell profiles that set a umask of their own: they come after what PAM gave."""

from __future__ import annotations

import re
from typing import Final

from host.base import Host, HostError
from host.facts.base import Fact, Facts

FILES: Final = ("/etc/profile", "/etc/bash.bashrc", "/root/.profile", "/root/.bashrc")
PARTS: Final = "/etc/profile.d/*.sh"
_LINE: Final = re.compile(r"[ \t]*umask[ \t]+0?([0-7]{3})[ \t]*(?:[;#].*)?")


def parse_umasks(path: str, text: str) -> list[tuple[str, int]]:
    """("/etc/profile:12", 0o022) for each line "umask 022"; other forms are not looked at."""
    return [
        (f"{path}:{number}", int(found[1], 8))
        for number, line in enumerate(text.split("\n"), 1)
        if (found := _LINE.fullmatch(line))
    ]


def _shell_umasks(host: Host, facts: Facts) -> list[tuple[str, int]]:
    found = []
    for path in (*FILES, *host.glob(PARTS)):
        try:
            found += parse_umasks(path, host.read_bytes(path).decode("utf-8", "replace"))
        except HostError:
            continue  # absent, or not ours to read
    return found


SHELL_UMASKS: Fact[list[tuple[str, int]]] = Fact("shell-umasks", _shell_umasks)
