"""One walk over an application's tree: how far it is from its rules, in numbers and examples."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from host.base import FLAG_IMMUTABLE, FileState, Host, TreeRule
from host.facts import Fact, Facts
from host.rules import in_reach, shaped, strongest

EXAMPLES: Final = 3
"""How many paths are named for each property that differs."""

_PAIRS: Final = 1000
"""Where more differ the states are not shared, and remembering them would not pay."""

PROPERTIES: Final = ("owner", "directory modes", "file modes", "immutable", "writable")


class Survey(msgspec.Struct, kw_only=True):
    """What a tree is like. Paths in the lists are a few examples each, counts are complete."""

    entries: int = 0
    differing: int = 0
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    special: list[str] = []
    """Sockets, pipes and devices: they are left as they are."""
    special_count: int = 0
    leading_out: list[str] = []
    """Symbolic links whose target is outside of the tree, as "link -> target"."""
    leading_out_count: int = 0
    shared: list[str] = []
    """Files with a hard link outside of the tree: they are left as they are."""
    shared_count: int = 0
    with_acl: int = 0

    def note(self, what: str, path: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        few(self.examples.setdefault(what, []), path)


def few(examples: list[str], path: str) -> None:
    if len(examples) < EXAMPLES:
        examples.append(path)


def survey(
    root: str, make_rules: Callable[[Facts], Sequence[TreeRule]], name: str
) -> Fact[Survey | None]:
    """The survey of `root` against its rules; `None` where there is no such directory."""

    def read(host: Host, facts: Facts) -> Survey | None:
        if host.state(root) is None:
            return None
        return measure(host, root, make_rules(facts), facts.seen_since_s)

    return Fact(f"tree {root} {name}", read)


def measure(
    host: Host, root: str, rules: Sequence[TreeRule], seen_since_s: float | None = None
) -> Survey:
    """Walk and compare; metadata only. `seen_since_s`: a walk that began later will do."""
    found = Survey(counts={}, examples={}, special=[], leading_out=[], shared=[])
    comparison = _Comparison(found)
    compare = comparison.compare
    ordered = strongest(rules)
    exact = {rule.path.rstrip("/") for rule in rules}
    reaches: dict[str, list[TreeRule]] = {}
    linked: dict[tuple[int, int], list[tuple[str, FileState, TreeRule | None]]] = {}
    for path, state in host.walked(root, seen_since_s) or host.walk(root, content=False):
        found.entries += 1
        if state.kind == "symlink":
            if not _stays_inside(root, path, state.target):
                found.leading_out_count += 1
                few(found.leading_out, f"{path} -> {state.target}")
        elif state.kind not in ("file", "dir"):
            found.special_count += 1
            few(found.special, path)
        if "system.posix_acl_access" in state.xattrs:
            found.with_acl += 1
        if path in exact:
            reach = in_reach(path, ordered)
        else:
            directory = path.rpartition("/")[0]
            known = reaches.get(directory)
            reach = reaches[directory] = in_reach(path, ordered) if known is None else known
        rule = _first(reach, path, state)
        if state.links:
            linked.setdefault((state.inode, state.links), []).append((path, state, rule))
        else:
            compare(path, state, rule)
    for (_, links), names in linked.items():
        if links == len(names):
            for path, state, rule in names:
                compare(path, state, rule)
        else:
            found.shared += [path for path, _, _ in names]
    comparison.end()
    found.shared_count = len(found.shared)
    found.shared = sorted(found.shared)[:EXAMPLES]
    return found


def _applications_own(path: str, state: FileState, rule: TreeRule | None) -> bool:
    """Whether it lies in a writable directory and is as an application makes its files.

    Those have the modes of its umask (0644, say). It must be able to change them itself, and
    nobody else's program may run with its rights or write there.
    """
    if rule is None or not rule.flags_clear or path == rule.path:
        return False
    needed = 0o700 if state.kind == "dir" else 0o600
    return (
        state.kind in ("file", "dir")
        and state.uid == rule.uid
        and state.mode & needed == needed
        and not state.mode & 0o6002
        and not state.flags & rule.flags_clear
    )


def _first(reach: Sequence[TreeRule], path: str, state: FileState) -> TreeRule | None:
    for rule in reach:
        if not rule.name_suffixes or (state.kind == "file" and path.endswith(rule.name_suffixes)):
            return rule
    return None


class _Pair(msgspec.Struct):
    """A state and a rule that came together: which properties differ, and how often they came
    since examples enough were noted."""

    state: FileState
    differing: tuple[str, ...]
    noted: int = 0
    more: int = 0


class _Comparison:
    """Compares entries with their rules; of a tree's 50,000 the same few pairs come again."""

    def __init__(self, found: Survey) -> None:
        self._found = found
        self._known: dict[tuple[int, int], _Pair] = {}
        """By the identities of state and rule, which are kept alive meanwhile."""

    def compare(self, path: str, state: FileState, rule: TreeRule | None) -> None:
        pair = self._known.get((id(state), id(rule)))
        if pair is None or (rule is not None and path == rule.path):
            pair = _Pair(state, _differing(path, state, rule))
            if len(self._known) < _PAIRS and (rule is None or path != rule.path):
                self._known[id(state), id(rule)] = pair
        if pair.noted == EXAMPLES:
            pair.more += 1
        elif pair.differing:
            pair.noted += 1
            self._found.differing += 1
            for what in pair.differing:
                self._found.note(what, path)

    def end(self) -> None:
        """Add what was only counted."""
        for pair in self._known.values():
            self._found.differing += pair.more
            for what in pair.differing:
                self._found.counts[what] += pair.more


def _differing(path: str, state: FileState, rule: TreeRule | None) -> tuple[str, ...]:
    """Which properties of an entry are not as its rule wants them."""
    wanted = shaped(state, rule)
    if wanted is state or _applications_own(path, state, rule):
        return ()
    found = []
    if (wanted.uid, wanted.gid) != (state.uid, state.gid):
        found.append("owner")
    if wanted.mode != state.mode:
        found.append("directory modes" if state.kind == "dir" else "file modes")
    if wanted.flags != state.flags:
        found.append("immutable" if wanted.flags & FLAG_IMMUTABLE else "writable")
    return tuple(found)


def _stays_inside(root: str, path: str, target: str) -> bool:
    place = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return place == root or place.startswith(f"{root}/")
