"""What an undo decides for the account files, made to fit the accounts that there are by now.

Decided before anything is shown, so that preview, fingerprint and execution agree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from host.base import FileState, Host
from host.facts.statoverride import FILE, parse_overrides
from snapshots import accounts
from snapshots.accounts import FILES, Book, Fitted, Named
from snapshots.captured import same
from snapshots.decision import Clash, Decision
from snapshots.inverse import read_hash, with_content
from snapshots.merge import Lines, ends_its_last_line, joined, lines_of
from snapshots.model import Delta, FileItem, Item, Key
from snapshots.package_ties import listed

if TYPE_CHECKING:
    from snapshots.capture import Keeper
    from snapshots.inversion import Inversion

_OVERRIDES = re.compile(rb"\bdpkg-statoverride\b")


def named_by_dpkg(host: Host, going: Iterable[str]) -> Named:
    """Whom dpkg-statoverride names, but for what the packages `going` said there themselves.

    Those take it back in their own scripts.
    """
    if host.state(FILE) is None:
        return Named()
    overrides = parse_overrides(host.read_bytes(FILE).decode("utf-8", "surrogateescape"))
    own = {path for name in going for path in _taken_back(host, name, overrides)}
    others = {path: one for path, one in overrides.items() if path not in own}
    return Named(
        users={one.owner: path for path, one in others.items()},
        groups={one.group: path for path, one in others.items()},
    )


def _taken_back(host: Host, package: str, paths: Iterable[str]) -> set[str]:
    """Those of `paths` that its removal script may mean: it names them, or they are its own."""
    script = f"/var/lib/dpkg/info/{package}.postrm"
    text = host.read_bytes(script) if host.state(script) is not None else b""
    if not _OVERRIDES.search(text):
        return set()
    own = set(listed(host, (package,)))
    return {path for path in paths if path in own or os.fsencode(path) in text}


def settle(inversion: Inversion, named: Named) -> Fitted | None:
    """Change the decisions for account files where accounts would not fit; what was changed."""
    decided = {
        decision.delta.key: decision
        for decision in inversion.decisions
        if decision.delta.domain == "files" and decision.delta.key in FILES and decision.changes
    }
    if not decided:
        return None
    now = _book(inversion, {path: inversion.current["files"].get(path) for path in FILES})
    before = {**now, **_book(inversion, {path: one.delta.before for path, one in decided.items()})}
    then = {**now, **_book(inversion, {path: one.target for path, one in decided.items()})}
    let_go = [path for path in FILES if inversion.resolutions.of(path) == "keep-current"]
    fitted = accounts.fit(before, now, then, named, let_go)
    for path, decision in decided.items():
        if path in fitted.refused:
            _refuse(inversion, decision, fitted.refused[path])
        elif path in fitted.book and fitted.book[path] != then[path]:
            _becomes(inversion, decision, fitted.book[path])
        if path in fitted.dropped:
            clash = Clash(decision.delta.after, inversion.now(decision.delta))
            decision.clashes, decision.chosen = (*decision.clashes, clash), "keep-current"
        if path in fitted.notes:
            decision.note = "; ".join(filter(None, [decision.note, *fitted.notes[path]]))
    if fitted.uids or fitted.gids:
        _own_anew(inversion, fitted)
    return fitted


def retell(inversion: Inversion, fitted: Fitted) -> None:
    """Let later transactions tell of the lines that stand for those that did not come back."""
    for later in inversion.everybody:
        for path in fitted.swapped:
            key: Key = ("files", path)
            told = inversion.tells(later, key)
            if told is None:
                continue
            sides = [_retold(inversion, path, side, fitted) for side in (told.before, told.after)]
            if not (same(sides[0], told.before) and same(sides[1], told.after)):
                keep = later.record.kind == "window"
                inversion.rebase(later, Delta(*key, sides[0], sides[1]), keep=keep)


def put_ahead(keeper: Keeper, goal: Mapping[str, Item]) -> None:
    """Bring the accounts of `goal` (its files) before the packages they belong to.

    Scripts of packages then find them, and give their files to whom they will belong. Raises
    `HostError`.
    """
    for path in FILES:
        sha256, there = read_hash(goal.get(path)), keeper.host.state(path)
        if there is None or there.kind != "file" or not sha256:
            continue
        now, wanted = keeper.host.read_bytes(path), keeper.store.get(sha256)
        lines = lines_of(now)
        put = accounts.ahead(path, lines, lines_of(wanted))
        if put != lines:
            keeper.host.write_file(path, joined(put, ends_its_last_line(wanted)))


def _book(inversion: Inversion, items: Mapping[str, Item | None]) -> Book:
    """The lines of these files; without those that are not ours to read."""
    found = {}
    for path, item in items.items():
        if item is None:
            found[path] = Lines()
        elif sha256 := read_hash(item):
            found[path] = lines_of(inversion.contents.get(sha256))
    return found


def _refuse(inversion: Inversion, decision: Decision, why: str) -> None:
    now = inversion.now(decision.delta)
    decision.clashes = (*decision.clashes, Clash(decision.delta.after, now))
    decision.how, decision.chosen, decision.note = "conflict", "", why
    way_out = f"{why}; give one of them another first"
    decision.cannot = {"restore": way_out, "merge": way_out}


def _becomes(inversion: Inversion, decision: Decision, lines: Lines) -> None:
    """Let the file have these lines in the end."""
    now = inversion.now(decision.delta)
    item = decision.target if decision.target is not None else now
    if not isinstance(item, FileItem):
        return
    decision.target = _with_lines(inversion, item, lines)
    decision.how = "already" if same(decision.target, now) else "merge"


def _with_lines(inversion: Inversion, item: FileItem, lines: Lines) -> FileItem:
    return with_content(inversion.contents, item, joined(lines, newline=True))


def _retold(inversion: Inversion, path: str, item: Item | None, fitted: Fitted) -> Item | None:
    sha256 = read_hash(item)
    if not sha256 or not isinstance(item, FileItem):
        return item
    lines = lines_of(inversion.contents.get(sha256))
    told = accounts.retold(path, lines, fitted)
    return item if told == lines else _with_lines(inversion, item, told)


def _own_anew(inversion: Inversion, fitted: Fitted) -> None:
    """Give what comes back with an account to the id that it has now."""
    for decision in inversion.decisions:
        target = decision.target
        if decision.delta.domain != "files" or not decision.changes:
            continue
        if isinstance(target, FileItem):
            now = inversion.now(decision.delta)
            there = now.state if isinstance(now, FileItem) else None
            owned = _owned(target.state, there, fitted)
            if owned != target.state:
                decision.target = FileItem(owned)


def _owned(state: FileState, there: FileState | None, fitted: Fitted) -> FileState:
    """What is so already is left: somebody may have given it to whoever has the id now."""
    uid, gid = fitted.uids.get(state.uid, state.uid), fitted.gids.get(state.gid, state.gid)
    if there is not None:
        uid = state.uid if there.uid == state.uid else uid
        gid = state.gid if there.gid == state.gid else gid
    return msgspec.structs.replace(state, uid=uid, gid=gid)
