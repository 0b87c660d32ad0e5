"""The screen under a real terminal: dropped lines, signals, dead terminals, colours, encodings."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tui.terminal_double import Terminal

PROGRAM = [sys.executable, str(Path(__file__).with_name("recorded_screen.py"))]

COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-7]|4[0-7]|9[0-7]|10[0-7]|[34]8;[25])(?:;|m)")
"""Any SGR that sets a colour; 39 and 49 (the terminal's own) are none."""


def screen(env: Mapping[str, str] | None = None, **size: int) -> Terminal:
    return Terminal(PROGRAM, env=env, **size)


def opened(env: Mapping[str, str] | None = None, **size: int) -> Terminal:
    terminal = screen(env, **size)
    terminal.wait_for("ssh.root-login")
    terminal.settle()
    return terminal


def put_back(raw: bytes) -> bool:
    """Whether the last words left the alternate screen, mouse mode and the hidden cursor."""
    return (
        raw.rfind(b"\x1b[?1049l") > raw.rfind(b"\x1b[?1049h")
        and raw.rfind(b"\x1b[?1003l") > raw.rfind(b"\x1b[?1003h")
        and raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l")
    )


def test_quit_leaves_the_terminal_as_it_was() -> None:
    with opened() as terminal:
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.settle(0.1)
        assert put_back(bytes(terminal.raw))


@pytest.mark.parametrize("moment", ["idle", "updating"])
def test_a_dropped_line_ends_the_screen(moment: str) -> None:
    """The master closes: the kernel sends SIGHUP and SIGCONT, reads and writes give EIO."""
    with opened() as terminal:
        if moment == "updating":
            terminal.press("2")
            terminal.wait_for("Listening ports")
            terminal.press("j" * 40)
        terminal.hang_up()
        assert terminal.wait(8) == 129


def test_a_dropped_line_ends_the_screen_also_where_hangups_are_ignored() -> None:
    """nohup and some multiplexers ignore SIGHUP: the end of input must do."""
    code = f"import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); {_EXEC}"
    with Terminal([sys.executable, "-c", code]) as terminal:
        terminal.wait_for("ssh.root-login")
        terminal.settle()
        terminal.hang_up()
        assert terminal.wait(8) == 129


_EXEC = f"os.execv({sys.executable!r}, {PROGRAM!r})"


def test_termination_leaves_the_terminal_as_it_was() -> None:
    with opened() as terminal:
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 143
        terminal.settle(0.1)
        assert put_back(bytes(terminal.raw))


def test_continuing_without_having_stopped_starts_nothing_twice() -> None:
    with opened() as terminal:
        terminal.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        threads = len(os.listdir(f"/proc/{terminal.process.pid}/task"))
        terminal.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        assert len(os.listdir(f"/proc/{terminal.process.pid}/task")) == threads
        terminal.press("j")
        terminal.wait_for("Log in with keys only")


def test_a_terminal_that_stops_reading_does_not_stop_the_program() -> None:
    with opened() as terminal:
        terminal.press("5")
        terminal.wait_for("Apply the chosen step")
        terminal.reading = False
        for _ in range(60):
            terminal.press("\x1b[6~\x1b[5~" * 3)
            time.sleep(0.02)
        terminal.press("q")
        assert terminal.wait(10) == 0


def test_escape_leaves_the_help_for_where_one_was() -> None:
    with opened() as terminal:
        terminal.press("3")
        terminal.wait_for("[3 History]")
        terminal.press("?")
        terminal.wait_for("[5 Help]")
        terminal.press("\x1b")
        terminal.wait_for("[3 History]")


def test_a_terminal_that_reads_again_is_painted_anew() -> None:
    with opened(columns=120, rows=40) as terminal:
        terminal.press("5")
        terminal.wait_for("Apply the chosen step")
        terminal.settle()
        terminal.reading = False
        for _ in range(150):
            terminal.press("\x1b[6~")
            time.sleep(0.01)
            terminal.press("\x1b[5~")
            time.sleep(0.01)
        terminal.press("1")
        time.sleep(0.5)
        terminal.reading = True
        terminal.wait_for("Refuse root logins over SSH")
        terminal.settle()
        assert "Apply the chosen step" not in terminal.text


@pytest.mark.parametrize("keys", ["", "2", "3", "3 u", "4", "4 e", "5", "a", "e", "\x10"])
def test_an_idle_screen_writes_nothing_and_does_nothing(keys: str) -> None:
    """Every place, question and form."""
    with opened() as terminal:
        for key in keys.split(" "):
            terminal.press(key)
            terminal.settle()
        terminal.settle(1.0)
        written, used = len(terminal.raw), terminal.processor_seconds()
        time.sleep(3.0)
        assert len(terminal.raw) == written
        assert terminal.processor_seconds() - used < 0.3


def test_no_color_sends_no_colour_and_nothing_is_lost() -> None:
    with opened({"NO_COLOR": "1"}) as terminal:
        assert not COLOUR.search(bytes(terminal.raw))
        assert "✗ open" in terminal.text
        assert "▸" in terminal.text


def test_sixteen_colours_are_enough() -> None:
    with opened({"TERM": "xterm", "COLORTERM": "truecolor"}) as terminal:
        assert COLOUR.search(bytes(terminal.raw))
        assert b"38;2;" not in terminal.raw
        assert b"38;5;" not in terminal.raw
        assert b"48;2;" not in terminal.raw


@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "de_DE.ISO-8859-1", "LC_ALL": "de_DE.ISO-8859-1", "PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
    ],
)
def test_a_terminal_without_utf8_gets_ascii(env: dict[str, str]) -> None:
    with opened(env) as terminal:
        for keys, words in (("s", "expected"), ("p", "PermitRootLogin no"), ("2", "Services")):
            terminal.press(keys)
            terminal.wait_for(words)
        terminal.settle()
        assert bytes(terminal.raw).isascii()
        assert "\\u" not in terminal.text
        terminal.press("1")
        assert "> x open    ssh.root-login" in terminal.wait_for("x open")


