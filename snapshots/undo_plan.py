"""An undo as a person sees it before it happens."""

from __future__ import annotations

import hashlib
import os.path
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import msgspec

from host.base import Host
from host.names import exact_json, visible
from snapshots import in_reach, put_there
from snapshots.capture import Keeper
from snapshots.captured import is_locked, is_metadata_only
from snapshots.daemons import commands_of, unit_commands
from snapshots.decision import Decision, name_of
from snapshots.differences_text import between, metadata_change, side_text
from snapshots.domains import mounts
from snapshots.domains.packages import Package
from snapshots.inverse import is_present
from snapshots.inversion import Inversion
from snapshots.model import (
    RESOLUTIONS,
    UNRESOLVED,
    Item,
    Resolutions,
    Side,
    SnapshotError,
    TransactionRecord,
    UndoHow,
    UndoItem,
    UndoPlan,
)

NOT_READABLE = "it cannot be shown, because what is kept of its content is damaged"

MANY = 20
"""From here on files that change alike are shown as one line."""


class Impediments(msgspec.Struct, frozen=True):
    """Why things could not come back now, by key, and what that means for the whole undo, in
    sentences. `is_damage`: something that was kept is damaged or missing."""

    unfit: Mapping[str, str]
    cannot: str
    is_damage: bool = False


def plan_of(
    keeper: Keeper,
    inversion: Inversion,
    unfit: Mapping[str, str] | None = None,
    cannot: str = "",
) -> UndoPlan:
    """The plan, with a fingerprint that changes with anything that would be done differently.

    `unfit`: why things could not come back now, by key; `cannot`: what that means for the whole.
    """
    record = inversion.record
    commands = _commands(keeper.host, inversion)
    return UndoPlan(
        transaction=record.id,
        steps=record.steps,
        items=tuple(_with_misfits(_items(inversion), unfit or {})),
        commands=commands,
        fingerprint=_fingerprint(inversion, commands),
        cannot=cannot,
        title="" if record.is_of_steps else record.title,
        stays=_what_stays(keeper, inversion),
    )


def _what_stays(keeper: Keeper, inversion: Inversion) -> str:
    put = put_there.sentence(put_there.left_of(inversion))
    beside = in_reach.in_reach_of(keeper, inversion).stays
    return " ".join(filter(None, [put, in_reach.too_large(keeper.host, beside)]))


def fingerprint(host: Host, inversion: Inversion) -> str:
    """That of the plan, without what a person reads."""
    return _fingerprint(inversion, _commands(host, inversion))


def refusal(plan: UndoPlan, resolutions: Resolutions) -> str:
    """Why a plan cannot be done as it is, for a person: what is left in conflict, or does not fit
    or is missing; empty where nothing is."""
    if not plan.conflicts:
        return plan.cannot
    first = next((one for one in plan.conflicts if one.damaged), plan.conflicts[0])
    more = f" and {len(plan.conflicts) - 1} more" if len(plan.conflicts) > 1 else ""
    choice = resolutions.of(first.key, named=bool(first.damaged))
    if choice is not None and choice in first.cannot:
        return (
            f"{first.key}{more} cannot be undone with --{choice}: {first.cannot[choice]}. "
            "Nothing was touched. Choose another way for it, or settle it by hand."
        )
    if first.damaged:
        return _damaged(plan, first)
    if {*first.cannot} >= {"restore", "merge"}:
        return (
            f"{first.key}{more} cannot be undone now: {first.cannot['restore']}. Nothing was "
            "touched. With --keep-current it stays as it is, for good."
        )
    typed = plan.name if len(plan.steps) == 1 and not plan.title else plan.transaction
    since = "it was settled" if plan.title else f"{plan.name} was applied"
    return (
        f"{first.key}{more} was changed by somebody else since {since}, in the same "
        f"place; nothing was touched. See the sides with `harden-tui rollback {typed} --dry-run`, "
        "then choose --keep-current, --restore or --merge."
    )


def _damaged(plan: UndoPlan, first: UndoItem) -> str:
    """Why something stands in the way whose kept content is damaged, and the ways out."""
    others = len([one for one in plan.conflicts if one.damaged]) - 1
    more = f" (and {others} more)" if others else ""
    path = shlex.quote(visible(first.key))
    ways = [f"--{way}={path}" for way in RESOLUTIONS if way not in first.cannot]
    return (
        f"{plan.name} ({plan.transaction}) cannot be undone as it is: {first.damaged}{more};"
        " nothing of it was touched. Put that back from a backup of the state directory, or choose"
        f" {' or '.join(ways)}: --keep-current leaves the file as it is now, for good, and all else"
        " is undone."
    )


