"""Whether data lies on encrypted disks; where this host cannot tell, a person is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.apache import APACHE
from host.facts.block_devices import STORAGE, Place, Storage
from steps.model import Finding
from steps.resource import Context, Planned, StepError
from steps.resources.attest import Attest

IN_MEMORY = ("tmpfs", "ramfs")

WAY_OUT = (
    "A running disk cannot be encrypted from here. Attach a second disk, prepare it by `cryptsetup "
    "luksFormat` and `cryptsetup open`, name it in /etc/crypttab and /etc/fstab, stop the services,"
    " copy the data (`rsync -aHAX`), mount it at the old place and start them again; or install "
    "the host anew with encrypted LVM. Decide who opens it at boot: a typed passphrase, or Clevis "
    "with a TPM or a Tang server."
)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The YAML body. `paths` that do not exist are passed over; web roots are found besides."""

    paths: list[str]
    question: str
    valid_days: int = 365


class DiskEncryption(Attest):
    """`disk-encryption: {paths: [/var/lib/mysql, …], question: …}`.

    An attestation that is only asked for where the host itself does not have the answer.
    """

    kind: ClassVar[str] = "disk-encryption"

    def __init__(self, paths: Sequence[str], question: str, valid_days: int) -> None:
        super().__init__(question, valid_days)
        self.paths = tuple(paths)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> DiskEncryption:
        given = msgspec.convert(body, Body)
        for path in given.paths:
            if not path.startswith("/"):
                raise StepError(f"paths: expected absolute paths, not {path!r}")
        if not given.question.strip() or given.valid_days < 1:
            raise StepError("question: expected a question, and valid-days of at least 1")
        return cls(given.paths, given.question.strip(), given.valid_days)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (STORAGE, APACHE)

    def observe(self, ctx: Context) -> list[Finding]:
        storage = ctx.facts.get(STORAGE)
        findings = [self._finding(path, storage) for path in self._chosen(ctx)]
        findings += [_swap(swap, storage) for swap in storage.swaps]
        if any(finding.ok is None for finding in findings):
            where = "a virtual machine" if storage.hypervisor else "no virtual machine"
            asked = super().observe(ctx)
            return findings + [
                msgspec.structs.replace(one, note=f"{one.note} (This is {where}.)") for one in asked
            ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok for finding in self.observe(ctx)):
            return Planned()
        return Planned(notes=(self.question, WAY_OUT))

    def _chosen(self, ctx: Context) -> list[str]:
        """The paths that are there, and where Apache serves from; without what lies below others
        on the same file system."""
        wanted = list(self.paths)
        try:
            apache = ctx.facts.get(APACHE)
            wanted += [apache.document_root, *(host.document_root for host in apache.hosts)]
        except FactUnavailable:
            pass  # no Apache, or one that cannot be asked: the usual places are looked at
        there = sorted({path.rstrip("/") for path in wanted if path and ctx.host.state(path)})
        storage = ctx.facts.get(STORAGE)
        return [
            path
            for path in there
            if not any(
                path.startswith(f"{other}/") and storage.place_of(path) == storage.place_of(other)
                for other in there
            )
        ]

    def _finding(self, path: str, storage: Storage) -> Finding:
        place = storage.place_of(path)
        return _judged(path, place, storage)


def _swap(swap: str, storage: Storage) -> Finding:
    if swap.startswith("/dev/"):
        return _judged(f"swap on {swap}", Place("", "swap", swap, ""), storage)
    return _judged(f"swap in {swap}", storage.place_of(swap), storage)


def _judged(what: str, place: Place | None, storage: Storage) -> Finding:
    finding = Finding(resource="disk", setting=what, expected="encrypted")
    if place is None:
        return msgspec.structs.replace(finding, note="its file system cannot be found")
    keys = (place.number, place.source)
    if place.type in IN_MEMORY:
        return msgspec.structs.replace(finding, running="in memory", persistent="gone", ok=True)
    mapping = next((storage.mapped[key] for key in keys if key in storage.encrypted), "")
    if mapping:
        origin = storage.crypttab.get(mapping.rpartition("/")[2], "")
        return msgspec.structs.replace(
            finding,
            running=f"dm-crypt {mapping}",
            persistent="opened at boot" if origin else "not in /etc/crypttab",
            origin=origin,
            ok=True,
        )
    if any(key in storage.known for key in keys):
        said = f"{place.source} ({place.type}), without dm-crypt"
        note = "not encrypted by this host; what is below its disks it cannot see"
    else:
        said = f"{place.source} ({place.type})"
        note = f"what a file system of type {place.type} lies on cannot be seen from here"
    return msgspec.structs.replace(finding, running=said, persistent=said, note=note)
