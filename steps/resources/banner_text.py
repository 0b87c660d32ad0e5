"""What in a banner tells strangers which system this is, and how it is taken out. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

AUTHORIZED = (
    "Authorized access only. This is a private system: all activity is monitored and logged, and"
    " the record may be used as evidence. Unauthorized access is prohibited and will be reported."
)
"""Names no system and no owner; Lynis (BANN-7126, BANN-7130) looks for such words."""

WIDTH = 78
_SYSTEMS = ("debian", "ubuntu", "gnu/linux", "linux")
_ESCAPE = re.compile(r"\\[mrsvS]")
"""agetty(8): machine, kernel release, system name, build date of the kernel, os-release."""

_TELLERS = re.compile(r"\b(uname|lsb_release|hostnamectl|landscape-sysinfo|os-release|issue)\b")
"""Programs and files by which a script of /etc/update-motd.d tells the system."""


def tells(text: str, names: Iterable[str] = ()) -> list[str]:
    """What of `text` names the system: "Debian", `\\r`. `names`: codename and kernel release."""
    found = list(dict.fromkeys(_ESCAPE.findall(text)))
    for word in dict.fromkeys((*_SYSTEMS, *(name for name in names if name))):
        hit = re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", text, re.IGNORECASE)
        if hit and not any(hit.group().lower() in one.lower() for one in found):
            found.append(hit.group())
    return found


def script_tells(text: str, names: Iterable[str] = ()) -> list[str]:
    """The same of a script that prints a part of the message of the day."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [*dict.fromkeys(_TELLERS.findall(code)), *tells(code, names)]


def without_telling(text: str, names: Iterable[str] = ()) -> str:
    """`text` without the paragraphs that name the system; the others stay as they are."""
    names = tuple(names)
    paragraphs = re.split(r"\n[ \t]*\n", text.strip("\n"))
    kept = [paragraph for paragraph in paragraphs if not tells(paragraph, names)]
    whole = "\n\n".join(paragraph for paragraph in kept if paragraph.strip())
    return f"{whole}\n" if whole else ""


def wrapped(text: str) -> str:
    """One line of any length as a file: lines of at most `WIDTH` characters."""
    return textwrap.fill(text, WIDTH, break_long_words=False) + "\n"
