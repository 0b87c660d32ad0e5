"""What the threads that listen to the hands tell the screen; all they carry is frozen."""

from __future__ import annotations

from typing import Any

from textual.message import Message

from steps.events import Done, Event


class Said(Message):
    """The hands said something. `call` names what was asked ("check", "work" …)."""

    def __init__(self, call: str, event: Event) -> None:
        super().__init__()
        self.call = call
        self.event = event


class Ended(Message):
    """A command of the hands came to its end."""

    def __init__(self, call: str, done: Done) -> None:
        super().__init__()
        self.call = call
        self.done = done


class Answered(Message):
    """An answer to a question, or, as text, why there is none. `about` says to what."""

    def __init__(self, question: str, about: str, answer: Any, problem: str = "") -> None:
        super().__init__()
        self.question = question
        self.about = about
        self.answer = answer
        self.problem = problem
