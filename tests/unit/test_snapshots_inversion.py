"""Undoing in any order: the whole point, held against random histories."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from snapshots.captured import Captured, differences
from snapshots.inverse import Contents
from snapshots.inversion import Inversion, Kept, Later, by_key, invert
from snapshots.model import Delta, DomainName, FileItem, Item, TransactionRecord, ValueItem

STORE: dict[str, bytes] = {}


def text(content: str, mode: int = 0o644) -> FileItem:
    raw = content.encode()
    sha256 = hashlib.sha256(raw).hexdigest()
    STORE[sha256] = raw
    return FileItem(FileState(kind="file", mode=mode, sha256=sha256, size_bytes=len(raw)))


def content_of(item: Item | None) -> str | None:
    return STORE[item.state.sha256].decode() if isinstance(item, FileItem) else None


class World:
    """A host in memory with a history, undone as the product undoes."""

    def __init__(self, files: dict[str, Item], kernel: dict[str, Item] | None = None) -> None:
        self.now: Captured = {"files": dict(files), "kernel": dict(kernel or {})}
        self.history: list[Later] = []

    def apply(self, step: str, changes: dict[str, Item | None]) -> str:
        before: Captured = {domain: dict(items) for domain, items in self.now.items()}
        self.edit(changes)
        deltas = differences(before, self.now)
        record = TransactionRecord(
            id=f"{len(self.history):03d}", kind="apply", steps=(step,), title=step,
            status="committed", started="",
        )  # fmt: skip
        self.history.append(Later(record, by_key(deltas)))
        return record.id

    def edit(self, changes: dict[str, Item | None]) -> None:
        for key, item in changes.items():
            domain: DomainName = "files" if key.startswith("/") else "kernel"
            if item is None:
                self.now[domain].pop(key, None)
            else:
                self.now[domain][key] = item

    def invert(self, tx_id: str) -> Inversion:
        mine = next(one for one in self.history if one.record.id == tx_id)
        later = [one for one in self.history if one.record.id > tx_id]
        contents = Contents(lambda sha256: STORE[sha256])
        return invert(mine.record, mine.deltas.values(), later, self.now, contents, kept=Kept())

    def undo(self, tx_id: str) -> dict[str, str]:
        """Returns how each thing was undone."""
        inversion = self.invert(tx_id)
        STORE.update(inversion.contents.made)
        hows = {one.delta.key: one.how for one in inversion.decisions}
        assert "conflict" not in hows.values(), inversion.decisions
        self.now = inversion.target()
        for later in inversion.later:
            later.deltas = by_key(inversion.deltas_of(later, self.now))
        self.history = [one for one in self.history if one.record.id != tx_id]
        return hows


def simplified(captured: Captured) -> dict[str, object]:
    found: dict[str, object] = {}
    for items in captured.values():
        for key, item in items.items():
            found[key] = (item.state.mode, content_of(item)) if isinstance(item, FileItem) else item
    return found


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


def to_items(world: World, changes: dict[str, object]) -> dict[str, Item | None]:
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
                new = f"{old}{line}\n" if where == "append" else f"{line}\n{old}"
                found[key] = text(new)
            case (str(content), int(mode)):
                found[key] = text(content, mode)
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
