"""What of an application's tree no seal is put on, and who is writing into it: in plain words."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Sequence

import msgspec

from host.base import Host, HostError
from host.holders import describe
from steps.model import Finding
from steps.resources.tree_survey import EXAMPLES, Survey


class Writer(msgspec.Struct, frozen=True):
    """A process that has a file open for writing now."""

    path: str
    pid: int


def findings(root: str, found: Survey) -> list[Finding]:
    """What is left as it is. It counts for nothing, since no step of ours can judge it."""
    told = [
        (
            "files with a name outside",
            found.shared,
            found.shared_count,
            "hard links outside of the tree lead to them, so they are neither sealed nor changed:"
            " who may write there can change what the application runs",
        ),
        (
            "links that lead out",
            found.leading_out,
            found.leading_out_count,
            "what they point to lies outside of the tree and stays as it is",
        ),
        (
            "sockets, pipes and devices",
            found.special,
            found.special_count,
            "they hold nothing that could be sealed and are left alone",
        ),
    ]
    return [
        Finding(
            resource=root, setting=setting, expected="none", running=_listed(examples, count),
            note=note, applicable=False,
        )
        for setting, examples, count, note in told
        if count
    ]  # fmt: skip


def notes(found: Survey) -> list[str]:
    """The same for a preview."""
    said = []
    if found.shared_count:
        said.append(
            "Left alone, because hard links outside of the tree would change with them:"
            f" {_listed(found.shared, found.shared_count)}."
        )
    if found.leading_out_count:
        said.append(
            "Links lead out of the tree, what they point to stays as it is:"
            f" {_listed(found.leading_out, found.leading_out_count)}."
        )
    if found.special_count:
        said.append(
            "Sockets, pipes and devices are left alone:"
            f" {_listed(found.special, found.special_count)}."
        )
    if found.with_acl:
        said.append(f"{found.with_acl:,} entries have an ACL; it is kept.")
    return said


def half_way(host: Host, root: str, writable: Sequence[str], writers: Sequence[Writer]) -> str:
    """Why the tree must not be sealed at this moment; empty where nothing speaks against it.

    Who writes into a writable directory goes on undisturbed.
    """
    free = tuple(f"{root}/{name}/" for name in writable)
    busy = [writer for writer in writers if not writer.path.startswith(free)]
    if not busy:
        return ""
    first = busy[0]
    more = f", and {len(busy) - 1} more" if len(busy) > 1 else ""
    return (
        f"{first.path} is being written by {describe(host, first.pid)}{more}; sealed now, it would"
        ' stop half-way with "Operation not permitted". Nothing was changed. Wait until that'
        f" has ended (`fuser -v {first.path}`), or, if the application must always write there, add"
        f" {os.path.dirname(first.path).removeprefix(root).lstrip('/') or 'its directory'} to"
        " `writable`."
    )


def writers(host: Host, root: str) -> list[Writer]:
    """Who has files of the tree open for writing now, each file once."""
    found: dict[str, Writer] = {}
    for pid in host.listdir("/proc"):
        if pid.isdigit():
            for path in _written(host, int(pid), root):
                found.setdefault(path, Writer(path, int(pid)))
    return [found[path] for path in sorted(found)]


def _written(host: Host, pid: int, root: str) -> Iterator[str]:
    try:
        numbers = host.listdir(f"/proc/{pid}/fd")
    except (HostError, OSError):
        return  # ended meanwhile
    for number in numbers:
        try:
            link = host.state(f"/proc/{pid}/fd/{number}")
            if link is None or not link.target.startswith(f"{root}/"):
                continue
            info = host.read_bytes(f"/proc/{pid}/fdinfo/{number}").decode("ascii", "replace")
        except HostError:
            continue  # closed meanwhile, or not for us to see
        flags = re.search(r"^flags:\s*([0-7]+)", info, re.MULTILINE)
        if flags and int(flags[1], 8) & 0o3 and not link.target.endswith(" (deleted)"):
            yield link.target


def _listed(examples: Sequence[str], count: int) -> str:
    more = " and more" if count > len(examples) else ""
    prefix = f"{count:,}: " if count > EXAMPLES else ""
    return f"{prefix}{', '.join(examples)}{more}"
