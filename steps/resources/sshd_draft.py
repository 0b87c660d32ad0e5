"""Where a setting of sshd has to be written so that it wins. Pure: text in, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from host.facts.sshd_tree import (
    Tree,
    commented_line,
    inserted_line,
    replaced_line,
    split_line,
)

DROP_IN_FOLDER = "/etc/ssh/sshd_config.d"

EVERY_LINE_COUNTS = ("allowgroups", "allowusers", "denygroups", "denyusers", "hostkey")
"""Lists that sshd makes of all lines instead of taking the first (servconf.c, tried on both
releases), so a line of our own would only add to what stands elsewhere."""

ONE_WORD_A_LINE = ("hostkey",)

ReadOverlay = Callable[[Mapping[str, str | None]], Tree]
"""The configuration as it would be with some files replaced."""

_HEADER = """\
# Written by harden-tui for the step {step}.
# sshd takes the first value it reads, so this file has to sort before the others.
"""


def drop_in_path(step_id: str) -> str:
    """Of "ssh.root-login": /etc/ssh/sshd_config.d/00-harden-tui-ssh-root-login.conf."""
    return f"{DROP_IN_FOLDER}/00-harden-tui-{step_id.replace('.', '-')}.conf"


def draft(
    step_id: str,
    tree: Tree,
    read: ReadOverlay,
    *,
    globally: Mapping[str, str],
    in_match: Mapping[tuple[str, int], str],
    keep: Mapping[str, str],
) -> dict[str, str]:
    """New contents of files (path to text) that give everyone `globally` (keyword to value).

    `keep` are settings that the step's drop-in already decides rightly and goes on holding.
    `in_match` are lines of `Match` blocks (file, line number) with the value each must get.
    What a drop-in of our own cannot win is written into the very line that decides, or, where
    no line does, into the main file.
    """
    edited: dict[str, str] = {}
    for (file, line), value in in_match.items():
        edited[file] = replaced_line(edited.get(file, tree.texts[file]), line, value)
    path = drop_in_path(step_id)
    if not globally:
        return edited
    tried = read({path: _drop_in(step_id, {**keep, **globally})})
    won = {}
    for keyword in globally:
        if keyword.lower() in EVERY_LINE_COUNTS:
            _silence_others(edited, tree, tried, keyword, path)
    losing = []
    for keyword, value in globally.items():
        deciding = tried.deciding(keyword)
        if deciding is not None and deciding.file == path:
            won[keyword] = value
        elif deciding is not None:
            losing.append((deciding.file, deciding.line, keyword, value))
    # From the end of each file: a line that becomes several moves those below it.
    for file, line, keyword, value in sorted(losing, reverse=True):
        edited[file] = replaced_line(
            edited.get(file, tree.texts[file]), line, _as_lines(keyword, value)
        )
    if won:
        edited[path] = _drop_in(step_id, {**keep, **won})
    for keyword, value in globally.items():
        if tried.deciding(keyword) is None:
            edited[tree.main] = inserted_line(
                edited.get(tree.main, tree.texts[tree.main]), keyword, _as_lines(keyword, value)
            )
    return edited


def _silence_others(
    edited: dict[str, str], tree: Tree, tried: Tree, keyword: str, path: str
) -> None:
    """Comment out every line of `keyword` for everyone but the one that was written."""
    deciding = tried.deciding(keyword)
    for line in tried.of(keyword):
        if line.match or line.file == path or line == deciding:
            continue
        before = edited.get(line.file, tree.texts[line.file])
        edited[line.file] = commented_line(before, line.line)


def kept_settings(tree: Tree, step_id: str) -> dict[str, str]:
    """What the step's drop-in already says: keyword (as written) to value."""
    kept: dict[str, str] = {}
    for line in tree.texts.get(drop_in_path(step_id), "").splitlines():
        found = split_line(line)
        if found:
            keyword, value = line.split()[0], found[1]
            again = keyword in kept and keyword.lower() in EVERY_LINE_COUNTS
            kept[keyword] = f"{kept[keyword]} {value}" if again else value
    return kept


def _drop_in(step_id: str, settings: Mapping[str, str]) -> str:
    lines = "".join(
        f"{keyword} {_as_lines(keyword, value)}\n" for keyword, value in settings.items()
    )
    return _HEADER.format(step=step_id) + lines


def _as_lines(keyword: str, value: str) -> str:
    """What follows the keyword; the words of some options stand on a line each."""
    if keyword.lower() not in ONE_WORD_A_LINE:
        return value
    return f"\n{keyword} ".join(value.split())
