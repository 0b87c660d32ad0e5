"""Running the host's programs: no shell, a fixed environment, a session of their own, a time limit.

`sh` starts and reaps what works for a while and is listened to. A question, of which a check has
some 150, is asked through `subprocess`: a fork of this process costs 4 to 10 ms of processor time,
because both sides copy the pages they touch, and the vfork of the standard library costs 1 ms.

The three standard streams are file descriptors of ours, so that one loop here reads both outputs,
calls the listener in the caller's own thread, keeps memory bounded and, when time is up, stops
everything the program started (`sh`'s own `_timeout` stops only the program itself).
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from host.base import (
    CommandFailed,
    CommandMissing,
    CommandTimeout,
    Completed,
    HostError,
    OnLine,
)
from host.streams import Stream, stdin_fd

if TYPE_CHECKING:
    import psutil
    import sh

# `sh` takes 40 ms to import (it brings asyncio), psutil 6 ms: only where a program is run.

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": PATH,
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}

_SIGNALS_TO_RESET: Final = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGCHLD,
    signal.SIGXFSZ,
)
_UMASK: Final = 0o022
_GRACE_S: Final = 1.0
"""Between SIGTERM and SIGKILL: enough for apt and dpkg to release their locks."""
_LINGER_S: Final = 0.5
"""How long to wait for more output once the program ended but a daemon holds its streams."""

# CPython warns of every fork while other threads run, because the child could find a lock held
# for ever. `_fork_lock` admits one fork at a time, and between fork and exec `sh` runs nothing
# that takes a lock of ours.
warnings.filterwarnings(
    "ignore",
    message=r".*multi-threaded, use of fork\(\)",
    category=DeprecationWarning,
    module=r"sh$",
)
_fork_lock = threading.Lock()


def which(program: str) -> str | None:
    """Where `program` lies on the fixed PATH, or `None`; an absolute path is only checked."""
    return shutil.which(program, path=PATH)


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout_s: float = 30.0,
    env: Mapping[str, str] | None = None,
    on_line: OnLine | None = None,
    ok: Iterable[int] | None = (0,),
) -> Completed:
    """Run a program to its end; see `host.base.Host.run`.

    A negative return code is the signal that ended the program. Raises `CommandMissing`,
    `CommandTimeout`, `CommandFailed`, and `HostError` where no process could be started.
    """
    if not argv:
        raise HostError("no program was named")
    path = which(argv[0])
    if path is None:
        raise CommandMissing(f"`{argv[0]}` is not installed on this host (not found in {PATH})")
    started = time.monotonic()
    with contextlib.ExitStack() as fds:
        given = stdin_fd(stdin)
        fds.callback(os.close, given)
        out_read, out_write = os.pipe()
        fds.callback(os.close, out_read)
        try:
            err_read, err_write = os.pipe()
        except OSError:
            os.close(out_write)
            raise
        fds.callback(os.close, err_read)
        try:
            start = _ask if on_line is None and _is_clean() else _spawn
            child = start(path, argv, given, out_write, err_write, {**ENVIRONMENT, **(env or {})})
        finally:
            os.close(out_write)
            os.close(err_write)
        out, err = Stream(out_read, on_line), Stream(err_read, on_line)
        try:
            in_time = _follow(child.pid, (out, err), started + timeout_s)
        except BaseException:  # the listener failed, or we are being stopped ourselves
            _stop_all(child.pid)
            child.wait()
            raise
        if not in_time:
            _stop_all(child.pid)
        returncode = child.wait()
    completed = Completed(
        argv=tuple(argv),
        returncode=returncode,
        stdout=out.text(),
        stderr=err.text(),
        seconds=time.monotonic() - started,
    )
    if not in_time:
        raise CommandTimeout(
            f"`{completed.command}` did not finish within {timeout_s:g} s; "
            "it was stopped with everything it had started"
        )
    if ok is not None and returncode not in ok:
        raise CommandFailed(completed)
    return completed


class _Child(Protocol):
    """A program that was started."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> int:
        """Its exit status, negative for a signal."""


class _Spawned:
    """What `sh` started."""

    def __init__(self, running: sh.RunningCommand) -> None:
        self._running = running
        self.pid = int(running.pid)

    def wait(self) -> int:
        import sh

        try:
            self._running.wait()
        except sh.ErrorReturnCode as error:
            return int(error.exit_code)
        return int(self._running.exit_code)


