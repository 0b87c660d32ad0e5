"""What may happen to a host, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from snapshots.model import RESOLUTIONS, Resolution
from tests.histories.archive import EXTRA, MADE, MORE, OLD, WEB

PLAIN: Final = "/etc/app/site.conf"
NEW: Final = "/etc/app/new.conf"
PATHS: Final = (WEB, MORE, MADE, PLAIN, NEW, OLD)
"""Shared by steps, administrators and packages."""

PACKAGES: Final = ("webthing", "oldthing", "extra")

Edit = Literal["append", "change", "write", "remove", "chmod", "link"]
EDITS: Final[tuple[Edit, ...]] = ("append", "append", "change", "write", "remove", "chmod", "link")
WISHES: Final[tuple[Edit, ...]] = ("append", "append", "change", "write")


class Files(msgspec.Struct, frozen=True, tag="files"):
    """A step that gives files another content."""

    step: int
    wishes: dict[str, Edit]


class Installs(msgspec.Struct, frozen=True, tag="installs"):
    """A step that installs `extra`."""


class Purges(msgspec.Struct, frozen=True, tag="purges"):
    """A step that purges `oldthing`."""


class Edits(msgspec.Struct, frozen=True, tag="edits"):
    """An administrator's hand."""

    path: str
    how: Edit


class Upgrade(msgspec.Struct, frozen=True, tag="upgrade"):
    """A package becomes its next version. `takes`: of a changed conffile the package's version is
    taken, the other one lies beside it; without, the other way round."""

    package: str
    takes: bool


class Undo(msgspec.Struct, frozen=True, tag="undo"):
    """One of what stands is undone; `choice` for what is in conflict."""

    which: int
    choice: Resolution


Action = Files | Installs | Purges | Edits | Upgrade | Undo


class History(msgspec.Struct, frozen=True):
    """What happens, and in which order and how all that stands then is undone."""

    seed: int
    actions: tuple[Action, ...]
    order: tuple[int, ...]
    choices: tuple[Resolution, ...]


def drawn(seed: int) -> History:
    """The same for the same seed."""
    draw = random.Random(seed)
    actions = tuple(_action(draw, number) for number in range(draw.randint(6, 10)))
    return History(
        seed=seed,
        actions=actions,
        order=tuple(draw.randrange(100) for _ in actions),
        choices=tuple(draw.choice(RESOLUTIONS) for _ in actions),
    )


def _action(draw: random.Random, number: int) -> Action:
    kinds = ("files", "files", "files", "packages", "edits", "edits", "edits", "upgrade", "upgrade",
             "undo")  # fmt: skip
    kind = draw.choice(kinds) if number else "files"
    match kind:
        case "files":
            paths = draw.sample(PATHS, draw.randint(1, 3))
            return Files(draw.randrange(3), {path: draw.choice(WISHES) for path in sorted(paths)})
        case "packages":
            return draw.choice((Installs(), Installs(), Purges()))
        case "edits":
            return Edits(draw.choice((*PATHS, EXTRA)), draw.choice(EDITS))
        case "upgrade":
            return Upgrade(draw.choice(PACKAGES), draw.random() < 0.5)
        case _:
            return Undo(draw.randrange(9), draw.choice(RESOLUTIONS))


def without_one(history: History) -> Iterator[History]:
    """The same without one action each, the last one first. An undo keeps its place in the order:
    what was drawn for it is not drawn anew."""
    for place in reversed(range(len(history.actions))):
        actions = (*history.actions[:place], *history.actions[place + 1 :])
        yield msgspec.structs.replace(history, actions=actions)
