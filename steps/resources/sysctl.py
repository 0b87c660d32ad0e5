"""Kernel parameters: what they are now, and what they will be after a boot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.packages import PACKAGES
from host.facts.sysctl import (
    BOOT,
    INTERFACES,
    UFW_FILE,
    Assignment,
    Boot,
    Parameter,
    dotted,
    parameters_fact,
    read_boot,
    winner,
)
from snapshots.captured import is_locked
from snapshots.model import Change, RunCommand, ValueItem, WriteFile
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

NEVER = {
    "kernel.modules_disabled": "no module could be loaded any more before a reboot",
    "kernel.unprivileged_userns_clone": "it breaks containers without root and sandboxes",
    "user.max_user_namespaces": "it breaks containers without root and sandboxes",
}
FORWARDING = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding")
FORWARDERS = (
    "docker.io", "docker-ce", "docker-engine", "podman", "containerd", "lxc", "lxd", "incus",
    "libvirt-daemon-system", "wireguard", "wireguard-tools", "openvpn", "strongswan", "kubelet",
    "k3s", "tailscale",
)  # fmt: skip
"""Packages whose job is to pass packets on."""

_FORWARDING_INTERFACE = re.compile(r"(docker|br-|virbr|lxcbr|lxdbr|incusbr|cni|podman|wg|tun|tap)")
_PER_INTERFACE = (
    "net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.all.secure_redirects",
    "net.ipv4.conf.all.send_redirects", "net.ipv6.conf.all.accept_redirects",
    "net.ipv6.conf.all.accept_source_route", "net.ipv6.conf.all.disable_ipv6",
)  # fmt: skip
"""Keys where `all` alone does not hold: an interface's own value counts beside it (the first
three, Documentation/networking/ip-sysctl.rst of the kernel) or instead of it (IPv6)."""

_IPV6 = "net.ipv6."
_WRITTEN_THROUGH = ("net.ipv6.conf.all.disable_ipv6",)
"""Keys of IPv6 where writing `all` writes each interface there is, and `default` for those to come
(addrconf_disable_ipv6 in net/ipv6/addrconf.c). Each can be set otherwise afterwards."""

_HEADER = """\
# Written by harden-tui for the step {step}.
# The last file by name decides at boot, whichever directory it lies in.
"""


class Sysctl(Resource):
    """`sysctl: {key: expectation, …}`."""

    kind: ClassVar[str] = "sysctl"

    def __init__(self, step_id: str, wanted: Mapping[str, Expectation]) -> None:
        self.path = f"/etc/sysctl.d/99-zz-harden-tui-{step_id.replace('.', '-')}.conf"
        self.step_id = step_id
        self.wanted = dict(wanted)
        self._parameters = parameters_fact(tuple(self.wanted))

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Sysctl:
        if not isinstance(body, dict) or not body:
            raise StepError("expected kernel parameters with what each must be")
        wanted = {}
        for name, value in body.items():
            key = dotted(str(name))
            if not re.fullmatch(r"[a-z0-9_-]+(\.[A-Za-z0-9_/-]+)+", key):
                raise StepError(f"{name!r} is no kernel parameter")
            if key in NEVER:
                raise StepError(f"{key} is never set here: {NEVER[key]}")
            wanted[key] = Expectation.of(value)
        return cls(step_id, wanted)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (self._parameters, BOOT, INTERFACES, PACKAGES)

    def observe(self, ctx: Context) -> list[Finding]:
        boot = ctx.facts.get(BOOT)
        parameters = ctx.facts.get(self._parameters)
        findings = []
        for key, expectation in self.wanted.items():
            left = _left_alone(key, parameters[key], expectation, ctx)
            findings.append(_finding(key, expectation, parameters[key], boot, left))
        for key, parameter in self._interfaces(ctx).items():
            expectation = self.wanted[_all_of(key)]
            note = _own_value(key, parameter, expectation, boot)
            if not note:
                continue
            persistent, origin = _last(boot, key)
            findings.append(
                Finding(
                    resource="sysctl",
                    setting=key,
                    expected=str(expectation),
                    running=parameter.value or "",
                    persistent=persistent,
                    origin=origin,
                    ok=False if parameter.writable else None,
                    applicable=parameter.writable,
                    note=note,
                )
            )
        return findings

    def plan(self, ctx: Context) -> Planned:
        boot = ctx.facts.get(BOOT)
        parameters = ctx.facts.get(self._parameters)
        ours = {
            key: expectation
            for key, expectation in self.wanted.items()
            if parameters[key].writable and not _left_alone(key, parameters[key], expectation, ctx)
        }
        now = [
            (key, expectation.target)
            for key, expectation in ours.items()
            if not expectation.satisfied_by(parameters[key].value or "")
        ]
        interfaces = {
            key: parameter
            for key, parameter in self._interfaces(ctx).items()
            if parameter.writable and _all_of(key) in ours
        }
        now += [
            (key, ours[_all_of(key)].target)
            for key, parameter in interfaces.items()
            if not ours[_all_of(key)].satisfied_by(parameter.value or "")
        ]
        lost = [key for key in interfaces if not _stays(ours[_all_of(key)], boot, key)]
        reached = {_all_of(key) for key in lost}
        later = {
            key: _boot_target(expectation, parameters[key])
            for key, expectation in ours.items()
            if not _holds(expectation, boot, key) or key in reached
        }
        # No pattern reaches a key that a line names outright.
        later |= {key: ours[_all_of(key)].target for key in lost if _is_named(boot, key)}
        if not now and not later:
            return Planned()
        edits = self._edits(boot, later)
        after = read_boot(ctx.host, edits)
        refusals = tuple(
            f"{key} would still be {_last(after, key)[0] or 'unset'} after a boot, because "
            f"of {_last(after, key)[1]}; nothing was changed. Change that line first."
            for key, holds in (
                *((key, _holds(ours[key], after, key)) for key in later if key in ours),
                *((key, _stays(ours[_all_of(key)], after, key)) for key in interfaces),
            )
            if not holds
        )
        changes: list[Change] = [
            WriteFile(path=path, content=text.encode("utf-8", "surrogateescape"))
            for path, text in sorted(edits.items())
        ]
        if now:
            changes.append(
                RunCommand(
                    argv=("sysctl", "-w", *(f"{_argument(key)}={value}" for key, value in now)),
                    why="set what differs in the running kernel",
                )
            )
        return Planned(
            changes=tuple(changes),
            notes=(*self._notes(ctx, boot, edits), *_locks(now)),
            refusals=refusals,
            # ufw sets some of these too; undoing it must not take them from this step.
            claims=tuple(("kernel", key) for key in ours),
        )

    def _edits(self, boot: Boot, later: Mapping[str, str]) -> dict[str, str]:
        """New contents of files: the drop-in, and the lines of ufw or of a later file."""
        if not later:
            return {}
        edits: dict[str, str] = {}
        own = {a.key: a.value for a in boot.assignments if a.file == self.path}
        lines = {key: value for key, value in own.items() if value is not None} | dict(later)
        ordered = [key for key in self.wanted if key in lines]
        ordered += [
            key for key in lines
            if key not in self.wanted and _all_of(key) in self.wanted and "*" not in key
        ]  # fmt: skip
        for key, value in later.items():
            for assignments in (boot.ufw, _after(boot.assignments, self.path)):
                deciding = winner(assignments, key)
                if deciding is not None and deciding.key == key:
                    _edit(edits, boot, deciding, value)
        body = "".join(
            f"{_argument(name)} = {lines[key]}\n"
            for key in ordered
            for name in (key, *_for_interfaces(key))
        )
        edits[self.path] = _HEADER.format(step=self.step_id) + body
        return {path: text for path, text in edits.items() if boot.texts.get(path) != text}

    def _interfaces(self, ctx: Context) -> dict[str, Parameter]:
        """Keys of single interfaces that count beside conf.all or instead of it."""
        keys = [
            key.replace(".all.", f".{interface.replace('.', '/')}.")
            for key in self.wanted
            if key in _PER_INTERFACE
            for interface in ctx.facts.get(INTERFACES)
            if interface != "lo"
        ]
        if not keys:
            return {}
        return {
            key: parameter
            for key, parameter in ctx.facts.get(parameters_fact(tuple(keys))).items()
            if key in keys and parameter.value is not None
        }

    def _notes(self, ctx: Context, boot: Boot, edits: Mapping[str, str]) -> list[str]:
        notes = []
        if UFW_FILE in edits:
            notes.append(
                f"{UFW_FILE} is edited too: ufw sets these values again whenever it starts."
            )
        parameters = ctx.facts.get(self._parameters)
        for key, expectation in self.wanted.items():
            left = _left_alone(key, parameters[key], expectation, ctx)
            if left and key in FORWARDING:
                notes.append(f"{key}: {left}.")
        return notes


def _locks(now: Iterable[tuple[str, str]]) -> list[str]:
    """What the kernel will not take back."""
    return [
        f"Cannot come back before the next boot: {key} = {value}. The kernel takes no other value "
        "from then on; an undo takes the files back, and says so."
        for key, value in now
        if is_locked(key, ValueItem(str(value)))
    ]


def _finding(
    key: str, expectation: Expectation, parameter: Parameter, boot: Boot, left: str
) -> Finding:
    persistent, origin = _last(boot, key)
    finding = Finding(
        resource="sysctl",
        setting=key,
        expected=str(expectation),
        running=parameter.value or "",
        persistent=persistent,
        origin=origin,
    )
    if left:
        return msgspec.structs.replace(finding, note=left, applicable=False)
    runs = expectation.satisfied_by(parameter.value or "")
    if not parameter.writable:
        return msgspec.structs.replace(finding, ok=runs, note="cannot be changed from here")
    if all(line.file == UFW_FILE for line in boot.deciding(key)):
        note = "no file sets it for the next boot"
        unread = winner(boot.unread, key)
        if unread is not None:
            note = f"{unread.origin} sets it, but nothing reads that file at boot here"
    elif not _holds(expectation, boot, key):
        note = f"{origin} sets it to {persistent}"
    else:
        note = ""
    return msgspec.structs.replace(finding, ok=runs and not note, note=note)


def _left_alone(key: str, parameter: Parameter, expectation: Expectation, ctx: Context) -> str:
    """Why this key is neither counted nor set; empty where it is."""
    if parameter.value is None:
        return "this kernel has no such parameter"
    if not parameter.writable and not expectation.satisfied_by(parameter.value):
        return (
            f"is {parameter.value}, and cannot be set from inside this container: "
            "set it on the machine that runs it"
        )
    if key in FORWARDING and parameter.value != "0":
        users = _forwarders(ctx)
        who = f"{', '.join(users)} needs it" if users else "something switched it on"
        return f"forwarding is on and {who}, so it is left alone"
    return ""


def _forwarders(ctx: Context) -> list[str]:
    interfaces = [name for name in ctx.facts.get(INTERFACES) if _FORWARDING_INTERFACE.match(name)]
    try:
        installed = ctx.facts.get(PACKAGES)
    except FactUnavailable:
        return interfaces
    return interfaces + [name for name in FORWARDERS if name in installed]


def _boot_target(expectation: Expectation, parameter: Parameter) -> str:
    """What to write for the boot: the present value where that is good already."""
    if expectation.satisfied_by(parameter.value or ""):
        return parameter.value or ""
    return expectation.target


def _holds(expectation: Expectation, boot: Boot, key: str) -> bool:
    lines = boot.deciding(key)
    return any(line.file != UFW_FILE for line in lines) and all(
        expectation.satisfied_by(line.value or "") for line in lines
    )


def _stays(expectation: Expectation, boot: Boot, key: str) -> bool:
    """Whether an interface's own key will be right after a boot.

    Where no line has it, IPv4 takes conf.default for interfaces that are there already; IPv6
    leaves them as the kernel made them (net/ipv4/devinet.c, net/ipv6/addrconf.c), but for what
    conf.all writes through.
    """
    lines = boot.deciding(key)
    if not lines:
        return not key.startswith(_IPV6) or _all_of(key) in _WRITTEN_THROUGH
    return all(expectation.satisfied_by(line.value or "") for line in lines)


def _is_named(boot: Boot, key: str) -> bool:
    """Whether a line that decides about an interface's key names it, and is no pattern."""
    return any(line.key == key for line in boot.deciding(key))