def _is_clean() -> bool:
    """Whether nothing of what a program inherits would have to be undone for it first.

    What Python itself ignores (SIGPIPE, SIGXFSZ) `subprocess` undoes.
    """
    return not signal.pthread_sigmask(signal.SIG_BLOCK, ()) and all(
        signal.getsignal(number) is not signal.SIG_IGN
        for number in _SIGNALS_TO_RESET
        if number != signal.SIGXFSZ
    )


def _ask(
    path: str, argv: Sequence[str], given: int, out: int, err: int, env: dict[str, str]
) -> _Child:
    """Start a program that nobody listens to. Raises `HostError` where it cannot be started."""
    _require_words(argv)
    try:
        return subprocess.Popen(
            argv, executable=path, stdin=given, stdout=out, stderr=err, env=env, cwd="/",
            start_new_session=True, umask=_UMASK,
        )  # fmt: skip
    except OSError as error:
        raise _unstarted(path, error) from error


def _spawn(
    path: str, argv: Sequence[str], given: int, out: int, err: int, env: dict[str, str]
) -> _Child:
    """Start the program. Raises `HostError` where it cannot be started."""
    import sh

    _require_words(argv)
    try:
        # A file object, not a number: `sh` documents no descriptor for standard input.
        with _fork_lock, open(given, "rb", buffering=0, closefd=False) as source:
            running = sh.Command(path)(
                *argv[1:],
                _in=source,
                _out=out,
                _err=err,
                _env=env,
                _cwd="/",
                _tty_in=False,
                _tty_out=False,
                _new_session=True,
                _bg=True,
                _bg_exc=False,
                _return_cmd=True,
                _encoding="utf-8",
                _preexec_fn=_clean_slate,
                _log_msg=_no_arguments,
            )
        return _Spawned(running)
    except sh.ForkException as error:
        reason = str(error).strip().splitlines()[-1]
        raise HostError(f"`{path}` could not be started ({reason}); it did not run") from error
    except OSError as error:
        raise _unstarted(path, error) from error


def _unstarted(path: str, error: OSError) -> HostError:
    return HostError(f"`{path}` could not be started ({error.strerror}); it did not run")


def _require_words(argv: Sequence[str]) -> None:
    """Raises `HostError` for what no program can be given."""
    for word in argv:
        if "\0" in word:
            raise HostError(f"`{argv[0]}` cannot be given an argument that holds a null byte")
        try:
            word.encode()
        except UnicodeEncodeError as error:
            problem = f"`{argv[0]}` cannot be given an argument that is not UTF-8"
            raise HostError(problem) from error


def _clean_slate() -> None:
    """In the child: what we ignore, block or mask must not reach a daemon it may start."""
    for number in _SIGNALS_TO_RESET:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(_UMASK)


def _no_arguments(ran: str, call_args: object, pid: int | None = None) -> str:
    """What `sh` may log of a command: nothing that was given to it."""
    return f"process {pid}"


def _follow(pid: int, streams: tuple[Stream, ...], deadline: float) -> bool:
    """Read until the program ended and said everything; False when time was up before."""
    poller = select.poll()
    reading = {stream.fd: stream for stream in streams}
    for fd in reading:
        poller.register(fd, select.POLLIN)
    ended = _ended_fd(pid)
    if ended is not None:
        poller.register(ended, select.POLLIN)
    try:
        running = ended is not None
        while reading or running:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            events = poller.poll((left if running else min(left, _LINGER_S)) * 1000)
            if not events and not running:
                break  # a daemon the program left behind still holds its output
            for fd, _ in events:
                if fd == ended:
                    running = False
                    poller.unregister(fd)
                elif not reading[fd].read():
                    poller.unregister(fd)
                    del reading[fd]
    finally:
        if ended is not None:
            os.close(ended)
    for stream in streams:
        stream.finish()
    return True


def _ended_fd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; `None` if it is gone already."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _stop_all(pid: int) -> None:
    """End the program, its process group, and what it started that went into another group."""
    import psutil

    try:
        others = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        others = []
    for number, patience_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, 0.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        for process in others:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.send_signal(number)
        until = time.monotonic() + patience_s
        while time.monotonic() < until and _group_alive(pid, others):
            time.sleep(0.02)


def _group_alive(pid: int, others: list[psutil.Process]) -> bool:
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):
        return any(process.is_running() for process in others)
    return True
