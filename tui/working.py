"""The app's dealings with the hands: checks, questions and runs, each in a thread of its own.

Threads never touch a widget; they post the frozen messages of `tui.messages`. They are daemons and
not Textual's workers, because a worker thread that waits would hold the terminal after the end.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from steps.drift_model import DriftReport
from steps.events import Done, DriftEvent, Event, FindingEvent, GuardEvent, Started, WindowEvent
from tui.board import Board, has_news
from tui.client import Call, Hands, wants_password
from tui.mends import QuietCrash
from tui.messages import Answered, Ended, Said
from tui.paths import xdg_state
from tui.running import Work, while_away
from tui.waiting import Waiting
from tui.wire import AtWork, HandsError, HistoryAnswer, PlanAnswer, StepsAnswer

T = TypeVar("T")

LOOK_AGAIN_S = 2.0
"""How often it is asked whether another session is still at work, where its run cannot be
followed."""

UNREAD = "What was changed here could not be read: 3 says why."

NOT_OURS = "What was done here is in root's record: b asks sudo once."
"""Without root the hands find a record of the person's own, which tells nothing of root's."""

Values = Mapping[str, Mapping[str, Any]]


class Working(QuietCrash):
    """What the app asks and hears."""

    hands: Hands
    board: Board

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.work: Work | None = None
        """The last piece of work, running or over."""
        self.work_is_ours = False
        self._followed: Work | None = None
        self._looks_again = False
        self._end_unseen = False
        """Its end was not in sight, and it was not looked at since: the header tells it."""
        self.waiting: Waiting | None = None
        """The change that waits for its confirmation."""
        self._check_saw_guard = False
        self._check_saw_drift = False
        self._calls: dict[str, Call] = {}
        self._check_again = False
        self._checks_all = True
        self._histories_asked = 0
        self._looked_after = 0
        self._asked: set[tuple[str, str]] = set()

    def redraw_soon(self) -> None:
        raise NotImplementedError

    def say(self, message: str, *, warn: bool = False) -> None:
        raise NotImplementedError

    def guard_said(self, call: str, event: GuardEvent) -> None:
        """A guard spoke."""

    def window_said(self, call: str, event: WindowEvent) -> None:
        """An update window came to be, changed or ended."""

    def check_began(self) -> None:
        """A check of the whole list was started."""

    def window_not_found(self) -> None:
        """A check found that no window is open."""

    def guard_not_found(self) -> None:
        """A check found that nothing is guarded."""

    def look_on(self) -> None:
        """Hear how it stands with what waits for its confirmation."""

    def work_in_sight(self) -> bool:
        """Whether what the work says is on the screen now."""
        return False

    def looking_on_ended(self, done: Done) -> None:
        """Nothing more is told about what waits."""

    def hint_at_guard(self) -> str:
        """That something waits, as far as it can be seen without root."""
        return ""

    def spawn(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True, name="hands").start()

    def listen(self, name: str, call: Call) -> None:
        """Follow a command's events; they come as `Said`, and at last one `Ended`."""
        self._calls[name] = call

        def follow() -> None:
            done = self.hands.follow(call, lambda event: self._post_said(name, event))
            if not call.closed:
                self.post_message(Ended(name, done))

        self.spawn(follow)

    def _post_said(self, name: str, event: Event) -> None:
        self.post_message(Said(name, event))

    def ask(
        self,
        question: str,
        about: str,
        arguments: Sequence[str],
        kind: type[T],
        *,
        values: Values | None = None,
    ) -> None:
        """Ask the hands; the answer comes as `Answered`. The same question is asked once."""
        if (question, about) in self._asked:
            return
        self._asked.add((question, about))

        def run() -> None:
            try:
                answer: Any = self.hands.ask(arguments, kind, values=values)
                problem = ""
            except HandsError as error:
                answer, problem = None, str(error)
            self.post_message(Answered(question, about, answer, problem))

        self.spawn(run)

    def expect(self, first_check: Call | None) -> None:
        """Know of the check that runs since before Textual was imported, to let go of it."""
        self.board.checking = True
        if first_check is not None:
            self._calls["check"] = first_check

    def start_listening(self, first_check: Call | None) -> None:
        """Hear what that check says from now on."""
        if first_check is None:
            self.start_check()
        else:
            self.listen("check", first_check)

    def start_check(self, steps: Sequence[str] = ()) -> None:
        """Check the whole list, or some steps of it; a check that runs is asked again after."""
        if "check" in self._calls:
            self._check_again = True
            return
        self.board.checking = True
        self._checks_all = not steps
        if self._checks_all:
            self.board.changed_by_others = False
        self._check_saw_guard = False
        self._check_saw_drift = False
        self.check_began()
        self._start("check", ["check", *steps])
        self.redraw_soon()

    def _start(self, name: str, arguments: Sequence[str], *, values: Values | None = None) -> bool:
        try:
            call = self.hands.start(arguments, "events", values=values)
        except HandsError as error:
            self.post_message(Ended(name, Done(exit=5, summary=str(error))))
            return False
        self.listen(name, call)
        return True

    def _check_ended(self, done: Done) -> None:
        if self.hands.rights == "sudo" and wants_password(done.summary):
            self.hands.rights = "user"
            self.start_check()
            hint = self.hint_at_guard()
            plain = "Checked as you are: some things only root may see. b asks sudo once."
            self.say(hint or plain, warn=bool(hint))
            return
        self.board.checking = False
        self.board.problem = "" if done.exit in (0, 1) else done.summary
        if self.board.problem:
            self.board.forget_drift(done.summary)
            self.say(done.summary, warn=True)
        if not self._check_saw_guard and done.exit in (0, 1):
            self.guard_not_found()
        if done.exit in (0, 1):
            self.window_not_found()
            if not self._check_saw_drift:  # nothing was ever changed here
                self.board.take_drift(DriftReport(), ())
            self.board.drift_seen = f"{datetime.now(UTC):%H:%M} UTC"
        if self._check_again:
            self._check_again = False
            self.start_check()
        if self._checks_all or not self.board.records_known:
            self.ask_history()
        else:
            self.look_at_history()
        if self.work is None and self.hands.rights != "user":
            self._start("follow", ["follow"])

    def ask_infos(self) -> None:
        self.ask("infos", "", ["steps", "list"], StepsAnswer)

    def ask_history(self) -> None:
        self._histories_asked += 1
        self.ask("history", "", ["history", "list"], HistoryAnswer)

    def look_at_history(self) -> None:
        """Ask for what another session may have changed; what is known is shown meanwhile.

        While something of ours goes on, or its end is asked for, that tells it.
        """
        unread = not self.board.records_known and not self.board.records_problem
        if unread or self.board.checking or self._changes_here():
            return
        if ("others", "") not in self._asked:
            self._looked_after = self._histories_asked
            self.ask("others", "", ["history", "list"], HistoryAnswer)

    def _changes_here(self) -> bool:
        return self.waiting is not None or bool({"work", "guard", "follow"} & self._calls.keys())

    def said_of_others(self) -> str:
        """What the rule says while another session changes the host, and after it did."""
        others = self._others()
        if others is not None:
            shown = "; o shows it" if self.work is not None and self.work.run == others.run else ""
            return f"Another session is at work ({others.what}){shown}."
        changed = self.board.changed_by_others
        return "Another session changed this host; r checks again." if changed else ""

    def why_unread(self) -> str:
        """Where to read why it is not known what was changed; "" where it is."""
        if not self.board.records_problem:
            return ""
        return NOT_OURS if self.hands.rights == "user" else UNREAD

    def _others(self) -> AtWork | None:
        """Who else was at work when the history was read, and has not ended since."""
        others = self.board.at_work if self.hands.rights != "user" else None
        if others is None or self.work is None or not others.run or others.run != self.work.run:
            return others
        return None if self.work.is_over or self.work_is_ours else others

    def ask_plan(self, step_id: str) -> None:
        self.ask("plan", step_id, ["plan", step_id], PlanAnswer)

    def why_not_change(self) -> str:
        """Why nothing can be changed now; empty if it can."""
        if self.waiting is not None:
            return f"{self.waiting.sentence}: c answers that first."
        if self.work is not None and not self.work.is_over:
            return f"Wait: {self.work.state_line()}."
        if self.hands.rights == "user":
            return "Changing the host needs root: b lets sudo ask for your password once."
        if self._others() is not None:
            return f"Wait: {self.said_of_others()}"
        if self.board.interrupted():
            return "An earlier change was interrupted: R recovers it first."
        return ""

    def start_work(
        self, title: str, arguments: Sequence[str], *, values: Values | None = None
    ) -> None:
        """Start what changes the host; it goes on whatever happens to this screen."""
        self.work = Work(title)
        self.work_is_ours = True
        self._end_unseen = False
        self._start("work", arguments, values=values)
        self.redraw_soon()

    def work_line(self) -> str:
        """The state line of the header."""
        if self.waiting is not None:
            return "waits for you (c)"
        if self.hands.rights == "user" and self.hint_at_guard():
            return "something waits (b)"
        if self.work is not None and not self.work.is_over:
            return self.work.state_line()
        root = self.hands.rights != "user"
        if self._others() is not None:
            return "another session is at work"
        if root and self.board.interrupted():
            return "interrupted: R recovers"
        if self._end_unseen and self.work is not None and self.work.done is not None:
            return while_away(self.work.done.exit, root=root)
        return "checking…" if self.board.checking else ""

    def needs_attention(self) -> bool:
        done = self.work.done if self.work else None
        return bool(self.waiting or self.board.interrupted() or (done and done.exit))

    def on_said(self, message: Said) -> None:
        event = message.event
        if isinstance(event, FindingEvent):
            if message.call != "follow":
                self.board.take_result(event.result)
        elif isinstance(event, GuardEvent):
            self._check_saw_guard |= message.call == "check"
            self.guard_said(message.call, event)
        elif isinstance(event, WindowEvent):
            self.window_said(message.call, event)
        elif isinstance(event, DriftEvent):
            self._check_saw_drift |= message.call == "check"
            self.board.take_drift(event.drift, event.asked)
        elif isinstance(event, Started) and message.call == "check" and not self.board.infos:
            self.board.take_order(event.steps)
            self.ask_infos()  # not before: a new practice host is built by the first who asks
        if message.call == "follow" and isinstance(event, Started):
            self.work = self._followed = Work("")
            self.work_is_ours = self._end_unseen = False
        told = self._followed if message.call == "follow" else self.work
        if message.call in ("work", "follow") and told is not None:
            told.take(event)
            self.work_changed()
        self.redraw_soon()

    def on_ended(self, message: Ended) -> None:
        self._calls.pop(message.call, None)
        if message.call == "check":
            self._check_ended(message.done)
        elif message.call == "follow":
            self._follow_ended(message.done)
        elif message.call == "guard":
            self.looking_on_ended(message.done)
        elif message.call == "work" and self.work is not None:
            self.work.take(message.done)
            self._end_unseen = bool(message.done.exit) and not self.work_in_sight()
            if wants_password(message.done.summary):
                self.hands.rights = "user"
                self.say("sudo wants your password again, nothing was changed: press b.", warn=True)
            else:
                self.say(message.done.summary, warn=bool(message.done.exit))
                self._after_work()
            self.work_changed()
        self.redraw_soon()

    def _follow_ended(self, done: Done) -> None:
        followed, self._followed = self._followed, None
        if followed is None or followed is not self.work:  # there was no run yet
            self._look_again()
            return
        seen = followed.run == _last_seen()
        followed.take(done)
        if seen:
            self.work_is_ours = True
            self._look_again()
        else:
            self._end_unseen = not self.work_is_ours and not self.work_in_sight()
            remember_seen(followed.run)
            self._after_work()
        self.work_changed()

    def _after_work(self) -> None:
        if self.work is not None:
            remember_seen(self.work.run)
        self.board.forget_plans()
        self._asked.discard(("history", ""))
        self.ask_history()
        self.start_check()

    def work_end_seen(self) -> None:
        """A person looks at how it ended."""
        if self._end_unseen and self.work is not None and self.work.is_over:
            self._end_unseen = False
            self.redraw_soon()

    def work_changed(self) -> None:
        """The work said something; the app shows it where it is looked at."""

    def on_answered(self, message: Answered) -> None:
        self._asked.discard((message.question, message.about))
        if wants_password(message.problem):
            self.hands.rights = "user"
            self.say("sudo wants your password again: press b.", warn=True)
            if message.question in ("history", "others"):
                self.board.miss_records(NOT_OURS)
            self.redraw_soon()
            return
        handler = getattr(self, f"_answered_{message.question}", None)
        if handler is not None:
            handler(message)
        self.redraw_soon()

    def _answered_infos(self, message: Answered) -> None:
        if message.answer is not None:
            self.board.take_infos(message.answer.steps)
            self.board.take_guides(message.answer.guides)
        elif not self.board.checking:
            self.say(message.problem, warn=True)

    def _answered_history(self, message: Answered) -> None:
        self._take_history(message)

    def _take_history(self, message: Answered) -> bool:
        """What it says of the host; false where it was not read, or is not root's."""
        answer: HistoryAnswer | None = message.answer
        if answer is None:
            self.board.miss_records(message.problem)
            self._look_again()
            return False
        if answer.own_record:
            self.board.miss_records(NOT_OURS)
            return False
        self.board.take_records(
            answer.transactions, guarded=bool(answer.waits), at_work=answer.at_work
        )
        if self._changes_here():
            return True
        if answer.at_work is not None:
            if not answer.at_work.run or not self._start("follow", ["follow", answer.at_work.run]):
                self._look_again()
        elif answer.waits:
            self.look_on()
        return True

    def _look_again(self) -> None:
        """Soon, as long as somebody else is at work and nothing here tells of it."""
        if self.board.at_work is None or self._looks_again:
            return

        def look() -> None:
            self._looks_again = False
            self.look_at_history()

        self._looks_again = True
        self.set_timer(LOOK_AGAIN_S, look)

    def _answered_others(self, message: Answered) -> None:
        if self._looked_after != self._histories_asked or self._changes_here():
            return  # what is asked since is newer
        known = self.board.records if self.board.records_known else None
        if self._take_history(message) and known is not None:
            self.board.changed_by_others |= has_news(known, message.answer.transactions)

    def _answered_plan(self, message: Answered) -> None:
        self.board.plans[message.about] = (
            message.problem if message.answer is None else message.answer
        )

    def stop_listening(self) -> None:
        """Let go of everything that only asks; what changes the host was detached long ago."""
        for call in self._calls.values():
            call.close()


def _last_seen() -> str:
    try:
        return (xdg_state() / "last-run-seen").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def remember_seen(run: str) -> None:
    """So that the next screen does not tell again how this run ended."""
    if not run:
        return
    path = xdg_state() / "last-run-seen"
    with contextlib.suppress(OSError):  # only a convenience: a read-only home is no failure
        os.makedirs(path.parent, mode=0o700, exist_ok=True)
        path.write_text(run + "\n", encoding="utf-8")
