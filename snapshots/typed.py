"""How a person starts the program, where nothing else was said."""

from __future__ import annotations

from typing import Final

TYPED: Final = "sudo harden-tui"