def named(record: TransactionRecord) -> str:
    """A transaction by its steps and its id."""
    return f"{name_of(record)} ({record.id})"


def why_left_out(plan: UndoPlan, resolutions: Resolutions, met: Impediments) -> str:
    """Why this stays where everything is undone: what it needs is damaged, and nothing was chosen
    for that; empty where it need not stay."""
    damaged = [one for one in plan.conflicts if one.damaged]
    if any(resolutions.of(one.key, named=True) is None for one in damaged):
        return refusal(plan, UNRESOLVED)
    return met.cannot if met.is_damage else ""


def left_out(record: TransactionRecord, why: str) -> UndoPlan:
    """The plan of one that stays where everything else is undone; `why` in sentences."""
    digest = hashlib.sha256(f"left out {record.id} {why}".encode())
    return UndoPlan(
        transaction=record.id,
        steps=record.steps,
        items=(),
        commands=(),
        fingerprint=digest.hexdigest(),
        title="" if record.is_of_steps else record.title,
        left_out=why,
    )


def _with_misfits(items: Iterable[UndoItem], unfit: Mapping[str, str]) -> Iterator[UndoItem]:
    for item in items:
        why = unfit.get(item.key, "")
        yield msgspec.structs.replace(item, note=f"cannot come back now: {why}") if why else item


def _items(inversion: Inversion) -> list[UndoItem]:
    read = inversion.contents.get
    groups: dict[tuple[UndoHow, str, str], list[Decision]] = {}
    single: list[Decision] = []
    # In a sealed tree the same few pairs of states come 50,000 times.
    changes: dict[tuple[int, int], str] = {}
    for decision in inversion.decisions:
        delta = decision.delta
        if delta.domain == "files" and is_metadata_only(delta.after) and not decision.disputed:
            now, target = inversion.now(decision.delta), decision.target
            what = ""
            if decision.changes:
                pair = (id(now), id(target))
                if pair not in changes:
                    changes[pair] = metadata_change(now, target)
                what = changes[pair]
            groups.setdefault((decision.how, what, decision.note), []).append(decision)
        else:
            single.append(decision)
    items = []
    for (how, what, note), decisions in groups.items():
        if len(decisions) < MANY:
            single += decisions
            continue
        keys = [decision.delta.key for decision in decisions]
        items.append(
            UndoItem(
                domain="files",
                key=_common(keys),
                how=how,
                diff=f"{len(keys)} files: {what}" if what else "",
                note=note or f"{len(keys)} files",
                later=_later(decisions),
            )
        )
    items += [_item(inversion, decision, read) for decision in single]
    return sorted(items, key=lambda item: (item.domain, item.key))


def _item(inversion: Inversion, decision: Decision, read: Callable[[str], bytes]) -> UndoItem:
    delta = decision.delta
    now = inversion.now(delta)
    item = UndoItem(
        domain=delta.domain,
        key=delta.key,
        how=decision.how,
        diff=_between(delta.key, now, decision.target, read) if decision.changes else "",
        note=_note(decision),
        later=_later([decision]),
    )
    if decision.disputed:
        states = [("before", delta.before), ("now", now), ("after", delta.after)]
        states += [(f"found by {name_of(c.by)}", c.found) for c in decision.clashes if c.by]
        return msgspec.structs.replace(
            item,
            chosen=decision.chosen,
            sides=tuple(Side(label, _side(state, read)) for label, state in states),
            did=_between(delta.key, delta.before, delta.after, read),
            since="\n".join(_between(delta.key, c.left, c.found, read) for c in decision.clashes),
            found_by=tuple(name_of(clash.by) for clash in decision.clashes if clash.by),
            cannot=decision.cannot,
            damaged=decision.damaged,
        )
    if delta.domain == "kernel" and decision.changes and is_locked(delta.key, now):
        note = "the kernel takes this back only at the next boot"
        return msgspec.structs.replace(item, note=note)
    return item


def _note(decision: Decision) -> str:
    if not decision.damaged:
        return decision.note
    if decision.how == "conflict":
        return f"{decision.damaged}; --keep-current leaves it as it is now"
    return f"{decision.note}; {decision.damaged}"


