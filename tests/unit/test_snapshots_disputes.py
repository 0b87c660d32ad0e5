"""Conflicts at undo: three sides, three resolutions, and what becomes of all that came later.

Two invariants: an administrator's edit is never lost without having been asked, and undoing
everything gives back the first state plus those edits.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from snapshots.decision import Kept
from snapshots.differences_text import between
from snapshots.inverse import Contents
from snapshots.invert import invert
from snapshots.model import (
    RESOLUTIONS,
    Delta,
    FileItem,
    Item,
    Resolution,
    Resolutions,
    TransactionRecord,
    ValueItem,
)
from tests.unit.undo_world import STORE, World, content_of, directory, link, raw, simplified, text

PATH = "/etc/sshd"


def changed_twice() -> tuple[World, str]:
    """A step changed one line and added another; somebody changed the first one again."""
    world = World({PATH: text("Port 22\nUsePAM yes\nBanner none\n")})
    one = world.apply("one", {PATH: text("Port 1022\nUsePAM yes\nBanner none\nX11 no\n")})
    world.edit({PATH: text("Port 2022\nUsePAM yes\nBanner none\nX11 no\n")})
    return world, one


@pytest.mark.parametrize(
    ("choice", "how", "left"),
    [
        ("keep-current", "kept", "Port 2022\nUsePAM yes\nBanner none\nX11 no\n"),
        ("restore", "restore", "Port 22\nUsePAM yes\nBanner none\n"),
        ("merge", "merge", "Port 2022\nUsePAM yes\nBanner none\n"),
    ],
)
def test_three_ways_out_of_a_conflict(choice: Resolution, how: str, left: str) -> None:
    world, one = changed_twice()
    assert world.undo(one, choice) == {PATH: how}
    assert world.file(PATH) == left


def test_a_choice_for_one_thing_counts_before_that_for_all() -> None:
    first: dict[str, Item] = {"/etc/a": text("0\n"), "/etc/b": text("0\n")}
    world = World(first)
    one = world.apply("one", {"/etc/a": text("1\n"), "/etc/b": text("1\n")})
    world.edit({"/etc/a": text("2\n"), "/etc/b": text("2\n")})
    world.decided(one, Resolutions("restore", {"/etc/b": "keep-current"}))
    assert (world.file("/etc/a"), world.file("/etc/b")) == ("0\n", "2\n")


def test_a_choice_for_what_is_not_in_conflict_changes_nothing() -> None:
    world = World({PATH: text("a\n")})
    one = world.apply("one", {PATH: text("a\nb\n")})
    world.edit({PATH: text("a\nb\nmine\n")})
    assert world.undo(one, "restore") == {PATH: "merge"}
    assert world.file(PATH) == "a\nmine\n"


def test_what_a_later_step_found_is_settled_and_its_own_part_stays() -> None:
    """Changed by hand between two steps: the conflict lies in what the second one found."""
    found = {}
    for choice in RESOLUTIONS:
        world, one = changed_twice()
        two = world.apply("two", {PATH: text((world.file(PATH) or "") + "AllowUsers me\n")})
        (decision,) = world.invert(one).decisions
        assert (decision.how, decision.disputed) == ("conflict", True)
        assert "before two changed it too" in decision.note
        (clash,) = decision.clashes
        assert clash.by is not None and clash.by.steps == ("two",)
        assert "Port 2022" in (content_of(clash.found) or "")
        world.undo(one, choice)
        between = world.file(PATH)
        world.undo(two)
        found[choice] = (between, world.file(PATH))
    assert found == {
        "keep-current": (
            "Port 2022\nUsePAM yes\nBanner none\nX11 no\nAllowUsers me\n",
            "Port 2022\nUsePAM yes\nBanner none\nX11 no\n",
        ),
        "restore": (
            "Port 22\nUsePAM yes\nBanner none\nAllowUsers me\n",
            "Port 22\nUsePAM yes\nBanner none\n",
        ),
        "merge": (
            "Port 2022\nUsePAM yes\nBanner none\nAllowUsers me\n",
            "Port 2022\nUsePAM yes\nBanner none\n",
        ),
    }


def test_restoring_what_a_later_step_needs_hands_it_over() -> None:
    world = World({PATH: text("Port 22\n")})
    one = world.apply("one", {PATH: text("Port 1022\n")})
    world.edit({PATH: text("Port 2022\n")})
    two = world.apply("two", {PATH: text("Port 3022\n")})
    (decision,) = world.decided(one, Resolutions("restore"))
    assert (decision.how, decision.chosen) == ("handed-over", "restore")
    assert [heir.steps for heir in decision.heirs] == [("two",)]
    assert "it lies in the restore point of two" in decision.note
    assert world.file(PATH) == "Port 3022\n"
    world.undo(two)
    assert world.file(PATH) == "Port 22\n"


def test_restoring_later_does_not_bring_back_what_was_undone_before() -> None:
    world = World({PATH: text("Port 22\nx\nBanner none\n")})
    one = world.apply("one", {PATH: text("Port 1022\nx\nBanner none\n")})
    two = world.apply("two", {PATH: text("Port 1022\nx\nBanner issue\n")})
    world.edit({PATH: text("Port 2022\nx\nBanner mine\n")})
    world.undo(one, "keep-current")
    assert world.file(PATH) == "Port 2022\nx\nBanner mine\n"
    world.undo(two, "restore")
    assert world.file(PATH) == "Port 22\nx\nBanner none\n"


@pytest.mark.parametrize(
    ("before", "after", "now", "why"),
    [
        (text("a\n"), text("b\n"), link("/srv/b"), "a file and a link cannot be merged"),
        (link("a"), link("b"), link("c"), "a link has no lines to merge"),
        (text("a\n"), None, text("c\n"), "the step removed it and somebody made it anew"),
        (raw(b"\0a"), raw(b"\0b"), raw(b"\0c"), "it is not text"),
        (None, directory(), text("mine\n"), "a directory and a file cannot be merged"),
    ],
)
def test_where_merging_means_nothing_it_is_refused_and_the_others_work(
    before: Item | None, after: Item | None, now: Item, why: str
) -> None:
    for choice, left in (("keep-current", now), ("restore", before)):
        world = World({PATH: before} if before else {})
        one = world.apply("one", {PATH: after})
        world.edit({PATH: now})
        for resolutions in (Resolutions(), Resolutions("merge")):
            (decision,) = world.invert(one, resolutions).decisions
            assert (decision.how, decision.cannot) == ("conflict", {"merge": why})
        world.decided(one, Resolutions(single={PATH: choice}))  # type: ignore[dict-item]  # a str
        assert world.now["files"].get(PATH) == left


def test_secret_content_is_not_merged() -> None:
    def secret(sign: str) -> FileItem:
        return FileItem(FileState(kind="file", sha256=f"hmac:{sign}"))

    world = World({PATH: secret("a")})
    one = world.apply("one", {PATH: secret("b")})
    world.edit({PATH: secret("c")})
    (decision,) = world.invert(one, Resolutions("merge")).decisions
    assert "secret" in decision.cannot["merge"]
    world.undo(one, "restore")
    assert world.now["files"][PATH] == secret("a")


def test_rules_of_the_packet_filter_merge_one_by_one() -> None:
    chain = "ip filter INPUT"
    left = {}
    for choice in RESOLUTIONS:
        world = World({})
        world.edit({chain: ValueItem("policy DROP\n-p tcp --dport 22\n-j LOG")})
        rules = "policy DROP\n-p tcp --dport 1022\n-j LOG\n-j REJECT"
        one = world.apply("one", {chain: ValueItem(rules)})
        world.edit({chain: ValueItem(rules.replace("1022", "2022"))})
        world.undo(one, choice)
        left[choice] = world.now["firewall"][chain]
    assert left == {
        "keep-current": ValueItem("policy DROP\n-p tcp --dport 2022\n-j LOG\n-j REJECT"),
        "restore": ValueItem("policy DROP\n-p tcp --dport 22\n-j LOG"),
        "merge": ValueItem("policy DROP\n-p tcp --dport 2022\n-j LOG"),
    }


def test_rules_are_shown_line_by_line() -> None:
    before, after = ValueItem("policy DROP\n-j LOG"), ValueItem("policy DROP\n-j REJECT")
    diff = between("ip filter INPUT", before, after, lambda sha256: b"")
    assert diff.splitlines()[3:] == [" policy DROP", "--j LOG", "+-j REJECT"]
    assert between("net.x", ValueItem("0"), None, lambda sha256: b"") == "net.x: 0 -> absent"


def test_a_file_does_not_come_back_over_a_directory_with_something_in_it() -> None:
    world = World({"/etc/d": text("a\n")})
    one = world.apply("one", {"/etc/d": text("b\n")})
    world.edit({"/etc/d": directory(), "/etc/d/mine": text("mine\n")})
    for resolutions in (Resolutions("restore"), Resolutions("merge")):
        (decision,) = world.invert(one, resolutions).decisions
        assert decision.how == "conflict"
    assert (
        "/etc/d/mine lies in the directory"
        in world.invert(one, Resolutions("restore")).decisions[0].cannot["restore"]
    )
    world.undo(one, "keep-current")
    assert world.file("/etc/d/mine") == "mine\n"


def test_what_lay_in_a_directory_that_is_none_now_stays_away_if_so_chosen() -> None:
    world = World({"/etc/d": directory(), "/etc/d/a": text("a\n")})
    one = world.apply("one", {"/etc/d/a": None})
    world.edit({"/etc/d": link("/srv/d")})
    (decision,) = world.invert(one, Resolutions("restore")).decisions
    assert decision.how == "conflict"
    assert "/etc/d, in which it lay, is no directory now" in decision.cannot["restore"]
    assert world.undo(one, "keep-current") == {"/etc/d/a": "kept"}


def test_a_packaged_file_that_somebody_changed_can_be_kept_given_up_or_merged() -> None:
    left = {}
    for choice in RESOLUTIONS:
        record = TransactionRecord(
            id="1", kind="apply", steps=("x",), title="", status="committed", started=""
        )
        inversion = invert(
            record, [Delta("files", PATH, None, text("packaged\n"))], [],
            {"files": {PATH: text("packaged\nmine\n")}},
            Contents(lambda sha256: STORE[sha256]), kept=Kept(), packaged=[PATH],
            resolutions=Resolutions(choice),
        )  # fmt: skip
        STORE.update(inversion.contents.made)
        world = World({})
        world.now = inversion.target()
        left[choice] = world.file(PATH)
    assert left == {"keep-current": "packaged\nmine\n", "restore": None, "merge": "mine\n"}


# One place per file: every change collides with every other. What must be left is known exactly.

FILES = ("/etc/one", "/etc/two")
STEP, PERSON = "step", "person"


class Writes:
    """The same history as a list of writes per file; the oracle."""

    def __init__(self, first: dict[str, Item | None]) -> None:
        self.first = first
        self.lists: dict[str, list[tuple[str, Item | None]]] = {path: [] for path in first}

    def value(self, path: str) -> Item | None:
        return self.lists[path][-1][1] if self.lists[path] else self.first[path]

    def write(self, who: str, path: str, item: Item | None) -> None:
        if self.value(path) != item:
            self.lists[path].append((who, item))

    def _of(self, tx_id: str, path: str) -> tuple[int, int]:
        """Where a transaction's write stands, and where what a person wrote right after it ends."""
        writes = self.lists[path]
        at = next((n for n, (who, _) in enumerate(writes) if who == tx_id), -1)
        end = at + 1
        while at >= 0 and end < len(writes) and writes[end][0] == PERSON:
            end += 1
        return at, end

    def in_conflict(self, tx_id: str) -> list[str]:
        """A person wrote something else over it; removing it is no such thing."""
        found = []
        for path, writes in self.lists.items():
            at, end = self._of(tx_id, path)
            if end > at + 1 and writes[end - 1][1] not in (None, writes[at][1]):
                found.append(path)
        return sorted(found)

    def undo(self, tx_id: str, chosen: dict[str, str]) -> None:
        for path, writes in self.lists.items():
            at, end = self._of(tx_id, path)
            if at < 0:
                continue
            run = writes[at + 1 : end]
            undone_by_hand = bool(run) and run[-1][1] == writes[at][1]
            given_up = chosen.get(path) == "restore" or undone_by_hand
            self.lists[path] = writes[:at] + ([] if given_up else run) + writes[end:]
            self._without_idle(path)

    def _without_idle(self, path: str) -> None:
        value, kept = self.first[path], []
        for who, item in self.lists[path]:
            if item != value or who == PERSON:
                kept.append((who, item))
            value = item
        self.lists[path] = kept


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just(STEP), st.sets(st.sampled_from(FILES), min_size=1), st.booleans()),
        st.tuples(
            st.just(PERSON), st.sampled_from(FILES), st.sampled_from(["text", "gone", "link"])
        ),
        st.tuples(st.just("undo"), st.integers(0, 9), st.sampled_from(RESOLUTIONS)),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=600, deadline=None)
