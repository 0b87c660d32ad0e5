"""Writing what the hands tell into a file of the person at the screen."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from tui.client import Hands
from tui.wire import HandsError


def problem_of(path: str, endings: Collection[str]) -> str:
    """What is wrong with a path to export to; empty if nothing is."""
    full = os.path.abspath(os.path.expanduser(path))
    if os.path.splitext(full)[1].lower() not in endings:
        *first, last = endings
        return f"The name must end in {', '.join(first)} or {last}."
    if os.path.lexists(full):
        return f"{full} is there already; choose another name."
    if not os.path.isdir(os.path.dirname(full)):
        return f"There is no directory {os.path.dirname(full)}."
    return ""


def form_of(path: str, forms: dict[str, str]) -> str:
    """What the ending of a path that `problem_of` accepted stands for."""
    return forms[os.path.splitext(path)[1].lower()]


def export(
    hands: Hands, arguments: Sequence[str], output: str, path: str, *, good: Collection[int] = (0,)
) -> str:
    """Write what a command prints to a new file; what went wrong, or empty. Blocks.

    `good`: the exit statuses with which the answer is whole.
    """
    try:
        call = hands.start(arguments, output)
        content = b"".join(call.lines())
        status, said = call.wait()
    except HandsError as error:
        return str(error)
    if status not in good:
        return said or f"it ended with exit status {status}"
    return write_new(path, content)


def write_new(path: str, content: bytes) -> str:
    """Write a file that must not be there yet, as the person at the screen; or why not."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}."
    return ""
