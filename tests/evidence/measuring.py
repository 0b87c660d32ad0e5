"""Both sides of one release: a fresh host, judged; the stage applied, restarted; judged again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from tests.evidence import applying, exposure, lynis, openscap, speed, ssh_audit
from tests.evidence.applying import Applied, Checked
from tests.evidence.finding import Finding
from tests.evidence.lynis import Lynis
from tests.evidence.openscap import OpenScap
from tests.evidence.speed import Speed
from tests.evidence.ssh_audit import SshAudit
from tests.hosts.lab import LabHost
from tests.hosts.program import furnish

T = TypeVar("T")

SOURCE = "/srv/debian-security"

Tell = Callable[[str], None]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What every judge says at one moment; `None` of a judge that could not, for which `problems`
    has the reason: judge -> words."""

    lynis: Lynis | None
    openscap: OpenScap | None
    ssh_audit: SshAudit | None
    exposure: dict[str, float] | None
    speed: Speed | None
    problems: dict[str, str] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        judges = (self.lynis, self.openscap, self.ssh_audit)
        return tuple(finding for judge in judges if judge for finding in judge.findings)


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One release, before and after."""

    suite: str
    before: Side
    after: Side
    steps: tuple[Applied, ...]


def measure(
    suite: str, layer: Path, checklist: str, steps: Sequence[str], all_steps: Sequence[str],
    tell: Tell,
) -> Release:  # fmt: skip
    """`layer` has the program installed; `all_steps` are those whose check is timed."""
    with LabHost(suite, layer, mounts_tmp=False) as host:
        furnish(host)
        sources(host)
        with_judges(host)
        host.reboot()
        before = judged(host, checklist, all_steps, tell)
        first = applying.check(host, checklist, steps)
        done = {}
        for number, step in enumerate(steps, 1):
            began = time.monotonic()
            done[step] = applying.apply(host, checklist, step)
            took = time.monotonic() - began
            tell(f"{number}/{len(steps)} {step}: {done[step][0]} after {took:.0f} s")
        host.reboot()
        last = applying.check(host, checklist, steps)
        after = judged(host, checklist, all_steps, tell)
    results = tuple(applied(step, first, done, last) for step in steps)
    return Release(suite=suite, before=before, after=after, steps=results)


def sources(host: LabHost) -> None:
    """What the folder of packages says of itself: that it is Debian's security repository.

    A server has one; without it Lynis would miss it on both sides.
    """
    (host.root / SOURCE.lstrip("/")).symlink_to("repo")
    host.write("/etc/apt/sources.list", f"deb [trusted=yes] file:{SOURCE} ./\n")
    host.run("apt-get", "update", "-q")


def with_judges(host: LabHost) -> None:
    """Before the first measurement, so that both sides have the same programs."""
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
        "--no-install-recommends", *lynis.PACKAGES, *openscap.PACKAGES, timeout_s=600,
    )  # fmt: skip
    openscap.prepare(host)
    ssh_audit.prepare(host)


def judged(host: LabHost, checklist: str, all_steps: Sequence[str], tell: Tell) -> Side:
    problems: dict[str, str] = {}

    def ask(name: str, judge: Callable[[], T]) -> T | None:
        began = time.monotonic()
        try:
            return judge()
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
            problems[name] = " ".join(str(error).split())[:400]
            return None
        finally:
            tell(f"{name}: {time.monotonic() - began:.0f} s")

    return Side(
        speed=ask("speed", lambda: speed.measure(host, checklist, all_steps)),
        ssh_audit=ask("ssh-audit", lambda: ssh_audit.judge(host)),
        openscap=ask("openscap", lambda: openscap.judge(host)),
        exposure=ask("systemd", lambda: exposure.judge(host)),
        lynis=ask("lynis", lambda: lynis.judge(host)),
        problems=problems,
    )


def applied(
    step: str, first: dict[str, Checked], done: dict[str, tuple[int, str]], last: dict[str, Checked]
) -> Applied:
    exit_status, summary = done[step]
    return Applied(
        step=step, before=first[step].status, exit_status=exit_status, summary=summary,
        after=last[step].status, note=last[step].note,
    )  # fmt: skip
