"""Entries of apt's sources as text (sources.list(5)): what they say, and edits of them.

A one-line file counts its lines, a deb822 file its stanzas, both from 1, as apt does.
"""

from __future__ import annotations

import re

_ENTRY = re.compile(
    r"^(?P<type>\s*deb(?:-src)?)(?P<gap>\s+)(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>.*)$"
)
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):\s*(.*)$")


def options(text: str, number: int, *, is_deb822: bool) -> dict[str, str]:
    """What an entry says beside where it leads, by names in lower case: {"signed-by": "/path"}.

    Empty where there is no such entry.
    """
    lines = text.splitlines(keepends=True)
    if not is_deb822:
        found = _ENTRY.match(lines[number - 1].rstrip("\r\n")) if 0 < number <= len(lines) else None
        words = (found["options"] or "").split() if found else []
        pairs = (word.partition("=") for word in words)
        return {name.rstrip("+-").lower(): value for name, _, value in pairs}
    spans = _stanzas(lines)
    said: dict[str, str] = {}
    name = ""
    for line in lines[slice(*spans[number - 1])] if 0 < number <= len(spans) else []:
        field = _FIELD.match(line)
        if field:
            name = field[1].lower()
            said[name] = field[2].strip()
        elif name and line.startswith((" ", "\t")):
            said[name] = f"{said[name]}\n{line.strip()}"
    return said


def one_line(text: str, number: int, *, remove: str = "", add: str = "") -> str | None:
    """`text` with an option taken from line `number` ("trusted") or added ("signed-by=/path").

    `None` where that line is no entry.
    """
    lines = text.splitlines(keepends=True)
    if not 0 < number <= len(lines):
        return None
    line = lines[number - 1]
    found = _ENTRY.match(line.rstrip("\r\n"))
    if not found:
        return None
    options = [
        option
        for option in (found["options"] or "").split()
        if not remove or option.partition("=")[0].rstrip("+-").lower() != remove
    ]
    if add:
        options.append(add)
    shown = f"[{' '.join(options)}] " if options else ""
    end = line[len(line.rstrip("\r\n")) :]
    lines[number - 1] = f"{found['type']}{found['gap']}{shown}{found['rest']}{end}"
    return "".join(lines)


def deb822(text: str, number: int, *, remove: str = "", add: str = "") -> str | None:
    """The same for stanza `number` of a deb822 file: a field goes ("trusted") or is added
    ("Signed-By: /path"). `None` where there is no such stanza."""
    lines = text.splitlines(keepends=True)
    spans = _stanzas(lines)
    if not 0 < number <= len(spans):
        return None
    first, end = spans[number - 1]
    kept = []
    going = False
    for line in lines[first:end]:
        field = _FIELD.match(line)
        if field:
            going = bool(remove) and field[1].lower() == remove
        elif line.startswith("#"):
            going = False
        if not going:
            kept.append(line)
    if add:
        if kept and not kept[-1].endswith("\n"):
            kept[-1] += "\n"
        kept.append(f"{add}\n")
    return "".join([*lines[:first], *kept, *lines[end:]])


def _stanzas(lines: list[str]) -> list[tuple[int, int]]:
    """Where each stanza with fields begins and ends: lines [first, end)."""
    found = []
    first: int | None = None
    has_field = False
    for number, line in enumerate([*lines, "\n"]):
        if line.strip():
            first = number if first is None else first
            has_field = has_field or bool(_FIELD.match(line))
        elif first is not None:
            if has_field:
                found.append((first, number))
            first, has_field = None, False
    return found
