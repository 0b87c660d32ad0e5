"""What changed outside harden-tui since its last transaction. Pure.

A transaction ends with a restore point; whatever the host is by then is known. What differs from
it later was changed by somebody else: an administrator, a package upgrade, another program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from snapshots.captured import (
    CHANGING,
    TOO_LARGE,
    Captured,
    differences,
    loses_content,
)
from snapshots.decision import DERIVED
from snapshots.domains.packages import Package
from snapshots.model import (
    Delta,
    DomainName,
    FileItem,
    Item,
    Key,
    Root,
    TransactionRecord,
    ValueItem,
)

Kind = Literal["new", "gone", "edited", "attributes", "replaced", "value"]
"""`edited`: other content. `attributes`: the same content with another owner, mode, ACL, attribute
or flag. `replaced`: another kind of file, or a link that leads elsewhere. `value`: of what is no
file."""

Choice = Literal["accept", "restore", "merge"]
CHOICES: tuple[Choice, ...] = ("accept", "restore", "merge")

FOLLOWED: frozenset[DomainName] = frozenset({"files", "units", "kernel", "firewall"})
"""What stays a difference until it is settled, also after another transaction. A package that was
upgraded is the host's package from the next transaction on."""


class Standing(msgspec.Struct, frozen=True):
    """A transaction that was applied and is not undone, with what it changed."""

    record: TransactionRecord
    deltas: dict[Key, Delta]


class Drifted(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as harden-tui left it. `None` means absent.

    `standing` are the transactions not undone that changed the same thing, oldest first.
    """

    domain: DomainName
    key: str
    kind: Kind
    before: Item | None
    now: Item | None
    standing: tuple[Standing, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps whose transactions changed this thing, in the order they were applied."""
        return tuple(dict.fromkeys(step for one in self.standing for step in one.record.steps))


def content_roots(standing: Iterable[Standing]) -> tuple[Root, ...]:
    """The trees outside /etc whose content transactions captured.

    A tree captured without content is measured by its own step at each check, and an application
    writes in it: it is not looked at here.
    """
    found = {root.path.rstrip("/"): root for one in standing for root in one.record.roots}
    return tuple(root for root in found.values() if root.content)


def touched(standing: Iterable[Standing]) -> dict[Key, tuple[Standing, ...]]:
    """Everything that transactions changed that still stand, and which of them, oldest first."""
    found: dict[Key, list[Standing]] = {}
    for one in standing:
        for key in one.deltas:
            found.setdefault(key, []).append(one)
    return {key: tuple(those) for key, those in found.items()}


def compare(
    baseline: Mapping[DomainName, Mapping[str, Item]],
    expected: Mapping[Key, Item | None],
    now: Captured,
    known: Mapping[Key, tuple[Standing, ...]],
) -> list[Drifted]:
    """What of `now` is not as it was left, those of standing transactions first.

    Files are compared all, of every other kind what `known` transactions touched. `expected` wins
    over `baseline`: what was accepted, and what drifted before the last transaction.
    """
    should: Captured = {domain: dict(items) for domain, items in baseline.items()}
    for (domain, key), item in expected.items():
        items = should.setdefault(domain, {})
        if item is None:
            items.pop(key, None)
        else:
            items[key] = item
    for domain in should.keys() & now.keys():
        if domain != "files":
            ours = {key for of, key in known if of == domain}
            should[domain] = {k: item for k, item in should[domain].items() if k in ours}
            now = {**now, domain: {k: item for k, item in now[domain].items() if k in ours}}
    both = should.keys() & now.keys()
    deltas = differences(
        {domain: should[domain] for domain in both},
        {domain: now[domain] for domain in both},
        named=(key for domain, key in known if domain == "files"),
    )
    found = [
        Drifted(
            domain=delta.domain,
            key=delta.key,
            kind=kind_of(delta.before, delta.after),
            before=delta.before,
            now=delta.after,
            standing=known.get((delta.domain, delta.key), ()),
        )
        for delta in deltas
        if not _by_itself(delta)
    ]
    return sorted(found, key=lambda one: not one.standing)


def kind_of(before: Item | None, now: Item | None) -> Kind:
    """How one thing changed."""
    if before is None:
        return "new"
    if now is None:
        return "gone"
    if not isinstance(before, FileItem) or not isinstance(now, FileItem):
        return "value"
    old, new = before.state, now.state
    if old.kind != new.kind or old.target != new.target or old.rdev != new.rdev:
        return "replaced"
    return "edited" if old.sha256 != new.sha256 else "attributes"


def choices_of(one: Drifted, *, secret: bool = False) -> tuple[Choice, ...]:
    """How a thing can be settled."""
    if why_kept(one, secret=secret):
        return ("accept",)
    if one.domain == "files" and one.standing and one.now is not None and one.kind != "replaced":
        return ("accept", "restore", "merge")
    return ("accept", "restore")


def why_kept(one: Drifted, *, secret: bool = False) -> str:
    """Why a thing cannot be put back and what can be done, in whole sentences; "" where it can.

    A package brings files, accounts, units and more with it, and takes them along. The step that
    wants it does all of that in one transaction. What was upgraded has its reason.
    """
    if secret:
        return "Its former content is a secret and was not copied. Apply its step again."
    if loses_content(one.now, one.before):
        return f"It is {TOO_LARGE}, so its content could not be kept. Move it away by hand."
    if loses_content(one.before, one.now):
        return f"Its former content, {TOO_LARGE}, was not kept. Put it back from a backup."
    if one.domain != "packages" or is_marked_only(one):
        return ""
    again = f"`harden-tui apply {one.steps[-1]}`" if one.steps else "applying its step again"
    before, now = Package.of(one.before), Package.of(one.now)
    if before is None and now is None:
        return "Only what is left of its configuration came or went; no step asks for that."
    if before is None:
        return f"It is taken away again, with what came with it, by {again}."
    if now is None:
        return f"It is brought back, with what comes with it, by {again}."
    if before.version == now.version:
        return "dpkg did not finish with it. Run `dpkg --configure -a`."
    return (
        "Going back would take back what the other version mended, and not what it made of files "
        f"and data. `apt-get install {one.key}={before.version}` does it where a source has it."
    )


def is_marked_only(one: Drifted) -> bool:
    """Whether a package is there in the version that was left, with another mark or a hold."""
    before, now = Package.of(one.before), Package.of(one.now)
    if one.domain != "packages" or before is None or now is None:
        return False
    return before.version == now.version and before.status == now.status


def _by_itself(delta: Delta) -> bool:
    """Made anew by package tools, on its way, or not to be read."""
    if delta.domain == "files":
        return DERIVED.fullmatch(delta.key) is not None
    values = [side.value for side in (delta.before, delta.after) if isinstance(side, ValueItem)]
    return CHANGING in values or "unknown" in values
