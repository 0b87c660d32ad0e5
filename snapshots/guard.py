"""What waits for a person's confirmation: one guard at a time, on the disk before its change.

STATE/guard/guard.json   what it covers (`Guard`)
STATE/guard/armed        it is to be taken back at the deadline; gone once it was confirmed
STATE/guard/deadline     when, in whole seconds since boot
STATE/guard/by-script    `guard.sh` put the restore points back without us
STATE/guard/incomplete   … but not all that was in them
STATE/guard/…            what `guard.sh` needs to take it back without us

Where STATE is full or read-only, `guard.sh` leaves its marks and its log in /run/harden-tui.

The time is that since boot (CLOCK_BOOTTIME, /proc/uptime): no clock that is set, or stands still,
can move it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from snapshots import kept_files, set_aside, sums
from snapshots.durable import private_directory, sync_directory, write_durably
from snapshots.model import Busy, SnapshotError
from snapshots.records import Records
from snapshots.set_aside import SPARE
from snapshots.settle import finish_settling, forget_secrets
from snapshots.state import StateDir
from snapshots.typed import TYPED, by_number

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
LOG: Final = "fired.log"


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """A change that is taken back unless somebody proves that the way in still works.

    `transactions` are "pending" or still open, oldest first. `phase`: "working" while it is being
    made, "waiting" for the confirmation, "confirmed" once that is decided. `since_s`
    (CLOCK_MONOTONIC) is when the host last took a change: a login counts if it came later.
    `connection` is the administrator's own, "address port", which does not count.
    """

    transactions: tuple[str, ...]
    steps: tuple[str, ...]
    phase: Literal["working", "waiting", "confirmed"]
    boot: str
    window_s: int
    user: str
    since_s: float = 0.0
    connection: str = ""
    login: str = ""
    """What it was confirmed by."""
    typed: str = TYPED
    """What a person types to start harden-tui for the host and state that it guards."""
    names: tuple[str, ...] = ()
    """What its transactions are called; empty where an older version wrote it."""

    @property
    def called(self) -> tuple[str, ...]:
        """What it covers, for a person: `steps`, and of an undo that it is one."""
        return self.names or self.steps

    @property
    def program(self) -> str:
        """`typed`, as it stands in the middle of a sentence."""
        return self.typed.removeprefix("sudo ")


def boottime_s() -> float:
    """Seconds since boot, those of suspension included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def this_boot() -> str:
    """What names this boot and no other."""
    return BOOT_ID.read_text(encoding="ascii").strip()


def directory(state: StateDir) -> Path:
    return state.path / "guard"


def read(state: StateDir) -> Guard | None:
    """The guard there is, whatever its phase; `None` where nothing is guarded.

    Raises `SnapshotError` where it cannot be read.
    """
    path = directory(state) / "guard.json"
    try:
        return msgspec.json.decode(sums.without_sum(kept_files.read(path)), type=Guard)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise SnapshotError(
            f"{path} cannot be read ({error}), so whether a change waits for its confirmation is "
            "not known; nothing was changed. `harden-tui recover` takes back what is not confirmed."
        ) from None


def is_damaged(state: StateDir) -> bool:
    """Whether there is a guard that nobody can read."""
    try:
        read(state)
    except SnapshotError:
        return os.access(directory(state) / "guard.json", os.R_OK)
    return False


def drop_damaged(state: StateDir) -> None:
    """What cannot be read was not confirmed, as far as anybody knows: what it guarded is taken
    back, its switch stays as it is until then."""
    if is_damaged(state):
        (directory(state) / "guard.json").unlink(missing_ok=True)
        sync_directory(directory(state))


def write(state: StateDir, guard: Guard) -> None:
    """Durable on return."""
    private_directory(directory(state))
    text = msgspec.json.format(msgspec.json.encode(guard)) + b"\n"
    write_durably(directory(state) / "guard.json", sums.with_sum(text))


def is_armed(state: StateDir) -> bool:
    """Whether it will be taken back at the deadline."""
    return (directory(state) / "armed").exists()


def was_put_back_by_script(state: StateDir) -> bool:
    """Whether the restore points were put back without us; our records do not say so yet."""
    return _is_marked(state, "by-script")


def _is_marked(state: StateDir, name: str) -> bool:
    """Whether `guard.sh` left this mark, in the state directory or, with the guard it is of, in
    /run."""
    place = directory(state)
    if (place / name).exists():
        return True
    try:
        names = b"".join((place / part).read_bytes() for part in ("points", "deadline"))
        return (SPARE / name).read_bytes() == names
    except OSError:
        return False


def told_of_script(state: StateDir) -> str:
    """What `guard.sh` did without us, the end of a sentence: all of it, or what it could."""
    told = "the restore points were put back by their restore.sh"
    return f"{told} but for what {_log(state)} names" if _is_marked(state, "incomplete") else told


def told_of_aside(state: StateDir, guard: Guard) -> str:
    """Where lies what the scripts set aside, a sentence; "" where nothing does."""
    points = [f"{tx_id}.before" for tx_id in guard.transactions]
    return set_aside.sentence(set_aside.places(state, points))


def _log(state: StateDir) -> Path:
    """What `guard.sh` said."""
    spare = SPARE / LOG
    return spare if os.access(spare, os.R_OK) else directory(state) / LOG


