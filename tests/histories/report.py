"""The result as a page for the documentation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.histories.host import Told

INTRODUCTION = """\
# Evidence: histories with edits and upgrades

Written by `make histories`, never by hand. Each history is a fresh host on which steps that share
files are applied and undone at random, administrators edit (append, change, write anew, delete,
chmod, replace by a link), and packages are upgraded by dpkg, whose changed configuration files are
kept or taken. At the end all that stands is undone in a random order. Then must hold: no word of an
administrator was lost unless a person chose so, and then it lies in a restore point; each conflict
was shown with its sides and refused, with nothing touched, until one was chosen; where nothing was
in conflict the files are the first ones with the edits and the packages' own changes; everything
else (/etc, packages, dpkg's tables, units, ports, kernel settings, packet filter, names on the
disk) is as at first, byte for byte; `history verify` and `log verify` find nothing.
"""

NOTES = """\
## How

- `webthing` and `oldthing` are there at first, in version 1 of 3; a step installs `extra` with
  `libextra`, another purges `oldthing`. All have configuration files and scripts that write.
- What must stand at the end is told from the edits and upgrades alone, as if no step had ever been
  (`tests/histories/telling.py`). Of a file in conflict only the words count.
- The same seed tells the same history: `make histories HISTORIES="--seed N --suite S"`; with
  `--shorten` what is not needed to go wrong is left out.
"""

COUNTS = ("applied", "refused", "edits", "upgrades", "undos", "conflicts")


def section(facts: Mapping[str, str], told: Sequence[Told]) -> str:
    """What one run found on one release."""
    failed = [one for one in told if one.problems]
    sums = {name: sum(getattr(one, name) for one in told) for name in COUNTS}
    seeds = f"{told[0].seed} to {told[-1].seed}" if told else "none"
    lines = [
        f"**{len(told)} histories, {len(failed)} failed.**",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        f"- Seeds: {seeds}",
        "",
        "| Steps applied | Refused | Edits | Upgrades | Undos | Conflicts chosen for |",
        "| --- | --- | --- | --- | --- | --- |",
        "| " + " | ".join(str(sums[name]) for name in COUNTS) + " |",
    ]
    if failed:
        lines += ["", "Failed:", ""]
        lines += [f"- seed {one.seed}: {_plain(one.problems[0])}" for one in failed]
    return "\n".join(lines)


def page(sections: Mapping[str, str]) -> str:
    parts = [f"## {suite}\n\n{text}\n" for suite, text in sorted(sections.items())]
    return "\n".join([INTRODUCTION, *parts, NOTES])


def _plain(text: str) -> str:
    return " ".join(text.split())[:300]
