"""A service confined by systemd: a drop-in, the settings in force, and what remains exposed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.apache import APACHE
from host.facts.sandbox import Confinement, confinement, exposure, says
from snapshots.model import Activation, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

HOMES = ("/home/", "/root/", "/run/user/")
"""What ProtectHome= hides."""

SYSTEM = ("/usr/", "/boot/", "/etc/")
"""What ProtectSystem=full makes read-only; what a web server runs from there is only read."""

SEEN = {
    "ProtectSystem": "system read-only",
    "RestrictNamespaces": "system calls filtered",
    "RestrictAddressFamilies": "system calls filtered",
    "SystemCallArchitectures": "system calls filtered",
}
"""Settings whose work can be seen of a process from outside."""

_HEADER = """\
# Written by harden-tui for the step {step}.
[Service]
"""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The YAML body. With `wanted` false nothing is expected: confining it is another's work.

    `exposure_below`: what `systemd-analyze security` must come to, 0.0 (best) to 10.0.
    """

    unit: str
    settings: dict[str, str]
    wanted: bool = True
    exposure_below: float = 10.0


class Sandbox(Resource):
    """`sandbox: {unit: apache2.service, settings: {ProtectSystem: full, …}}`."""

    kind: ClassVar[str] = "sandbox"

    def __init__(self, step_id: str, body: Body) -> None:
        self.step_id = step_id
        self.unit = body.unit
        self.settings: Mapping[str, str] = body.settings
        self.wanted = body.wanted
        self.exposure_below = body.exposure_below
        name = f"zz-harden-tui-{step_id.replace('.', '-')}.conf"
        self.path = f"/etc/systemd/system/{self.unit}.d/{name}"
        self._fact = confinement(self.unit, tuple(self.settings))

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Sandbox:
        given = msgspec.convert(body, Body)
        if not re.fullmatch(r"[A-Za-z0-9:_.@-]+\.service", given.unit):
            raise StepError(f"unit: {given.unit!r} is no service")
        for name, value in given.settings.items():
            if not re.fullmatch(r"[A-Z][A-Za-z]+", name) or not value.isprintable() or not value:
                raise StepError(f"settings: {name!r} is no setting of a service with a value")
        if not given.settings:
            raise StepError("settings: expected at least one")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (self._fact, APACHE) if self._asks_apache else (self._fact,)

    @property
    def _asks_apache(self) -> bool:
        return self.unit == "apache2.service"

    def observe(self, ctx: Context) -> list[Finding]:
        found = ctx.facts.get(self._fact)
        if not found.loaded:
            return [self._nothing(f"{self.unit} does not exist here")]
        if not self.wanted:
            return [self._nothing("left to others by choice")]
        left = self._left_out(ctx)
        findings = [self._finding(name, found, left.get(name, "")) for name in self.settings]
        if found.active and found.read_only is not None:
            findings.append(self._process(found, found.read_only))
        return findings

    def plan(self, ctx: Context) -> Planned:
        found = ctx.facts.get(self._fact)
        if all(finding.ok is not False for finding in self.observe(ctx)):
            return Planned()
        left = self._left_out(ctx)
        lines = [f"{name}={value}\n" for name, value in self.settings.items() if name not in left]
        text = _HEADER.format(step=self.step_id) + "".join(lines)
        notes = [f"{name} is left out: {why}." for name, why in left.items()]
        if found.active:
            notes.append(f"{self.unit} is restarted: what is open to it ends.")
        before = ctx.facts.get(exposure(self.unit))
        if before is not None:
            notes.append(f"systemd-analyze security says {before} of 10 now (less is better).")
        return Planned(
            changes=(WriteFile(path=self.path, content=text.encode()),),
            activations=(Activation("daemon-reload"), Activation("restart", unit=self.unit)),
            refusals=self._overruled(found, left),
            notes=tuple(notes),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """What systemd itself makes of it. That the sites answer is asked after every step."""
        if not self.wanted or not ctx.facts.get(self._fact).loaded:
            return []
        level = ctx.facts.get(exposure(self.unit))
        return [
            Finding(
                resource="sandbox",
                setting=f"systemd-analyze security {self.unit}",
                expected=f"below {self.exposure_below}",
                running="" if level is None else str(level),
                ok=None if level is None else level < self.exposure_below,
                note="systemd-analyze gave no answer" if level is None else "",
                applicable=level is not None,
            )
        ]

    def _finding(self, name: str, found: Confinement, left: str) -> Finding:
        wanted, shown = self.settings[name], found.settings[name]
        line = found.lines.get(name)
        finding = Finding(
            resource=self.unit,
            setting=name,
            expected=wanted,
            running=shown or "none",
            persistent=line.value if line else "none",
            origin=line.origin if line else "",
        )
        if left:
            return msgspec.structs.replace(finding, applicable=False, note=left)
        ok = says(wanted, shown) and not found.stale
        note = "its files changed since systemd read them" if found.stale else ""
        return msgspec.structs.replace(finding, ok=ok, note=note)

    def _process(self, found: Confinement, read_only: frozenset[str]) -> Finding:
        """An old process may run on under a unit that has new settings."""
        asked = [SEEN[name] for name in self.settings if name in SEEN]
        lacking = [word for word in dict.fromkeys(asked) if not _holds(word, found, read_only)]
        return Finding(
            resource=self.unit,
            setting="the process that runs",
            expected=" and ".join(dict.fromkeys(asked)) or "as it is",
            running=f"not: {', '.join(lacking)}" if lacking else "so",
            ok=not lacking,
            note="it was started before its unit had these settings" if lacking else "",
        )

    def _nothing(self, note: str) -> Finding:
        return Finding(
            resource=self.unit,
            setting="confinement by systemd",
            expected="as settings say",
            applicable=False,
            note=note,
        )

    def _left_out(self, ctx: Context) -> dict[str, str]:
        """Settings that would break what this service does, each with the reason."""
        if not self._asks_apache or "ProtectHome" not in self.settings:
            return {}
        try:
            apache = ctx.facts.get(APACHE)
        except FactUnavailable:
            return {}
        roots = sorted({apache.document_root, *(host.document_root for host in apache.hosts)})
        hidden = [root for root in roots if f"{root}/".startswith(HOMES)]
        if hidden:
            return {"ProtectHome": f"Apache serves {hidden[0]}"}
        if "userdir" in apache.enabled:
            return {"ProtectHome": "Apache serves the homes of users (module userdir)"}
        return {}

    def _overruled(self, found: Confinement, left: Mapping[str, str]) -> tuple[str, ...]:
        """Drop-ins that are read after ours and say otherwise."""
        ours = self.path.rpartition("/")[2]
        return tuple(
            f"{line.origin} sets {name}={line.value} and is read after what this step would write;"
            " nothing was changed. Take that line away first."
            for name, line in found.lines.items()
            if name in self.settings
            and name not in left
            and "/service.d/" not in line.file
            and f"/{self.unit}.d/" in line.file
            and line.file.rpartition("/")[2] > ours
            and not says(self.settings[name], line.value)
        )


def _holds(word: str, found: Confinement, read_only: frozenset[str]) -> bool:
    return found.filtered if word == SEEN["RestrictNamespaces"] else "/usr" in read_only
