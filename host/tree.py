"""Giving a whole tree its owners, modes and flags, in one pass through directory descriptors.

Every entry is opened without following a link and changed through its descriptor, so that
nobody who may write in the tree can make us change something outside it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from threading import active_count
from typing import Any, Final

from host import attributes, metadata, paths, rules, second_process
from host.base import FileState, HostError, TreeRule
from host.second_process import SecondProcess, Unwanted

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_SAY_EVERY: Final = 1000
"""Entries between two calls of `on_progress`: some 20 ms of work."""


def apply_states(
    wanted: Iterable[tuple[str, FileState]],
    *,
    on_progress: Callable[[int], None] | None = None,
    expected: int = 0,
) -> int:
    """See `host.base.Host.apply_states`. Raises `HostError` naming the file.

    `expected`: how many entries there will be about, as far as is known.
    """
    return _Restoring(on_progress, expected).run(wanted)


def apply_rules(
    root: str,
    wanted: Sequence[TreeRule],
    *,
    on_progress: Callable[[int], None] | None = None,
    left_alone: list[str] | None = None,
    expected: int = 0,
) -> int:
    """See `host.base.Host.apply_rules`. Raises `HostError` naming the file.

    `left_alone` receives the files with a further hard link outside the tree. One file system:
    what is mounted below `root` is not entered. `expected`: as for `apply_states`.
    """
    return _Sealing(wanted, on_progress, left_alone, expected).run(root)


class _Pass:
    """One pass over many entries. From `second_process.WORTH_IT` entries on, a second process
    gives half of the directories' entries what they shall have."""

    def __init__(self, on_progress: Callable[[int], None] | None, expected: int) -> None:
        self._on_progress = on_progress
        self._expected = expected
        self._second: SecondProcess | None = None
        self._alone = True
        self._is_second = False
        self.changed = 0
        self.seen = 0
        self._at = ""

    def _is_mine(self, directory: str) -> bool:
        """Whether the entries of a directory are this process's share."""
        return self._alone or second_process.is_seconds(directory) == self._is_second

    def _divide(self, rest: Callable[[], object]) -> None:
        """Let a second process do its share of the `rest`, if that is worth it by now.

        `rest` may raise `OSError` and `HostError` and returns plain data for `_join`.
        """
        many = max(self.seen, self._expected)
        # Other threads may hold what a copy would wait for, for ever.
        if not self._alone or not second_process.worth_it(many) or active_count() > 1:
            return
        with contextlib.suppress(OSError):  # no room for another process: alone it goes too
            self._second = SecondProcess(partial(self._as_second, rest))
            self._alone = False

    def _as_second(self, rest: Callable[[], object], process: SecondProcess) -> None:
        self._alone, self._is_second = False, True
        self._on_progress = process.tell
        self.changed = self.seen = 0
        came, problem = None, ""
        try:
            came = rest()
        except OSError as error:
            problem = self._problem(error)
        except (HostError, Unwanted) as error:
            problem = str(error)
        process.say((self.changed, problem, came))

    def _join(self) -> Any:
        """What the second process's `rest` returned. Raises `HostError` where that failed."""
        if self._second is None:
            return None
        second, self._second = self._second, None
        try:
            changed, problem, came = second.hear()
        finally:
            second.end()
        self.changed += changed
        if problem:
            raise HostError(f"{problem}; {self.changed} entries before it were changed")
        return came

    @contextlib.contextmanager
    def _both_or_neither(self) -> Iterator[None]:
        """Where one process fails the other leaves off. Raises `HostError` naming the file."""
        try:
            yield
        except OSError as error:
            self._leave_off()
            raise self._failed(error) from error
        except BaseException:
            self._leave_off()
            raise

    def _leave_off(self) -> None:
        """This process failed: the second one shall not go on."""
        if self._second is not None:
            self._second.stop()
            with contextlib.suppress(HostError):  # only the first failure is told
                self._join()

    def _failed(self, error: OSError) -> HostError:
        return HostError(f"{self._problem(error)}; {self.changed} entries before it were changed")

    def _problem(self, error: OSError) -> str:
        return f"{self._at} could not be given its owner, mode and flags: {paths.because(error)}"

    def _count(self) -> None:
        self.seen += 1
        if self._on_progress is not None and self.seen % _SAY_EVERY == 0:
            self._on_progress(self.seen + (self._second.seen if self._second else 0))


