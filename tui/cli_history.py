"""`history`: what was changed and undone, with its diffs; verifying and pruning restore points."""

from __future__ import annotations

import argparse
import difflib

import msgspec

from snapshots import guard as guards
from snapshots import history as past
from snapshots import intact
from snapshots.decision import name_of
from snapshots.guard import Guard
from snapshots.model import SnapshotError, TransactionRecord
from snapshots.state import Holder, StateDir
from snapshots.typed import by_number
from tui import output, runs
from tui.cli_change import ask, must_have_consent
from tui.config import LONGEST_KEPT_DAYS
from tui.failures import refused, usage
from tui.history_words import LET_GO, NOTHING_TOLD, chosen_for, left_to_it
from tui.options import Options
from tui.out import Out, note_whose
from tui.paths import is_root
from tui.session import open_state


def history(options: Options, arguments: argparse.Namespace) -> int:
    """List, show, verify or prune transactions; without root it is said whose they are."""
    out = Out()
    try:
        if arguments.what == "list":
            return _list(out, options)
        if arguments.what == "show":
            return _show(out, options, arguments.id)
        if arguments.what == "verify":
            return _verify(out, options)
        return _prune(out, options, arguments)
    finally:
        note_whose(practice=options.practice, root=is_root())


def _list(out: Out, options: Options) -> int:
    state = open_state(options)
    records, holder = _as_they_stand(state)
    guard = _waits(state)
    if options.format != "text":
        run = runs.of_process(options.state_dir, holder.pid) if holder is not None else ""
        out.json(
            {
                "schema": "harden-tui/history/1",
                "transactions": records,
                "at_work": None
                if holder is None
                else {**msgspec.structs.asdict(holder), "run": run},
                "waits": guard.called if guard is not None else (),
                "own_record": not options.practice and not is_root(),
            }
        )
        return 0
    _list_text(out, records)
    if holder is not None:
        said = (
            f"Another harden-tui is at work on this host: {holder}. `harden-tui follow` shows it."
        )
        output.wrapped(out, said, indent=0, role="warn")
    elif any(record.status == "open" for record in records):
        said = "What is open was interrupted: `harden-tui recover` takes it back."
        output.wrapped(out, said, indent=0, role="bad")
    if guard is not None:
        past_it = guards.told_of_deadline(state, guard)
        left = guards.spoken(guards.left_s(state, guard))
        waits = by_number(guard.called, "waits", "wait")
        said = (
            f"{', '.join(guard.called)} {waits} for your confirmation ({left} left): log in a"
            f" second time and run `{guard.typed} confirm` there, or"
            f" {by_number(guard.called, 'it is', 'they are')} taken back."
        )
        output.wrapped(out, past_it or said, indent=0, role="warn")
    elif holder is None and any(record.status == "pending" for record in records):
        said = "What is pending was never confirmed: `harden-tui recover` takes it back."
        output.wrapped(out, said, indent=0, role="bad")
    return 0


def _as_they_stand(state: StateDir) -> tuple[list[TransactionRecord], Holder | None]:
    """The transactions, and who is at work at what is not decided yet (`None`: nobody)."""
    records = past.transactions(state)
    holder = state.holder()
    if holder is None and any(record.status in ("open", "pending") for record in records):
        records = past.transactions(state)  # whoever was at work may have ended between the looks
    return records, holder


def _waits(state: StateDir) -> Guard | None:
    """What is taken back by itself unless it is confirmed; `None` where `recover` must do it."""
    try:
        guard = guards.read(state)
    except SnapshotError:
        return None
    if guard is None or guard.phase != "waiting" or guards.was_put_back_by_script(state):
        return None
    return guard


def _verify(out: Out, options: Options) -> int:
    """What is damaged, and what can still be undone."""
    state = open_state(options)
    problems = past.verify(state)
    standing = intact.standing(state, practice=options.practice)
    lost = [one for one in standing if not one.can_be_undone]
    if options.format != "text":
        out.json(
            {
                "schema": "harden-tui/history-verify/1",
                "problems": problems,
                "transactions": standing,
            }
        )
        return 1 if problems or lost else 0
    for problem in problems:
        output.wrapped(out, problem, indent=0, role="bad")
    if not problems and not lost and not past.transactions(state):
        out.line("Nothing was changed yet: there is no restore point to look at.")
        return 0
    if not problems and not lost:
        out.line("All restore points are whole.", "ok")
        return 0
    out.line()
    for one in standing:
        verdict = ("can be undone", "ok") if one.can_be_undone else ("CANNOT be undone", "bad")
        out.parts((f"{verdict[0]:<18}", verdict[1]), (", ".join(one.steps), "bold"),
                  (f"  {one.id}", "dim"))  # fmt: skip
        for why in one.why:
            output.wrapped(out, why, indent=18)
    if not standing:
        out.line("Nothing is in force that could be undone.")
    return 1


def _list_text(out: Out, records: list[TransactionRecord]) -> None:
    if not records:
        out.line("Nothing was changed yet.")
    for record in records:
        what = named(record)
        out.parts(
            (f"{record.started[:19].replace('T', ' ')}  ", "dim"),
            (f"{record.status:<12}  ", _role(record)),
            (what, "bold"),
            (f"  {record.id}", "dim"),
            (f"  {record.user}", "dim"),
        )
        if record.reason:
            output.wrapped(out, record.reason, indent=23)


