"""Facts: what was asked of a host and the pure parsers of its answers.

A fact is read once per check and shared; independent facts are read side by side.
"""

from host.facts.base import Fact, Facts, FactUnavailable

__all__ = ["Fact", "FactUnavailable", "Facts"]
