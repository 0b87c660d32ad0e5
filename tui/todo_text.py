"""The list of what is left to a person, as plain text, Markdown and JSON. Pure functions."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import msgspec

from host.names import clean, shown_json
from steps.todo import KINDS, TITLES, Todo, TodoItem
from tui.text import counted, safe_json

SCHEMA = "harden-tui/todo/1"
WIDTH = 79

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def summary(todo: Todo) -> str:
    """One sentence: how much is left."""
    left = len(todo.left)
    aside = len(todo.of("left-out"))
    more = f"; {counted(aside, 'step')} left out on purpose" if aside else ""
    if not left:
        return f"Nothing is left to do{more}."
    return f"{counted(left, 'thing')} left to do{more}."


def json(todo: Todo) -> str:
    """`harden-tui/todo/1`."""
    return _json(todo, indent=2)


def json_line(todo: Todo) -> str:
    """The same on one line, as events are read."""
    return _json(todo, indent=-1)


def _json(todo: Todo, *, indent: int) -> str:
    body = {"schema": SCHEMA, **msgspec.to_builtins(todo), "left": len(todo.left)}
    return safe_json(msgspec.json.format(shown_json(body), indent=indent).decode()) + "\n"


def text(todo: Todo, width: int = WIDTH) -> str:
    """For a terminal, a mail or a printer."""
    lines = [clean(f"What is left to do on {todo.host}, checklist {todo.checklist}")]
    if todo.practice:
        lines.append("PRACTICE HOST: nothing here is real.")
    lines += [f"{_moment(todo.made)}. {summary(todo)}", ""]
    for kind in KINDS:
        items = todo.of(kind)
        if not items:
            continue
        lines.append(f"{TITLES[kind]} ({len(items)})")
        for item in items:
            lines += _as_text(todo, item, width)
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _as_text(todo: Todo, item: TodoItem, width: int) -> Iterator[str]:
    box = "-" if item.kind == "left-out" else "[ ]"
    yield from _wrapped(f"  {box} ", _name(item), width)
    for why in item.why:
        yield from _wrapped("      ", why, width)
    if item.put_off:
        yield from _wrapped("      ", f"Put off by {put_off(item)}.", width)
    if item.do:
        yield from _wrapped("      $ ", todo.command(item), width)


def _wrapped(lead: str, words: str, width: int) -> list[str]:
    return textwrap.wrap(
        clean(words), width, initial_indent=lead, subsequent_indent=" " * len(lead),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def markdown(todo: Todo) -> str:
    """A list with boxes to tick, as wikis and trackers of issues show it."""
    lines = [f"# What is left to do on {_escaped(todo.host)}", ""]
    if todo.practice:
        lines += ["> **Practice host: nothing here is real.**", ""]
    lines += [
        f"Checklist {_escaped(todo.checklist)}, {_moment(todo.made)}. {_escaped(summary(todo))}",
        "",
    ]  # fmt: skip
    for kind in KINDS:
        items = todo.of(kind)
        if not items:
            continue
        lines += [f"## {TITLES[kind]}", ""]
        for item in items:
            lines += _as_markdown(todo, item)
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _as_markdown(todo: Todo, item: TodoItem) -> Iterator[str]:
    box = "-" if item.kind == "left-out" else "- [ ]"
    step = f"`{clean(item.step)}` " if item.step else ""
    yield f"{box} {step}{_escaped(item.title)}"
    for why in item.why:
        yield f"  - {_escaped(why)}"
    if item.put_off:
        yield f"  - Put off by {_escaped(put_off(item))}."
    if item.do:
        yield f"  - `{clean(todo.command(item)).replace('`', chr(39))}`"


def _name(item: TodoItem) -> str:
    return f"{item.step}: {item.title}" if item.step else item.title


def put_off(item: TodoItem) -> str:
    """ "alice, 2026-11-26 14:02 UTC"."""
    by, _, when = item.put_off.partition(", ")
    return f"{by}, {_moment(when)}"


def _escaped(words: str) -> str:
    return _MARKDOWN.sub(r"\\\1", clean(words).replace("\n", " "))


def _moment(stamp: str) -> str:
    return f"{stamp[:16].replace('T', ' ')} UTC"
