"""What is held back while a window is open: needrestart, and the packages an upgrade replaces.

Both are files in /etc, so a transaction of ours puts them there and its undo takes them away.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from host.base import HostError
from host.facts.needrestart_config import PARTS
from snapshots import opening
from snapshots.debs import KeptDebs
from snapshots.history import open_for_step
from snapshots.model import SnapshotError, TransactionRecord, WriteFile
from snapshots.progress import Progress
from steps.listener import Listener
from steps.outcome import GOOD

if TYPE_CHECKING:
    from host.base import Host
    from steps.engine import Engine

STEP: Final = "window.open"
TITLE: Final = "Hold needrestart back and keep replaced packages"

NEEDRESTART: Final = f"{PARTS}/zzz-harden-tui-window.conf"
"""After that of `updates.restart`: Perl files, read by name."""
APT: Final = "/etc/apt/apt.conf.d/zz-harden-tui-window.conf"

_NEEDRESTART: Final = """\
# Written by harden-tui: an update window is open, so needrestart only lists what runs old code.
# Closing the window takes this file away.
$nrconf{restart} = 'l';
"""

_APT: Final = """\
// Written by harden-tui: an update window is open, so of each package that is replaced or removed
// the old version is kept, for `harden-tui window undo`. Closing the window takes this file away.
DPkg::Pre-Install-Pkgs {{ "{command} || true"; }};
DPkg::Tools::Options::{first}::Version "2";
"""


def files(program: Sequence[str], *, has_needrestart: bool, has_apt: bool) -> dict[str, str]:
    """Path -> content. Pure. `program`: the words that start harden-tui."""
    found = {}
    if has_needrestart:
        found[NEEDRESTART] = _NEEDRESTART
    words = shlex.join([*program, "window", "keep-packages"])
    if has_apt and program and not set(words) & set('"\\\n'):
        found[APT] = _APT.format(command=words, first=words.split(" ")[0])
    return found


def wanted(host: Host, program: Sequence[str]) -> dict[str, str]:
    """What this host needs."""
    return files(
        program,
        has_needrestart=host.state(PARTS) is not None and host.which("needrestart") is not None,
        has_apt=host.state("/etc/apt/apt.conf.d") is not None,
    )


def sentences(host: Host, program: Sequence[str]) -> tuple[str, ...]:
    """What will be held back, for a person."""
    paths = wanted(host, program)
    said = []
    if NEEDRESTART in paths:
        said.append("needrestart restarts nothing by itself, it only lists what runs old code")
    if APT in paths:
        said.append("apt keeps the old version of each package it replaces or removes")
    return tuple(said)


def take(engine: Engine) -> str:
    """Hold back what is to be; the transaction that did, "" where there is nothing. Raises
    `HostError`; the host is as it was then."""
    paths = wanted(engine.host, engine.guarding.program)
    if not paths:
        return ""
    listener = Listener(engine.emit, engine.redact)
    tx = opening.begin(
        engine.host, engine.state, steps=(STEP,), title=TITLE, user=engine.user, named=paths,
        progress=listener,
    )  # fmt: skip

    def work() -> TransactionRecord:
        for path, text in paths.items():
            tx.perform(WriteFile(path=path, content=text.encode()))
        return tx.commit()

    ended = tx.complete(work)
    if ended.status != "committed":
        raise SnapshotError(ended.reason)
    return ended.id


def holds(engine: Engine) -> bool:
    """Whether anything is held back."""
    return bool(open_for_step(engine.state, STEP))


def let_go(engine: Engine) -> tuple[int, str, list[str]]:
    """Undo whatever holds something back; as a rollback ends."""
    from steps import rollback
    from steps.window_seals import KEEP_EDITS

    ids = [record.id for record in open_for_step(engine.state, STEP)]
    if not ids:
        return GOOD, "", []
    return rollback.rollback(engine, ids, False, None, KEEP_EDITS)


def keep(host: Host, debs: KeptDebs, going: Mapping[str, str], progress: Progress) -> list[str]:
    """Keep each of these packages ("name" -> version); returns those that could not be, which keep
    no other from it."""
    try:
        debs.keep(host, going, progress)
    except (HostError, OSError):
        lost = []
        for name, version in going.items():
            try:
                debs.keep(host, {name: version}, progress)
            except (HostError, OSError):
                lost.append(name)
        return lost
    return []


def replaced(lines: Sequence[str]) -> dict[str, str]:
    """Package -> the version that goes, from what apt gives to its hooks (version 2). Pure.

    "VERSION 2", apt's configuration up to an empty line, then a line a package:
    "apache2 2.4.57-2 < 2.4.62-1 /var/cache/…/x.deb", "-" for no version, "**REMOVE**" for no file.
    """
    body = list(lines)
    if "" in body:
        body = body[body.index("") + 1 :]
    found = {}
    for line in body:
        words = line.split(" ", 4)
        if len(words) == 5 and words[1] != "-" and words[4] != "**CONFIGURE**":
            found[words[0]] = words[1]
    return found
