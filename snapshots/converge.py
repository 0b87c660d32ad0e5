"""Making a host what a captured state says, whatever happened to it since.

One way for all: a transaction that failed, one that was interrupted, and an undo. What differs is
found by capturing again after each kind, because package scripts and daemons change other kinds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import msgspec

from host.base import HostError
from snapshots import account_undo, made_directories, mariadb_cells, purge_reach, replaced
from snapshots.account_books import LISTS
from snapshots.activation import activate, validate
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.daemons import taking
from snapshots.domains.base import Domain, Scope
from snapshots.domains.files import Filled
from snapshots.domains.packages import LEFTOVER, Package
from snapshots.domains.units import MASK
from snapshots.found import moved_on
from snapshots.goal import Goal, Mind, accepting, wanted_of, with_persons
from snapshots.lists_back import ListsBack, put_lists_back
from snapshots.model import (
    Activation,
    Delta,
    Item,
    SnapshotError,
    ValueItem,
)
from snapshots.others import OF_UNITS, OfOthers, nobodys
from snapshots.progress import Progress
from snapshots.records import Records

SYSTEM_TREES = ("/", "/etc", "/usr", "/var")
"""Where programs write; each may be a file system of its own."""


def converge(
    keeper: Keeper,
    goal: Goal,
    progress: Progress,
    errors: list[HostError] | None,
    now: Captured | None = None,
    mind: Mind | None = None,
    of_others: OfOthers = nobodys,
) -> list[str]:
    """Bring the host to `goal`; returns what a person should know although it succeeded.

    Packages come first, while their tools are still there (accounts of those that come back even
    before), then files, whatever package scripts made of them; then the kernel and the firewall,
    then daemons. Doing it again continues.
    With `errors`, what would not come back goes there and the rest is still done: of a host that
    cannot be brought back completely, as much as possible shall be. Without, raises `HostError`,
    also where the configuration then is not sound or a daemon does not take it.
    `now`: the host as it was captured a moment ago; a large tree need not be walked again then.
    `mind` is told the files that will be written over, as they shall be, and what they are now.
    What is `of_others` stays.
    """

    def restore(
        domain: Domain,
        now: dict[str, Item] | None = None,
        mind: Mind | None = None,
        but: frozenset[str] = frozenset(),
    ) -> list[str]:
        try:
            less = msgspec.structs.replace(goal, free=goal.free | but)
            return _restore(keeper, less, domain, progress, now, mind, of_others)
        except HostError as error:
            if errors is None:
                raise
            errors.append(error)
            return []

    if keeper.host.strange_packages:
        goal = _without_strangers(keeper, goal, progress)
    packages = keeper.packages.capture(keeper.host, Scope())
    notes = _forgotten(goal, packages)
    if packages.keys() - goal.captured.get("packages", {}).keys():
        # What the programs of packages that leave can put back; it is proved again below.
        with contextlib.suppress(HostError):
            _restore(keeper, goal, keeper.firewall, progress)
    try:
        if _brings_packages(goal, packages):
            account_undo.put_ahead(keeper, goal.captured.get("files", {}))
    except HostError as error:
        if errors is None:
            raise
        errors.append(error)
    known = len(keeper.host.strange_packages)
    try:
        _refuse_mounted(keeper, goal, packages, of_others)
    except HostError as error:
        if errors is None:
            raise
        errors.append(error)
        touched = list[str]()
    else:
        held = replaced.directories(keeper.host, goal.roots, goal.captured.get("files", {}))
        touched = restore(keeper.packages, packages)
        if touched:
            with contextlib.suppress(HostError):  # what lies in it will say so
                replaced.put_directories_back(keeper.host, held)
    if len(keeper.host.strange_packages) > known or (touched and goal.besides):
        goal = _without_strangers(keeper, goal, progress)
    if touched:
        # ucf syncs nothing: the shorter its table is in memory only, the better.
        with contextlib.suppress(OSError):
            keeper.host.sync(SYSTEM_TREES)
    with contextlib.suppress(HostError, OSError):  # what lies in them will say so
        wanted = goal.captured.get("files", {})
        made_directories.make_again(keeper.host, Records(keeper.state), wanted)
    seen = now["files"] if now is not None and not touched else None
    try:
        lists = put_lists_back(keeper, goal, progress, mind, of_others)
    except HostError as error:
        if errors is None:
            raise
        errors.append(error)
        lists = ListsBack(with_persons(goal), frozenset(LISTS))  # the next attempt's
    goal = lists.goal
    notes += lists.notes
    files = [*lists.written, *restore(keeper.files, seen, mind, lists.looked_at)]
    if touched or any(map(OF_UNITS.fullmatch, files)):
        progress.command("systemctl daemon-reload")
        keeper.host.run(("systemctl", "daemon-reload"), ok=None, timeout_s=60.0)
    if mariadb_cells.selected(goal.roots):
        # Right beside the file with the password: in between the application cannot log in. It
        # comes once more at the end, should the server not run yet.
        with contextlib.suppress(HostError):
            _restore(keeper, goal, keeper.mariadb, progress)
    # Where only modes of a tree were put back, nothing else became otherwise since it was captured.
    still = now if now is not None and not touched and _moves_nothing(goal, files) else {}
    restore(keeper.kernel, still.get("kernel"))
    restore(keeper.firewall, still.get("firewall"))
    try:
        validate(keeper.host, goal.validations, progress)
    except SnapshotError as error:
        if errors is None:
            raise
        notes.append(str(error))  # it may have been so before; what counts is measured afterwards
    try:
        known_units = now["units"] if now is not None and not touched else None
        activate(keeper.host, _taking(keeper, goal, known_units, notes, progress), progress)
    except HostError as error:
        if errors is None:
            raise
        notes.append(str(error))
    if restore(keeper.units, still.get("units")) or touched or goal.activations:
        # A firewall or a package's unit that just started has settings of its own.
        restore(keeper.kernel)
        restore(keeper.firewall)
    with contextlib.suppress(HostError):
        keeper.firewall.restore(keeper.host, {}, progress)
    restore(keeper.mariadb)
    return notes


def _refuse_mounted(
    keeper: Keeper, goal: Goal, packages: dict[str, Item], of_others: OfOthers
) -> None:
    """Of what is mounted below, no package's script may have all. Raises `HostError`."""
    wanted = wanted_of(goal, keeper.packages, packages, of_others)
    going = {name for name, item in wanted.items() if item is None}
    purge_reach.refuse_mounted(keeper.host, going)


