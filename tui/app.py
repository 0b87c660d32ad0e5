"""The screen: frame, places, and what keys do. It decides nothing; the hands do everything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen

from tui import actions, garbage
from tui.board import Board
from tui.client import Call, Hands
from tui.mends import Driver
from tui.messages import Answered
from tui.places.base import PlaceView
from tui.places.checklist import Checklist
from tui.terminal import SMALLEST
from tui.text import Line
from tui.views.frame import Frame, footer, header, rule
from tui.widgets.lines import position
from tui.widgets.single import Fixed
from tui.windows import Windows

if TYPE_CHECKING:
    from tui.widgets.filterbar import FilterBar

REDRAW_S = 0.03
"""Results that come within this time are drawn together."""

MESSAGE_S = 8.0
"""How long a message stays in the rule."""


class HardenApp(Windows):
    """The terminal screen of harden-tui."""

    TITLE = "harden-tui"
    ENABLE_COMMAND_PALETTE = False  # ours is `tui.palette`
    BINDINGS: ClassVar = [
        ("q,ctrl+c", "take('quit')")
    ]  # too small, nothing of a place has the focus
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    #small { display: none; height: 1fr; }
    .-small #frame { display: none; }
    .-small #small { display: block; }
    #frame { height: 1fr; layout: vertical; }
    #body { height: 1fr; }
    #filter { display: none; height: 1; }
    """

    def __init__(self, hands: Hands, *, host: str, first_check: Call | None = None) -> None:
        super().__init__(ansi_color=True, driver_class=Driver)
        self.theme = "ansi-dark"
        self.hands = hands
        self.host_name = host
        self.board = Board()
        self.place: actions.Place = "checklist"
        self._before_help: actions.Place = "checklist"
        self._first_check = first_check
        self._small = Fixed(self._draw_small, id="small")
        self._frame = Container(id="frame")
        self._header = Fixed(self._draw_header, id="header")
        self._banner = Fixed(self.banner_lines, id="banner")
        self._body = Container(id="body")
        # Where the filter will be: what is mounted in a place that is not shown is not painted.
        self._filter_place = Container(id="filter")
        self._rule = Fixed(self._draw_rule, id="rule")
        self._footer = Fixed(self._draw_footer, id="footer")
        self._views: dict[actions.Place, PlaceView] = {"checklist": Checklist()}
        self._message = ""
        self._message_warns = False
        self._message_until = 0.0
        self._redraw_waits = False
        self._is_small = False
        self._filter: FilterBar | None = None

    def _answered_exported(self, message: Answered) -> None:
        done = f"Exported to {message.about}."
        self.say(message.problem or done, warn=bool(message.problem))

    def _to_places(self, message: Answered) -> None:
        for view in self._views.values():
            view.take_answer(message)

    _answered_show = _answered_log = _answered_entries = _answered_verdict = _to_places
    _answered_banned = _to_places

    def compose(self) -> ComposeResult:
        yield self._small
        with self._frame:
            yield self._header
            yield self._banner
            with self._body:
                yield self._views["checklist"]
            yield self._filter_place
            yield self._rule
            yield self._footer

    def on_mount(self) -> None:
        self.view.panes()[0].focus()
        self.expect(self._first_check)
        self.call_after_refresh(self._after_first_paint)

    def on_resize(self, event: Resize) -> None:
        width, height = event.size
        self._is_small = width < SMALLEST[0] or height < SMALLEST[1]
        self.base.set_class(self._is_small, "-small")
        if not self._is_small:
            self.call_after_refresh(self._focus_again)

    def _focus_again(self) -> None:
        """What was hidden for want of room lost the focus, and keys mean nothing without one."""
        if self.screen_stack and self.base.focused is None:
            if self._filter is not None and self._filter.display:
                self.base.set_focus(self._filter.field)
            elif panes := self.view.panes():
                self.base.set_focus(panes[0])

    @property
    def base(self) -> Screen[object]:
        """The screen below all dialogs."""
        return self.screen_stack[0]

    @property
    def view(self) -> PlaceView:
        """The place that is shown."""
        return self._views[self.place]

    def _draw_small(self, width: int) -> list[Line]:
        need = f"harden-tui needs {SMALLEST[0]} columns and {SMALLEST[1]} rows"
        is_now = f"this is {self.size.width} by {self.size.height}"
        return [((f"{need}; {is_now}.", "warn"),), (("q leaves.", "dim"),)]

    def _draw_header(self, width: int) -> list[Line]:
        return header(
            Frame(
                host=self.host_name,
                checklist=self.hands.options.checklist,
                place=self.place,
                counts=self.board.counts(),
                practice=self.hands.options.practice,
                rights=self.hands.rights,
                work=self.work_line(),
                attention=self.needs_attention(),
            ),
            width,
        )

    def _draw_rule(self, width: int) -> list[Line]:
        pane = self.view.pane_in_use()
        where = position(pane) if pane else ""
        message = self._message or self.view.sentence()
        return [rule(message, where, width, warn=self._message_warns)]

    def _draw_footer(self, width: int) -> list[Line]:
        return footer(self.place, width, lambda name: not self.why_not(name))

    def refresh_frame(self) -> None:
        """Draw header, rule and footer as things stand now."""
        for line in (self._header, self._rule, self._footer):
            line.update()

    def may_interrupt(self) -> bool:
        from tui.lead_screen import LeadScreen
        from tui.window_screen import WindowScreen
        from tui.workscreen import WorkScreen

        if self._filter is not None and self._filter.field.has_focus:
            return False
        return self.screen is self.base or isinstance(
            self.screen, WorkScreen | LeadScreen | WindowScreen
        )

    def refresh_banner(self) -> None:
        """Only on the screen that is seen: what changes below a dialog repaints all of both."""
        if not self.screen_stack:
            return
        if self.screen is self.base:
            self._banner.update()
            return
        on_top: Any = getattr(self.screen, "banner_changed", None)
        if on_top is not None:
            on_top()

    def pop_screen(self) -> AwaitComplete:
        popped = super().pop_screen()
        self.call_later(self.refresh_banner)
        return popped

    def refresh_rule(self) -> None:
        self._rule.update()

    def redraw_soon(self) -> None:
        """Draw the place and the frame, once for all that comes within a moment."""
        if not self._redraw_waits:
            self._redraw_waits = True
            self.set_timer(REDRAW_S, self._redraw)

    def _redraw(self) -> None:
        self._redraw_waits = False
        if not self.screen_stack:  # the end came first
            return
        self.view.refresh_view()
        self.refresh_frame()
        on_top: Any = getattr(self.screen, "board_changed", None)
        if on_top is not None:
            on_top()

    def say(self, message: str, *, warn: bool = False) -> None:
        """Show a message in the rule for a while."""
        self._message, self._message_warns = message, warn
        self._message_until = time.monotonic() + MESSAGE_S
        self.refresh_rule()
        self.set_timer(MESSAGE_S + 0.1, self._hush)
        on_top: Any = getattr(self.screen, "heard", None) if self.screen_stack else None
        if on_top is not None:
            on_top(message, warn=warn)

    def _hush(self) -> None:
        if self.screen_stack and self._message and time.monotonic() >= self._message_until:
            self._message = ""
            self.refresh_rule()

    def why_not(self, name: str) -> str:
        """Why an action cannot be taken now; empty if it can."""
        method = f"why_not_{actions.by_name(name).method}"
        for owner in (self.view, self):
            if hasattr(owner, method):
                return str(getattr(owner, method)())
        return ""

    def action_take(self, name: str) -> None:
        self.take(name)

    def take(self, name: str) -> None:
        """Take an action, or say why it cannot be taken; what nobody sees is not begun."""
        if self._is_small and name != "quit":
            return
        reason = self.why_not(name)
        if reason:
            self.say(reason, warn=True)
            return
        method = f"do_{actions.by_name(name).method}"
        owner = self.view if hasattr(self.view, method) else self
        getattr(owner, method)()

    def do_palette(self) -> None:
        """Every action of this place but those that only move."""
        from tui.palette import Palette

        offered = [a for a in actions.actions_of(self.place) if not a.moves]

        def chosen(name: str | None) -> None:
            if name:
                self.take(name)

        self.push_screen(Palette(offered, self.why_not), chosen)

    async def go(self, place: actions.Place) -> None:
        """Show another place; it is made when it is shown for the first time."""
        if place == self.place:
            return
        self.end_filter()
        self._message = ""
        if place == "help":
            self._before_help = self.place
        self.view.left()
        self.view.display = False
        if place in self._views:
            self._views[place].display = True
        else:
            made = make_place(place)
            await self._body.mount(made)
            self._views[place] = made
        self.place = place
        panes = self.view.panes()
        if panes:
            panes[0].focus()
        self.call_after_refresh(self._opened, place)

    def _opened(self, place: actions.Place) -> None:
        if place == self.place:
            self.view.opened()
            self.refresh_frame()

    def _after_first_paint(self) -> None:
        """What the first paint did not need; `/` must find its field when it is pressed."""
        from tui.widgets.filterbar import FilterBar

        self.start_listening(self._first_check)
        garbage.begin()
        self._filter = FilterBar()
        self._filter.display = False
        self._filter_place.mount(self._filter)

    def do_filter(self) -> None:
        if self._filter is not None:
            self._filter_place.display = self._filter.display = True
            self.screen.set_focus(self._filter.field)
            self.say("Enter keeps the filter, Esc ends it.")

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        if event.ended:
            self.end_filter()
            return
        self.view.filtered(event.words)
        if event.finished:
            self.view.panes()[0].focus()

    def end_filter(self) -> None:
        """Show everything again."""
        if self._filter is not None and self._filter.display:
            self._filter_place.display = self._filter.display = False
            self._filter.field.value = ""
            self.view.filtered("")
            self.screen.set_focus(self.view.panes()[0])

    def do_back(self) -> None:
        """End the filter, leave the help, or go from the detail to the list."""
        if self._filter is not None and self._filter.display:
            self.end_filter()
        elif self.place == "help":
            self.call_next(self.go, self._before_help)
        elif self.view.panes():
            self.view.panes()[0].focus()
            self.refresh_rule()

    def do_place_checklist(self) -> None:
        self.call_next(self.go, "checklist")

    def do_place_live(self) -> None:
        self.call_next(self.go, "live")

    def do_place_history(self) -> None:
        self.call_next(self.go, "history")

    def do_place_log(self) -> None:
        self.call_next(self.go, "log")

    def do_help(self) -> None:
        self.call_next(self.go, "help")

    async def go_to_step(self, step_id: str) -> None:
        """Show a step of the checklist, from anywhere."""
        await self.go("checklist")
        view = self.view
        if isinstance(view, Checklist) and not view.choose(step_id):
            self.say(
                f"{step_id} is not on the checklist {self.hands.options.checklist}.", warn=True
            )


def make_place(place: actions.Place) -> PlaceView:
    """The view of a place; imported when it is needed, so that the first paint is early."""
    if place == "live":
        from tui.places.live import Live

        return Live()
    if place == "history":
        from tui.places.history import History

        return History()
    if place == "log":
        from tui.places.log import Log

        return Log()
    if place == "help":
        from tui.places.help import HelpPlace

        return HelpPlace()
    return Checklist()
