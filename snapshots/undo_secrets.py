"""The secret contents that an undo replaces or makes: no restore point holds them."""

from __future__ import annotations

from snapshots.capture import Keeper
from snapshots.inversion import Inversion
from snapshots.model import FileItem


def keep(keeper: Keeper, inversion: Inversion) -> list[str]:
    """Keep them all; returns those that only the way back of the undo itself needs."""
    return [*_keep_secrets(keeper, inversion), *_keep_merged(keeper, inversion)]


def _keep_secrets(keeper: Keeper, inversion: Inversion) -> list[str]:
    """Keep the secret contents that the undo replaces: no restore point holds them.

    Returns those that only the way back of the undo itself needs. What a person gives up by choice
    is not among them: it stays readable as long as the undo's restore point.
    """
    passing = keeper.mariadb.keep()
    if any(decision.chosen == "restore" for decision in inversion.decisions):
        passing = []
    secret = keeper.secret_paths.paths
    if not secret:
        return passing
    for decision in inversion.decisions:
        path, now = decision.delta.key, inversion.now(decision.delta)
        if decision.delta.domain != "files" or path not in secret or not decision.changes:
            continue
        if isinstance(now, FileItem) and now.state.kind == "file":
            hashed = keeper.secret_paths.keep_content(keeper.host, path)
            if hashed and decision.chosen != "restore":
                passing.append(hashed)
    return passing


def _keep_merged(keeper: Keeper, inversion: Inversion) -> list[str]:
    """Keep secret contents that the merge made; returns those that only this undo needs."""
    made = inversion.contents.made_secret
    new = [hashed for hashed, text in made.items() if keeper.secret_paths.keep_known(hashed, text)]
    rebased = [one for mine in inversion.rebased.values() for one in mine.values() if one]
    needed = {
        item.state.sha256
        for one in rebased
        for item in (one.before, one.after)
        if isinstance(item, FileItem)
    }
    return [hashed for hashed in new if hashed not in needed]
