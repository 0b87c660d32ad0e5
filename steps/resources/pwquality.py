"""What a new password must be like: libpam-pwquality, its settings, and that PAM asks it.

Settings stand in pwquality.conf itself: it is read after every file of pwquality.conf.d, so what it
says is what counts, and whoever looks for the policy, a person or an auditor, looks there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.facts import Fact
from host.facts.packages import PACKAGES
from host.facts.pam_files import PAM_FILES, PLACE, PamLine, parse_pam
from host.facts.pwquality import (
    DEFAULTS,
    MAIN,
    PWQUALITY,
    Pwquality,
    Setting,
    as_line,
    parse_pwquality,
    with_value,
)
from snapshots.model import Change, Root, RunCommand, WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.package import plan_install

PACKAGE: Final = "libpam-pwquality"
_DICTIONARY: Final = "cracklib-runtime"
_STACK: Final = f"{PLACE}/common-password"
_MODULE: Final = "pam_pwquality.so"
_PAM_STATE: Final = Root("/var/lib/pam", content=True)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`packages`: what is installed for it, libpam-pwquality among them. `classes` are settings
    about kinds of signs, which count unless `signs` is "any"."""

    settings: dict[str, Any]
    packages: list[str]
    classes: dict[str, Any] = {}
    signs: Literal["all-kinds", "any"] = "all-kinds"


class PasswordQuality(Resource):
    """`pwquality: {settings: {minlen: {at-least: 15}}, packages: [libpam-pwquality]}`."""

    kind: ClassVar[str] = "pwquality"

    def __init__(
        self, step_id: str, wanted: Mapping[str, Expectation], packages: tuple[str, ...]
    ) -> None:
        self.step_id = step_id
        self.wanted = dict(wanted)
        self.packages = packages

    @classmethod
    def parse(cls, step_id: str, body: Any) -> PasswordQuality:
        given = msgspec.convert(body, _Body)
        if PACKAGE not in given.packages:
            raise StepError(f"packages: {PACKAGE} must be among them")
        if not given.settings:
            raise StepError("settings: expected keys of pwquality.conf")
        chosen = {**given.settings, **(given.classes if given.signs == "all-kinds" else {})}
        wanted = {key: Expectation.of(value) for key, value in chosen.items()}
        return cls(step_id, wanted, tuple(given.packages))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, PAM_FILES, PWQUALITY)

    def observe(self, ctx: Context) -> list[Finding]:
        if PACKAGE not in ctx.facts.get(PACKAGES):
            return [_finding(PACKAGE, "installed", "not installed", "", False)]
        line = _line(ctx)
        asked = "asked" if line else "not asked"
        quality = ctx.facts.get(PWQUALITY)
        return [
            _finding(_MODULE, "asked", asked, line.origin if line else _STACK, line is not None),
            *(
                self._setting(key, expectation, quality, line)
                for key, expectation in self._expected(quality).items()
            ),
        ]

    def plan(self, ctx: Context) -> Planned:
        """The package comes before its settings: pwquality.conf is a file of its own, which dpkg
        would ask about where it met another. It comes after the changes of other resources to the
        same files of PAM, which its scripts keep."""
        quality, line = ctx.facts.get(PWQUALITY), _line(ctx)
        installed = PACKAGE in ctx.facts.get(PACKAGES)
        install = plan_install(ctx, self.packages)
        changes: list[Change] = [*install.changes]
        if installed and line is None:
            changes.append(
                RunCommand(
                    argv=("pam-auth-update", "--package", "--enable", "pwquality"),
                    why=f"let PAM ask {_MODULE} about new passwords",
                )
            )
        text = self._text(quality)
        if text != quality.texts.get(MAIN):
            changes.append(WriteFile(path=MAIN, content=text.encode("utf-8", "surrogateescape")))
        refusals = [
            f"{line.origin} says {key}={line.value(key)}, which counts before every file; nothing"
            f" was changed. Take {key} out of that line, then look again."
            for key, expectation in self._expected(quality).items()
            if line is not None
            and line.value(key) is not None
            and not expectation.satisfied_by(line.value(key) or "yes")
        ]
        if not changes:
            return Planned(refusals=tuple(refusals))
        return Planned(
            changes=tuple(changes),
            packages=install.packages,
            notes=(*install.notes, *self._notes(quality)),
            refusals=(*install.refusals, *refusals),
            roots=(_PAM_STATE,),
        )

    def _expected(self, quality: Pwquality) -> dict[str, Expectation]:
        """Without a dictionary every password would be refused that is looked up in one."""
        if quality.has_dictionary or _DICTIONARY in self.packages or "dictcheck" not in self.wanted:
            return self.wanted
        return {**self.wanted, "dictcheck": Expectation(is_="0")}

    def _text(self, quality: Pwquality) -> str:
        """pwquality.conf as it shall be: lines that decide otherwise changed, what lacks added."""
        text = quality.texts.get(MAIN, "")
        added = []
        for key, expectation in self._expected(quality).items():
            if expectation.satisfied_by(_value(key, quality.deciding(key))):
                continue
            now = [one for one in parse_pwquality(MAIN, text) if one.key == key]
            if now:
                text = with_value(text, now[-1], expectation.target)
            else:
                added.append(as_line(key, expectation.target))
        if not added:
            return text
        start = f"{text}\n" if text and not text.endswith("\n") else text
        return f"{start}# Written by harden-tui for the step {self.step_id}.\n" + "".join(
            f"{one}\n" for one in added
        )

    def _setting(
        self, key: str, expectation: Expectation, quality: Pwquality, line: PamLine | None
    ) -> Finding:
        argument = line.value(key) if line is not None else None
        if line is not None and argument is not None:
            value, origin = argument or "yes", line.origin
        else:
            setting = quality.deciding(key)
            value = _value(key, setting)
            origin = setting.origin if setting else "libpwquality's own default"
        note = ""
        if key == "dictcheck" and not quality.has_dictionary:
            note = (
                "there is no dictionary (package cracklib-runtime); with dictcheck every password"
                " would be refused"
            )
        return _finding(key, str(expectation), value, origin, expectation.satisfied_by(value), note)

    def _notes(self, quality: Pwquality) -> tuple[str, ...]:
        if quality.has_dictionary or _DICTIONARY in self.packages:
            return ()
        return ("Words are not looked up in a dictionary: there is none (cracklib-runtime).",)


def _line(ctx: Context) -> PamLine | None:
    """The line that asks pam_pwquality about a new password."""
    text = ctx.facts.get(PAM_FILES).get(_STACK, "")
    lines = [one for one in parse_pam(_STACK, text) if one.module == _MODULE]
    return lines[0] if lines else None


def _value(key: str, setting: Setting | None) -> str:
    return setting.value if setting is not None else DEFAULTS.get(key, "no")


def _finding(
    setting: str, expected: str, running: str, origin: str, ok: bool, note: str = ""
) -> Finding:
    return Finding(
        resource="pwquality",
        setting=setting,
        expected=expected,
        running=running,
        persistent=running,
        origin=origin,
        ok=ok,
        note=note,
    )
