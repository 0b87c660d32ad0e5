"""Questions to the person: yes or no with the diff in sight, a text, a form of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input

from steps.model import Parameter
from steps.parameters import convert
from steps.resource import StepError
from tui.question import Dialog, Draw, Question
from tui.text import BLANK, Line, paragraph, wrap
from tui.views.frame import rule
from tui.views.step import shown_value
from tui.widgets.field import Field
from tui.widgets.single import Fixed


class Confirm(Question):
    """Yes or no. The diff is in sight, the focus on Cancel, so that Enter alone does nothing.

    With `word` it must be typed: what can lock a person out takes more than a key. Dismissed with
    `True` for yes and `None` for no. Without `verb` there is nothing to say yes to.
    """

    BINDINGS: ClassVar = [
        Binding("left,right,tab,shift+tab", "turn", show=False, priority=True),
    ]

    def __init__(self, title: str, body: Draw, *, verb: str, word: str = "") -> None:
        super().__init__(title, body)
        self._verb = verb
        self._word = word
        self._yes = False

    def compose(self) -> ComposeResult:
        yield from super().compose()
        if self._word and self._verb:
            yield Field(id="word")

    def _draw_answer(self, width: int) -> list[Line]:
        def button(label: str, on: bool) -> tuple[str, Any]:
            return (f"[ {label} ]", "mark" if on else "")

        line: Line = (button("Cancel", not self._yes), ("  ", ""))
        if self._verb:
            line = (*line, button(self._verb, self._yes), ("  ", ""))
            keys = "←→ choose  Enter take  ↑↓ scroll  Esc cancel"
        else:
            keys = "Enter or Esc close  ↑↓ scroll"
        lines = [(*line, (keys, "dim"))]
        if self._word and self._verb:
            said: Line = (("To go on, choose ", ""), (self._verb, "bold"), (", type the word ", ""))
            lines.append((*said, (self._word, "bold"), (" below and press Enter:", "")))
        return lines

    def action_turn(self) -> None:
        if not self._verb:
            return
        self._yes = not self._yes
        self.query_one("#answer", Fixed).update()
        if self._word:
            if self._yes:
                self.set_focus(self.query_one("#word", Field))
            else:
                self.set_focus(None)

    def action_take(self) -> None:
        if not self._yes:
            self.dismiss(None)
        elif self._word and self.query_one("#word", Field).value.strip() != self._word:
            self._say(f"Type the word {self._word} to go on, or press Esc.")
        else:
            self.dismiss(True)

    def on_input_submitted(self) -> None:
        self.action_take()


class Ask(Dialog):
    """One line of text. `problem` says what is wrong with it; empty accepts. `verb`: what Enter
    does with it."""

    def __init__(
        self,
        title: str,
        body: Draw,
        *,
        value: str = "",
        problem: Callable[[str], str],
        verb: str = "keep",
    ) -> None:
        super().__init__()
        self._title = title
        self._body = body
        self._value = value
        self._problem = problem
        self._verb = verb
        self._hint = ""

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw, id="question")
        yield Field(self._value, id="answer")
        yield Fixed(self._draw_rule, id="rule")

    def _draw(self, width: int) -> list[Line]:
        return [
            *(((piece, "bold"),) for piece in wrap(self._title, width)),
            rule("", "", width),
            *self._body(width),
            BLANK,
        ]

    def _draw_rule(self, width: int) -> list[Line]:
        keys: Line = ((f"Enter {self._verb}  Esc cancel", "dim"),)
        return [rule(self._hint, "", width, warn=True), keys]

    def on_mount(self) -> None:
        self.query_one("#answer", Field).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._hint = self._problem(event.value.strip())
        if self._hint:
            self.query_one("#rule", Fixed).update()
        else:
            self.dismiss(event.value.strip())


class Form(Dialog):
    """Values of a step's parameters, each checked as it is left and all before they are kept.

    Dismissed with the changed ones as text, by name. `verb`: what is done with them.
    """

    DEFAULT_CSS = """
    Form VerticalScroll { height: 1fr; scrollbar-size: 0 0; }
    Form .entry { height: auto; margin: 0 0 1 0; }
    """

    BINDINGS: ClassVar = [
        Binding("up,shift+tab", "step(-1)", show=False, priority=True),
        Binding("down,tab", "step(1)", show=False, priority=True),
        Binding("enter", "next", show=False, priority=True),
        Binding("ctrl+s", "keep", show=False),
    ]

    def __init__(
        self,
        step_id: str,
        parameters: Mapping[str, Parameter],
        values: Mapping[str, Any],
        *,
        only: Sequence[str] = (),
        title: str = "",
        verb: str = "keep",
    ) -> None:
        super().__init__()
        self._title = title or f"Values of {step_id}"
        self._verb = verb
        self._step_id = step_id
        self._names = [name for name in parameters if not only or name in only]
        self._parameters = parameters
        self._before = {
            name: "" if values.get(name) is None else shown_value(values[name])
            for name in self._names
        }
        self._problems: dict[str, str] = {}
        self._hint = ""

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw_title)
        with VerticalScroll(can_focus=False):
            for name in self._names:
                secret = self._parameters[name].kind == "secret"
                with Vertical(classes="entry"):
                    yield Fixed(self._drawer(name), id=f"label-{name}")
                    yield Field(self._before[name], secret=secret, id=f"value-{name}")
        yield Fixed(self._draw_rule, id="rule")

    def on_mount(self) -> None:
        self.query(Field).first().focus()

    def _draw_title(self, width: int) -> list[Line]:
        return [((self._title, "bold"),), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        keys = f"Enter next, at the last {self._verb}  Ctrl+S {self._verb}  ↑↓ move  Esc cancel"
        return [rule(self._hint, "", width, warn=True), ((keys, "dim"),)]

    def _drawer(self, name: str) -> Draw:
        def draw(width: int) -> list[Line]:
            parameter = self._parameters[name]
            lines: list[Line] = [((name, "key"), (f"  {kind_of(parameter)}", "dim"))]
            lines += paragraph(parameter.help, width, "dim", indent=2)
            if name in self._problems:
                lines += paragraph(self._problems[name], width, "bad", indent=2)
            return lines

        return draw

    def _value(self, name: str) -> str:
        return self.query_one(f"#value-{name}", Field).value.strip()

    def _check(self, name: str) -> bool:
        before = self._problems.pop(name, "")
        text = self._value(name)
        if text != self._before[name] or not text:
            problem = problem_of(name, self._parameters[name], text)
            if problem:
                self._problems[name] = problem
        if self._problems.get(name, "") != before:
            self.query_one(f"#label-{name}", Fixed).update()
        return name not in self._problems

    def _here(self) -> int:
        focused = self.focused
        name = (focused.id or "").removeprefix("value-") if focused else ""
        return self._names.index(name) if name in self._names else 0

    def action_step(self, by: int) -> None:
        here = self._here()
        self._check(self._names[here])
        there = max(0, min(len(self._names) - 1, here + by))
        self.set_focus(self.query_one(f"#value-{self._names[there]}", Field))

    def action_next(self) -> None:
        here = self._here()
        if not self._check(self._names[here]):
            return
        if here + 1 < len(self._names):
            self.action_step(1)
        else:
            self.action_keep()

    def action_keep(self) -> None:
        wrong = [name for name in self._names if not self._check(name)]
        if wrong:
            self._hint = f"Not kept: {self._problems[wrong[0]]}"
            self.query_one("#rule", Fixed).update()
            self.query_one(f"#value-{wrong[0]}", Field).focus()
            return
        changed = {
            name: self._value(name)
            for name in self._names
            if self._value(name) != self._before[name]
        }
        self.dismiss(changed)


def problem_of(name: str, parameter: Parameter, text: str) -> str:
    """What is wrong with a value, as one sentence; empty if nothing is."""
    if not text and not parameter.optional and parameter.kind not in ("list", "addresses"):
        return f"{name}: needs a value"
    if parameter.kind in ("list", "addresses") and text == "none":
        return ""
    try:
        convert("", name, parameter, text)
    except StepError as error:
        return str(error)
    return ""


def kind_of(parameter: Parameter) -> str:
    """What may be typed, in words."""
    if parameter.kind == "integer":
        low, high = parameter.minimum, parameter.maximum
        if low is not None and high is not None:
            return f"a whole number from {low} to {high}"
        return "a whole number" + (f", at least {low}" if low is not None else "")
    return {
        "text": "text",
        "boolean": "yes or no",
        "choice": "one of " + ", ".join(parameter.choices),
        "list": "words with commas between them, or none",
        "path": "an absolute path",
        "duration": "a duration such as 10m or 1h",
        "addresses": "IP addresses or networks with commas between them, or none",
        "secret": "a secret: not shown, kept nowhere",
    }[parameter.kind]