class _Restoring(_Pass):
    """Every entry of a list becomes what it was."""

    def run(self, wanted: Iterable[tuple[str, FileState]]) -> int:
        with self._both_or_neither():
            self._give(iter(wanted))
            self._join()
        return self.changed

    def _give(self, wanted: Iterator[tuple[str, FileState]]) -> None:
        above = ""
        mine = True
        with contextlib.ExitStack() as opened:
            dir_fd = -1
            for path, state in wanted:
                directory, name = paths.split(path)
                self._at = path
                try:
                    if directory != above:
                        # Between two directories: the second process begins with one of its own.
                        self._divide(partial(self._give, chain([(path, state)], wanted)))
                        opened.close()
                        above = ""
                        mine = self._is_mine(directory)
                        if mine:
                            dir_fd = opened.enter_context(paths.directory(directory))
                        above = directory
                    if not mine:
                        continue
                    self.changed += metadata.give_at(dir_fd, name, state)
                except FileNotFoundError:
                    pass
                self._count()


class _Sealing(_Pass):
    """One pass over a tree."""

    def __init__(
        self,
        wanted: Sequence[TreeRule],
        on_progress: Callable[[int], None] | None,
        left_alone: list[str] | None,
        expected: int,
    ) -> None:
        super().__init__(on_progress, expected)
        self._rules = rules.strongest(wanted)
        self._paths = {rule.path.rstrip("/") or "/" for rule in wanted}
        self._left_alone = left_alone
        self._links: dict[int, list[str]] = {}
        self._device = 0

    def run(self, root: str) -> int:
        self._at = root
        with self._both_or_neither():
            with paths.directory(root) as fd:
                self._device = os.fstat(fd).st_dev
                base = root.rstrip("/")
                reach = rules.in_reach(base or "/", self._rules)
                self._shape(fd, os.fstat(fd), reach, "")
                self._below([(base, os.dup(fd), reach)])
            for inode, names in (self._join() or {}).items():
                self._links.setdefault(inode, []).extend(names)
            self._shared_files()
        return self.changed

    def _below(self, pending: list[tuple[str, int, list[TreeRule]]]) -> None:
        """Takes over the descriptors of `pending`."""
        try:
            while pending:
                self._divide(partial(self._below_as_second, pending))
                directory, fd, reach = pending.pop()
                mine = self._is_mine(directory)
                try:
                    with os.scandir(fd) as entries:
                        listed = list(entries)
                    for entry in listed:
                        if entry.is_file(follow_symlinks=False):
                            if mine:
                                self._file(directory, fd, entry.name, reach)
                        elif entry.is_dir(follow_symlinks=False):
                            inner = self._directory(directory, fd, entry.name, reach, mine)
                            if inner is not None:
                                pending.append(inner)
                        elif mine and entry.is_symlink():
                            self._link(directory, fd, entry.name, reach)
                finally:
                    os.close(fd)
        finally:
            for _, fd, _ in pending:
                os.close(fd)

    def _below_as_second(
        self, pending: list[tuple[str, int, list[TreeRule]]]
    ) -> dict[int, list[str]]:
        """The second process's share: the files with several links among it are not done yet."""
        self._links = {}
        # An inherited descriptor shares its place in the list of names with the first process.
        self._below(
            [
                (directory, os.open(".", _OPEN | os.O_DIRECTORY, dir_fd=fd), reach)
                for directory, fd, reach in pending
            ]
        )
        return self._links

    def _file(self, directory: str, dir_fd: int, name: str, reach: list[TreeRule]) -> None:
        self._at = path = f"{directory}/{name}"
        if path in self._paths:
            reach = rules.in_reach(path, self._rules)
        fd = os.open(name, _OPEN, dir_fd=dir_fd)
        try:
            there = os.fstat(fd)
            if there.st_nlink > 1:
                self._links.setdefault(there.st_ino, []).append(path)
            elif stat.S_ISREG(there.st_mode):
                self._shape(fd, there, reach, name)
        finally:
            os.close(fd)

    def _directory(
        self, directory: str, dir_fd: int, name: str, reach: list[TreeRule], mine: bool
    ) -> tuple[str, int, list[TreeRule]] | None:
        """The directory as something still to go into; it is given its shape where it is `mine`."""
        self._at = path = f"{directory}/{name}"
        if path in self._paths:
            reach = rules.in_reach(path, self._rules)
        fd = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=dir_fd)
        try:
            there = os.fstat(fd)
            if there.st_dev != self._device:
                os.close(fd)
                return None
            if mine:
                self._shape(fd, there, reach, "")
        except OSError:
            os.close(fd)
            raise
        return path, fd, reach

    def _link(self, directory: str, dir_fd: int, name: str, reach: list[TreeRule]) -> None:
        self._at = f"{directory}/{name}"
        rule = _first(reach, "")
        if rule is None:
            return
        there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        uid = there.st_uid if rule.uid is None else rule.uid
        gid = there.st_gid if rule.gid is None else rule.gid
        if (uid, gid) != (there.st_uid, there.st_gid):
            os.chown(name, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
            self.changed += 1
        self._count()

    def _shape(self, fd: int, there: os.stat_result, reach: list[TreeRule], name: str) -> None:
        """Give an open file (with its `name`) or directory ("") what the first rule says."""
        rule = _first(reach, name)
        if rule is None:
            return
        mode = there.st_mode & 0o7777
        wanted_mode = rule.file_mode if name else rule.dir_mode
        if wanted_mode is None:
            wanted_mode = mode
        uid = there.st_uid if rule.uid is None else rule.uid
        gid = there.st_gid if rule.gid is None else rule.gid
        differs = uid != there.st_uid or gid != there.st_gid or wanted_mode != mode
        if differs or rule.flags_set or rule.flags_clear:
            raw = attributes.raw_flags(fd)
            flags = raw & attributes.FLAGS_OF_CHATTR
            wanted_flags = (flags | rule.flags_set) & ~rule.flags_clear
            if differs:
                raw = self._own(fd, there, raw, (uid, gid), wanted_mode)
                flags &= ~attributes.LOCKING
            if flags != wanted_flags:
                attributes.change_flags(fd, raw, wanted_flags)
                differs = True
            self.changed += differs
        self._count()

    def _own(
        self, fd: int, there: os.stat_result, raw: int, owner: tuple[int, int], mode: int
    ) -> int:
        """chown and chmod, an immutable file being opened for it; locked again where that fails.

        `raw` are its flags; returns what they are now.
        """
        unlocked = attributes.change_flags(fd, raw, raw & ~attributes.LOCKING)
        try:
            if owner != (there.st_uid, there.st_gid):
                os.fchown(fd, *owner)
            # Also after a mere change of owner, which drops set-id bits.
            if stat.S_IMODE(there.st_mode) != mode or mode & 0o6000:
                os.fchmod(fd, mode)
        except OSError:
            attributes.change_flags(fd, unlocked, raw)
            raise
        return unlocked

    def _shared_files(self) -> None:
        """Files with several hard links: only those all of whose links are in the tree.

        Looked at anew, because whoever may write in the tree could since have put a link to a
        file outside in the place of one that was counted.
        """
        for inode, names in self._links.items():
            self._at = first = min(names)
            directory, name = paths.split(first)
            with paths.directory(directory) as dir_fd:
                fd = os.open(name, _OPEN, dir_fd=dir_fd)
                try:
                    there = os.fstat(fd)
                    inside = stat.S_ISREG(there.st_mode) and self._leading_to(inode, names)
                    if there.st_ino == inode and there.st_nlink == inside:
                        self._shape(fd, there, rules.in_reach(first, self._rules), name)
                    elif self._left_alone is not None:
                        self._left_alone += sorted(names)
                finally:
                    os.close(fd)

    def _leading_to(self, inode: int, names: list[str]) -> int:
        """How many of `names` stand for that file now."""
        found = 0
        for path in names:
            directory, name = paths.split(path)
            with paths.directory(directory) as dir_fd, contextlib.suppress(FileNotFoundError):
                there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
                found += (there.st_ino, there.st_dev) == (inode, self._device)
        return found


def _first(reach: list[TreeRule], name: str) -> TreeRule | None:
    """The strongest rule for a file of this name; for anything else `name` is empty."""
    for rule in reach:
        if not rule.name_suffixes or (name and name.endswith(rule.name_suffixes)):
            return rule
    return None
