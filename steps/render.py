"""A change as a person reads it before saying yes: a line, a unified diff, the real command."""

from __future__ import annotations

import difflib
import shlex

import msgspec

from host.base import Host, HostError
from snapshots import overwriting
from snapshots.model import (
    Activation,
    Change,
    InstallPackages,
    MakeLink,
    RemoveFile,
    RotatePassword,
    RunCommand,
    RunSql,
    SealTree,
    TestRestore,
    Validation,
    WriteFile,
)
from snapshots.private_keys import NOT_SHOWN, holds_private_key
from steps.redact import Redactor

LARGEST_DIFF_BYTES = 2 * 1024 * 1024


class RenderedChange(msgspec.Struct, frozen=True):
    """What the preview shows of one change."""

    summary: str
    diff: str = ""
    command: str = ""


def render(change: Change, host: Host, redact: Redactor) -> RenderedChange:
    """What `change` would do on `host` as it is now; asks only."""
    if isinstance(change, WriteFile):
        return _render_write(change, host, redact)
    if isinstance(change, RemoveFile):
        diff = unified(change.path, _content(host, change.path), None)
        return RenderedChange(f"remove {change.path}", redact(diff))
    if isinstance(change, MakeLink):
        return RenderedChange(
            f"link {change.path} -> {change.target}",
            command=shlex.join(["ln", "-sfn", change.target, change.path]),
        )
    if isinstance(change, SealTree):
        return RenderedChange(
            f"set owners, modes and flags below {change.root} ({change.entries:,} entries differ)",
            _rules(change),
        )
    if isinstance(change, InstallPackages):
        brings = "".join(f"+{package}\n" for package in change.brings)
        return RenderedChange(
            f"install {', '.join(change.packages)}",
            f"--- installed packages\n+++ installed packages\n{brings}" if brings else "",
            shlex.join(["apt-get", "install", "--no-install-recommends", *change.packages]),
        )
    if isinstance(change, RunSql):
        command = f"MariaDB> {'; '.join(change.sql)};"
        return RenderedChange(change.why, redact(change.diff), redact(command))
    if isinstance(change, TestRestore):
        return RenderedChange(
            f"dump the database {change.database}, restore it into a scratch database, compare"
            " tables, rows and checksums, and drop the scratch database",
            command=f"mariadb-dump {shlex.quote(change.database)}",
        )
    if isinstance(change, RotatePassword):
        rotation = change.rotation
        return RenderedChange(
            f"give {rotation.account} a new password, in {rotation.places}", rotation.shown()
        )
    return _render_command(change, redact)


def then_commands(
    validations: tuple[Validation, ...], activations: tuple[Activation, ...]
) -> tuple[str, ...]:
    """What runs after the changes, as typed: validations, then activations."""
    commands = [shlex.join(validation.argv) for validation in validations]
    for activation in activations:
        if activation.how == "command":
            commands.append(shlex.join(activation.argv))
        elif activation.how == "daemon-reload":
            commands.append("systemctl daemon-reload")
        else:
            commands.append(shlex.join(["systemctl", activation.how, activation.unit]))
    return tuple(commands)


def unified(path: str, before: bytes | None, after: bytes | None) -> str:
    """A unified diff of one file; `None` means absent. Binary content and
    private keys are only named.

    Bytes of another encoding, in a comment say, are spelled out (`\\xe9`).
    """
    old_name = path if before is not None else "/dev/null"
    new_name = path if after is not None else "/dev/null"
    header = f"--- {old_name}\n+++ {new_name}\n"
    sizes = f"{len(before or b'')} -> {len(after or b'')} bytes"
    if holds_private_key(before or b"") or holds_private_key(after or b""):
        return f"{header}{NOT_SHOWN.capitalize()}\n"
    if b"\0" in (before or b"") or b"\0" in (after or b""):
        return f"{header}Binary content differs: {sizes}\n"
    if len(before or b"") + len(after or b"") > LARGEST_DIFF_BYTES:
        return f"{header}Too long to show: {sizes}\n"
    old = (before or b"").decode("utf-8", "backslashreplace").splitlines(keepends=True)
    new = (after or b"").decode("utf-8", "backslashreplace").splitlines(keepends=True)
    lines = [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(old, new, old_name, new_name)
    ]
    return "".join(lines) or (header if (before is None) != (after is None) else "")


def _render_write(change: WriteFile, host: Host, redact: Redactor) -> RenderedChange:
    state = host.state(change.path)
    verb = "create" if state is None else "change"
    goes = "".join(f", {what}" for what in overwriting.lost(state, change))
    if change.secret:
        return RenderedChange(f"{verb} {change.path} (holds a secret, not shown{goes})")
    before = _content(host, change.path) if state is not None else None
    diff = unified(change.path, before, change.content)
    if state is None or change.force_state:
        mode = f"{change.mode:04o}"
        owner = f", owner {change.uid}:{change.gid}" if change.uid or change.gid else ""
        return RenderedChange(f"{verb} {change.path} (mode {mode}{owner}{goes})", redact(diff))
    return RenderedChange(f"{verb} {change.path}", redact(diff))


def _render_command(change: RunCommand, redact: Redactor) -> RenderedChange:
    return RenderedChange(change.why, command=redact(shlex.join(change.argv)))


def _rules(change: SealTree) -> str:
    lines = [f"--- {change.root}\n", f"+++ {change.root}\n"]
    for rule in change.rules:
        parts = []
        if rule.uid is not None or rule.gid is not None:
            uid = "" if rule.uid is None else rule.uid
            gid = "" if rule.gid is None else rule.gid
            parts.append(f"owner {uid}:{gid}")
        if rule.dir_mode is not None:
            parts.append(f"directories {rule.dir_mode:04o}")
        if rule.file_mode is not None:
            parts.append(f"files {rule.file_mode:04o}")
        if rule.flags_set:
            parts.append("immutable (chattr +i)" if rule.flags_set == 0x10 else hex(rule.flags_set))
        if rule.flags_clear:
            parts.append("writable (chattr -i)")
        what = f" {', '.join(rule.name_suffixes)}" if rule.name_suffixes else ""
        lines.append(f"+{rule.path}{what}: {', '.join(parts)}\n")
    return "".join(lines)


def _content(host: Host, path: str) -> bytes | None:
    try:
        return host.read_bytes(path)
    except HostError:
        return None
