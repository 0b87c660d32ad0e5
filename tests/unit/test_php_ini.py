"""PHP's answers and files, recorded on both releases, and whatever else may be there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.php import parse_moment
from host.facts.php_ini import parse_answer, parse_ini, parse_pools
from steps.expectation import Expectation
from steps.resources.php_probe import code, parse
from steps.resources.php_values import (
    as_shown,
    function_list,
    ini_value,
    managed,
    satisfied,
    with_value,
)
from tests.unit.web_host import PHP, RELEASES, recorded

ON = Expectation(is_="On")


@pytest.mark.parametrize("release", RELEASES)
def test_the_answer_names_values_and_files_in_order(release: str) -> None:
    ini = parse_answer("PHP Warning:  noise {\n" + recorded(release, "php-ini.json"))
    assert ini is not None
    assert ini.version.startswith(PHP[release])
    assert ini.files[0] == f"/etc/php/{PHP[release]}/apache2/php.ini"
    assert ini.files[1].endswith("/10-mysqlnd.ini")
    assert ini.values["memory_limit"] == "128M"
    assert ini.values["session.cookie_httponly"] == ""


@pytest.mark.parametrize("answer", ["", "{", '{"version": 1}', '{"version":"8","values":[]}'])
def test_what_is_no_answer_is_none(answer: str) -> None:
    assert parse_answer(answer) is None


@pytest.mark.parametrize("release", RELEASES)
def test_assignments_have_lines_and_plain_values(release: str) -> None:
    found = {a.key: a for a in parse_ini("/x", recorded(release, "php.ini"))}
    assert found["expose_php"].value == "Off"
    assert found["variables_order"].value == "GPCS"
    line = recorded(release, "php.ini").splitlines()[found["expose_php"].line - 1]
    assert line == "expose_php = Off"


def test_sections_for_some_paths_hold_not_everywhere() -> None:
    text = "a=1 ; why\n;b=2\n[PATH=/var/www]\na=3\n[other]\nc='x;y'\n"
    assert [(a.key, a.value, a.line) for a in parse_ini("/x", text)] == [
        ("a", "1", 1),
        ("c", "x;y", 6),
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_a_pool_file_says_where_it_listens_and_what_it_sets(release: str) -> None:
    settings = parse_pools("/p", recorded(release, "www.conf"))
    assert [(s.pool, s.key, s.value) for s in settings if not s.how] == [
        ("www", "listen", f"/run/php/php{PHP[release]}-fpm.sock")
    ]
    assert [(s.key, s.how) for s in settings if s.how] == [
        ("display_errors", "php_flag"),
        ("expose_php", "php_admin_value"),
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_the_time_of_the_last_reload(release: str) -> None:
    assert parse_moment(recorded(release, "fpm-state.txt")) > 1_700_000_000 * 10**9
    exact = "StateChangeTimestamp=Sat 2026-11-21 01:50:04.804702 UTC\n"
    assert parse_moment(exact) == 1795225804804702000
    assert parse_moment("StateChangeTimestamp=n/a\n") == 0
    assert parse_moment("StateChangeTimestamp=Sat 9999-99-99 99:99:99.1 UTC\n") == 0


@given(st.text(max_size=200))
def test_no_text_makes_the_parsers_fail(text: str) -> None:
    parse_answer(text)
    parse_ini("/x", text)
    parse_pools("/x", text)
    parse_moment(f"StateChangeTimestamp={text}")
    parse(text.encode())
    with_value(text, 1, "a", "b")


@pytest.mark.parametrize(
    ("value", "is_on"), [("1", True), ("On", True), ("", False), ("0", False), ("stderr", False)]
)
def test_switches_are_written_in_several_ways(value: str, is_on: bool) -> None:
    assert satisfied("log_errors", ON, value) is is_on
    assert as_shown("", Expectation(is_="Off")) == "Off"


def test_sizes_count_in_bytes() -> None:
    assert satisfied("memory_limit", Expectation(at_least=256 * 1024**2), "256M")
    assert not satisfied("memory_limit", Expectation(at_least=256 * 1024**2), "128M")


@pytest.mark.parametrize(
    "expectation",
    [Expectation(is_=""), Expectation(is_="leave"), Expectation(contains=[]),
     Expectation(one_of=["leave", "Strict"], set="leave")],
)  # fmt: skip
def test_nothing_expected_is_not_managed(expectation: Expectation) -> None:
    assert not managed(expectation)


def test_functions_that_are_off_stay_off() -> None:
    wanted = Expectation(contains=["system", "popen"], excludes=["exec"])
    assert function_list("exec, leak system", wanted) == "leak,system,popen"


def test_one_value_is_replaced_and_every_other_byte_stays() -> None:
    text = "; a\n  php_flag[display_errors] = on\r\nlast=1"
    assert with_value(text, 2, "display_errors", "off") == (
        "; a\n  php_flag[display_errors] = off\r\nlast=1"
    )
    assert with_value(text, 3, "last", "2") == "; a\n  php_flag[display_errors] = on\r\nlast=2"
    assert with_value(text, 1, "last", "2") is None
    assert with_value(text, 9, "last", "2") is None


def test_values_with_signs_are_quoted() -> None:
    assert ini_value("/var/www:/tmp/") == "/var/www:/tmp/"
    assert ini_value("a b;c") == '"a b;c"'


def test_the_probe_holds_no_token_and_only_plain_names() -> None:
    text = code("secret-token", {"disable_functions": Expectation(contains=["popen", "a'); x"])})
    assert "secret-token" not in text
    assert "['popen']" in text and "a')" not in text


def test_the_probe_answers_behind_other_output() -> None:
    said = {"sapi": "fpm-fcgi", "version": "8.2", "values": {"expose_php": ""}, "callable": []}
    body = b"<!-- banner -->harden-tui-answer:" + json.dumps(said).encode() + b"\n<!-- end -->"
    answer = parse(body)
    assert answer is not None and answer.values == {"expose_php": ""}
    assert parse(b"<?php echo 'harden-tui-answer:'") is None