def told_of_deadline(state: StateDir, guard: Guard) -> str:
    """How it stands with a guard whose deadline has passed, in sentences; "" while it waits."""
    names = ", ".join(guard.called)
    recover = f"`{guard.program} recover`"
    if was_put_back_by_script(state):
        said = f"{names}: not confirmed, and {told_of_script(state)}. Run {recover} to complete it."
        return f"{said} {told_of_aside(state, guard)}".rstrip()
    if guard.phase == "confirmed":
        return ""
    if failed(state, guard):
        return (
            f"{names} could not be taken back completely; `{guard.program} history list` says why."
            f" Run {recover} to try it again."
        )
    if left_s(state, guard) > 0:
        return ""
    if not _is_being_taken_back(state):
        return (
            f"{names}: not confirmed before its deadline, and nothing takes it back at this moment."
            f" Unless that begins within a minute, run {recover}."
        )
    said = f"{names}: not confirmed before its deadline, and being taken back."
    if not os.access(SPARE / LOG, os.R_OK):
        return said
    return (
        f"{said} The disk was full or read-only, so it is tried again every minute; {SPARE / LOG}"
        f" names what is missing. Mend that, then it goes on by itself, or with {recover}."
    )


def _is_being_taken_back(state: StateDir) -> bool:
    """Whether `guard.sh` is at it: it holds this lock from the deadline on until all is over."""
    try:
        descriptor = os.open(directory(state), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def failed(state: StateDir, guard: Guard) -> bool:
    """Whether it was to go back, and some of it could not completely."""
    records = Records(state)
    known = filter(records.has_record, guard.transactions)
    statuses = {records.read(tx_id).status for tx_id in known}
    return "needs-person" in statuses and not statuses & {"open", "pending"}


def unfinished(state: StateDir) -> str:
    """Why nothing may be changed before `recover`: what was guarded went back, but not completely,
    or not by us; a sentence, "" where that is not so.

    What joined such a guard would be taken back by nobody. Raises `SnapshotError`.
    """
    guard = read(state)
    if guard is None or guard.phase == "confirmed":
        return ""
    return waiting(state) if was_put_back_by_script(state) or failed(state, guard) else ""


def why_fired(state: StateDir) -> str:
    """ "deadline" or "boot" where `guard.sh` takes it back, else empty."""
    try:
        return (directory(state) / "why").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def deadline_s(state: StateDir) -> float:
    """Seconds since boot at which it is taken back; 0 where that is not known."""
    try:
        return float((directory(state) / "deadline").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0


def left_s(state: StateDir, guard: Guard) -> float:
    """Seconds until the deadline, 0 where it has passed or another boot came in between."""
    if guard.boot != this_boot():
        return 0.0
    return max(0.0, deadline_s(state) - boottime_s())


def waiting(state: StateDir) -> str:
    """That nothing may be changed now, because something waits; a sentence for a person."""
    guard = read(state)
    if guard is None:
        return (
            "An earlier change was never confirmed; nothing was changed now. `harden-tui recover` "
            "takes it back."
        )
    what = f"{', '.join(guard.called)} {by_number(guard.called, 'waits', 'wait')}"
    past = told_of_deadline(state, guard)
    if past:
        return f"{past} Nothing was changed now."
    it = by_number(guard.called, "it", "them")
    return (
        f"{what} for your confirmation ({spoken(left_s(state, guard))} left); nothing was "
        f"changed now. Log in a second time and run `{guard.program} confirm` there, or take {it} "
        f"back with `{guard.program} recover`."
    )


def spoken(seconds: float) -> str:
    """ "4 min 10 s"."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def set_deadline(state: StateDir, seconds: float) -> None:
    """Take it back `seconds` from now. Durable on return."""
    write_durably(directory(state) / "deadline", b"%d\n" % int(boottime_s() + seconds))


@contextlib.contextmanager
def decisive(state: StateDir) -> Iterator[None]:
    """Nothing is taken back by `guard.sh` meanwhile. Raises `Busy` where it just is."""
    # The directory itself, as in guard.sh: nothing has to be written for it.
    descriptor = os.open(directory(state), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                "The change is being taken back at this moment, so it cannot be confirmed any "
                "more. `harden-tui follow` shows it; apply it again afterwards."
            ) from None
        yield
    finally:
        os.close(descriptor)


def confirm(state: StateDir, guard: Guard, login: str) -> None:
    """Decide that the change is kept: from here on nothing takes it back.

    Raises `Busy` where it is being taken back at this moment, or was.
    """
    with decisive(state):
        if not is_armed(state):
            raise Busy(
                "The change was taken back already, so there is nothing to confirm. "
                "`harden-tui history list` shows it."
            )
        write(state, msgspec.structs.replace(guard, phase="confirmed", login=login))
        (directory(state) / "armed").unlink()
        sync_directory(directory(state))


def keep_confirmed(state: StateDir) -> tuple[str, ...]:
    """Make what was confirmed count, also where whoever confirmed it was killed; what was kept.

    Call it with the lock held; it may be called at any time, and be repeated.
    """
    guard = read(state)
    if guard is None or guard.phase != "confirmed":
        return ()
    records = Records(state)
    for record in records.pending():
        records.write(msgspec.structs.replace(record, status="committed"))
    finish_settling(state)
    forget_secrets(state)
    return guard.transactions


def forget(state: StateDir) -> None:
    """Take the guard's own directory away. Its switch must be off."""
    place = directory(state)
    if place.is_dir():
        # First what would set it off, last what names it.
        (place / "armed").unlink(missing_ok=True)
        sync_directory(place)
        for name in ("by-script", "incomplete", LOG):
            with contextlib.suppress(OSError):
                (SPARE / name).unlink(missing_ok=True)
        shutil.rmtree(place)
        sync_directory(state.path)
