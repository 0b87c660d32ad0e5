"""Who is still at work on what a window has opened: writers in the trees, and package tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from host.base import Host, HostError
from host.holders import describe
from snapshots.model import Root
from steps.resources.tree_oddities import writers as writing
from steps.window_model import Window
from steps.window_seals import captured

if TYPE_CHECKING:
    from steps.engine import Engine


def writers(engine: Engine, window: Window) -> tuple[str, ...]:
    """Sentences such as "/srv/app/x (rsync, process 812)". Raises `HostError`.

    What the application may write while it is sealed is no reason to wait.
    """
    return (*in_trees(engine.host, captured(window.seals)), *package_tools(engine.host))


def in_trees(host: Host, roots: Iterable[Root]) -> tuple[str, ...]:
    """Files below these trees that are open for writing, but for those left out."""
    return tuple(
        f"{writer.path} ({describe(host, writer.pid)})"
        for root in roots
        for writer in writing(host, root.path)
        if not any(writer.path.startswith(f"{left}/") for left in root.without)
    )


def package_tools(host: Host) -> tuple[str, ...]:
    """Whoever holds dpkg's lock."""
    try:
        holder = host.lock_packages()
    except HostError as error:
        return (str(error),)
    if holder:
        return (f"{describe(host, holder)} has dpkg's lock",)
    host.unlock_packages()
    return ()
