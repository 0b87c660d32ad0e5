"""The hands: the process that does the work, away from every terminal.

Started by `tui.launch` as a program of its own. From standard input it reads where its libraries
lie, imports them, and reads its job (so secrets are in no argument list and in no file); where none
comes it ends. Then it leaves the terminal's session, and writes its events to the run's directory.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Read the job, detach, work. The exit status is that of starting, not of the work."""
    os.umask(0o077)
    gc.disable()  # until the work begins, see tui.garbage
    where = sys.stdin.buffer.readline()
    if not where:
        return 0
    sys.path[:] = json.loads(where)["path"]
    _prepare()
    text = sys.stdin.buffer.read()
    if not text:
        return 0  # whoever started us refused what was wanted, or is gone
    job: dict[str, Any] = json.loads(text)
    os.environ.update(job["environment"])
    _print_to(Path(job["directory"]) / "worker.log")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if os.getsid(0) != os.getpid():
        os.setsid()
    _stay()
    from tui import runs

    directory = Path(job["directory"])
    ready, go = os.pipe()
    # The second fork: whoever is no leader of its session can never get a terminal again.
    child = os.fork()
    if child:
        os.close(ready)
        try:
            _name(directory, child)
        except OSError:  # no room: it is told that nothing began, so nothing may
            os.kill(child, signal.SIGKILL)
            raise
        os._exit(0)
    os.close(go)
    os.read(ready, 1)  # until run.json names us, or the one who writes it is gone
    os.close(ready)
    if runs.load(directory).pid != os.getpid():
        _name(directory, os.getpid())
    from tui.work import work

    work(directory, job)
    return 0


def _prepare() -> None:
    """Import what every job needs, while whoever started us looks whether there is one."""
    for name in ("tui.work", "tui.session", "steps.apply"):
        importlib.import_module(name)


def _print_to(path: Path) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _name(directory: Path, pid: int) -> None:
    from tui import runs

    runs.mark(directory, status="running", pid=pid, pid_start=runs.start_of(pid))


def _stay() -> None:
    """Take note of the signals a terminal, a session's end or a shutdown sends, and work on.

    Handlers that do nothing, not SIG_IGN: what is ignored stays ignored in the programs we run.
    """
    for number in (
        signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM,
        signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP,
    ):  # fmt: skip
        signal.signal(number, _noted)


def _noted(number: int, _frame: object) -> None:
    name = signal.Signals(number).name
    os.write(2, f"{name} received; the work in hand is finished first.\n".encode())


if __name__ == "__main__":
    sys.exit(main())
