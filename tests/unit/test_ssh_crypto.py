"""Algorithms of this very sshd, host keys, moduli, and that no private key is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.ssh_crypto import QUERIES, HostKey, host_keys, parse_keyscan, parse_supported
from host.facts.sshd import parse_effective
from snapshots.differences_text import between, side_text
from snapshots.model import FileItem
from snapshots.private_keys import NOT_SHOWN
from steps.render import unified
from steps.resources import ssh_algorithms
from steps.resources.ssh_algorithms import PREFERENCES, Profile, wanted, without_small_moduli
from steps.resources.ssh_crypto import SshCrypto
from steps.resources.sshd_draft import draft, kept_settings
from tests.unit.given import RELEASES, context, recorded
from tests.unit.test_sshd_facts import MAIN, tree_of

POLICY = {
    "bookworm": (
        "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,"
        "curve25519-sha256@libssh.org,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
        "diffie-hellman-group-exchange-sha256",
        "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com",
    ),
    "trixie": (
        "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com",
        "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com",
    ),
}
"""ssh-audit 3.9.0: "Hardened Debian 12 (version 3)", "Hardened Debian 13 (version 1)"."""

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----\n"


def supported(release: str) -> dict[str, frozenset[str]]:
    return {query: parse_supported(recorded(release, f"sshd/Q-{query}.txt")) for query in QUERIES}


def test_every_list_is_asked_for() -> None:
    assert set(ssh_algorithms.QUERIES) == set(QUERIES)


@pytest.mark.parametrize("release", RELEASES)
def test_strict_is_the_policy_of_the_release(release: str) -> None:
    lists = wanted("strict", supported(release), rsa=True)
    assert (",".join(lists["KexAlgorithms"]), ",".join(lists["MACs"])) == POLICY[release]
    assert lists["Ciphers"][:2] == ("chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com")
    assert "sk-ssh-ed25519-cert-v01@openssh.com" in lists["HostKeyAlgorithms"]
    assert not any("cert" in one for one in lists["CASignatureAlgorithms"])
    assert not any("rsa" in one for one in wanted("strict", supported(release), rsa=False)[
        "HostKeyAlgorithms"
    ])  # fmt: skip


def test_what_an_sshd_does_not_know_is_left_out() -> None:
    """sshd does not start with one unknown word: bookworm knows no mlkem, before 12u4 no sntrup."""
    known = supported("bookworm")
    older = {**known, "kex": known["kex"] - {"sntrup761x25519-sha512"}}
    lists = wanted("compatible", older, rsa=True)
    assert "mlkem768x25519-sha256" not in lists["KexAlgorithms"]
    assert lists["KexAlgorithms"][0] == "sntrup761x25519-sha512@openssh.com"
    assert "ecdsa-sha2-nistp256" in lists["PubkeyAcceptedAlgorithms"]


@given(
    st.sampled_from(["strict", "compatible"]),
    st.fixed_dictionaries({query: st.frozensets(st.text(max_size=30)) for query in QUERIES}),
    st.booleans(),
)
def test_nothing_unknown_is_ever_wanted(
    profile: Profile, known: dict[str, frozenset[str]], rsa: bool
) -> None:
    every = frozenset().union(*known.values())
    for names in wanted(profile, known, rsa=rsa).values():
        assert set(names) <= every


@pytest.mark.parametrize("release", RELEASES)
def test_moduli(release: str) -> None:
    text = recorded(release, "sshd/moduli.txt")
    rest, gone, stay = without_small_moduli(text)
    assert (gone, stay) == (2, 1)
    assert rest.splitlines() == [line for line in text.splitlines() if " 2047 " not in line]


@given(st.text())
def test_moduli_of_any_text(text: str) -> None:
    rest, gone, _ = without_small_moduli(text)
    assert without_small_moduli(rest)[1] == 0
    assert gone or rest == text


@pytest.mark.parametrize("release", RELEASES)
def test_a_handshake(release: str) -> None:
    shown = parse_keyscan(recorded(release, "sshd/keyscan.txt"))
    assert shown.version.startswith("SSH-2.0-OpenSSH_") and "Debian" in shown.version
    assert sorted(shown.keys) == [("ssh-ed25519", 0), ("ssh-rsa", 3072)]
    assert parse_keyscan("", "127.0.0.1: Not allowed at this time\n").version == ""


@given(st.text(), st.text())
def test_a_handshake_of_any_text(stdout: str, stderr: str) -> None:
    parse_keyscan(stdout, stderr)
    parse_supported(stdout)
    assert [key.path for key in host_keys(["/a", "/b"], [stdout, None])] == ["/a", "/b"]


KEYS = (
    HostKey("/etc/ssh/ssh_host_rsa_key", "ssh-rsa", 3072),
    HostKey("/etc/ssh/ssh_host_ecdsa_key", "ecdsa-sha2-nistp256"),
    HostKey("/etc/ssh/ssh_host_ed25519_key", "ssh-ed25519"),
)


def step(directory: Path, release: str, body: dict[str, str], **more: Any) -> tuple[SshCrypto, Any]:
    answers = {
        "ssh_supported": supported(release),
        "ssh_host_keys": KEYS,
        "ssh_moduli": ("/etc/ssh/moduli", recorded(release, "sshd/moduli.txt")),
        "sshd_effective": parse_effective(recorded(release, "sshd/T.txt")),
        **more,
    }
    return SshCrypto.parse("ssh.crypto", body), context(directory, **answers)


@pytest.mark.parametrize("release", RELEASES)
def test_a_fresh_host_lacks_all_of_it(release: str, tmp_path: Path) -> None:
    body = {"profile": "strict", "rsa-host-key": "remade"}
    resource, ctx = step(tmp_path, release, body)
    wrong = {finding.setting for finding in resource.observe(ctx) if finding.ok is False}
    assert {*PREFERENCES, "HostKey", "DebianBanner", "RequiredRSASize", "RSA"} <= wrong
    assert "Diffie-Hellman groups" in wrong


def test_host_keys_are_named_in_the_order_they_shall_be_shown(tmp_path: Path) -> None:
    for body, paths in (
        ({"profile": "strict", "rsa-host-key": "remade"}, ["ed25519", "rsa"]),
        ({"profile": "strict", "rsa-host-key": "dropped"}, ["ed25519"]),
        ({"profile": "compatible", "rsa-host-key": "remade"}, ["ed25519", "rsa", "ecdsa"]),
    ):
        resource, ctx = step(tmp_path, "trixie", body)
        assert resource._in_order(ctx) == [f"/etc/ssh/ssh_host_{one}_key" for one in paths]


def test_without_an_ed25519_host_key_nothing_is_changed(tmp_path: Path) -> None:
    body = {"profile": "strict", "rsa-host-key": "remade"}
    resource, ctx = step(tmp_path, "trixie", body, ssh_host_keys=KEYS[:2])
    planned = resource.plan(ctx)
    assert planned.changes == () and "no Ed25519 host key" in planned.refusals[0]


def test_each_host_key_gets_a_line() -> None:
    files = {MAIN: "Include /etc/ssh/sshd_config.d/*.conf\nHostKey /old\nUsePAM yes\n"}
    wanted_keys = {"HostKey": "/a /b", "UsePAM": "yes"}
    tree = tree_of(files)

    def read(overlay: Any) -> Any:
        return tree_of({**files, **overlay})

    edits = draft("x.y", tree, read, globally=wanted_keys, in_match={}, keep={})
    ours = "/etc/ssh/sshd_config.d/00-harden-tui-x-y.conf"
    assert edits[ours].endswith("HostKey /a\nHostKey /b\nUsePAM yes\n")
    assert edits[MAIN] == "Include /etc/ssh/sshd_config.d/*.conf\n#HostKey /old\nUsePAM yes\n"
    assert kept_settings(tree_of({**files, **edits}), "x.y") == wanted_keys

    bare = {MAIN: "HostKey /old\nUsePAM no\nHostKey /older\n"}
    tree = tree_of(bare)
    edits = draft(
        "x.y", tree, lambda overlay: tree_of(bare), globally=wanted_keys, in_match={}, keep={}
    )
    assert edits == {MAIN: "HostKey /a\nHostKey /b\nUsePAM yes\n#HostKey /older\n"}


def test_a_private_key_is_in_no_diff() -> None:
    state = FileState(kind="file", mode=0o600, sha256="a" * 64, size_bytes=len(PRIVATE))
    item = FileItem(state)
    for before, after in ((item, None), (None, item)):
        shown = between("/etc/ssh/key", before, after, lambda _: PRIVATE.encode())
        assert "b3Bl" not in shown and NOT_SHOWN in shown
    assert "b3Bl" not in side_text(item, lambda _: PRIVATE.encode())
    assert "b3Bl" not in unified("/etc/ssh/key", PRIVATE.encode(), None)