def _own_value(key: str, parameter: Parameter, expectation: Expectation, boot: Boot) -> str:
    """What is wrong with an interface's own key; empty where nothing is."""
    if not expectation.satisfied_by(parameter.value or ""):
        return "this interface keeps a value of its own beside conf.all"
    if _stays(expectation, boot, key):
        return ""
    value, origin = _last(boot, key)
    if origin:
        return f"{origin} sets it to {value}"
    return "conf.all and conf.default do not reach an interface that is there before them"


def _for_interfaces(key: str) -> tuple[str, ...]:
    """The pattern that reaches, at boot, the interfaces that conf.default does not."""
    if key in _PER_INTERFACE and key.startswith(_IPV6):
        return (key.replace(".all.", ".*."),)
    return ()


def _last(boot: Boot, key: str) -> tuple[str, str]:
    """(value, origin) of the line that has the last word; empty where no file sets `key`."""
    lines = boot.deciding(key)
    return (lines[-1].value or "", lines[-1].origin) if lines else ("", "")


def _after(assignments: Iterable[Assignment], path: str) -> list[Assignment]:
    """Lines of files that are read after `path`."""
    name = path.rpartition("/")[2]
    return [a for a in assignments if a.file.rpartition("/")[2] > name]


def _edit(edits: dict[str, str], boot: Boot, line: Assignment, value: str) -> None:
    """Give one line of a file below /etc its new value; elsewhere it is not ours to edit."""
    if not line.file.startswith("/etc/"):
        return
    lines = edits.get(line.file, boot.texts[line.file]).splitlines(keepends=True)
    old = lines[line.line - 1]
    found = re.match(r"([^=]*=\s*)", old)
    if found:
        lines[line.line - 1] = found.group(1) + value + old[len(old.rstrip("\r\n")) :]
        edits[line.file] = "".join(lines)


def _all_of(key: str) -> str:
    """Of "net.ipv4.conf.eth0.send_redirects": "net.ipv4.conf.all.send_redirects"."""
    parts = key.split(".")
    return ".".join([*parts[:3], "all", *parts[4:]])


def _argument(key: str) -> str:
    """The key as sysctl(8) takes it: with slashes where a part has a dot in it."""
    return key.translate({ord("/"): ".", ord("."): "/"}) if "/" in key else key
