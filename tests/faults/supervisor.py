"""Standing between a process and its writing system calls: each waits until we say what becomes
of it.

The kernel's own means (seccomp user notification) and not ptrace: one count over all threads, the
call waits while the fault is made, and what does not write runs at full speed.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tests.faults import syscalls

_SYS_SECCOMP: Final = 317
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 1 << 3
_WAIT_KILLABLE: Final = 1 << 5
_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_CONTINUE: Final = 1
_NOTIFICATION: Final = struct.Struct("<QIIiIQ6Q")
_ANSWER: Final = struct.Struct("<QqiI")

_LOOK_EVERY_MS: Final = 100


class Call(msgspec.Struct, frozen=True):
    """A system call that waits. `number` counts those of the worker, from 1; `target` is the file
    it acts on, as far as a descriptor or a path tells."""

    number: int
    name: str
    target: str
    pid: int


Decide = Callable[[Call], int]
"""What becomes of a call: 0 lets it happen, a number of errno makes it fail with that."""


def supervise(
    argv: Sequence[str], stdin: bytes, marker: str, decide: Decide, *, limit_s: float = 300.0
) -> list[Call]:
    """Run `argv` and everything it starts to the end; returns the writing calls of the worker.

    The worker is every process in whose command line `marker` stands. What it starts runs through
    the same gate, but is always let through. Raises `AssertionError` where it does not end in time.
    """
    ours, theirs = socket.socketpair()
    filter_code = ctypes.create_string_buffer(syscalls.program())
    head = struct.pack("<HxxxxxxQ", len(filter_code.raw) // 8, ctypes.addressof(filter_code))
    filter_head = ctypes.create_string_buffer(head)
    libc = ctypes.CDLL(None, use_errno=True)

    def install() -> None:
        listener = libc.syscall(
            _SYS_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE,
            ctypes.byref(filter_head),
        )  # fmt: skip
        if listener < 0:
            raise OSError(ctypes.get_errno(), "seccomp")
        socket.send_fds(theirs, [b"."], [listener])
        os.close(listener)

    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=install, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    _, (listener, *_), _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    theirs.close()
    assert process.stdin is not None
    try:
        process.stdin.write(stdin)
        process.stdin.close()
        return _Gate(listener, marker, decide).until_all_ended(limit_s)
    finally:
        os.close(listener)
        process.wait()


class _Gate:
    def __init__(self, listener: int, marker: str, decide: Decide) -> None:
        self._listener = listener
        self._marker = marker.encode()
        self._decide = decide
        self._calls: list[Call] = []
        self._workers: set[int] = set()
        self._namespace = ""

    def until_all_ended(self, limit_s: float) -> list[Call]:
        deadline = time.monotonic() + limit_s
        poller = select.poll()
        poller.register(self._listener, select.POLLIN)
        while True:
            if time.monotonic() > deadline:
                raise AssertionError(f"the worker did not end within {limit_s:.0f} s")
            events = poller.poll(_LOOK_EVERY_MS)
            if not events:
                self._dismiss_watchers()
            for _, event in events:
                if event & select.POLLIN:
                    self._one()
                elif event & select.POLLHUP:
                    return self._calls

    def _one(self) -> None:
        buffer = array.array("B", bytes(_NOTIFICATION.size))
        try:
            fcntl.ioctl(self._listener, _RECEIVE, buffer)
        except (FileNotFoundError, InterruptedError):
            return  # it was killed meanwhile
        key, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer.tobytes())
        name = syscalls.NAMES[number]
        error = 0
        if self._is_worker(pid):
            self._workers.add(pid)
            with contextlib.suppress(OSError):
                self._namespace = os.readlink(f"/proc/{pid}/ns/pid")
            target = _target(pid, name, arguments)
            if target:
                call = Call(len(self._calls) + 1, name, target, pid)
                self._calls.append(call)
                error = self._decide(call)
        answer = _ANSWER.pack(key, 0, -error, 0 if error else _CONTINUE)
        # It may be gone by now, killed by our own hand.
        with contextlib.suppress(FileNotFoundError):
            fcntl.ioctl(self._listener, _SEND, array.array("B", answer))

    def _dismiss_watchers(self) -> None:
        """End the shell that waits for a guard's deadline, once the worker has ended: it would be
        waited for here, and whatever it wrote then would fail. Its timer still waits."""
        if not self._workers or any(map(self._is_worker, self._workers)):
            return
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    waits = b"guard.sh\0deadline" in file.read()
                if waits and os.readlink(f"/proc/{name}/ns/pid") == self._namespace:
                    os.kill(int(name), signal.SIGKILL)

    def _is_worker(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return self._marker in file.read()
        except OSError:
            return False


def _target(pid: int, name: str, arguments: list[int]) -> str:
    """The file a call acts on; empty for a pipe, a socket or a device: nothing there lasts."""
    if name == "sync":
        return "/"
    if name in syscalls.ON_DESCRIPTOR:
        descriptor = arguments[2] if name == "copy_file_range" else arguments[0]
        try:
            path = os.readlink(f"/proc/{pid}/fd/{descriptor & 0xFFFFFFFF}")
        except OSError:
            return ""
        lasting = path.startswith("/") and not path.startswith(("/dev/", "/proc/", "/memfd:"))
        return path if lasting else ""
    relative = name.endswith("at") or name == "renameat2"
    where = arguments[1] if relative and name != "symlinkat" else arguments[0]
    if name == "symlinkat":
        where = arguments[2]
    path = _text(pid, where)
    if not path.startswith("/"):
        directory = arguments[1] if name == "symlinkat" else arguments[0] if relative else -100
        link = "cwd" if directory & 0xFFFFFFFF == 0xFFFFFF9C else f"fd/{directory & 0xFFFFFFFF}"
        with contextlib.suppress(OSError):
            path = f"{os.readlink(f'/proc/{pid}/{link}')}/{path}"
    return "" if path.startswith(("/dev/", "/proc/self/task")) else path


def _text(pid: int, address: int) -> str:
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(512).split(b"\0")[0].decode("utf-8", "replace")
    except (OSError, OverflowError, ValueError):
        return "?"


ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
