"""The registry of actions: whole, without clashes, and done by somebody."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from tui import actions
from tui.app import HardenApp, make_place


@pytest.mark.parametrize("place", actions.PLACES)
def test_a_key_means_one_thing_in_a_place(place: actions.Place) -> None:
    keys = Counter(key for action in actions.actions_of(place) for key in action.keys)
    assert [key for key, times in keys.items() if times > 1] == []


@pytest.mark.parametrize("place", actions.PLACES)
def test_every_action_is_done_by_its_place_or_the_app(place: actions.Place) -> None:
    view = type(make_place(place))
    for action in actions.actions_of(place):
        name = f"do_{action.method}"
        assert hasattr(view, name) or hasattr(HardenApp, name), f"{place}: nobody has {name}"


def test_bindings_come_from_the_registry() -> None:
    for place in actions.PLACES:
        bound = {binding.key for binding in type(make_place(place)).BINDINGS}  # type: ignore[union-attr]
        assert bound == {key for action in actions.actions_of(place) for key in action.keys}


def test_keys_are_such_as_arrive_in_every_terminal() -> None:
    """Function keys, Ctrl-M, Ctrl-J and Ctrl-Q do not."""
    for action in actions.ACTIONS:
        for key in action.keys:
            assert not key.startswith("f1"), key
            assert key not in ("ctrl+m", "ctrl+j", "ctrl+q"), key


def test_names_are_told_apart() -> None:
    names = [action.name for action in actions.ACTIONS]
    assert len(names) == len(set(names))
    assert actions.by_name("apply").shown_key == "a"
    assert actions.action_for("log", "e") is actions.by_name("export")
    assert actions.action_for("checklist", "e") is actions.by_name("edit")


def test_what_the_key_tables_need_is_there_without_textual() -> None:
    """The manual page and the README are made from the registry, without the screen's library."""
    code = "import sys, tui.actions, tui.client, tui.views.help; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
