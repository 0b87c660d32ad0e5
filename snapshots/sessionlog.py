"""The session log: who did what on this host and when, so that nobody can change it unnoticed.

One file of JSON Lines, `sessions.jsonl`. Each entry carries the hash of the one before it, across
sessions, so an altered, removed or moved entry breaks the chain, and so does a whole session that
is taken out. What is cut off at the end would leave a sound chain: `head.json` keeps the number
and hash of the last entry. Whoever is root can rewrite both; the entries that also went to syslog
(with number and hash) tell of that where syslog is kept elsewhere.

Callers give no secrets; nothing here could recognise one.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec

from snapshots import kept_files
from snapshots.durable import (
    append_whole,
    private_directory,
    sync_directory,
    write_durably,
)
from snapshots.logchain import (
    DAMAGED,
    FIRST_PREV,
    Entry,
    Verdict,
    canonical,
    clean,
    digest,
    hash_in,
    verify_chain,
)
from snapshots.model import SnapshotError
from snapshots.ownership import is_ours

PAUSE = timedelta(hours=1)
"""After this long a silence the same person's next entry begins a new session."""

SYSLOG_KINDS = (
    "apply", "rollback", "recover", "guard", "confirm", "refused", "drift", "window",
)  # fmt: skip
NO_LOGIN = 4294967295
"""/proc/self/sessionid where the kernel keeps no login sessions (proc(5): -1, unsigned)."""


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A session as a list shows it. `counts`: entries by kind."""

    id: str
    start: str
    end: str
    user: str
    host: str
    entries: int
    counts: dict[str, int]


class _Head(msgspec.Struct, frozen=True):
    seq: Annotated[int, msgspec.Meta(ge=0)]
    hash: str


class SessionLog:
    """The log in `log_dir`. `syslog=False` for a practice host.

    Several processes may append at once. Raises `SnapshotError` where the log cannot be written.
    """

    def __init__(
        self, log_dir: Path, *, user: str = "", host: str = "", syslog: bool = True
    ) -> None:
        self.path = log_dir / "sessions.jsonl"
        self.head_path = log_dir / "head.json"
        self.user = user or _user()
        self.host = host or socket.gethostname()
        self._to_syslog = syslog

    def append(self, kind: str, **fields: Any) -> Entry:
        """Write an entry; it is on the disk when this returns."""
        try:
            with self._locked() as descriptor:
                entry = self._next(kind, clean(msgspec.to_builtins(fields)), descriptor)
                line = canonical(msgspec.to_builtins(entry)) + b"\n"
                append_whole(descriptor, line)
                self._note_head(entry)
        except OSError as error:
            raise SnapshotError(
                f"The session log {self.path} cannot be written ({error.strerror}); what was to "
                f"be logged ({kind}) is not in it."
            ) from error
        if self._to_syslog and kind.split("-", 1)[0] in SYSLOG_KINDS:
            _send_to_syslog(entry)
        return entry

    def sessions(self) -> list[SessionSummary]:
        """All sessions, oldest first."""
        grouped: dict[str, list[Entry]] = {}
        for entry in self.entries():
            grouped.setdefault(entry.session, []).append(entry)
        return [
            SessionSummary(
                id=name,
                start=found[0].time,
                end=found[-1].time,
                user=found[0].user,
                host=found[0].host,
                entries=len(found),
                counts=dict(Counter(entry.kind for entry in found)),
            )
            for name, found in grouped.items()
        ]

    def entries(self, session: str = "") -> list[Entry]:
        """The entries of a session (all without one), as they stand; lines that are none are
        left out: `verify` names them."""
        found = []
        for line in self._read().split(b"\n"):
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except DAMAGED:
                continue
            if session in ("", entry.session):
                found.append(entry)
        return found

    def verify(self) -> Verdict:
        """Whether every entry is there, unaltered and in its place."""
        lines = self._read().split(b"\n")
        torn = lines.pop()
        try:
            head = self._read_head()
        except DAMAGED:
            return Verdict(
                ok=False,
                entries=len(lines),
                problem=f"{self.head_path} was altered: it no longer says which entry is the last",
            )
        verdict = verify_chain(lines, self.path)
        if not verdict.ok:
            return verdict
        last = verdict.entries
        if head is None:
            if not last and not torn:
                return verdict
            problem = f"{self.head_path} is missing: entries after entry {last} may be missing too"
            return msgspec.structs.replace(verdict, ok=False, seq=last + 1, problem=problem)
        if head.seq > last:
            which = f"entry {last + 1}" + (f" to entry {head.seq}" if head.seq > last + 1 else "")
            return msgspec.structs.replace(
                verdict,
                ok=False,
                seq=last + 1,
                problem=f"{which} missing at the end of {self.path}",
            )
        known = hash_in(lines[head.seq - 1]) if head.seq else FIRST_PREV
        if last > head.seq + 1 or known != head.hash:
            problem = f"{self.path} was rewritten: entry {head.seq} is not the one {self.head_path}"
            return msgspec.structs.replace(
                verdict, ok=False, seq=head.seq, problem=f"{problem} knows"
            )
        return verdict

    @contextmanager
    def _locked(self) -> Iterator[int]:
        private_directory(self.path.parent)
        if not is_ours(self.path.parent):
            raise SnapshotError(
                f"The log directory {self.path.parent} is a link or belongs to someone else, so "
                "nothing was logged there. Find out who put it there, then remove it."
            )
        fresh = not self.path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if fresh:
                sync_directory(self.path.parent)
                if not self.head_path.exists():
                    write_durably(self.head_path, msgspec.json.encode(_Head(0, FIRST_PREV)))
            yield descriptor
        finally:
            os.close(descriptor)

    def _next(self, kind: str, fields: dict[str, Any], descriptor: int) -> Entry:
        """The entry that follows: after the head, or after one that a crash left unnoted there."""
        try:
            head = self._read_head()
        except DAMAGED:
            head = None
        content = self._read()
        if content and not content.endswith(b"\n"):
            kept = content.rfind(b"\n") + 1
            if head is not None and head.seq <= content.count(b"\n"):
                os.ftruncate(descriptor, kept)  # a crash tore it: nobody was told it was written
            else:
                append_whole(descriptor, b"\n")
        known = self.entries()
        last = known[-1] if known else None
        seq, prev = (head.seq, head.hash) if head is not None else (0, FIRST_PREV)
        if last is not None and (head is None or (last.seq == seq + 1 and last.prev == prev)):
            seq, prev = last.seq, last.hash
            if head is not None:
                self._note_head(last)  # a second crash must not leave two
        if last is not None and head is None:
            fields = {**fields, "head_was_missing": True}
        now = datetime.now(UTC)
        login = _login()
        body = {
            "seq": seq + 1,
            "time": _stamp(now),
            "session": self._session(known, login, now, seq + 1),
            "user": self.user,
            "host": self.host,
            "login": login,
            "kind": kind,
            "fields": fields,
            "prev": prev,
        }
        return msgspec.convert({**body, "hash": digest(body)}, Entry)

    def _note_head(self, last: Entry) -> None:
        write_durably(self.head_path, msgspec.json.encode(_Head(last.seq, last.hash)))

    def _session(self, known: list[Entry], login: str, now: datetime, number: int) -> str:
        """The session of the same person and login, unless it has been silent for too long.

        A new one is named by its time and the number of its first entry.
        """
        since = _stamp(now - PAUSE)
        for entry in reversed(known):
            if entry.time < since:
                break
            if (entry.user, entry.login, entry.host) == (self.user, login, self.host):
                return entry.session
        return f"{now:%Y%m%d-%H%M%S}-{number}"

    def _read(self) -> bytes:
        try:
            return kept_files.read(self.path)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SnapshotError(
                f"The session log {self.path} cannot be read: {error.strerror}."
            ) from error

    def _read_head(self) -> _Head | None:
        """Raises one of `DAMAGED` where it is damaged."""
        try:
            return msgspec.json.decode(kept_files.read(self.head_path), type=_Head)
        except FileNotFoundError:
            return None


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _user() -> str:
    """Who is behind this process: sudo's caller, or the account itself."""
    named = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    if named:
        return named
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _login() -> str:
    """The kernel's number of the login (audit session id), which sudo and tmux pass on."""
    try:
        number = int(Path("/proc/self/sessionid").read_text())
    except (OSError, ValueError):
        return ""
    return "" if number == NO_LOGIN else str(number)


def _send_to_syslog(entry: Entry) -> None:
    """One line to authpriv, with the entry's number and hash; nothing where no syslog listens."""
    if not os.path.exists("/dev/log"):
        return
    import syslog

    about = [
        f"{name}={_plain(entry.fields[name])}"
        for name in ("step", "steps", "things", "transaction", "undoes", "status", "phase", "login")
        if entry.fields.get(name)
    ]
    said = " ".join([entry.kind, f"by={_plain(entry.user)}", *about])
    syslog.openlog("harden-tui", syslog.LOG_PID, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, f"{said} entry={entry.seq} hash={entry.hash}")
    syslog.closelog()


def _plain(value: object) -> str:
    """Words without blanks or control characters, so that a value cannot forge a line."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(c if c.isprintable() and c != " " else "_" for c in text)
