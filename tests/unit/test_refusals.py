"""What dpkg says that it would not take away."""

from __future__ import annotations

from snapshots.refusals import parse

SAID = """\
dpkg: dependency problems prevent removal of libcurl4:amd64:
 cmake depends on libcurl4 (>= 7.16.2).
 curl depends on libcurl4 (= 7.88.1-10+deb12u14).

dpkg: error processing package libcurl4:amd64 (--purge):
 dependency problems - not removing
dpkg: dependency problems prevent removal of early:
 late pre-depends on early; however:
  Package early is to be removed.

dpkg: error processing package early (--purge):
 dependency problems - not removing
Errors were encountered while processing:
 libcurl4:amd64
 early
"""


def test_each_with_the_first_that_needs_it() -> None:
    assert parse(SAID) == {"libcurl4:amd64": "cmake", "early": "late"}


def test_other_complaints_are_none_of_it() -> None:
    said = "dpkg: error processing package base-files (--purge):\n this is an essential package"
    assert parse(said) == {}
