"""A virtual host over TLS made from one without: the same lines, at port 443."""

from __future__ import annotations

import re
from collections.abc import Iterable

from host.base import Host, HostError
from host.facts.apache import FOLDER, Apache
from host.facts.apache_config import VirtualHost
from snapshots.model import Change, RunCommand, WriteFile

TLS_PORT = 443
_OPENING = re.compile(r"^\s*<VirtualHost\s[^>]*>\s*$", re.IGNORECASE)
_CLOSING = re.compile(r"^\s*</VirtualHost>\s*$", re.IGNORECASE)
_TO_TLS = re.compile(r"https://", re.IGNORECASE)


class Site:
    """`sites-available/zz-harden-tui-STEP.conf`, read after the sites that are there."""

    def __init__(self, step_id: str) -> None:
        self.name = f"zz-harden-tui-{step_id}"
        self.path = f"{FOLDER}/sites-available/{self.name}.conf"
        self.link = f"{FOLDER}/sites-enabled/{self.name}.conf"

    def changes(self, host: Host, text: str) -> list[Change]:
        """What writes and enables it; empty where it is so already."""
        wanted: list[Change] = []
        state = host.state(self.path)
        content = text.encode("utf-8", "surrogateescape")
        if state is None or host.read_bytes(self.path) != content:
            wanted.append(WriteFile(path=self.path, content=content))
        if host.state(self.link) is None:
            wanted.append(
                RunCommand(argv=("a2ensite", self.name), why="let Apache serve the new sites")
            )
        return wanted


def has_tls(apache: Apache, virtual: VirtualHost) -> bool:
    """Whether a virtual host that speaks TLS has the same name (or none, as this one)."""
    return any(other.tls and other.name.lower() == virtual.name.lower() for other in apache.hosts)


def without_tls(apache: Apache) -> list[VirtualHost]:
    """The virtual hosts that are served without TLS only, the first of each name."""
    found: dict[str, VirtualHost] = {}
    for virtual in apache.hosts:
        if not virtual.tls and any(port in (80, 0) for _, port in virtual.addresses):
            found.setdefault(virtual.name.lower(), virtual)
    return [virtual for virtual in found.values() if not has_tls(apache, virtual)]


def sends_to_tls(apache: Apache, virtual: VirtualHost) -> bool:
    """Whether it redirects to https itself: over TLS the same lines would go in circles."""
    return any(
        directive.name.lower() in ("redirect", "redirectpermanent", "redirectmatch", "rewriterule")
        and virtual.section in directive.within
        and "/zz-harden-tui-" not in directive.file  # ours leaves TLS alone
        and _TO_TLS.search(directive.args)
        for directive in apache.config.directives
    )


def text_of(host: Host, virtual: VirtualHost) -> list[str] | None:
    """The lines inside, without comments; `None` where they do not stand there
    in plain words (a macro)."""
    try:
        content = host.read_bytes(host.realpath(virtual.section.file))
    except HostError:
        return None
    lines = content.decode("utf-8", "surrogateescape").splitlines()
    begin = virtual.section.line - 1
    if not (0 <= begin < len(lines) and _OPENING.match(lines[begin])):
        return None
    inside = lines[begin + 1 :]
    for number, line in enumerate(inside):
        if _CLOSING.match(line):
            kept = [line for line in inside[:number] if not line.lstrip().startswith("#")]
            return [line for line in kept if line.strip()]
    return None


def with_line(text: str, virtual: VirtualHost, line: str) -> str | None:
    """`text` with one line more right after `<VirtualHost>`; `None` where that does not stand at
    its place in plain words."""
    lines = text.splitlines(keepends=True)
    at = virtual.section.line
    if not (0 < at <= len(lines) and _OPENING.match(lines[at - 1])):
        return None
    ending = "\r\n" if lines[at - 1].endswith("\r\n") else "\n"
    return "".join([*lines[:at], f"    {line}{ending}", *lines[at:]])


def over_tls(virtual: VirtualHost, lines: Iterable[str], certificate: str, key: str) -> list[str]:
    """The virtual host with the same lines, at port 443."""
    addresses = [_address(host) for host, port in virtual.addresses if port in (80, 0)]
    return [
        f"# As {virtual.section.origin} has it, over TLS.",
        f"<VirtualHost {' '.join(dict.fromkeys(addresses))}>",
        "    SSLEngine on",
        f"    SSLCertificateFile {certificate}",
        f"    SSLCertificateKeyFile {key}",
        *lines,
        "</VirtualHost>",
    ]


def _address(host: str) -> str:
    return f"[{host}]:{TLS_PORT}" if ":" in host else f"{host}:{TLS_PORT}"
