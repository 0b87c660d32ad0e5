"""The transaction of an update window: a restore point at its start, another one at its end.

Between the two others change the host, packages and other transactions of ours included. The
record stands as "under-way" meanwhile, which nothing takes for an interruption; at the end the
difference becomes the transaction's, so that it is no drift, and can be undone like any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import msgspec

from host import scratch
from host.base import Host, HostError
from snapshots import settle
from snapshots.capture import Keeper
from snapshots.captured import Captured, each_difference, same
from snapshots.decision import by_key
from snapshots.durable import sync_directory
from snapshots.model import (
    Activation,
    Delta,
    Key,
    Root,
    SnapshotError,
    TransactionRecord,
    Validation,
)
from snapshots.opening import changing
from snapshots.points import point_after, point_before
from snapshots.progress import Progress
from snapshots.reach import mounts_below
from snapshots.records import LIST, ORIGINAL, Records, now_text
from snapshots.state import StateDir

TITLE = "Update window"


def new_id(state: StateDir) -> str:
    """For the next window's transaction; call it with the lock held, before `begin`."""
    return Records(state).create_id()


def begin(
    host: Host,
    state: StateDir,
    tx_id: str,
    *,
    user: str,
    roots: Iterable[Root],
    secrets: Iterable[str],
    progress: Progress,
) -> None:
    """Take the restore point of the start. Raises `HostError`; `discard` takes away what is there.

    `secrets`: files whose content is shown nowhere, also of those that only come during the window;
    what they hold is kept apart, so that it can come back.
    """
    records = Records(state)
    roots = tuple(roots)
    record = TransactionRecord(
        id=tx_id, kind="window", steps=(), title=TITLE, status="under-way", started=now_text(),
        user=user, roots=roots, mounted=tuple(sorted(mounts_below(host, roots))),
    )  # fmt: skip
    with changing(host, state, "window open", progress):
        keeper = Keeper(host, state)
        paths = list(secrets)
        try:
            # Before anything is captured: no copy of them shall lie among the others.
            keeper.secret_paths.register([*keeper.secret_paths.paths, *paths])
            for path in paths:
                there = host.state(path)
                if there is not None and there.kind == "file":
                    keeper.secret_paths.keep_content(host, path)
            before = keeper.capture(record.roots, progress)
            progress.doing("writing the restore point")
            keeper.write(point_before(tx_id), record.roots, before)
            records.write(record)
            records.journal(tx_id, "change", "the window was opened")
            for path in paths:
                records.journal(tx_id, "change", f"{path} is secret", path=path, secret=True)
        except OSError as error:
            keeper.store.forget()
            raise SnapshotError(
                f"The restore point could not be written to {state.path}: {error.strerror}. Make"
                " room there, for example with `harden-tui history prune`."
            ) from None
        except HostError:
            keeper.store.forget()
            raise


def finish(host: Host, state: StateDir, tx_id: str, progress: Progress) -> TransactionRecord:
    """Take the restore point of the end; what differs is what the window changed.

    It also tells what it did not change but transactions in it did.
    May be repeated after `reopen`, or where it was cut off. Raises `HostError`: it is under way
    still.
    """
    records = Records(state)
    with changing(host, state, "window close", progress):
        record = records.read(tx_id)
        _forget_end(state, tx_id)
        keeper, deltas = _now(host, state, record, progress)
        try:
            records.write_deltas(tx_id, deltas)
            if any(tx_id in one.rebased for one in records.all()):
                records.keep_original(tx_id)
            validations, activations = daemons_of(deltas)
            record = msgspec.structs.replace(
                record, status="committed", ended=now_text(), validations=validations,
                activations=activations, journaled=records.journaled(tx_id),
                until=records.ids()[-1],
            )  # fmt: skip
            records.end(record)
        except OSError as error:
            keeper.store.forget()
            raise SnapshotError(
                f"What changed during the window could not be written to {state.path}:"
                f" {error.strerror}. Make room there, then close it again."
            ) from None
    return record


def told(
    before: Captured, after: Captured, inside: Iterable[Delta], roots: Iterable[Root] = ()
) -> list[Delta]:
    """What a window tells of, sorted: what differs, and what does not though transactions in it
    changed it (`inside`). Pure.

    Its own undo leaves the latter alone. But an undo of an earlier transaction may change what
    would have stood at its start and not at its end, or the other way. Of what was not captured,
    outside of /etc and `roots`, nothing is told.
    """
    found: dict[Key, Delta] = {}
    tops = ("/etc/", *(f"{root.path.rstrip('/')}/" for root in roots))
    for delta in inside:
        domain, key = delta.domain, delta.key
        if domain == "files" and not f"{key}/".startswith(tops):
            continue
        if domain == "mariadb" and not (before.get(domain) and after.get(domain)):
            continue
        began, ended = (side.get(domain, {}).get(key) for side in (before, after))
        if same(began, ended):
            found[domain, key] = Delta(domain, key, began, ended)
    found.update(by_key(each_difference(before, after)))
    return [found[key] for key in sorted(found)]


