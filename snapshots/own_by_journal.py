"""What of a host is one transaction's own, as its journal tells it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from snapshots.journal import BROUGHT, RETURNED, JournalLine, key_of
from snapshots.model import Key, TransactionRecord
from snapshots.programs import Reach, may_have_written, nothing, units_in
from snapshots.reached import Reached, both, of_change, of_keys, with_twin
from snapshots.records import Records


class Own(NamedTuple):
    """What one transaction changed.

    `named` it said before; `written` are files that programs of it wrote; so far as `reach` it may
    have changed more. `units` it had systemd start or stop. `cut_off` is what did not come to its
    end, as the journal describes it, "" where all did; it `may_have_written` these files.
    """

    named: frozenset[Key]
    written: frozenset[str]
    reach: Reached
    units: frozenset[str] = frozenset()
    cut_off: str = ""
    may_have_written: Callable[[str], bool] = nothing


def own_of(records: Records, record: TransactionRecord) -> Own | None:
    """What is its own, where nobody needs to guess: what it did is told to its end, and no
    package came or went with it. Else `None`.
    """
    named: set[Key] = {("files", path) for path in records.named_paths(record.id)}
    if record.status == "pending":
        changed = list(records.each_delta(record.id, {}))
        packages = any(delta.domain == "packages" for delta in changed)
        named |= {(delta.domain, delta.key) for delta in changed}
        # Half of a packet filter may let nobody in: its tables go back as a whole.
        filtered = with_twin(of_keys(key for key in named if key[0] == "firewall"))
        return None if packages else Own(frozenset(named), frozenset(), filtered)
    if not records.has_set_out(record.id):
        return Own(frozenset(), frozenset(), {})
    reached: Reached = {}
    written: set[str] = set()
    units: set[str] = set()
    began = ended = 0
    lines = records.journal_of(record.id)
    if not lines:
        return None  # it is lost: there is a first line before anything is done
    for line in lines:
        if line.what == "undo":  # as builds before this one began it
            return None
        if line.what in ("change", "rollback", "drift"):
            if line.reach is None:
                return None
            reached = both(reached, _reached(line, line.reach))
        if line.what == "change":
            units |= set(units_in(line.summary))
        began += line.what == "change" and not line.path
        ended += line.what == "wrote"
        if line.what in ("wrote", "rewrote"):
            written |= set(line.names or ())
        elif line.names is not None and line.what not in (BROUGHT, RETURNED):
            keys = {key_of(name) for name in line.names}
            named |= keys
            units |= {key for domain, key in keys if domain == "units"}
    cut_off = records.cut_off_line(record.id)
    if began != ended + bool(cut_off):
        return None
    own = Own(frozenset(named), frozenset(written), reached, frozenset(units))
    if cut_off is None:
        return own
    may = may_have_written(cut_off.summary, cut_off.kind, cut_off.place)
    return None if may is None else own._replace(cut_off=cut_off.summary, may_have_written=may)


def _reached(line: JournalLine, kinds: Collection[Reach]) -> Reached:
    """How far that may reach of which it tells, among these kinds."""
    if line.what == "change":
        return of_change(kinds, line.summary)
    named = of_keys(map(key_of, line.names or ()))
    return {kind: named.get(kind, None) for kind in kinds if kind != "units"}
