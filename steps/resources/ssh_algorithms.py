"""Which algorithms an SSH server may offer, by profile and release; the lists as data. Pure.

`strict`: the lists of ssh-audit's policies "Hardened Debian 12 (version 3)" and "Hardened Debian 13
(version 1)" (jtesta/ssh-audit, builtin_policies.py and hardening_guides.py), in their order.

`compatible`: beside these what the CIS benchmarks for Debian 12 and 13 accept
(ComplianceAsCode/content, sshd_strong_kex.var and sshd_strong_macs.var, as they name them), and
ECDSA keys, which older Java and Windows clients know where they do not know Ed25519.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

Profile = Literal["strict", "compatible"]
Lists = Mapping[str, Sequence[str]]
"""Option of sshd_config -> algorithms, the preferred one first."""

SMALLEST_MODULUS_BITS: Final = 3071
"""In /etc/ssh/moduli, where the top bit is not counted: groups of 3072 bits."""

_POST_QUANTUM: Final = "mlkem768x25519-sha256"
"""sshd knows it from OpenSSH 9.9 on (Debian 13): then Diffie-Hellman alone is not kept."""

_KEX_12: Final = (
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
)
_KEX_13: Final = (_POST_QUANTUM, "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com")
_KEX_OLDER: Final = (
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
)
_CIPHERS: Final = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-gcm@openssh.com",
    "aes128-ctr",
)
_MACS_12: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "umac-128-etm@openssh.com",
)
_MACS_13: Final = (
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "umac-128-etm@openssh.com",
)
_MACS_COMPATIBLE: Final = (
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512",
    "hmac-sha2-256",
)
_CERTIFIED: Final = (
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
)
_PLAIN: Final = ("sk-ssh-ed25519@openssh.com", "ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")
_ECDSA: Final = (
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_QUERIES: Final = {
    "KexAlgorithms": "kex",
    "Ciphers": "cipher",
    "MACs": "mac",
    "HostKeyAlgorithms": "HostKeyAlgorithms",
    "PubkeyAcceptedAlgorithms": "HostKeyAlgorithms",
    "HostbasedAcceptedAlgorithms": "HostKeyAlgorithms",
    "CASignatureAlgorithms": "HostKeyAlgorithms",
}
QUERIES: Final = tuple(dict.fromkeys(_QUERIES.values()))
"""What `ssh -Q` is asked for."""

PREFERENCES: Final = ("KexAlgorithms", "Ciphers", "MACs", "HostKeyAlgorithms")
"""Lists whose order sshd shows to clients and ssh-audit compares."""


def wanted(profile: Profile, supported: Mapping[str, frozenset[str]], *, rsa: bool) -> Lists:
    """What may be offered at most, of what this sshd knows (`QUERIES` -> its answer).

    Without `rsa` the host shows no RSA key. A list may become empty where sshd knows none of it.
    """
    newer = _POST_QUANTUM in supported["kex"]
    signatures = [*_CERTIFIED, *_PLAIN]
    lists: dict[str, Sequence[str]] = {
        "KexAlgorithms": _KEX_13 if newer else _KEX_12,
        "Ciphers": _CIPHERS,
        "MACs": _MACS_13 if newer else _MACS_12,
    }
    if profile == "compatible":
        first = (_POST_QUANTUM, *_KEX_12)
        lists["KexAlgorithms"] = (*first, *_KEX_OLDER)
        lists["MACs"] = _MACS_COMPATIBLE
        signatures += _ECDSA
    for option in ("PubkeyAcceptedAlgorithms", "HostbasedAcceptedAlgorithms"):
        lists[option] = signatures
    lists["CASignatureAlgorithms"] = [one for one in signatures if "-cert-" not in one]
    lists["HostKeyAlgorithms"] = [one for one in signatures if rsa or not one.startswith("rsa-")]
    return {
        option: tuple(one for one in names if one in supported[_QUERIES[option]])
        for option, names in lists.items()
    }


def smallest_rsa_bits(profile: Profile) -> int:
    """Of users' keys: RequiredRSASize."""
    return 3072 if profile == "strict" else 2048


def without_small_moduli(text: str) -> tuple[str, int, int]:
    """moduli(5) without groups that are too small: (the rest, how many went, how many stay).

    A line is "20220714110357 2 6 100 2047 2 E98F…"; the fifth field is the size in bits.
    """
    kept: list[str] = []
    gone = stay = 0
    for line in text.splitlines(keepends=True):
        fields = line.split()
        is_group = len(fields) == 7 and not line.startswith("#") and fields[4].isdigit()
        if is_group and int(fields[4]) < SMALLEST_MODULUS_BITS:
            gone += 1
            continue
        stay += is_group
        kept.append(line)
    return "".join(kept), gone, stay