@given(ACTIONS, st.data())
def test_a_full_undo_leaves_the_first_state_and_what_was_not_given_up(
    actions: list[tuple[str, object, object]], data: st.DataObject
) -> None:
    first: dict[str, Item | None] = {"/etc/one": text("first\n"), "/etc/two": None}
    world = World({path: item for path, item in first.items() if item})
    writes = Writes(first)
    for number, action in enumerate(actions):
        match action:
            case (str(kind), set(paths), bool(removes)) if kind == STEP:
                new = None if removes else text(f"step {number}\n")
                changes: dict[str, Item | None] = dict.fromkeys(paths, new)
                tx_id = world.apply(f"step-{number % 3}", changes)
                for path in paths:
                    writes.write(tx_id, path, new)
            case (str(kind), str(path), str(how)) if kind == PERSON:
                item = {"text": text(f"mine {number}\n"), "link": link(f"mine {number}")}.get(how)
                world.edit({path: item})
                writes.write(PERSON, path, item)
            case (_, int(which), str(choice)) if world.history:
                one = world.history[which % len(world.history)].record.id
                undo_as_chosen(world, writes, one, choice)  # type: ignore[arg-type]  # a str
        for path in FILES:
            assert world.now["files"].get(path) == writes.value(path)
    for tx_id in data.draw(st.permutations([one.record.id for one in world.history])):
        undo_as_chosen(world, writes, tx_id, data.draw(st.sampled_from(RESOLUTIONS)))
    left = {path: value for path in FILES if (value := writes.value(path))}
    assert world.now["files"] == left
    assert all(who == PERSON for made in writes.lists.values() for who, _ in made)


