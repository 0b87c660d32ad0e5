"""Kernel modules that are never loaded: what this host needs of them is found first and kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.modprobe import MODULES, Modules, canonical
from host.facts.packages import PACKAGES
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

REFUSING = frozenset({"/bin/false", "/bin/true", "/usr/bin/false", "/usr/bin/true"})

NEVER = {
    "vfat": "the EFI partition is mounted with it",
    "ext4": "Debian's own root file system is one",
    "nf_tables": "the packet filter is made of it",
    "dm_crypt": "encrypted disks are opened with it",
}

USERS = {
    "overlay": (
        "docker.io", "docker-ce", "docker-engine", "podman", "containerd", "containerd.io",
        "buildah", "kubelet", "k3s", "incus", "lxd",
    ),
    "squashfs": ("snapd", "live-boot"),
    "udf": ("walinuxagent", "waagent"),
    "sctp": ("lksctp-tools",),
    "can": ("can-utils",),
    "tipc": ("tipcutils",),
}  # fmt: skip
"""Packages that cannot work without a module. (Azure hands its settings over on a UDF disc.)"""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_HEADER = """\
# Written by harden-tui for the step {step}.
# Of several install lines for a module modprobe runs the first, so this file sorts first.
"""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The YAML body: `barred` are never loaded but for those in `keep`."""

    barred: list[str]
    keep: list[str] = []


class Modprobe(Resource):
    """`modprobe: {barred: [dccp, usb-storage, …], keep: [udf]}`."""

    kind: ClassVar[str] = "modprobe"

    def __init__(self, step_id: str, barred: Sequence[str], keep: Sequence[str]) -> None:
        self.step_id = step_id
        self.path = f"/etc/modprobe.d/00-harden-tui-{step_id.replace('.', '-')}.conf"
        self.barred = tuple(barred)
        self.keep = frozenset(map(canonical, keep))

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Modprobe:
        given = msgspec.convert(body, Body)
        for name in (*given.barred, *given.keep):
            if not _NAME.fullmatch(name):
                raise StepError(f"barred: {name!r} is no name of a kernel module")
        for name in given.barred:
            if canonical(name) in NEVER:
                raise StepError(f"barred: {name} is never barred here: {NEVER[canonical(name)]}")
        return cls(step_id, given.barred, given.keep)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (MODULES, PACKAGES)

    def observe(self, ctx: Context) -> list[Finding]:
        modules = ctx.facts.get(MODULES)
        findings = [self._finding(ctx, name, modules) for name in self.barred]
        if modules.container:
            findings.append(
                Finding(
                    resource="modprobe",
                    setting="loaded modules",
                    expected="none of these",
                    applicable=False,
                    note="a container: modules are loaded by the kernel of its host, by the files "
                    "there; what is set here counts once this system runs on a kernel of its own",
                )
            )
        return findings

    def plan(self, ctx: Context) -> Planned:
        modules = ctx.facts.get(MODULES)
        if all(finding.ok is not False for finding in self.observe(ctx)):
            return Planned()
        needed = {name: self._needed(ctx, name, modules) for name in self.barred}
        ours = [name for name in self.barred if not needed[name]]
        lines = [f"install {name} /bin/false\nblacklist {name}\n" for name in ours]
        content = (_HEADER.format(step=self.step_id) + "".join(lines)).encode()
        there = ctx.host.state(self.path)
        changes: list[Change] = []
        if there is None or ctx.host.read_bytes(self.path) != content:
            changes.append(WriteFile(path=self.path, content=content))
        loaded = [name for name in ours if _is_loaded(modules, name)]
        if loaded:
            changes.append(
                RunCommand(
                    argv=("modprobe", "-r", *loaded),
                    why=f"unload {', '.join(loaded)}, which nothing uses",
                )
            )
        notes = [f"{name} is left out: {why}." for name, why in needed.items() if why]
        if loaded:
            notes.append(
                f"Cannot come back: an undo lets {', '.join(loaded)} be loaded again, but loads "
                "none; the kernel does when something asks for it."
            )
        if ctx.host.which("update-initramfs") is not None:
            notes.append(
                "The boot image takes this over when it is made the next time "
                "(`update-initramfs -u`); of these it may load usb-storage."
            )
        return Planned(
            changes=tuple(changes),
            notes=tuple(notes),
            refusals=self._refusals(ours, modules),
        )

    def _refusals(self, ours: Sequence[str], modules: Modules) -> tuple[str, ...]:
        """Install lines of files that are read before ours."""
        name = self.path.rpartition("/")[2]
        found = []
        for module in map(canonical, ours):
            origin = modules.origins.get(module, "")
            file = origin.rpartition(":")[0].rpartition("/")[2]
            command = modules.commands.get(module, "")
            if command and command not in REFUSING and file < name:
                found.append(
                    f"{origin} has modprobe run `{command}` for {module}, and is read first; "
                    "nothing was changed. Take that line away, or keep the module (parameter keep)."
                )
        return tuple(found)

    def _finding(self, ctx: Context, name: str, modules: Modules) -> Finding:
        key = canonical(name)
        refused = modules.commands.get(key, "") in REFUSING and key in modules.blacklisted
        origin = modules.origins.get(key, "")
        finding = Finding(
            resource="modprobe",
            setting=name,
            expected="never loaded",
            running=_running(modules, name),
            persistent=_persistent(modules, key),
            origin=origin,
        )
        needed = self._needed(ctx, name, modules)
        if needed and origin.startswith(f"{self.path}:"):
            note = f"barred here, but {needed}"
            return msgspec.structs.replace(finding, expected="as it is", ok=False, note=note)
        if needed:
            return msgspec.structs.replace(
                finding, expected="as it is", applicable=False, note=needed
            )
        note = "" if modules.asked else "kmod is not installed; its files were read instead"
        if _is_loaded(modules, name):
            note = "loaded now, and used by nothing"
        return msgspec.structs.replace(
            finding, ok=refused and not _is_loaded(modules, name), note=note
        )

    def _needed(self, ctx: Context, name: str, modules: Modules) -> str:
        """Why this host needs the module; empty where it does not."""
        key = canonical(name)
        if key in self.keep:
            return "kept by choice"
        if key in modules.file_systems:
            return f"a {name} file system is mounted or in /etc/fstab"
        installed = [p for p in USERS.get(key, ()) if p in ctx.facts.get(PACKAGES)]
        if installed:
            return f"{installed[0]} is installed and needs it"
        if not modules.container and (modules.used or {}).get(key, 0):
            return "it is loaded and in use"
        return ""


def _is_loaded(modules: Modules, name: str) -> bool:
    return not modules.container and canonical(name) in (modules.used or {})


def _running(modules: Modules, name: str) -> str:
    if modules.container:
        return "for the container's host to tell"
    if modules.used is None:
        return "not told by this kernel"
    return "loaded" if canonical(name) in modules.used else "not loaded"


def _persistent(modules: Modules, key: str) -> str:
    parts = []
    if key in modules.commands:
        parts.append(f"install {modules.commands[key]}")
    if key in modules.blacklisted:
        parts.append("blacklist")
    return ", ".join(parts) or "can be loaded"
