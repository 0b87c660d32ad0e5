"""The dead-man's switch: what takes a change back when we, our Python and the session are gone.

Two things wait for the deadline, neither of them a part of us: a systemd timer with its service on
the disk, and a detached `sh` that needs no service manager. A second unit takes the change back
after the next boot. All of them run `guard.sh`.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from host.base import Host, HostError
from snapshots import guard as guards
from snapshots import guard_units, leaving
from snapshots.activation import is_active
from snapshots.decision import called, name_of
from snapshots.durable import private_directory, sync_directory, write_durably
from snapshots.guard import Guard
from snapshots.model import Activation, SnapshotError, TransactionRecord
from snapshots.records import Records
from snapshots.state import StateDir
from snapshots.typed import TYPED

MADE: Final = "made"
SCRIPT: Final = Path(__file__).with_name("guard.sh")
START_LIMIT_S: Final = 30.0
"""A loaded host takes its time; systemd-run itself waits 25 s for an answer of D-Bus."""

_IPTABLES_TABLES: Final = ("filter", "nat", "mangle", "raw", "security")
_ACCEPT_ALL: Final = (
    "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
)


def _steps(record: TransactionRecord) -> tuple[str, ...]:
    """Its steps, or its title where it is not theirs."""
    return record.steps if record.is_of_steps else (name_of(record),)


class Switch:
    """Arms and disarms the guard of one state directory.

    `program` are the words that start harden-tui with the options for this host and state, `typed`
    is what a person types for it.
    """

    def __init__(
        self,
        host: Host,
        state: StateDir,
        *,
        program: tuple[str, ...],
        window_s: int,
        user: str,
        connection: str = "",
        typed: str = TYPED,
    ) -> None:
        self.host = host
        self.state = state
        self.program = program
        self.window_s = window_s
        self.user = user
        self.connection = connection
        self.typed = typed

    @property
    def joined(self) -> tuple[str, ...]:
        """The transactions it covers already."""
        guard = guards.read(self.state)
        return guard.transactions if guard is not None and guard.phase != "confirmed" else ()

    def arm(self, record: TransactionRecord) -> None:
        """Cover an open transaction that has changed nothing yet.

        A guard that waits already takes it in. Raises `HostError`; nothing is armed then that was
        not before.
        """
        standing = self._standing()
        guard = Guard(
            transactions=(*(standing.transactions if standing else ()), record.id),
            steps=(*(standing.steps if standing else ()), *_steps(record)),
            names=(*(standing.called if standing else ()), called(record)),
            phase="working",
            boot=guards.this_boot(),
            window_s=self.window_s,
            user=self.user,
            connection=self.connection,
            since_s=standing.since_s if standing else 0.0,
            typed=self.typed,
        )
        place = guards.directory(self.state)
        try:
            private_directory(place)
            self._write_means(place, guard, record)
            guards.write(self.state, guard)
            guards.set_deadline(self.state, self.window_s)
            write_durably(place / "armed", b"")
            sync_directory(place)
        except OSError as error:
            if standing is None:
                guards.forget(self.state)
            raise SnapshotError(
                f"The dead-man's switch could not be written to {place}: {error.strerror}; "
                "nothing was changed on the host."
            ) from None
        if standing is None:
            try:
                self._start()
            except (HostError, OSError) as error:
                disarm(self.host, self.state)
                raise SnapshotError(
                    f"The dead-man's switch could not be armed: {error}; nothing was changed."
                ) from None

    def _standing(self) -> Guard | None:
        """The guard that more can join: something waits for its deadline still.

        Raises `HostError` where what it guarded must be recovered first.
        """
        unfinished = guards.unfinished(self.state)
        if unfinished:
            raise SnapshotError(unfinished)
        standing = guards.read(self.state)
        if standing is not None and not guards.is_armed(self.state):
            disarm(self.host, self.state)  # whoever did so before was killed
            return None
        return standing

    def took(self, now_s: float) -> None:
        """The host has taken the change at `now_s` (`time.monotonic`): logins count from here."""
        guard = guards.read(self.state)
        if guard is not None:
            guards.write(self.state, msgspec.structs.replace(guard, since_s=now_s))

    def alive(self) -> None:
        """Whoever makes the change is at work: the deadline is a full window away again."""
        if guards.is_armed(self.state):
            guards.set_deadline(self.state, self.window_s)

    def wait(self) -> None:
        """All of it is made and proved: from now on a person has the window's time."""
        guard = guards.read(self.state)
        if guard is None or guard.phase != "working":
            return
        (guards.directory(self.state) / "worker").unlink(missing_ok=True)
        guards.write(self.state, msgspec.structs.replace(guard, phase="waiting"))
        guards.set_deadline(self.state, self.window_s)

    def leave(self, tx_id: str) -> None:
        """A transaction of the guard went back by itself; without any other the guard ends."""
        guard = guards.read(self.state)
        if guard is None or tx_id not in guard.transactions:
            return
        left = tuple(one for one in guard.transactions if one != tx_id)
        if not left:
            disarm(self.host, self.state)
            return
        records = [Records(self.state).read(one) for one in left]
        steps = tuple(step for record in records for step in _steps(record))
        names = tuple(map(called, records))
        guard = msgspec.structs.replace(guard, transactions=left, steps=steps, names=names)
        guards.write(self.state, guard)
        if not self.host.is_practice:
            write_durably(guards.directory(self.state) / "points", self._points(left))

    def _write_means(self, place: Path, guard: Guard, record: TransactionRecord) -> None:
        write_durably(place / "guard.sh", SCRIPT.read_bytes(), mode=0o700)
        write_durably(place / "boot", guard.boot.encode() + b"\n")
        worker = f"{os.getpid()} {_start_of(os.getpid())}\n"
        write_durably(place / "worker", worker.encode())
        words = "".join(f"{word}\n" for word in self.program)
        write_durably(place / "program", words.encode("utf-8", "surrogateescape"))
        if self.host.is_practice:
            return
        if not (place / MADE).exists():
            made = "".join(f"{path}\n" for path in guard_units.missing(self.host))
            write_durably(place / MADE, made.encode())
        write_durably(place / "points", self._points(guard.transactions))
        if not (place / "live.sh").exists():
            for name, content in self._firewall().items():
                write_durably(place / name, content.encode("utf-8", "surrogateescape"))
            write_durably(place / "live.sh", self._login_units().encode())
        with (place / "live.sh").open("ab") as stream:
            stream.write(live_commands(record.activations).encode("utf-8", "surrogateescape"))
            stream.flush()
            os.fsync(stream.fileno())

    def _points(self, transactions: Iterable[str]) -> bytes:
        paths = [self.state.points / f"{tx_id}.before" for tx_id in reversed(tuple(transactions))]
        return "".join(f"{path}\n" for path in paths).encode("utf-8", "surrogateescape")

    def _firewall(self) -> Mapping[str, str]:
        """The packet filter's rules in the words of its own tools, for where we are gone."""
        found = {}
        for program, name in (("iptables-save", "rules.v4"), ("ip6tables-save", "rules.v6")):
            answer = self.host.run((program,), ok=None) if self.host.which(program) else None
            found[name] = answer.stdout if answer is not None and answer.ok else _ACCEPT_ALL
        if self.host.which("nft"):
            parts = ["flush ruleset\n"]
            for table in self.host.firewall_tables():
                if table.name in _IPTABLES_TABLES and table.family in ("ip", "ip6"):
                    continue
                answer = self.host.run(("nft", "list", "table", table.family, table.name), ok=None)
                parts.append(answer.stdout)
            found["rules.nft"] = "".join(parts)
        return found

    def _login_units(self) -> str:
        """What makes sshd take its old files, as it runs now: by itself, or started by a socket."""
        if not has_service_manager(self.host):
            return ""
        if is_active(self.host, "ssh.socket"):
            return "run systemctl stop ssh.service\nrun systemctl restart ssh.socket\n"
        return "run systemctl restart ssh.service\n" if is_active(self.host, "ssh.service") else ""

    def _start(self) -> None:
        """Set both waiting, and see that they do."""
        if has_service_manager(self.host):
            script = guards.directory(self.state) / "guard.sh"
            guard_units.install(self.host, str(script), self.window_s)
        self._watch()

    def _watch(self) -> None:
        """A process of its own session, in a scope of its own where there is a service manager."""
        script = str(guards.directory(self.state) / "guard.sh")
        argv = ["sh", script, "deadline"]
        if has_service_manager(self.host) and os.geteuid() == 0:
            program = shutil.which("systemd-run", path="/usr/bin:/bin")
            if program:
                unit = f"--unit={guard_units.WATCH}{os.getpid()}"
                argv = [program, "--scope", "--quiet", "--collect", unit, "--", *argv]
        waiting = subprocess.Popen(
            argv, cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        _see_it_wait(waiting, argv[0])


def _see_it_wait(process: subprocess.Popen[bytes], program: str) -> None:
    """Until it is the shell, which systemd-run becomes. Raises `SnapshotError`."""
    until_s = time.monotonic() + START_LIMIT_S
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip() == "sh":
                return
        if time.monotonic() > until_s:
            process.kill()
            raise SnapshotError(f"{program} did not start its shell within {START_LIMIT_S:.0f} s")
        time.sleep(0.01)
    raise SnapshotError(f"{program} ended at once (exit status {process.returncode})")


def disarm(host: Host, state: StateDir) -> None:
    """Switch it off and take away all of it. May be repeated. Raises `HostError`.

    The service is left to end by itself where it is what called us.
    """
    place = guards.directory(state)
    (place / "armed").unlink(missing_ok=True)
    if has_service_manager(host):
        guard_units.take_away(host, _made(state), waiters_too=not guards.why_fired(state))
    guards.forget(state)


def _made(state: StateDir) -> list[str]:
    """The directories that were made for the guard's units; none where that is not known."""
    try:
        text = (guards.directory(state) / MADE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return text.splitlines()


def finish_confirmed(host: Host, state: StateDir) -> tuple[str, ...]:
    """Complete what was confirmed, also where whoever did so was killed; what was kept.

    Call it with the lock held; it may be called at any time.
    """
    kept = guards.keep_confirmed(state)
    if kept:
        disarm(host, state)
    leaving.finish(host, state)
    return kept


def has_service_manager(host: Host) -> bool:
    """Whether systemd is what runs this host."""
    return not host.is_practice and host.state("/run/systemd/system") is not None


def live_commands(activations: Iterable[Activation]) -> str:
    """For live.sh: how the daemons concerned take their old files again."""
    lines = []
    for activation in activations:
        if activation.how == "command":
            lines.append(f"run {shlex.join(activation.argv)}\n")
        elif activation.how != "daemon-reload":
            lines.append(f"run systemctl try-reload-or-restart {shlex.quote(activation.unit)}\n")
    return "".join(dict.fromkeys(lines))


def _start_of(pid: int) -> int:
    """When a process began, in clock ticks after boot (/proc/PID/stat, field 22)."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return int(text.rpartition(")")[2].split()[19])
