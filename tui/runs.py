"""Runs: one directory for each piece of work, holding what it said and how it ended.

runs/<id>/run.json      what runs, as which process, how it ended (`Run`)
runs/<id>/events.jsonl  the events, one JSON object a line (`steps.events`)
runs/<id>/worker.log    whatever the worker printed besides; empty when all is well
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from host import scratch
from snapshots.durable import sync_directory, write_durably
from snapshots.records import last_id
from tui.failures import Stop, refused, usage
from tui.launch import new_run_id

POLL_S: Final = 0.02
"""How often a follower looks: below what a person notices, and 0.2 % of a processor."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as run.json keeps it. Times are ISO 8601 UTC.

    `pid_start` is the process's start in clock ticks after boot (/proc/PID/stat, field 22): with it
    a number that was used again is not taken for the worker. While "starting" it is the
    process that starts the worker. `exit` is -1 until it is known.
    """

    run: str
    command: str
    steps: tuple[str, ...] = ()
    user: str = ""
    started: str = ""
    ended: str = ""
    status: Literal["starting", "running", "finished", "interrupted"] = "starting"
    exit: int = -1
    summary: str = ""
    pid: int = 0
    pid_start: int = 0
    last: str | None = None
    """The last transaction there was when it began (empty: none). Clocks are set back, ids are
    not."""


def now() -> str:
    """The time as events and runs write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def root(state_dir: Path) -> Path:
    """Where all runs lie."""
    return state_dir / "runs"


def create(
    state_dir: Path, *, command: str, steps: tuple[str, ...], user: str, run_id: str = ""
) -> Path:
    """A new run's directory with an empty events file. Raises `Stop` (exit 3)."""
    run_id = run_id or new_run_id()
    directory = root(state_dir) / run_id
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        root(state_dir).mkdir(mode=0o700, exist_ok=True)
        directory.mkdir(mode=0o700)
        for name in ("events.jsonl", "worker.log"):
            os.close(os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        write(
            directory,
            Run(
                run=run_id,
                command=command,
                steps=steps,
                user=user,
                started=now(),
                pid=os.getpid(),
                pid_start=start_of(os.getpid()),
                last=_last(state_dir),
            ),
        )
        sync_directory(root(state_dir))
    except OSError as error:
        discard(directory)
        raise not_written(state_dir, error) from None
    return directory


def _last(state_dir: Path) -> str:
    try:
        return last_id(state_dir / "transactions")
    except FileNotFoundError:
        return ""


def discard(directory: Path) -> None:
    """Take a run away that did not begin: nobody needs to come back to it."""
    shutil.rmtree(directory, ignore_errors=True)


def not_written(state_dir: Path, error: OSError) -> Stop:
    """What a run that could not be written down means (exit 3)."""
    advice = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = " Make room there, for example with `harden-tui history prune`, then try again."
    return refused(
        f"The run could not be written to {state_dir}: {error.strerror}; nothing was changed on"
        f" the host.{advice}"
    )


def write(directory: Path, run: Run) -> None:
    """Replace run.json, whole or not at all, durably."""
    write_durably(directory / "run.json", msgspec.json.encode(run) + b"\n")


def load(directory: Path) -> Run:
    """What run.json says. Raises `Stop` (exit 3)."""
    try:
        return msgspec.json.decode((directory / "run.json").read_bytes(), type=Run)
    except OSError as error:
        raise refused(f"{directory}/run.json: {error.strerror}.") from None
    except msgspec.MsgspecError as error:
        raise refused(f"{directory}/run.json: {error}.") from None


def read(directory: Path) -> Run:
    """What run.json says, or "interrupted" where its process is gone. Raises `Stop`."""
    run = load(directory)
    if run.status in ("starting", "running") and not alive(run):
        run = load(directory)  # it may have gone on between our two looks
        if run.status in ("starting", "running") and not alive(run):
            return msgspec.structs.replace(run, status="interrupted")
    return run


def mark(directory: Path, **changes: Any) -> Run:
    """Change fields of run.json."""
    run = msgspec.structs.replace(load(directory), **changes)
    write(directory, run)
    return run


def alive(run: Run) -> bool:
    """Whether the run's own process still works."""
    return run.pid > 0 and start_of(run.pid) == run.pid_start


def start_of(pid: int) -> int:
    """When a process began, in clock ticks after boot; 0 if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def directories(state_dir: Path) -> list[Path]:
    """All runs, oldest first. Raises `Stop` where they cannot be read."""
    try:
        names = os.listdir(root(state_dir))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise refused(f"{root(state_dir)}: {error.strerror}.") from None
    return [
        root(state_dir) / name
        for name in sorted(names)
        if (root(state_dir) / name / "run.json").exists()
    ]


def cut_off(state_dir: Path, *, but: str = "") -> dict[Path, Run]:
    """The runs whose process ended before it said how, oldest first, without the run `but`."""
    found = {}
    for directory in directories(state_dir):
        if str(directory) != but and load(directory).status in ("starting", "running"):
            run = read(directory)
            if run.status == "interrupted":
                found[directory] = run
    return found


def close(cut: Mapping[Path, Run]) -> None:
    """Write down that these were cut off, and take away what they left half-written."""
    for directory, run in cut.items():
        write(directory, run)
        for left in scratch.left_in(directory):
            left.unlink()


def of_process(state_dir: Path, pid: int) -> str:
    """The id of the run that this process works at; "" where it works at none."""
    for directory in reversed(directories(state_dir)):
        with contextlib.suppress(Stop):  # of a damaged one nothing is known, but of the others
            run = load(directory)
            if run.pid == pid and run.status == "running" and alive(run):
                return run.run
    return ""


def find(state_dir: Path, name: str) -> Path | None:
    """The run of that id (or beginning), or the latest for ""; `None` where there is none yet.

    Raises `Stop` (exit 2) for a name that fits no run, or several.
    """
    every = directories(state_dir)
    if not name:
        return every[-1] if every else None
    fitting = [one for one in every if one.name == name] or [
        one for one in every if one.name.startswith(name)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise usage(f"{name} fits {len(fitting)} runs; {fitting[-1].name} is the latest of them.")
    latest = f" The latest is {every[-1].name}." if every else " There is none yet."
    raise usage(f"There is no run {name}.{latest}")


def lines(directory: Path) -> Iterator[bytes]:
    """The run's event lines from its start, also while it goes on; ends with the run.

    A last line without its end, which a kill cut off, is left out.
    """
    rest = b""
    try:
        file = open(directory / "events.jsonl", "rb")  # noqa: SIM115 (closed by the with below)
    except OSError as error:
        raise refused(f"{directory}/events.jsonl: {error.strerror}.") from None
    with file:
        while True:
            # asked before reading: what a run wrote before it ended is then surely read
            going_on = read(directory).status in ("starting", "running")
            data = file.read()
            if data:
                *whole, rest = (rest + data).split(b"\n")
                yield from whole
            elif not going_on:
                return
            else:
                time.sleep(POLL_S)
