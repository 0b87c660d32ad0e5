"""What of an application anybody gets over HTTP: asked of Apache by every name that shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from host.base import Host, HostError, HttpAnswer
from host.facts.apache import APACHE, RUNNING, Apache
from host.facts.apache_http import Target, targets
from host.facts.applications import APPLICATIONS, Application
from host.facts.base import Fact, Facts
from host.facts.exposure_rules import Rule, rules_for

MOST_NAMES: Final = 8
"""Of an application that more names and ports show only the first are asked."""

MOST_FILES: Final = 40
"""Of the files that fit patterns only the first are asked for."""

_ASIDE: Final = 8
_BEGIN_BYTES: Final = 200
_LARGE_BYTES: Final = 4 * 1024 * 1024
"""From here on a file is not read; Apache says how long what it sends is."""
_DEEP: Final = 3
"""How far below a directory a file is looked for that can be asked for."""

Verdict = Literal["shown", "run", "listed", "kept", "unknown"]


class Place(msgspec.Struct, frozen=True):
    """A thing on disk that must not be reachable, and what is asked to know it.

    `directory` where it stands for everything in it; `sample` is the file whose content is asked
    for, "" where the directory has none.
    """

    rule: Rule
    path: str
    directory: bool
    sample: str


class Probed(msgspec.Struct, frozen=True):
    """One place, asked for by one name.

    `shown_as` is its path as Apache puts it together from the document root. `verdict`: "shown"
    (its content came), "run" (a program answered), "listed" (a directory's list came), "kept" or
    "unknown" (`problem` says why). `status` 0: no answer.
    """

    application: Application
    place: Place
    target: Target
    url: str
    shown_as: str
    verdict: Verdict
    status: int = 0
    problem: str = ""


class Shown(msgspec.Struct, frozen=True):
    """A directory that a name shows: `root` as Apache has it, at `url` ("" or "/cmdb")."""

    target: Target
    root: str
    real: str
    url: str


def _read_exposure(host: Host, facts: Facts) -> tuple[Probed, ...]:
    applications = facts.get(APPLICATIONS)
    if not applications:
        return ()
    apache = facts.get(APACHE)
    if not facts.get(RUNNING).pid:
        return ()
    everything = shown(host, apache)
    asked: list[tuple[Application, Place, Shown]] = []
    for application in applications:
        for base, rule in rules_for(application):
            showing = [one for one in everything if f"{base}/".startswith(f"{one.real}/")]
            if showing:
                asked += [
                    (application, place, one)
                    for place in places(host, base, rule)
                    for one in showing[:MOST_NAMES]
                ]
    with ThreadPoolExecutor(_ASIDE) as pool:
        return tuple(pool.map(lambda one: _probe(host, *one), asked))


def shown(host: Host, apache: Apache) -> list[Shown]:
    """Document roots and aliases, for each name and port Apache answers on."""
    roots = {one.section.origin: one.document_root for one in apache.hosts}
    found = []
    for target in targets(apache):
        root = (roots.get(target.section_line) or apache.document_root).rstrip("/")
        mapped = [("", root)]
        for directive in apache.config.named("Alias"):
            inside = directive.virtual_host
            words = directive.words
            if len(words) == 2 and (inside is None or inside.origin == target.section_line):
                mapped.append((words[0].rstrip("/"), words[1].rstrip("/")))
        found += [
            Shown(target, root, host.realpath(root), url)
            for url, root in mapped
            if root.startswith("/")
        ]
    return found


def places(host: Host, base: str, rule: Rule) -> Iterator[Place]:
    """What is there of a rule."""
    folder, _, name = rule.pattern.rpartition("/")
    above = f"{base}/{folder}" if folder else base
    if "*" in name:
        names = [one for one in _names(host, above) if fnmatchcase(one, name)][:MOST_FILES]
    else:
        names = [name]
    for one in names:
        path = f"{above}/{one}"
        state = host.state(path)
        if state is None:
            continue
        if state.kind == "dir":
            yield Place(rule, path, directory=True, sample=_sample(host, path, rule))
        elif state.kind == "file":
            yield Place(rule, path, directory=False, sample=path)


def _sample(host: Host, folder: str, rule: Rule, deep: int = _DEEP) -> str:
    """A file below `folder` that must not come, the first that is no program."""
    inner: list[str] = []
    programs: list[str] = []
    for name in _names(host, folder):
        state = host.state(f"{folder}/{name}")
        if state is None:
            continue
        if state.kind == "dir":
            inner.append(name)
        elif state.kind == "file" and not name.endswith(tuple(f".{end}" for end in rule.keep)):
            if not name.endswith(".php"):
                return f"{folder}/{name}"
            programs.append(name)
    for name in inner[:_DEEP] if deep else ():
        found = _sample(host, f"{folder}/{name}", rule, deep - 1)
        if found:
            return found
    return f"{folder}/{programs[0]}" if programs else ""


def _names(host: Host, folder: str) -> list[str]:
    try:
        return host.listdir(folder)
    except (HostError, OSError):
        return []


def _probe(host: Host, application: Application, place: Place, by: Shown) -> Probed:
    def url_of(path: str) -> str:
        return quote(os.fsencode(f"{by.url}/{path.removeprefix(by.real).lstrip('/')}"))

    shown_as = f"{by.root}/{place.path.removeprefix(by.real).lstrip('/')}"
    probed = Probed(application, place, by.target, url_of(place.path), shown_as, "kept")
    try:
        if place.directory:
            url = url_of(place.path) + "/"
            answer = _ask(host, by.target, url)
            probed = msgspec.structs.replace(probed, url=url, status=answer.status)
            if _is_list(answer):
                return msgspec.structs.replace(probed, verdict="listed")
        if place.sample:
            url = url_of(place.sample)
            answer = _ask(host, by.target, url)
            probed = msgspec.structs.replace(
                probed, url=url, status=answer.status, verdict=_judged(host, place, answer, url)
            )
    except HostError as error:
        return msgspec.structs.replace(probed, verdict="unknown", problem=str(error))
    return probed


def _judged(host: Host, place: Place, answer: HttpAnswer, url: str) -> Verdict:
    """A file that is too large to be read, as dumps are, is known by its length."""
    state = host.state(place.sample)
    if state is not None and state.size_bytes > _LARGE_BYTES:
        came = 200 <= answer.status < 300
        is_all = answer.header("content-length") == [str(state.size_bytes)]
        return "shown" if came and is_all else "kept"
    return judge(answer, host.read_bytes(place.sample)[:_BEGIN_BYTES], url)


def judge(answer: HttpAnswer, content: bytes, url: str) -> Verdict:
    """What an answer says of a file that begins with `content`.

    A front page that is sent for whatever is asked for shows nothing of the file.
    """
    if not 200 <= answer.status < 300:
        return "kept"
    if content and answer.body.startswith(content):
        return "shown"
    if url.endswith(".php") and b"</" not in answer.body[:4096]:
        return "run"
    return "shown" if not content and not answer.body else "kept"


def _ask(host: Host, target: Target, url: str) -> HttpAnswer:
    return host.http(
        url, port=target.port, tls=target.tls, host_header=target.name, address=target.address
    )


def _is_list(answer: HttpAnswer) -> bool:
    return answer.status == 200 and b"<title>Index of /" in answer.body[:2048]


EXPOSURE: Fact[tuple[Probed, ...]] = Fact("exposure", _read_exposure)
