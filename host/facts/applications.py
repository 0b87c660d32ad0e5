"""Which web applications the host serves, and where: i-doit and TYPO3, found by their own files.

They are looked for in the document roots of Apache, in its aliases, one directory below these, and
for a project of Composer one above; of the host itself only names are asked, no content.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from host.base import Host, HostError
from host.facts.apache import APACHE, Apache
from host.facts.base import Fact, Facts, FactUnavailable

USUAL = "/var/www/html"
"""Debian's document root; looked at also where Apache cannot be asked."""

MOST_BELOW = 200
"""Of a document root with more directories only the first ones are looked into."""

Kind = Literal["i-doit", "typo3"]
Layout = Literal["", "composer", "classic"]


class Application(msgspec.Struct, frozen=True):
    """One installation. `public` is what the web server shows of `path`, often the same.

    `config` are the files of its configuration that are there, the one that has the last word
    last. `layout` is TYPO3's; i-doit has but one. All paths are without symbolic links.
    """

    kind: Kind
    path: str
    public: str
    config: tuple[str, ...] = ()
    layout: Layout = ""

    @property
    def writable(self) -> tuple[str, ...]:
        """Directories it must fill, relative to `path`, whether they are there or not.

        i-doit: Security and Protection, Authorizations in the File System; TYPO3 13.4: Security
        Guidelines, File and directory permissions.
        """
        if self.kind == "i-doit":
            return ("log", "imports", "temp", "upload")
        inside = os.path.relpath(self.public, self.path)
        shown = "" if inside == "." else f"{inside}/"
        if self.layout == "composer":
            return ("var", f"{shown}fileadmin", f"{shown}typo3temp", "config/sites")
        return ("fileadmin", "typo3temp", "typo3conf/sites", "uploads")

    @property
    def label(self) -> str:
        name = "i-doit" if self.kind == "i-doit" else "TYPO3"
        return f"{name} in {self.path}"


Applications = tuple[Application, ...]


def _read_applications(host: Host, facts: Facts) -> Applications:
    try:
        roots = [USUAL, *document_roots(facts.get(APACHE))]
    except FactUnavailable:
        roots = [USUAL]
    found: dict[str, Application] = {}
    for application in _search(host, roots):
        found.setdefault(application.path, application)
    return tuple(found.values())


def document_roots(apache: Apache) -> list[str]:
    """What Apache shows: document roots in their order, then the directories of aliases."""
    roots = [apache.document_root, *(host.document_root for host in apache.hosts)]
    for directive in apache.config.named("Alias"):
        words = directive.words
        if len(words) == 2:
            roots.append(words[1])
    return [root.rstrip("/") for root in roots if root.startswith("/") and root != "/"]


def _search(host: Host, roots: Iterable[str]) -> Iterator[Application]:
    """In each root, without symbolic links, and where it is none itself, right below it."""
    for real in dict.fromkeys(host.realpath(root) for root in roots):
        state = host.state(real)
        if real == "/" or state is None or state.kind != "dir":
            continue
        itself = recognized(host, real, real) or recognized(host, os.path.dirname(real), real)
        if itself is not None:
            yield itself
            continue
        for name in _names(host, real)[:MOST_BELOW]:
            below = host.realpath(f"{real}/{name}")
            application = recognized(host, below, below)
            if application is not None:
                yield application


def _names(host: Host, folder: str) -> list[str]:
    try:
        return [name for name in host.listdir(folder) if not name.startswith(".")]
    except (HostError, OSError):
        return []


def recognized(host: Host, path: str, shown: str) -> Application | None:
    """The application that lies in `path`, of which the web server shows `shown`.

    Only a project of Composer may lie above of what is shown.
    """

    def there(*names: str) -> tuple[str, ...]:
        return tuple(name for name in names if host.state(host.realpath(name)) is not None)

    if path != "/" and there(f"{path}/vendor/typo3/cms-core/composer.json"):
        public = shown if shown != path else _public(host, path)
        return Application("typo3", path, public, _settings(there, path, public), "composer")
    if path != shown:
        return None
    if there(f"{path}/typo3/sysext/core/composer.json"):
        return Application("typo3", path, path, _settings(there, "", path), "classic")
    config = there(f"{path}/src/config.inc.php")
    if config and there(f"{path}/controller", f"{path}/console.php", f"{path}/src/jsonrpc.php"):
        return Application("i-doit", path, path, config)
    return None


def _public(host: Host, project: str) -> str:
    """The document root of a project of Composer that was found by its own directory."""
    for name in ("public", "web"):
        if host.state(f"{project}/{name}/index.php") is not None:
            return f"{project}/{name}"
    return project


def _settings(there: Callable[..., tuple[str, ...]], project: str, public: str) -> tuple[str, ...]:
    """TYPO3 12 and later, else 11 and before; what is read last comes last."""
    legacy = f"{public}/typo3conf"
    folder = f"{project}/config/system" if project else f"{legacy}/system"
    return there(f"{folder}/settings.php", f"{folder}/additional.php") or there(
        f"{legacy}/LocalConfiguration.php", f"{legacy}/AdditionalConfiguration.php"
    )


APPLICATIONS: Fact[Applications] = Fact("applications", _read_applications)
