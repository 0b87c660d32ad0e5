"""The door to one machine: what every host can be asked and told.

All paths are absolute paths *of that host*, as `str`; a practice host maps them into its own
directory. Nothing here follows a symbolic link in the last component unless it says so.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from host.handshake import Handshake, TlsVersion
    from host.logins import SshLogin

FileKind = Literal["file", "dir", "symlink", "fifo", "socket", "char", "block"]

OnLine = Callable[[str], None]

LARGEST_READ_BYTES = 512 * 1024 * 1024
"""Of a larger file the content is neither hashed nor kept: it would be held in memory, and take
minutes. A sparse file of terabytes is made in no time."""


class HostError(Exception):
    """Something on the host did not work; the message is one sentence for a person.

    It names the file, unit or program, and never holds a secret.
    """


class CommandMissing(HostError):
    """The program is not installed on this host."""


class CommandTimeout(HostError):
    """The program did not finish in the time it was given; it was killed."""


class CommandFailed(HostError):
    """The program ended with an exit status that was not expected."""

    def __init__(self, completed: Completed, message: str | None = None) -> None:
        self.completed = completed
        said = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
        detail = f": {said[-1]}" if said else ""
        super().__init__(
            message
            or f"`{completed.command}` failed with exit status {completed.returncode}{detail}"
        )


class UnsafePath(HostError):
    """A link or a foreign owner stood where a file of the host was expected."""


class Completed(msgspec.Struct, frozen=True):
    """A finished command. `stdout` and `stderr` are UTF-8, with undecodable bytes replaced."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def command(self) -> str:
        """The command as an administrator would type it."""
        import shlex

        return shlex.join(self.argv)


