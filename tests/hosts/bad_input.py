"""What every refusal has in common: its exit status, one clear sentence, a host left as it was."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost

STATE = "/var/lib/harden-tui"
DROP_INS = {
    "ssh.limits": "/etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf",
    "apache.banner": "/etc/apache2/conf-available/zz-harden-tui-apache.banner.conf",
    "kernel.sysctl": "/etc/sysctl.d/99-zz-harden-tui-kernel-sysctl.conf",
}


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    exit: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one sentence of a failure: on standard error, or what the run ended with."""
        if self.err:
            assert self.err.startswith("harden-tui: "), self.err
            assert self.err.count("\n") == 1, f"more than one line:\n{self.err}"
            return self.err.removeprefix("harden-tui: ").rstrip("\n")
        summary: str = json.loads(self.out)["summary"]
        assert "\n" not in summary
        return summary


def program(host: LabHost, *arguments: str, before: str = "", stdin: str = "") -> Said:
    """`harden-tui ARGUMENTS` as root, as if come over SSH; `before` is shell code in front of it.

    Whatever happens, no traceback and no escape sequence reaches the person.
    """
    came_from = f"10.77.{host.number}.1 50000 {host.address} 22"
    command = f"{before} exec {shlex.join(['harden-tui', *arguments])}"
    return shell(host, f"export SSH_CONNECTION={shlex.quote(came_from)}; {command}", stdin=stdin)


def shell(host: LabHost, command: str, stdin: str = "") -> Said:
    """Shell code as root, held to the same."""
    done = host.run("bash", "-c", command, stdin=stdin, check=False)
    return checked(done, command)


def checked(done: subprocess.CompletedProcess[str], command: str) -> Said:
    """What was said, after a look for what must never be."""
    for text in (done.stdout, done.stderr):
        assert "Traceback" not in text, f"{command}\n{text}"
        assert "\x1b" not in text and "\x9b" not in text, f"{command}\n{text!r}"
        assert "mistake in harden-tui" not in text, f"{command}\n{text}"
    return Said(done.returncode, done.stdout, done.stderr)


def apply(host: LabHost, *steps: str, more: tuple[str, ...] = ()) -> Said:
    """`apply` of steps of checklist i-doit, answered as one JSON document."""
    return program(
        host, "apply", "--checklist", "i-doit", *steps, "--yes", "--format", "json", *more
    )


def roll_back(host: LabHost, *steps: str) -> Said:
    """`rollback` of steps, answered as one JSON document."""
    return program(host, "rollback", *(steps or ("--all",)), "--yes", "--format", "json")


def applied_and_undone(host: LabHost, *steps: str) -> None:
    """Steps that must succeed in spite of it all, and come back to what was before."""
    with unharmed(host):
        done = apply(host, *steps)
        assert done.exit == 0, done.sentence
        assert json.loads(done.out)["transactions"]
        undone = roll_back(host, *steps)
        assert undone.exit == 0, undone.sentence


def refused(said: Said, exit_status: int, *naming: str) -> None:
    """The exit status, and everything the one sentence must name."""
    assert said.exit == exit_status, f"{said.exit}\n{said.out[-2000:]}\n{said.err}"
    for part in naming:
        assert part in said.sentence, f"{part!r} is not in: {said.sentence}"


@contextlib.contextmanager
def unharmed(host: LabHost, *roots: str) -> Iterator[None]:
    """Whatever happens inside, the host afterwards is the host before."""
    before = fingerprint(host, *roots)
    yield
    remained = differences(before, fingerprint(host, *roots))
    assert remained == [], remained


@contextlib.contextmanager
def changed(host: LabHost, path: str, content: bytes, *, add: bool = False) -> Iterator[None]:
    """A file of the host with other content (or more, with `add`) for a while."""
    target = host.root / path.lstrip("/")
    was = target.read_bytes() if target.exists() else None
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((was or b"") + content if add else content)
    try:
        yield
    finally:
        if was is None:
            target.unlink()
        else:
            target.write_bytes(was)


@contextlib.contextmanager
def arranged(host: LabHost, begin: str, end: str) -> Iterator[None]:
    """Shell code that spoils something, and shell code that puts it right again."""
    host.run("sh", "-c", begin)
    try:
        yield
    finally:
        host.run("sh", "-c", end)
