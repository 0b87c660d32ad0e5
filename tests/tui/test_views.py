"""The views by the text of their lines."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from snapshots.decision import name_of
from snapshots.model import TransactionRecord, UndoItem, UndoPlan
from steps.events import CommandEvent, Done, GuardEvent, OutputEvent, ProgressEvent, StepEvent
from steps.login_failures import LoginReport
from steps.model import Finding, Parameter, StepResult
from tests.tui import recorded_hands
from tui.board import Board, is_undoable
from tui.changing import to_ask
from tui.dialogs import problem_of
from tui.history_words import NOTHING_TOLD
from tui.running import Work
from tui.text import cells, clean, cut, fit, fold, length, plain, plain_text, wrap
from tui.theme import drawable, use_ascii
from tui.undoing import in_conflict
from tui.views import checklist, frame, help, history, lead, live, log, logins, preview, step
from tui.wire import (
    EntriesAnswer,
    LiveAnswer,
    LogAnswer,
    LogVerdict,
    PlanAnswer,
    SinceAnswer,
    StepInfo,
    StepPlan,
    StepsAnswer,
    TouchedItem,
    TransactionAnswer,
)

ESCAPES = "\x1b[31mred\x1b[0m \x07 tab\tend \u202e reversed \u009b31m"


def known_board() -> Board:
    board = Board()
    board.take_infos(msgspec.convert({"steps": recorded_hands.STEPS}, StepsAnswer).steps)
    for one in recorded_hands.STEPS:
        board.take_result(msgspec.convert(recorded_hands.result(one), StepResult))
    board.take_records([msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)])
    return board


def test_no_control_character_reaches_the_terminal() -> None:
    shown = clean(ESCAPES)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\u009b" not in shown
    assert all(character.isprintable() for character in shown)
    assert shown.startswith("^[[31mred^[[0m ^G tab")


@given(st.text(), st.integers(4, 60))
def test_fit_is_exact(text: str, width: int) -> None:
    assert cells(fit(clean(text), width)) == width


@given(st.text(), st.integers(8, 60))
def test_wrap_and_fold_stay_within_the_width_and_fold_drops_nothing(text: str, width: int) -> None:
    assert all(cells(piece) <= width for piece in wrap(text, width))
    pieces = fold(text, width)
    assert all(cells(piece) <= width for piece in pieces)
    assert "".join(pieces) == clean(text)


def test_cut_marks_what_it_dropped() -> None:
    assert cut("harden-tui", 6) == "harde…"
    assert cut("harden", 6) == "harden"
    assert cut("日本語", 5) == "日本…"


def test_ascii_signs_take_the_same_room() -> None:
    use_ascii(True)
    try:
        for text in ("✓ pass", "a · b – c … d", "│▸─→↑↓«»“x”", "日本"):
            assert drawable(text).isascii()
            assert cells(drawable(text)) == cells(text)
    finally:
        use_ascii(False)


def test_counts_say_what_is_done_and_what_is_left() -> None:
    board = known_board()
    assert board.counts().sentence() == "4 of 8 done · 2 open · 1 unknown · 1 to attest"


def test_unknown_is_never_done() -> None:
    board = Board()
    board.take_result(StepResult(id="a.b", stage="pre-install", title="T", status="unknown"))
    assert board.counts().done == 0
    assert board.is_open("a.b")


def test_next_open_goes_round() -> None:
    board = known_board()
    assert board.next_open("ssh.root-login") == "ssh.limits"
    assert board.next_open("backup.schedule") == "ssh.root-login"
    assert Board().next_open("") == ""


def test_another_result_makes_the_preview_stale() -> None:
    board = known_board()
    board.plans["ssh.limits"] = PlanAnswer(fingerprint="f", steps=())
    board.take_result(msgspec.structs.replace(board.results["ssh.limits"], status="pass"))
    assert "ssh.limits" not in board.plans


def test_only_committed_applies_can_be_undone() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    assert is_undoable(record)
    for change in ({"status": "undone"}, {"kind": "rollback"}, {"undone_by": "x"}):
        assert not is_undoable(msgspec.structs.replace(record, **change))


def test_every_row_says_its_status_in_words_and_fits() -> None:
    board = known_board()
    for width in (34, 50, 90):
        rows = checklist.rows(board, "", width)
        assert all(length(row.line) <= width - (2 if row.key else 0) for row in rows)
        text = plain_text([row.line for row in rows])
        for words in (
            "✗ open    ssh.root-login",
            "✓ pass    ssh.key-only",
            "? unknown minimal.ser",
        ):
            assert words in text
        assert text.startswith("Before the application")


def test_the_filter_finds_words_in_id_title_and_status() -> None:
    board = known_board()
    for wanted, found in (
        ("ssh", ["ssh.root-login", "ssh.key-only", "ssh.limits"]),
        ("open ssh", ["ssh.root-login", "ssh.limits"]),
        ("KERNEL", ["kernel.sysctl"]),
    ):
        assert [row.key for row in checklist.rows(board, wanted, 40) if row.key] == found
    assert plain(checklist.rows(board, "nothing", 40)[0].line) == "No step matches “nothing”."


def test_why_says_what_it_breaks_and_where_it_comes_from() -> None:
    text = plain_text(step.why(known_board(), "ssh.root-login", 60))
    for words in ("Break-in scripts", "Whoever still logs in as root", "Guarded", "5.1.20"):
        assert words in text


def test_the_gist_has_its_lines_in_the_same_places_for_every_step() -> None:
    board = known_board()
    for one in recorded_hands.STEPS:
        text = plain_text(step.gist(board, one["id"], 43)).split("\n")
        assert text[4].startswith("Breaks")
        assert text[8] == "Enter shows all of it."
        assert text[0].split()[0] == board.infos[one["id"]].why.split()[0]
    assert "asks for a typed" in plain_text(step.gist(board, "ssh.root-login", 43))


def test_why_shows_values_but_no_secret() -> None:
    board = Board()
    info = StepInfo(
        id="db.password", stage="post-install", title="T",
        parameters={
            "password": Parameter(kind="secret", help="h"),
            "tries": Parameter(kind="integer", help="h", default=3),
            "user": Parameter(kind="text", help="h"),
        },
        values={"tries": 3, "password": "hunter2"}, missing=["user"],
    )  # fmt: skip
    board.take_infos([info])
    text = plain_text(step.why(board, "db.password", 60))
    assert "hunter2" not in text
    assert "needs a value" in text
    assert "tries" in text


def test_what_may_be_left_empty_is_asked_for_only_where_a_step_is_applied_by_itself() -> None:
    info = StepInfo(
        id="accounts.admin-user", stage="pre-install", title="T",
        parameters={
            "name": Parameter(kind="text", help="h", optional=True),
            "key": Parameter(kind="text", help="h", optional=True),
            "password": Parameter(kind="secret", help="h", optional=True),
        },
        values={"name": "anna", "key": ""},
    )  # fmt: skip
    assert to_ask(info, alone=True) == ["key", "password"]
    assert to_ask(info, alone=False) == []
    needed = msgspec.structs.replace(info.parameters["password"], optional=False)
    asked = msgspec.structs.replace(info, parameters={**info.parameters, "password": needed})
    assert to_ask(asked, alone=False) == ["password"]
    assert problem_of("key", info.parameters["key"], "") == ""
    assert problem_of("password", needed, "") == "password: needs a value"


def test_state_shows_every_answer_whole() -> None:
    origin = "/etc/ssh/sshd_config.d/50-a-name-that-is-longer-than-any-pane-of-this-screen.conf:17"
    finding = Finding(
        resource="sshd", setting="PermitRootLogin", expected="no", running="yes",
        persistent="without-password", origin=origin, ok=False,
    )  # fmt: skip
    result = StepResult(
        id="a.b", stage="pre-install", title="T", status="fail", findings=(finding,)
    )
    text = plain_text(step.state(result, 40))
    for words in ("not as expected", "expected      no", "after reboot  without-password"):
        assert words in text
    assert origin in "".join(line.strip() for line in text.splitlines())


def test_what_was_not_measured_says_so() -> None:
    result = msgspec.convert(recorded_hands.result(recorded_hands.STEPS[3]), StepResult)
    text = plain_text(step.state(result, 60))
    assert "? cups.service" in text
    assert "not measured" in text
    assert "Only root may ask this." in text


DIFF = "--- /etc/a\n+++ /etc/a\n@@ -9,3 +9,4 @@\n same\n-old\n+new\n+more\n same\n"


def test_a_diff_has_old_and_new_line_numbers() -> None:
    assert plain_text(preview.diff_lines(DIFF, 40)) == (
        "--- /etc/a\n+++ /etc/a\n@@ -9,3 +9,4 @@\n"
        " 9  9  same\n10    -old\n   10 +new\n   11 +more\n11 12  same"
    )


def test_a_long_line_of_a_diff_is_folded_not_cut() -> None:
    diff = f"--- a\n+++ a\n@@ -0,0 +1 @@\n+{'x' * 100}\n"
    text = plain_text(preview.diff_lines(diff, 40))
    assert text.count("x") == 100
    assert all(len(line) <= 40 for line in text.splitlines())


def test_a_refusal_stands_with_its_reason() -> None:
    plan = StepPlan(id="a.b", title="T", refusals=("No administrator with a key is left.",))
    text = plain_text(preview.step_plan_lines(plan, 60))
    assert text.startswith("! Refused: No administrator")
    assert "Nothing to change" not in text and "--force" not in text


def test_a_lock_out_says_how_to_insist() -> None:
    plan = StepPlan(id="a.b", title="T", lockouts=("No administrator with a key is left.",))
    text = plain_text(preview.step_plan_lines(plan, 70))
    assert text.startswith("! Locks out: No administrator")
    assert "sudo harden-tui apply a.b --force" in text
    assert "Nothing to change" not in text


def test_a_plan_shows_diff_commands_and_what_cannot_come_back() -> None:
    plan = msgspec.convert(recorded_hands.plan(["ssh.root-login"]), PlanAnswer)
    plan_with = msgspec.structs.replace(plan.steps[0], irreversible=("the old key",))
    text = plain_text(preview.step_plan_lines(plan_with, 70))
    for words in ("PermitRootLogin no", "$ sshd -t", "$ systemctl reload", "Cannot come back: the"):
        assert words in text


def test_conflicts_of_an_undo_come_first() -> None:
    items = (
        UndoItem(domain="files", key="/etc/a", how="restore"),
        UndoItem(domain="files", key="/etc/b", how="conflict", did="-old\n+ours", since="+theirs"),
    )
    plans = [UndoPlan(transaction="t", steps=(), items=items, commands=(), fingerprint="")]
    text = plain_text(preview.undo_lines(plans, 60))
    assert text.index("/etc/b: CONFLICT") < text.index("/etc/a: put back")
    did, since = text.index("What the step did"), text.index("What was changed since")
    assert did < text.index("+ours") < since < text.index("+theirs")


def test_what_cannot_be_undone_is_said_first_and_each_change_of_several_is_told_apart() -> None:
    item = UndoItem(domain="files", key="/etc/a", how="restore")
    new = UndoPlan(
        transaction="new", steps=("site.a",), items=(item,), commands=(), fingerprint="",
        cannot="The kept package cron is missing.",
    )  # fmt: skip
    old = msgspec.structs.replace(new, transaction="old", cannot="")
    text = plain_text(preview.undo_lines([new, old], 60, 300, {"old": "2026-11-27 14:54"}))
    assert text.startswith("! The kept package cron is missing.")
    for words in ("1 of 2  site.a\nnew\n", "2 of 2  site.a\nold, of 2026-11-27 14:54 UTC\n"):
        assert words in text
    assert " of 1" not in plain_text(preview.undo_lines([new], 60))


def test_of_two_changes_in_conflict_at_one_file_the_newest_is_asked_about() -> None:
    def plan(number: int) -> UndoPlan:
        item = UndoItem(domain="files", key="/etc/a", how="conflict", did=f"{number}")
        return UndoPlan(
            transaction=f"{number}", steps=(), items=(item,), commands=(), fingerprint=""
        )

    (item,) = in_conflict([plan(2), plan(1)])
    assert item.did == "2" and "the newest of 2 changes" in item.note
    assert not in_conflict([plan(2)])[0].note


def test_an_undo_names_the_later_steps_that_depend_on_it() -> None:
    items = (
        UndoItem(domain="files", key="/etc/a", how="handed-over", later=("ssh.limits",)),
        UndoItem(domain="kernel", key="net.x", how="handed-over", later=("kernel.sysctl",)),
        UndoItem(domain="packages", key="nftables", how="handed-over", note="kept: needed by x"),
        UndoItem(domain="files", key="/etc/b", how="kept", chosen="keep-current"),
    )
    plans = [UndoPlan(transaction="t", steps=(), items=items, commands=(), fingerprint="")]
    text = " ".join(plain_text(preview.undo_lines(plans, 70)).split())
    assert "Later steps depend on 2 of these: ssh.limits, kernel.sysctl." in text
    assert "/etc/a: stays: ssh.limits needs it and inherits the undo" in text
    assert "nftables: stays: what stays needs it" in text
    assert "/etc/b: stays, as you chose" in text


def test_work_shows_commands_output_and_the_end() -> None:
    work = Work("Apply ssh.limits")
    for event in (
        StepEvent(step="ssh.limits", phase="applying", index=2, of=3),
        CommandEvent(command="sshd -t"),
        OutputEvent(line="\x1b[31mred"),
        ProgressEvent(what="capturing /etc", done=1200),
    ):
        work.take(event)
    assert work.state_line() == "running 2/3 applying ssh.limits"
    text = plain_text(work.lines(60))
    for words in ("$ sshd -t", "│ ^[[31mred", "… capturing /etc 1,200"):
        assert words in text
    work.take(Done(exit=4, summary="It failed and was rolled back."))
    assert work.is_over
    assert plain_text(work.lines(60)).endswith(
        "Failed and rolled back\nIt failed and was rolled back."
    )


def test_while_another_package_tool_is_waited_for_nothing_is_said_to_be_rolled_back() -> None:
    work = Work("Undo site.single")
    work.take(StepEvent(step="site.single", phase="rolling-back", index=1, of=1))
    work.take(ProgressEvent(what="waiting up to 60 s for apt-get (process 7, since 14:59:47 UTC)"))
    assert work.state_line() == "waiting up to 60 s for apt-get"
    work.take(CommandEvent(command="sshd -t"))
    assert work.state_line() == "running rolling back site.single"


def test_a_work_says_that_it_waits_and_how_that_ended() -> None:
    work = Work("")
    for event in (
        GuardEvent(step="firewall.ufw", phase="waiting", deadline="2026-11-21T14:03:20Z"),
        GuardEvent(step="firewall.ufw", phase="login", login="bob from 192.0.2.7 port 5"),
        GuardEvent(step="firewall.ufw", phase="waiting", deadline="2026-11-21T14:08:20Z"),
        GuardEvent(step="firewall.ufw", phase="login", login="bob from 192.0.2.7 port 5"),
    ):
        work.take(event)
        assert work.state_line() == "waiting for your confirmation"
    text = plain_text(work.lines(80))
    assert "waits for your confirmation until 14:08:20 UTC" in text
    assert text.count("new login of bob from 192.0.2.7 port 5") == 1
    work.take(GuardEvent(step="firewall.ufw", phase="taken-back", reasons=("Nobody came.",)))
    assert work.state_line().startswith("running")
    assert "! Nobody came." in plain_text(work.lines(80))


def test_ports_say_who_can_reach_them_and_whether_that_is_expected() -> None:
    answer = msgspec.convert(recorded_hands.LIVE, LiveAnswer)
    lines = [plain(row.line) for row in live.port_rows(answer.ports, "port", "", 80)]
    assert [line.split()[0] for line in lines] == ["tcp/22", "tcp/80", "tcp/631", "tcp/3306"]
    assert lines[2].endswith("from anywhere     unexpected")
    assert "this machine only" in lines[3]
    assert all(len(line) <= 78 for line in lines)
    first = live.port_rows(answer.ports, "expected", "", 80)[0]
    assert first.key.startswith("tcp/631")
    assert [r.key[:7] for r in live.port_rows(answer.ports, "port", "cups any", 80)] == ["tcp/631"]


def test_failed_services_come_first_and_idle_ones_are_left_out() -> None:
    answer = msgspec.convert(recorded_hands.LIVE, LiveAnswer)
    shown = [s for s in answer.services if live.worth_showing(s)]
    assert "apt-daily.service" not in [s.unit for s in shown]
    assert live.service_rows(shown, "state", "", 80)[0].key == "logrotate.service"


def test_history_shows_the_newest_first() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    newer = msgspec.structs.replace(record, id="later", started="2026-11-21T00:00:00Z")
    assert [row.key for row in history.rows([record, newer], 80)] == ["later", record.id]


def test_an_undo_that_stands_does_not_read_as_one_that_was_taken_back() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    shown = {}
    for status in ("committed", "rolled-back"):
        undo = msgspec.structs.replace(record, kind="rollback", status=status)
        listed, panes = plain_text([history.record_line(undo, 80)]), history.record_rows(undo, 60)
        shown[status] = (
            f"{listed}\n{plain_text(panes)}\n{plain_text(history.detail(undo, None, 80))}"
        )
        assert " ".join(listed.split()[2:]).endswith(f"undo of {name_of(record)} alice")
    assert "✓ done" in shown["committed"] and "✓ undo done" in shown["committed"]
    assert "– failed, not undone" in shown["rolled-back"]
    assert "rolled back" not in shown["committed"] + shown["rolled-back"]


def test_an_undo_names_what_it_leaves_out_and_shows_no_change_that_nobody_made() -> None:
    lost = "the saved content of /etc/motd was altered on the disk"
    item = UndoItem(
        domain="files", key="/etc/motd", how="conflict", note=lost, did="before and after",
        cannot={"restore": lost, "merge": lost}, damaged=lost,
    )  # fmt: skip
    stays = UndoPlan(
        transaction="two", steps=("b",), items=(), commands=(), fingerprint="", left_out=lost
    )
    plan = UndoPlan(transaction="one", steps=("a",), items=(item,), commands=(), fingerprint="")
    text = " ".join(plain_text(preview.undo_lines([plan, stays], 80)).split())
    assert f"! Left out: {lost}" in text
    assert "What the step did" in text and "changed since" not in text


def test_history_tells_what_was_left_to_a_step_apart() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    touched = TouchedItem("files", "/etc/motd", "+mine")
    since = SinceAnswer(("one", "two"), (TouchedItem("files", "/etc/motd", "+theirs"),), (touched,))
    lines = history.detail(record, TransactionAnswer((touched,), since), 80)
    text = " ".join(plain_text(lines).split())
    assert text.index("+mine") < text.index("Left to it since one, two were undone")
    assert text.index("+theirs") < text.index("Its own undo leaves this alone now")
    assert "Left to it" not in plain_text(history.detail(record, TransactionAnswer((touched,)), 80))


def test_history_says_nothing_was_touched_only_where_that_is_known() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    for told, said in NOTHING_TOLD.items():
        text = plain_text(history.detail(record, TransactionAnswer(told=told), 80))
        assert said in " ".join(text.split())
        assert ("touched nothing" in text) == (told == "all")


def test_a_changed_log_is_said_loudly() -> None:
    sessions = msgspec.convert(recorded_hands.SESSIONS, LogAnswer).sessions
    bad = LogVerdict(ok=False, problem="entry 2 was altered")
    assert "! The log was changed: entry 2 was altered." in plain_text(log.header(sessions, bad))
    assert "whole" in plain_text(log.header(sessions, LogVerdict(ok=True)))


def test_log_entries_show_all_they_say() -> None:
    entries = msgspec.convert(recorded_hands.ENTRIES, EntriesAnswer).entries
    text = plain_text(log.entry_lines(entries, 80))
    assert "10:20:00  waive  kernel.sysctl  alice" in text
    assert "reason: containers need forwarding" in text


def test_what_was_rolled_back_is_not_offered_to_be_undone() -> None:
    known = Board()
    kept = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    known.take_records([kept])
    assert "u undoes it at any time" in plain_text(lead.proof(known, kept.steps[0], None, 80))
    known.take_records([msgspec.structs.replace(kept, status="rolled-back")])
    assert "undoes it" not in plain_text(lead.proof(known, kept.steps[0], None, 80))


def test_no_failed_login_is_told_apart_from_none_that_could_be_seen() -> None:
    def said(report: LoginReport) -> str:
        return plain_text([row.line for row in logins.rows(report, "addresses", "", 80)])

    assert said(LoginReport(window_s=60)) == "No login failed in this time."
    blind = said(LoginReport(window_s=60, problems=("there is no journal to be read here",)))
    assert blind == "No failed login was seen, but there is no journal to be read here."


def test_the_footer_has_all_its_keys_within_80_columns() -> None:
    for place in ("checklist", "live", "history", "log", "help"):
        lines = frame.footer(place, 80, lambda name: True)
        assert len(lines) <= 2
        assert all(length(line) <= 80 for line in lines)
        assert plain(lines[-1]).endswith("? help  q quit")


def test_the_rule_is_exactly_as_wide_as_the_screen() -> None:
    for message, place in (
        ("", ""),
        ("A message.", ""),
        ("m" * 200, "1–9 of 20"),
        ("", "1–2 of 3"),
    ):
        assert length(frame.rule(message, place, 80)) == 80


def test_help_has_every_key_and_every_status() -> None:
    from tui.actions import ACTIONS
    from tui.theme import STATUS_MEANINGS

    text = plain_text(help.lines(80))
    assert all(action.description.split(":")[0].split("(")[0][:40] in text for action in ACTIONS)
    assert all(meaning in text for meaning in STATUS_MEANINGS.values())
    assert all(length(line) <= 80 for line in help.lines(80))