def _taking(
    keeper: Keeper,
    goal: Goal,
    now: dict[str, Item] | None,
    notes: list[str],
    progress: Progress,
) -> list[Activation]:
    """What daemons shall take, with nothing masked any more that shall not be. Raises `HostError`.

    `now`: the units as they are, if that is known.
    """
    if not goal.activations:
        return []
    if now is None:
        now = keeper.units.capture(keeper.host, Scope())
    wanted = goal.captured.get("units", {})
    masks = [key for key in now if key.startswith(MASK) and key not in wanted]
    if masks:
        keeper.units.restore(keeper.host, dict.fromkeys(masks), progress)
    return taking(keeper.host, goal.activations, now, wanted, notes)


def _without_strangers(keeper: Keeper, goal: Goal, progress: Progress) -> Goal:
    """The goal with what other package tools changed meanwhile as they left it."""
    return accepting(keeper, goal, keeper.capture(goal.roots, progress))


def _brings_packages(goal: Goal, packages: Mapping[str, Item]) -> bool:
    """Whether any is to be installed; `packages` are those that dpkg knows now."""
    wanted = goal.captured.get("packages", {})
    return any(Package.of(one) and not Package.of(packages.get(k)) for k, one in wanted.items())


def _forgotten(goal: Goal, packages: Mapping[str, Item]) -> list[str]:
    """A sentence about what dpkg cannot be taught again; `packages` are those it knows now."""
    wanted = goal.captured.get("packages", {})
    names = [k for k, item in wanted.items() if item == ValueItem(LEFTOVER) and k not in packages]
    if not names:
        return []
    return [
        f"dpkg does not know any more that files in /etc are left of {', '.join(sorted(names))}; "
        "the files are there as before."
    ]


def _moves_nothing(goal: Goal, files: Iterable[str]) -> bool:
    """Whether no program reads anew what was restored: modes and flags of trees."""
    return (
        not goal.activations
        and all(not root.content for root in goal.roots)
        and not any(path.startswith("/etc/") for path in files)
    )


def describe_left(left: list[Delta]) -> str:
    """One sentence about what did not come back."""
    first = left[0]
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    what = {
        "files": "the file",
        "units": "the unit",
        "packages": "the package",
        "kernel": "the kernel setting",
        "firewall": "the firewall part",
        "mariadb": "MariaDB's",
    }[first.domain]
    return f"{what} {first.key}{more} did not become what it was"


def _restore(
    keeper: Keeper,
    goal: Goal,
    domain: Domain,
    progress: Progress,
    now: dict[str, Item] | None = None,
    mind: Mind | None = None,
    of_others: OfOthers = nobodys,
) -> list[str]:
    """Returns the keys of what was not as `goal` wants it."""
    seen = now
    if now is None:
        now = domain.capture(keeper.host, Scope(goal.roots))
    wanted = wanted_of(goal, domain, now, of_others)
    if mind is not None:
        if seen is not None and moved_on(keeper, seen, wanted):
            now = domain.capture(keeper.host, Scope(goal.roots))
            wanted = wanted_of(goal, domain, now, of_others)
        mind(wanted, now)
    if wanted:
        progress.doing(f"putting {domain.name} back", 0, len(wanted))
        try:
            domain.restore(keeper.host, wanted, progress)
        except Filled:
            now = domain.capture(keeper.host, Scope(goal.roots))
            there = wanted_of(goal, domain, now, of_others)
            # What came this moment and is nobody's to us was kept nowhere: it is not removed.
            again = {key: item for key, item in there.items() if key in wanted}
            domain.restore(keeper.host, again, progress)
    return list(wanted)
