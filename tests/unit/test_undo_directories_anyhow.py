"""Undoing in any order where files lie in directories that come, go and become links."""

from __future__ import annotations

import contextlib
import itertools
from random import Random
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.model import RESOLUTIONS, FileItem, Item, Resolution
from tests.unit.undo_world import World, content_of, directory, link, simplified, text, undone

D, A, B = "/etc/d", "/etc/d/a", "/etc/d/b"
E_, F = "/etc/d/e", "/etc/d/e/f"
FULL: dict[str, Item] = {D: directory(), A: text("q\n")}
DEEP: dict[str, Item] = {**FULL, E_: directory(), F: text("deep\n")}


def some_changes(rng: Random, world: World, mark: str) -> dict[str, Item | None]:
    """Of some files; what is left can stand on a disk."""
    now = world.now["files"]
    changes: dict[str, Item | None] = {}
    for path in rng.sample([D, A, B, "/etc/x", "/etc/y"], rng.randint(1, 4)):
        if path == D:
            changes[path] = rng.choice([None, directory(), directory(0o700), link("/etc/z")])
        else:
            changes[path] = some_file(rng, now.get(path), mark)
    after = {**now, **changes}
    place = after.get(D)
    if not (isinstance(place, FileItem) and place.state.kind == "dir"):
        changes |= {path: None for path in (A, B) if after.get(path) is not None}
    return {path: item for path, item in changes.items() if item is not None or path in now}


def some_file(rng: Random, old: Item | None, mark: str) -> Item | None:
    choice = rng.random()
    if choice < 0.2:
        return None
    if choice < 0.3:
        return link(rng.choice(["/one", "/two"]))
    is_file = isinstance(old, FileItem) and old.state.kind == "file"
    if choice < 0.5 and isinstance(old, FileItem) and is_file:
        mode = rng.choice([0o600, 0o640, 0o644])
        return FileItem(msgspec.structs.replace(old.state, mode=mode))
    if choice < 0.7:
        before = content_of(old) if is_file else ""
        return text(f"{before}{rng.choice('uvwx')}{mark}\n")
    lines = rng.sample("abcdef", rng.randint(0, 4))
    return text("".join(f"{line}{mark}\n" for line in lines), rng.choice([0o600, 0o644]))


def a_history(rng: Random, world: World) -> dict[str, list[str]]:
    """Steps, windows with edits and steps in them; returns the latter by window."""
    inside: dict[str, list[str]] = {}
    number = itertools.count(1)
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.4:
            mark = str(next(number))
            world.apply(f"step-{mark}", some_changes(rng, world, mark))
            continue
        with world.window() as window:
            for _ in range(rng.randint(0, 3)):
                mark = str(next(number))
                changes = some_changes(rng, world, mark)
                what = rng.choice(["apply", "edit", "edit", "drift"])
                if what == "edit":
                    world.edit(changes)
                else:
                    kind: Literal["apply", "drift"] = "apply" if what == "apply" else "drift"
                    made = world.apply(f"step-{mark}", changes, kind=kind)
                    inside.setdefault(window, []).append(made)
    return inside


def related(path: str, others: set[str]) -> bool:
    return any(
        path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")
        for other in others
    )


@settings(max_examples=1500, deadline=None)
@given(st.data(), st.randoms(use_true_random=False))
def test_undoing_everything_gives_back_the_first_state(data: st.DataObject, rng: Random) -> None:
    """But for what somebody wanted to keep."""
    first: dict[str, Item] = {"/etc": directory(), "/etc/x": text("a\nb\nc\n")}
    if rng.random() < 0.6:
        first |= {D: directory(), A: text("q\n")}
    world = World(first)
    start = simplified(world.now)
    inside = a_history(rng, world)
    kept: set[str] = set()
    while world.history:
        one = data.draw(st.sampled_from([one.record.id for one in world.history]))
        standing = {one.record.id for one in world.history}
        for tx_id in (*reversed(inside.get(one, [])), one):
            if tx_id in standing:
                decided = undone(world, tx_id, data.draw(st.sampled_from(RESOLUTIONS)))
                kept |= {one.delta.key for one in decided if one.chosen not in ("", "restore")}
    end = simplified(world.now)
    differ = {path for path in {*start, *end} if start.get(path) != end.get(path)}
    assert {path for path in differ if not related(path, kept)} == set()