class FileState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that makes a file what it is, apart from its content and its name.

    `mode` holds the twelve permission bits; `flags` the FS_IOC_GETFLAGS bits that chattr can set
    (`FLAG_IMMUTABLE` = 0x10, append-only = 0x20, …); `xattrs` all extended attributes with their
    raw values, POSIX ACLs included (`system.posix_acl_access`). `sha256` is filled only where the
    content was read (hex, regular files). `mtime_ns` is information, never a difference; so are
    `links` and `inode`, which a walk without content fills for files that have several names.
    """

    kind: FileKind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    flags: int = 0
    size_bytes: int = 0
    sha256: str = ""
    target: str = ""
    rdev: int = 0
    mtime_ns: int = 0
    xattrs: dict[str, bytes] = {}
    links: int = 0
    inode: int = 0

    @property
    def is_too_large(self) -> bool:
        """Whether it is a file whose content is left alone, which no hash tells of."""
        return self.kind == "file" and not self.sha256 and self.size_bytes > LARGEST_READ_BYTES

    def same_as(self, other: FileState | None) -> bool:
        """Equal in everything that counts (times and a directory's size do not)."""
        if other is None or self.kind != other.kind:
            return False
        left = msgspec.structs.replace(self, mtime_ns=0, size_bytes=0, links=0, inode=0)
        right = msgspec.structs.replace(other, mtime_ns=0, size_bytes=0, links=0, inode=0)
        if self.kind == "file" and not (self.sha256 and other.sha256):
            left = msgspec.structs.replace(left, sha256="")
            right = msgspec.structs.replace(right, sha256="")
            return left == right and self.size_bytes == other.size_bytes
        return left == right


FLAG_IMMUTABLE = 0x10
FLAG_APPEND = 0x20


class Service(msgspec.Struct, frozen=True):
    """A systemd unit as `systemctl show` describes it.

    `active` is active/inactive/failed/activating…; `enabled` is enabled/disabled/masked/static/…
    or "" where the unit has no unit file.
    """

    unit: str
    description: str
    active: str
    sub: str
    enabled: str
    main_pid: int = 0
    triggered_by: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    need_daemon_reload: bool = False


class Port(msgspec.Struct, frozen=True):
    """A listening socket. `address` is as bound ("0.0.0.0", "::", "127.0.0.1", …)."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    process: str = ""
    pid: int = 0
    unit: str = ""

    @property
    def exposed(self) -> bool:
        """Reachable from anywhere (not bound to a loopback address)."""
        return not (self.address.startswith(("127.", "::ffff:127.")) or self.address == "::1")


class HttpAnswer(msgspec.Struct, frozen=True):
    """An HTTP response as it came over the wire; header names in lower case, repeats kept."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """Every value sent for `name`, in order (two entries mean it was sent twice)."""
        return [value for key, value in self.headers if key == name.lower()]


class Session(msgspec.Struct, frozen=True):
    """How the administrator reached this host.

    From `SSH_CONNECTION`, or, where sudo, tmux or screen dropped it, from the sshd process above
    us or the login records. Empty strings and port 0 where it is not an SSH session.
    """

    user: str = ""
    client_address: str = ""
    client_port: int = 0
    server_address: str = ""
    server_port: int = 0

    @property
    def over_ssh(self) -> bool:
        return bool(self.client_address)


class FirewallTable(msgspec.Struct, frozen=True):
    """A packet filter table in the kernel. `family` and names are those that nft shows.

    `inert`: it holds no rule and no set, only base chains that accept, so no packet meets it.
    """

    family: str
    name: str
    chains: tuple[str, ...] = ()
    inert: bool = False


class TreeRule(msgspec.Struct, frozen=True):
    """What every entry at or below `path` shall be; the longest matching `path` decides.

    `None` leaves that property alone. `flags_set`/`flags_clear` are FS_IOC_SETFLAGS bits.
    `name_suffixes` (for example `(".sh",)`), when given, restricts the rule to such files.
    """

    path: str
    uid: int | None = None
    gid: int | None = None
    dir_mode: int | None = None
    file_mode: int | None = None
    flags_set: int = 0
    flags_clear: int = 0
    name_suffixes: tuple[str, ...] = ()


class Host(ABC):
    """One machine."""

    name: str
    is_practice: bool
    is_root: bool
    """Whether changes are possible (for a practice host always)."""

    @abstractmethod
    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        env: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
        ok: Iterable[int] | None = (0,),
    ) -> Completed:
        """Run a program: no shell, `LC_ALL=C.UTF-8`, a fixed `PATH`, a session of its own.

        `on_line` gets each line (standard output and standard error, interleaved as they come).
        `ok` lists the exit statuses that are no failure; `None` accepts all.
        Raises `CommandMissing`, `CommandTimeout`, `CommandFailed`.
        """

    @abstractmethod
    def which(self, program: str) -> str | None:
        """Where `program` lies on the fixed `PATH` of this host, or `None`."""

    @abstractmethod
    def state(self, path: str, *, content: bool = False) -> FileState | None:
        """What lies at `path` (a link itself, not its target); `None` where nothing does.

        With `content` the SHA-256 of a regular file is filled in.
        """

    def changed_ns(self, path: str) -> int:
        """When what lies at `path` was last changed in any way (ctime, which no program can set
        back, in ns since 1970); 0 where nothing lies there."""
        there = self.state(path)
        return there.mtime_ns if there is not None else 0

    def changes_below(self, top: str) -> dict[str, int]:
        """When `top` and each entry below it was last changed in any way, by path, as `changed_ns`
        has it; neither links nor mounts are entered. Raises `HostError`."""
        if self.state(top) is None:
            return {}
        paths = (top, *(path for path, _ in self.walk(top, content=False)))
        return {path: self.changed_ns(path) for path in paths}

    def device(self, path: str) -> int:
        """The number of the file system that `path` itself lies on; 0 where nothing does, and
        where they are not told apart."""
        return 0

    @abstractmethod
    def read_bytes(
        self, path: str, *, limit_bytes: int = 16 * 1024 * 1024, follow: bool = True
    ) -> bytes:
        """The content of a regular file, links followed. Raises `HostError`.

        Without `follow` a link is refused where `write_file` would refuse it: for what is written
        back, as the owner of the directory could have another's file read and their own written.
        """

    @abstractmethod
    def listdir(self, path: str) -> list[str]:
        """Sorted names in a directory; empty where there is none."""

    @abstractmethod
    def glob(self, pattern: str) -> list[str]:
        """Sorted host paths that match `pattern` (`*`, `?`, `[]`; no `**`)."""

    @abstractmethod
    def realpath(self, path: str) -> str:
        """`path` with every symbolic link resolved, as a path of this host."""

    @abstractmethod
    def write_file(self, path: str, content: bytes, state: FileState | None = None) -> None:
        """Replace or create a regular file atomically and durably.

        A temporary file in the same directory, fsync, rename, fsync of the directory. With
        `state` its mode, owner, xattrs and flags are given to the new file; without, those of the
        file that was there are kept (a new file becomes root:root 0644). An immutable file is
        replaced all the same. Refuses (`UnsafePath`) where `path` is a symbolic link, or the way
        there leads through one that someone other than root could have placed.
        """

    @abstractmethod
    def put(
        self,
        path: str,
        state: FileState | None,
        content: bytes | None = None,
        *,
        within: str = "",
    ) -> None:
        """Make `path` exactly what `state` says: any kind, or absent (`None`).

        A regular file whose `content` is `None` keeps its content and gets the metadata.
        Parent directories must exist. A directory is removed only when it is empty. With `within`,
        a directory above `path`, a link from there on down is refused (`UnsafePath`), whoever made
        it: for what lay in directories, and is put back where there may be others' files now.
        """

    @abstractmethod
    def walk(
        self,
        root: str,
        *,
        content: bool,
        known: Mapping[str, FileState] | None = None,
        without: Container[str] = (),
    ) -> Iterator[tuple[str, FileState]]:
        """Every entry at and below `root`, parents first, links not followed, one file system.

        With `content`, regular files carry their SHA-256; without, sizes and times may be left out
        (0) and equal states be one object, because trees are large. `known` (an earlier walk) may
        let a host that can tell for certain that a file did not change keep its hash without
        reading it again. The directories `without` are listed and not entered.
        """

    def walked(self, root: str, since_s: float | None) -> Iterator[tuple[str, FileState]] | None:
        """What a walk without content saw that began after `since_s` (`time.monotonic`).

        Only if it came to its end and nothing was changed through this host since; else `None`.
        Whatever somebody else changed after that walk is not in it. For whoever would look at a
        large tree twice within the same breath.
        """
        return None

    @abstractmethod
    def apply_rules(
        self,
        root: str,
        rules: Sequence[TreeRule],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Give everything below `root` what `rules` say; returns how many entries were changed.

        Works through directory file descriptors, follows no link, leaves sockets, devices and
        files with more than one hard link that also lie outside alone. Fast: one pass.
        """

    @abstractmethod
    def apply_states(
        self,
        wanted: Iterable[tuple[str, FileState]],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Give many entries the metadata of their `FileState` (content untouched).

        What is not there (any more) is left out. Returns how many were changed.
        """

    @abstractmethod
    def services(self) -> tuple[Service, ...]:
        """All loaded units and all unit files of type service, socket, timer, path, mount."""

    @abstractmethod
    def ports(self) -> tuple[Port, ...]:
        """Listening TCP and bound UDP sockets; process and unit where we may see them."""

    @abstractmethod
    def http(
        self,
        path: str = "/",
        *,
        port: int = 80,
        tls: bool = False,
        host_header: str = "localhost",
        method: str = "GET",
        address: str = "127.0.0.1",
        timeout_s: float = 5.0,
    ) -> HttpAnswer:
        """One request to this host over loopback, no redirects followed. Raises `HostError`."""

    def tls(
        self,
        *,
        address: str,
        port: int,
        name: str,
        versions: tuple[TlsVersion, TlsVersion] = ("TLSv1.2", "TLSv1.3"),
        ciphers: str = "",
        trusted: bool = False,
        timeout_s: float = 3.0,
    ) -> Handshake:
        """A TLS handshake with this host for `name`, nothing more.

        Offered are `versions` (from, to) and `ciphers` of TLS up to 1.2 in OpenSSL's notation. With
        `trusted` instead what a browser would offer, and the chain and the name must be good for
        the authorities that Debian knows. Raises `HostError` where there is nobody to talk to.
        """
        raise HostError(f"nothing speaks TLS on port {port} of this host")

    @abstractmethod
    def session(self) -> Session:
        """How the administrator who started us reached this host."""

    def ssh_logins(self) -> tuple[SshLogin, ...]:
        """Logins over SSH that were let in since boot, oldest first. Raises `HostError`."""
        from host import logins

        return tuple(logins.ask(self))

    # Asked of the kernel, not of nft or iptables: a blank Debian host has neither.

    def firewall_tables(self) -> tuple[FirewallTable, ...]:
        """All packet filter tables, sorted by family and name. Raises `HostError` without root."""
        return ()

    def sync(self, paths: Iterable[str]) -> None:
        """Make durable what programs wrote to the file systems of `paths`. Raises `OSError`."""
        return

    # Where there is no dpkg nobody is in the way.

    def lock_packages(self) -> int:
        """Keep apt, dpkg and unattended-upgrades out: 0 where that is so now, else the number of
        the process that is at work. May be called again while held. Raises `HostError`."""
        return 0

    def unlock_packages(self) -> None:
        """Let them in again, once called as often as `lock_packages` gave 0."""
        return

    @property
    def has_packages_locked(self) -> bool:
        return False

    @cached_property
    def strange_packages(self) -> set[str]:
        """Packages that other tools changed while the lock was let go in the middle of a change."""
        return set()

    def account_lists_locked(self) -> contextlib.AbstractContextManager[int]:
        """Keep passwd, useradd and vipw out while a block runs, for moments only.

        Gives 0, or the process that did not let go of them within 15 seconds, -1 if unknown.
        """
        return contextlib.nullcontext(0)

    def delete_firewall_table(self, family: str, name: str) -> None:
        """Delete a table with all it holds; no error where there is none. Raises `HostError`."""
        raise HostError(f"this host has no firewall table {family} {name}; nothing was changed")
