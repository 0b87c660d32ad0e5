"""Opening a transaction: both locks held, nothing interrupted before it, and a way back on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from host.base import Host, HostError
from snapshots import guard as guards
from snapshots import replaced, stale_marks, ucf, uncaptured
from snapshots.capture import Keeper
from snapshots.captured import TOO_LARGE, Captured, is_too_large
from snapshots.decision import name_of
from snapshots.dpkg import packages_held
from snapshots.durable import sync_directory
from snapshots.guard_switch import Switch, finish_confirmed
from snapshots.model import (
    Activation,
    DomainName,
    Root,
    SnapshotError,
    TransactionRecord,
    Validation,
    Worked,
)
from snapshots.points import point_before
from snapshots.progress import Progress
from snapshots.reach import mounts_below
from snapshots.records import Records, now_text
from snapshots.settle import finish_settling, register_secrets
from snapshots.state import StateDir
from snapshots.sweep import sweep
from snapshots.transaction import Transaction


def begin(
    host: Host,
    state: StateDir,
    *,
    steps: Iterable[str],
    title: str,
    user: str,
    roots: Iterable[Root] = (),
    validations: Iterable[Validation] = (),
    activations: Iterable[Activation] = (),
    packages: Iterable[str] = (),
    claims: Iterable[tuple[DomainName, str]] = (),
    secret_paths: Iterable[str] = (),
    named: Iterable[str] = (),
    worked: Callable[[], Worked | None] = lambda: None,
    progress: Progress,
    switch: Switch | None = None,
) -> Transaction:
    """Lock the host, capture what it is, make that durable, and open a transaction.

    `named` are the files that the changes name, as far as they are known: of these the content
    kept earlier is proved to be whole. With a `switch` the transaction is guarded: it is armed
    before anything is changed, and what is committed waits for a person's confirmation. `worked`
    is asked once the host is captured: a look at the host may go on beside that.

    Raises `Busy`, `SnapshotError` where an interrupted transaction stands in the way, `HostError`
    where the state cannot be captured, and what `worked` raises; nothing was changed then.
    """
    records, named = Records(state), frozenset(named)
    record = TransactionRecord(
        id="",
        kind="apply",
        steps=tuple(steps),
        title=title,
        status="open",
        started="",
        user=user,
        validations=tuple(validations),
        activations=tuple(activations),
        packages=tuple(packages),
        claims=tuple(claims),
        roots=tuple(roots),
    )
    with changing(host, state, title or "a change", progress, switch) as held:
        keeper = Keeper(host, state)
        keeper.files.about_to_change = named
        with way_back(keeper):
            besides = replaced.roots(host, record.packages, progress)
            record = msgspec.structs.replace(record, roots=(*record.roots, *besides))
            _require_way_back(host, named, record.roots)
            before = keeper.capture(record.roots, progress)
            _refuse_too_large(before, {*named, *(root.path for root in besides)})
            keeper.mariadb.keep()
            record = msgspec.structs.replace(record, worked=worked())
        return open_transaction(
            keeper, records, record, before, held.pop_all(), progress, tuple(secret_paths), switch
        )


def _require_way_back(host: Host, named: Iterable[str], roots: Iterable[Root]) -> None:
    why = uncaptured.of_paths(host, sorted(named), roots)
    if why:
        raise SnapshotError(f"{why[0]} Nothing was changed.")


def _refuse_too_large(before: Captured, named: Iterable[str]) -> None:
    for path in sorted(named):
        if is_too_large(before["files"].get(path)):
            raise SnapshotError(too_large(path))


def too_large(path: str) -> str:
    """Why it may not be written over nor removed."""
    return (
        f"{path} is {TOO_LARGE}, so its content cannot be kept for the way back; nothing was "
        "changed. Move it away, then try again."
    )


@contextmanager
def changing(
    host: Host, state: StateDir, what: str, progress: Progress, switch: Switch | None = None
) -> Iterator[ExitStack]:
    """Where a change may begin: both locks are held, nothing before it was interrupted.

    Yields what lets go of the locks; `pop_all` of it goes to `open_transaction`. Raises `Busy`,
    `SnapshotError`; nothing was changed then.
    """
    with ExitStack() as held:
        held.enter_context(state.lock(what))
        ready(host, state, switch)
        held.enter_context(packages_held(host, progress))
        yield held


@contextmanager
def way_back(keeper: Keeper) -> Iterator[None]:
    """Where contents are kept and nothing was changed yet: what goes wrong says so, and what was
    kept until then is dropped. Raises `HostError`."""
    try:
        yield
    except HostError:
        keeper.store.forget()
        raise
    except OSError as error:
        keeper.store.forget()
        raise _no_way_back(keeper, error) from None


def ready(host: Host, state: StateDir, switch: Switch | None = None) -> None:
    """Refuse where nothing may be changed now; call it with the lock held.

    What a `switch` covers already may wait for its confirmation: more of it joins it. Raises
    `SnapshotError`.
    """
    if not host.is_root:
        raise SnapshotError("Changes need root; nothing was changed. Start it with sudo.")
    finish_settling(state)
    finish_confirmed(host, state)
    joined = switch.joined if switch is not None else ()
    if any(record.id not in joined for record in Records(state).pending()):
        raise SnapshotError(guards.waiting(state))
    unfinished = guards.unfinished(state)
    if unfinished:
        raise SnapshotError(unfinished)
    interrupted = Records(state).open()
    if interrupted:
        first = interrupted[0]
        raise SnapshotError(
            f"An earlier change ({name_of(first)}) was "
            "interrupted and not taken back yet; nothing was changed now. Run `harden-tui recover`."
        )
    sweep(state)


def open_transaction(
    keeper: Keeper,
    records: Records,
    record: TransactionRecord,
    before: Captured,
    held: ExitStack,
    progress: Progress,
    secret_paths: tuple[str, ...] = (),
    switch: Switch | None = None,
) -> Transaction:
    """Make the way back durable, and only then say that the transaction is open.

    `record` gets its id, start and process here. Where a `switch` cannot be armed nothing was
    changed, and `HostError` is raised.
    """
    record = msgspec.structs.replace(
        record,
        id=records.create_id(),
        started=now_text(),
        pid=os.getpid(),
        mounted=tuple(sorted(mounts_below(keeper.host, record.roots))),
    )
    with held as on_failure:
        tables = ucf.tables(keeper.host)
        tables |= stale_marks.kept(keeper.host, before.get("packages", {}))
        progress.doing("writing the restore point")
        try:
            keeper.state.reserve()
            keeper.write(point_before(record.id), record.roots, before)
            records.write(record)
            records.journal(record.id, "begin", record.title)
            records.keep_tables(record.id, tables)
            # Only after the capture: what is in a file before it becomes secret is not secret.
            register_secrets(keeper, before, secret_paths)
        except OSError as error:
            keeper.store.forget()
            keeper.state.release()
            # The record first: one without its restore point could never be recovered.
            shutil.rmtree(records.where(record.id), ignore_errors=True)
            with suppress(OSError):
                sync_directory(records.path)
            shutil.rmtree(keeper.points.path / point_before(record.id), ignore_errors=True)
            raise _no_way_back(keeper, error) from None
        tx = Transaction(keeper, records, record, before, progress, on_failure.pop_all(), switch)
    if switch is not None:
        progress.doing("arming the dead-man's switch")
        try:
            switch.arm(record)
        except BaseException as error:
            tx.roll_back(str(error))
            raise
    return tx


def _no_way_back(keeper: Keeper, error: OSError) -> SnapshotError:
    return SnapshotError(
        f"The way back could not be written to {keeper.state.path}: {error.strerror}; "
        "nothing was changed on the host. Make room there, for example with "
        "`harden-tui history prune`, then try again."
    )
