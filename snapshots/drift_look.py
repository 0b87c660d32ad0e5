"""Looking for drift: the host now against what harden-tui left. Asks only what it needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec

from host.base import Host, HostError
from host.local import LocalHost
from host.walk import StatCache
from snapshots import drift_accepted, drift_baseline, drift_carried
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.differences_text import between
from snapshots.domains.base import Domain, Scope
from snapshots.drift import Choice, Drifted, choices_of, compare, content_roots, touched, why_kept
from snapshots.drift_baseline import Baseline
from snapshots.drift_origin import Origin, origins
from snapshots.model import FileItem, Item, SnapshotError, TransactionRecord
from snapshots.records import Records
from snapshots.secret_paths import PREFIX
from snapshots.settle import keyed_item
from snapshots.state import StateDir


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that drifted, with everything a person is told of it.

    `cannot`: why it cannot be put back and what can be done, in whole sentences.
    """

    thing: Drifted
    origin: Origin
    diff: str
    choices: tuple[Choice, ...]
    cannot: str = ""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """What changed outside harden-tui.

    `transaction` is the last one, `since` its end (ISO 8601 UTC); both empty where there was none.
    `problem` says why it is not known, where it is not.
    """

    transaction: str = ""
    since: str = ""
    problem: str = ""
    seen: tuple[Seen, ...] = ()


def look(host: Host, state: StateDir) -> Drift:
    """Everything that drifted, with diffs. Nothing on the host is changed.

    Does not raise: where it cannot be known, `problem` says why.
    """
    try:
        records = Records(state).all()
        if any(one.status in ("open", "pending") for one in records) or _is_stuck(records[-1:]):
            return Drift(problem="a change is at work or was interrupted, so it is not known yet")
        keeper = Keeper(host, state)
        baseline = baseline_of(keeper)
        if baseline is None:
            return Drift()
        things = drifted(keeper, baseline)
        since = baseline.record.ended or baseline.record.started
        whose = origins(host, things, datetime.fromisoformat(since).timestamp())
        read = Reader(keeper)
        return Drift(
            transaction=baseline.record.id,
            since=since,
            seen=tuple(
                Seen(
                    thing=one,
                    origin=origin,
                    diff=read.diff(one),
                    choices=choices_of(one, secret=is_secret(one)),
                    cannot=why_kept(one, secret=is_secret(one)),
                )
                for one, origin in zip(things, whose, strict=True)
            ),
        )
    except (HostError, OSError) as error:
        return Drift(problem=str(error))


def _is_stuck(last: list[TransactionRecord]) -> bool:
    return any(record.status == "needs-person" for record in last)


def baseline_of(keeper: Keeper) -> Baseline | None:
    """What is expected of the host. Raises `SnapshotError`."""
    records = Records(keeper.state)
    everything = records.all()
    baseline = drift_baseline.find(
        keeper.points,
        keeper.store,
        everything,
        drift_baseline.standing_of(records, everything),
        drift_accepted.read(keeper.state),
        drift_carried.read(keeper.state),
    )
    if baseline is not None:
        for path in keeper.secret_paths.paths:  # what was captured before it became secret
            _key(keeper, baseline, path)
    return baseline


def drifted(keeper: Keeper, baseline: Baseline, now: Captured | None = None) -> list[Drifted]:
    """What is not as expected. `now`: the host as it was captured a moment ago, if it was."""
    if now is None:
        now = capture(keeper, baseline)
    return compare(baseline.items, baseline.expected, now, touched(baseline.standing))


def capture(keeper: Keeper, baseline: Baseline) -> Captured:
    """The kinds of state that matter, asked side by side; contents are hashed, not kept."""
    keeper.files.keeping = False
    wanted: list[Domain] = [one for one in keeper.domains if one.name in baseline.items]
    scope = Scope(content_roots(baseline.standing))
    try:
        with _remembered_hashes(keeper), ThreadPoolExecutor(len(wanted)) as pool:
            futures = {one.name: pool.submit(one.capture, keeper.host, scope) for one in wanted}
            return {name: future.result() for name, future in futures.items()}
    finally:
        keeper.files.keeping = True


class Reader:
    """Contents for diffs: the kept ones, and those on the host now."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def diff(self, one: Drifted) -> str:
        """What changed since harden-tui left it."""
        return self.between(one, one.before, one.now)

    def between(
        self,
        one: Drifted,
        before: Item | None,
        after: Item | None,
        made: Mapping[str, bytes] | None = None,
    ) -> str:
        """A unified diff; private keys and what is secret are not shown.

        `made`: contents by hash that exist nowhere yet.
        """
        known = self.reading(one)

        def read(sha256: str) -> bytes:
            return made[sha256] if made is not None and sha256 in made else known(sha256)

        return between(one.key, before, after, read)

    def reading(self, one: Drifted) -> Callable[[str], bytes]:
        """A content by its hash."""

        def read(sha256: str) -> bytes:
            if isinstance(one.now, FileItem) and one.now.state.sha256 == sha256:
                with contextlib.suppress(HostError):
                    return self._keeper.host.read_bytes(one.key)
            try:
                return self._keeper.store.get(sha256)
            except SnapshotError:
                return b"(the content is missing or was altered)\n"

        return read


def is_secret(one: Drifted) -> bool:
    """Whether its content is not ours to read."""
    return any(
        isinstance(item, FileItem) and item.state.sha256.startswith(PREFIX)
        for item in (one.before, one.now)
    )


def _key(keeper: Keeper, baseline: Baseline, path: str) -> None:
    item = baseline.items["files"].get(path)
    if item is not None:
        baseline.items["files"][path] = keyed_item(keeper, item)
    expected = baseline.expected.get(("files", path))
    if expected is not None:
        baseline.expected["files", path] = keyed_item(keeper, expected)


@contextlib.contextmanager
def _remembered_hashes(keeper: Keeper) -> Iterator[None]:
    """The hashes of earlier looks, so that only what changed is read."""
    host = keeper.host
    if not isinstance(host, LocalHost):
        yield
        return
    host.stat_cache = StatCache.load(keeper.state.hashes)
    yield
    host.stat_cache.forget(keeper.secret_paths.paths)  # those are remembered by a keyed hash only
    if host.stat_cache.learned:
        with contextlib.suppress(HostError):  # only a cache
            host.stat_cache.save(keeper.state.hashes)
