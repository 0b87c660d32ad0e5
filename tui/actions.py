"""Every action of the screen, once: bindings, footer, help, palette and key tables come from here.

`Action.run` is the name of the method `do_<run>` on the app or the place. Whether an action can be
taken now, and if not why, is answered by `why_not_<run>` beside it; a disabled key says so.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Place = Literal["checklist", "live", "history", "log", "help"]
PLACES: Final[tuple[Place, ...]] = ("checklist", "live", "history", "log", "help")

Where = Literal["checklist", "live", "history", "log", "help", "everywhere"]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a person can do.

    `keys`: the first is shown; `footer`: whether the footer has it (all are in help). `moves`: only
    moves about within a pane, which nobody looks for in a palette.
    """

    name: str
    keys: tuple[str, ...]
    label: str
    description: str
    where: tuple[Where, ...]
    footer: bool = True
    moves: bool = False

    @property
    def shown_key(self) -> str:
        """The key as it is written on a keyboard."""
        return _WRITTEN.get(self.keys[0], self.keys[0])

    @property
    def method(self) -> str:
        return self.name.replace("-", "_")


_WRITTEN: Final = {
    "slash": "/",
    "question_mark": "?",
    "ctrl+p": "Ctrl+P",
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
}

ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        name="apply", keys=("a",), label="apply", where=("checklist",),
        description="Apply the chosen step: shows the exact diff and asks once",
    ),
    Action(
        name="apply-stage", keys=("A",), label="all of stage", where=("checklist",),
        description="Apply every open step of this stage: shows all diffs and asks once",
    ),
    Action(
        name="roll-back", keys=("u",), label="undo", where=("checklist", "history"),
        description="Roll back what was applied: shows the diff of the undo and asks once",
    ),
    Action(
        name="drift", keys=("d",), label="drift", where=("checklist",),
        description="Settle what changed outside harden-tui: accept, restore or merge",
    ),
    Action(
        name="skip", keys=("x",), label="skip", where=("checklist",),
        description="Leave the step out on purpose, with a reason (again: take it back in)",
    ),
    Action(
        name="attest", keys=("t",), label="attest", where=("checklist",),
        description="Answer for what no program can measure, with a note",
    ),
    Action(
        name="next-open", keys=("n",), label="next open", where=("checklist",),
        description="Go to the next step with something left to do",
    ),
    Action(
        name="lead", keys=("l",), label="lead me", where=("checklist",),
        description="Be led through this stage step by step; goes on where somebody stopped",
    ),
    Action(
        name="todo", keys=("T",), label="to do", where=("checklist",),
        description="Show what is left to a person, and export it",
    ),
    Action(
        name="edit", keys=("e",), label="edit", where=("checklist",),
        description="Change the values of the step's parameters",
    ),
    Action(
        name="check", keys=("r",), label="re-check", where=("checklist", "history", "log"),
        description="Ask the host again",
    ),
    Action(
        name="why", keys=("w",), label="Why", where=("checklist",), footer=False,
        description="Show why the step exists and what it breaks",
    ),
    Action(
        name="state", keys=("s",), label="State", where=("checklist",), footer=False,
        description="Show what was measured: expected, running, after a reboot, origin",
    ),
    Action(
        name="preview", keys=("p",), label="Preview", where=("checklist",), footer=False,
        description="Show the exact diff and the commands that would run",
    ),
    Action(
        name="step-history", keys=("h",), label="History", where=("checklist",), footer=False,
        description="Show what was done for this step",
    ),
    Action(
        name="wide",
        keys=("enter",),
        label="wide",
        where=("checklist",),
        footer=False,
        description="Give the chosen step the whole width (Esc gives the list back)",
    ),
    Action(
        name="previous-tab", keys=("left",), label="tab left", where=("checklist",), footer=False,
        description="Show the tab to the left",
    ),
    Action(
        name="next-tab", keys=("right",), label="tab right", where=("checklist",), footer=False,
        description="Show the tab to the right",
    ),
    Action(
        name="to-step", keys=("enter",), label="its step", where=("live",),
        description="Go to the step that deals with the chosen service or port",
    ),
    Action(
        name="sort", keys=("o",), label="order", where=("live",),
        description="Sort by the next column",
    ),
    Action(
        name="all-services", keys=("v",), label="all/some", where=("live",),
        description="Show every unit, or only those that run, start or failed",
    ),
    Action(
        name="logins", keys=("f",), label="logins", where=("live",),
        description="Failed logins by address, by account, or the services again",
    ),
    Action(
        name="look-back", keys=("w",), label="look back", where=("live",),
        description="Look back at failed logins 15 minutes, an hour, a day or a week",
    ),
    Action(
        name="ban", keys=("x",), label="ban", where=("live",),
        description="Have fail2ban shut out the chosen address: asks once",
    ),
    Action(
        name="unban", keys=("u",), label="let in", where=("live",),
        description="Have fail2ban let the chosen address in again: asks once",
    ),
    Action(
        name="recover", keys=("R",), label="recover", where=("checklist", "history"), footer=False,
        description="Finish or undo what was interrupted",
    ),
    Action(
        name="confirm", keys=("c",), label="confirm", where=("everywhere",), footer=False,
        description="Answer a change that waits for you: keep it, more time, or take it back",
    ),
    Action(
        name="window", keys=("W",), label="window", where=("everywhere",),
        description="Update window: open, shell, packages, restarts, close, undo",
    ),
    Action(
        name="export", keys=("e",), label="export", where=("log",),
        description="Write the chosen session to a file: Markdown, JSON or HTML",
    ),
    Action(
        name="filter", keys=("slash",), label="filter",
        where=("checklist", "live", "history", "log"),
        description="Show only what holds these words (Esc ends it)",
    ),
    Action(
        name="output", keys=("o",), label="output", where=("checklist", "history"), footer=False,
        description="Show the commands and output of the last work",
    ),
    Action(
        name="root", keys=("b",), label="become root", footer=False,
        where=("checklist", "live", "history", "log"),
        description="Let sudo ask for your password once, so that changes can be made as root",
    ),
    Action(
        name="switch-pane", keys=("tab", "shift+tab"), label="pane", where=("everywhere",),
        footer=False, moves=True, description="Go to the other pane",
    ),
    Action(
        name="up", keys=("up", "k"), label="up", where=("everywhere",), footer=False,
        moves=True, description="One line up",
    ),
    Action(
        name="down", keys=("down", "j"), label="down", where=("everywhere",), footer=False,
        moves=True, description="One line down",
    ),
    Action(
        name="page-up", keys=("pageup",), label="page up", where=("everywhere",), footer=False,
        moves=True, description="One page up",
    ),
    Action(
        name="page-down", keys=("pagedown", "space"), label="page down", where=("everywhere",),
        footer=False, moves=True, description="One page down",
    ),
    Action(
        name="first", keys=("home", "g"), label="first", where=("everywhere",), footer=False,
        moves=True, description="To the first line",
    ),
    Action(
        name="last", keys=("end", "G"), label="last", where=("everywhere",), footer=False,
        moves=True, description="To the last line",
    ),
    Action(
        name="place-checklist", keys=("1",), label="Checklist", where=("everywhere",),
        footer=False, description="The steps, with their state, preview and history",
    ),
    Action(
        name="place-live", keys=("2",), label="Live", where=("everywhere",), footer=False,
        description="Services, ports and failed logins, each second",
    ),
    Action(
        name="place-history", keys=("3",), label="History", where=("everywhere",), footer=False,
        description="What was changed, and the way back",
    ),
    Action(
        name="place-log", keys=("4",), label="Log", where=("everywhere",), footer=False,
        description="Sessions and their entries; export",
    ),
    Action(
        name="help", keys=("question_mark", "5"), label="help", where=("everywhere",),
        description="Keys, signs, and how undo works",
    ),
    Action(
        name="palette", keys=("ctrl+p",), label="palette", where=("everywhere",), footer=False,
        moves=True, description="Find any action by typing its name",
    ),
    Action(
        name="back", keys=("escape",), label="back", where=("everywhere",), footer=False,
        moves=True, description="End the filter, leave the help, or go back to the list",
    ),
    Action(
        name="quit", keys=("q", "ctrl+c"), label="quit", where=("everywhere",),
        description="Leave the screen; work that runs goes on",
    ),
)  # fmt: skip


def actions_of(place: Place) -> list[Action]:
    """The actions there are in a place, in the order of the registry."""
    return [action for action in ACTIONS if place in action.where or "everywhere" in action.where]


def action_for(place: Place, key: str) -> Action | None:
    """The action a key means in a place."""
    return next((action for action in actions_of(place) if key in action.keys), None)


def by_name(name: str) -> Action:
    """Raises `KeyError` for a name that is not in the registry."""
    return {action.name: action for action in ACTIONS}[name]
