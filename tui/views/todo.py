"""What is left to a person, as lines for the screen."""

from __future__ import annotations

from steps.todo import KINDS, TITLES, Todo, TodoItem, TodoKind
from tui.text import BLANK, Line, Role, paragraph, wrap
from tui.todo_text import put_off, summary
from tui.views.preview import command_lines

_ROLES: dict[TodoKind, tuple[str, Role]] = {
    "first": ("!", "bad"),
    "choose": ("?", "warn"),
    "attest": ("✎", "warn"),
    "refused": ("!", "bad"),
    "unmeasured": ("?", "warn"),
    "open": ("✗", "bad"),
    "left-out": ("»", "dim"),
}


def lines(todo: Todo | str | None, width: int) -> list[Line]:
    """The list, the reason why there is none, or that it is being made."""
    if todo is None:
        return [(("Asking the host what is left…", "dim"),)]
    if isinstance(todo, str):
        return paragraph(todo, width, "warn")
    shown: list[Line] = [((summary(todo), "ok" if not todo.left else "bold"),)]
    for kind in KINDS:
        items = todo.of(kind)
        if items:
            shown += [BLANK, ((f"{TITLES[kind]} ({len(items)})", "bold"),)]
            for item in items:
                shown += _item(todo, item, width)
    return shown


def _item(todo: Todo, item: TodoItem, width: int) -> list[Line]:
    sign, role = _ROLES[item.kind]
    name = f"{item.step}: {item.title}" if item.step else item.title
    pieces = wrap(name, width - 2)
    shown: list[Line] = [
        ((f"{sign} " if number == 0 else "  ", role), (piece, ""))
        for number, piece in enumerate(pieces)
    ]
    for why in item.why:
        shown += paragraph(why, width, "dim", indent=4)
    if item.put_off:
        shown += paragraph(f"Put off by {put_off(item)}.", width, "dim", indent=4)
    if item.do:
        shown += [(("    ", ""), *line) for line in command_lines(todo.command(item), width - 4)]
    return shown
