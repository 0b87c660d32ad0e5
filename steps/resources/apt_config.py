"""Settings of apt, in a drop-in of their own; what is in force is asked of apt-config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from host.base import Host
from host.facts import Fact
from host.facts.apt_config import (
    APT_CONFIG,
    PARTS,
    AptConfig,
    AptLine,
    deciding,
    parse_files,
    read_files,
)
from snapshots.model import Change, WriteFile
from steps.expectation import Expectation, as_text
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

_KEY = re.compile(r"[A-Za-z0-9-]+(::[A-Za-z0-9-]+)+")
_ON = frozenset(("1", "yes", "true", "with", "on", "enable"))
_OFF = frozenset(("", "0", "no", "false", "without", "off", "disable"))


class AptSettings(Resource):
    """`apt-config: {"APT::Periodic::Enable": {is: "1"}, …}`, single values only."""

    kind: ClassVar[str] = "apt-config"

    def __init__(self, step_id: str, wanted: Mapping[str, Expectation]) -> None:
        self.step_id = step_id
        self.wanted = dict(wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> AptSettings:
        if not isinstance(body, dict) or not body:
            raise StepError("expected settings of apt with what each must be")
        return cls(step_id, checked(body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APT_CONFIG,)

    def observe(self, ctx: Context) -> list[Finding]:
        config = ctx.facts.get(APT_CONFIG)
        return [setting_finding(config, key, value) for key, value in self.wanted.items()]

    def plan(self, ctx: Context) -> Planned:
        config = ctx.facts.get(APT_CONFIG)
        if all(holds(value, config.value(key)) for key, value in self.wanted.items()):
            return Planned()
        return plan_drop_in(ctx.host, config, self.step_id, self.wanted)


def checked(body: Mapping[Any, Any]) -> dict[str, Expectation]:
    """Settings with what each must be. Raises `StepError`."""
    wanted = {}
    for key, value in body.items():
        if not _KEY.fullmatch(str(key)):
            raise StepError(f"{key!r} is no setting of apt")
        wanted[str(key)] = Expectation.of(value)
        if re.search(r'[\x00-\x1f"]', wanted[str(key)].target):
            raise StepError(f"{key}: a value is one line without double quotes")
    return wanted


def holds(expectation: Expectation, value: str) -> bool:
    """Whether a value of apt is what is expected; of switches every word that apt takes."""
    if isinstance(expectation.is_, bool) or as_text(expectation.is_ or "") in ("true", "false"):
        is_on = as_text(expectation.is_ or "") in ("yes", "true")
        return value.lower() in (_ON if is_on else _OFF)
    return expectation.satisfied_by(value)


def setting_finding(
    config: AptConfig, key: str, expectation: Expectation, note: str = ""
) -> Finding:
    value = config.value(key)
    return Finding(
        resource="apt",
        setting=key,
        expected=str(expectation) or "empty",
        running=value or "not set",
        persistent=value or "not set",
        origin=config.origin(key),
        ok=holds(expectation, value),
        note=note,
    )


def drop_in_path(step_id: str) -> str:
    """A name that is read after Debian's own, and with the ending that apt does not pass over."""
    return f"{PARTS}/99zz-harden-tui-{step_id.replace('.', '-')}.conf"


def plan_drop_in(
    host: Host,
    config: AptConfig,
    step_id: str,
    wanted: Mapping[str, Expectation],
    more: Sequence[str] = (),
) -> Planned:
    """The drop-in, and the later lines that would overrule it. `more`: further lines of the file.

    What is as expected already, and perhaps stricter, keeps its value.
    """
    path = drop_in_path(step_id)
    lines = [f"// Written by harden-tui for the step {step_id}."]
    for key, expectation in wanted.items():
        lines.append(f'{key} "{_target(config, key, expectation)}";')
    text = "\n".join([*lines, *more]) + "\n"
    edits: dict[str, str] = {path: text}
    notes = []
    for key, expectation in wanted.items():
        line = deciding(parse_files(read_files(host, edits)), key)
        if line is None or line.file == path or holds(expectation, line.value):
            continue
        if not line.end:
            return Planned(
                refusals=(
                    f"{line.origin} sets {key} after our file, in words that cannot be replaced"
                    " safely; nothing was changed. Remove that line, then look again.",
                )
            )
        edits[line.file] = with_value(
            edits.get(line.file, config.texts[line.file]), line, expectation.target
        )
        notes.append(f"{line.origin} is read after our file; that line itself is changed.")
    changes: list[Change] = [
        WriteFile(path=where, content=content.encode("utf-8", "surrogateescape"))
        for where, content in sorted(edits.items())
        if config.texts.get(where) != content
    ]
    return Planned(changes=tuple(changes), notes=tuple(notes))


def with_value(text: str, line: AptLine, value: str) -> str:
    """`text` with another value in that line of it."""
    return f'{text[: line.start]}"{value}"{text[line.end :]}'


def _target(config: AptConfig, key: str, expectation: Expectation) -> str:
    value = config.value(key)
    if value and holds(expectation, value):
        return value
    target = expectation.target
    return {"yes": "true", "no": "false"}.get(target, target)
