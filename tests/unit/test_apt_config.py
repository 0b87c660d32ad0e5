"""apt's configuration: what is in force, which line decides, and a drop-in that wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.apt_config import (
    AptConfig,
    deciding,
    is_read,
    list_lines,
    parse_dump,
    parse_file,
    parse_files,
    read_files,
)
from snapshots.model import WriteFile
from steps.resource import Context, Planned, StepError
from steps.resources.apt_config import AptSettings
from tests.unit.given import RELEASES, context, recorded

PATTERNS = "Unattended-Upgrade::Origins-Pattern"


@pytest.mark.parametrize("release", RELEASES)
def test_the_files_lines_make_the_list_that_apt_dumps(release: str) -> None:
    _, lists = parse_dump(recorded(release, "apt/config-dump.txt"))
    lines = parse_file("50u", recorded(release, "apt/50unattended-upgrades"))
    made = tuple(line.value for line in list_lines(lines, PATTERNS))
    assert made == lists[PATTERNS.lower()]
    assert len(made) == 3
    # Its commented lines say nothing.
    assert deciding(lines, "Unattended-Upgrade::Mail") is None


@pytest.mark.parametrize("release", RELEASES)
def test_single_values_of_the_dump(release: str) -> None:
    values, _ = parse_dump(recorded(release, "apt/config-dump.txt"))
    assert values["apt::periodic::unattended-upgrade"] == "1"
    assert values["apt::architecture"] == "amd64"


def test_the_forms_of_a_statement() -> None:
    text = (
        "// a comment\n"
        'A::B "1"; # the rest\n'
        "A {\n  C 2;\n  D { \"x\"; };\n  /* A::E \"no\"; */\n  D:: \"z\";\n};\n"
        "A::F::G:: \"w\";\n"
    )  # fmt: skip
    lines = parse_file("f", text)
    assert [(line.key, line.value, line.how, line.line) for line in lines] == [
        ("A::B", "1", "set", 2),
        ("A::C", "2", "set", 4),
        ("A::D", "x", "append", 5),
        ("A::D", "z", "append", 7),
        ("A::F::G", "w", "append", 9),
    ]
    assert text[lines[0].start : lines[0].end] == '"1"'


def test_clear_empties_what_is_below_it() -> None:
    lines = parse_file("f", 'L:: "a";\nL::K "b";\n#clear L;\nL:: "c";\n')
    assert [line.value for line in list_lines(lines, "l")] == ["c"]
    assert deciding(lines, "L::K") is None
    assert [line.line for line in lines] == [1, 2, 3, 4]


def test_the_last_value_counts_whatever_the_case_of_its_key() -> None:
    lines = parse_file("f", 'A::B "1";\na::b "2";\n')
    found = deciding(lines, "A::b")
    assert found is not None and (found.value, found.origin) == ("2", "f:2")


@pytest.mark.parametrize(
    ("name", "read"),
    [("50unattended", True), ("99x.conf", True), ("20auto.bak", False), ("x~", False)],
)
def test_names_that_apt_passes_over(name: str, read: bool) -> None:
    assert is_read(name) is read


@given(st.text(alphabet="AB:\"{};#/* \n'clear", max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    for line in parse_file("f", text):
        assert line.how in ("set", "append", "clear")
    parse_dump(text)


def config(ctx: Context, **values: str) -> AptConfig:
    texts = read_files(ctx.host)
    return AptConfig(values, {}, parse_files(texts), texts)


def plan(tmp_path: Path, files: dict[str, str], now: str, body: Any) -> Planned:
    ctx = context(tmp_path)
    ctx.host.put("/etc/apt", FileState(kind="dir", mode=0o755))
    for path, text in files.items():
        ctx.host.write_file(path, text.encode())
    given_values = context(tmp_path, apt_config=config(ctx, **{"acquire::a": now} if now else {}))
    return AptSettings.parse("site.apt", {"Acquire::A": body}).plan(given_values)


def written(planned: Planned) -> dict[str, str]:
    return {c.path: c.content.decode() for c in planned.changes if isinstance(c, WriteFile)}


def test_a_drop_in_that_apt_reads_last(tmp_path: Path) -> None:
    found = written(plan(tmp_path, {}, "true", {"is": "false"}))
    assert list(found) == ["/etc/apt/apt.conf.d/99zz-harden-tui-site-apt.conf"]
    assert 'Acquire::A "false";' in next(iter(found.values()))


def test_every_word_for_a_switch_is_understood(tmp_path: Path) -> None:
    assert plan(tmp_path, {}, "no", {"is": "false"}) == Planned()
    assert plan(tmp_path, {}, "", {"is": "false"}) == Planned()
    assert plan(tmp_path, {}, "with", {"is": "true"}) == Planned()


def test_a_later_line_is_changed_itself(tmp_path: Path) -> None:
    main = "/etc/apt/apt.conf"
    planned = plan(tmp_path, {main: 'Acquire { A "yes"; };\n'}, "yes", {"is": "false"})
    assert written(planned)[main] == 'Acquire { A "false"; };\n'
    assert f"{main}:1" in planned.notes[0]


def test_a_later_line_without_a_value_is_refused(tmp_path: Path) -> None:
    planned = plan(tmp_path, {"/etc/apt/apt.conf": "Acquire::A;\n"}, "x", {"is": "1"})
    assert "nothing was changed" in planned.refusals[0] and planned.changes == ()


@pytest.mark.parametrize("body", [{}, {"a b": "1"}, {"A::B": 'x"; Evil "y'}, []])
def test_bodies_are_checked(body: Any) -> None:
    with pytest.raises(StepError):
        AptSettings.parse("x.y", body)
