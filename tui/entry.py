"""Where the program starts: quickly, and where no failure reaches a person as a traceback."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence

if __name__ == "__main__":  # by path: `python -P …/tui/entry.py` (see tui.program)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tui import garbage, inherited
from tui.version import VERSION

TYPE_CHECKING = False  # as in typing, whose import would cost 6 ms
if TYPE_CHECKING:
    from tui.options import Options

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

UNWRITTEN = 5
"""An answer that is cut short needs a person (`tui.failures.NEEDS_PERSON`)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status. Never raises."""
    garbage.wait()  # until the command begins or the screen is painted
    inherited.umask = os.umask(0o077)
    _keep_no_core()
    if argv is None:
        _take_names_as_utf8()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["hand-over-logins"]:  # a service: it loads nothing else
            from host.failed_logins.service import main as hand_over

            return hand_over(arguments[1:])
        return _print_version() if arguments == ["--version"] else _run(arguments)
    except KeyboardInterrupt:
        _tell("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return 0
    finally:
        garbage.begin()
        _flush_stdout()


def _print_version() -> int:
    try:
        print(f"harden-tui {VERSION}", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        _forget_stdout()
        _tell(f"The answer could not be written out: {error.strerror}.")
        return UNWRITTEN
    return 0


def _run(arguments: list[str]) -> int:
    from tui.failures import Scene, Stop, one_line

    scene = Scene()
    try:
        from tui.cli import dispatch

        return dispatch(arguments, scene, _open_screen)
    except Stop as stop:
        if stop.message:
            _tell(one_line(stop.message))
        return stop.exit
    except BrokenPipeError:
        raise
    except Exception as error:  # the outermost edge: whatever happens, one clear sentence
        from tui.failures import explain

        exit_status, sentence = explain(error, scene)
        _tell(sentence)
        return exit_status


def _take_names_as_utf8() -> None:
    """Begin anew where the locale is another: file names are kept as UTF-8 everywhere, and one
    that was read as Latin-1 here would be put back under another name elsewhere. What is printed
    stays in the person's encoding.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.umask(inherited.umask)
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    if "utf8" in sys._xoptions:
        import locale

        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(encoding=locale.getencoding(), errors="replace")


def _keep_no_core() -> None:
    """No memory in a core file: a password could be in it. What we start may lift it again."""
    _, highest = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, highest))


def _open_screen(options: Options) -> int:
    from tui.open import run_screen

    return run_screen(options)


def _tell(sentence: str) -> None:
    """One line on standard error, if there is one."""
    try:
        print(f"harden-tui: {sentence}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        return  # nobody listens; the exit status says it all


def _flush_stdout() -> None:
    """Flush now: at interpreter shutdown a closed pipe would print a message of Python's own."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        _forget_stdout()


def _forget_stdout() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
