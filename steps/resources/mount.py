"""Options of mounts that everybody may write to: in force now, and at the next boot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.mounts import (
    FLAGS,
    FSTAB,
    LOCAL,
    MOUNTS,
    POINTS,
    Boot,
    Mounts,
    merged,
    unit_of,
    with_options,
)
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.mount_use import running_from

BUILDERS = ("dkms", "composer", "default-jre-headless")
"""Packages that are known to execute what they laid below /tmp."""

_BOUND = """\
# Written by harden-tui for the step {step}.
# The directory mounted over itself: what lies in it stays, and gets the options below.
[Unit]
Description={point} with {words}
DefaultDependencies=no
Conflicts=umount.target
Before=local-fs.target umount.target

[Mount]
What={point}
Where={point}
Type=none
Options=bind,{words}

[Install]
WantedBy=local-fs.target
"""
_DROP_IN = """\
# Written by harden-tui for the step {step}.
[Mount]
Options={options}
"""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The YAML body. `executable` are mount points where programs may be executed all the same."""

    points: list[str]
    executable: list[str] = []


class Mount(Resource):
    """`mount: {points: [/tmp, /dev/shm], executable: [/tmp]}`."""

    kind: ClassVar[str] = "mount"

    def __init__(self, step_id: str, points: Sequence[str], executable: Sequence[str]) -> None:
        self.step_id = step_id
        self.wanted = {
            point: tuple(f for f in FLAGS if f != "noexec" or point not in executable)
            for point in points
        }

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Mount:
        given = msgspec.convert(body, Body)
        for point in (*given.points, *given.executable):
            if point not in POINTS:
                raise StepError(f"points: {point!r} is not one of {', '.join(POINTS)}")
        return cls(step_id, given.points, given.executable)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (MOUNTS, UNITS, PACKAGES)

    def observe(self, ctx: Context) -> list[Finding]:
        mounts = ctx.facts.get(MOUNTS)
        findings = [self._finding(ctx, point, mounts) for point in self.wanted]
        return findings + [
            Finding(
                resource="mount",
                setting=f"{point} of {unit}",
                expected=", ".join(wanted),
                running=_words(own.now[point].flags),
                ok=own.now[point].flags >= set(wanted),
                note="" if own.now[point].flags >= set(wanted) else "a mount of its own",
            )
            for unit, own in mounts.services.items()
            for point, wanted in self.wanted.items()
            if point in own.now
        ]

    def plan(self, ctx: Context) -> Planned:
        mounts = ctx.facts.get(MOUNTS)
        if all(finding.ok is not False for finding in self.observe(ctx)):
            return Planned()
        there = [point for point in self.wanted if _is_directory(ctx, point)]
        now = [point for point in there if not self._holds_now(point, mounts)]
        later = [point for point in there if not self._holds_later(point, mounts)]
        changes: list[Change] = []
        fstab = mounts.fstab
        for point in later:
            boot = mounts.boot[point]
            if not boot.asked and boot.by_line:
                fstab = with_options(fstab, point, ("auto",))
            if boot.flags >= set(self.wanted[point]):
                continue  # only nothing asks for it
            change = self._unit_file(point, boot)
            if change is not None:
                changes.append(change)
            elif boot.how == "fstab":
                fstab = with_options(fstab, point, self.wanted[point])
            else:
                fstab += self._line(point, fstab)
        if fstab != mounts.fstab:
            content = fstab.encode("utf-8", "surrogateescape")
            changes.append(WriteFile(path=FSTAB, content=content))
        if later:
            why = "have systemd read the units and fstab"
            changes.append(RunCommand(argv=("systemctl", "daemon-reload"), why=why))
        bound = [unit_of(point) for point in later if self._is_bound(point, mounts)]
        if bound:
            why = f"mount {', '.join(bound)} now and at boot"
            changes.append(RunCommand(argv=("systemctl", "enable", "--now", *bound), why=why))
        unasked = [
            unit_of(point)
            for point in later
            if not mounts.boot[point].asked and not mounts.boot[point].by_line
        ]
        if unasked:
            why = f"mount {', '.join(unasked)} at boot"
            changes.append(RunCommand(argv=("systemctl", "add-wants", LOCAL, *unasked), why=why))
        still = [unit_of(point) for point in now if self._covers_nothing(point, mounts)]
        if still:
            why = f"mount {', '.join(still)} now"
            changes.append(RunCommand(argv=("systemctl", "start", *still), why=why))
        for point in now:
            if point in mounts.now:
                options = ",".join(("remount", "bind", *self.wanted[point]))
                why = f"give {point} its options now"
                changes.append(RunCommand(argv=("mount", "-o", options, point), why=why))
        changes += self._in_services(mounts, now)
        return Planned(
            changes=tuple(changes),
            refusals=tuple(self._refusals(ctx, now, later, mounts)),
            notes=tuple(self._notes(ctx, now)),
            claims=tuple(("kernel", f"mount {point}") for point in self.wanted),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """A file is laid there and executed."""
        return [
            self._proof(ctx, point) for point, flags in self.wanted.items() if "noexec" in flags
        ]

    def tidy(self, ctx: Context) -> None:
        for point in self.wanted:
            for left in ctx.host.glob(f"{point}/.harden-tui-probe-*"):
                ctx.host.put(left, None)

    def _proof(self, ctx: Context, point: str) -> Finding:
        from host import scratch
        from host.base import FileState

        path = f"{point}/.harden-tui-probe-{scratch.suffix()}"
        try:
            ctx.host.write_file(path, b"#!/bin/sh\n", FileState(kind="file", mode=0o700))
            # `env` asks the kernel to execute it; a shell would read what it may not execute.
            answer = ctx.host.run(("env", path), ok=None, timeout_s=10)
            refused = answer.returncode == 126
            said = "refused" if refused else f"exit status {answer.returncode}"
            ok, note = refused, ""
        except HostError as error:
            said, ok, note = "", None, str(error)
        finally:
            ctx.host.put(path, None)
        return Finding(
            resource="mount",
            setting=f"execute a file in {point}",
            expected="refused",
            running=said,
            ok=ok,
            note=note,
        )

    def _finding(self, ctx: Context, point: str, mounts: Mounts) -> Finding:
        mount, boot = mounts.now.get(point), mounts.boot[point]
        finding = Finding(
            resource="mount",
            setting=point,
            expected=", ".join(self.wanted[point]),
            running=_words(mount.flags) if mount else "no mount of its own",
            persistent=_at_boot(point, boot),
            origin=boot.origin,
        )
        if ctx.host.state(point) is None:
            return msgspec.structs.replace(finding, applicable=False, note="there is none")
        state = ctx.host.state(point)
        if state is not None and state.kind == "symlink":
            note = f"a link to {state.target}, whose options count"
            return msgspec.structs.replace(finding, applicable=False, note=note)
        ok = self._holds_now(point, mounts) and self._holds_later(point, mounts)
        return msgspec.structs.replace(finding, ok=ok)

    def _holds_now(self, point: str, mounts: Mounts) -> bool:
        mount = mounts.now.get(point)
        return mount is not None and mount.flags >= set(self.wanted[point])

    def _holds_later(self, point: str, mounts: Mounts) -> bool:
        boot = mounts.boot[point]
        return boot.asked and boot.flags >= set(self.wanted[point])

    def _is_bound(self, point: str, mounts: Mounts) -> bool:
        """Whether the point is to be mounted over itself: nothing mounts it, now or at boot."""
        mount = mounts.now.get(point)
        return not mounts.boot[point].how and (mount is None or mount.over_itself)

    def _covers_nothing(self, point: str, mounts: Mounts) -> bool:
        """Whether a unit that is not started mounts the directory over itself, as ours does."""
        return point not in mounts.now and mounts.boot[point].over_itself

    def _unit_file(self, point: str, boot: Boot) -> WriteFile | None:
        """A drop-in for the unit there is, or a unit of ours; `None`: fstab is the place."""
        unit = unit_of(point)
        if boot.how == "unit":
            options = merged(boot.options, self.wanted[point])
            name = f"zz-harden-tui-{self.step_id.replace('.', '-')}.conf"
            text = _DROP_IN.format(step=self.step_id, options=options)
            return WriteFile(path=f"/etc/systemd/system/{unit}.d/{name}", content=text.encode())
        if boot.how == "fstab" or point == "/dev/shm":  # mounted by systemd itself
            return None
        words = ",".join(self.wanted[point])
        text = _BOUND.format(step=self.step_id, point=point, words=words)
        return WriteFile(path=f"/etc/systemd/system/{unit}", content=text.encode())

    def _line(self, point: str, fstab: str) -> str:
        begin = "" if not fstab or fstab.endswith("\n") else "\n"
        words = ",".join(self.wanted[point])
        by = f"# Written by harden-tui for the step {self.step_id}.\n"
        return f"{begin}{by}tmpfs {point} tmpfs {words} 0 0\n"

    def _in_services(self, mounts: Mounts, now: Sequence[str]) -> list[RunCommand]:
        """A mount in a service's own namespace has options of its own, also one that just came."""
        return [
            RunCommand(
                argv=(
                    "nsenter", "--target", str(own.pid), "--mount",
                    "mount", "-o", ",".join(("remount", "bind", *wanted)), point,
                ),
                why=f"the same for the {point} that {unit} sees",
            )
            for unit, own in mounts.services.items()
            for point, wanted in self.wanted.items()
            if (point in now or point in own.now)
            and not (point in own.now and own.now[point].flags >= set(wanted))
        ]  # fmt: skip

    def _refusals(
        self, ctx: Context, now: Sequence[str], later: Sequence[str], mounts: Mounts
    ) -> list[str]:
        refusals = []
        units = ctx.facts.get(UNITS)
        for point in later:
            unit, boot = units.get(unit_of(point)), mounts.boot[point]
            if unit is not None and unit.enabled == "masked":
                refusals.append(
                    f"{unit.unit} is masked, so that {point} is no mount of its own; nothing was "
                    f"changed. Run `systemctl unmask {unit.unit}`, or mount it by {FSTAB}."
                )
            elif not boot.how and not self._is_bound(point, mounts) and point != "/dev/shm":
                refusals.append(
                    f"{point} is mounted ({mounts.now[point].type}), but neither by {FSTAB} nor by "
                    "a unit, so what will mount it at the next boot cannot be told; nothing was "
                    f"changed. Put it into {FSTAB} first."
                )
        for point in now:
            boot = mounts.boot[point]
            if boot.how and point not in mounts.now and not self._covers_nothing(point, mounts):
                by = f"systemctl start {unit_of(point)}" if boot.how == "unit" else f"mount {point}"
                refusals.append(
                    f"{boot.origin} says how to mount {point}, but it is no mount now, and one "
                    f"would cover what lies there; nothing was changed. Run `{by}` at a quiet "
                    "time, then look again."
                )
        forbidding = [point for point in now if "noexec" in self.wanted[point]]
        for process, path in running_from(ctx.host, forbidding):
            point = next(p for p in forbidding if re.match(rf"{re.escape(p)}/", path))
            refusals.append(
                f"{process} executes {path} and could not be started again; nothing was changed."
                f" Move it elsewhere, or keep {point} executable (parameter executable)."
            )
        return refusals

    def _notes(self, ctx: Context, now: Sequence[str]) -> list[str]:
        notes = []
        bound = [point for point in now if self._is_bound(point, ctx.facts.get(MOUNTS))]
        if bound:
            notes.append(
                f"{', '.join(bound)} is mounted over itself, so that what lies there stays. An undo"
                " takes its options away at once; the mount without any goes with the next boot."
            )
        if now:
            notes.append(
                "Services with mounts of their own, but those of the web, take the options over "
                "when they are restarted; none is restarted for this."
            )
        packages = ctx.facts.get(PACKAGES)
        builders = [name for name in BUILDERS if name in packages]
        if builders and any("noexec" in self.wanted[point] for point in now):
            notes.append(
                f"{', '.join(builders)} may execute from /tmp: give it another TMPDIR where it "
                "fails, or keep /tmp executable (parameter executable)."
            )
        return notes


def _is_directory(ctx: Context, point: str) -> bool:
    state = ctx.host.state(point)
    return state is not None and state.kind == "dir"


def _at_boot(point: str, boot: Boot) -> str:
    """What the next boot gives a mount, as a finding says it."""
    if not boot.how:
        return "nothing sets it"
    return _words(boot.flags) + ("" if boot.asked else f", but nothing asks for {unit_of(point)}")


def _words(flags: frozenset[str]) -> str:
    return ", ".join(flag for flag in FLAGS if flag in flags) or "none of these"