def named(record: TransactionRecord) -> str:
    """What a transaction did, in a few words."""
    name = name_of(record)
    if not record.is_of_steps:
        name = name[:1].lower() + name[1:]
    if record.kind == "rollback":
        return f"undo of {name}"
    return f"apply {name}" if record.is_of_steps else name


def _role(record: TransactionRecord) -> str:
    return {"committed": "ok", "undone": "dim", "rolled-back": "warn"}.get(record.status, "bad")


def _show(out: Out, options: Options, name: str) -> int:
    state = open_state(options)
    records = past.transactions(state)
    wanted = find(records, name)
    detail = past.show(state, wanted.id)
    if options.format != "text":
        body = msgspec.to_builtins(detail)
        out.json({"schema": "harden-tui/transaction/1", **body})
        return 0
    _list_text(out, [wanted])
    for title, related in (("undoes", wanted.undoes), ("undone by", wanted.undone_by)):
        if related:
            out.line(f"  {title} {related}")
    for chosen in chosen_for(wanted.resolved):
        output.wrapped(out, f"chosen: {chosen}", indent=2, role="")
    out.line()
    if not detail.deltas:
        output.wrapped(out, NOTHING_TOLD[detail.told], indent=2)
    _deltas_text(out, detail.deltas)
    if detail.since is not None:
        since = detail.since
        if since.deltas:
            out.line()
            output.wrapped(out, left_to_it(since.undone), indent=0, role="warn")
            _deltas_text(out, since.deltas)
        if since.let_go:
            out.line()
            output.wrapped(out, LET_GO, indent=0, role="warn")
            _deltas_text(out, since.let_go)
    return 0


def _deltas_text(out: Out, deltas: tuple[past.ShownDelta, ...]) -> None:
    for delta in deltas:
        out.line(f"  {delta.domain}: {delta.key}")
        output.diff(out, delta.diff)


def find(records: list[TransactionRecord], name: str) -> TransactionRecord:
    """The transaction of that id, its beginning, or the latest of a step ("": the latest of all).

    Raises `Stop` (exit 2) with the nearest.
    """
    if not records:
        raise usage("Nothing was changed yet: there is no transaction to show.")
    if not name:
        return records[-1]
    fitting = [r for r in records if r.id == name] or [r for r in records if name in r.steps][-1:]
    fitting = fitting or [r for r in records if r.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise usage(f"{name} fits {len(fitting)} transactions; `history list` shows them.")
    known = [record.id for record in records] + [s for record in records for s in record.steps]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise usage(f"There is no transaction {name!r}.{hint} `history list` shows them.")


def _prune(out: Out, options: Options, arguments: argparse.Namespace) -> int:
    keep_days = options.keep_days if arguments.keep_days is None else arguments.keep_days
    if not 1 <= keep_days <= LONGEST_KEPT_DAYS:
        raise usage(f"--keep-days must be a number from 1 to {LONGEST_KEPT_DAYS}.")
    state = open_state(options)
    if arguments.dry_run:
        return _would_prune(out, options, keep_days)
    must_have_consent(arguments)
    if not arguments.yes:
        _must_be_settled(state)
        _going_text(out, past.going(state, keep_days), keep_days)
        ask("Prune?")
    with state.lock("history prune", 10.0):
        _must_be_settled(state)
        pruned = past.prune(state, keep_days)
    names = list(pruned or ())
    if options.format != "text":
        out.json({"schema": "harden-tui/history-prune/1", "pruned": names})
    else:
        _gone_text(out, {name.rpartition(".")[0] for name in names}, keep_days)
    return 0


def _must_be_settled(state: StateDir) -> None:
    """Raise `Stop` (exit 3) where it is not decided yet what can be undone."""
    records = past.transactions(state)
    if any(record.status == "open" for record in records):
        raise refused("A change was interrupted; nothing was pruned. Run `harden-tui recover`.")
    if any(record.status == "pending" for record in records):
        raise refused(guards.waiting(state))


def _would_prune(out: Out, options: Options, keep_days: int) -> int:
    state = open_state(options)
    _must_be_settled(state)
    going = past.going(state, keep_days)
    if options.format != "text":
        out.json({"schema": "harden-tui/history-prune-plan/1", "transactions": going})
    else:
        _going_text(out, going, keep_days)
    return 0


def _none_over(keep_days: int) -> str:
    return f"No transaction of more than {keep_days} days ago is over."


def _gone_text(out: Out, transactions: set[str], keep_days: int) -> None:
    sentence = _none_over(keep_days)
    if transactions:
        those = by_number([*transactions], "transaction", "transactions")
        they = by_number([*transactions], "It was", "They were")
        sentence = (
            f"The restore points and diffs of {len(transactions)} {those} are gone. {they} over"
            f" for more than {keep_days} days."
        )
    output.wrapped(out, sentence, indent=0, role="")


def _going_text(out: Out, going: list[TransactionRecord], keep_days: int) -> None:
    if not going:
        output.wrapped(out, _none_over(keep_days), indent=0)
        return
    output.wrapped(
        out,
        f"The restore points and diffs of these go: they are over for more than {keep_days} days."
        " All that can be undone now can be undone afterwards.",
        indent=0,
        role="",
    )
    _list_text(out, going)
