"""OpenSCAP with the SCAP Security Guide's profile ANSSI-BP-028 (enhanced)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import msgspec

from tests.bench.hosts import give
from tests.evidence.finding import Finding
from tests.hosts.lab import LabHost

PACKAGES = ("openscap-scanner", "openscap-common", "ssg-debian")
PROFILE = "xccdf_org.ssgproject.content_profile_anssi_bp28_enhanced"
CONTENT = "ssg-debian12-ds.xml"
GIVEN_BY = "trixie"
"""The release whose package ssg-debian has the newest content there is, which is for Debian 12."""

JUDGES = "bookworm"
"""The release that content is for. On any other the content calls all of its rules inapplicable,
so it is asked there without the sentence that says which release it is for."""

PLACE = "/srv/ssg.xml"
FAILED = "fail"
MEASURED = ("pass", "fail")

_RELEASE = re.compile(rb'<xccdf-1\.2:platform idref="cpe:/o:debian:debian_linux:\d+"/>')
_RESULT = re.compile(r"^xccdf_org\.ssgproject\.content_rule_(\w[\w.-]*):(\w+)$", re.MULTILINE)


class OpenScap(msgspec.Struct, frozen=True, kw_only=True):
    """`results`: rule (without its common beginning) -> pass, fail, notapplicable, …"""

    content: str
    results: dict[str, str]

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(self.results.values()))

    @property
    def failures(self) -> int:
        return self.counts.get(FAILED, 0)

    @property
    def findings(self) -> tuple[Finding, ...]:
        failed = [rule for rule, result in self.results.items() if result == FAILED]
        return tuple(Finding("openscap", rule) for rule in sorted(failed))


def prepare(host: LabHost) -> None:
    """Put the content into the host."""
    give(host, GIVEN_BY, "ssg-debian", CONTENT, PLACE)
    if host.suite != JUDGES:
        path = host.root / PLACE.lstrip("/")
        path.write_bytes(for_any_release(path.read_bytes()))


def for_any_release(content: bytes) -> bytes:
    """The content without the release it is for. Raises `AssertionError` where none is named."""
    changed, count = _RELEASE.subn(b"", content)
    if count != 1:
        raise AssertionError(f"the content names its release {count} times, not once")
    return changed


def judge(host: LabHost) -> OpenScap:
    argv = ("oscap", "xccdf", "eval", "--progress", "--profile", PROFILE, PLACE)
    done = host.run(*argv, check=False, timeout_s=1800)
    if done.returncode not in (0, 2):  # 2: some rule fails, which is what an audit finds
        raise AssertionError(f"oscap on {host.suite}: exit {done.returncode}\n{done.stderr}")
    version = host.out("dpkg-query", "-W", "-f", "${Version}", "openscap-scanner")
    return OpenScap(content=f"oscap {version}, {CONTENT}", results=parsed(done.stdout))


def parsed(text: str) -> dict[str, str]:
    """Rule -> result. Raises `AssertionError` where nothing was measured at all."""
    results = dict(_RESULT.findall(text))
    if not measured(results):
        raise AssertionError(f"OpenSCAP measured none of {len(results)} rules")
    return results


def measured(results: Mapping[str, str]) -> int:
    """How many rules passed or failed."""
    return sum(result in MEASURED for result in results.values())
