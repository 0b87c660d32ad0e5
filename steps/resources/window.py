"""How the update window stands: open while an update is made, and closed again after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from snapshots.model import SnapshotError
from steps import window_store
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.window_model import Window

_COMMANDS = {
    "open": "`harden-tui window open` opens one, and lifts the seals for it",
    "application": "update the application while the window is open",
    "close": "`harden-tui window close` seals again, checks everything and reports what changed",
}


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phase: Literal["open", "application", "close"]


class UpdateWindow(Resource):
    """`window: {phase: open}`. Done by `harden-tui window`, never by an apply."""

    kind: ClassVar[str] = "window"

    def __init__(self, body: _Body) -> None:
        self.phase = body.phase

    @classmethod
    def parse(cls, step_id: str, body: Any) -> UpdateWindow:
        return cls(msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return ()

    def observe(self, ctx: Context) -> list[Finding]:
        if ctx.state is None:
            return [self._said("known", note="where its state lies is not known here")]
        try:
            window = window_store.read(ctx.state)
            interrupted = window_store.was_interrupted(ctx.state, window)
            if window is None:
                return [self._at_rest(ctx)]
        except (SnapshotError, OSError) as error:
            return [self._said("known", note=str(error))]
        if interrupted:
            return [
                self._said(
                    window_store.WHAT[window.state] + " was interrupted",
                    ok=False,
                    note="run `harden-tui recover`; it is also taken up by itself",
                )
            ]
        if self.phase == "close":
            return [
                self._said(f"open until {_at(window.deadline)}", ok=False, note=_COMMANDS["close"])
            ]
        found = [self._open(window)]
        if self.phase == "application":
            found.append(self._writers(ctx, window))
        return found

    def told(self, findings: Sequence[Finding]) -> str:
        return "; ".join(one.running for one in findings if one.ok)

    def plan(self, ctx: Context) -> Planned:
        return Planned(notes=(f"Not done by an apply: {_COMMANDS[self.phase]}.",))

    def _at_rest(self, ctx: Context) -> Finding:
        """No window is open: nothing is to be said, but whether the last one was closed well."""
        assert ctx.state is not None
        last = window_store.last_report(ctx.state) if self.phase == "close" else None
        if last is None:
            note = f"no update is being made; {_COMMANDS['open']}"
            return msgspec.structs.replace(self._said("none is open"), applicable=False, note=note)
        how = "undone" if last.how == "undone" else "closed"
        sealed = f", sealed again: {', '.join(last.sealed)}" if last.sealed else ""
        return self._said(f"the last one was {how} {_at(last.closed)}{sealed}", ok=True)

    def _open(self, window: Window) -> Finding:
        lifted = ", ".join(window.steps) or "nothing"
        running = f"open until {_at(window.deadline)}, lifted: {lifted}"
        if window.left_s() < 0:
            waiting = window.waiting.writers if window.waiting is not None else ()
            why = f"it waits for {'; '.join(waiting)}" if waiting else "it closes within minutes"
            return self._said(running, ok=False, note=f"its deadline has passed: {why}")
        return self._said(running, ok=True, note=window.failed)

    def _writers(self, ctx: Context, window: Window) -> Finding:
        from steps.window_busy import in_trees, package_tools
        from steps.window_seals import captured

        busy = (*in_trees(ctx.host, captured(window.seals)), *package_tools(ctx.host))
        return msgspec.structs.replace(
            self._said("; ".join(busy) or "nobody", ok=not busy),
            setting="at work on what was unsealed",
            expected="nobody, once the update is made",
        )

    def _said(self, running: str, *, ok: bool | None = None, note: str = "") -> Finding:
        return Finding(
            resource="update window",
            setting="update window",
            expected="closed, and sealed again" if self.phase == "close" else "open for an update",
            running=running,
            persistent=running,
            ok=ok,
            note=note,
        )


def _at(stamp: str) -> str:
    """ "2026-11-26 14:03 UTC"; windows keep UTC."""
    return f"{stamp[:16].replace('T', ' ')} UTC"
