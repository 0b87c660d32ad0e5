"""What a change would write where no capture goes: outside of /etc and of the roots that its step
declares, where of a root no content is kept, on another file system, or behind a link.

A capture stays on the file system of its root, because what is mounted there may be huge, slow, or
another host's, and nobody may write over it later. What lies there has no way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import dropwhile
from typing import Final

from host.base import Host
from host.mounted import mount_points
from host.names import visible
from snapshots.captured import is_of_history
from snapshots.directories import parents
from snapshots.domains.base import Scope
from snapshots.domains.files import roots_of
from snapshots.execute import path_of
from snapshots.model import Change, Root, RunCommand, SealTree, TestRestore

_WRITTEN_BY: Final = {
    **dict.fromkeys(("a2enmod", "a2dismod"), ("/etc/apache2/mods-enabled",)),
    **dict.fromkeys(("a2enconf", "a2disconf"), ("/etc/apache2/conf-enabled",)),
    **dict.fromkeys(("a2ensite", "a2dissite"), ("/etc/apache2/sites-enabled",)),
    **dict.fromkeys(("phpenmod", "phpdismod"), ("/etc/php/*/*/conf.d",)),
    "augenrules": ("/etc/audit",),
    "pam-auth-update": ("/etc/pam.d",),
    "postconf": ("/etc/postfix",),
    "systemctl": ("/etc/systemd/system",),
    "ufw": ("/etc/ufw",),
}
"""Programs of steps -> where they write without being told the name. What packages bring is no
part of it: dpkg has a list of it, and takes it away itself."""


_GIVES: Final = frozenset(
    {"chattr", "chgrp", "chmod", "chown", "dpkg-statoverride", "install", "setfacl"}
)
"""Programs of steps that give the files they are told owners, modes or flags."""


def refusals(host: Host, changes: Iterable[Change], roots: Iterable[Root]) -> tuple[str, ...]:
    """One sentence for each place that could not be put back."""
    changes, captured = tuple(changes), tuple(roots)
    places = (path for change in changes for path in _places(host, change))
    written = (path for change in changes for path in _written(change))
    given = (path for change in changes for path in _given(change))
    found = [
        *of_paths(host, written, captured),
        *_reached(host, places, captured),
        *(_not_seen(host, path, captured) for path in given),
    ]
    return tuple(dict.fromkeys(filter(None, found)))


def of_paths(host: Host, paths: Iterable[str], roots: Iterable[Root]) -> tuple[str, ...]:
    """The same for files that are written or removed."""
    paths, roots = tuple(paths), tuple(roots)
    reached = _reached(host, paths, roots)
    return reached or tuple(filter(None, (_not_kept(host, path, roots) for path in paths)))


def _reached(host: Host, paths: Iterable[str], roots: Iterable[Root]) -> tuple[str, ...]:
    tops = [root.path.rstrip("/") or "/" for root in _captured(roots)]
    found = (_why(host, path, tops) for path in dict.fromkeys(paths))
    return tuple(dict.fromkeys(filter(None, found)))


def _captured(roots: Iterable[Root]) -> tuple[Root, ...]:
    return tuple(roots_of(Scope(tuple(roots))))


def _places(host: Host, change: Change) -> Iterator[str]:
    if isinstance(change, SealTree):
        yield change.root
    elif isinstance(change, RunCommand):
        for pattern in _WRITTEN_BY.get(change.argv[0].rpartition("/")[2], ()):
            yield from host.glob(pattern)
        yield from (word for word in change.argv[1:] if word.startswith("/"))
    else:
        yield from _written(change)


def _written(change: Change) -> Iterator[str]:
    """Files that come, go, or get another content."""
    path = change.path if isinstance(change, TestRestore) else path_of(change)
    if path:
        yield path


def _given(change: Change) -> Iterator[str]:
    """Files that get another owner or mode."""
    if isinstance(change, SealTree):
        yield from (rule.path for rule in change.rules)
    elif isinstance(change, RunCommand):
        program, *words = dropwhile(_is_of_setpriv, change.argv)
        if program.rpartition("/")[2] in _GIVES:
            yield from (word for word in words if word.startswith("/"))


def _is_of_setpriv(word: str) -> bool:
    return word == "setpriv" or word.startswith("-")


def _not_kept(host: Host, path: str, roots: tuple[Root, ...]) -> str:
    """Empty where it can be put back with its content."""
    inside = [root for root in _captured(roots) if _is_in(path, root.path)]
    if not any(_keeps_content(root, path) for root in inside):
        if not inside:
            return _outside(path)
        what = f"A restore point of this change holds no content of {visible(path)}"
        return f"{what}, {_NO_WAY_BACK}"
    return ""


def _not_seen(host: Host, path: str, roots: tuple[Root, ...]) -> str:
    """Empty where it can be put back but for its content, and the directories made for it."""
    for place in (path, *parents(path)):
        if not any(_is_in(place, root.path) for root in _captured(roots)):
            return _outside(place)
        if host.state(place.rpartition("/")[0] or "/") is not None:
            return ""
    return ""


def _outside(path: str) -> str:
    what = f"{visible(path)} lies outside of what a restore point of this change holds"
    return f"{what}, {_NO_WAY_BACK}"


def _keeps_content(root: Root, path: str) -> bool:
    return root.content and not any(path != one and _is_in(path, one) for one in root.without)


def _why(host: Host, path: str, tops: list[str]) -> str:
    """Empty where a capture goes there, and where nobody says that it does."""
    if path in tops or not any(_is_in(path, top) for top in tops):
        return ""
    if is_of_history(path):
        what = f"{visible(path)} is part of the history of /etc, which is never put back"
        return f"{what}, {_NO_WAY_BACK}"
    directory, _, name = path.rpartition("/")
    where = f"{host.realpath(directory or '/').rstrip('/')}/{name}"
    covers = [
        _other_file_system(host, where, real)
        for real in (host.realpath(top) for top in tops)
        if _is_in(where, real)
    ]
    if not covers:
        what = f"{visible(path)} lies behind a link, in {visible(where.rpartition('/')[0])}"
        return f"{what}, and a restore point follows none, {_NO_WAY_BACK}"
    if not all(covers):
        return ""
    at = max(covers, key=len)
    what = f"{visible(path)} lies on what is mounted on {visible(at)}"
    return f"{what}, and a restore point does not go in there, {_NO_WAY_BACK}"


_NO_WAY_BACK: Final = "so the change could not be taken back. It is left to you."


def _other_file_system(host: Host, path: str, top: str) -> str:
    """The first place on the way from `top` to `path` that is on another one; empty: none is.

    Of a file the number tells nothing where its directory lies on an overlay of two: it is on
    another one where something is mounted on it.
    """
    device = host.device(top)
    base = top.rstrip("/")
    names = path.removeprefix(f"{base}/").split("/") if path != top else []
    for depth in range(1, len(names) + 1):
        at = f"{base}/{'/'.join(names[:depth])}"
        there = host.device(at)
        if not there:
            return ""
        if there != device:
            state = host.state(at)
            is_here = state is None or state.kind != "dir"
            return "" if is_here and at not in mount_points(host) else at
    return ""


def _is_in(path: str, directory: str) -> bool:
    """Whether it is that or lies below it."""
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")
