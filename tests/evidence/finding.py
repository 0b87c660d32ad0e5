"""What a judge would have otherwise, and the sentences that say why it stays. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec
import yaml

Judge = Literal["lynis", "openscap", "ssh-audit", "systemd"]

DEVIATIONS = Path(__file__).with_name("deviations.yaml")


class Finding(msgspec.Struct, frozen=True, order=True):
    """One thing a judge finds wrong: its own id for it, and its words."""

    judge: Judge
    id: str
    text: str = ""


class Deviation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why what a judge wishes is not done.

    `finding` is the judge's id, with * for anything; `about` is a part of its words, for ids that
    stand for several things; `releases` are all of them where it is empty.
    """

    judge: Judge
    finding: str
    why: str
    about: str = ""
    releases: tuple[str, ...] = ()

    def is_about(self, finding: Finding, release: str) -> bool:
        return (
            self.judge == finding.judge
            and fnmatchcase(finding.id, self.finding)
            and self.about in finding.text
            and (not self.releases or release in self.releases)
        )


def deviations(path: Path = DEVIATIONS) -> tuple[Deviation, ...]:
    """The sentences of the file. Raises `msgspec.ValidationError` where it is not as described."""
    return msgspec.convert(yaml.safe_load(path.read_bytes()), tuple[Deviation, ...])


def reason(finding: Finding, release: str, known: Iterable[Deviation]) -> str:
    """Why it stays; empty where nobody said, which is then open."""
    return next((one.why for one in known if one.is_about(finding, release)), "")


def unused(
    known: Sequence[Deviation], found: Iterable[tuple[Finding, str]], releases: Sequence[str]
) -> list[Deviation]:
    """Sentences about what no judge found on these releases any more."""
    seen = list(found)
    return [
        one
        for one in known
        if set(one.releases or releases) & set(releases)
        and not any(one.is_about(finding, release) for finding, release in seen)
    ]
