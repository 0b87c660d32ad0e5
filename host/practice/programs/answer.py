"""What a pretend program answers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from host.practice.machine import Machine


class Answer(msgspec.Struct):
    """Exit status, standard output and standard error."""

    status: int = 0
    out: str = ""
    err: str = ""


Program = Callable[[Machine, list[str], bytes, dict[str, str]], Answer]
"""Machine, arguments, standard input, environment -> answer."""
