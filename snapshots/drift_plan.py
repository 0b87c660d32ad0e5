"""What settling drift would do, decided and shown before anything is done."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from host.base import Host
from host.names import exact_json
from snapshots.capture import Keeper
from snapshots.captured import same
from snapshots.daemons import commands_of, is_mask, mask_file, unit_commands
from snapshots.domains.packages import commands_to_mark
from snapshots.domains.units import MASK, masked_until_boot
from snapshots.drift import Choice, Drifted, Standing, choices_of, why_kept
from snapshots.drift_baseline import Baseline
from snapshots.drift_look import Reader, baseline_of, drifted, is_secret
from snapshots.drift_merge import merged
from snapshots.inverse import Contents
from snapshots.model import Activation, FileItem, Item, Key, SnapshotError, Validation, ValueItem
from snapshots.others import OF_UNITS
from snapshots.state import StateDir


class SettleItem(msgspec.Struct, frozen=True, kw_only=True):
    """What will become of one thing. `diff` is what changes on the host (nothing for accept: what
    is accepted). `refused` says why it cannot be."""

    domain: str
    key: str
    diff: str = ""
    refused: str = ""
    steps: tuple[str, ...] = ()


class SettlePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What settling will do. `commands` run besides, as typed; `steps` are concerned."""

    choice: Choice
    items: tuple[SettleItem, ...]
    steps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def refusals(self) -> tuple[str, ...]:
        return tuple(item.refused for item in self.items if item.refused)


class Settling(msgspec.Struct):
    """Everything decided, before anything is done."""

    choice: Choice
    things: list[Drifted]
    targets: dict[Key, Item | None]
    refused: dict[Key, str]
    concerned: tuple[Standing, ...]
    contents: Contents

    @property
    def validations(self) -> tuple[Validation, ...]:
        found = (v for one in self._asked for v in one.record.validations)
        return tuple(dict.fromkeys(found))

    @property
    def activations(self) -> tuple[Activation, ...]:
        found = (a for one in self._asked for a in one.record.activations)
        return tuple(dict.fromkeys(found))

    @property
    def _asked(self) -> tuple[Standing, ...]:
        """Whose daemons take it anew: none where only marks of packages come back."""
        marks = self.targets and all(domain == "packages" for domain, _ in self.targets)
        return () if marks else self.concerned

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s for one in self.concerned for s in one.record.steps))


def plan(host: Host, state: StateDir, choice: Choice, keys: Iterable[Key]) -> SettlePlan:
    """What `choice` would do to these things now; asks only. Raises `HostError`."""
    keeper = Keeper(host, state)
    baseline = known_baseline(keeper)
    settling = decide(keeper, baseline, choice, keys, drifted(keeper, baseline))
    return plan_of(keeper, settling)


def known_baseline(keeper: Keeper) -> Baseline:
    """Raises `SnapshotError` where harden-tui never changed this host."""
    baseline = baseline_of(keeper)
    if baseline is None:
        raise SnapshotError("Nothing was changed by harden-tui yet, so nothing can have drifted.")
    return baseline


def decide(
    keeper: Keeper,
    baseline: Baseline,
    choice: Choice,
    keys: Iterable[Key],
    things: list[Drifted],
) -> Settling:
    """What `choice` means for each of `keys`. Raises `SnapshotError` for what has not drifted."""
    there = {(one.domain, one.key): one for one in things}
    chosen = []
    for key in dict.fromkeys(keys):
        if key not in there:
            raise SnapshotError(
                f"{key[1]} is as harden-tui left it by now; nothing was changed. "
                "`harden-tui drift` shows what is not."
            )
        chosen.append(there[key])
    reader = Reader(keeper)
    settling = Settling(
        choice=choice,
        things=chosen,
        targets={},
        refused={},
        concerned=_concerned(chosen, baseline.standing),
        contents=Contents(keeper.store.get),
    )
    for one in chosen:
        key = (one.domain, one.key)
        if choice not in choices_of(one, secret=is_secret(one)):
            settling.refused[key] = _why_not(one, choice)
        elif choice == "restore":
            settling.targets[key] = one.before
        elif choice == "merge":
            contents = Contents(reader.reading(one))
            target = merged(_before_steps(one), one.before, one.now, contents)
            settling.contents.made |= contents.made
            if target is None:
                settling.refused[key] = (
                    f"{one.key} cannot be merged: it is no text, or not a file any more. Nothing "
                    "was changed. Put it back (`drift restore`) or accept it."
                )
            elif same(target, one.now):
                settling.refused[key] = (
                    f"{one.key} has everything a step wrote; only other things in it changed. "
                    "Nothing was changed. Accept it, or put it back whole (`drift restore`)."
                )
            else:
                settling.targets[key] = target
    if choice == "restore":
        _with_directories(settling, things)
        _with_masks(keeper.host, settling, things)
    return settling


def _with_directories(settling: Settling, things: list[Drifted]) -> None:
    """The directories that a file lay in which comes back, where none is any more: they went
    together, or a link or a file lies there now, which makes way."""
    gone = {
        one.key: one
        for one in things
        if one.domain == "files" and _is_directory(one.before) and not _is_directory(one.now)
    }
    for (domain, path), target in list(settling.targets.items()):
        above = path.rpartition("/")[0]
        while domain == "files" and target is not None and above in gone:
            _take_along(settling, gone[above])
            above = above.rpartition("/")[0]


