"""The screens as a person sees them, compared as plain text.

After a change that is meant: `pytest tests/tui/test_golden.py --golden-update`, then look at the
difference that git shows.
"""

from __future__ import annotations

import pytest

from tests.tui.conftest import Golden
from tests.tui.terminal_double import Terminal
from tests.tui.test_terminal import PROGRAM

SIZES = [(80, 24), (120, 40)]

VISITS = [
    ("checklist-why", "", "Breaks    Whoever"),
    ("checklist-state", "s", "decided by"),
    ("checklist-preview", "p", "PermitRootLogin no"),
    ("checklist-history", "h", "Nothing was ever changed"),
    ("confirm-typed-word", "a", "type the word"),
    ("confirm-stage", "\x1bA", "Guarded: ssh.root-login"),
    ("drift-state", "\x1b\x1b[B\x1b[Bs", "decides"),
    ("drift-settle", "d", "[ Cancel ]"),
    ("drift-merge", "\t\t\t\r", "Then, to validate"),
    ("filter", "\x1b\x1b[A\x1b[A\x1b/ssh", "filter: ssh"),
    ("form", "\x1b\x1b[B\x1b[Be", "login-grace-time"),
    ("live", "\x1b2", "failed, or"),
    ("history", "3", "Touched 1 thing"),
    ("undo", "u", "[ Undo ]"),
    ("log", "\x1b4", "containers need forwarding"),
    ("export", "e", "Markdown (.md)"),
    ("help", "\x1b5", "Apply the chosen step"),
    ("palette", "\x10", "Enter do it"),
    ("lead-why", "\x1b1\x1b[Hl", "step 1: ssh.root-login"),
    ("lead-state", "\r", "[2 State now]"),
    ("lead-change", "\r", "PermitRootLogin no"),
    ("todo", "T", "Left out on purpose"),
    ("window-none", "\x1b\x1bW", "No update window is open."),
]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_screens(golden: Golden, columns: int, rows: int) -> None:
    with Terminal(PROGRAM, columns=columns, rows=rows) as terminal:
        for name, keys, words in VISITS:
            for key in split(keys):
                terminal.press(key)
                terminal.settle(0.25)
            if name == "live":
                words = "logrotate.service"
            terminal.wait_for(words)
            golden.compare(f"{name}-{columns}x{rows}", terminal)


CONFLICT_VISITS = [
    ("conflict", "u", "Conflict 1 of 2"),
    ("conflict-choice", "\x1b[C\x1b[C", "What was before the step comes back"),
    ("conflict-impossible", "\r\x1b[D", "Not possible: a file and a link"),
    ("conflict-settled", "\x1b[D\x1b[D\r", "[ Undo ]"),
]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_screens_of_a_conflict(golden: Golden, columns: int, rows: int) -> None:
    env = {"RECORDED_CONFLICT": "1"}
    with Terminal(PROGRAM, columns=columns, rows=rows, env=env) as terminal:
        terminal.press("3")
        terminal.wait_for("Touched 1 thing")
        for name, keys, words in CONFLICT_VISITS:
            for key in split(keys):
                terminal.press(key)
                terminal.settle(0.25)
            terminal.wait_for(words)
            golden.compare(f"{name}-{columns}x{rows}", terminal)


GUARD_VISITS: dict[str, list[tuple[str, str, str]]] = {
    "waiting": [
        ("guard-waiting", "", "nobody yet"),
        ("guard-banner", "\x1b", "In a new terminal"),
        ("", "c", "nobody yet"),
        ("guard-without-login", "c", "this host's name"),
        ("", "\x1b", "nobody yet"),
        ("guard-take-back", "t", "Edited by others since"),
    ],
    "login": [
        ("guard-login", "", "The way in works"),
        ("guard-refused", "c", "was taken back already"),
        ("guard-banner-login", "\x1b", "c, or there:"),
    ],
    "kept": [
        ("", "", "≠ 1 other change"),
        ("", "\x1b[B\x1b[B", "Limit tries and sessions"),
        ("", "a", "[ Apply ]"),
        ("guard-kept", "\x1b[C\r", "Confirmed: it stays"),
    ],
    "taken-back": [
        ("", "", "≠ 1 other change"),
        ("", "\x1b[B\x1b[B", "Limit tries and sessions"),
        ("", "a", "[ Apply ]"),
        ("guard-taken-back", "\x1b[C\r", "Nobody confirmed it"),
    ],
}


@pytest.mark.parametrize("guard", list(GUARD_VISITS))
@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_screens_of_what_waits(golden: Golden, guard: str, columns: int, rows: int) -> None:
    env = {"RECORDED_GUARD": guard}
    with Terminal(PROGRAM, columns=columns, rows=rows, env=env) as terminal:
        for name, keys, words in GUARD_VISITS[guard]:
            for key in split(keys):
                terminal.press(key)
                terminal.settle(0.25)
            terminal.wait_for(words)
            if name:
                golden.compare(f"{name}-{columns}x{rows}", terminal)


WINDOW_VISITS = [
    ("window-banner", "", "2 h 14 min left"),
    ("window-open", "W", "In this order"),
    ("window-close", "c", "At work in a tree right now"),
    ("window-closed", "\t\r", "The update window is closed."),
    ("window-report", "\r", "The last window"),
]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_screens_of_an_update_window(golden: Golden, columns: int, rows: int) -> None:
    env = {"RECORDED_WINDOW": "open"}
    with Terminal(PROGRAM, columns=columns, rows=rows, env=env) as terminal:
        for name, keys, words in WINDOW_VISITS:
            for key in split(keys):
                terminal.press(key)
                terminal.settle(0.25)
            terminal.wait_for(words)
            golden.compare(f"{name}-{columns}x{rows}", terminal)


def test_a_practice_host_says_so_on_every_screen(golden: Golden) -> None:
    banner = "PRACTICE HOST – nothing here touches this machine"
    with Terminal([*PROGRAM, "--practice"]) as terminal:
        terminal.wait_for("ssh.root-login")
        for key, words in [
            ("1", "Breaks"),
            ("2", "Services"),
            ("3", "newest first"),
            ("4", "newest first"),
            ("5", "Apply the chosen step"),
        ]:
            terminal.press(key)
            assert banner in terminal.wait_for(words)
        terminal.press("1")
        terminal.wait_for("Breaks")
        golden.compare("practice-80x24", terminal)


def split(keys: str) -> list[str]:
    """Keys one by one; an escape sequence is one key."""
    found: list[str] = []
    while keys:
        size = 3 if keys.startswith("\x1b[") else 1
        found.append(keys[:size])
        keys = keys[size:]
    return found
