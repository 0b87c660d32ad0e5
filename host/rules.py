"""Which `TreeRule` an entry falls under, and what it would make of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from host.base import FileState, TreeRule


def in_reach(directory: str, rules: Sequence[TreeRule]) -> list[TreeRule]:
    """The rules that may decide about `directory` and what lies directly in it, strongest first.

    A rule for an entry of the directory itself is not among them; see `strongest`.
    """
    return strongest(
        [rule for rule in rules if _covers(rule.path.rstrip("/") or "/", directory)],
    )


def strongest(rules: Sequence[TreeRule]) -> list[TreeRule]:
    """Longest path first; of two with the same path, the one for certain file names."""
    return sorted(rules, key=lambda rule: (-len(rule.path.rstrip("/")), not rule.name_suffixes))


def rule_for(path: str, is_file: bool, rules: Sequence[TreeRule]) -> TreeRule | None:
    """The rule that decides about one entry: the longest path that matches, and its name too."""
    name = path.rpartition("/")[2]
    for rule in in_reach(path, rules):
        if not rule.name_suffixes or (is_file and name.endswith(rule.name_suffixes)):
            return rule
    return None


def shaped(state: FileState, rule: TreeRule | None) -> FileState:
    """What an entry will be once the rule was applied; the same object where nothing changes.

    Links keep mode and flags (they have none of their own); pipes, sockets and devices are left
    alone.
    """
    if rule is None or state.kind not in ("file", "dir", "symlink"):
        return state
    uid = state.uid if rule.uid is None else rule.uid
    gid = state.gid if rule.gid is None else rule.gid
    mode, flags = state.mode, state.flags
    if state.kind != "symlink":
        wanted = rule.file_mode if state.kind == "file" else rule.dir_mode
        mode = state.mode if wanted is None else wanted
        flags = (state.flags | rule.flags_set) & ~rule.flags_clear
    if (uid, gid, mode, flags) == (state.uid, state.gid, state.mode, state.flags):
        return state
    return msgspec.structs.replace(state, uid=uid, gid=gid, mode=mode, flags=flags)


def _covers(above: str, path: str) -> bool:
    return above == "/" or path == above or path.startswith(f"{above}/")
