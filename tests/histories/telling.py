"""What files must be like if no step had ever been, told from edits and upgrades alone. Pure."""

from __future__ import annotations

import msgspec

from tests.histories.actions import Edit


class There(msgspec.Struct, frozen=True):
    """What stands at a path: a file with text and mode, or a link (`target`)."""

    text: str = ""
    mode: int = 0o644
    target: str = ""

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


State = There | None
"""`None`: nothing is there."""


def written(state: State, how: Edit, word: str, number: int) -> str:
    """What a file becomes to which somebody appends `word`, changes a line to it, or writes it
    anew. `number` says which line."""
    lines = state.lines if state is not None else []
    if how == "change" and lines:
        lines[number % len(lines)] = word
    elif how == "append" or how == "change":
        lines.append(word)
    else:
        lines = [word]
    return "".join(f"{line}\n" for line in lines)


def possible(real: State, how: Edit) -> bool:
    """Whether an administrator can do so to what stands there."""
    if real is None:
        return how in ("append", "write", "link")
    if real.target:
        return how in ("remove", "link")
    return how != "change" or bool(real.lines)


class Telling:
    """Path -> what must stand there at the end; `unclear` are those of which only words count."""

    def __init__(self, first: dict[str, State]) -> None:
        self.without = dict(first)
        self.unclear: set[str] = set()

    def edited(self, path: str, how: Edit, word: str, number: int, before: State) -> None:
        """`before`: what really stood there."""
        state = self.without[path]
        mode = 0o644 if before is None else before.mode
        match how:
            case "remove":
                self.without[path] = None
            case "link":
                self.without[path] = There(mode=0o777, target=word)
            case "chmod":
                if state is not None:
                    self.without[path] = msgspec.structs.replace(state, mode=0o600 + number % 8)
            case "write":
                kept = mode if state is None else state.mode
                self.without[path] = There(f"{word}\n", kept)
            case _ if before is None and state is not None:
                self.unclear.add(path)  # it was made anew where a step had taken it away
            case "append":
                kept = mode if state is None else state.mode
                self.without[path] = There(written(state, "append", word, 0), kept)
            case "change":
                line = before.lines[number % len(before.lines)] if before is not None else ""
                if state is None or line not in state.lines:
                    self.unclear.add(path)  # the line was a step's
                    return
                place = state.lines.index(line)
                self.without[path] = There(written(state, "change", word, place), state.mode)

    def upgraded(self, path: str, before: State, after: State) -> None:
        """What a package's upgrade made of it."""
        if after == before:
            return
        state = self.without[path]
        if after is not None and state is not None and not after.target:
            after = msgspec.structs.replace(after, mode=state.mode)
        self.without[path] = after
