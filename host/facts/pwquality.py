"""libpwquality's configuration: what a new password must be like. Pure but for the fact.

Read are the files of /etc/security/pwquality.conf.d by name, then /etc/security/pwquality.conf;
the last word counts (tried on both releases), and arguments of pam_pwquality.so count before all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts

MAIN: Final = "/etc/security/pwquality.conf"
DIRECTORY: Final = "/etc/security/pwquality.conf.d"
DICTIONARY: Final = "/var/cache/cracklib/cracklib_dict.pwd*"

DEFAULTS: Final[Mapping[str, str]] = {
    "difok": "1", "minlen": "8", "dcredit": "0", "ucredit": "0", "lcredit": "0", "ocredit": "0",
    "minclass": "0", "maxrepeat": "0", "maxclassrepeat": "0", "maxsequence": "0",
    "gecoscheck": "0", "dictcheck": "1", "usercheck": "1", "usersubstr": "0", "enforcing": "1",
    "retry": "1",
}  # fmt: skip
"""pwquality.conf(5), what holds where nothing is set."""


_KINDS: Final[Mapping[str, tuple[str, Callable[[str], bool]]]] = {
    "dcredit": ("digits", str.isdigit),
    "ucredit": ("capital letters", str.isupper),
    "lcredit": ("small letters", str.islower),
    "ocredit": ("other signs", lambda sign: not sign.isalnum()),
}
"""A credit below 0 is how many a password must have."""


class Setting(msgspec.Struct, frozen=True):
    """A line: key "minlen", value "15" ("yes" of a bare word), file and line number."""

    key: str
    value: str
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Pwquality(msgspec.Struct, frozen=True):
    """`texts` in the order they are read; `has_dictionary`: cracklib can look words up."""

    texts: dict[str, str]
    has_dictionary: bool = False

    def settings(self) -> list[Setting]:
        return [one for path, text in self.texts.items() for one in parse_pwquality(path, text)]

    def deciding(self, key: str) -> Setting | None:
        """The line that counts; `None` where none sets the key."""
        found = [one for one in self.settings() if one.key == key]
        return found[-1] if found else None


def parse_pwquality(path: str, text: str) -> list[Setting]:
    """Lines look like "minlen = 15" and "enforce_for_root"."""
    found = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.partition("#")[0].strip()
        key, equals, value = line.partition("=")
        words = key.split(None, 1)
        if not words:
            continue
        if not equals and len(words) > 1:  # the sign may be left out
            value = words[1]
        found.append(Setting(words[0], value.strip() or "yes", path, number))
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """The paths that are read, in their order."""
    parts = sorted(name for name in names if name.endswith(".conf"))
    return [*(f"{DIRECTORY}/{name}" for name in parts), MAIN]


def with_value(text: str, setting: Setting, value: str) -> str:
    """`text` with the line of one setting saying something else."""
    lines = text.split("\n")
    lines[setting.line - 1] = as_line(setting.key, value)
    return "\n".join(lines)


def shortcoming(quality: Pwquality, password: str) -> str:
    """What a password lacks in length or kinds of signs, and where that is asked for; empty where
    it lacks neither. Never the password itself."""
    setting = quality.deciding("minlen")
    if setting is not None and setting.value.isdecimal() and len(password) < int(setting.value):
        return f"is shorter than the {setting.value} characters that {setting.origin} asks for"
    for key, (what, fits) in _KINDS.items():
        setting = quality.deciding(key)
        asked = setting is not None and re.fullmatch(r"-\d{1,3}", setting.value, re.ASCII)
        if setting is not None and asked and sum(map(fits, password)) < -int(setting.value):
            return f"has too few of the {what} that {setting.origin} asks for"
    return ""


def as_line(key: str, value: str) -> str:
    return key if value == "yes" else f"{key} = {value}"


def _pwquality(host: Host, facts: Facts) -> Pwquality:
    texts = {}
    for path in in_order(host.listdir(DIRECTORY)):
        state = host.state(path)
        if state is not None and state.kind == "file":
            texts[path] = host.read_bytes(path).decode("utf-8", "surrogateescape")
    return Pwquality(texts, bool(host.glob(DICTIONARY)))


PWQUALITY: Fact[Pwquality] = Fact("pwquality", _pwquality)
