"""Settings of /etc/login.defs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.login_defs import LOGIN_DEFS, PATH, LoginDefs, edited
from snapshots.model import WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ageing`: what new accounts begin with, only unless it is `none`."""

    settings: dict[str, Any]
    ageing: dict[str, Any] = {}
    who: Literal["none", "new", "everyone"] = "none"


class LoginDefaults(Resource):
    """`login-defs: {settings: {UMASK: expectation}, ageing: {PASS_MAX_DAYS: …}, who: new}`."""

    kind: ClassVar[str] = "login-defs"

    def __init__(self, wanted: Mapping[str, Expectation]) -> None:
        self.wanted = dict(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> LoginDefaults:
        given = msgspec.convert(body, _Body)
        chosen = {**given.settings, **(given.ageing if given.who != "none" else {})}
        for key in chosen:
            if not re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
                raise StepError(f"{key!r} is no setting of {PATH}")
        return cls({key: Expectation.of(value) for key, value in chosen.items()})

    def facts(self) -> tuple[Fact[Any], ...]:
        return (LOGIN_DEFS,)

    def observe(self, ctx: Context) -> list[Finding]:
        defs: LoginDefs = ctx.facts.get(LOGIN_DEFS)
        findings = []
        for key, expectation in self.wanted.items():
            number, value = defs.values.get(key, (0, ""))
            findings.append(
                Finding(
                    resource="login.defs",
                    setting=key,
                    expected=str(expectation),
                    running=value or "unset",
                    persistent=value or "unset",
                    origin=f"{PATH}:{number}" if number else PATH,
                    ok=expectation.satisfied_by(value),
                )
            )
        return findings

    def plan(self, ctx: Context) -> Planned:
        defs: LoginDefs = ctx.facts.get(LOGIN_DEFS)
        wrong = {
            key: expectation.target
            for key, expectation in self.wanted.items()
            if not expectation.satisfied_by(defs.value(key))
        }
        if not wrong:
            return Planned()
        text = edited(defs, wrong)
        return Planned(
            changes=(WriteFile(path=PATH, content=text.encode("utf-8", "surrogateescape")),)
        )
