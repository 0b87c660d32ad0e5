"""Where `systemctl` writes: links of the units that it was told, and directories of such links."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from host.base import Host, HostError

UNITS: Final = "/etc/systemd"
EVERYWHERE: Final = r"/etc/(systemd/|init\.d/|rc[0-6S]\.d/).+"
_OF_INIT: Final = r"/etc/(init\.d/\.depend\..+|rc[0-6S]\.d/.+)"
"""`systemctl enable` has update-rc.d link scripts of System V, which may number all anew."""
_FOLDER: Final = r"/etc/systemd/(system|user)/"
_OF_LINKS: Final = r"[^/]+\.(wants|requires|upholds)"

_MAKE_LINKS: Final = frozenset(
    {"add-requires", "add-wants", "disable", "enable", "mask", "preset", "reenable", "unmask"}
)
_MAKE_NONE: Final = frozenset(
    {"daemon-reload", "reload", "reload-or-restart", "reset-failed", "restart", "start", "stop",
     "try-restart"}
)  # fmt: skip
_KINDS: Final = (".automount", ".mount", ".path", ".service", ".slice", ".socket", ".swap",
                 ".target", ".timer")  # fmt: skip
_BESIDES: Final = re.compile(r"^(Also|Alias)=(.*)$", re.MULTILINE)


def places(words: Iterable[str], besides: Iterable[str] = ()) -> str:
    """Where in /etc `systemctl` writes that is told this, a pattern; "" where nowhere.

    `besides`: units that the files of those it is told name, and links to them.
    """
    verb, *units = [word for word in words if not word.startswith("-")] or [""]
    if verb in _MAKE_NONE:
        return ""
    if verb not in _MAKE_LINKS:
        return EVERYWHERE
    names = "|".join(_pattern_of(unit) for unit in (*units, *besides))
    return rf"{_FOLDER}({_OF_LINKS}|({_OF_LINKS}/)?({names}))|{_OF_INIT}"


def of_systemctl(
    host: Host, argv: Sequence[str], links: Iterable[tuple[str, str]]
) -> Callable[[str], bool] | None:
    """Which files in /etc it may have written; `None` where that is not `systemctl`.

    Ask once it was at work: a file that is no link, and a directory in which others' links lie
    alone, somebody else made. `links`: those there were, with where they lead.
    """
    if not argv or argv[0].rpartition("/")[2] != "systemctl":
        return None
    words = argv[1:]
    if places(words) == EVERYWHERE:
        return None
    pattern = re.compile(places(words, _besides(host, words, links)))

    def may(path: str) -> bool:
        if not path.startswith("/etc/"):
            return True
        if pattern.fullmatch(path) is None:
            return False
        state = host.state(path)
        if state is None or state.kind == "symlink" or re.fullmatch(_OF_INIT, path):
            return True
        inside = host.listdir(path) if state.kind == "dir" else [""]
        return not inside or any(pattern.fullmatch(f"{path}/{name}") for name in inside)

    return may


def _besides(host: Host, words: Iterable[str], links: Iterable[tuple[str, str]]) -> set[str]:
    _, *units = [word for word in words if not word.startswith("-")] or [""]
    found = {unit if unit.endswith(_KINDS) else f"{unit}.service" for unit in units}
    new = set(found)
    while new:
        try:
            text = host.run(("systemctl", "cat", *sorted(new)), ok=None).stdout
        except HostError:
            break
        new = {word for _, value in _BESIDES.findall(text) for word in value.split()} - found
        found |= new
    for path, target in links:
        if target.rpartition("/")[2] in found:
            found.add(path.rpartition("/")[2])
    return found


def _pattern_of(unit: str) -> str:
    """Of a template any of what is made of it, as DefaultInstance= says."""
    name = unit.rpartition("/")[2]
    name = name if name.endswith(_KINDS) else f"{name}.service"
    return re.escape(name).replace("@\\.", r"@[^/]*\.")
