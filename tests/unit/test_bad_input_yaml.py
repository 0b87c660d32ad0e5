"""Whatever stands in a step file or an answers file: an entry, or one sentence with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.catalog_load import step_of
from steps.resource import StepError
from steps.yaml_lines import LARGEST_DEPTH, read_entries

STEP = """\
- id: site.one
  stage: pre-install
  title: t
  why: w
  breaks: b
  source: s
"""

WRONG = {
    "- id: [\n": ":2: not valid YAML",
    "- id: a\n\tb: c\n": ":2: not valid YAML: found a tab",
    "just text\n": ":1: expected a mapping",
    "- 7\n": ":1: expected a mapping",
    "- a: 1\n---\n- b: 1\n": ":2: not valid YAML: but found another document",
    "- &a {b: *a}\n": ":1: anchors and aliases",
    "- a: 1\n  a: 2\n": ":2: a: given twice",
    "- 1: a\n": ":1: 1: a name must be text",
    "- on: a\n": ":1: on: a name must be text",
    "- <<: {a: b}\n": ":1: <<: a name must be text",
    "- ? [a]\n  : b\n": ":1: a list or mapping cannot be a name",
    "- a: !!python/object:os.system {}\n": ":1: tags such as !!python/object:os.system",
    "- a: !!int x\n": ":1: tags such as !!int",
    "- a: !!set {b}\n": ":1: tags such as !!set",
    "- a:\n    b: 2026-02-31\n": ":2: 2026-02-31 is no valid timestamp",
    f"- a: {'9' * 5000}\n": ":1: 9999999999999999999999999999999999999999 is no valid int",
    '- a: "\\ud800"\n': ":1: not valid YAML",
    "- a: \x1b[31m\n": ":1: not valid YAML",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: repr(text[:30]))
def test_a_wrong_file_is_named_with_its_line(text: str) -> None:
    with pytest.raises(StepError) as raised:
        read_entries("/etc/harden-tui/steps.d/site.yaml", text)
    assert str(raised.value).startswith(f"/etc/harden-tui/steps.d/site.yaml{WRONG[text]}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("{a.example: [500]}", "Expected `int` <= 499"),
        ("{a.example: 403}", "Expected `array`"),
        ('{"{site}": [403]}', "uses a parameter that is not declared: site"),
    ],
)
def test_answers_that_no_step_can_mean(answers: str, said: str) -> None:
    text = f"{STEP}  answers: {answers}\n  ensure: [{{attest: {{question: q}}}}]\n"
    with pytest.raises(StepError) as raised:
        step_of(next(iter(read_entries("f.yaml", text))))
    assert str(raised.value).startswith("f.yaml:7: answers") and said in str(raised.value)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
@pytest.mark.parametrize("levels", [LARGEST_DEPTH + 1, 3_000, 400_000])
def test_nesting_exhausts_neither_python_nor_the_stack(opening: str, levels: int) -> None:
    """400,000 brackets, 400 kB, end libyaml's own reader with a segmentation fault."""
    closing = {"[": "]", "{a: ": "}", "- ": "a"}[opening]
    text = opening * levels + (closing if opening == "- " else closing * levels)
    with pytest.raises(StepError, match=rf":1: nested more than {LARGEST_DEPTH} levels deep"):
        read_entries("f.yaml", text)


@given(
    st.text(st.characters(codec="utf-8"), max_size=80)
    | st.text("[]{}-:,&*!? \n\"'ab1", max_size=80)
)
def test_no_text_at_all_is_more_than_a_sentence(text: str) -> None:
    try:
        entries = read_entries("f.yaml", text)
    except StepError as error:
        assert str(error).startswith("f.yaml:")
    else:
        assert all(isinstance(entry.data, dict) for entry in entries)


def test_a_pattern_that_cannot_be_read_is_named() -> None:
    text = (
        STEP + '  parameters: {a: {kind: text, help: h, pattern: "("}}\n  ensure: [{attest: {}}]\n'
    )
    with pytest.raises(StepError, match=r"f\.yaml:7: parameters\.a: the pattern is no regular"):
        step_of(read_entries("f.yaml", text)[0])
