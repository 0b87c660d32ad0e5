"""Hardware that survives a fault: the host is asked, and where it cannot know, a person."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.hardware import HARDWARE, Array, Hardware
from steps.model import Finding
from steps.resource import Context, Planned
from steps.resources.attest import Attest

ON_LINE = "OL"
"""upsc's word for a UPS that gets power from the mains."""

FROM_OUTSIDE = "the machine that runs this {what} knows, this host does not"


class HardwareFaults(Attest):
    """`hardware: {question: …, valid-days: 365}`.

    A person is asked only about what the host itself cannot tell.
    """

    kind: ClassVar[str] = "hardware"

    def facts(self) -> tuple[Fact[Any], ...]:
        return (HARDWARE,)

    def observe(self, ctx: Context) -> list[Finding]:
        hardware = ctx.facts.get(HARDWARE)
        findings = [*_disks(hardware), _memory(hardware), *_power(hardware)]
        if any(finding.ok is None for finding in findings):
            findings += super().observe(ctx)
        return findings

    def plan(self, ctx: Context) -> Planned:
        findings = self.observe(ctx)
        broken = [f"{one.setting}: {one.running}" for one in findings if one.ok is False]
        asked = [self.question] if any(finding.ok is None for finding in findings) else []
        return Planned(notes=(*broken, *asked))


def _disks(hardware: Hardware) -> list[Finding]:
    if hardware.arrays and not hardware.virtual:
        return [_array(array) for array in hardware.arrays]
    note = FROM_OUTSIDE.format(what=hardware.virtual) if hardware.virtual else ""
    if not hardware.virtual and hardware.raid_controllers:
        note = "a RAID controller is there; its vendor's own program tells how its disks are"
    finding = Finding(
        resource="hardware", setting="disks", expected="more than one copy", running="not known",
        note=note or "no RAID of Linux and no RAID controller was found",
    )  # fmt: skip
    return [finding]


def _array(array: Array) -> Finding:
    state = f"{array.working} of {array.members} members work"
    return Finding(
        resource="hardware", setting=f"{array.name} ({array.level})", expected="whole",
        running=state if array.active else f"not active, {state}", origin="/proc/mdstat",
        ok=array.is_whole,
        note="" if array.is_whole else "replace the member that failed before the next one does",
    )  # fmt: skip


def _memory(hardware: Hardware) -> Finding:
    finding = Finding(resource="hardware", setting="memory", expected="with ECC, without errors")
    if hardware.virtual:
        note = FROM_OUTSIDE.format(what=hardware.virtual)
        return msgspec.structs.replace(finding, running="not known", note=note)
    if not hardware.memory_controllers:
        note = "the kernel watches no memory controller: no ECC, or no EDAC driver for it"
        return msgspec.structs.replace(finding, running="not known", note=note)
    return msgspec.structs.replace(
        finding,
        running=f"with ECC, {hardware.corrected} errors corrected, {hardware.uncorrected} not",
        origin="/sys/class/edac/mc",
        ok=hardware.uncorrected == 0,
    )


def _power(hardware: Hardware) -> list[Finding]:
    finding = Finding(resource="hardware", setting="power", expected="through a UPS")
    if not hardware.ups:
        note = "no UPS is asked on this host (Network UPS Tools)"
        return [msgspec.structs.replace(finding, running="not known", note=note)]
    return [
        msgspec.structs.replace(
            finding, setting=f"UPS {name}", expected="on the mains", running=status or "no answer",
            ok=ON_LINE in status.split() if status else None,
        )
        for name, status in hardware.ups.items()
    ]  # fmt: skip
