"""A login shell of the person at the screen, for what they do themselves, and back."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping

from tui import inherited

PROMPT = "(harden-tui: exit goes back)"


def greeting(user: str, left: str) -> str:
    """What stands above the first prompt."""
    return (
        f"\nharden-tui: the update window is open ({left}). This is a shell of {user}; what you do"
        " here is yours.\nType exit, or press Ctrl-D, to go back to harden-tui.\n"
    )


def argv_of(shell: str) -> list[str]:
    """How a login shell is called: its name with a dash before it."""
    return [f"-{os.path.basename(shell)}"]


def environment(given: Mapping[str, str], user: pwd.struct_passwd, shell: str) -> dict[str, str]:
    """The variables of the shell: the person's own, without those that are the screen's.

    A prompt that says how to come back: bash reads its own files after this, so it is put before
    theirs when the first prompt is shown; plain shells take PS1.
    """
    kept = {name: value for name, value in given.items() if not name.startswith("TEXTUAL")}
    kept.pop("PYTHONPATH", None)
    kept |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": shell}
    kept["PS1"] = f"{PROMPT} {'#' if user.pw_uid == 0 else '$'} "
    if os.path.basename(shell) == "bash":
        kept["PROMPT_COMMAND"] = f"PS1='{PROMPT} '\"$PS1\"; unset PROMPT_COMMAND"
    return kept


def run(left: str) -> str:
    """Run the shell on this terminal until it ends; why it could not be run, or empty. Blocks."""
    user = pwd.getpwuid(os.geteuid())
    shell = user.pw_shell if os.access(user.pw_shell or "/", os.X_OK) else "/bin/sh"
    if os.path.basename(shell) in ("nologin", "false"):
        shell = "/bin/sh"
    print(greeting(user.pw_name, left), flush=True)
    # A Ctrl-C that comes before the shell has taken the terminal is not meant for us.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        subprocess.run(
            argv_of(shell),
            executable=shell,
            env=environment(os.environ, user, shell),
            cwd=user.pw_dir if os.path.isdir(user.pw_dir) else "/",
            umask=inherited.umask,
            check=False,
        )
    except OSError as error:
        return f"{shell} cannot be started: {error.strerror}."
    finally:
        signal.signal(signal.SIGINT, before)
        _take_terminal_back()
    return ""


def _take_terminal_back() -> None:
    """A shell gives the terminal back when it ends; one that was killed could not."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, before)
