"""What a person chose for conflicts: from the command line, and back into it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from host.names import visible
from snapshots.model import RESOLUTIONS, Resolution, Resolutions, UndoItem, UndoPlan
from snapshots.typed import by_number
from tui.cli_parsers_change import BARE
from tui.failures import usage

if TYPE_CHECKING:
    from steps.engine import Engine

MEANINGS: Mapping[Resolution, str] = {
    "keep-current": "what stands now stays; the step lets go of it",
    "restore": "what was before the step comes back; what was changed since is given up",
    "merge": "what merges is merged; in the same place, what was changed since stays",
}


def given(arguments: argparse.Namespace) -> Resolutions:
    """`--keep-current`, `--restore` and `--merge`, each bare or with a path. Raises `Stop`."""
    everything: Resolution | None = None
    single: dict[str, Resolution] = {}
    for resolution in RESOLUTIONS:
        for value in getattr(arguments, resolution.replace("-", "_")) or ():
            if not value:
                raise usage(
                    f"--{resolution}= names no path. For every conflict it is --{resolution} alone."
                )
            key = "" if value == BARE else value
            if key and single.get(key, resolution) != resolution:
                raise usage(f"Give either --{single[key]} or --{resolution} for {key}.")
            if not key and everything not in (None, resolution):
                raise usage(
                    f"Give either --{everything} or --{resolution} for all conflicts; "
                    f"--{resolution}=PATH is for a single one."
                )
            if key:
                single[key] = resolution
            else:
                everything = resolution
    return Resolutions(everything, single)


def planned(
    engine: Engine, names: Sequence[str], everything: bool, resolutions: Resolutions
) -> tuple[list[UndoPlan], Resolutions]:
    """The undo so resolved, and the resolutions by the exact names of what is in conflict.

    Raises `Stop` (exit 2) for a choice about something that is not in conflict.
    """
    from steps import rollback as undoing  # what only shows a plan does without

    plans = undoing.plans(engine, names, everything, resolutions)
    strange = undoing.strangers(plans, resolutions)
    if not strange:
        return plans, resolutions
    disputed = [item.key for plan in plans for item in plan.disputed]
    spelled = {visible(key): key for key in disputed}
    for key in strange:
        if key not in spelled:
            there = ", ".join(shlex.quote(name) for name in spelled)
            known = f"only {there} is" if there else "nothing is"
            raise usage(f"--{resolutions.single[key]}={key}: not in conflict; {known}.")
    single = {spelled.get(key, key): choice for key, choice in resolutions.single.items()}
    exact = msgspec.structs.replace(resolutions, single=single)
    return undoing.plans(engine, names, everything, exact), exact


def flags(choices: Mapping[str, Resolution]) -> list[str]:
    """The arguments that say the same."""
    return [f"--{choice}={key}" for key, choice in choices.items()]


def ways_out(item: UndoItem) -> list[tuple[str, str]]:
    """(what to type, what it means or why it is not possible) for each resolution."""
    path = shlex.quote(visible(item.key))
    return [
        (
            f"--{resolution}={path}",
            f"not possible: {item.cannot[resolution]}"
            if resolution in item.cannot
            else MEANINGS[resolution],
        )
        for resolution in RESOLUTIONS
    ]


def since_title(item: UndoItem) -> str:
    """Between which sides the change of somebody else lies."""
    found = ", ".join(item.found_by)
    end = f"what {found} found" if found else "now"
    given_up = " and is given up" if item.chosen == "restore" else ""
    return f"what was changed since{given_up} (after -> {end})"


def later_text(plan: UndoPlan) -> str:
    """What later steps still depend on."""
    number = sum(1 for item in plan.items if item.later)
    things = "1 of these" if number == 1 else f"{number} of these"
    who = by_number(plan.later, "A later step depends", "Later steps depend")
    they = by_number(plan.later, "that is", "they are")
    names = ", ".join(plan.later)
    return f"{who} on {things}: {names}. It stays now, and goes when {they} undone."
