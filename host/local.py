"""The machine we run on."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from host import (
    account_lock,
    command,
    files,
    netfilter,
    ports,
    services,
    session,
    syncing,
    tree,
    walk,
    writing,
)
from host.base import (
    Completed,
    FileState,
    FirewallTable,
    Host,
    HostError,
    HttpAnswer,
    OnLine,
    Port,
    Service,
    Session,
    TreeRule,
)
from host.handshake import Handshake, TlsVersion
from host.light_walk import LightCache
from host.package_lock import PackageLock


class LocalHost(Host):
    """The real host; each method stands in the module named after its subject.

    `stat_cache` lets `walk(content=True)` reuse the hash of a file whose device, inode, size,
    mtime and ctime are as they were; `walk`'s own `known` cannot tell that and is not used.
    """

    is_practice = False

    def __init__(self, *, stat_cache: walk.StatCache | None = None) -> None:
        self.name = socket.gethostname()
        self.is_root = os.geteuid() == 0
        self.stat_cache = stat_cache or walk.StatCache()
        self.light_cache = LightCache()
        self._package_lock = PackageLock()
        self.left_alone: tuple[str, ...] = ()
        """Of the last `apply_rules`: files with a further hard link outside the tree."""

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
        return command.run(argv, stdin=stdin, timeout_s=timeout_s, env=env, on_line=on_line, ok=ok)

    def which(self, program: str) -> str | None:
        return command.which(program)

    def state(self, path: str, *, content: bool = False) -> FileState | None:
        return files.state(path, content=content)

    def changed_ns(self, path: str) -> int:
        try:
            return os.lstat(path).st_ctime_ns
        except OSError:
            return 0

    def changes_below(self, top: str) -> dict[str, int]:
        return files.changes_below(top)

    def device(self, path: str) -> int:
        try:
            return os.lstat(path).st_dev
        except OSError:
            return 0

    def read_bytes(
        self, path: str, *, limit_bytes: int = 16 * 1024 * 1024, follow: bool = True
    ) -> bytes:
        return files.read_bytes(path, limit_bytes=limit_bytes, follow=follow)

    def listdir(self, path: str) -> list[str]:
        return files.listdir(path)

    def glob(self, pattern: str) -> list[str]:
        return files.glob(pattern)

    def realpath(self, path: str) -> str:
        return os.path.realpath(path)

    def write_file(self, path: str, content: bytes, state: FileState | None = None) -> None:
        self.light_cache.changed()
        writing.write_file(path, content, state)

    def put(
        self,
        path: str,
        state: FileState | None,
        content: bytes | None = None,
        *,
        within: str = "",
    ) -> None:
        self.light_cache.changed()
        writing.put(path, state, content, within=within)

    def walk(
        self,
        root: str,
        *,
        content: bool,
        known: Mapping[str, FileState] | None = None,
        without: Container[str] = (),
    ) -> Iterator[tuple[str, FileState]]:
        return walk.walk(
            root,
            content=content,
            cache=self.stat_cache,
            light_cache=self.light_cache,
            without=without,
        )

    def walked(self, root: str, since_s: float | None) -> Iterator[tuple[str, FileState]] | None:
        return self.light_cache.walked(root, since_s)

    def apply_rules(
        self,
        root: str,
        rules: Sequence[TreeRule],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        left_alone: list[str] = []
        self.light_cache.changed()
        changed = tree.apply_rules(
            root,
            rules,
            on_progress=on_progress,
            left_alone=left_alone,
            expected=self.light_cache.entries(root),
        )
        self.left_alone = tuple(left_alone)
        self.light_cache.changed(changed)
        return changed

    def apply_states(
        self,
        wanted: Iterable[tuple[str, FileState]],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        self.light_cache.changed()
        expected = self.light_cache.entries()
        changed = tree.apply_states(wanted, on_progress=on_progress, expected=expected)
        self.light_cache.changed(changed)
        return changed

    def services(self) -> tuple[Service, ...]:
        return services.services(self)

    def ports(self) -> tuple[Port, ...]:
        found = ports.read()
        if not any(port.pid == 1 for port in found):
            return found
        try:
            return ports.held_by_systemd(found, services.listen_addresses(self))
        except HostError:
            return found  # the sockets are known all the same, only their unit is not

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
        from host import http  # with it come ssl and email: 30 ms that only this needs

        return http.request(
            path,
            port=port,
            tls=tls,
            host_header=host_header,
            method=method,
            address=address,
            timeout_s=timeout_s,
        )

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
        from host import tls

        return tls.handshake(
            address=address,
            port=port,
            name=name,
            versions=versions,
            ciphers=ciphers,
            trusted=trusted,
            timeout_s=timeout_s,
        )

    def session(self) -> Session:
        return session.read()

    def sync(self, paths: Iterable[str]) -> None:
        syncing.sync_filesystems(paths)

    def lock_packages(self) -> int:
        return self._package_lock.take()

    def unlock_packages(self) -> None:
        self._package_lock.let_go()

    @property
    def has_packages_locked(self) -> bool:
        return self._package_lock.is_held

    def account_lists_locked(self) -> contextlib.AbstractContextManager[int]:
        return account_lock.held()

    def firewall_tables(self) -> tuple[FirewallTable, ...]:
        return netfilter.tables()

    def delete_firewall_table(self, family: str, name: str) -> None:
        netfilter.delete_table(family, name)
