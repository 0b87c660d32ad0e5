"""One step on one host, and faults in the middle of applying it, undoing it and recovering it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from tests.faults.disks import DiskHost
from tests.faults.judge import Sides, judge, settled, side_told
from tests.faults.launch import Ended, Worker, killed_before_it_counts, let_through
from tests.faults.supervisor import Call, Decide
from tests.hosts.fingerprint import Fingerprint, differences

GUARD_LIMIT_S = 120.0
CLEAN_EVERY = 12
"""After so many points the step is applied and undone once without a fault."""

AtNumber = Callable[[int], Decide]
Mend = Callable[[], object]


def nothing() -> None:
    """Where the machine itself has no fault there is nothing to mend."""


class Tried(msgspec.Struct, frozen=True):
    """One point, at the call `number`. `side` is where the host was in the end; `problems` is empty
    if all held."""

    what: str
    fault: str
    number: int
    point: str
    side: str
    problems: tuple[str, ...]


class Field:
    """The host is in the state before the step whenever no method runs."""

    def __init__(self, worker: Worker, step: str, roots: tuple[str, ...] = ()) -> None:
        self.worker = worker
        self.step = step
        self.roots = roots
        self._meanwhile = ""
        self.clean("apply")  # the first captures of a host store a thousand contents more
        self.clean("rollback")
        before = self._look()
        self.calls = {"apply": self.clean("apply").calls}
        after = self._look()
        self.calls["rollback"] = self.clean("rollback").calls
        self.sides = Sides(before, after, roots)

    def clean(self, command: str) -> Ended:
        """Without a fault; must succeed."""
        ended = self.worker.run(command, self.step, decide=let_through)
        if ended.exit != 0:
            raise AssertionError(f"{command} {self.step} without a fault: {ended.said}")
        self.worker.confirm()
        return ended

    def under(
        self, command: str, fault: str, numbers: Iterable[int], at: AtNumber, mend: Mend = nothing
    ) -> Iterator[Tried]:
        """`command` with a fault at each of `numbers`, then recovered and judged.

        `mend` is what becomes of the machine after the fault (room on the disk, a boot) before it
        is recovered. Ends at once where the host was left between.
        """
        sides = self._sides(command)
        here = "before"
        for count, number in enumerate(numbers, 1):
            if command == "rollback" and here == "before":
                self.clean("apply")
            self._sync()
            ended = self.worker.run(command, self.step, decide=at(number))
            if ended.exit == 0:  # the fault did no harm: it is for a person to confirm
                self._confirm()
            guarded = self._mended(mend)
            one = self._judged(ended, sides, f"{command} {self.step}", fault, number, guarded)
            yield one
            if one.side == "between":
                return
            here = one.side if command == "apply" else _other(one.side)
            if command == "apply" and here == "after":
                self.clean("rollback")
                here = "before"
            elif count % CLEAN_EVERY == 0 and here == "before":
                self.clean("apply")
                self.clean("rollback")
        if here == "after":
            self.clean("rollback")

    def in_recover(
        self, fault: str, numbers: Iterable[int], at: AtNumber, mend: Mend = nothing
    ) -> Iterator[Tried]:
        """An apply killed when it was all but committed; its recover with a fault, and another."""
        for number in numbers:
            self.worker.run("apply", self.step, decide=killed_before_it_counts())
            self._sync()
            ended = self.worker.run("recover", decide=at(number))
            guarded = self._mended(mend)
            what = f"recover {self.step}"
            one = self._judged(ended, self.sides, what, fault, number, guarded)
            yield one
            if one.side == "between":
                return

    def calls_of_recover(self) -> list[Call]:
        """The writing calls of a recover without a fault."""
        self.worker.run("apply", self.step, decide=killed_before_it_counts())
        return self.worker.run("recover", decide=let_through).calls

    def recovered_meanwhile(self) -> None:
        """A recover before the machine is mended, which may fail; what it said counts."""
        done = self.worker.say("recover", "--yes")
        self._meanwhile = done.stdout + done.stderr

    def differs(self, side: str) -> list[str]:
        """How the host differs from that side."""
        wanted = self.sides.before if side == "before" else self.sides.after
        return differences(wanted, settled(self.worker.host, self.roots))

    def _judged(
        self,
        ended: Ended,
        sides: Sides,
        what: str,
        fault: str,
        number: int,
        guarded: bool = False,
    ) -> Tried:
        by_itself = self._taken_back_by_itself() if guarded else ""
        recovered = self.worker.say("recover", "--yes")
        said = by_itself + self._meanwhile + recovered.stdout + recovered.stderr
        self._meanwhile = ""
        taken_back = guarded and ended.exit == 0  # there was no way to confirm it
        exit_status = -1 if what.startswith("recover") or taken_back else ended.exit
        told = side_told(exit_status, ended.said, said)
        verdict = judge(self.worker, sides, told, f"exit {ended.exit}: {ended.said} / {said}")
        problems = list(verdict.problems)
        if recovered.returncode != 0 or "Traceback" in said + ended.said:
            problems.append(f"recover: exit {recovered.returncode}: {said}")
        point = point_told(ended.calls, number)
        return Tried(what, fault, number, point, verdict.side, tuple(problems))

    def _mended(self, mend: Mend) -> bool:
        """Whether something waited for its confirmation, and the machine booted meanwhile."""
        was_guarded, leader = self.worker.is_guarded, self.worker.host.leader
        mend()
        return was_guarded and self.worker.host.leader != leader

    def _confirm(self) -> None:
        """On a full or read-only disk the answer cannot be written down, which must be said. With
        room it is given again; without any, the change is taken back at the next boot."""
        refusal = self.worker.try_to_confirm()
        host = self.worker.host
        if not refusal:
            return
        is_kept = "is confirmed and kept" in refusal  # recover does the rest
        if not isinstance(host, DiskHost) or not (is_kept or "still waits" in refusal):
            raise AssertionError(f"confirm: {refusal}")
        if "Make room there" in refusal:
            host.make_room()
        if is_kept:
            completed = self.worker.say("recover", "--yes")
            if completed.returncode != 0 or self.worker.is_guarded:
                raise AssertionError(f"recover: {completed.stdout}{completed.stderr}")
        elif "Make room there" in refusal:
            self.worker.confirm()

    def _taken_back_by_itself(self) -> str:
        """What a guard said that took the change back after a boot; empty where none did."""
        if not isinstance(self.worker.host, DiskHost):
            return ""
        until_s = time.monotonic() + GUARD_LIMIT_S
        while self.worker.guard_is_to_act and time.monotonic() < until_s:
            time.sleep(0.2)
        return "" if self.worker.is_guarded else self.worker.say("follow").stdout

    def _sides(self, command: str) -> Sides:
        if command == "rollback":
            return Sides(self.sides.after, self.sides.before, self.roots)
        return self.sides

    def _look(self) -> Fingerprint:
        """What the host is; on a disk of its own after a boot, as after a fault there."""
        host = self.worker.host
        if isinstance(host, DiskHost):
            host.sync()
            host.start_again()
        return settled(host, self.roots)

    def _sync(self) -> None:
        if isinstance(self.worker.host, DiskHost):
            self.worker.host.sync()


def _other(side: str) -> str:
    return "after" if side == "before" else "before"


def point_told(calls: Sequence[Call], number: int) -> str:
    if len(calls) < number:
        return f"{number}: not reached"
    call = calls[number - 1]
    return f"{number}: {call.name} {call.target}"
