"""Variables in PHP source, found without running anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.php_source import assigned_pairs, line_of, quoted, unquoted, without_comments
from host.facts.typo3 import origin
from steps.resources.typo3_settings import stops_early
from tests.unit.in_time import in_time

CONFIG = """<?php
// $g_admin_auth = ['commented' => 'out'];
/* $g_admin_auth = ['this' => 'too']; */
$g_db_system = ['pass' => 'it\\'s // no comment'];
$g_admin_auth = [
    # 'nobody' => 'here',
    'admin' => '$2y$10$abc', // the first
    "second" => "plain \\"text\\"",
];
"""


def test_what_is_assigned_with_its_place() -> None:
    found = assigned_pairs(CONFIG, "g_admin_auth")
    assert found is not None
    assert {name: one.value for name, one in found.items()} == {
        "admin": "$2y$10$abc",
        "second": 'plain "text"',
    }
    admin = found["admin"]
    assert CONFIG[admin.start : admin.end] == "'$2y$10$abc'"
    assert line_of(CONFIG, admin.start) == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<?php\n",
        "$g_admin_auth = file('x');",
        "$g_admin_auth = ['a' => getenv('X')];",
        "$g_admin_auth = ['a' => 'b'];\n$g_admin_auth = other();",
        '$g_admin_auth = ["a$b" => "c"];',
    ],
)
def test_what_is_computed_is_not_guessed(text: str) -> None:
    assert assigned_pairs(text, "g_admin_auth") is None


@pytest.mark.parametrize(
    "text",
    [
        "$x = ['a' => 'b'," + " " * 500_000 + "x",
        "$x = [" + " " * 500_000 + "x",
        "'\\" * 500_000,
        "\"'" + "\\'" * 500_000,
    ],
)
def test_no_file_takes_long_to_read(text: str) -> None:
    """The web server's user writes it, and whoever checks would wait for hours."""
    with in_time(60):
        assert assigned_pairs(text, "x") is None
        assert stops_early(f"<?php\n{text}") in ("", "has a { that is not closed")
        assert origin("SYS/devIPmask", {"/x": f"['SYS' => [{text}"}) == "TYPO3's default"


def test_the_last_assignment_counts() -> None:
    text = "$x = ['a' => '1'];\n$x = array('a' => '2');"
    assert {k: v.value for k, v in (assigned_pairs(text, "x") or {}).items()} == {"a": "2"}


def test_a_value_that_php_would_fill_in_is_none() -> None:
    found = assigned_pairs('$x = ["a" => "pre$fix"];', "x")
    assert found is not None
    assert found["a"].value is None


@given(st.text())
def test_a_quoted_value_comes_back(value: str) -> None:
    assert unquoted(quoted(value)) == value
    found = assigned_pairs(f"<?php $x = ['a' => {quoted(value)}];", "x")
    assert found is not None
    assert found["a"].value == value


@given(st.text(alphabet="$x=[]()'\"/*#\\ab,;>\n{", max_size=60))
def test_no_source_is_too_odd(text: str) -> None:
    assigned_pairs(f"$x = [{text}", "x")
    assert len(without_comments(text)) == len(text)
    assert without_comments(text).count("\n") == text.count("\n")
