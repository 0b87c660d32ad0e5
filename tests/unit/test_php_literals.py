"""Plain literals of PHP configuration files: found to the byte, or not at all."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.php_literals import Literal, NotPlain, literals, replaced, scalar

IDOIT = rb"""<?php
/* 'pass' => 'not this one' */
// $g_db_system = ['pass' => 'nor this'];
$g_db_system = array(
  "type" => "mysqli", # a comment with 'quotes
  'port' => 3306,
  'user' => 'idoit',
  'pass' => 'it\'s \\ se"cret',   // the password
  'name' => "idoit\x5fsystem",
);
$g_crypto_hash = 'abc';
if (!isset($g_x)) { $g_x = function () { return 1; }; }
"""

TYPO3 = b"""<?php
return [
    'BE' => ['debug' => false, 'x' => implode(',', [1, 2])],
    'DB' => [
        'Connections' => [
            'Default' => ['dbname' => 'typo3', 'password' => 'pa\xc3\x9f', 'port' => 3306],
        ],
    ],
];
"""
PASSWORD = ("DB", "Connections", "Default", "password")


def test_the_password_of_i_doit_is_found_and_replaced() -> None:
    content = IDOIT
    found = literals(content, "$g_db_system")
    password = found["pass",]
    assert (password.value, password.line) == ("it's \\ se\"cret", 8)
    assert found["name",].value == "idoit_system"
    assert found["port",].value == "3306"
    after = replaced(content, password, "new'\\")
    assert after == content.replace(rb"'it\'s \\ se" + b"\"cret'", rb"'new\'\\'")
    assert literals(after, "$g_db_system")["pass",].value == "new'\\"


def test_a_single_text_is_found() -> None:
    assert (scalar(IDOIT, "$g_crypto_hash").value, scalar(IDOIT, "$g_crypto_hash").line) == (
        "abc",
        11,
    )
    for other in ("$g_db_system", "$g_x", "$absent"):
        with pytest.raises(NotPlain):
            scalar(IDOIT, other)


def test_the_password_of_typo3_is_found() -> None:
    found = literals(TYPO3, "return")
    assert found[PASSWORD].value == "paß"
    assert TYPO3[found[PASSWORD].start : found[PASSWORD].end] == "'paß'".encode()
    assert ("BE", "x") not in found


def test_a_literal_does_not_show_what_it_says() -> None:
    assert "paß" not in repr(literals(TYPO3, "return"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("$a = ['pass' => getenv('P')];", ""),
        ("$a = ['pass' => 'x' . 'y'];", ""),
        ('$a = ["pass" => "a$b"];', ""),
        ("$a = ['pass' => <<<E\nx\nE];", ""),
        ("$a = ['pass' => 'x'] + $b;", "more than an array"),
        ("$a = ['pass' => 'x', 'pass' => 'y'];", "twice"),
        ("$a = ['pass' => 'x']; $a['pass'] = 'y';", "2 times"),
        ("$a = ['pass' => 'x']; include 'b.php';", "other code"),
        ("$a = ['pass' => 'x']; $GLOBALS['a']['pass'] = 'y';", "GLOBALS"),
        ("if (1) { $a = ['pass' => 'x']; }", "depends"),
        ("$a['pass'] = 'x';", "not simply assigned"),
        ("$a = ['pass' => 'x'", "does not end"),
        ("$a = 'x';", "no plain array"),
        ("$b = ['pass' => 'x'];", "there is no"),
        ("$a = ['pass' => 'x]; /*", "does not end"),
        ("$a = ['pass' => 'x']; ?> html", "text follows"),
    ],
)
def test_what_is_set_in_another_way_is_not_read(text: str, why: str) -> None:
    content = f"<?php\n{text}\n".encode()
    if not why:
        assert ("pass",) not in literals(content, "$a")
        return
    with pytest.raises(NotPlain, match=why):
        literals(content, "$a")


def test_a_file_without_php() -> None:
    with pytest.raises(NotPlain):
        literals(b"$a = ['x' => 'y'];", "$a")


@given(st.binary(max_size=300))
def test_anything_is_read_or_refused(noise: bytes) -> None:
    for content in (noise, b"<?php " + noise, b"<?php $a = [" + noise, b"<?php return [" + noise):
        for what in ("$a", "return"):
            with contextlib.suppress(NotPlain):
                scalar(content, what)
            try:
                found = literals(content, what)
            except NotPlain:
                continue
            assert all(isinstance(one, Literal) for one in found.values())


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_written_is_read_again(old: str, new: str) -> None:
    content = replaced(b"<?php\n$a = ['b' => ''];\n", Literal("", 19, 21, 2), old)
    found = literals(content, "$a")["b",]
    assert found.value.encode() == old.encode()
    again = replaced(content, found, new)
    assert literals(again, "$a")["b",].value == new
    assert replaced(again, literals(again, "$a")["b",], old) == content


@pytest.mark.skipif(shutil.which("php") is None, reason="there is no PHP to be asked")
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_php_reads_the_same(value: str) -> None:
    content = replaced(b"<?php\nreturn ['b' => ''];\n", Literal("", 21, 23, 2), value)
    said = subprocess.run(
        ["php", "-r", "echo json_encode(eval(substr(stream_get_contents(STDIN), 5)));"],
        input=content, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(said.stdout)["b"] == literals(content, "return")["b",].value
