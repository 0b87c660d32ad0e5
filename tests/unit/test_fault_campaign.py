"""The parts of `make faults` that need no host."""

from __future__ import annotations

from itertools import chain

from tests.bench.report import sections_of
from tests.faults import report
from tests.faults.campaign import Extent, Row, Share, some, spread, together
from tests.faults.field import Tried
from tests.faults.judge import side_told


def test_every_beginning_of_the_points_lies_evenly() -> None:
    assert sorted(spread(145)) == list(range(1, 146))
    assert spread(1) == [1] and spread(2) == [2, 1]
    for beginning in (4, 8, 16):
        found = sorted(spread(145)[:beginning])
        gaps = [b - a for a, b in zip([0, *found], [*found, 146], strict=True)]
        assert max(gaps) <= 2 * 145 / beginning + 1


def test_shares_leave_no_point_out_and_try_none_twice() -> None:
    order = spread(145)
    shares = [list(some(order, Share(index, 3))) for index in range(3)]
    assert sorted(chain(*shares)) == list(range(1, 146))
    limited = [list(some(order, Share(index, 3), limit=10)) for index in range(3)]
    assert sorted(chain(*limited)) == sorted(order[:10])
    late = [list(some(order, Share(index, 3), deadline=0.0)) for index in range(3)]
    assert sorted(chain(*late)) == sorted(order[:3])


def test_which_trials_are_tried_whole() -> None:
    row = Row("apply ssh.limits", "killed", "")
    assert Extent(("ssh.limits, killed",)).is_whole(row) and Extent(("killed",)).is_whole(row)
    assert not Extent(("power cut", "app.tree")).is_whole(row) and not Extent().is_whole(row)


def test_rows_of_shares_are_added_up() -> None:
    bad = Tried("apply a", "killed", "7: rename x", "between", ("between",))
    one = Row("apply a", "killed", "", points=9, tried=5, before=4, after=1)
    other = Row("apply a", "killed", "", points=9, tried=4, before=3, failed=[bad])
    assert together([[one], [other]]) == [
        Row("apply a", "killed", "", points=9, tried=9, before=7, after=1, failed=[bad])
    ]


def test_which_side_a_person_is_told() -> None:
    assert side_told(0, "Applied and proved: a.", "") == "after"
    assert side_told(4, "a failed and was rolled back: …", "Nothing was interrupted") == "before"
    assert side_told(-1, "", "Brought back to the state before: a.") == "before"
    assert side_told(-1, "", "a was complete … the host is in the state after it.") == "after"
    assert side_told(-1, "", "Nothing was interrupted; there is nothing to recover.") == ""
    assert side_told(5, "a was applied, proved and kept. The log …", "Nothing was …") == "after"


def test_the_page_counts_and_names_what_failed() -> None:
    bad = Tried("apply a", "killed", "7: rename x", "between", ("between: files /etc/a",))
    row = Row("apply a", "killed", "", points=9, tried=3, before=1, after=1, failed=[bad])
    section = report.section({"Date": "today"}, [row])
    assert section.startswith("**3 points tried of 9, 1 failed.**")
    assert "- apply a, killed, 7: rename x: between: files /etc/a" in section
    page = report.page({"bookworm": section, "trixie": section})
    assert sections_of(page, ["bookworm", "trixie"])["trixie"] == section