def undo_as_chosen(world: World, writes: Writes, tx_id: str, choice: Resolution) -> None:
    assert sorted(world.invert(tx_id).conflicts) == writes.in_conflict(tx_id)
    stuck = world.invert(tx_id, Resolutions(choice)).decisions
    single: dict[str, Resolution] = {
        one.delta.key: "keep-current" for one in stuck if one.how == "conflict"
    }
    decisions = world.decided(tx_id, Resolutions(choice, single))
    writes.undo(tx_id, {one.delta.key: one.chosen for one in decisions})


# Several places in one file: whatever merges is merged, so only what a person wrote is left.

PLACES = 4


def laid_out(places: list[str], mode: int) -> FileItem:
    lines = [f"== {number} ==\n{line}\n" for number, line in enumerate(places)]
    return text("".join(lines), mode)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([STEP, PERSON]),
            st.sets(st.integers(0, PLACES - 1), max_size=PLACES),
            st.booleans(),
        ),
        min_size=2,
        max_size=7,
    ),
    st.data(),
)
def test_merging_every_conflict_leaves_exactly_what_a_person_wrote_in_any_order(
    history: list[tuple[str, set[int], bool]], data: st.DataObject
) -> None:
    places, mode = [f"first {number}" for number in range(PLACES)], 0o644
    mine, my_mode = list(places), mode
    world = World({PATH: laid_out(places, mode)})
    for number, (who, touched, other_mode) in enumerate(history):
        mode = 0o600 + number if other_mode else mode
        for place in touched:
            places[place] = f"{who} {number}.{place}"
        item = laid_out(places, mode)
        if who == PERSON:
            mine = [line if n in touched else mine[n] for n, line in enumerate(places)]
            my_mode = mode if other_mode else my_mode
            world.edit({PATH: item})
        else:
            world.apply(f"step-{number}", {PATH: item})
    for tx_id in data.draw(st.permutations([one.record.id for one in world.history])):
        world.undo(tx_id, "merge")
    lines = (world.file(PATH) or "").splitlines()
    assert lines[1::2] == mine
    assert simplified(world.now)[PATH] == ("file", my_mode, world.file(PATH))


def test_a_mode_that_was_given_anew_by_a_later_step_stays_that_steps() -> None:
    world = World({PATH: text("a\n", 0o644)})
    one = world.apply("one", {PATH: text("a\nb\n", 0o600)})
    world.edit({PATH: text("a\nb\n", 0o640)})
    two = world.apply("two", {PATH: text("a\nb\n", 0o600)})
    world.undo(one)
    assert simplified(world.now)[PATH] == ("file", 0o600, "a\n")
    world.undo(two)
    assert simplified(world.now)[PATH] == ("file", 0o640, "a\n")
