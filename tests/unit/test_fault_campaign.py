"""The parts of `make faults` that need no host."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from tests.faults import report
from tests.faults.campaign import Extent, Had, Share, some, spread
from tests.faults.field import Tried
from tests.faults.judge import side_told
from tests.faults.ledger import Ledger, Outcome, Trial, numbers, ranges

KILLED = Trial("apply a", "killed")


def test_every_beginning_of_the_points_lies_evenly() -> None:
    assert sorted(spread(145)) == list(range(145))
    assert spread(1) == [0] and spread(2) == [1, 0] and spread(0) == []
    for beginning in (4, 8, 16):
        found = sorted(spread(145)[:beginning])
        gaps = [b - a for a, b in zip([-1, *found], [*found, 145], strict=True)]
        assert max(gaps) <= 2 * 145 / beginning + 1


def test_shares_leave_no_point_out_and_try_none_twice() -> None:
    shares = [Share(index, 6, 2) for index in range(6)]
    held = [[place for place in range(145) if share.has(place)] for share in shares]
    assert sorted(chain(*held)) == list(range(145))
    assert all(15 < len(one) < 35 for one in held)
    evenly = spread(256)[:16]  # all of them multiples of 16
    assert sum(any(share.has(place) for place in evenly) for share in shares) > 3


def test_a_point_stays_with_its_release() -> None:
    for place in range(145):
        (few,) = [index for index in range(2) if Share(index, 2, 2).has(place)]
        (many,) = [index for index in range(6) if Share(index, 6, 2).has(place)]
        assert many % 2 == few
        for release in range(2):
            again = [index for index in range(release, 6, 2)
                     if Share(index, 6, 2).has(place, on_this_release=True)]  # fmt: skip
            assert len(again) == 1


def test_after_the_deadline_one_is_tried() -> None:
    assert list(some([3, 5, 7])) == [3, 5, 7]
    assert list(some([3, 5, 7], deadline=0.0)) == [3]


def test_which_trials_are_tried_whole() -> None:
    one = Trial("apply ssh.limits", "killed")
    assert Extent(("ssh.limits, killed",)).is_whole(one) and Extent(("killed",)).is_whole(one)
    assert not Extent(("power cut", "app.tree")).is_whole(one) and not Extent().is_whole(one)


def test_no_host_is_made_ready_where_nothing_is_left_to_try() -> None:
    assert Had(frozenset({1, 2, 5}), points=3).is_enough(None)
    assert Had(frozenset({1, 2, 5}), points=30).is_enough(3)
    assert not Had(frozenset({1, 2, 5}), points=4).is_enough(None)
    assert not Had(frozenset({1, 2, 5}), frozenset({5}), points=3).is_enough(None)
    assert not Had().is_enough(4)  # never counted


def _tried(number: int, side: str, *problems: str) -> Tried:
    return Tried("apply a", "killed", number, f"{number}: rename x", side, problems)


def _ledger() -> Ledger:
    """Of 9 points four were tried, of which one was not survived on trixie."""
    ledger = Ledger()
    for suite in ("bookworm", "trixie"):
        ledger.add(Outcome(suite, KILLED, 9), "c1")
    for suite, one in (
        ("bookworm", _tried(1, "before")), ("bookworm", _tried(2, "before")),
        ("trixie", _tried(4, "after")), ("trixie", _tried(7, "between", "files /etc/a")),
    ):  # fmt: skip
        ledger.add(Outcome(suite, KILLED, 9, one), "c1")
    return ledger


def test_what_was_tried_is_kept(tmp_path: Path) -> None:
    ledger = _ledger()
    ledger.save(tmp_path / "kept.json")
    again = Ledger.load(tmp_path / "kept.json")
    assert again.parts(KILLED) == ledger.parts(KILLED) and again.points(KILLED) == 9
    assert again.done(KILLED, ["bookworm", "trixie"]) == {1, 2, 4}
    assert again.done(KILLED, ["trixie"]) == {4}
    assert Ledger.load(tmp_path / "none.json").trials == []


def test_the_last_result_of_a_point_counts() -> None:
    ledger = _ledger()
    ledger.add(Outcome("trixie", KILLED, 9, _tried(7, "before")), "c2")
    assert ledger.done(KILLED, ["trixie"]) == {4, 7}
    assert [(part.commit, part.tried) for part in ledger.parts(KILLED)] == [
        ("c1", {1, 2}), ("c1", {4}), ("c2", {7})
    ]  # fmt: skip
    ledger.add(Outcome("bookworm", KILLED, 9, _tried(7, "between", "x")), "c2")
    assert ledger.done(KILLED, ["bookworm", "trixie"]) == {1, 2, 4}


def test_points_of_other_calls_are_told_apart() -> None:
    ledger = _ledger()
    ledger.add(Outcome("trixie", KILLED, 11), "c2")  # two more calls there
    assert ledger.tried(KILLED) == {1, 2, 4, 7}
    assert ledger.tried_as_counted(KILLED) == {1, 2}
    ledger.add(Outcome("trixie", KILLED, 11, _tried(10, "before")), "c2")
    assert ledger.tried_as_counted(KILLED) == {1, 2, 10}
    assert "| apply a | killed | no | 11 | 5 | 3 | 3 | 1 | 1 |" in report.page(ledger)
    present = ledger.of("c2")
    assert present.done(KILLED, ["bookworm", "trixie"]) == {10}
    assert (present.points_on(KILLED, "trixie"), present.points_on(KILLED, "bookworm")) == (11, 0)


def test_a_call_that_is_no_more_is_no_failure() -> None:
    ledger = _ledger()
    ledger.add(Outcome("trixie", KILLED, 6), "c2")
    assert ledger.failed(KILLED, ["trixie"]) == set()


def test_what_went_wrong_without_a_fault_is_no_point() -> None:
    ledger = _ledger()
    ledger.add(Outcome("trixie", KILLED, 9, _tried(0, "between", "no boot")), "c1")
    assert ledger.tried(KILLED) == {1, 2, 4, 7}
    assert "2 failed" in report.page(ledger)
    ledger.add(Outcome("trixie", KILLED, 9), "c2")  # it begins again
    assert "1 failed" in report.page(ledger)


def test_ranges() -> None:
    assert ranges({9, 1, 2, 3}) == "1-3 9" and ranges(()) == ""
    assert list(numbers("1-3 9")) == [1, 2, 3, 9] and list(numbers("")) == []


def test_which_side_a_person_is_told() -> None:
    assert side_told(0, "Applied and proved: a.", "") == "after"
    assert side_told(4, "a failed and was rolled back: …", "Nothing was interrupted") == "before"
    assert side_told(-1, "", "Brought back to the state before: a.") == "before"
    assert side_told(-1, "", "a was complete … the host is in the state after it.") == "after"
    assert side_told(-1, "", "Nothing was interrupted; there is nothing to recover.") == ""
    assert side_told(5, "a was applied, proved and kept. The log …", "Nothing was …") == "after"


def test_the_page_counts_and_names_what_failed() -> None:
    page = report.page(_ledger())
    assert "**4 points tried of 9, 1 failed.**" in page
    assert "1 failed.** 4 of them at commits with as many calls as there are now." in page
    assert "| apply a | killed | no | 9 | 4 | 4 | 2 | 1 | 1 |" in page
    assert "- trixie: apply a, killed, 7: rename x: files /etc/a" in page
    assert "| c1 | trixie | 2 |" in page
