"""What the sites of this host answer for their first page, and whether that got worse.

Apache's virtual hosts are asked over loopback, or at the address of their own, by their names.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

from host.base import Host, HostError, HttpAnswer
from host.facts.apache import Apache
from host.facts.apache_http import Target, has_host, targets
from steps.model import MeantAnswer

LIMIT_S = 5.0
"""For one answer. Nobody is asked after this time either, so that a host whose sites all hang is
known after twice of it."""

MOST = 40
"""Of a host with more names only the first are asked."""

ASIDE = 8
"""Requests side by side: each needs a worker process of Apache and, with PHP, a whole one."""

AGAIN_AFTER_S = 1.0
"""A daemon that was just told to read its configuration may refuse for a moment."""

_BEGIN_BYTES = 2048

Kind = Literal["page", "moved", "login", "refused", "missing", "broken"]


class Page(msgspec.Struct, frozen=True):
    """What came back. `status` 0: nothing did, and `problem` says why.

    `named`: a virtual host has this very name; `modified_s` (Last-Modified) and `asked_s` in
    seconds since 1970, 0 where not known; `static`: Apache itself sent a file; `listing`: the files
    of a folder; `source`: a program of PHP as text.
    """

    target: Target
    status: int = 0
    problem: str = ""
    named: bool = False
    modified_s: float = 0.0
    asked_s: float = 0.0
    static: bool = False
    listing: bool = False
    source: bool = False

    @property
    def kind(self) -> Kind:
        return kind_of(self.status)


def kind_of(status: int) -> Kind:
    """What an answer means to a visitor; a change between two kinds is one they notice."""
    if 200 <= status < 300:
        return "page"
    if 300 <= status < 400:
        return "moved"
    if status == 401:
        return "login"
    if status == 403:
        return "refused"
    return "missing" if 400 <= status < 500 else "broken"


def known(apache: Apache) -> list[Target]:
    """The sites Apache is configured to answer, the first names first."""
    return targets(apache, aliases=True)[:MOST]


def ask(host: Host, whom: Sequence[Target], apache: Apache | None) -> list[Page]:
    """The first page of each, side by side; who could not be asked in time is left out.

    `apache`: its configuration as it is now, `None` where that is not known.
    """
    if not whom:
        return []
    until_s = time.monotonic() + LIMIT_S

    def one(target: Target) -> Page | None:
        if time.monotonic() >= until_s:
            return None
        return _ask(host, target, named=apache is not None and has_host(apache, target))

    with ThreadPoolExecutor(min(ASIDE, len(whom))) as pool:
        return [page for page in pool.map(one, whom) if page is not None]


def _ask(host: Host, target: Target, *, named: bool) -> Page:
    asked_s = time.time()
    try:
        answer = host.http(
            "/", port=target.port, tls=target.tls, host_header=target.name,
            address=target.address, timeout_s=LIMIT_S,
        )  # fmt: skip
    except HostError as error:
        return Page(target, problem=str(error), named=named, asked_s=asked_s)
    begin = answer.body[:_BEGIN_BYTES].lstrip()
    return Page(
        target,
        status=answer.status,
        named=named,
        modified_s=_modified_s(answer),
        asked_s=asked_s,
        static=bool(answer.header("accept-ranges") and answer.header("last-modified")),
        listing=b"<title>Index of /" in begin,
        source=begin.startswith((b"<?php", b"<?=")),
    )


def _modified_s(answer: HttpAnswer) -> float:
    from email.utils import parsedate_to_datetime  # 10 ms that only this needs

    try:
        return parsedate_to_datetime(answer.header("last-modified")[0]).timestamp()
    except (IndexError, ValueError, OverflowError):
        return 0.0


def worse(before: Page, after: Page, meant: Iterable[MeantAnswer] = ()) -> str:
    """What of a site got worse, as a sentence without its full stop; empty where nothing did.

    What was broken before cannot; whatever answered, with "not found" too, must still answer.
    """
    url = before.target.url
    if before.kind == "broken":
        return ""
    if after.source and not before.source:
        return f"{url} sends the source of a PHP program now instead of running it"
    if any(_means(one, before, after) for one in meant):
        return ""
    if after.kind == "broken" and not after.status:
        return f"{url} answered {before.status} before and does not answer now ({after.problem})"
    changed = after.kind != before.kind
    if after.kind == "broken" or (changed and before.kind != "missing"):
        return f"{url} answered {before.status} before and answers {after.status} now"
    if before.named and not after.named and before.kind != "missing":
        return (
            f"{url} answered {before.status} before and now another site answers for it, because"
            " no virtual host has its name any more"
        )
    if is_another_page(before, after):
        return f"{url} answers {after.status} as before, but with another page"
    return ""


def _means(one: MeantAnswer, before: Page, after: Page) -> bool:
    return (
        one.site.lower() in ("*", before.target.name.lower())
        and after.status in one.statuses
        and (before.listing or not one.listing)
    )


def is_another_page(before: Page, after: Page) -> bool:
    """Another file is served, or a file where a program answered: one that was there already when
    we asked before, so that nobody has edited the page since. What a program says of its page's age
    moves forward, and is no other page."""
    if before.kind != "page" or not 0 < after.modified_s < before.asked_s - 1:
        return False
    if not before.modified_s:
        return after.static
    return after.modified_s != before.modified_s
