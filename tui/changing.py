"""What a person sets going: apply, undo, skip, attest, values, root. Each shows and asks first."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from textual.app import SuspendNotSupported

from tui.messages import Answered
from tui.recovering import Recovering
from tui.text import Line, paragraph
from tui.views import preview
from tui.waiting import clock, left_s
from tui.wire import HandsError, PlanAnswer, StepInfo
from tui.working import Values

ATTESTED_DAYS = 365
"""An answer for what no program measures should be given again after a year."""


def to_ask(info: StepInfo, *, alone: bool) -> list[str]:
    """The values that are asked for before a step is applied: secrets, which are never kept, and
    what has none; what may be left empty only where the step is applied `alone`."""
    return [
        name
        for name, parameter in info.parameters.items()
        if (alone or not parameter.optional)
        and (
            name in info.missing
            or parameter.kind == "secret"
            or (parameter.optional and not info.values.get(name))
        )
    ]


class Changing(Recovering):
    """The flows behind the keys."""

    def begin_apply(self, steps: Sequence[str]) -> None:
        """Values that are missing first, then the plan, then the question."""
        alone = len(steps) == 1
        ready = [step_id for step_id in steps if not self._needs(step_id, alone=alone)]
        if ready or not steps:
            self._plan_to_approve(ready, {})
        elif alone:
            self._ask_missing(self.board.infos[steps[0]], self._needs(steps[0], alone=True))
        else:
            self.say(f"{steps[0]} needs values first: apply it by itself (a).", warn=True)

    def _needs(self, step_id: str, *, alone: bool) -> list[str]:
        info = self.board.infos.get(step_id)
        return to_ask(info, alone=alone) if info is not None else []

    def _ask_missing(self, info: StepInfo, names: list[str]) -> None:
        from tui.dialogs import Form

        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self._plan_to_approve([info.id], {info.id: values})

        self.push_screen(Form(info.id, info.parameters, info.values, only=names), given)

    def _plan_to_approve(self, steps: list[str], values: Values) -> None:
        self.prepare(
            f"Apply: {_called(steps)}",
            "Asking the host what would change…",
            ["plan", *steps],
            PlanAnswer,
            lambda plan: self._approve(plan, steps, values),
            values=values,
        )

    def _approve(self, plan: PlanAnswer, steps: Sequence[str], values: Values) -> None:
        from tui.dialogs import Confirm

        for step_id in steps[:1] if len(steps) == 1 else ():
            self.board.plans[step_id] = plan
        refused = preview.refusals(plan)
        # Of many steps those that can be applied are.
        others = bool(refused) and preview.can_change(plan)
        stuck = bool(refused) and not others
        if not refused and not preview.changes(plan):
            self.say("Nothing to change: the host is as the step wants it.")
            self.start_check()
            return
        what = _called(steps)

        def answered(yes: bool | None) -> None:
            if yes:
                arguments = ["apply", *steps, "--yes", "--fingerprint", plan.fingerprint]
                arguments += ["--keep-going"] if len(steps) > 1 else []
                arguments += self.within(guarded)
                self.start_work(f"Apply {what}", arguments, values=values)
                self.show_work()

        title = f"{'Refused for now' if stuck else 'Apply'}: {what}"
        if others:
            title += f", without {preview.refused_steps(plan)} refused"
        if len(steps) == 1:
            title += f" – {plan.steps[0].title}"
        word = "apply" if not stuck and any(self._can_lock_out(s) for s in steps) else ""
        guarded = self.guarded_of(steps)
        window_s = self.hands.options.confirm_within_s
        self.push_screen(
            Confirm(
                title,
                lambda width: preview.plan_lines(plan, width, guarded, window_s),
                verb="" if stuck else "Apply the others" if others else "Apply",
                word=word,
            ),
            answered,
        )

    def _can_lock_out(self, step_id: str) -> bool:
        info = self.board.infos.get(step_id)
        return bool(info and (info.guard or info.irreversible))

    def ask_reason(self, step_id: str, kind: str) -> None:
        """A reason to leave a step out ("waive"), or a note to answer for it ("attest")."""
        from tui.dialogs import Ask

        waive = kind == "waive"
        until = (date.today() + timedelta(days=ATTESTED_DAYS)).isoformat()
        text = (
            f"The step {step_id} will count as left out on purpose. The reason is kept with your "
            "name; x takes it back in."
            if waive
            else f"You answer for {step_id} with your name. It holds until {until}; then it is "
            "asked again."
        )

        def answered(reason: str | None) -> None:
            if reason:
                option = ["--reason", reason] if waive else ["--note", reason, "--until", until]
                self.tell(["steps", kind, step_id, *option], step_id)

        title = f"{'Skip' if waive else 'Attest'} {step_id}: {'why?' if waive else 'what holds?'}"
        self.push_screen(
            Ask(
                title,
                lambda width: paragraph(text, width),
                problem=lambda given: "" if given else "A reason is needed, or Esc.",
            ),
            answered,
        )

    def take_back(self, step_id: str) -> None:
        self.tell(["steps", "unwaive", step_id], step_id)

    def edit_values(self, step_id: str) -> None:
        """The form for a step's parameters; secrets are asked for when it is applied."""
        from tui.dialogs import Form

        info = self.board.infos[step_id]
        names = [name for name, p in info.parameters.items() if p.kind != "secret"]
        if not names:
            self.say(f"{step_id} has only secrets: they are asked for when it is applied.")
            return

        def answered(changed: dict[str, str] | None) -> None:
            if changed:
                settings = [f"{step_id}.{name}={_typed(v)}" for name, v in changed.items()]
                self.tell(["steps", "set", *settings], step_id)
            elif changed is not None:
                self.say("No value was changed.")

        self.push_screen(Form(step_id, info.parameters, info.values, only=names), answered)

    def tell(self, arguments: Sequence[str], step_id: str) -> None:
        """Tell the hands an answer; then the step is checked again."""

        def run() -> None:
            try:
                call = self.hands.start(arguments, "json")
                output = b"".join(call.lines())
                status, said = call.wait()
                problem = "" if status == 0 else said or output.decode("utf-8", "replace")
            except HandsError as error:
                problem = str(error)
            self.post_message(Answered("told", step_id, True, problem))

        self.spawn(run)

    def _answered_told(self, message: Answered) -> None:
        if message.problem:
            self.say(message.problem.removeprefix("harden-tui: "), warn=True)
            return
        self.say(f"Kept for {message.about}.")
        self.board.plans.pop(message.about, None)
        self.ask_infos()
        self.start_check([message.about])

    def why_not_root(self) -> str:
        if self.hands.rights != "user":
            return "The hands are root already."
        return "" if shutil.which("sudo") else "There is no sudo here: start harden-tui as root."

    def do_root(self) -> None:
        """Let sudo ask on the plain terminal; Textual waits meanwhile."""
        try:
            with self.suspend():
                print("harden-tui: the hands need root; sudo asks for your password.", flush=True)
                status = subprocess.run(["sudo", "-v"], check=False).returncode
        except SuspendNotSupported:
            self.say("This terminal cannot be handed to sudo: start with sudo harden-tui.")
            return
        if status:
            self.say("sudo did not agree; everything stays as it was.", warn=True)
            return
        self.hands.rights = "sudo"
        self.board.forget_plans()
        self.start_check()
        self.ask_infos()
        self.say("The hands are root now; the screen is still you.")

    def show_work(self) -> None:
        from tui.workscreen import WorkScreen

        if self.work is not None and not isinstance(self.screen, WorkScreen):
            self.work_end_seen()
            self.push_screen(WorkScreen(self.work, self.banner_lines))

    def banner_lines(self, width: int) -> list[Line]:
        """What waits for a confirmation."""
        raise NotImplementedError

    def work_changed(self) -> None:
        refresh: Any = getattr(self.screen, "work_changed", None)
        if refresh is not None:
            refresh()

    def work_in_sight(self) -> bool:
        """Also below a dialog, which gives it back."""
        shown = [getattr(screen, "work", None) for screen in self.screen_stack]
        return self.work is not None and self.work in shown

    def why_not_output(self) -> str:
        return "" if self.work is not None else "No work was done yet."

    def do_output(self) -> None:
        self.show_work()

    def do_check(self) -> None:
        self.board.forget_plans()
        self.ask_infos()
        self.start_check()

    def do_quit(self) -> None:
        """Leave; what runs or waits goes on, and is said so."""
        self.stop_listening()
        if self.waiting is not None:
            confirm = f"{self.hands.options.program} confirm"
            left = clock(left_s(self.waiting))
            self.exit(message=f"{self.waiting.names}: goes on waiting ({left} left), then is "
                              f"taken back. Log in a second time, then: {confirm}")  # fmt: skip
        elif self.work is not None and not self.work.is_over:
            self.exit(message=f"{self.work.title}: goes on without the screen. "
                              "Watch it with: harden-tui follow")  # fmt: skip
        else:
            self.exit(message=self.last_word() or None)

    def last_word(self) -> str:
        """What a person who leaves is told of what goes on without the screen."""
        return ""


def _called(steps: Sequence[str]) -> str:
    return steps[0] if len(steps) == 1 else f"{len(steps)} steps"


def _typed(value: str) -> str:
    return "" if value == "none" else value
