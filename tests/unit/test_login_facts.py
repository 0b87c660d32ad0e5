"""Accounts, keys and sudo's answers, recorded on both releases; sshd's lists of who may come."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from host.facts.login import (
    Account,
    parse_accounts,
    parse_authorized_keys,
    parse_sessions,
    parse_sudo_list,
)
from host.facts.owners import parse_numbers
from steps.login_patterns import address_listed, listed

RECORDED = Path(__file__).parent / "recorded"

suites = pytest.mark.parametrize("suite", ["bookworm", "trixie"])


def recorded(suite: str, name: str) -> str:
    return (RECORDED / suite / "login" / name).read_text(encoding="utf-8")


@suites
def test_accounts(suite: str) -> None:
    accounts = parse_accounts(
        recorded(suite, "getent-passwd.txt"),
        recorded(suite, "getent-group.txt"),
        recorded(suite, "shadow.txt"),
    )
    alice = accounts["alice"]
    assert (alice.uid, alice.home, alice.password) == (1000, "/home/alice", "usable")
    assert "sudo" in alice.groups and alice.has_shell and not alice.expired(30000)
    assert not accounts["www-data"].has_shell
    assert accounts["www-data"].password == "locked"


@pytest.mark.parametrize("sign", ["\u2028", "\x85"])
def test_nobody_hides_their_account_behind_the_end_of_a_line(sign: str) -> None:
    passwd = f"alice:x:1000:1000:Alice,{sign}:/home/alice:/bin/bash\n"
    assert list(parse_accounts(passwd, f"adm:x:4:{sign},alice\n", "")) == ["alice"]
    assert parse_accounts(passwd, f"adm:x:4:{sign},alice\n", "")["alice"].groups == ("adm",)
    assert parse_numbers(passwd) == {"alice": 1000}
    blob = base64.b64encode(b"\0\0\0\x0bssh-ed25519").decode()
    key = f"ssh-ed25519 {blob} me"
    assert len(parse_authorized_keys(f"{key}{sign}{key}\n")) == 1, "sshd sees one too"


@suites
def test_sudo_says_who_may_become_root(suite: str) -> None:
    assert parse_sudo_list(recorded(suite, "sudo-l-alice.txt")) == (True, True)


def test_sudo_for_some_commands_only() -> None:
    some = "User bob may run the following commands on web:\n    (root) NOPASSWD: /usr/bin/apt\n"
    assert parse_sudo_list(some) == (False, False)
    assert parse_sudo_list("    (ALL : ALL) ALL\n") == (True, False)
    assert parse_sudo_list("    (www-data) NOPASSWD: ALL\n") == (False, False)
    assert parse_sudo_list("User www-data is not allowed to run sudo on web.\n") == (False, False)


@suites
def test_sessions_of_people(suite: str) -> None:
    assert parse_sessions(recorded(suite, "loginctl.txt")) == ("alice",)


@suites
def test_a_key(suite: str) -> None:
    (key,) = parse_authorized_keys(recorded(suite, "authorized_keys.txt"))
    assert (key.type, key.options, key.comment) == ("ssh-ed25519", {}, "alice@laptop")


def test_key_options_and_the_size_of_an_rsa_key() -> None:
    def field(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    modulus = b"\x00" + (1 << 2047).to_bytes(256, "big")
    blob = base64.b64encode(field(b"ssh-rsa") + field(b"\x01\x00\x01") + field(modulus)).decode()
    text = (
        "# a comment\n"
        f'restrict,from="192.0.2.0/24,!192.0.2.9",command="echo \\"a b\\"" ssh-rsa {blob} bob\n'
        "ssh-ed25519 not*base64\n"
    )
    (key,) = parse_authorized_keys(text)
    assert key.bits == 2048
    assert key.options == {
        "restrict": "",
        "from": "192.0.2.0/24,!192.0.2.9",
        "command": 'echo "a b"',
    }


@pytest.mark.parametrize(
    ("shadow", "password", "mark", "expired"),
    [
        ("bob:$y$x:20000:0:99999:7:::", "usable", False, False),
        ("bob:!$y$x:20000:0:99999:7:::", "locked", True, False),
        ("bob:!:20000::::::", "locked", True, False),
        ("bob:*:20000::::::", "locked", False, False),
        ("bob::20000::::::", "empty", False, False),
        ("bob:$y$x:20000:0:99999:7::20300:", "usable", False, True),
        ("bob:$y$x:20000:0:90:7:10::", "usable", False, True),
        ("bob:$y$x:20000:0:90:7:::", "usable", False, False),
    ],
)
def test_locked_and_expired(shadow: str, password: str, mark: bool, expired: bool) -> None:
    accounts = parse_accounts("bob:x:1001:1001::/home/bob:/bin/bash\n", "bob:x:1001:\n", shadow)
    bob = accounts["bob"]
    assert (bob.password, bob.locked_by_mark, bob.expired(20500)) == (password, mark, expired)


def test_shells_that_let_nobody_in() -> None:
    def with_shell(shell: str) -> bool:
        return Account(name="a", uid=1, gid=1, home="/", shell=shell).has_shell

    assert with_shell("/bin/zsh")
    assert not with_shell("/usr/sbin/nologin")
    assert not with_shell("/bin/false")


@pytest.mark.parametrize(
    ("patterns", "address", "expected"),
    [
        ("alice bob", "", True),
        ("al*", "", True),
        ("al?ce", "", True),
        ("!alice *", "", True),
        ("[a]lice", "", False),
        ("alice@192.0.2.0/24", "192.0.2.7", True),
        ("alice@192.0.2.0/24", "198.51.100.1", False),
        ("alice@192.0.2.*", "192.0.2.7", True),
        ("alice@192.0.2.7", "", False),
        ("alice@*", "", True),
        ("alice@!192.0.2.0/24,*", "192.0.2.7", False),
        ("alice@10.0.0.0/8,192.0.2.0/24", "192.0.2.7", True),
        ("bob", "", False),
    ],
)
def test_lists_of_users(patterns: str, address: str, expected: bool) -> None:
    assert listed(["alice"], patterns.split(), address) is expected


def test_lists_of_addresses() -> None:
    assert address_listed("2001:db8::1", ["2001:db8::/32"])
    assert not address_listed("192.0.2.9", ["192.0.2.0/24", "!192.0.2.9"])
