"""The word that must be typed before what may lock an administrator out: this host's short name."""

from __future__ import annotations

import sys

from snapshots.typed import TYPED
from tui.failures import refused, usage
from tui.out import is_terminal


def word_of(host_name: str) -> str:
    """The short name: "web1" of "web1.example.org". Whoever types it knows which host it is."""
    return host_name.partition(".")[0]


def insisting(step_id: str, program: str = TYPED) -> str:
    """How a refused lock-out is done all the same."""
    return (
        f"If it must be: `{program} apply {step_id} --force` asks for this host's short name"
        " first. Have another way in at hand, such as the console."
    )


def insist(host_name: str, given: str | None, what: str) -> None:
    """Take the word from `--word` or ask for it. Raises `Stop`: exit 3 if it is another one, exit 2
    where there is neither the word nor a terminal."""
    word = word_of(host_name)
    if given is None:
        if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
            raise usage(
                "There is no terminal to ask on: add --word NAME, this host's short name"
                " (`hostname -s`), to go on."
            )
        given = _asked(f"To {what}, type this host's short name ({word}): ")
    if given.strip() != word:
        raise refused(f"That is not the name of this host ({word}); nothing was changed.")


def _asked(question: str) -> str:
    try:
        return input(question)
    except EOFError:
        return ""
    except KeyboardInterrupt:
        print()
        return ""
