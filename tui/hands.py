"""Starting the worker, and following what it says.

The worker must outlive whatever started it: the terminal, the SSH connection, sudo's own
pseudo-terminal (`use_pty` is Debian's default and ends with it), and the login session: where
KillUserProcesses is on, logind sends its processes SIGTERM, and SIGKILL 90 seconds later, while
a package installation may take minutes. So it gets a session of its own and, where systemd is
there, a scope of its own outside the login's. A scope and not a service, because needrestart,
which package installations call, restarts services whose libraries were replaced; and because in
a scope the job still comes through an inherited pipe.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from snapshots.model import UNRESOLVED, Resolutions
from steps.guard_settings import Guarding
from tui import launch, runs
from tui.failures import NEEDS_PERSON, REFUSED, Stop, refused
from tui.options import Options


def job_of(
    options: Options,
    directory: Path,
    command: str,
    *,
    steps: tuple[str, ...],
    fingerprint: str | None = None,
    everything: bool = False,
    resolutions: Resolutions = UNRESOLVED,
    things: tuple[str, ...] = (),
    forced: bool = False,
    keep_going: bool = False,
    guarding: Guarding | None = None,
    window: Mapping[str, Any] | None = None,
    session: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the worker reads from its standard input, after `launch.where`."""
    return {
        "directory": str(directory),
        "environment": dict(session or {}),
        "command": command,
        "steps": list(steps),
        "fingerprint": fingerprint,
        "everything": everything,
        "resolutions": msgspec.to_builtins(resolutions),
        "things": list(things),
        "forced": forced,
        "keep_going": keep_going,
        "guarding": msgspec.to_builtins(guarding or Guarding()),
        "window": dict(window or {}),
        "options": {
            "practice": options.practice,
            "state_dir": str(options.state_dir),
            "log_dir": str(options.log_dir),
            "checklist": options.checklist,
            "values": options.values,
            "from_stdin": sorted(options.from_stdin),
            "keep_days": options.keep_days,
            "user": options.user,
        },
    }


@contextlib.contextmanager
def uninterrupted() -> Iterator[list[int]]:
    """Ctrl-C waits: while a worker is being started nobody could say whether it was.

    The list holds the signals that came meanwhile.
    """
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


def start(
    options: Options,
    command: str,
    *,
    steps: tuple[str, ...] = (),
    fingerprint: str | None = None,
    everything: bool = False,
    resolutions: Resolutions = UNRESOLVED,
    things: tuple[str, ...] = (),
    forced: bool = False,
    keep_going: bool = False,
    guarding: Guarding | None = None,
    window: Mapping[str, Any] | None = None,
    session: Mapping[str, str] | None = None,
) -> Path:
    """Start the worker; returns the run's directory. Raises `Stop` (exit 3).

    `session`: environment variables that say how the administrator came here; away from the
    terminal the worker cannot find out by itself. `window`: what is asked of an update window.
    """
    waiting = launch.take()
    directory = runs.create(
        options.state_dir, command=command, steps=steps, user=options.user,
        run_id=waiting.run_id if waiting is not None else "",
    )  # fmt: skip
    job = job_of(
        options,
        directory,
        command,
        steps=steps,
        fingerprint=fingerprint,
        everything=everything,
        resolutions=resolutions,
        things=things,
        forced=forced,
        keep_going=keep_going,
        guarding=guarding,
        window=window,
        session=session,
    )
    # Values from YAML may be dates and the like: as text they meet the same strict conversion.
    payload = json.dumps(job, default=str).encode()
    if waiting is not None and (waiting.give(payload) or _has_begun(directory)):
        return directory
    for prefix in launch.prefixes(directory.name):
        problem = _launch([*prefix, *launch.program()], launch.where() + payload, directory)
        if not problem or _has_begun(directory):
            return directory
    try:
        runs.mark(directory, status="interrupted", exit=REFUSED, summary=problem)
    except OSError as error:
        runs.discard(directory)
        raise runs.not_written(options.state_dir, error) from None
    raise refused(f"Nothing was changed: the working process could not be started ({problem}).")


def _has_begun(directory: Path) -> bool:
    """Whether it did start; whatever went wrong then is in its events."""
    return runs.read(directory).status != "starting"


def _launch(argv: list[str], payload: bytes, directory: Path) -> str:
    """Run `argv` until it has detached; what went wrong, or empty."""
    with open(directory / "worker.log", "ab") as log:
        try:
            done = subprocess.run(
                argv,
                input=payload,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                timeout=launch.START_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it did not start within {launch.START_TIMEOUT_S:.0f} s"
        except OSError as error:
            return error.strerror or str(error)
    if done.returncode == 0:
        return ""
    last = (directory / "worker.log").read_text(errors="replace").strip().splitlines()
    return last[-1] if last else f"exit status {done.returncode}"


def follow(directory: Path, show: Callable[[dict[str, Any], bytes], None]) -> int:
    """Show every event of a run until it ends; returns the exit status of the work.

    Raises `Stop` (exit 5) where the worker ended without a last word, and `KeyboardInterrupt`
    on Ctrl-C: the work goes on all the same.
    """
    exit_status: int | None = None
    for line in runs.lines(directory):
        event = json.loads(line)
        show(event, line)
        if event.get("event") == "done":
            exit_status = int(event["exit"])
    if exit_status is not None:
        return exit_status
    run = runs.read(directory)
    if run.status == "finished":  # its events could not be written, its end could
        return run.exit
    if runs.load(directory).status == "starting":
        raise refused(f"Run {directory.name} never began; nothing was changed by it.")
    raise Stop(
        NEEDS_PERSON,
        f"The working process of run {directory.name} ended without finishing;"
        " run `harden-tui recover` to bring the host back to before it.",
    )
