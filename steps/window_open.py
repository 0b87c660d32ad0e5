"""Opening a window: restore point, dumps, seals lifted, and what closes it is armed first.

window.json says "opening"     from here on whoever finds it goes back
units                          what closes it, or finishes what is cut off
dumps                          of the databases that were asked for
seals lifted                   each by an undo of its own
needrestart held back          by a transaction of its own
restore point                  of /etc and the trees, with content
window.json says "open"        from here on it counts
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from host import dumps as dumping
from host.base import HostError
from host.facts.applications import APPLICATIONS
from host.facts.running_versions import versions
from host.restore_test import free_bytes
from snapshots import window_units, windows
from snapshots.guard_switch import has_service_manager
from snapshots.model import Busy, SnapshotError
from steps import window_hold, window_seals, window_store
from steps.apply import interrupted
from steps.events import GuardEvent
from steps.listener import Listener
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED, ROLLED_BACK
from steps.resource import StepError
from steps.window_model import Dump, OpenPlan, Seal, Window
from steps.window_report import GOOD as AS_WANTED
from steps.window_work import Ended, at_work, install_units, listening, now, over, save, spoken

if TYPE_CHECKING:
    from steps.engine import Engine

SHORTEST_S: Final = 60
LONGEST_S: Final = 7 * 86400
FOR_S: Final = 4 * 3600

EXPECTED: Final = "expected a time between 1 minute and 7 days, such as 90m, 4h or 2d"

SECRETS: Final = (
    "src/config.inc.php", "config/system/settings.php", "config/system/additional.php",
    "typo3conf/LocalConfiguration.php", "typo3conf/AdditionalConfiguration.php",
    "public/typo3conf/LocalConfiguration.php", "public/typo3conf/AdditionalConfiguration.php",
    "wp-config.php", ".env", ".env.local",
)  # fmt: skip
"""Files of an application that hold the password of its database: restored, and never shown."""

_SPARE_BYTES: Final = 256 * 1024 * 1024


def seconds_of(text: str) -> int:
    """Seconds in "90m", "4h", "2d" or "3600s"; 0 for what is none, too short or too long."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]] if found else 0
    return seconds if SHORTEST_S <= seconds <= LONGEST_S else 0


def plan(engine: Engine, *, for_s: int, dumps: Sequence[str] = ()) -> OpenPlan:
    """What opening would do now; asks only."""
    deadline = (now() + timedelta(seconds=for_s)).isoformat()
    seals = window_seals.standing(engine)
    refusals = [reason for reason in (_in_the_way(engine),) if reason]
    if not refusals:
        refusals += _no_room(engine, seals)
        for database in dict.fromkeys(dumps):
            problem = dumping.refusal(engine.host, database, str(engine.state.path))
            if problem:
                refusals.append(f"No dump of {database} can be made: {problem}")
    notes = []
    if not seals:
        notes.append(
            "No seal stands on this host, so none is lifted; what changes is recorded all the same."
        )
    if not has_service_manager(engine.host):
        notes.append(
            "No systemd runs here, so nothing closes the window at its deadline by itself."
        )
    return OpenPlan(
        deadline=deadline,
        seals=seals,
        dumps=tuple(dict.fromkeys(dumps)),
        holds=window_hold.sentences(engine.host, engine.guarding.program),
        refusals=tuple(refusals),
        notes=tuple(notes),
    )


def run(engine: Engine, *, for_s: int, dumps: Sequence[str] = (), note: str = "") -> Ended:
    """See `steps.window.opening`."""
    try:
        with at_work(engine, "window open"):
            planned = plan(engine, for_s=for_s, dumps=dumps)
            if planned.refusals:
                engine.emit(GuardEvent(step="window.open", reasons=planned.refusals))
                problem = engine.record(
                    "window-refused", what="window open", reasons=list(planned.refusals)
                )
                said = f"Refused, nothing was changed: {planned.refusals[0]} {problem}"
                return REFUSED, said.rstrip(), []
            return _open(engine, planned, note)
    except Busy as error:
        return REFUSED, str(error), []


def _open(engine: Engine, planned: OpenPlan, note: str) -> Ended:
    began = now()
    window = Window(
        id="", state="opening", opened=began.isoformat(), deadline=planned.deadline,
        who=engine.user, note=note, seals=planned.seals, checklist=engine.checklist.name,
        folder=f"{began:%Y%m%dT%H%M%SZ}", made=window_units.missing(engine.host),
    )  # fmt: skip
    # Looked at while everything still is as it was.
    passing = tuple(one.id for one in engine.results() if one.status in AS_WANTED)
    trees = [root for seal in planned.seals for root in seal.roots]
    window = msgspec.structs.replace(
        window, passing=passing, versions=versions(engine.host, trees), ports=listening(engine)
    )
    window = save(engine, window)
    try:
        window = _prepare(engine, window, planned)
    except (HostError, StepError, OSError) as error:
        return abandon(engine, window_store.read(engine.state) or window, str(error))
    except BaseException:
        abandon(engine, window_store.read(engine.state) or window, "the program itself failed")
        raise
    window = save(engine, msgspec.structs.replace(window, state="open"))
    window_store.drop_others(engine.state, window.folder)
    problem = engine.record(
        "window-open", steps=list(window.steps), transaction=window.id, deadline=window.deadline,
        note=note, databases=[dump.database for dump in window.dumps],
    )  # fmt: skip
    lifted = f"Lifted: {', '.join(window.steps)}." if window.steps else "No seal stood."
    alone = has_service_manager(engine.host)
    then = "at that time it closes by itself" if alone else "nothing closes it by itself here"
    sentence = (
        f"The update window is open until {spoken(window.deadline)}. {lifted} Close it with"
        f" `harden-tui window close`; {then}. {problem}"
    )
    return NEEDS_PERSON if problem else GOOD, sentence.rstrip(), [window.id]


