"""YAML errors name file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from steps import catalog_load
from steps.catalog_load import Checklist, built_in, check_bodies, check_choices, step_of
from steps.model import Step
from steps.resource import StepError
from steps.yaml_lines import read_entries

GOOD = """\
- id: a.step
  stage: pre-install
  title: t
  why: w
  breaks: b
  source: s
  parameters:
    limit:
      kind: integer
      help: h
  ensure:
    - attest: {question: q}
"""


def _convert(text: str) -> Step:
    return step_of(read_entries("steps.d/x.yaml", text)[0])


def test_a_good_step() -> None:
    assert _convert(GOOD).parameters["limit"].kind == "integer"


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("stage: pre-install", "stage: later", 2, "stage"),
        ("kind: integer", "kind: number", 9, "kind"),
        ("help: h", "hlep: h", 10, "hlep"),
        ("title: t", "title: [t]", 3, "title"),
        ("  breaks: b\n", "", 1, "breaks"),
    ],
)
def test_an_error_names_line_and_field(old: str, new: str, line: int, field: str) -> None:
    with pytest.raises(StepError, match=rf"^steps\.d/x\.yaml:{line}: .*{field}"):
        _convert(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("- id: a\n  id: b\n", "x.yaml:2: id: given twice"),
        ("- just text\n", "x.yaml:1: expected a mapping"),
        ("- id: [unclosed\n", "not valid YAML"),
        ("- &a {id: x}\n- *a\n", "aliases"),
        ("- id: \x00\n", "not valid YAML"),
    ],
)
def test_what_is_not_even_a_list_of_mappings(text: str, word: str) -> None:
    with pytest.raises(StepError, match=word):
        read_entries("x.yaml", text)


def test_an_empty_file_has_no_entries() -> None:
    assert read_entries("x.yaml", "# nothing yet\n") == []


def test_all_that_comes_with_the_program_is_valid_and_listed() -> None:
    steps, checklists = built_in()
    for package, names in (("catalog", steps), ("checklists", checklists)):
        found = []
        for file in sorted(Path(catalog_load.__file__).parent.joinpath(package).glob("*.yaml")):
            for entry in read_entries(str(file), file.read_text()):
                if package == "catalog":
                    step = step_of(entry)
                    check_bodies(entry, step)
                    found.append(step.id)
                else:
                    checklist = entry.convert(Checklist)
                    check_choices(entry, checklist, steps)
                    found.append(checklist.name)
        assert found == list(names)
        assert [names[name] for name in names]
