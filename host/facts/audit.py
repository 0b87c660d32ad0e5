"""Auditing: what the kernel keeps and records now, and what the files of auditd say."""

from __future__ import annotations

import errno
import itertools
import shlex
from collections.abc import Mapping
from typing import Final

import msgspec

from host import audit_netlink
from host.audit_netlink import AuditStatus
from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable

RULES_D: Final = "/etc/audit/rules.d"
_FIND: Final = ("find", "/usr", "/opt", "-xdev", "-type", "f", "-perm", "/6000")
CONTAINER: Final = "/run/systemd/container"
"""systemd says here what kind of container it is the first process of."""


class Line(msgspec.Struct, frozen=True):
    """A rule of a file."""

    text: str
    origin: str


class Written(msgspec.Struct, frozen=True):
    """The files of /etc/audit/rules.d. `immutable`: the file:line that says "-e 2" last, or ""."""

    lines: tuple[Line, ...]
    immutable: str
    texts: dict[str, str] = {}


class Kernel(msgspec.Struct, frozen=True):
    """`status` is `None` where this machine has no audit of its own; `why` says so then."""

    status: AuditStatus | None
    why: str = ""


def parse_loaded(text: str) -> tuple[str, ...]:
    """`auditctl -l`: the rules the kernel has, as it prints them."""
    return tuple(line for line in text.splitlines() if line.startswith(("-a", "-w", "-A")))


def parse_written(texts: Mapping[str, str]) -> Written:
    """The files in the order in which augenrules(8) reads them; "-e" counts where it is last."""
    lines: list[Line] = []
    immutable = ""
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0].startswith("-e"):
                value = words[0][2:] or (words[1] if len(words) > 1 else "")
                immutable = f"{path}:{number}" if value == "2" else ""
            elif words[0].startswith(("-a", "-w", "-A")):
                lines.append(Line(" ".join(words), f"{path}:{number}"))
    return Written(tuple(lines), immutable, dict(texts))


def paths_in(rule: str) -> tuple[str, ...]:
    """The files a rule names: behind -w, and as -F path= or -F dir=."""
    try:
        words = shlex.split(rule)
    except ValueError:
        words = rule.split()
    found = [after for word, after in itertools.pairwise(words) if word == "-w"]
    found += [word.partition("=")[2] for word in words if word.startswith(("path=", "dir="))]
    return tuple(found)


def _kernel(host: Host, facts: Facts) -> Kernel:
    if host.is_practice:
        return Kernel(None, "a practice host has no kernel of its own to audit")
    if host.state(CONTAINER) is not None:
        kind = host.read_bytes(CONTAINER).decode("utf-8", "replace").strip()
        return Kernel(
            None,
            f"this is a container ({kind}), and the kernel's audit belongs to the machine that"
            " runs it: audit there",
        )
    words = host.read_bytes("/proc/cmdline").decode("utf-8", "replace").split()
    if "audit=0" in words or "audit=off" in words:
        return Kernel(None, "the kernel was started with auditing off (audit=0 in /proc/cmdline)")
    try:
        return Kernel(audit_netlink.ask())
    except OSError as error:
        if error.errno == errno.EPERM and not host.is_root:
            raise FactUnavailable("the kernel's audit can only be asked as root") from None
        return Kernel(None, f"this kernel keeps no audit for this machine ({error.strerror})")


def _loaded(host: Host, facts: Facts) -> tuple[str, ...]:
    answer = host.run(("auditctl", "-l"), ok=None)
    if not answer.ok:
        said = (answer.stderr.strip() or "no reason given").splitlines()[0]
        raise FactUnavailable(f"`auditctl -l` does not answer: {said}")
    return parse_loaded(answer.stdout)


def _written(host: Host, facts: Facts) -> Written:
    texts = {}
    for path in host.glob(f"{RULES_D}/*.rules"):
        try:
            texts[path] = host.read_bytes(path).decode("utf-8", "replace")
        except HostError as error:
            raise FactUnavailable(str(error)) from None
    return parse_written(texts)


def _lending(host: Host, facts: Facts) -> tuple[str, ...]:
    return tuple(sorted(host.run(_FIND, ok=None, timeout_s=120).stdout.splitlines()))


def _pending(host: Host, facts: Facts) -> bool:
    return "have changed" in host.run(("augenrules", "--check"), ok=None).stdout


AUDIT_KERNEL: Fact[Kernel] = Fact("audit-kernel", _kernel)
AUDIT_LOADED: Fact[tuple[str, ...]] = Fact("audit-loaded", _loaded)
"""("-w /etc/sudoers -p wa -k scope", …)"""

AUDIT_WRITTEN: Fact[Written] = Fact("audit-written", _written)
AUDIT_PENDING: Fact[bool] = Fact("audit-pending", _pending)
"""Whether rules.d says otherwise than /etc/audit/audit.rules, which is what gets loaded."""

AUDIT_LENDING: Fact[tuple[str, ...]] = Fact("audit-lending", _lending)
"""("/usr/bin/passwd", …): programs with set-user-ID or set-group-ID."""
