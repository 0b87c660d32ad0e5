"""What the rehearsals read: PAM stacks, access.conf, sudoers, sockets, bans, sshd's own words."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from host.base import Host, Session
from host.facts import Facts
from host.facts.login import (
    Accepted,
    parse_accepted,
    parse_accounts,
    parse_authorized_keys,
    parse_faillock,
)
from host.facts.pam import Module, access, stack
from host.facts.sudoers import Rights, one_text, rights
from host.practice import PracticeHost
from snapshots.model import WriteFile
from steps.guard import Rehearsal, rehearse
from steps.guard_bans import holding
from steps.guard_listen import serves_nobody, socket_streams
from steps.guard_pam import pam_obstacle
from steps.login_patterns import address_listed
from steps.private_copy import private_copy
from steps.resource import Context

ALICE = parse_accounts(
    "alice:x:1000:1000::/home/alice:/bin/bash\n",
    "alice:x:1000:\nsudo:x:27:alice\n",
    "alice:$y$j9T$x:20000:0:99999:7:::\n",
)["alice"]
KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMmUuFCcqBVUDzVSvOIIk3gp+0o1uMI0QGZDY3DKVKAF alice@laptop"
)
PAM = {
    "/etc/pam.d/sshd": "@include common-auth\naccount required pam_nologin.so\n"
    "# account required pam_time.so\naccount  required  pam_access.so listsep=, \\\n"
    " accessfile=/etc/a\n@include common-account\n",
    "/etc/pam.d/common-account": "account [success=1 default=ignore] pam_unix.so\n"
    "account requisite pam_deny.so\n-account include more\n",
    "/etc/pam.d/more": "account sufficient /lib/security/pam_localuser.so\nauth required x.so\n",
    "/etc/pam.d/common-auth": "auth required pam_faillock.so preauth deny=4\n",
}


def test_a_stack_is_read_through_what_it_includes() -> None:
    modules = stack(PAM.get, "sshd", "account")
    assert [module.name for module in modules] == [
        "pam_nologin.so", "pam_access.so", "pam_unix.so", "pam_deny.so", "pam_localuser.so",
    ]  # fmt: skip
    assert modules[1].argument("accessfile") == "/etc/a"
    (auth,) = stack(PAM.get, "sshd", "auth")
    assert auth == Module("required", "pam_faillock.so", ("preauth", "deny=4"))
    assert stack({"/etc/pam.d/x": "@include x\n"}.get, "x", "auth") == []


@pytest.mark.parametrize(
    ("lines", "lets_in"),
    [
        ("", True),
        ("-:ALL:ALL", False),
        ("+:alice:192.0.2.0/24\n-:ALL:ALL", True),
        ("+:alice:198.51.100.0/24\n-:ALL:ALL", False),
        ("+:(sudo):ALL\n-:ALL:ALL", True),
        ("+:sudo:ALL\n-:ALL:ALL", True),
        ("-:ALL EXCEPT root:ALL", False),
        ("-:ALL EXCEPT (sudo) root:ALL", True),
        ("-:ALL EXCEPT root:LOCAL", True),
        ("-:ALL:ALL EXCEPT 192.0.2.7", True),
        ("-:ALL:192.0.2.", False),
        ("# -:ALL:ALL", True),
        ("-:alice:office.example.org", None),
        ("-:@netgroup:ALL", None),
        ("-:@netgroup:198.51.100.1\n-:ALL:ALL", False),
        ("-:root:office.example.org", True),
    ],
)
def test_access_conf(lines: str, lets_in: bool | None) -> None:
    assert access(lines, ALICE, "192.0.2.7")[0] is lets_in


@pytest.mark.parametrize(
    ("changed", "conf", "reason", "doubt"),
    [
        ({}, "", "", ""),
        ({}, "-:ALL:ALL", "/etc/a shuts alice out from 192.0.2.7 (-:ALL:ALL)", ""),
        ({}, "-:ALL:office", "", "cannot be told"),
        ({"changed_day": 0}, "", "", ""),
        ({"changed_day": 0, "password": "locked"}, "", "has expired, and none works", ""),
        ({"changed_day": 1, "maximum_days": 2, "password": "locked"}, "", "has expired", ""),
    ],
)
def test_the_account_phase(changed: dict[str, Any], conf: str, reason: str, doubt: str) -> None:
    import msgspec

    files = {**PAM, "/etc/a": conf}
    account = msgspec.structs.replace(ALICE, **changed)
    found, unsure = pam_obstacle(files.get, account, "192.0.2.7", "192.0.2.7")
    assert (reason in found and bool(reason) is bool(found)) and doubt in unsure


def test_a_module_that_is_not_known_is_said() -> None:
    files = {"/etc/pam.d/sshd": "account required pam_sss.so\naccount optional pam_x.so\n"}
    assert pam_obstacle(files.get, ALICE, "", "")[1] == (
        "PAM also asks pam_sss.so about a login; not tried."
    )


def test_sudoers_are_read_in_sudos_order() -> None:
    files = {
        "/etc/sudoers": "Defaults env_reset\n@includedir /etc/sudoers.d\n#include local\nroot\n",
        "/etc/sudoers.d/b": "B\n",
        "/etc/sudoers.d/a": "A\n",
        "/etc/sudoers.d/a.dpkg-old": "no\n",
        "/etc/sudoers.d/a~": "no\n",
        "/etc/local": "L\n",
    }
    names = ["b", "a", "a.dpkg-old", "a~"]
    text = one_text(files.get, lambda directory: names)
    assert text == "Defaults env_reset\nA\nB\nL\nroot\n"


def spec(user: dict[str, Any], *commands: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "User_List": [user], "Host_List": more.pop("hosts", [{"hostname": "ALL"}]),
        "Cmnd_Specs": [{"Commands": list(commands), **more}],
    }  # fmt: skip


ALL = {"command": "ALL"}
NOPASSWD = [{"authenticate": False}]


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([], Rights(False, False)),
        ([spec({"username": "alice"}, ALL)], Rights(True, False)),
        ([spec({"usergroup": "sudo"}, ALL, Options=NOPASSWD)], Rights(True, True)),
        ([spec({"userid": 1000}, ALL)], Rights(True, False)),
        ([spec({"username": "bob"}, ALL)], Rights(False, False)),
        ([spec({"username": "alice"}, {"command": "/bin/ls"})], Rights(False, False)),
        ([spec({"username": "alice"}, ALL, hosts=[{"hostname": "db1"}])], Rights(False, False)),
        ([spec({"username": "alice"}, ALL, hosts=[{"hostname": "web1"}])], Rights(True, False)),
        (
            [spec({"username": "alice"}, ALL, runasusers=[{"username": "www-data"}])],
            Rights(False, False),
        ),
        (
            [
                spec({"username": "alice"}, ALL),
                spec({"username": "alice"}, {"command": "ALL", "negated": True}),
            ],
            Rights(False, False),
        ),
    ],
)
def test_who_may_become_root(specs: list[dict[str, Any]], expected: Rights) -> None:
    assert rights({"User_Specs": specs}, ALICE, ("web1",)) == expected


def test_a_default_may_do_without_passwords() -> None:
    default = {"Binding": [{"username": "alice"}], "Options": [{"authenticate": False}]}
    document = {"Defaults": [default], "User_Specs": [spec({"usergroup": "sudo"}, ALL)]}
    assert rights(document, ALICE, ()).without_password


def test_what_a_socket_listens_at_is_forgotten_by_an_empty_line() -> None:
    debian = "[Socket]\nListenStream=0.0.0.0:22\nListenStream=[::]:22\nAccept=no\n"
    assert socket_streams([debian]) == ["0.0.0.0:22", "[::]:22"]
    assert socket_streams([debian, "[Socket]\nListenStream=\nListenStream=2222\n"]) == ["2222"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"maxsessions": "0"}, "MaxSessions 0"),
        ({"maxauthtries": "0"}, "MaxAuthTries 0"),
        ({"maxstartups": "1:100:1"}, "MaxStartups"),
        ({"maxsessions": "1", "maxauthtries": "1", "maxstartups": "10:30:60"}, ""),
    ],
)
def test_limits_that_let_nobody_in(settings: dict[str, str], said: str) -> None:
    found = serves_nobody(settings)
    assert said in found and bool(said) is bool(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[{'sshd': ['192.0.2.7', '192.0.2.8']}, {'web': []}]", [("sshd", "192.0.2.7")]),
        ("[{'sshd': ['192.0.2.0/24']}]", [("sshd", "192.0.2.0/24")]),
        ("[{'sshd': ['2001:db8::1']}]", []),
        ("[]", []),
        ("ERROR  what", None),
        ("7", None),
    ],
)
def test_bans(text: str, found: list[tuple[str, str]] | None) -> None:
    assert holding(text, "192.0.2.7") == found


def test_how_a_login_came_in() -> None:
    journal = (
        "Accepted password for alice from 192.0.2.7 port 40850 ssh2\n"
        "Accepted publickey for alice from 192.0.2.7 port 40851 ssh2: ED25519 SHA256:UUst\n"
        "Accepted publickey for alice from 192.0.2.7 port 40852 ssh2: ED25519-CERT SHA256:aa ID"
        " laptop (serial 0) CA RSA SHA256:bb\n"
    )
    assert parse_accepted(journal, "alice", "192.0.2.7", 40850) == Accepted("password")
    assert parse_accepted(journal, "alice", "192.0.2.7", 40851) == Accepted(
        "publickey", "ED25519", "SHA256:UUst"
    )
    assert parse_accepted(journal, "alice", "192.0.2.7", 40852) == Accepted(
        "publickey", "ED25519-CERT", "SHA256:aa", "SHA256:bb"
    )
    assert parse_accepted(journal, "bob", "192.0.2.7", 40850) is None


def test_a_key_has_the_fingerprint_that_ssh_keygen_prints() -> None:
    """`ssh-keygen -lf` of that very line."""
    (key,) = parse_authorized_keys(KEY)
    assert key.fingerprint == "SHA256:ssfkJrpy/dfbSj71mbJXnxST9t13A5Jn0orpUhvoq0w"


def test_faillock() -> None:
    text = (
        "alice:\nWhen                Type  Source                                           Valid\n"
        "2026-11-25 18:20:02 RHOST 192.0.2.7                                            V\n"
        "2026-11-25 18:20:04 RHOST 192.0.2.7                                            I\n"
    )
    (when,) = parse_faillock(text)
    assert when > 1.7e9


def test_a_list_of_addresses_may_name_the_client() -> None:
    assert address_listed("192.0.2.7", ["*.example.org"], "host.example.org")
    assert not address_listed("192.0.2.7", ["*", "!*.example.org"], "host.example.org")


def test_a_private_copy_goes_with_its_use_and_takes_left_ones_along(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    host.write_file(f"/run/harden-tui-x-{ended.pid}-00000000", b"left")
    with pytest.raises(KeyError), private_copy(host, "/run/harden-tui-x-", "text") as path:
        assert host.read_bytes(path) == b"text"
        state = host.state(path)
        assert state is not None and state.mode == 0o600
        assert host.glob("/run/harden-tui-x-*") == [path]
        raise KeyError
    assert host.glob("/run/harden-tui-x-*") == []


class _Nobody:
    """Root's privileges, or not."""

    def __init__(self, is_root: bool) -> None:
        self.is_root = is_root


@pytest.mark.parametrize(
    ("guard", "path", "asked"),
    [
        ("login", "/etc/motd", True),
        ("network", "/etc/motd", True),
        ("", "/etc/motd", False),
        ("", "/etc/sudoers.d/x", True),
        ("", "/etc/security/access.conf", True),
        ("", "/etc/ssh/sshd_config.d/x.conf", True),
    ],
)
def test_which_changes_are_rehearsed(guard: Any, path: str, asked: bool) -> None:
    """Without root there is nothing but the promise to do it later."""
    ctx = Context(cast(Host, _Nobody(is_root=False)), cast(Facts, None), Session())
    found = rehearse(ctx, guard, [WriteFile(path=path, content=b"x")])
    assert bool(found.notes) is asked and found.lockouts == ()
    assert rehearse(ctx, guard, []) == Rehearsal()
