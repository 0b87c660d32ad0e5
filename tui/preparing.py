"""Questions that need an answer of the hands first: what it would do is asked, then shown.

The answer comes later, and the person may have gone on meanwhile: so what is shown, its title and
what a yes does all come from the one question, there is one such question at a time, and none
opens above another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from tui.messages import Answered
from tui.text import Line, cells, paragraph
from tui.working import Values, Working

T = TypeVar("T")

BESIDE_A_MESSAGE = 20
"""Columns of the rule that are left to its ends and to where the pane is scrolled to."""


class Prepared(NamedTuple):
    """A question on its way: its number, what the hands were asked, and what shows the answer."""

    number: str
    arguments: tuple[str, ...]
    values: Values | None
    title: str
    show: Callable[[Any], None]
    otherwise: Callable[[], None]


def _nothing() -> None:
    return None


class Preparing(Working):
    """Asks the hands, and opens the dialog with what they answer."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._prepared: Prepared | None = None
        self._numbered = 0

    def may_interrupt(self) -> bool:
        """Whether a screen may open by itself: not while the person types or is asked."""
        raise NotImplementedError

    def prepare(
        self,
        title: str,
        hint: str,
        arguments: Sequence[str],
        kind: type[T],
        show: Callable[[T], None],
        *,
        values: Values | None = None,
        otherwise: Callable[[], None] = _nothing,
    ) -> None:
        """Ask the hands; `show` gets the answer, `otherwise` is called where there is none.

        The later of two questions counts, and its answer only while no other question is open.
        """
        asked = tuple(arguments)
        if self._is_being_asked(asked, values):
            return
        self._numbered += 1
        number = str(self._numbered)
        self._prepared = Prepared(number, asked, values, title, show, otherwise)
        self.say(hint)
        self.ask("prepared", number, arguments, kind, values=values)

    def _is_being_asked(self, arguments: tuple[str, ...], values: Values | None) -> bool:
        one = self._prepared
        on_its_way = one is not None and ("prepared", one.number) in self._asked
        return on_its_way and one is not None and (one.arguments, one.values) == (arguments, values)

    def _answered_prepared(self, message: Answered) -> None:
        asked = self._prepared
        if asked is None or asked.number != message.about:
            return  # another was asked since
        self._prepared = None
        if message.answer is None:
            self.refuse(asked.title, message.problem)
            asked.otherwise()
            return
        cannot = self.why_not_change()
        if not self.may_interrupt():
            late = f"{asked.title}: not asked, because something else was open by then."
            self.say(late, warn=True)
        elif cannot:
            self.say(cannot, warn=True)
        else:
            self.say("")
            asked.show(message.answer)

    def refuse(self, title: str, sentence: str) -> None:
        """Say why nothing comes of it: in the rule, or over the screen where that has no room."""
        if cells(sentence) <= self.size.width - BESIDE_A_MESSAGE or not self.may_interrupt():
            self.say(sentence, warn=True)
            return
        from tui.dialogs import Confirm

        def body(width: int) -> list[Line]:
            return paragraph(sentence, width, "warn")

        self.say("")
        self.push_screen(Confirm(title, body, verb=""))
