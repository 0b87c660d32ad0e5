"""The terms of the third floor: steps, findings and plans as data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Stage = Literal["pre-install", "post-install", "update-window", "surroundings"]
STAGES: tuple[Stage, ...] = ("pre-install", "post-install", "update-window", "surroundings")

Status = Literal[
    "pass", "fail", "not-applicable", "manual", "attested", "waived", "unknown", "error"
]

GuardKind = Literal["", "login", "network"]

ParameterKind = Literal[
    "integer", "text", "boolean", "choice", "list", "path", "duration", "addresses", "secret"
]

ParameterValue = int | str | bool | tuple[str, ...]


class Parameter(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """A value a person may choose for a step.

    `default_from` names a value taken from the host (see `steps.parameters`); it wins over
    `default` where the host has it. `duration` is a number with s, m, h or d ("10m"). What is
    `optional` may be left empty; then it is "", or an empty list.
    """

    kind: ParameterKind
    help: str
    default: int | str | bool | list[str] | None = None
    default_from: str = ""
    optional: bool = False
    minimum: int | None = None
    maximum: int | None = None
    choices: list[str] = []
    pattern: str = ""


class MeantAnswer(msgspec.Struct, frozen=True):
    """What a site may answer for its first page after a step, whatever it answered before.

    `site` is its name, "*" any. With `listing` only where that page was a list of a folder's files.
    """

    site: str
    statuses: tuple[int, ...]
    listing: bool = False


HttpStatus = Annotated[int, msgspec.Meta(ge=200, le=499)]


class Applies(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """When a step is about this host: any of these installed; else it is not applicable."""

    package: str = ""
    any_package: list[str] = []


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A step of the catalogue as its YAML file says it."""

    id: str
    stage: Stage
    title: str
    why: str
    breaks: str
    source: str
    ensure: list[dict[str, Any]]
    references: dict[str, list[str]] = {}
    applies: Applies = Applies()
    after: list[str] = []
    guard: GuardKind = ""
    parameters: dict[str, Parameter] = {}
    answers: dict[str, list[HttpStatus]] = {}
    """What sites may answer for `/` afterwards, by name or "*": {"intra.example.org": [401]}."""
    seals: bool = False
    """Whether it keeps the administrator from changing things too, so that an update window lifts
    it and puts it back. What it changes outside of /etc is a tree with owner, modes and flags."""
    irreversible: list[str] = []
    """What by nature cannot come back, one short phrase each; shown in the preview."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, asked of the host.

    `running` is what the daemon answered now, `persistent` what it will be after a restart or
    reboot, `origin` the file and line that decide ("/etc/ssh/sshd_config.d/50-cloud.conf:1").
    `ok` is `None` where it could not be measured; `note` then says why. With `applicable` false
    the setting has no meaning on this host (a kernel key inside a container, HSTS without TLS):
    it is shown, with its reason in `note`, and does not count.
    """

    resource: str
    setting: str
    expected: str
    running: str = ""
    persistent: str = ""
    origin: str = ""
    ok: bool | None = None
    note: str = ""
    applicable: bool = True


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a check says of one step."""

    id: str
    stage: Stage
    title: str
    status: Status
    findings: tuple[Finding, ...] = ()
    references: dict[str, list[str]] = {}
    seconds: float = 0.0
    note: str = ""