def look(host: Host, state: StateDir, tx_id: str, progress: Progress) -> list[Delta]:
    """What changed since a window that is open was opened; nothing is written down."""
    keeper = Keeper(host, state)
    record = Records(state).read(tx_id)
    before = _start(keeper, record)
    try:
        after = keeper.capture(record.roots, progress)
        return list(each_difference(before, after))
    finally:
        keeper.store.sync()  # so that the diffs can be shown


def reopen(state: StateDir, tx_id: str) -> None:
    """The window goes on after all; call it with the lock held."""
    records = Records(state)
    record = records.read(tx_id)
    if record.status == "committed":
        records.write(msgspec.structs.replace(record, status="under-way", ended="", until=""))
    _forget_end(state, tx_id)


def discard(state: StateDir, tx_id: str) -> None:
    """The window never came to be; nothing is left of its start. Call it with the lock held."""
    if not tx_id:
        return
    records = Records(state)
    where = records.where(tx_id)
    if where.exists():
        shutil.rmtree(where)
        sync_directory(records.path)
    _remove_point(state, point_before(tx_id))
    _remove_point(state, point_after(tx_id))
    settle.forget_secrets(state)


def daemons_of(deltas: Iterable[Delta]) -> tuple[tuple[Validation, ...], tuple[Activation, ...]]:
    """What an undo asks and reloads, for the configuration that changed. Pure."""
    changed = [delta.key for delta in deltas if delta.domain == "files"]
    asked: list[Validation] = []
    told: list[Activation] = []
    if any(path.startswith(("/etc/apache2/", "/etc/php/")) for path in changed):
        asked.append(Validation(("apache2ctl", "configtest")))
        told.append(Activation("restart", "apache2.service"))
    for version in sorted({path.split("/")[3] for path in changed if path.startswith("/etc/php/")}):
        told.append(Activation("restart", f"php{version}-fpm.service"))
    if any(path.startswith("/etc/ssh/") for path in changed):
        asked.append(Validation(("sshd", "-t")))
        told.append(Activation("reload", "ssh.service"))
    if any(path.startswith("/etc/mysql/") for path in changed):
        told.append(Activation("restart", "mariadb.service"))
    if any("/systemd/system/" in path for path in changed):
        told.insert(0, Activation("daemon-reload"))
    return tuple(asked), tuple(told)


def _now(
    host: Host, state: StateDir, record: TransactionRecord, progress: Progress
) -> tuple[Keeper, list[Delta]]:
    """Capture and write the restore point of the end."""
    keeper = Keeper(host, state)
    before = _start(keeper, record)
    after = keeper.capture_settled(record.roots, before, progress)
    progress.doing("writing the restore point")
    keeper.write(point_after(record.id), record.roots, after)
    records = Records(state)
    inside = (one.id for one in records.all() if one.id > record.id and one.in_force)
    changed = (delta for tx_id in inside for delta in records.each_delta(tx_id, {}))
    return keeper, told(before, after, changed, record.roots)


def _start(keeper: Keeper, record: TransactionRecord) -> Captured:
    """The state it began with. What held a secret then is secret still, whatever was undone or
    recovered meanwhile."""
    journal = Records(keeper.state).journal_of(record.id)
    keeper.secret_paths.register(line.path for line in journal if line.secret)
    before = keeper.points.load(point_before(record.id))
    settle.keyed(keeper, before["files"], keeper.secret_paths.paths)
    return before


def _forget_end(state: StateDir, tx_id: str) -> None:
    """Nothing is left of an end that was none; may be repeated after a crash in between."""
    where = Records(state).where(tx_id)
    for name in (ORIGINAL, LIST):
        (where / name).unlink(missing_ok=True)
    sync_directory(where)
    _remove_point(state, point_after(tx_id))


def _remove_point(state: StateDir, point_id: str) -> None:
    """Under another name first: half of a restore point must never be found."""
    if not (state.points / point_id).exists():
        return
    draft = state.points / f".{point_id}.{scratch.suffix()}"
    (state.points / point_id).rename(draft)
    sync_directory(state.points)
    shutil.rmtree(draft)
