"""Giving a whole tree its owners, modes and flags, in one pass through directory descriptors.

Every entry is opened without following a link and changed through its descriptor, so that
nobody who may write in the tree can make us change something outside it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from host import attributes, metadata, paths, rules
from host.base import FileState, HostError, TreeRule

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_SAY_EVERY: Final = 1000
"""Entries between two calls of `on_progress`: some 20 ms of work."""


def apply_states(
    wanted: Iterable[tuple[str, FileState]], *, on_progress: Callable[[int], None] | None = None
) -> int:
    """See `host.base.Host.apply_states`. Raises `HostError` naming the file."""
    changed = seen = 0
    above = ""
    with contextlib.ExitStack() as opened:
        dir_fd = -1
        for path, state in wanted:
            directory, name = paths.split(path)
            try:
                if directory != above:
                    opened.close()
                    above = ""
                    dir_fd = opened.enter_context(paths.directory(directory))
                    above = directory
                changed += metadata.give_at(dir_fd, name, state)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise HostError(
                    f"{path} could not be given its owner, mode and flags: "
                    f"{paths.because(error)}; {changed} entries before it were changed"
                ) from error
            seen += 1
            if on_progress is not None and seen % _SAY_EVERY == 0:
                on_progress(seen)
    return changed


def apply_rules(
    root: str,
    wanted: Sequence[TreeRule],
    *,
    on_progress: Callable[[int], None] | None = None,
    left_alone: list[str] | None = None,
) -> int:
    """See `host.base.Host.apply_rules`. Raises `HostError` naming the file.

    `left_alone` receives the files with a further hard link outside the tree. One file system:
    what is mounted below `root` is not entered.
    """
    return _Sealing(wanted, on_progress, left_alone).run(root)


class _Sealing:
    """One pass over a tree."""

    def __init__(
        self,
        wanted: Sequence[TreeRule],
        on_progress: Callable[[int], None] | None,
        left_alone: list[str] | None,
    ) -> None:
        self._rules = rules.strongest(wanted)
        self._paths = {rule.path.rstrip("/") or "/" for rule in wanted}
        self._on_progress = on_progress
        self._left_alone = left_alone
        self._links: dict[int, list[str]] = {}
        self._device = 0
        self.changed = 0
        self.seen = 0
        self._at = ""

    def run(self, root: str) -> int:
        self._at = root
        try:
            with paths.directory(root) as fd:
                self._device = os.fstat(fd).st_dev
                base = root.rstrip("/")
                reach = rules.in_reach(base or "/", self._rules)
                self._shape(fd, os.fstat(fd), reach, "")
                self._below(base, os.dup(fd), reach)
            self._shared_files()
        except OSError as error:
            raise HostError(
                f"{self._at} could not be given its owner, mode and flags: "
                f"{paths.because(error)}; {self.changed} entries before it were changed"
            ) from error
        return self.changed

    def _below(self, root: str, root_fd: int, root_reach: list[TreeRule]) -> None:
        """Takes over `root_fd`."""
        pending = [(root, root_fd, root_reach)]
        try:
            while pending:
                directory, fd, reach = pending.pop()
                try:
                    with os.scandir(fd) as entries:
                        listed = list(entries)
                    for entry in listed:
                        if entry.is_file(follow_symlinks=False):
                            self._file(directory, fd, entry.name, reach)
                        elif entry.is_dir(follow_symlinks=False):
                            inner = self._directory(directory, fd, entry.name, reach)
                            if inner is not None:
                                pending.append(inner)
                        elif entry.is_symlink():
                            self._link(directory, fd, entry.name, reach)
                finally:
                    os.close(fd)
        finally:
            for _, fd, _ in pending:
                os.close(fd)

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
        self, directory: str, dir_fd: int, name: str, reach: list[TreeRule]
    ) -> tuple[str, int, list[TreeRule]] | None:
        self._at = path = f"{directory}/{name}"
        if path in self._paths:
            reach = rules.in_reach(path, self._rules)
        fd = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=dir_fd)
        try:
            there = os.fstat(fd)
            if there.st_dev != self._device:
                os.close(fd)
                return None
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
            flags = attributes.get_flags(fd)
            wanted_flags = (flags | rule.flags_set) & ~rule.flags_clear
            if differs:
                self._own(fd, there, flags, (uid, gid), wanted_mode)
                flags &= ~attributes.LOCKING
            if flags != wanted_flags:
                attributes.set_flags(fd, wanted_flags)
                differs = True
            self.changed += differs
        self._count()

    def _own(
        self, fd: int, there: os.stat_result, flags: int, owner: tuple[int, int], mode: int
    ) -> None:
        """chown and chmod, an immutable file being opened for it; locked again where that fails."""
        if flags & attributes.LOCKING:
            attributes.set_flags(fd, flags & ~attributes.LOCKING)
        try:
            if owner != (there.st_uid, there.st_gid):
                os.fchown(fd, *owner)
            # Also after a mere change of owner, which drops set-id bits.
            if stat.S_IMODE(there.st_mode) != mode or mode & 0o6000:
                os.fchmod(fd, mode)
        except OSError:
            if flags & attributes.LOCKING:
                attributes.set_flags(fd, flags)
            raise

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

    def _count(self) -> None:
        self.seen += 1
        if self._on_progress is not None and self.seen % _SAY_EVERY == 0:
            self._on_progress(self.seen)


def _first(reach: list[TreeRule], name: str) -> TreeRule | None:
    """The strongest rule for a file of this name; for anything else `name` is empty."""
    for rule in reach:
        if not rule.name_suffixes or (name and name.endswith(rule.name_suffixes)):
            return rule
    return None
