"""Services, listening ports and failed logins, each second."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.message import Message

from tui.banning import banning
from tui.client import Call
from tui.messages import Answered
from tui.places.base import PlaceView, bindings_of
from tui.views import live as view
from tui.views import logins as logins_view
from tui.widgets.lines import LinePane
from tui.widgets.rows import RowList
from tui.wire import HandsError, LiveAnswer, LivePort, LiveService


class Seen(Message):
    """What the hands saw this second, or why they see nothing."""

    def __init__(self, call: Call | None, answer: LiveAnswer | None, problem: str = "") -> None:
        super().__init__()
        self.call = call
        self.answer = answer
        self.problem = problem


class Live(PlaceView):
    place = "live"
    BINDINGS: ClassVar = bindings_of("live")

    DEFAULT_CSS = """
    Live #ports { height: 9; }
    Live #services { height: 1fr; }
    Live #logins { height: 1fr; display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._call: Call | None = None
        self._answer = LiveAnswer()
        self._wanted = ""
        self._orders = {"ports": view.PORT_ORDERS[0], "services": view.SERVICE_ORDERS[0]}
        self._all = False
        self._below: logins_view.Below = "services"
        self._window = logins_view.WINDOWS[1]

    def compose(self) -> ComposeResult:
        yield RowList(id="ports")
        yield RowList(id="services")
        yield RowList(id="logins")

    @property
    def ports(self) -> RowList:
        return self.query_one("#ports", RowList)

    @property
    def services(self) -> RowList:
        return self.query_one("#services", RowList)

    @property
    def logins(self) -> RowList:
        return self.query_one("#logins", RowList)

    @property
    def below(self) -> RowList:
        """The lower pane that is shown."""
        return self.services if self._below == "services" else self.logins

    def panes(self) -> list[LinePane]:
        return [self.ports, self.below]

    def opened(self) -> None:
        self.refresh_view()
        if self._call is None:
            self._start()

    def left(self) -> None:
        self._stop()

    def on_unmount(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._call is not None:
            self._call.close()
            self._call = None

    def _start(self) -> None:
        try:
            call = self.screen_app.hands.start(["live", "--window", self._window], "events")
        except HandsError as error:
            self.post_message(Seen(None, None, str(error)))
            return
        self._call = call
        decoder = msgspec.json.Decoder(LiveAnswer)

        def read() -> None:
            for line in call.lines():
                try:
                    self.post_message(Seen(call, decoder.decode(line)))
                except msgspec.MsgspecError:
                    continue
            status, said = call.wait()
            if not call.closed:
                self.post_message(Seen(call, None, said or f"ended with exit status {status}"))

        self.screen_app.spawn(read)

    def on_seen(self, message: Seen) -> None:
        if message.call is not self._call:
            return
        if message.answer is None:
            self._call = None
            self.screen_app.say(f"Live has stopped: {message.problem}", warn=True)
            return
        answer = message.answer
        if answer.logins is None:
            answer = msgspec.structs.replace(answer, logins=self._answer.logins)
        self._answer = answer
        self.refresh_view()

    def refresh_view(self) -> None:
        width = self.ports.size.width
        if not width:
            return
        ports = self._answer.ports
        services = [s for s in self._answer.services if self._all or view.worth_showing(s)]
        rows = view.port_rows(ports, self._orders["ports"], self._wanted, width)
        self.fit_height(self.ports, len(rows) + 3, least=4, share=0.6)
        self.ports.show_rows(
            rows, header=view.port_header(self._orders["ports"], len(ports), width)
        )
        if self._below == "services":
            self.services.show_rows(
                view.service_rows(services, self._orders["services"], self._wanted, width),
                header=view.service_header(self._orders["services"], services, width),
            )
        else:
            self.logins.show_rows(
                logins_view.rows(self._answer.logins, self._below, self._wanted, width),
                header=logins_view.header(self._answer.logins, self._below, self._window, width),
            )
        self.screen_app.refresh_rule()

    def filtered(self, wanted: str) -> None:
        self._wanted = wanted
        self.refresh_view()

    def on_row_list_chosen(self) -> None:
        self.screen_app.refresh_frame()

    def on_resize(self) -> None:
        self.call_after_refresh(self.refresh_view)

    def _port(self) -> LivePort | None:
        chosen = self.ports.chosen
        return next((p for p in self._answer.ports if view.port_key(p) == chosen), None)

    def _service(self) -> LiveService | None:
        chosen = self.services.chosen
        return next((s for s in self._answer.services if s.unit == chosen), None)

    def _in_use(self) -> LivePort | LiveService | None:
        if self.logins.has_focus:
            return None
        return self._service() if self.services.has_focus else self._port()

    def sentence(self) -> str:
        """The chosen row in full, for the rule."""
        if self.logins.has_focus:
            return logins_view.sentence(self._answer.logins, self._below, self.logins.chosen)
        chosen = self._in_use()
        if isinstance(chosen, LivePort):
            return view.port_sentence(chosen)
        return view.service_sentence(chosen) if chosen else ""

    def do_logins(self) -> None:
        """The next thing in the lower pane."""
        in_use = self.below.has_focus
        order = logins_view.BELOW
        self._below = order[(order.index(self._below) + 1) % len(order)]
        self.services.display = self._below == "services"
        self.logins.display = self._below != "services"
        self.refresh_view()
        if in_use or self._below != "services":
            self.below.focus()
        self.screen_app.refresh_frame()

    def do_look_back(self) -> None:
        """Another window of time: the hands are asked anew."""
        windows = logins_view.WINDOWS
        self._window = windows[(windows.index(self._window) + 1) % len(windows)]
        self.screen_app.say(f"Failed logins of the last {self._window}.")
        self._stop()
        self._answer = msgspec.structs.replace(self._answer, logins=None)
        self._start()
        self.refresh_view()

    def _address(self) -> str:
        return self.logins.chosen if self._below == "addresses" else ""

    def why_not_ban(self) -> str:
        if not self._address():
            return "Choose an address first: f shows failed logins by address."
        row = logins_view.address_row(self._answer.logins, self._address())
        return f"{row.address} is banned already." if row is not None and row.banned else ""

    def why_not_unban(self) -> str:
        if not self._address():
            return "Choose an address first: f shows failed logins by address."
        row = logins_view.address_row(self._answer.logins, self._address())
        return "" if row is not None and row.banned else f"Nothing bans {self._address()}."

    def do_ban(self) -> None:
        banning(self.screen_app, self._answer.logins, self._address(), ban=True)

    def do_unban(self) -> None:
        banning(self.screen_app, self._answer.logins, self._address(), ban=False)

    def take_answer(self, message: Answered) -> None:
        """How a ban went; the hands that look are started anew, so that it shows at once."""
        if message.question != "banned":
            return
        if message.answer is None:
            self.screen_app.say(message.problem, warn=True)
            return
        self.screen_app.say(message.answer.summary)
        if self._call is not None:
            self._stop()
            self._start()

    def why_not_to_step(self) -> str:
        chosen = self._in_use()
        if chosen is None:
            return "Nothing is chosen."
        return "" if chosen.step else "No step deals with this."

    def do_to_step(self) -> None:
        chosen = self._in_use()
        if chosen is not None:
            self.app.call_next(self.screen_app.go_to_step, chosen.step)

    def do_sort(self) -> None:
        if self.logins.has_focus:
            self.screen_app.say("Failed logins are sorted by how many there were.")
            return
        name = "services" if self.services.has_focus else "ports"
        orders: tuple[str, ...] = view.SERVICE_ORDERS if name == "services" else view.PORT_ORDERS
        index = (orders.index(self._orders[name]) + 1) % len(orders)
        self._orders[name] = orders[index]
        self.screen_app.say(f"Sorted by {orders[index]}.")
        self.refresh_view()

    def do_all_services(self) -> None:
        self._all = not self._all
        self.refresh_view()
        self.screen_app.say("All units." if self._all else "Units that run, start or failed.")

    def do_switch_pane(self) -> None:
        super().do_switch_pane()
        self.screen_app.refresh_frame()
