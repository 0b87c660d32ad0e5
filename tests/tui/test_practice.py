"""A person's session on the practice host, with the real hands, driven by Pilot.

The screen and the hands are the product's own; only the terminal is Textual's headless one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.app import App
from textual.pilot import Pilot

from host.practice import PracticeHost
from steps.login_failures import AddressRow, JailRow, LoginReport
from tui.app import HardenApp
from tui.client import Hands
from tui.dialogs import Ask, Confirm
from tui.drift_dialog import Settle
from tui.guard_screen import GuardScreen
from tui.messages import Answered
from tui.options import Options
from tui.places.checklist import Checklist
from tui.places.history import History
from tui.places.live import Live
from tui.places.log import Log
from tui.widgets.lines import LinePane
from tui.wire import AcceptedAnswer
from tui.workscreen import WorkScreen

PATIENCE_S = 40.0

FEW = (
    "ssh.root-login, ssh.key-only, ssh.limits, minimal.services, minimal.apache-modules,"
    " php.settings, apache.banner, apache.headers, firewall.ufw, defence.fail2ban, kernel.sysctl"
)
"""Steps that the practice host has all programs for."""


def put_checklist(state: Path, steps: str) -> None:
    """A checklist of the site, "mine", on a practice host that is furnished for it."""
    PracticeHost(state / "host")
    place = state / "host/root/etc/harden-tui/checklists.d"
    place.mkdir(parents=True, exist_ok=True)
    text = f"name: mine\ntitle: A few steps\ndescription: For this test.\nsteps: [{steps}]\n"
    (place / "mine.yaml").write_text(text)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HardenApp:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    put_checklist(tmp_path / "state", FEW)
    options = Options(
        practice=True,
        state_dir=tmp_path / "state",
        log_dir=tmp_path / "state/log",
        checklist="mine",
        user="alice",
    )
    hands = Hands(options)
    return HardenApp(hands, host="practice")


async def until(pilot: Pilot[None], seen: Callable[[], object], what: str) -> None:
    """Wait until something is so. Raises AssertionError naming it."""
    end = time.monotonic() + PATIENCE_S
    app = pilot.app
    while not seen():
        assert time.monotonic() < end, f"never seen: {what}\n{visible(app)}"
        await asyncio.sleep(0.05)
    await pilot.pause()


async def checked(pilot: Pilot[None], app: HardenApp) -> Checklist:
    await until(
        pilot,
        lambda: app.board.records_known and app.board.infos and not app.board.checking,
        "the first check",
    )
    view = app.view
    assert isinstance(view, Checklist)
    return view


async def typed_apply(pilot: Pilot[None], app: HardenApp) -> None:
    """a, and yes to the question; the typed word where one is asked for."""
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
    await pilot.press("tab", *"apply", "enter")


async def apply(pilot: Pilot[None], app: HardenApp) -> None:
    """As `typed_apply`, to its end; what is guarded is kept."""
    await typed_apply(pilot, app)
    await keep(pilot, app)
    await until(pilot, lambda: app.work is not None and app.work.is_over, "the end of the work")


async def keep(pilot: Pilot[None], app: HardenApp) -> None:
    """c, and the host's name where nobody has logged in anew yet."""
    await until(pilot, lambda: isinstance(app.screen, GuardScreen), "the count-down")
    await pilot.press("c")
    if isinstance(app.screen, Ask):
        await pilot.press(*"practice", "enter")
    await until(pilot, lambda: app.waiting is None, "that it is kept")
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, GuardScreen), "the end of the question")