def test_a_dumb_terminal_is_refused_with_one_line() -> None:
    with Terminal(PROGRAM, env={"TERM": "dumb"}) as terminal:
        assert terminal.wait() == 2
        terminal.settle(0.1)
        assert terminal.raw.count(b"\n") == 1
        assert b"\x1b" not in terminal.raw
        assert b"harden-tui --help" in terminal.raw


@pytest.mark.parametrize("which", ["stdin", "stderr"])
def test_without_a_terminal_it_refuses_with_one_line(which: str) -> None:
    master, slave = os.openpty()
    streams: dict[str, int] = {"stdin": slave, "stdout": slave, "stderr": slave}
    streams[which] = subprocess.DEVNULL if which == "stdin" else subprocess.PIPE
    try:
        done = subprocess.run(PROGRAM, **streams, timeout=15, check=False)  # type: ignore[call-overload]
    finally:
        os.close(slave)
    assert done.returncode == 2
    said = done.stderr if which == "stderr" else os.read(master, 4096)
    os.close(master)
    assert said.startswith(b"harden-tui: standard ")
    assert said.strip().count(b"\n") == 0


def test_too_small_says_so_until_it_is_enlarged() -> None:
    with Terminal(PROGRAM, columns=60, rows=20) as terminal:
        terminal.wait_for("harden-tui needs 80 columns and 24 rows")
        terminal.resize(80, 24)
        terminal.wait_for("ssh.root-login")
        terminal.resize(70, 24)
        terminal.wait_for("this is 70 by 24")


def test_a_down_key_is_cheap() -> None:
    """At most 500 bytes at 80×24; the pane beside the list follows once the walk pauses."""
    with opened() as terminal:
        before = len(terminal.raw)
        for _ in range(6):
            terminal.press("\x1b[B")
            time.sleep(0.03)
        terminal.settle(0.6)
        assert 0 < (len(terminal.raw) - before) / 6 <= 500


def test_three_rows_that_change_each_second_are_cheap() -> None:
    """At most 500 bytes a second."""
    with opened({"RECORDED_CHANGES": "1"}) as terminal:
        terminal.press("2")
        terminal.wait_for("Listening ports")
        time.sleep(2.5)
        before = len(terminal.raw)
        time.sleep(4)
        assert 0 < (len(terminal.raw) - before) / 4 <= 500


