"""How PHP writes values, and when one is as expected."""

from __future__ import annotations

import re

from steps.expectation import Expectation, as_text

LIST = frozenset(("disable_functions", "disable_classes"))
"""Settings that are lists, read once when PHP starts, from ini files only."""

LEAVE = "leave"
"""As the expected value: this setting is none of our business."""

_ON = frozenset(("1", "on", "yes", "true"))
_OFF = frozenset(("", "0", "off", "no", "none", "false"))
_SIZE = re.compile(r"(-?\d+)\s*([KMG])B?", re.IGNORECASE)
_FACTOR = {"K": 1024, "M": 1024**2, "G": 1024**3}


def managed(expectation: Expectation) -> bool:
    """Whether anything is expected: not "leave", an empty text or an empty list."""
    if expectation.contains is not None and not expectation.contains:
        return expectation.excludes is not None
    return LEAVE not in (expectation.is_, expectation.set) and expectation.is_ != ""


def _is_switch(expectation: Expectation) -> bool:
    values = [expectation.is_, expectation.set, *(expectation.one_of or [])]
    return any(as_text(v).lower() in ("on", "off") for v in values if v is not None)


def as_shown(value: str, expectation: Expectation) -> str:
    """A value as an administrator writes it: "1" of a switch is On."""
    text = value.strip()
    if _is_switch(expectation):
        if text.lower() in _ON:
            return "On"
        if text.lower() in _OFF:
            return "Off"
    return text


def satisfied(key: str, expectation: Expectation, value: str) -> bool:
    """Whether `value`, as PHP or a file gives it, is what is expected. Sizes count in bytes."""
    text = as_shown(value, expectation)
    size = _SIZE.fullmatch(text)
    if size and (expectation.at_least is not None or expectation.at_most is not None):
        text = str(int(size.group(1)) * _FACTOR[size.group(2).upper()])
    return expectation.satisfied_by(text)


def function_list(there: str, expectation: Expectation) -> str:
    """The functions switched off already and those that shall be, without those excluded."""
    names = [*re.split(r"[\s,]+", there), *(expectation.contains or [])]
    unwanted = {name.lower() for name in expectation.excludes or []}
    kept = dict.fromkeys(name for name in names if name and name.lower() not in unwanted)
    return ",".join(kept)


def ini_value(text: str) -> str:
    """A value as it stands in an ini file."""
    return text if re.fullmatch(r"[\w./:,-]*", text) else f'"{text}"'


def with_value(text: str, line: int, key: str, value: str) -> str | None:
    """`text` with `value` given to the assignment of `key` on `line` (from 1).

    Also for a pool's `php_value[key] = …`. `None` where that line is something else.
    """
    lines = text.splitlines(keepends=True)
    if not 0 < line <= len(lines):
        return None
    name = re.escape(key)
    pattern = rf"(\s*(?:{name}|php_(?:admin_)?(?:value|flag)\[\s*{name}\s*\])\s*=\s*)[^\r\n]*"
    found = re.match(pattern, lines[line - 1])
    if not found:
        return None
    lines[line - 1] = found.group(1) + value + lines[line - 1][found.end() :]
    return "".join(lines)
