"""The screen as an administrator sees it: `ssh -t` into a host, in a real terminal (tmux)."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import time
from types import TracebackType

from tests.hosts.lab import LabHost

_NUMBERS = itertools.count()


class Screen:
    """A terminal of `columns` by `rows` in which `command` runs on the host over SSH."""

    def __init__(
        self, host: LabHost, command: str = "harden-tui", columns: int = 80, rows: int = 24,
        ssh_options: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        # A name of its own: the server of the one before may not be gone yet.
        self._server = f"harden-tui-{host.name}-{os.getpid()}-{next(_NUMBERS)}"
        self._line = shlex.join(host.ssh_argv(command, options=("-tt", *ssh_options)))
        self._size = (columns, rows)

    def __enter__(self) -> Screen:
        columns, rows = self._size
        environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
        environment["LC_ALL"] = "C.UTF-8"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
            f"{self._line}; echo; echo the program ended with $?; sleep 600", env=environment,
        )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tmux("kill-server", check=False)

    def keys(self, *keys: str) -> None:
        """Press keys one after the other (tmux's names: Enter, Escape, Right, a …)."""
        for key in keys:
            self._tmux("send-keys", key)
            time.sleep(0.15)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._tmux("send-keys", "-l", text)

    def text(self) -> str:
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p")

    def wait(self, pattern: str, timeout_s: float = 30) -> str:
        """Until the screen shows `pattern`; returns the screen. Fails with the screen."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            text = self.text()
            if re.search(pattern, text, re.MULTILINE):
                return text
            time.sleep(0.2)
        raise AssertionError(f"no {pattern!r} within {timeout_s} s on:\n{self.text()}")

    def _tmux(self, *arguments: str, check: bool = True, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._server, *arguments],
            capture_output=True, text=True, check=check, env=env,
        )  # fmt: skip
        return done.stdout


class Console(Screen):
    """A terminal of the host itself, at which `user` has logged in without SSH."""

    def __init__(self, host: LabHost, user: str = "alice") -> None:
        super().__init__(host)
        login = ["script", "-qec", f"login -f {user}", "/dev/null"]  # a terminal of its own
        self._line = shlex.join(["nsenter", "-t", str(host.leader), "-a", "--", *login])
