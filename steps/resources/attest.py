"""A question only a person can answer; the answer is kept with name, date, note and expiry."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    question: str
    valid_days: int = 365


class Attest(Resource):
    """`attest: {question: …, valid-days: 365}`. Measures nothing, so it never says ok by itself."""

    kind: ClassVar[str] = "attest"

    def __init__(self, question: str, valid_days: int) -> None:
        self.question = question
        self.valid_days = valid_days

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Attest:
        given = msgspec.convert(body, _Body)
        if not given.question.strip():
            raise StepError("question: expected a question")
        if given.valid_days < 1:
            raise StepError("valid-days: must be at least 1")
        return cls(given.question.strip(), given.valid_days)

    def facts(self) -> tuple[Fact[Any], ...]:
        return ()

    def observe(self, ctx: Context) -> list[Finding]:
        return [self.asked()]

    def asked(self) -> Finding:
        """The question, as a finding that nobody has answered."""
        return Finding(
            resource="attest",
            setting="answer of a person",
            expected=f"attested within {self.valid_days} days",
            ok=None,
            note=self.question,
        )

    def plan(self, ctx: Context) -> Planned:
        return Planned(notes=(self.question,))