def _prepare(engine: Engine, window: Window, planned: OpenPlan) -> Window:
    """All of it, in an order in which going back is possible at every point. Raises `HostError`."""
    listener = Listener(engine.emit, engine.redact)
    listener.doing("arming what closes the window at its deadline")
    install_units(engine, window)
    folder = window_store.make_folder(engine.state, window.folder)
    for number, database in enumerate(planned.dumps):
        path = str(folder / f"{number}-{re.sub(r'[^A-Za-z0-9_.-]', '_', database)}.sql")
        kept = dumping.dump(engine.host, database, path, listener.doing)
        dump = Dump(database=database, path=path, bytes_=kept.bytes_, sha256=kept.sha256)
        window = save(engine, msgspec.structs.replace(window, dumps=(*window.dumps, dump)))
    ended, said, _ = window_seals.lift(engine, window.seals)
    if ended != GOOD:
        raise SnapshotError(said)
    hold = window_hold.take(engine)
    window = save(
        engine, msgspec.structs.replace(window, hold=hold, id=windows.new_id(engine.state))
    )
    windows.begin(
        engine.host,
        engine.state,
        window.id,
        user=engine.user,
        roots=window_seals.captured(window.seals),
        secrets=secrets_of(engine, window.trees),
        progress=listener,
    )
    return window


def abandon(engine: Engine, window: Window, reason: str) -> Ended:
    """Back to before a window that never came to be; may be repeated.

    Where not all is sealed again, the window's file stays, and so does what tries again.
    """
    engine.say("window.open", "rolling-back", reason)
    engine.facts.forget()
    ended, said, _ = window_seals.put_back(engine, window.seals)
    if ended == GOOD:
        ended, said, _ = window_hold.let_go(engine)
    if ended != GOOD:
        save(engine, msgspec.structs.replace(window, failed=said))
        engine.record(
            "window-open-failed", steps=list(window.steps), status="needs-person", reason=said
        )
        return NEEDS_PERSON, (
            f"The window was not opened ({reason}), and going back failed too: {said} Mend that,"
            " then run `harden-tui recover`; it is tried again each"
            f" {window_units.EVERY_MIN} minutes."
        ), []  # fmt: skip
    try:
        windows.discard(engine.state, window.id)
        window_store.drop_folder(engine.state, window.folder)
        over(engine, window, None)
    except (HostError, OSError) as error:
        return NEEDS_PERSON, f"The window was not opened ({reason}), and is sealed; but {error}", []
    problem = engine.record(
        "window-open-failed", steps=list(window.steps), status="rolled-back", reason=reason
    )
    engine.facts.forget()
    said = f"The window was not opened, and everything is sealed as before: {reason} {problem}"
    return ROLLED_BACK, said.rstrip(), []


def secrets_of(engine: Engine, trees: Iterable[str]) -> list[str]:
    """Where applications keep the password of their database."""
    tops = tuple(trees)
    found = [f"{tree}/{name}" for tree in tops for name in SECRETS]
    for application in engine.facts.get(APPLICATIONS):
        found += [path for path in application.config if path.startswith(tops)]
    return list(dict.fromkeys(found))


def _in_the_way(engine: Engine) -> str:
    window = window_store.read(engine.state)
    if window is not None and window.state == "open":
        return (
            f"An update window is open already, until {spoken(window.deadline)}. Close it with"
            " `harden-tui window close`, or move its deadline with `harden-tui window extend`."
        )
    if window is not None:
        return f"{window_store.WHAT[window.state]} was interrupted. Run `harden-tui recover` first."
    return interrupted(engine)


def _no_room(engine: Engine, seals: Iterable[Seal]) -> list[str]:
    """A restore point holds a copy of the trees, but for what the application writes."""
    roots = window_seals.captured(seals)
    if not roots:
        return []
    try:
        size = sum(_size(engine, root.path, root.without) for root in roots)
        free = free_bytes(engine.host, str(engine.state.path))
    except HostError as error:
        return [] if engine.host.is_practice else [str(error)]
    needed = size + _SPARE_BYTES
    if free >= needed:
        return []
    return [
        f"The restore point needs up to {needed // 1024**2} MiB, and below {engine.state.path}"
        f" {free // 1024**2} MiB are free. Make room, for example with `harden-tui history prune`."
    ]


def _size(engine: Engine, tree: str, without: Sequence[str]) -> int:
    left_out = [f"--exclude={path}" for path in without]
    answer = engine.host.run(
        ("du", "--summarize", "--one-file-system", "--block-size=1", *left_out, "--", tree),
        timeout_s=300.0,
    )
    return int(answer.stdout.split()[0])
