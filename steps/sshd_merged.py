"""The sshd configuration as it would be after a plan, asked of the real sshd beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from host import scratch
from host.base import FileState, Host, HostError, Session
from host.facts.sshd import OUTSIDE_MATCH, Daemon, Effective, parse_effective, read_tree, said
from host.facts.sshd_tree import Directive, Tree
from steps.private_copy import remove_left, take_away

NO_SESSION_ADDRESS = "198.51.100.1"
"""Stands for "somewhere" where nobody is connected over SSH (RFC 5737, for documentation)."""


RESOLVER_S = 10.0

COPIES = "/run/harden-tui-sshd-"


class Seen(msgspec.Struct, frozen=True):
    """What a login gets, and what sshd calls the client (`Match Host`, `AllowUsers user@host`)."""

    settings: Effective
    host_name: str


class Merged:
    """A private copy of the configuration; `tree` names the files by their real paths."""

    def __init__(self, host: Host, daemon: Daemon, tree: Tree, names: Mapping[str, str]) -> None:
        self.tree = tree
        self._host = host
        self._names = names
        self._names_of_clients: dict[str, str] = {}
        self._flags = ["-f", names[tree.main], *daemon.options]

    def problem(self) -> str:
        """What `sshd -t` has against it, with the real file names; empty if nothing."""
        answer = self._host.run(["sshd", "-t", *self._flags], timeout_s=10, ok=None)
        return "" if answer.ok else self._real_names(said(answer.stderr))

    def everyone(self) -> Effective:
        """The settings outside `Match` blocks. Raises `HostError`."""
        return self._ask()

    def connection(self, user: str, session: Session) -> Effective:
        """The settings that a new login of `user` from where the person sits would get."""
        return self.seen_from(user, session).settings

    def seen_from(self, user: str, session: Session) -> Seen:
        """The same, with the name that sshd knows the client by.

        That is its address, and with UseDNS the name the resolver has for it, if that name leads
        back to the address (auth.c, remote_hostname).
        """
        client = session.client_address or NO_SESSION_ADDRESS
        server = session.server_address or "127.0.0.1"
        port = session.server_port or 22
        rest = f"addr={client},laddr={server},lport={port}"
        settings = self._ask(f"user={user},host={client},{rest}")
        if settings.get("usedns") != "yes" or not session.client_address:
            return Seen(settings, client)
        name = self._resolved(client)
        if name == client:
            return Seen(settings, client)
        return Seen(self._ask(f"user={user},host={name},{rest}"), name)

    def _resolved(self, address: str) -> str:
        if address not in self._names_of_clients:
            self._names_of_clients[address] = _name_of(self._host, address)
        return self._names_of_clients[address]

    def _ask(self, connection: str = "") -> Effective:
        condition = ("-C", connection) if connection else OUTSIDE_MATCH
        answer = self._host.run(["sshd", "-T", *self._flags, *condition], timeout_s=10, ok=None)
        if not answer.ok:
            raise HostError(
                f"sshd would not accept the new configuration: "
                f"{self._real_names(said(answer.stderr))}"
            )
        return parse_effective(answer.stdout)

    def _real_names(self, text: str) -> str:
        for real, copy in self._names.items():
            text = text.replace(copy, real)
        return text


def _name_of(host: Host, address: str) -> str:
    """The client's name as sshd would find it, or its address."""
    try:
        answer = host.run(["getent", "hosts", address], timeout_s=RESOLVER_S, ok=None)
        words = answer.stdout.split()
        if not answer.ok or len(words) < 2:
            return address
        name = words[1].lower()
        back = host.run(["getent", "ahosts", name], timeout_s=RESOLVER_S, ok=None)
    except HostError:
        return address
    return name if address in back.stdout.split() else address


@contextmanager
def merged(host: Host, daemon: Daemon, overlay: Mapping[str, str | None]) -> Iterator[Merged]:
    """The configuration with the files of `overlay` laid over it, in a private directory.

    The copies lie flat in a directory of /run that only root can enter; each Include line names
    exactly the copies of what it brought in, in sshd's order. The directory is gone afterwards.
    Raises `HostError` where it cannot be written.
    """
    tree = read_tree(host, daemon.main_file, overlay)
    if tree.main not in tree.texts:
        raise HostError(f"{tree.main} cannot be read, so sshd's configuration cannot be tried out")
    remove_left(host, f"{COPIES}*")
    folder = f"{COPIES}{scratch.suffix()}"
    names = {path: f"{folder}/{number}.conf" for number, path in enumerate(tree.texts)}
    written: list[str] = []
    try:
        host.put(folder, FileState(kind="dir", mode=0o700))
        for path, text in tree.texts.items():
            content = _with_copies(path, text, tree.directives, names)
            private = FileState(kind="file", mode=0o600)
            written.append(names[path])
            host.write_file(names[path], content.encode("utf-8", "surrogateescape"), private)
        yield Merged(host, daemon, tree, names)
    finally:
        take_away(host, *written, folder)


def _with_copies(
    path: str, text: str, directives: tuple[Directive, ...], names: Mapping[str, str]
) -> str:
    lines = text.splitlines()
    for directive in directives:
        if directive.file == path and directive.option == "include":
            copies = [names[included] for included in directive.includes if included in names]
            lines[directive.line - 1] = f"Include {' '.join(copies)}" if copies else ""
    return "\n".join(lines) + "\n"