def _is_directory(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"


def _with_masks(host: Host, settling: Settling, things: list[Drifted]) -> None:
    """What masks a unit that shall run again; without it systemd would not start it."""
    files = {one.key: one for one in things if one.domain == "files"}
    for (domain, unit), target in list(settling.targets.items()):
        if domain != "units" or target != ValueItem("active"):
            continue
        mask = files.get(mask_file(unit))
        if mask is not None and is_mask(mask.now) and not is_mask(mask.before):
            _take_along(settling, mask)
        if masked_until_boot(host, unit):
            _take_along(settling, _runtime_mask(unit))


def _runtime_mask(unit: str) -> Drifted:
    return Drifted(
        domain="units", key=MASK + unit, kind="new", before=None, now=ValueItem("masked")
    )


def _take_along(settling: Settling, one: Drifted) -> None:
    key = (one.domain, one.key)
    if key not in settling.targets:
        settling.targets[key] = one.before
        settling.things.append(one)


def _concerned(things: Iterable[Drifted], standing: Sequence[Standing]) -> tuple[Standing, ...]:
    """The transactions whose daemons read these things: those that changed them, or something
    in the same directory."""
    keys = {(one.domain, one.key) for one in things}
    places = {one.key.rpartition("/")[0] for one in things if one.domain == "files"} - {"/etc"}
    return tuple(
        one
        for one in standing
        if any(
            key in keys or (key[0] == "files" and key[1].rpartition("/")[0] in places)
            for key in one.deltas
        )
    )


def _before_steps(one: Drifted) -> Item | None:
    """What it was before the first step that still stands."""
    return one.standing[0].deltas[one.domain, one.key].before if one.standing else None


def _why_not(one: Drifted, choice: Choice) -> str:
    if one.domain == "packages" and choice == "restore":
        return (
            f"The package {one.key} is not put back from here; nothing was changed. "
            f"{why_kept(one)} Or accept it as it is (`drift accept`)."
        )
    if is_secret(one):
        return (
            f"{one.key} holds a secret, so its former content was not copied; nothing was changed. "
            "Apply the step that wrote it again, or accept it as it is (`drift accept`)."
        )
    if one.domain == "files" and why_kept(one):
        return (
            f"{one.key} is left as it is; nothing was changed. {why_kept(one)} Or accept it as it "
            "is (`drift accept`)."
        )
    if one.domain != "files":
        back = "" if why_kept(one) else " or put it back (`drift restore`)"
        return (
            f"{one.key} is no file, so there is nothing to merge; nothing was changed. Accept it "
            f"(`drift accept`){back}."
        )
    if not one.standing:
        return (
            f"No step wrote {one.key}, so there is nothing to merge; nothing was changed. Accept "
            f"it (`drift accept`) or put it back (`drift restore`)."
        )
    return (
        f"{one.key} is not the file any more that a step wrote, so a {choice} is not possible; "
        "nothing was changed. Put it back (`drift restore`) or accept it (`drift accept`)."
    )


def plan_of(keeper: Keeper, settling: Settling) -> SettlePlan:
    """The same for a person."""
    reader = Reader(keeper)
    items = []
    for one in settling.things:
        key = (one.domain, one.key)
        refused = settling.refused.get(key, "")
        if settling.choice == "accept":
            shown = reader.diff(one)
        elif refused:
            shown = ""
        else:
            shown = reader.between(one, one.now, settling.targets[key], settling.contents.made)
        items.append(
            SettleItem(domain=one.domain, key=one.key, diff=shown, refused=refused, steps=one.steps)
        )
    commands = []
    if settling.choice != "accept" and settling.targets:
        host = keeper.host
        packages = [one for one in settling.things if one.domain == "packages"]
        targets = settling.targets
        commands = commands_to_mark(
            {one.key: targets.get(("packages", one.key)) for one in packages},
            {one.key: one.now for one in packages if one.now is not None},
        )
        if any(domain == "files" and OF_UNITS.fullmatch(key) for domain, key in targets):
            commands.append("systemctl daemon-reload")
        commands += [
            shlex.join(v.argv) for v in settling.validations if host.which(v.argv[0]) is not None
        ]
        commands += commands_of(host, settling.activations, targets)
        commands += unit_commands(targets)
    return SettlePlan(
        choice=settling.choice,
        items=tuple(items),
        steps=settling.steps,
        commands=tuple(dict.fromkeys(commands)),
        fingerprint=_fingerprint(settling),
    )


def _fingerprint(settling: Settling) -> str:
    """Changes with anything that would be done differently."""
    encode = partial(exact_json, encode=msgspec.json.Encoder(order="sorted").encode)
    digest = hashlib.sha256(encode((settling.choice, settling.steps)))
    for one in settling.things:
        key = (one.domain, one.key)
        target = settling.targets.get(key)
        digest.update(encode((key, _steady(one.now), _steady(target), key in settling.refused)))
    return digest.hexdigest()


def _steady(item: Item | None) -> object:
    """Without times and sizes, which are no difference."""
    if not isinstance(item, FileItem):
        return item
    return msgspec.structs.replace(item.state, mtime_ns=0, size_bytes=0)


def must_be_as_shown(settling: Settling, fingerprint: str | None) -> None:
    """Raise `SnapshotError` where what would be done is not what was shown."""
    if fingerprint not in (None, _fingerprint(settling)):
        raise SnapshotError(
            "The host has changed since this was shown; nothing was changed. Look at it again."
        )
