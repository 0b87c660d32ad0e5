"""/etc/login.defs: what useradd, passwd, su and PAM take their defaults from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts

PATH: Final = "/etc/login.defs"
_LINE: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)(\s+)(.*?)\s*")


class LoginDefs(msgspec.Struct, frozen=True):
    """The text, and key -> (line number, value) of the line that counts."""

    text: str
    values: dict[str, tuple[int, str]]

    def value(self, key: str) -> str:
        """ "" where it is not set."""
        return self.values.get(key, (0, ""))[1]

    def number(self, key: str, default: int) -> int:
        """A value as the tools read it: decimal, octal (0…) or hexadecimal (0x…)."""
        text = self.value(key)
        try:
            return int(text, 8) if re.fullmatch(r"0[0-7]+", text) else int(text, 0)
        except ValueError:
            return default


def parse_login_defs(text: str) -> LoginDefs:
    """Of a key that stands twice the last line counts, as for the tools of package passwd."""
    values = {}
    for number, line in enumerate(text.split("\n"), 1):
        found = _LINE.fullmatch(line)
        if found and found[3]:
            values[found[1]] = (number, found[3].strip('"'))
    return LoginDefs(text, values)


def edited(defs: LoginDefs, wanted: Mapping[str, str]) -> str:
    """The text with these values: the line that counts is changed, what is missing comes last."""
    lines = defs.text.split("\n")
    added = []
    for key, value in wanted.items():
        number = defs.values.get(key, (0, ""))[0]
        if not number:
            added.append(f"{key}\t{value}")
            continue
        old = lines[number - 1]
        found = _LINE.fullmatch(old)
        if found:
            lines[number - 1] = old[: found.start(3)] + value
    text = "\n".join(lines)
    if not added:
        return text
    return text + ("" if text.endswith("\n") or not text else "\n") + "\n".join(added) + "\n"


def _login_defs(host: Host, facts: Facts) -> LoginDefs:
    if host.state(PATH) is None:
        return LoginDefs("", {})
    return parse_login_defs(host.read_bytes(PATH).decode("utf-8", "surrogateescape"))


LOGIN_DEFS: Fact[LoginDefs] = Fact("login-defs", _login_defs)
