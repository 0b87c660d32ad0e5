"""Lynis: its hardening index, and what it warns of and suggests."""

from __future__ import annotations

import re

import msgspec

from tests.evidence.finding import Finding
from tests.hosts.lab import LabHost

PACKAGES = ("lynis",)
REPORT = "/var/log/lynis-report.dat"
LOG = "/var/log/lynis.log"

_TEST = re.compile(r"Performing test ID ([A-Z]+-\d+)")
_POINTS = re.compile(r"number of hardening points(?: for this item)? \((\d+)(?: of (\d+))?\)")
"""Partly given: (1 of 3); all of them: (3)."""


class Lynis(msgspec.Struct, frozen=True, kw_only=True):
    """`index` is of 100, the share of `points`: test -> (given, possible)."""

    version: str
    index: int
    tests: str
    findings: tuple[Finding, ...]
    points: dict[str, tuple[int, int]]

    @property
    def lost(self) -> dict[str, tuple[int, int]]:
        """Of the tests that did not give all of theirs."""
        return {test: pair for test, pair in self.points.items() if pair[0] < pair[1]}


def judge(host: LabHost) -> Lynis:
    """A whole audit, as its own quick start has it."""
    host.run("lynis", "audit", "system", "--quick", "--no-colors", timeout_s=1800)
    return parsed(_text(host, REPORT), _text(host, LOG))


def parsed(report: str, log: str) -> Lynis:
    """The report's data file and the log. Raises `AssertionError` where the audit did not end."""
    pairs = [line.partition("=")[::2] for line in report.splitlines() if "=" in line]
    single = dict(pairs)
    index = single.get("hardening_index", "")
    if not re.fullmatch(r"\d{1,3}", index, re.ASCII):
        raise AssertionError("Lynis wrote no hardening index: its audit did not end")
    details: dict[str, list[str]] = {}
    for key, value in pairs:
        if key == "details[]":
            test, _, text = _words(value)
            fields = dict(part.partition(":")[::2] for part in text.split(";") if part)
            details.setdefault(test, []).append(_detail(fields))
    findings = {
        one
        for key, value in pairs
        if key in ("warning[]", "suggestion[]")
        for one in _findings(*_words(value), details)
    }
    return Lynis(
        version=single.get("lynis_version", "?"),
        index=int(index),
        tests=single.get("lynis_tests_done", "?"),
        findings=tuple(sorted(findings)),
        points=_points(log),
    )


def _words(value: str) -> tuple[str, str, str]:
    """Its first three parts: the test, and what they are for depends on the key."""
    first, second, third, *_ = (*value.split("|"), "", "")
    return first, second, third


def _findings(test: str, text: str, more: str, details: dict[str, list[str]]) -> list[Finding]:
    """One for each value that a test wants otherwise, where it tells them."""
    if test in details:
        return [Finding("lynis", test, detail) for detail in details[test]]
    return [Finding("lynis", test, f"{text} ({more})" if more.strip("-") else text)]


def _detail(fields: dict[str, str]) -> str:
    return f"{fields.get('field', '?')} is {fields.get('value', '?')}, not {fields.get('prefval')}"


def _points(log: str) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    test = "?"
    for line in log.splitlines():
        begun, points = _TEST.search(line), _POINTS.search(line)
        if begun:
            test = begun[1]
        elif points:
            given, possible = sums.get(test, (0, 0))
            sums[test] = (given + int(points[1]), possible + int(points[2] or points[1]))
    return sums


def _text(host: LabHost, path: str) -> str:
    return (host.root / path.lstrip("/")).read_text(errors="replace")