@pytest.mark.parametrize("keys", ["", "\x1b", "\x1b 3"])
def test_a_count_down_is_cheap(keys: str) -> None:
    """At most 40 bytes a second, over the whole screen or above a place."""
    env = {"RECORDED_GUARD": "waiting", "RECORDED_CLOCK": "1"}
    with screen(env) as terminal:
        terminal.wait_for("nobody yet")
        for key in keys.split(" "):
            terminal.press(key)
            terminal.wait_for(" left")
        time.sleep(2.5)
        before, shown = len(terminal.raw), terminal.text
        time.sleep(4)
        assert terminal.text != shown
        assert 0 < (len(terminal.raw) - before) / 4 <= 40


def test_what_waits_is_shown_in_ascii_and_without_colour() -> None:
    env = {"RECORDED_GUARD": "waiting", "LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"}
    with screen({**env, "NO_COLOR": "1"}) as terminal:
        terminal.wait_for("? New login  nobody yet")
        terminal.press("\x1b")
        shown = terminal.wait_for("! ssh.limits waits for your confirmation")
        assert "4:12 left . c answers" in shown
        assert "ssh -p 2222 alice@10.77.1.2" in shown
        assert "sudo harden-tui confirm" in shown
        assert bytes(terminal.raw).isascii()
        assert not COLOUR.search(bytes(terminal.raw))


def test_nothing_else_is_changed_while_something_waits() -> None:
    with screen({"RECORDED_GUARD": "waiting"}) as terminal:
        terminal.wait_for("nobody yet")
        terminal.press("\x1b")
        terminal.wait_for("c answers")
        for key in "aA":
            terminal.press(key)
            terminal.wait_for("ssh.limits waits for your confirmation: c answers that first.")
        terminal.press("R")
        terminal.wait_for("and then t takes it back")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.settle(0.1)
        assert b"ssh.limits: goes on waiting (4:12 left)" in terminal.raw


def test_enter_decides_nothing_and_typing_is_not_interrupted() -> None:
    with screen({"RECORDED_GUARD": "login"}) as terminal:
        terminal.wait_for("The way in works")
        terminal.press("\r")
        terminal.wait_for("Nothing was decided")
        terminal.press("\x1b")
        terminal.wait_for("c, or there: sudo harden-tui confirm")


def test_little_memory_is_used() -> None:
    """At most 60 MB, all places opened."""
    with opened() as terminal:
        for key in "23451":
            terminal.press(key)
            terminal.settle(0.4)
        with open(f"/proc/{terminal.process.pid}/status", encoding="ascii") as file:
            resident_kb = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        assert resident_kb <= 60 * 1024


def test_a_crash_tells_one_sentence_and_no_value_of_a_variable() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[2]);"
        "import tui.app as app\n"
        "def do_next_open(self):\n"
        "    password = 'correct horse'\n"
        "    raise ValueError(password)\n"
        "import tui.places.checklist as c\n"
        "c.Checklist.do_next_open = do_next_open\n"
        "import recorded_screen as r\n"
        "r.opening.Hands = r.RecordedHands\n"
        "sys.exit(r.opening.run_screen(r.options()))\n"
    )
    here = Path(__file__).parent
    with Terminal([sys.executable, "-c", code, str(here), str(here.parent.parent)]) as terminal:
        terminal.wait_for("ssh.root-login")
        terminal.settle()
        mark = len(terminal.raw)
        terminal.press("n")
        assert terminal.wait() == 1
        terminal.settle(0.2)
        last = bytes(terminal.raw[mark:])
        assert b"correct horse" not in last
        assert b"harden-tui: the screen ended on an error of its own (ValueError" in last
        assert b"harden-tui follow" in last
        assert put_back(bytes(terminal.raw))


def test_what_is_typed_ahead_goes_where_it_was_meant() -> None:
    """Several keys in one packet, as a slow line delivers them."""
    with opened() as terminal:
        terminal.press("/ssh.lim\r")
        terminal.wait_for(lambda text: "ssh.limits" in text and "apache.banner" not in text)
        assert "[Why]" in terminal.text
        terminal.press("\x1b")
        terminal.wait_for("apache.banner")
        terminal.press("2")
        terminal.wait_for("Listening ports")
