"""Parameters: typed, bounded, and never repeating a secret in a complaint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.model import Parameter
from steps.parameters import convert, fill, names_used, problem_of
from steps.resource import StepError


def _parameter(kind: str, **more: object) -> Parameter:
    import msgspec

    return msgspec.convert({"kind": kind, "help": "what it is", **more}, Parameter)


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (_parameter("integer", minimum=1), "3", 3),
        (_parameter("boolean"), "On", True),
        (_parameter("list"), "a, b  c", ("a", "b", "c")),
        (_parameter("list"), ["a"], ("a",)),
        (_parameter("addresses"), "192.0.2.1 2001:db8::/32", ("192.0.2.1", "2001:db8::/32")),
        (_parameter("duration"), "10m", "10m"),
        (_parameter("path"), "/srv/www", "/srv/www"),
        (_parameter("choice", choices=["a", "b"]), "b", "b"),
        (_parameter("secret"), "p w", "p w"),
    ],
)
def test_converted(parameter: Parameter, value: object, expected: object) -> None:
    assert convert("s.t", "p", parameter, value) == expected


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (_parameter("integer", minimum=1, maximum=9), "0"),
        (_parameter("integer", minimum=1, maximum=9), "10"),
        (_parameter("integer"), "three"),
        (_parameter("boolean"), "perhaps"),
        (_parameter("addresses"), "300.1.1.1"),
        (_parameter("duration"), "soon"),
        (_parameter("path"), "var/www"),
        (_parameter("path"), "/var/../etc"),
        (_parameter("choice", choices=["a"]), "b"),
        (_parameter("text"), "two\nlines"),
        (_parameter("text", pattern="[a-z]+"), "A1"),
        (_parameter("list"), 3),
        (_parameter("list"), ["a\nb"]),
        (_parameter("text"), "\x1b[31mred"),
        (_parameter("path"), "/srv/\u202egpj.exe"),
        (_parameter("text", pattern="[a-z]+"), "A" * 100_000),
        (_parameter("integer"), {"a": ["b"] * 100_000}),
    ],
)
def test_refused_with_the_name_of_the_parameter(parameter: Parameter, value: object) -> None:
    with pytest.raises(StepError, match=r"^s\.t\.p: ") as caught:
        convert("s.t", "p", parameter, value)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@given(st.text(st.characters(categories=["Lu", "Nd"]), min_size=8))
def test_a_refused_secret_is_not_repeated(word: str) -> None:
    secret = f"{word}\n"
    with pytest.raises(StepError) as caught:
        convert("s.t", "p", _parameter("secret"), secret)
    assert word not in str(caught.value)


def test_placeholders_keep_types_and_leave_other_braces_alone() -> None:
    body = {"a": "{list}", "b": "x {number} {list}", "c": ["{number}"], "d": "{ not } ${HOME}"}
    filled = fill(body, {"list": ("p", "q"), "number": 3})
    assert filled == {"a": ["p", "q"], "b": "x 3 p q", "c": [3], "d": "{ not } ${HOME}"}
    assert names_used(body) == {"list", "number"}


@pytest.mark.parametrize(
    ("parameter", "word"),
    [
        (_parameter("choice"), "choices"),
        (_parameter("secret", default="x"), "default"),
        (_parameter("integer", default=0, minimum=1), "at least 1"),
        (_parameter("text", **{"default-from": "nowhere"}), "nowhere"),
    ],
)
def test_bad_declarations_are_named(parameter: Parameter, word: str) -> None:
    assert word in problem_of(parameter)
