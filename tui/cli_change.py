"""`apply`, `rollback` and `recover`: show what will be done, ask, and hand it to the worker."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from snapshots.model import UNRESOLVED, Resolutions, UndoPlan
from steps.guard_settings import WINDOW_EXPECTED, WINDOW_S, Guarding, seconds_of
from tui import hands, output, resolving
from tui.cli_check import PlanFile, banner, chosen_ids, read_plan
from tui.cli_follow import follow_run, goes_on
from tui.failures import refused, usage
from tui.options import Options
from tui.out import Out, StatusLine, is_terminal
from tui.paths import default_state_dir
from tui.program import again
from tui.session import Session, environment, open_session
from tui.typed_word import insist


def apply(options: Options, arguments: argparse.Namespace) -> int:
    """Apply steps; exit 0, 3 (refused), 4 (rolled back) or 5 (needs a person)."""
    from snapshots.history import transactions

    fingerprint: str | None = arguments.fingerprint
    names: list[str] = arguments.steps
    if arguments.plan:
        if names:
            raise usage("Give either steps or --plan FILE: a plan says itself which steps.")
        kept = read_plan(arguments.plan)
        options = _as_planned(options, kept)
        fingerprint = fingerprint or kept.fingerprint
        names = [str(step.get("id", "")) for step in kept.steps]
    if arguments.all and names:
        raise usage("Give either steps or --all, which is every step of the checklist.")
    if arguments.stage and not arguments.all:
        raise usage("--stage goes with --all: every step of that stage.")
    if not names and not arguments.all:
        raise usage(
            "Name the steps to apply, for example `apply ssh.limits`, or give --all for the whole"
            " checklist; `check` shows what is open."
        )
    out = Out()
    session = open_session(options)
    ids = tuple(
        chosen_ids(session, arguments)
        if arguments.all
        else (step.id for step in session.engine.steps(names))
    )
    must_be_root(session)
    must_have_consent(arguments)
    if arguments.word and not arguments.force:
        raise usage("--word goes with --force, and with nothing else.")
    transactions(session.state)  # one that cannot be read is refused before the work begins
    forced = bool(arguments.force and arguments.yes)
    if not arguments.yes:
        status = StatusLine()
        status.show("asking the host")
        planned = session.engine.plan(ids)
        status.clear()
        banner(out, session)
        output.plan_text(out, planned, options.program)
        if not arguments.keep_going and any(
            step.reasons(forced=arguments.force) for step in planned.steps
        ):
            raise refused(
                "Refused, nothing was changed; the reasons are above. --keep-going applies the"
                " other steps."
                if len(planned.steps) > 1
                else "Refused, nothing was changed; the reasons are above."
            )
        if planned.is_empty:
            return 0
        forced = any(step.lockouts for step in planned.steps)
        if not forced:
            ask("Apply?")
        fingerprint = fingerprint or planned.fingerprint
    if forced:
        insist(session.host.name, arguments.word, "apply it although somebody would be locked out")
    return start_and_follow(
        out, session, "apply", steps=ids, fingerprint=fingerprint, forced=forced,
        keep_going=arguments.keep_going, guarding=guarding_of(options, arguments),
    )  # fmt: skip


def rollback(options: Options, arguments: argparse.Namespace) -> int:
    """Undo steps or transactions; exit 0, 3 (conflict, refused), 4 or 5."""
    from steps import rollback as undoing

    names: list[str] = arguments.steps
    if arguments.all and names:
        raise usage("Give either steps and transactions or --all.")
    if not names and not arguments.all:
        raise usage("Name the steps or transactions to undo, or --all; `history` lists them.")
    resolutions = resolving.given(arguments)
    for name in names:
        if name.startswith("/"):
            raise usage(f"{name} is no step: a choice for a path is written --restore={name}.")
    out = Out()
    session = open_session(options, site_needed=False, answers_needed=False)
    undoing.chosen(session.engine, names, arguments.all)  # a wrong name is a usage error, now
    if arguments.dry_run:
        plans, resolutions = resolving.planned(session.engine, names, arguments.all, resolutions)
        _show_undo(out, options, names, plans)
        conflict = undoing.refusal_of(plans, resolutions) or undoing.told_left_out(plans)
        if conflict:
            raise refused(conflict)
        return 0
    must_be_root(session)
    must_have_consent(arguments)
    fingerprint: str | None = arguments.fingerprint
    if resolutions.single or not arguments.yes:
        plans, resolutions = resolving.planned(session.engine, names, arguments.all, resolutions)
    if not arguments.yes:
        if not plans:
            output.wrapped(out, undoing.nothing_left(names), indent=0)
            return 0
        output.undo_text(out, plans)
        conflict = undoing.refusal_of(plans, resolutions)
        if not conflict and all(plan.left_out for plan in plans):
            conflict = undoing.told_left_out(plans)
        if conflict:
            raise refused(conflict)
        ask("Undo what can be?" if any(plan.left_out for plan in plans) else "Undo?")
        fingerprint = fingerprint or undoing.fingerprint_of(plans)
    return start_and_follow(
        out,
        session,
        "rollback",
        steps=tuple(names),
        fingerprint=fingerprint,
        everything=arguments.all,
        resolutions=resolutions,
        guarding=guarding_of(options, arguments),
    )


def guarding_of(options: Options, arguments: argparse.Namespace) -> Guarding:
    """How a guarded change is to be treated. Raises `Stop` (exit 2)."""
    window_s = options.confirm_within_s
    if arguments.confirm_within:
        window_s = duration("--confirm-within", arguments.confirm_within)
    return guarded(options, window_s=window_s, wait=not arguments.no_wait)


def guarded(options: Options, *, window_s: int = WINDOW_S, wait: bool = True) -> Guarding:
    """How harden-tui is started again for this host and state, and how long a change waits."""
    return Guarding(
        program=program_for(options), typed=options.program, window_s=window_s, wait=wait
    )


def duration(option: str, text: str) -> int:
    """Seconds in "90", "90s", "5m" or "1h". Raises `Stop` (exit 2)."""
    seconds = seconds_of(text)
    if not seconds:
        raise usage(f"{option} {text}: {WINDOW_EXPECTED}.")
    return seconds


def program_for(options: Options) -> tuple[str, ...]:
    """The words that start harden-tui again, as root and from nowhere, for this host and state."""
    words = [*again(), *(["--practice"] if options.practice else [])]
    if options.practice or options.state_dir != default_state_dir(practice=False):
        words += ["--state-dir", str(options.state_dir)]
    return tuple(words)


def start_and_follow(
    out: Out,
    session: Session,
    command: str,
    *,
    steps: tuple[str, ...] = (),
    fingerprint: str | None = None,
    everything: bool = False,
    resolutions: Resolutions = UNRESOLVED,
    things: tuple[str, ...] = (),
    forced: bool = False,
    keep_going: bool = False,
    guarding: Guarding | None = None,
    window: Mapping[str, Any] | None = None,
) -> int:
    """Start the worker and show what it does; the exit status is that of the work."""
    with hands.uninterrupted() as pressed:
        directory = hands.start(
            session.options, command, steps=steps, fingerprint=fingerprint, everything=everything,
            resolutions=resolutions, things=things, forced=forced, keep_going=keep_going,
            guarding=guarding, window=window, session=environment(session.engine.ctx.session),
        )  # fmt: skip
    if pressed:
        return goes_on(session.options, directory)
    return follow_run(out, session.options, directory)


def _show_undo(out: Out, options: Options, names: Sequence[str], plans: Sequence[UndoPlan]) -> None:
    from steps import rollback as undoing

    fingerprint = undoing.fingerprint_of(plans) if plans else ""
    if options.format == "text":
        output.undo_text(out, plans)
        if not plans:
            output.wrapped(out, undoing.nothing_left(names), indent=0)
        else:
            out.line(f"fingerprint {fingerprint}", "dim")
        return
    document: dict[str, Any] = {
        "schema": "harden-tui/undo/1",
        "plans": plans,
        "fingerprint": fingerprint,
    }
    out.json(document)


def _as_planned(options: Options, kept: PlanFile) -> Options:
    """The options with the checklist and values of a plan; what is given now wins over them."""
    if kept.practice != options.practice:
        was, now = ("a practice", "a real") if kept.practice else ("a real", "a practice")
        raise usage(f"This plan was made for {was} host; this is {now} one.")
    values = {step: dict(chosen) for step, chosen in kept.values.items()}
    for step, chosen in options.values.items():
        values.setdefault(step, {}).update(chosen)
    return msgspec.structs.replace(options, checklist=kept.checklist, values=values)


def must_be_root(session: Session) -> None:
    """Raise `Stop` (exit 3) where this host cannot be changed by us.

    The line to try has every word that was typed: `confirm` without its `--extend 10m` would keep
    what only more time was wanted for.
    """
    if not session.host.is_root:
        line = f"sudo harden-tui {shlex.join(session.options.words)}"
        raise refused(f"Changing this host needs root; nothing was changed. Try: {line}")


def must_have_consent(arguments: argparse.Namespace) -> None:
    """Raise `Stop` (exit 2) where nobody said yes and nobody can be asked."""
    if not arguments.yes and not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise usage(
            "This changes the host, and there is no terminal to ask on: add --yes to go on."
        )


def ask(question: str) -> None:
    """Ask on the terminal. Raises `Stop` (exit 3) for anything but yes."""
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    except KeyboardInterrupt:
        print()
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise refused("Nothing was changed.")
