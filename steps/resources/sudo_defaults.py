"""Settings of sudo that hold for everybody, in a file of /etc/sudoers.d that is read last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.packages import PACKAGES
from host.facts.sudo_defaults import SUDO_DEFAULTS, DefaultsLine, SudoDefaults, read_sudoers, reader
from host.facts.sudoers import MAIN
from snapshots.model import Validation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

DIRECTORY: Final = "/etc/sudoers.d"
_LOG: Final = "logfile"


class SudoSettings(Resource):
    """`sudo-defaults: {use_pty: true, logfile: /var/log/sudo.log}`."""

    kind: ClassVar[str] = "sudo-defaults"

    def __init__(self, step_id: str, wanted: Mapping[str, bool | str]) -> None:
        self.step_id = step_id
        self.path = f"{DIRECTORY}/zz-harden-tui-{step_id.replace('.', '-')}"
        self.wanted = dict(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> SudoSettings:
        given = msgspec.convert(body, dict[str, bool | str])
        if not given:
            raise StepError("expected settings of sudo with what each must be")
        for key, value in given.items():
            if not (key.isascii() and key.replace("_", "").isalpha() and key.islower()):
                raise StepError(f"{key!r} is no setting of sudo")
            if isinstance(value, str) and (not value or set(value) & set('"\\\n')):
                raise StepError(f"{key}: expected text without quotes and backslashes")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (SUDO_DEFAULTS, PACKAGES)

    def observe(self, ctx: Context) -> list[Finding]:
        sudo = ctx.facts.get(SUDO_DEFAULTS)
        findings = []
        for key, value in self.wanted.items():
            held = sudo.holding.get(key)
            running = "off" if held is None else held or "on"
            origin = _deciding(key, sudo.lines)
            findings.append(
                Finding(
                    resource="sudo",
                    setting=key,
                    expected=_spoken(value),
                    running=running,
                    persistent=running,
                    origin=origin or "sudo's own default",
                    ok=_satisfied(value, held),
                )
            )
            findings += [
                Finding(
                    resource="sudo",
                    setting=f"{key} for {line.bound}",
                    expected=_spoken(value),
                    running="off" if line.negated else line.value or "on",
                    persistent="off" if line.negated else line.value or "on",
                    origin=line.origin,
                    ok=False,
                    note=f"Defaults{line.bound} overrides what holds for everybody",
                )
                for line in self._overrides(sudo)
                if line.key == key
            ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        sudo = ctx.facts.get(SUDO_DEFAULTS)
        overrides = [
            f"{line.origin} says otherwise about {line.key} for {line.bound}, and counts before"
            " what holds for everybody; nothing was changed. Change that line with visudo, then"
            " look again."
            for line in self._overrides(sudo)
        ]
        wrong = [k for k, v in self.wanted.items() if not _satisfied(v, sudo.holding.get(k))]
        if not wrong:
            return Planned(refusals=tuple(overrides))
        text = self._text(sudo)
        after = self._after(ctx, text)
        refusals = overrides + [
            f"{self.path} would not decide about {key}: "
            + (f"{place} comes after it" if place else f"{MAIN} does not read {DIRECTORY}")
            + "; nothing was changed. Change that with visudo, then look again."
            for key in wrong
            for place in (_deciding(key, after),)
            if place.rpartition(":")[0] != self.path
        ]
        return Planned(
            changes=(
                WriteFile(path=self.path, content=text.encode(), mode=0o440, force_state=True),
            ),
            validations=(Validation(("visudo", "-c", "-q")),),
            refusals=tuple(refusals),
            notes=self._notes(ctx),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """Whether a call of sudo leaves a line in its log now."""
        path = self.wanted.get(_LOG)
        if not isinstance(path, str):
            return []
        before = _size_bytes(ctx, path)
        try:
            ctx.host.run(["sudo", "-n", "true"], timeout_s=20)
            grown = _size_bytes(ctx, path) > before
            note = ""
        except HostError as error:
            grown, note = False, str(error)
        return [
            Finding(
                resource="sudo",
                setting="a call is logged",
                expected=f"a new line in {path}",
                running="a new line" if grown else "nothing new",
                persistent="a new line" if grown else "nothing new",
                origin=path,
                ok=grown,
                note=note,
            )
        ]

    def _overrides(self, sudo: SudoDefaults) -> list[DefaultsLine]:
        return [
            line
            for line in sudo.lines
            if line.bound
            and line.key in self.wanted
            and not _satisfied(self.wanted[line.key], None if line.negated else line.value)
        ]

    def _text(self, sudo: SudoDefaults) -> str:
        lines = [f"# Written by harden-tui for the step {self.step_id}; the last file decides.\n"]
        for key, value in self.wanted.items():
            if isinstance(value, bool):
                lines.append(f"Defaults {'' if value else '!'}{key}\n")
            else:
                lines.append(f'Defaults {key}="{value}"\n')
        return "".join(lines)

    def _after(self, ctx: Context, text: str) -> Sequence[DefaultsLine]:
        """The settings as they will be."""
        read, name = reader(ctx.host), self.path.rpartition("/")[2]
        lines, _ = read_sudoers(
            lambda path: text if path == self.path else read(path),
            lambda place: [*ctx.host.listdir(place), *([name] if place == DIRECTORY else [])],
        )
        return lines

    def _notes(self, ctx: Context) -> tuple[str, ...]:
        try:
            rotates = "logrotate" in ctx.facts.get(PACKAGES)
        except FactUnavailable:
            return ()
        if rotates or _LOG not in self.wanted:
            return ()
        return (
            f"logrotate is not installed, so {self.wanted[_LOG]} grows for ever until it is:"
            " apt-get install logrotate.",
        )


def _deciding(key: str, lines: Iterable[DefaultsLine]) -> str:
    """Where the last line about `key` stands that holds for everybody, "" where none does."""
    origins = [line.origin for line in lines if line.key == key and not line.bound]
    return origins[-1] if origins else ""


def _satisfied(wanted: bool | str, held: str | None) -> bool:
    if isinstance(wanted, bool):
        return (held is not None) == wanted
    return held == wanted


def _spoken(value: bool | str) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else value


def _size_bytes(ctx: Context, path: str) -> int:
    there = ctx.host.state(path)
    return there.size_bytes if there is not None else 0
