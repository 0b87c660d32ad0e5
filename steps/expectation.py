"""What a setting is expected to be."""

from __future__ import annotations

from typing import Any

import msgspec

Scalar = str | int | bool


class Expectation(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True
):
    """One or more of these, all of which must hold; a bare value in YAML means `is`.

    `set` names the value to write where several would satisfy (default: `is`, the first of
    `one-of`, or the bound).
    """

    is_: Scalar | None = msgspec.field(default=None, name="is")
    one_of: list[Scalar] | None = None
    at_most: int | None = None
    at_least: int | None = None
    contains: list[str] | None = None
    excludes: list[str] | None = None
    only: list[str] | None = None
    ordered: bool = False
    """`only` in this order: the daemon prefers what it names first."""
    set: Scalar | None = None
    unset_ok: bool = False
    """An empty or missing value satisfies too."""

    @classmethod
    def of(cls, body: Any) -> Expectation:
        """From YAML: a mapping of the fields above, or a bare value."""
        if isinstance(body, dict):
            expectation = msgspec.convert(body, cls, strict=True)
            if expectation == cls():
                raise msgspec.ValidationError("expected one of is, one-of, at-most, at-least, …")
            return expectation
        return cls(is_=msgspec.convert(body, Scalar, strict=True))

    def satisfied_by(self, value: str) -> bool:
        """Whether `value`, as the daemon printed it, is what is expected (case does not matter)."""
        text = value.strip()
        if self.unset_ok and not text:
            return True
        named = [word.lower() for word in text.replace(",", " ").split()]
        words = set(named)
        if self.is_ is not None and text.lower() != as_text(self.is_).strip().lower():
            return False
        if self.one_of is not None and text.lower() not in {
            as_text(v).lower() for v in self.one_of
        }:
            return False
        number = _number(text)
        if self.at_most is not None and (number is None or number > self.at_most):
            return False
        if self.at_least is not None and (number is None or number < self.at_least):
            return False
        if self.contains is not None and not {w.lower() for w in self.contains} <= words:
            return False
        if self.only is not None and not self._only_these(named):
            return False
        return not (self.excludes is not None and {w.lower() for w in self.excludes} & words)

    def _only_these(self, named: list[str]) -> bool:
        """Whether there is something, and nothing but what is in `only`."""
        allowed = [word.lower() for word in self.only or []]
        if not named or not set(named) <= set(allowed):
            return False
        places = [allowed.index(word) for word in named]
        return not self.ordered or places == sorted(places)

    @property
    def target(self) -> str:
        """The value to write."""
        for candidate in (
            self.set,
            self.is_,
            self.one_of[0] if self.one_of else None,
            self.at_most,
            self.at_least,
        ):
            if candidate is not None:
                return as_text(candidate)
        return ",".join(self.only or self.contains or [])

    def __str__(self) -> str:
        parts = []
        if self.is_ is not None:
            parts.append(as_text(self.is_))
        if self.one_of is not None:
            parts.append(" or ".join(as_text(v) for v in self.one_of))
        if self.at_most is not None:
            parts.append(f"at most {self.at_most}")
        if self.at_least is not None:
            parts.append(f"at least {self.at_least}")
        if self.contains is not None:
            parts.append("contains " + ", ".join(self.contains))
        if self.excludes is not None:
            parts.append("without " + ", ".join(self.excludes))
        if self.only is not None:
            order = " in this order" if self.ordered else ""
            parts.append(f"only {', '.join(self.only)}{order}")
        return "; ".join(parts)


def as_text(value: Scalar) -> str:
    """A YAML scalar as daemons print it: booleans are yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
