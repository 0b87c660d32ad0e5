"""How long an installed TYPO3 gets security fixes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.applications import Application
from host.facts.typo3_support import AS_OF, SUPPORT, Installed, parse_version
from steps.resources.typo3_support import Typo3Support, _Body
from tests.unit.given import context

APPLICATION = Application("typo3", "/srv/site", "/srv/site/public", (), "composer")
SOURCE = """<?php
// const VERSION = '1.0.0';
class Typo3Version
{
    protected const VERSION = '13.4.19';
    protected const BRANCH = '13.4';
"""


def test_the_version_with_its_line() -> None:
    assert parse_version(SOURCE) == ("13.4.19", 5)
    assert parse_version("<?php const VERSION = '14.0.0-dev';") == ("14.0.0", 1)
    assert parse_version("<?php\n") is None


@given(st.text(alphabet="const VERSION='1.\"/*\n ", max_size=60))
def test_no_source_is_too_odd(text: str) -> None:
    parse_version(text)


@pytest.mark.parametrize(
    ("version", "today", "extended", "ok"),
    [
        ("13.4.19", date(2026, 7, 3), False, True),
        ("13.4.19", date(2027, 12, 1), False, False),
        ("13.4.19", date(2027, 12, 1), True, True),
        ("13.3.1", date(2026, 7, 3), False, False),
        ("12.4.30", date(2026, 7, 3), False, False),
        ("12.4.30", date(2026, 7, 3), True, True),
        ("8.7.32", date(2026, 7, 3), True, False),
        ("15.1.0", date(2026, 7, 3), False, None),
        ("14.3.2", date(2028, 12, 1), False, None),
        ("12.4.30", date(2029, 12, 1), True, False),
        ("", date(2026, 7, 3), False, None),
    ],
)
def test_until_when(
    tmp_path: Path, version: str, today: date, extended: bool, ok: bool | None
) -> None:
    installed = Installed(APPLICATION, version, "x:5", "" if version else "could not be read")
    ctx = context(tmp_path, typo3_installed=(installed,), applications=(APPLICATION,))
    resource = Typo3Support(_Body(extended=extended), today)
    (finding,) = resource.observe(ctx)
    assert finding.ok is ok
    assert finding.note
    assert bool(resource.plan(ctx).refusals) is (ok is False)


def test_the_table_is_in_order() -> None:
    ends = [one.until for _, one in sorted(SUPPORT.items())]
    assert ends == sorted(ends)
    assert all(one.extended > one.until for one in SUPPORT.values())
    assert date.today() >= AS_OF