def _between(
    key: str, before: Item | None, after: Item | None, read: Callable[[str], bytes]
) -> str:
    """What is different; where a kept content is damaged, that it cannot be shown."""
    try:
        return between(key, before, after, read)
    except SnapshotError:
        return f"{key}: {NOT_READABLE}"


def _side(item: Item | None, read: Callable[[str], bytes]) -> str:
    try:
        return side_text(item, read)
    except SnapshotError:
        return f"({NOT_READABLE})"


def _later(decisions: Iterable[Decision]) -> tuple[str, ...]:
    """The steps that inherit, as a person knows them, oldest first."""
    heirs = {heir.id: name_of(heir) for decision in decisions for heir in decision.heirs}
    return tuple(dict.fromkeys(heirs[key] for key in sorted(heirs)))


def _commands(host: Host, inversion: Inversion) -> tuple[str, ...]:
    by_domain: dict[str, list[Decision]] = {}
    for decision in inversion.decisions:
        if decision.changes:
            by_domain.setdefault(decision.delta.domain, []).append(decision)
    commands = []
    purge = sorted(d.delta.key for d in by_domain.get("packages", []) if d.target is None)
    remove = sorted(d.delta.key for d in by_domain.get("packages", []) if _is_left(d.target))
    again = {d.delta.key for d in by_domain.get("packages", []) if is_present(d.target)}
    if remove:
        there = inversion.current.get("packages", {})
        with_them = {name for name in purge if Package.of(there.get(name)) is not None}
        commands.append("dpkg --remove " + " ".join(sorted({*remove, *with_them})))
    if purge:
        commands.append("dpkg --purge " + " ".join(purge))
    if again:
        kept = " ".join(sorted(again - inversion.besides.keys()))
        commands.append(f"apt-get install {kept} (from the kept packages)")
    if inversion.besides:
        needed = " ".join(sorted(inversion.besides))
        commands.append(f"apt-get install {needed} (with them, from the host's sources)")
    if (
        remove
        or purge
        or again
        or any("/systemd/" in d.delta.key for d in by_domain.get("files", []))
    ):
        commands.append("systemctl daemon-reload")
    for decision in by_domain.get("kernel", []):
        value = getattr(decision.target, "value", "")
        key = decision.delta.key
        commands.append(mounts.command(key, value) or f"sysctl -w {key}={value}")
    for validation in inversion.record.validations:
        if host.which(validation.argv[0]) is not None:
            commands.append(shlex.join(validation.argv))
    targets = {
        (d.delta.domain, d.delta.key): d.target
        for domain in ("files", "units")
        for d in by_domain.get(domain, [])
    }
    commands += commands_of(host, inversion.record.activations, targets)
    tables = {decision.delta.key.partition(" ")[0] for decision in by_domain.get("mariadb", [])}
    cells = sorted(name for name in tables if not name.startswith("mysql."))
    if cells:
        commands.append(f"MariaDB> (rows of {', '.join(cells)})")
    if len(tables) > len(cells):
        commands.append("MariaDB> (rows of accounts and grants); FLUSH PRIVILEGES;")
    commands += unit_commands(targets)
    return tuple(dict.fromkeys(commands))


def _is_left(target: Item | None) -> bool:
    """Whether only the configuration of a package shall be there."""
    return target is not None and not is_present(target)


def _fingerprint(inversion: Inversion, commands: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    encode = partial(exact_json, encode=msgspec.json.Encoder(order="sorted").encode)
    digest.update(encode((inversion.record.id, commands)))
    targets: dict[int, bytes] = {}
    for decision in inversion.decisions:
        delta = decision.delta
        digest.update(encode((delta.domain, delta.key, decision.how)))
        if decision.chosen:  # what is given up, or stays, was shown
            found = [_stable(clash.found) for clash in decision.clashes]
            digest.update(encode((decision.chosen, _stable(inversion.now(delta)), found)))
        target = decision.target if decision.changes else None
        text = targets.get(id(target))
        if text is None:
            text = targets[id(target)] = encode(_stable(target))
        digest.update(text)
    for tx_id in sorted(inversion.rebased):
        for key, rebased in sorted(inversion.rebased[tx_id].items()):
            digest.update(encode((tx_id, key, rebased is None)))
    return digest.hexdigest()


def _stable(item: object) -> object:
    """Without times, which are no difference."""
    state = getattr(item, "state", None)
    if state is None:
        return item
    return msgspec.structs.replace(state, mtime_ns=0, size_bytes=0)


def _common(paths: list[str]) -> str:
    """The deepest directory above all of them."""
    return os.path.commonpath(paths)
