"""Undoing in any order: the whole point, held against random histories."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from snapshots.captured import Captured
from snapshots.decision import Kept, Later, by_key
from snapshots.inverse import Contents
from snapshots.invert import invert
from snapshots.model import (
    RESOLUTIONS,
    Delta,
    DomainName,
    FileItem,
    Item,
    TransactionRecord,
    ValueItem,
)
from tests.unit.undo_world import STORE, World, content_of, simplified, text, undone

LINES = st.lists(st.sampled_from("abcdefgh"), max_size=6).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)
EDITS = st.one_of(
    st.none(),
    st.tuples(LINES, st.sampled_from([0o644, 0o600])),
    st.tuples(st.sampled_from(["append", "prepend"]), st.sampled_from("uvwxyz")),
)
CHANGES = st.dictionaries(
    st.sampled_from(["/etc/one", "/etc/two", "net.key"]), EDITS, min_size=1, max_size=3
)


def to_items(world: World, changes: dict[str, object], mark: str = "") -> dict[str, Item | None]:
    """`mark` ends each line, so that it can be told from those of others."""
    found: dict[str, Item | None] = {}
    for key, edit in changes.items():
        if not key.startswith("/"):
            found[key] = ValueItem(str(edit))
            continue
        match edit:
            case None:
                found[key] = None
            case ("append" | "prepend" as where, str(line)):
                old = content_of(world.now["files"].get(key)) or ""
                line += mark
                new = f"{old}{line}\n" if where == "append" else f"{line}\n{old}"
                found[key] = text(new)
            case (str(content), int(mode)):
                found[key] = text(content.replace("\n", f"{mark}\n"), mode)
    return found


@settings(max_examples=400, deadline=None)
@given(st.data(), st.lists(CHANGES, min_size=1, max_size=5), LINES)
def test_undoing_everything_in_any_order_gives_back_the_first_state(
    data: st.DataObject, history: list[dict[str, object]], first: str
) -> None:
    world = World({"/etc/one": text(first)}, {"net.key": ValueItem("0")})
    start = simplified(world.now)
    for number, changes in enumerate(history):
        world.apply(f"step-{number % 3}", to_items(world, changes))
    order = data.draw(st.permutations([one.record.id for one in world.history]))
    for tx_id in order:
        world.undo(tx_id)
    assert simplified(world.now) == start


WINDOWS = st.lists(
    st.one_of(
        CHANGES.map(lambda changes: [("step", changes)]),
        st.lists(st.tuples(st.sampled_from(["step", "edit", "edit"]), CHANGES), max_size=3).map(
            lambda inside: [("open", {}), *inside, ("close", {})]
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(st.data(), WINDOWS, LINES)
def test_so_it_is_with_update_windows_in_between(
    data: st.DataObject, history: list[list[tuple[str, dict[str, object]]]], first: str
) -> None:
    world = World({"/etc/one": text(first)}, {"net.key": ValueItem("0")})
    start = simplified(world.now)
    inside: dict[str, list[str]] = {}
    number = 0
    for actions in history:
        with contextlib.ExitStack() as stack:
            window = ""
            for what, changes in actions:
                number += 1
                if what == "open":
                    window = stack.enter_context(world.window())
                elif what == "edit":
                    world.edit(to_items(world, changes, str(number)))
                elif what == "step":
                    wanted = to_items(world, changes, str(number))
                    step = world.apply(f"step-{number % 3}", wanted)
                    if window:
                        inside.setdefault(window, []).append(step)
    while world.history:
        one = data.draw(st.sampled_from([one.record.id for one in world.history]))
        standing = {one.record.id for one in world.history}
        # What was applied in a window is undone before the window is.
        for tx_id in (*reversed(inside.get(one, [])), one):
            if tx_id in standing:
                undone(world, tx_id, data.draw(st.sampled_from(RESOLUTIONS)))
    assert simplified(world.now) == start


def test_two_steps_in_one_file_undone_oldest_first() -> None:
    world = World({"/etc/sshd": text("Port 22\n")})
    one = world.apply("one", {"/etc/sshd": text("Port 22\nMaxAuthTries 3\n")})
    two = world.apply("two", {"/etc/sshd": text("Port 22\nMaxAuthTries 3\nX11Forwarding no\n")})
    assert world.undo(one) == {"/etc/sshd": "merge"}
    assert content_of(world.now["files"]["/etc/sshd"]) == "Port 22\nX11Forwarding no\n"
    world.undo(two)
    assert content_of(world.now["files"]["/etc/sshd"]) == "Port 22\n"


def test_an_administrators_own_line_survives() -> None:
    world = World({"/etc/sshd": text("Port 22\nUsePAM yes\nBanner none\n")})
    one = world.apply("one", {"/etc/sshd": text("Port 22\nUsePAM yes\nBanner none\nNew 1\n")})
    world.edit({"/etc/sshd": text("Port 2222\nUsePAM yes\nBanner none\nNew 1\n")})
    assert world.undo(one) == {"/etc/sshd": "merge"}
    assert content_of(world.now["files"]["/etc/sshd"]) == "Port 2222\nUsePAM yes\nBanner none\n"


def test_an_edit_in_the_same_place_is_a_conflict() -> None:
    world = World({"/etc/sshd": text("Port 22\n")})
    one = world.apply("one", {"/etc/sshd": text("Port 1022\n")})
    world.edit({"/etc/sshd": text("Port 2022\n")})
    (decision,) = world.invert(one).decisions
    assert decision.how == "conflict"


def test_a_setting_a_later_step_changed_again_is_handed_over() -> None:
    world = World({}, {"net.key": ValueItem("0")})
    one = world.apply("one", {"net.key": ValueItem("1")})
    two = world.apply("two", {"net.key": ValueItem("2")})
    assert world.undo(one) == {"net.key": "handed-over"}
    assert world.now["kernel"]["net.key"] == ValueItem("2")
    world.undo(two)
    assert world.now["kernel"]["net.key"] == ValueItem("0")


def test_lines_that_a_later_step_relies_on_stay_until_it_goes() -> None:
    rules = "/etc/ufw/user.rules"
    world = World({rules: text("first\n")})
    one = world.apply("one", {rules: text("first\nin 22\n")})
    two = world.apply("two", {rules: text("first\nin 22\nout 53\n")}, (("files", rules),))
    assert world.undo(one) == {rules: "handed-over"}
    assert world.file(rules) == "first\nin 22\nout 53\n"
    world.undo(two)
    assert world.file(rules) == "first\n"


def test_a_claim_that_something_exists_keeps_it_only_from_whoever_made_it() -> None:
    chain = "ip filter OUTPUT"
    claim: tuple[tuple[DomainName, str], ...] = (("firewall", f"exists {chain}"),)
    made = World({})
    one = made.apply("one", {chain: ValueItem("policy DROP")})
    made.apply("two", {"/etc/two": text("2\n")}, claim)
    assert made.undo(one) == {chain: "handed-over"}
    changed = World({})
    changed.edit({chain: ValueItem("policy ACCEPT")})
    one = changed.apply("one", {chain: ValueItem("policy DROP")})
    changed.apply("two", {"/etc/two": text("2\n")}, claim)
    assert changed.undo(one) == {chain: "restore"}


def test_what_an_administrator_wrote_in_between_is_not_left_to_the_later_step() -> None:
    rules = "/etc/ufw/user.rules"
    world = World({rules: text("a\nb\nc\nd\ne\n")})
    one = world.apply("one", {rules: text("a\nb\nc\nd\ne\nin 22\n")})
    world.edit({rules: text("mine\na\nb\nc\nd\ne\nin 22\n")})
    two = world.apply("two", {rules: text("mine\na\nb\nout\nc\nd\ne\nin 22\n")},
                      (("files", rules),))  # fmt: skip
    world.undo(one)
    world.undo(two)
    assert world.file(rules) == "mine\na\nb\nc\nd\ne\n"


def test_a_setting_somebody_else_set_stays() -> None:
    world = World({}, {"net.key": ValueItem("0")})
    one = world.apply("one", {"net.key": ValueItem("1")})
    world.edit({"net.key": ValueItem("7")})
    assert world.undo(one) == {"net.key": "already"}
    assert world.now["kernel"]["net.key"] == ValueItem("7")


def test_the_same_step_applied_twice_keeps_all_of_the_second() -> None:
    world = World({})
    one = world.apply("ssh", {"/etc/drop-in": text("A 1\n")})
    two = world.apply("ssh", {"/etc/drop-in": text("A 1\nB 2\n")})
    assert world.undo(one) == {"/etc/drop-in": "handed-over"}
    assert content_of(world.now["files"]["/etc/drop-in"]) == "A 1\nB 2\n"
    world.undo(two)
    assert "/etc/drop-in" not in world.now["files"]


def test_what_a_later_step_made_anew_is_called_its_own() -> None:
    world = World({})
    one = world.apply("one", {"/etc/drop-in": text("A 1\n")})
    world.edit({"/etc/drop-in": None})
    world.apply("two", {"/etc/drop-in": text("B 2\n")})
    (decision,) = world.invert(one).decisions
    assert (decision.how, decision.note) == ("already", "two made it; it stays")


def test_a_directory_stays_while_a_later_step_needs_it() -> None:
    directory = FileItem(FileState(kind="dir", mode=0o755))
    world = World({"/etc": directory})
    one = world.apply("one", {"/etc/d": directory, "/etc/d/a": text("a\n")})
    two = world.apply("two", {"/etc/d/b": text("b\n")})
    assert world.undo(one) == {"/etc/d": "handed-over", "/etc/d/a": "restore"}
    assert set(world.now["files"]) == {"/etc", "/etc/d", "/etc/d/b"}
    world.undo(two)
    assert set(world.now["files"]) == {"/etc"}


def test_a_directory_with_a_strangers_file_stays() -> None:
    directory = FileItem(FileState(kind="dir", mode=0o755))
    world = World({"/etc": directory})
    one = world.apply("one", {"/etc/d": directory, "/etc/d/a": text("a\n")})
    world.edit({"/etc/d/mine": text("mine\n")})
    world.undo(one)
    assert set(world.now["files"]) == {"/etc", "/etc/d", "/etc/d/mine"}


@pytest.mark.parametrize("order", ["01", "10"])
def test_derived_files_come_back_exactly(order: str) -> None:
    cache = "/etc/ld.so.cache"
    world = World({cache: text("first")})
    ids = [world.apply("a", {cache: text("second")}), world.apply("b", {cache: text("third")})]
    for digit in order:
        world.undo(ids[int(digit)])
    assert content_of(world.now["files"][cache]) == "first"


def test_a_mode_changed_by_somebody_else_is_kept() -> None:
    world = World({"/etc/one": text("a\n", 0o644)})
    one = world.apply("one", {"/etc/one": text("a\nb\n", 0o644)})
    world.edit({"/etc/one": text("a\nb\n", 0o600)})
    assert world.undo(one) == {"/etc/one": "merge"}
    assert world.now["files"]["/etc/one"] == text("a\n", 0o600)


def test_content_goes_back_below_a_seal_that_never_read_it() -> None:
    """A later step gave the file its modes only; it knows of no content, and keeps its seal."""
    config = "/srv/app/config.php"
    world = World({config: text("a\nz\n", 0o640)})
    settings_step = world.apply("settings", {config: text("a\nb\nz\n", 0o640)})
    seal = world.apply("seal", {config: text("a\nb\nz\n", 0o440)})
    blind = world.history[-1]
    blind.deltas = by_key([unread(delta) for delta in blind.deltas.values()])
    world.edit({config: text("a\nb\nz\nadministrator\n", 0o440)})
    assert world.undo(settings_step) == {config: "merge"}
    assert world.now["files"][config] == text("a\nz\nadministrator\n", 0o440)
    (left,) = blind.deltas.values()
    assert unread(left) == left, "it has learned of content it never read"
    assert world.undo(seal) == {config: "restore"}
    sealed = world.now["files"][config]
    assert isinstance(sealed, FileItem) and sealed.state.mode == 0o640


def unread(delta: Delta) -> Delta:
    """As a tree is captured whose content is not kept."""
    sides = [
        FileItem(msgspec.structs.replace(item.state, sha256=""))
        if isinstance(item, FileItem)
        else item
        for item in (delta.before, delta.after)
    ]
    return Delta(delta.domain, delta.key, *sides)


def test_packages_are_taken_away_in_whatever_version_they_are_now() -> None:
    delta = Delta("packages", "ufw", None, ValueItem("1.0;manual"))
    record = TransactionRecord(
        id="1", kind="apply", steps=("x",), title="", status="committed", started=""
    )
    now: Captured = {"files": {}, "packages": {"ufw": ValueItem("1.1;manual")}}
    inversion = invert(record, [delta], [], now, Contents(lambda sha: b""), kept=Kept())
    assert [one.how for one in inversion.decisions] == ["restore"]
    assert inversion.target()["packages"] == {}


def test_a_directory_goes_with_the_package_file_that_stays_in_it() -> None:
    directory = FileItem(FileState(kind="dir", mode=0o755))
    world = World({"/etc": directory})
    one = world.apply("one", {"/etc/nft": directory, "/etc/nft/conf": text("packaged\n")})
    two = world.apply("two", {"/etc/other": text("x\n")})
    mine = world.history[0]
    kept = Kept(
        packages={"nftables": "fail2ban"},
        files={"/etc/nft/conf": "nftables"},
        heirs={"nftables": two},
    )
    inversion = invert(
        mine.record, mine.deltas.values(), world.history[1:], world.now,
        Contents(lambda sha256: STORE[sha256]), kept=kept,
    )  # fmt: skip
    assert {d.delta.key: d.how for d in inversion.decisions} == {
        "/etc/nft": "handed-over",
        "/etc/nft/conf": "handed-over",
    }
    heir = inversion.deltas_of(world.history[1], world.now)
    assert {d.key: d.before for d in heir} == dict.fromkeys(
        ("/etc/nft", "/etc/nft/conf", "/etc/other")
    )
    assert one < two


def test_a_firewall_table_stays_while_a_later_chain_lies_in_it() -> None:
    table, built_in, own = "ip filter", "ip filter INPUT", "ip filter ufw-user-input"
    mine = [
        Delta("firewall", key, None, ValueItem(value))
        for key, value in ((table, "iptables"), (built_in, "-j ufw-user-input"), (own, "22"))
    ]
    record = TransactionRecord(
        id="1", kind="apply", steps=("one",), title="", status="committed", started=""
    )
    heir = Later(
        TransactionRecord(
            id="2", kind="apply", steps=("two",), title="", status="committed", started=""
        ),
        by_key([Delta("firewall", own, ValueItem("22"), ValueItem("22\n80"))]),
    )
    now: Captured = {
        "files": {},
        "firewall": {
            table: ValueItem("iptables"),
            built_in: ValueItem("-j ufw-user-input"),
            own: ValueItem("22\n80"),
        },
    }
    inversion = invert(record, mine, [heir], now, Contents(lambda sha: b""), kept=Kept())
    assert {d.delta.key: d.how for d in inversion.decisions} == {
        table: "handed-over",
        built_in: "restore",
        own: "handed-over",
    }
    emptied: Captured = {"firewall": {**now["firewall"], built_in: ValueItem("policy ACCEPT")}}
    inherited = inversion.deltas_of(heir, emptied)
    assert {d.key: d.before for d in inherited} == {table: None, built_in: None, own: None}
    assert {d.key: d.after for d in inherited} == emptied["firewall"]
