"""Groups of alternatives that a package began and others registered in since.

update-alternatives keeps a group as long as one program is in it. So its files stay when the
package that began it goes, as update-alternatives leaves them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from host.base import Host, HostError
from snapshots.captured import Captured
from snapshots.model import Delta
from snapshots.package_owners import owners

GROUPS: Final = "/var/lib/dpkg/alternatives/"
LINKS: Final = "/etc/alternatives/"


def shared(
    host: Host, deltas: Iterable[Delta], current: Captured, going: Collection[str]
) -> frozenset[str]:
    """The files of new groups in which a program is that does not go with the packages `going`."""
    new = {delta.key for delta in deltas if delta.domain == "files" and delta.before is None}
    found = set[str]()
    for path in sorted(new & current["files"].keys()) if going else ():
        if not path.startswith(GROUPS):
            continue
        try:
            text = host.read_bytes(path, follow=False).decode("utf-8", "surrogateescape")
        except HostError:
            continue
        slaves, programs = parse(text)
        having = owners(host, set(programs))
        if any(_stays(host, program, having, going) for program in programs):
            found |= {path, *(f"{LINKS}{n}" for n in (path.removeprefix(GROUPS), *slaves))}
    return frozenset(found)


def parse(text: str) -> tuple[list[str], list[str]]:
    """A group's file: the names of what goes along with it ("editor.1.gz"), and its programs."""
    lines = iter(text.split("\n")[2:])
    slaves = []
    for name in lines:
        if not name:
            break
        slaves.append(name)
        next(lines, None)
    programs = []
    for program in lines:
        if not program:
            break
        programs.append(program)
        for _ in range(1 + len(slaves)):
            next(lines, None)
    return slaves, programs


def _stays(
    host: Host, program: str, having: Mapping[str, Collection[str]], going: Collection[str]
) -> bool:
    names = having.get(program)
    if names is None:
        return host.state(program) is not None and not _is_made_by(host, program, going)
    return not set(names) <= set(going)


def _is_made_by(host: Host, program: str, packages: Collection[str]) -> bool:
    """Whether no package has it because it is only made, by a script or a daemon of one of these,
    as the socket /run/php/php8.2-fpm.sock is."""
    file_name = program.rpartition("/")[2]
    for name in packages:
        script = f"/var/lib/dpkg/info/{name}.postinst"
        if program.startswith("/run/") and file_name.startswith(name.partition(":")[0]):
            return True
        if host.state(script) is not None and program.encode() in host.read_bytes(script):
            return True
    return False
