"""What the kinds for Apache share: a drop-in that comes last, and exact edits of single lines."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

from host.base import Host, HostError
from host.facts.apache import FOLDER, UNIT, Apache, Running
from host.facts.apache_config import Directive
from snapshots.model import Activation, Change, Root, RunCommand, Validation, WriteFile
from steps.resource import Planned

TOOL_STATE = tuple(
    Root(f"/var/lib/apache2/{name}", content=True) for name in ("module", "conf", "site")
)
"""Where a2enmod, a2enconf and a2ensite remember who switched what."""

CONFIGTEST = Validation(("apache2ctl", "configtest"))
RELOAD = Activation("reload", UNIT)
"""A graceful restart reads everything anew: modules come and go with it, and mod_php reads its
ini files again (tried on bookworm and trixie)."""


class DropIn:
    """`conf-available/zz-harden-tui-STEP.conf`, which sorts after Debian's own files."""

    def __init__(self, step_id: str) -> None:
        self.name = f"zz-harden-tui-{step_id}"
        self.path = f"{FOLDER}/conf-available/{self.name}.conf"
        self.link = f"{FOLDER}/conf-enabled/{self.name}.conf"

    def changes(self, host: Host, text: str) -> list[Change]:
        """What writes and enables it; empty where it is so already."""
        wanted: list[Change] = []
        content = text.encode()
        if _content(host, self.path) != content:
            wanted.append(WriteFile(path=self.path, content=content))
        if host.state(self.link) is None:
            wanted.append(
                RunCommand(argv=("a2enconf", self.name), why="let Apache read the new file")
            )
        return wanted

    def exists(self, host: Host) -> bool:
        return host.state(self.link) is not None

    def refusal(self, host: Host, apache: Apache) -> str:
        """Why the drop-in would not be read; empty where it would."""
        if _conf_enabled_line(host, apache):
            return ""
        return (
            f"{FOLDER}/apache2.conf does not include conf-enabled/*.conf, so a drop-in would have"
            " no effect; put `IncludeOptional conf-enabled/*.conf` back first"
        )

    def loses_to(self, host: Host, apache: Apache, directive: Directive) -> bool:
        """Whether `directive`, outside every section, takes effect after the drop-in."""
        ours = _conf_enabled_line(host, apache)
        top, line = _top_level(apache, directive)
        if line != ours:
            return line > ours
        return posixpath.basename(top) > f"{self.name}.conf"


def _content(host: Host, path: str) -> bytes | None:
    state = host.state(path)
    return host.read_bytes(path) if state is not None and state.kind == "file" else None


def _conf_enabled_line(host: Host, apache: Apache) -> int:
    """The line of apache2.conf that includes conf-enabled; 0 where there is none."""
    for include in apache.includes:
        if include.file.startswith(f"{FOLDER}/conf-enabled/") and len(include.path) == 1:
            return include.path[0]
    text = host.read_bytes(f"{FOLDER}/apache2.conf").decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(
            r"\s*Include(Optional)?\s+\"?(/etc/apache2/)?conf-enabled/", line, re.IGNORECASE
        ):
            return number
    return 0


def _top_level(apache: Apache, directive: Directive) -> tuple[str, int]:
    """The file that apache2.conf itself includes and that leads to `directive`, and from where."""
    top = ""
    for include in apache.includes:
        if len(include.path) == 1:
            top = include.file
        if include.file == directive.file:
            return (top, include.path[0]) if include.path else (include.file, directive.line)
    return directive.file, directive.line


class Edits:
    """Single lines replaced in files that are there; several in one file make one change."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._texts: dict[str, str] = {}
        self.refusals: list[str] = []

    def set_args(self, directive: Directive, args: str) -> None:
        """Let `directive` say `args` instead; its line keeps its indentation and its place."""
        self.replace(
            directive.file,
            lambda text: with_args(text, directive.line, directive.name, args),
            f"{directive.origin} sets {directive.name} {directive.args}, but not in words that can"
            f" be replaced safely; change it by hand to `{directive.name} {args}`",
        )

    def replace(self, file: str, edit: Callable[[str], str | None], refusal: str) -> None:
        """Give `file` what `edit` makes of its text; `refusal` is said where that is `None`."""
        path = self._host.realpath(file)
        try:
            text = self._texts.get(path)
            if text is None:
                text = self._host.read_bytes(path).decode("utf-8", "surrogateescape")
        except HostError as error:
            self.refusals.append(str(error))
            return
        edited = edit(text)
        if edited is None:
            self.refusals.append(refusal)
        else:
            self._texts[path] = edited

    @property
    def changes(self) -> list[Change]:
        return [
            WriteFile(path=path, content=text.encode("utf-8", "surrogateescape"))
            for path, text in sorted(self._texts.items())
        ]


def with_args(text: str, line: int, name: str, args: str) -> str | None:
    """`text` with the directive that ends on `line` (from 1) given `args`.

    `None` where that line does not hold the directive `name`. Line numbers of all other
    directives stay as they are.
    """
    lines = text.splitlines(keepends=True)
    last = line - 1
    if not 0 <= last < len(lines):
        return None
    first = last
    while first > 0 and re.search(r"\\\r?\n$", lines[first - 1]):
        first -= 1
    found = re.match(rf"(\s*)({re.escape(name)})(?=\s|\\|$)", lines[first], re.IGNORECASE)
    if not found:
        return None
    ending = re.search(r"\r?\n?$", lines[last])
    tail = ending.group(0) if ending else ""
    kept = [f"{found.group(1)}{found.group(2)} {args}{tail}"]
    # Empty lines take the place of continuation lines, so that no other directive moves.
    kept += [tail] * (last - first)
    return "".join(lines[:first] + kept + lines[last + 1 :])


def planned(
    changes: Iterable[Change],
    running: Running,
    *,
    notes: Iterable[str] = (),
    refusals: Iterable[str] = (),
) -> Planned:
    """The changes with what Apache needs after them; a mere reload where it only runs old files."""
    wanted = tuple(changes)
    said = tuple(notes)
    if not wanted and running.stale:
        wanted = (
            RunCommand(
                argv=CONFIGTEST.argv, why="no file changes; Apache only has to read them again"
            ),
        )
        said = (*said, running.stale)
    if not wanted:
        return Planned(notes=said, refusals=tuple(refusals))
    return Planned(
        changes=wanted,
        validations=(CONFIGTEST,),
        activations=(RELOAD,),
        roots=TOOL_STATE,
        notes=said,
        refusals=tuple(refusals),
    )
