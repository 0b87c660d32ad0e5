"""The hands as the screen sees them: processes that are started, and what they say.

Textual is not imported here, so that the first check can run while it still loads. Every line that
the hands print becomes an `Event`; who listens is called in a thread of its own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from steps.events import Done, Event
from tui.options import Options
from tui.paths import default_state_dir
from tui.program import again
from tui.wire import HandsError

T = TypeVar("T")

OnEvent = Callable[[Event], None]

Rights = Literal["root", "user", "sudo"]
"""What the hands run as: we are root or on a practice host ("root"), ourselves ("user"), or root
through sudo."""

_EVENTS: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)

_SUDO_WANTS_PASSWORD = ("a password is required", "a terminal is required", "no askpass")


class Call:
    """A command of the hands that is running. Listening ends with `close`; work goes on."""

    def __init__(self, arguments: Sequence[str], process: subprocess.Popen[bytes]) -> None:
        self.arguments = tuple(arguments)
        self._process = process
        self._stderr: list[bytes] = []
        self._closed = False
        self._stderr_reader = threading.Thread(target=self._drain_stderr, daemon=True)
        self._stderr_reader.start()

    @property
    def closed(self) -> bool:
        return self._closed

    def lines(self) -> Sequence[bytes] | Any:
        """The lines of standard output as they come; none any more once closed."""
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                if self._closed:
                    return
                yield line
        except (OSError, ValueError):
            return

    def wait(self) -> tuple[int, str]:
        """The exit status and the last line of standard error."""
        status = self._process.wait()
        self._stderr_reader.join(1.0)
        said = b"".join(self._stderr).decode("utf-8", "replace").strip().splitlines()
        return status, said[-1] if said else ""

    def close(self) -> None:
        """Stop listening. What only asks ends at its next line; what changes was detached."""
        self._closed = True
        with contextlib.suppress(OSError):  # root's process is not ours to signal
            self._process.terminate()

    def _drain_stderr(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stderr:
                self._stderr.append(line)
                del self._stderr[:-20]


class Hands:
    """Starts the hands for one host, with the rights there are."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.rights: Rights = "root" if options.practice or os.geteuid() == 0 else "user"

    def argv(self, arguments: Sequence[str], output: str, *, rights: Rights) -> list[str]:
        """The whole command line."""
        options = self.options
        program = again()
        if rights == "sudo":
            program = ["sudo", "-n", "--", *program]
        common = ["--checklist", options.checklist]
        if options.practice:
            common.append("--practice")
        if options.state_dir != default_state_dir(practice=options.practice):
            common += ["--state-dir", str(options.state_dir)]
        if options.values:
            common += ["--values", "-"]
        return [*program, *arguments, *common, "--format", output]

    def start(
        self,
        arguments: Sequence[str],
        output: str,
        *,
        values: Mapping[str, Mapping[str, Any]] | None = None,
        rights: Rights | None = None,
        polite: bool = False,
    ) -> Call:
        """Start a command; `output` is its `--format`.

        `values` go by standard input, where no process list shows them.

        The hands stay in our session: sudo knows its ticket by the terminal. `polite` lets
        everything else on the host go first: the screen that is being painted, and its services.
        Raises `HandsError` where the program cannot be started.
        """
        given = {step: dict(chosen) for step, chosen in self.options.values.items()}
        for step, chosen in (values or {}).items():
            given.setdefault(step, {}).update(chosen)
        argv = self.argv(arguments, output, rights=rights or self.rights)
        if polite:
            argv = ["nice", "-n", "10", *argv]
        if given and "--values" not in argv:
            argv += ["--values", "-"]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise HandsError(f"{argv[0]} cannot be started: {error.strerror}.") from None
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # it ended already; its exit status says why
                process.stdin.write(msgspec.json.encode(given))
                process.stdin.close()
        return Call(arguments, process)

    def ask(
        self,
        arguments: Sequence[str],
        kind: type[T],
        *,
        values: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> T:
        """Run a command to its end and decode its JSON answer. Blocks; not for the event loop.

        Raises `HandsError` with the sentence the hands gave.
        """
        call = self.start(arguments, "json", values=values)
        output = b"".join(call.lines())
        status, said = call.wait()
        try:
            return msgspec.json.decode(output, type=kind)
        except msgspec.MsgspecError as error:
            raise HandsError(sentence(said, status, arguments, str(error))) from None

    def follow(self, call: Call, on_event: OnEvent) -> Done:
        """Read a command's events to the end. Blocks; a command that ends without `done` gets one.

        Lines that are no event are skipped: a newer program may say more.
        """
        done: Done | None = None
        for line in call.lines():
            try:
                event = _EVENTS.decode(line)
            except msgspec.MsgspecError:
                continue
            if isinstance(event, Done):
                done = event
            else:
                on_event(event)
        status, said = call.wait()
        if done is None:
            done = Done(exit=status, summary=sentence(said, status, call.arguments))
        return done


def sentence(said: str, status: int, arguments: Sequence[str], detail: str = "") -> str:
    """What a person is told of a command that gave no answer."""
    said = said.removeprefix("harden-tui: ").strip()
    if said:
        return said
    name = " ".join(arguments[:2])
    more = f" ({detail})" if detail else ""
    return f"`harden-tui {name}` ended with exit status {status} and no answer{more}."


def wants_password(said: str) -> bool:
    """Whether sudo refused because it may not ask for a password."""
    return said.startswith("sudo:") and any(phrase in said for phrase in _SUDO_WANTS_PASSWORD)
