"""The databases of a window that is undone: what they hold now is kept, then they are put back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from host import dumps as dumping
from host.base import HostError
from snapshots.model import SnapshotError
from steps import window_store
from steps.listener import Listener
from steps.window_model import Dump, Window
from steps.window_work import save

if TYPE_CHECKING:
    from steps.engine import Engine

BEFORE_UNDO = "before-undo"
"""How the dumps of what an undo gives up begin."""


def lacking(engine: Engine, window: Window) -> Iterator[str]:
    """A sentence for each dump of the start that could not be read back."""
    for dump in window.dumps:
        there = engine.host.state(dump.path, content=True)
        if there is None or (there.size_bytes, there.sha256) != (dump.bytes_, dump.sha256):
            what = "is not there any more" if there is None else "was altered since it was written"
            yield (
                f"The dump {dump.path} of the database {dump.database} {what}; nothing was undone."
                " Put it back from a backup."
            )


def keep_present(engine: Engine, window: Window, listener: Listener) -> Window:
    """Dump what this undo gives up, once. Raises `HostError`; nothing was undone then."""
    folder = window_store.make_folder(engine.state, window.folder)
    for database in (dump.database for dump in window.dumps):
        kept_already = database in (dump.database for dump in window.given_up)
        if kept_already or not dumping.is_there(engine.host, database):
            continue
        problem = dumping.refusal(engine.host, database, str(folder))
        if problem:
            raise SnapshotError(f"What the undo gives up could not be kept: {problem}")
        path = _free_path(engine, folder)
        kept = dumping.dump(engine.host, database, path, listener.doing)
        dump = Dump(database=database, path=path, bytes_=kept.bytes_, sha256=kept.sha256)
        window = save(engine, msgspec.structs.replace(window, given_up=(*window.given_up, dump)))
    return window


def forget_present(engine: Engine, window: Window) -> Window:
    """Nothing was given up after all. Raises `HostError`."""
    for dump in window.given_up:
        engine.host.put(dump.path, None)
    return msgspec.structs.replace(window, given_up=())


def put_back(engine: Engine, window: Window, listener: Listener) -> tuple[Window, list[str]]:
    """Each is what it was at the start, but for those in the sentences.

    Each once: sealing may fail after it, and be tried again while visitors write to them.
    """
    problems = []
    for dump in window.dumps:
        if dump.database in window.restored:
            continue
        try:
            kept = dumping.Kept(dump.bytes_, dump.sha256)
            dumping.restore(engine.host, dump.database, dump.path, kept, listener.doing)
        except HostError as error:
            problems.append(
                f"The database {dump.database} was not put back: {error} Its dump is {dump.path}."
            )
            continue
        restored = (*window.restored, dump.database)
        window = save(engine, msgspec.structs.replace(window, restored=restored))
    return window, problems


def _free_path(engine: Engine, folder: Path) -> str:
    """That of an earlier attempt is never written over."""
    paths = (str(folder / f"{BEFORE_UNDO}-{number}.sql") for number in itertools.count())
    return next(path for path in paths if engine.host.state(path) is None)