async def test_apply_and_undo_one_step(app: HardenApp, tmp_path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        view = await checked(pilot, app)
        assert app.board.status("ssh.root-login") == "fail"
        assert view.steps.chosen == "ssh.root-login"
        await apply(pilot, app)
        assert isinstance(app.screen, WorkScreen)
        assert app.work is not None
        assert app.work.done is not None
        assert app.work.done.exit == 0, app.work.done.summary
        files = list((tmp_path / "state/host/root/etc/ssh/sshd_config.d").glob("*root-login*"))
        assert [file.read_text().splitlines()[-1] for file in files] == ["PermitRootLogin no"]

        await pilot.press("enter")
        await until(pilot, lambda: app.board.status("ssh.root-login") == "pass", "pass")
        await until(pilot, lambda: app.board.undoable("ssh.root-login"), "the transaction")
        await until(pilot, lambda: not app.why_not("roll-back"), "that it can be undone")
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the undo's question")
        assert "PermitRootLogin no" in app.screen.query_one("#body").shown_text()  # type: ignore[attr-defined]
        await pilot.press("right", "enter")
        await keep(pilot, app)
        await until(
            pilot,
            lambda: app.work is not None and app.work.is_over and "Undo" in app.work.title,
            "the end of the undo",
        )
        await pilot.press("enter")
        await until(pilot, lambda: app.board.status("ssh.root-login") == "fail", "open again")
        assert not list((tmp_path / "state/host/root/etc/ssh/sshd_config.d").glob("*root-login*"))


async def test_enter_on_cancel_changes_nothing(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert app.work is None
        assert app.screen is app.base
        assert app.board.records == ()


async def test_a_disabled_key_says_why(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("u")
        await pilot.pause()
        assert "Nothing to undo as last read (r looks again): ssh.root-login." in rule_of(app)
        await pilot.press("t")
        await pilot.pause()
        assert "only what is manual can be attested" in rule_of(app)


async def test_skip_with_a_reason_and_take_back(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("x")
        await pilot.pause(0.2)
        await pilot.press("enter")  # no reason: not accepted
        await pilot.pause(0.2)
        assert app.screen is not app.base
        await pilot.press(*"jump host", "enter")
        await until(pilot, lambda: app.board.status("ssh.root-login") == "waived", "waived")
        await until(pilot, lambda: not app.board.checking, "the check")
        await pilot.press("x")
        await until(pilot, lambda: app.board.status("ssh.root-login") == "fail", "taken back")


async def test_a_value_is_checked_before_it_is_kept(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        view = await checked(pilot, app)
        assert view.choose("ssh.limits")
        await pilot.press("e")
        await pilot.pause(0.3)
        for _ in range(6):
            await pilot.press("backspace")
        await pilot.press("x", "ctrl+s")
        await pilot.pause(0.3)
        assert app.screen is not app.base, "a wrong value was kept"
        await pilot.press("backspace", "2", "ctrl+s")
        name = next(iter(app.board.infos["ssh.limits"].parameters))
        await until(pilot, lambda: app.board.infos["ssh.limits"].values.get(name) == 2, "the value")


async def test_preview_state_and_history_follow_the_chosen_step(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        view = await checked(pilot, app)
        await pilot.press("p")
        await until(pilot, lambda: "$ sshd -t" in all_text(view), "the plan")
        await pilot.press("s")
        await until(pilot, lambda: "expected      no" in all_text(view), "the state")
        await pilot.press("right", "right")
        await until(pilot, lambda: "Nothing was ever changed" in all_text(view), "the history")
        await pilot.press("down", "n")
        await until(pilot, lambda: view.steps.chosen == "ssh.limits", "the next open step")


async def test_beside_the_list_the_gist_and_to_read_the_whole(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        view = await checked(pilot, app)

        def words() -> str:
            return " ".join(view.detail.shown_text().split())

        await until(pilot, lambda: "Enter shows all of it." in words(), "the gist")
        assert "Give them an account" not in words()
        for key, back in (("tab", "tab"), ("enter", "escape")):
            await pilot.press(key)
            await pilot.pause()
            assert "Give them an account" in words()
            await pilot.press(back)
            await pilot.pause()
            assert "Enter shows all of it." in words()
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        await until(pilot, lambda: "Give them an account" in words(), "the whole")


async def test_keys_mean_what_they_did_once_there_is_room_again(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        await pilot.press("3", "enter", "a")  # nobody sees what that would do
        await pilot.pause()
        assert (app.place, app.screen) == ("checklist", app.base)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        await pilot.press("2")
        await until(pilot, lambda: app.place == "live", "the other place")


async def test_it_can_be_left_where_there_is_no_room_for_it(app: HardenApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.press("q")
        await until(pilot, lambda: app._exit, "the end")


async def test_filter_and_its_end(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        view = await checked(pilot, app)
        every = len(view.steps.keys)
        await pilot.press("slash", *"limits")
        await until(pilot, lambda: len(view.steps.keys) < every, "fewer rows")
        await until(
            pilot,
            lambda: all("limits" in key for key in view.steps.keys),
            "the matching steps only",
        )
        await pilot.press("enter", "escape")
        await until(pilot, lambda: len(view.steps.keys) == every, "all rows")


async def test_live_shows_ports_and_leads_to_the_step(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("2")
        await until(
            pilot, lambda: isinstance(app.view, Live) and app.view.ports.keys, "listening ports"
        )
        live = app.view
        assert isinstance(live, Live)
        assert "tcp/22" in live.ports.shown_text()
        assert "anywhere" in live.ports.shown_text()
        await pilot.press("enter")
        await until(pilot, lambda: app.place == "checklist", "the checklist")
        assert isinstance(app.view, Checklist)
        assert app.view.chosen


async def test_live_shows_failed_logins_and_bans(
    app: HardenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    worst = AddressRow(
        address="203.0.113.7", counts={"ssh": 4, "typo3": 1}, last_s=1.0, accounts=("root", "bob"),
        jail="sshd", near=4, limit=3,
    )  # fmt: skip
    held = AddressRow(address="2001:db8::1", counts={}, last_s=0.0, banned=("sshd",))
    report = LoginReport(window_s=3600, failures=5, addresses=(worst, held),
                         jails=(JailRow(name="sshd", maxretry=3, banned=1),))  # fmt: skip
    asked: list[list[str]] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("2")
        await until(
            pilot, lambda: isinstance(app.view, Live) and app.view.ports.keys, "listening ports"
        )
        live = app.view
        assert isinstance(live, Live)
        live._stop()
        live._answer = msgspec.structs.replace(live._answer, logins=report)
        await pilot.press("f")
        await until(pilot, lambda: "203.0.113.7" in live.logins.shown_text(), "the address")
        shown = live.logins.shown_text()
        assert "4/3!" in shown
        assert "ssh 4 typo3 1" in shown
        assert "root, bob" in shown
        assert "5 in 1h, 1 banned" in shown

        def ask(question: str, about: str, arguments: list[str], kind: type) -> None:
            asked.append(arguments)
            app.post_message(Answered(question, about, AcceptedAnswer("It is banned.")))

        monkeypatch.setattr(app, "ask", ask)
        assert live.why_not_unban() == "Nothing bans 203.0.113.7."
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("enter")  # Cancel has the focus
        assert asked == []
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("right", "enter")
        await until(pilot, lambda: bool(asked), "the hands asked")
        assert asked == [["ban", "203.0.113.7", "--jail", "sshd", "--yes"]]
        await pilot.press("down")
        assert live.why_not_ban() == "2001:db8::1 is banned already."
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(asked) == 2, "the hands asked")
        assert asked[1] == ["unban", "2001:db8::1", "--yes"]
        await pilot.press("f")
        await until(pilot, lambda: "by account" in live.logins.shown_text(), "the accounts")
        await pilot.press("f")
        await until(pilot, lambda: live.services.display, "the services")


async def test_history_log_and_export(app: HardenApp, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await checked(pilot, app)
        await apply(pilot, app)
        await pilot.press("enter", "3")
        await until(
            pilot,
            lambda: (
                isinstance(app.view, History)
                and "+PermitRootLogin no" in app.view.record.shown_text()
            ),
            "the diff of the transaction",
        )
        await pilot.press("4")
        await until(
            pilot,
            lambda: isinstance(app.view, Log) and "apply" in app.view.entries.shown_text(),
            "the entries",
        )
        assert isinstance(app.view, Log)
        await until(pilot, lambda: "whole" in app.view.sessions.shown_text(), "the verdict")  # type: ignore[attr-defined]
        await pilot.press("e")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: list(tmp_path.glob("harden-tui-*.html")), "the exported file")
        await until(pilot, lambda: "Exported to" in rule_of(app), "the message")
        page = next(tmp_path.glob("harden-tui-*.html")).read_text()
        assert "PermitRootLogin" in page or "ssh.root-login" in page


async def test_the_palette_takes_an_action(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        view = await checked(pilot, app)
        await pilot.press("ctrl+p")
        await pilot.pause(0.3)
        await pilot.press(*"next open", "enter")
        await until(pilot, lambda: view.steps.chosen == "ssh.key-only", "the next open step")


def rule_of(app: HardenApp) -> str:
    return app._rule.shown_text()


def all_text(view: Checklist) -> str:
    from tui.text import plain_text

    return plain_text(list(view.detail.lines))


def visible(app: App[None]) -> str:
    """What every pane of the top screen shows: for the message of a test that failed."""
    return "\n".join(pane.shown_text() for pane in app.screen.query(LinePane))


async def test_what_drifted_is_shown_and_merged(app: HardenApp, tmp_path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        view = await checked(pilot, app)
        await pilot.press("d")
        await pilot.pause()
        assert "harden-tui changed nothing here" in rule_of(app)
        await apply(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: app.board.drift.transaction, "what drift is looked for against")
        (file,) = (tmp_path / "state/host/root/etc/ssh/sshd_config.d").glob("*root-login*")
        file.write_text(
            file.read_text().replace("PermitRootLogin no", "PermitRootLogin yes\nPrintMotd no")
        )
        await until(pilot, lambda: not app.board.checking, "the check after the work")
        await pilot.press("r", "s")
        await until(pilot, lambda: app.board.drifted("ssh.root-login"), "the drift")
        await until(pilot, lambda: "ssh.root-login ≠" in visible(app), "its sign")
        await until(pilot, lambda: "Drifted: changed outside" in view.detail.shown_text(), "State")

        await until(pilot, lambda: not app.why_not("drift"), "that it can be settled")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Settle), "the question")
        assert "PermitRootLogin yes" in app.screen.query_one("#body").shown_text()  # type: ignore[attr-defined]
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert app.screen is app.base, "Enter alone cancels"
        await pilot.press("d", "left", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "what the merge would do")
        await pilot.press("right", "enter")
        await keep(pilot, app)
        await until(
            pilot,
            lambda: app.work is not None and app.work.is_over and "Merge" in app.work.title,
            "the end of the merge",
        )
        assert app.work is not None and app.work.done is not None
        assert app.work.done.exit == 0, app.work.done.summary
        assert file.read_text().splitlines()[-2:] == ["PermitRootLogin no", "PrintMotd no"]
        await pilot.press("enter")
        await until(pilot, lambda: not app.board.drift.things, "nothing drifted")


async def test_what_drifted_is_accepted_from_the_screen(app: HardenApp, tmp_path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await apply(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: app.board.drift.transaction, "what drift is looked for against")
        await until(pilot, lambda: not app.board.checking, "the check after the work")
        (tmp_path / "state/host/root/etc/hostname").write_text("renamed\n")
        await pilot.press("r")
        await until(pilot, lambda: app.board.drifted_elsewhere(), "the drift")
        await until(pilot, lambda: not app.why_not("drift"), "that it can be settled")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Settle), "the question")
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "what is accepted")
        await pilot.press("right", "enter")
        await until(pilot, lambda: not app.board.drift.things, "nothing drifted")
        assert "Accepted as it stands: /etc/hostname" in rule_of(app)
