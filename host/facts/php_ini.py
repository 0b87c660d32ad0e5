"""PHP's ini files and PHP-FPM's pool files as data: pure parsers, nothing is asked here."""

from __future__ import annotations

import re

import msgspec

_ASSIGNMENT = re.compile(r"^\s*([A-Za-z_][\w.\-]*)\s*=\s*(.*)$")
_SECTION = re.compile(r"^\s*\[([^\]]*)\]")
_POOL_SETTING = re.compile(r"^(php_(?:admin_)?(?:value|flag))\[([^\]]+)\]$")


class Assignment(msgspec.Struct, frozen=True):
    """`key = value` as it stands in a file (quotes and a trailing comment taken off)."""

    key: str
    value: str
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class PoolSetting(msgspec.Struct, frozen=True):
    """A line of a pool file: "listen", or a setting of PHP (`php` true).

    `how` is "php_value", "php_flag", "php_admin_value" or "php_admin_flag" for those.
    """

    pool: str
    key: str
    value: str
    file: str
    line: int
    how: str = ""

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


def parse_ini(file: str, text: str) -> list[Assignment]:
    """The assignments of an ini file that hold everywhere.

    Those below `[PATH=…]` and `[HOST=…]` hold for some requests only and are left out; other
    section names mean nothing to PHP.
    """
    found = []
    everywhere = True
    for number, raw in enumerate(text.splitlines(), 1):
        section = _SECTION.match(raw)
        if section:
            everywhere = not section.group(1).upper().startswith(("PATH=", "HOST="))
            continue
        match = _ASSIGNMENT.match(raw)
        if match and everywhere and not raw.lstrip().startswith(";"):
            found.append(Assignment(match.group(1), _value(match.group(2)), file, number))
    return found


def _value(text: str) -> str:
    quoted = re.match(r'"([^"]*)"|\'([^\']*)\'', text)
    if quoted:
        return quoted.group(1) if quoted.group(1) is not None else quoted.group(2)
    return text.partition(";")[0].strip()


def parse_pools(file: str, text: str) -> list[PoolSetting]:
    """`listen` and the PHP settings of a PHP-FPM pool file, pool by pool."""
    found = []
    pool = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        section = _SECTION.match(line)
        if section:
            pool = section.group(1).strip()
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or line.startswith((";", "#")):
            continue
        setting = _POOL_SETTING.match(name)
        if setting:
            key, how = setting.group(2).strip(), setting.group(1)
            found.append(PoolSetting(pool, key, _value(value.strip()), file, number, how))
        elif name == "listen":
            found.append(PoolSetting(pool, name, _value(value.strip()), file, number))
    return found


class Ini(msgspec.Struct, frozen=True):
    """PHP's answer: every setting it has with its value, and the files it read, in order.

    `values`: {"expose_php": "", "memory_limit": "128M", …}; On is "1", Off is "" or "0".
    """

    version: str
    values: dict[str, str | None]
    files: tuple[str, ...]


class _Answer(msgspec.Struct, rename={"ini": "file"}):
    version: str
    values: dict[str, str | None]
    ini: str | bool = False
    scanned: str | bool | None = None


QUESTION = (
    "echo json_encode(['version'=>PHP_VERSION,'file'=>php_ini_loaded_file(),"
    "'scanned'=>php_ini_scanned_files(),'values'=>ini_get_all(null,false)],"
    'JSON_INVALID_UTF8_SUBSTITUTE|JSON_PARTIAL_OUTPUT_ON_ERROR),"\\n";'
)
"""PHP code whose output `parse_answer` reads."""


def parse_answer(text: str) -> Ini | None:
    """What PHP printed for `QUESTION`; `None` where it is no answer.

    Warnings about extensions that do not load may stand before it.
    """
    for line in reversed(text.splitlines()):
        if not line.startswith("{"):
            continue
        try:
            answer = msgspec.json.decode(line.encode(), type=_Answer, strict=False)
        except msgspec.DecodeError:
            return None
        names = [answer.ini] if isinstance(answer.ini, str) else []
        scanned = answer.scanned if isinstance(answer.scanned, str) else ""
        names += [name.strip() for name in scanned.split(",") if name.strip()]
        return Ini(answer.version, answer.values, tuple(names))
    return None
