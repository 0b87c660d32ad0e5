"""The arithmetic and the words of `make bench`; what it measures is no business of a test."""

from __future__ import annotations

from tests.bench.figures import at_most, faster, in_turn, slower, times
from tests.bench.report import as_text, page, section, sections_of


def test_runs_take_turns() -> None:
    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return float(len(order))

    assert in_turn(2, lambda: run("a"), lambda: run("b")) == [[1, 3], [2, 4]]
    assert order == ["a", "b", "a", "b"]


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """A round in which the machine was busy with something else does not decide."""
    assert times([1, 10, 1], [30, 320, 900]) == 32


def test_goals() -> None:
    fast = faster("check", [1.0, 1.0], [40.0, 50.0], 30)
    assert (fast.ratio, fast.goal, fast.met) == ("45.0 times faster", "at least 30 times", True)
    assert faster("check", [2.0], [50.0], 30).met is False
    assert faster("check", [2.0], [50.0]).met is None
    slow = slower("paint", [0.4], [0.25], 1.3)
    assert (slow.ours, slow.other, slow.ratio, slow.met) == (
        "0.40 s",
        "0.25 s",
        "1.60 times",
        False,
    )
    assert at_most("memory", 59.6, "MB", 60).met is True
    assert at_most("check", 1.51, "s", 1.5).met is False
    assert at_most("rows", 0.7, "s", None).goal == ""


def test_what_was_missed_is_said() -> None:
    rows = [at_most("memory of a check", 61, "MB", 60)]
    assert as_text(rows).endswith(
        "memory of a check  61 MB                         at most 60 MB  MISSED"
    )
    written = section({"Commit": "abc"}, rows)
    assert written.startswith("- Commit: abc\n")
    assert written.endswith("| memory of a check | 61 MB |  |  | at most 60 MB | MISSED |")


def test_a_run_on_one_release_leaves_the_others_result() -> None:
    sections = {"bookworm": section({"Commit": "abc"}, []), "trixie": section({"Load": "1"}, [])}
    assert sections_of(page(sections), ["bookworm", "trixie", "forky"]) == sections
    assert sections_of("", ["bookworm"]) == {}
