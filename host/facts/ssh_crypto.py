"""What OpenSSH on this host can do, its host keys, its moduli, and what a handshake shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts
from host.facts.login import parse_authorized_keys
from host.facts.sshd import SSHD_EFFECTIVE

QUERIES = ("kex", "cipher", "mac", "HostKeyAlgorithms")
MODULI = "/etc/ssh/moduli"

Supported = Mapping[str, frozenset[str]]
"""Each of `QUERIES` with what `ssh -Q` answers; client and server are built of the same code."""


class HostKey(msgspec.Struct, frozen=True):
    """A host key that sshd is told to use: private file, "ssh-rsa" ("" where its public half cannot
    be read), bits (0 if not RSA)."""

    path: str
    type: str
    bits: int = 0


class Shown(msgspec.Struct, frozen=True):
    """What `ssh-keyscan` was shown: the version line ("SSH-2.0-OpenSSH_9.2p1"), and the host keys
    of finished key exchanges as (type, RSA bits)."""

    version: str = ""
    keys: tuple[tuple[str, int], ...] = ()


def parse_supported(text: str) -> frozenset[str]:
    """`ssh -Q kex`: one name a line."""
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def parse_keyscan(stdout: str, stderr: str = "") -> Shown:
    """`ssh-keyscan`: "# 127.0.0.1:22 SSH-2.0-OpenSSH_9.2p1" (on either stream) and
    "127.0.0.1 ssh-rsa AAAA…"."""
    version = re.search(r"^# \S+ (SSH-\S.*)$", f"{stdout}\n{stderr}", re.MULTILINE)
    keys = []
    for line in stdout.splitlines():
        host, _, key = line.partition(" ")
        if host and not host.startswith("#"):
            keys += [(one.type, one.bits) for one in parse_authorized_keys(key)]
    return Shown(version.group(1).strip() if version else "", tuple(keys))


def host_keys(paths: Sequence[str], public: Sequence[str | None]) -> tuple[HostKey, ...]:
    """`paths` as sshd names them, with the text of each public half where it can be read."""
    found = []
    for path, text in zip(paths, public, strict=True):
        keys = parse_authorized_keys(text or "")
        found.append(HostKey(path, keys[0].type, keys[0].bits) if keys else HostKey(path, ""))
    return tuple(found)


def _supported(host: Host, facts: Facts) -> Supported:
    return {
        query: parse_supported(host.run(["ssh", "-Q", query], timeout_s=10).stdout)
        for query in QUERIES
    }


def _host_keys(host: Host, facts: Facts) -> tuple[HostKey, ...]:
    paths = facts.get(SSHD_EFFECTIVE).get("hostkey", "").split()
    return host_keys(paths, [_text(host, f"{path}.pub") for path in paths])


def _moduli(host: Host, facts: Facts) -> tuple[str, str | None]:
    path = facts.get(SSHD_EFFECTIVE).get("modulifile", MODULI)
    return path, _text(host, path)


def _text(host: Host, path: str) -> str | None:
    try:
        return host.read_bytes(path).decode("utf-8", "surrogateescape")
    except HostError:
        return None


SSH_SUPPORTED: Fact[Supported] = Fact("ssh-supported", _supported)
SSH_HOST_KEYS: Fact[tuple[HostKey, ...]] = Fact("ssh-host-keys", _host_keys)
SSH_MODULI: Fact[tuple[str, str | None]] = Fact("ssh-moduli", _moduli)
"""The file of Diffie-Hellman groups and its text; `None` where it cannot be read."""