@settings(max_examples=500, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_undoing_the_last_step_gives_back_what_was_before_it(rng: Random, in_window: bool) -> None:
    world = World({"/etc": directory(), "/etc/x": text("a\n"), **FULL})
    a_history(rng, world)
    with contextlib.ExitStack() as stack:
        if in_window:
            stack.enter_context(world.window())
            world.edit(some_changes(rng, world, "edit"))
        before = simplified(world.now)
        last = world.apply("last", some_changes(rng, world, "last"))
    world.undo(last)
    assert simplified(world.now) == before


def assert_all_undone(
    world: World, start: dict[str, object], done: dict[str, str], order: tuple[str, ...]
) -> None:
    for one in order:
        world.undo(done[one])
    assert simplified(world.now) == start


def begun(files: dict[str, Item]) -> tuple[World, dict[str, object], dict[str, str]]:
    world = World({"/etc": directory(), **files})
    return world, simplified(world.now), {}


@pytest.mark.parametrize("order", list(itertools.permutations("rl")))
def test_a_removed_file_whose_directory_became_a_link(order: tuple[str, ...]) -> None:
    world, start, done = begun(FULL)
    done["r"] = world.apply("remove", {D: None, A: None})
    done["l"] = world.apply("link", {D: link("/srv/d")})
    (item, *_) = [one for one in world.invert(done["r"]).decisions if one.delta.key == A]
    assert item.how == "handed-over"
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("order", list(itertools.permutations("rlm")))
def test_so_it_is_if_the_link_became_a_directory_again(order: tuple[str, ...]) -> None:
    world, start, done = begun(FULL)
    done["r"] = world.apply("remove", {A: None})
    done["l"] = world.apply("link", {D: link("/srv/d")})
    done["m"] = world.apply("make", {D: directory(0o700), A: text("other\n")})
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("order", list(itertools.permutations("mfe")))
def test_a_directory_that_was_filled_and_emptied_again(order: tuple[str, ...]) -> None:
    world, start, done = begun({})
    done["m"] = world.apply("make", {D: directory(0o750)})
    done["f"] = world.apply("fill", {A: text("a\n")})
    done["e"] = world.apply("empty", {A: None})
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("order", list(itertools.permutations("mfc")))
def test_a_directory_in_place_of_a_link_that_was_filled_and_then_closed(
    order: tuple[str, ...],
) -> None:
    world, start, done = begun({D: link("/etc/z")})
    done["m"] = world.apply("make", {D: directory(), E_: directory()})
    done["f"] = world.apply("fill", {F: text("a\n")})
    done["c"] = world.apply("close", {D: directory(0o700)})
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("order", [("m", "w", "f"), ("m", "f", "w"), ("f", "m", "w")])
def test_a_directory_that_became_a_link_before_it_was_made_again(order: tuple[str, ...]) -> None:
    """Whoever makes a directory of a link put nothing in the one that was there before."""
    world, start, done = begun(DEEP)
    with world.window() as done["w"]:
        world.edit(dict.fromkeys(DEEP))
        done["m"] = world.apply("make", {D: directory(), E_: directory()})
        world.edit({E_: link("/etc/z")})
    done["f"] = world.apply("fill", {E_: directory(0o700), F: text("f\n")})
    for one in order:
        undone(world, done[one], "keep-current")
    assert simplified(world.now) == start


@pytest.mark.parametrize("order", [tuple("mwcf"), tuple("mcwf"), tuple("cmfw")])
def test_a_directory_that_was_filled_within_its_window(order: tuple[str, ...]) -> None:
    world, start, done = begun(DEEP)
    with world.window() as done["w"]:
        world.edit(dict.fromkeys(DEEP))
        done["m"] = world.apply("make", {D: directory(0o700)})
        world.edit({A: text("other\n")})
    done["f"] = world.apply("fill", {E_: directory(), F: text("f\n")})
    done["c"] = world.apply("open", {D: directory()})
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("choice", RESOLUTIONS)
def test_a_directory_stays_with_what_others_made_of_it(choice: Resolution) -> None:
    """It cannot go, because something of nobody lies in it: who closed it opens it again."""
    world, start, done = begun(FULL)
    done["r"] = world.apply("remove", {A: None})
    with world.window() as done["w"]:
        world.edit({D: None})
        done["m"] = world.apply("make", {D: directory(), A: text("other\n")}, kind="drift")
    done["c"] = world.apply("close", {D: directory(0o700)})
    undone(world, done["r"], "restore")
    for one in ("m", "w", "c"):
        undone(world, done[one], choice)
    assert simplified(world.now) == start


@pytest.mark.parametrize("order", list(itertools.permutations("rem")))
def test_a_directory_that_could_not_have_been_removed(order: tuple[str, ...]) -> None:
    """Had the first step not taken the file out of it."""
    world, start, done = begun(FULL)
    done["r"] = world.apply("take out", {A: None})
    done["e"] = world.apply("remove", {D: None})
    done["m"] = world.apply("make", {D: directory(0o700), B: text("b\n")})
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("order", list(itertools.permutations("mw")))
def test_a_directory_with_what_came_in_a_window(order: tuple[str, ...]) -> None:
    """Somebody closes the directory meanwhile, and a step in the window takes all of it away."""
    world, start, done = begun({})
    done["m"] = world.apply("make", {D: directory(), A: text("a\n")})
    with world.window() as done["w"]:
        world.edit({D: directory(0o700), B: text("b\n")})
        done["t"] = world.apply("remove", {D: None, A: None, B: None})
    assert_all_undone(world, start, done, ("t", *order))


@pytest.mark.parametrize("order", list(itertools.permutations("fsw")))
def test_a_file_of_a_window_in_the_directory_of_a_step(order: tuple[str, ...]) -> None:
    if order.index("s") > order.index("w"):
        return  # what was applied in a window is undone before it
    world, start, done = begun({})
    done["f"] = world.apply("first", {D: directory(), A: text("a\n")})
    with world.window() as done["w"]:
        world.edit({B: text("b\n")})
        done["s"] = world.apply("second", {A: text("other\n"), B: text("other\n")})
    assert_all_undone(world, start, done, order)


def test_what_a_step_in_a_window_hid_comes_back_with_that_step_alone() -> None:
    """The window around it tells of the link, too, which is none of its own."""
    world, _, done = begun(DEEP)
    with world.window():
        before = simplified(world.now)
        done["l"] = world.apply("link", {F: None, E_: None, A: None, D: link("/srv/d")})
    assert_all_undone(world, before, done, ("l",))


@pytest.mark.parametrize("order", list(itertools.permutations("mw")))
def test_nested_directories_that_went_in_a_window(order: tuple[str, ...]) -> None:
    """None of them is a stranger's because another of them lies in it."""
    world, start, done = begun({})
    done["m"] = world.apply("make", {D: directory(), E_: directory(), F: directory(0o700)})
    with world.window() as done["w"]:
        world.edit({F: None, E_: None, D: None})
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("order", [("m", "o", "w"), ("o", "m", "w"), ("m", "w", "o")])
def test_a_directory_in_place_of_a_file_that_was_filled_and_emptied(order: tuple[str, ...]) -> None:
    world, start, done = begun({D: text("a file\n")})
    with world.window() as done["w"]:
        done["m"] = world.apply("make", {D: directory(), E_: directory()})
        world.edit({F: text("f\n")})
    done["o"] = world.apply("out", {F: None})
    assert_all_undone(world, start, done, order)


def test_nothing_comes_back_below_a_link_of_somebody_however_deep() -> None:
    world, _, done = begun({**DEEP, "/etc/d/e/g": text("g\n")})
    gone = [F, "/etc/d/e/g", E_, A, D]
    done["r"] = world.apply("remove", dict.fromkeys(gone))
    world.edit({D: link("/srv/d")})
    decisions = world.invert(done["r"]).decisions
    assert {one.how for one in decisions if one.delta.key in gone} == {"conflict"}
    assert world.undo(done["r"], "keep-current").keys() == set(gone)
    assert set(world.now["files"]) == {"/etc", D}


@pytest.mark.parametrize("order", list(itertools.permutations("mlrk")))
def test_a_directory_below_one_that_became_a_link(order: tuple[str, ...]) -> None:
    """Without the first link it would have been there until the second."""
    world, start, done = begun(FULL)
    done["m"] = world.apply("make", {E_: directory(), F: directory(0o700)})
    done["l"] = world.apply("link", {E_: link("/srv/e"), F: None})
    done["r"] = world.apply("remove", {E_: None, A: None, D: None})
    done["k"] = world.apply("link above", {D: link("/srv/d")})
    assert_all_undone(world, start, done, order)


@pytest.mark.parametrize("order", list(itertools.permutations("rlw")))
def test_a_file_given_back_in_what_became_a_link(order: tuple[str, ...]) -> None:
    world, start, done = begun(FULL)
    done["r"] = world.apply("remove", {A: None})
    with world.window() as done["v"]:
        done["c"] = world.apply("come and go", {A: text("c\n")})
        world.edit({A: None})
    done["l"] = world.apply("link", {D: link("/srv/d")})
    with world.window() as done["w"]:
        world.edit({D: directory(0o700), A: link("/two")})
    for one in ("c", *order, "v"):
        undone(world, done[one], "restore")
    assert simplified(world.now) == start


def test_a_window_in_which_a_directory_became_a_link_and_went() -> None:
    world, start, done = begun(DEEP)
    done["l"] = world.apply("link", {D: directory(0o700), E_: link("/srv/e"), F: None})
    done["r"] = world.apply("remove", {E_: None, A: None, D: None})
    with world.window() as done["w"]:
        done["d"] = world.apply("drift", {D: directory(), E_: link("/srv/e")}, kind="drift")
        done["s"] = world.apply("remove", {E_: None, D: None})
    done["m"] = world.apply("make", {D: directory(0o700)})
    assert_all_undone(world, start, done, ("l", "s", "d", "w", "m", "r"))


def test_a_conflict_is_named_once() -> None:
    """Not once more for the directory that would be made anew for what lay in it."""
    world, _, done = begun(DEEP)
    done["r"] = world.apply("remove", dict.fromkeys([F, E_, A, D]))
    world.edit({D: directory(), E_: directory(0o700)})
    world.apply("remove", {E_: None, D: None})
    world.edit({D: link("/srv/d")})
    keys = [one.delta.key for one in world.invert(done["r"]).decisions]
    assert len(keys) == len(set(keys))
