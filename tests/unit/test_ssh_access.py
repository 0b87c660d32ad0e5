"""Who may come in over SSH, and with which keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.login import ACCOUNTS, Account, parse_accounts, parse_authorized_keys
from host.facts.sshd import Effective
from snapshots.model import RunCommand, WriteFile
from steps.guard_keys import loose
from steps.login_defaults import login_groups, login_users
from steps.resource import Context, StepError
from steps.resources.admin_key import AdminKey, given_problem, weakness
from steps.resources.ssh_allow import SshAllow
from tests.unit.given import RELEASES, context, recorded

SETTINGS: Effective = {
    "permitrootlogin": "without-password",
    "passwordauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "pubkeyauthentication": "yes",
    "authorizedkeysfile": ".ssh/authorized_keys",
}


PRIVATE = b"-----BEGIN OPENSSH PRIVATE KEY-----"


def account(name: str, uid: int, *groups: str) -> Account:
    (found,) = parse_accounts(
        f"{name}:x:{uid}:{uid}::/home/{name}:/bin/bash\n",
        "".join(f"{one}:x:{uid + number}:{name}\n" for number, one in enumerate((name, *groups))),
        f"{name}:$y$j9T$x:20000:0:99999:7:::\n",
    ).values()
    return found


ACCOUNT = {
    "alice": account("alice", 1000, "sudo"),
    "bob": account("bob", 1001),
    "eve": account("eve", 1002),
}


def keys(release: str = "trixie") -> list[str]:
    """RSA 2048, ECDSA, Ed25519, RSA 4096."""
    return recorded(release, "login/keys.txt").splitlines()


def host(directory: Path, settings: Effective, holding: dict[str, list[str]]) -> Context:
    ctx = context(directory, sshd_effective=settings, accounts=ACCOUNT)
    for name, lines in holding.items():
        there = ACCOUNT[name]
        for place, kind, mode in ((there.home, "dir", 0o755), (f"{there.home}/.ssh", "dir", 0o700)):
            ctx.host.put(place, FileState(kind=kind, mode=mode, uid=there.uid, gid=there.gid))  # type: ignore[arg-type]  # a literal
        state = FileState(kind="file", mode=0o600, uid=there.uid, gid=there.gid)
        text = "".join(f"{line}\n" for line in lines)
        ctx.host.write_file(f"{there.home}/.ssh/authorized_keys", text.encode(), state)
    return ctx


def test_defaults_shut_out_nobody_who_can_log_in_now(tmp_path: Path) -> None:
    ctx = host(tmp_path, SETTINGS, {"alice": [keys()[2]], "bob": [keys()[3]]})
    assert login_groups(ctx.host, ctx.facts) == ("sudo", "bob")
    assert login_users(ctx.facts) == ()
    by_password = host(tmp_path / "b", {**SETTINGS, "passwordauthentication": "yes"}, {})
    assert login_groups(by_password.host, by_password.facts) == ("sudo", "bob", "eve")


def test_what_the_administrator_chose_stays(tmp_path: Path) -> None:
    chosen = {**SETTINGS, "allowgroups": "ops web", "allowusers": "alice@192.0.2.0/24 bob *@::1"}
    ctx = host(tmp_path, chosen, {})
    assert login_groups(ctx.host, ctx.facts) == ("ops", "web")
    assert login_users(ctx.facts) == ("alice", "bob")


def allow(**body: list[str]) -> SshAllow:
    return SshAllow.parse("ssh.allow", {"groups": ["sudo"], **body})


def test_what_sshd_is_told() -> None:
    assert allow().entries == ()
    assert allow(users=["alice"]).entries == ("alice",)
    # sshd refuses a network with bits beyond its mask
    assert allow(network=["192.0.2.9/24"]).entries == ("*@192.0.2.0/24",)
    both = allow(users=["alice", "bob"], network=["192.0.2.0/24", "2001:db8::1"]).entries
    assert both[:2] == ("alice@192.0.2.0/24", "alice@2001:db8::1/128")
    with pytest.raises(StepError, match="at least one group or user"):
        SshAllow.parse("ssh.allow", {"groups": []})
    with pytest.raises(StepError, match="no name"):
        allow(users=["al*ce"])


@pytest.mark.parametrize(
    ("body", "told", "holds"),
    [
        ({}, {"allowgroups": "sudo"}, True),
        ({}, {}, False),
        ({}, {"allowgroups": "sudo users"}, False),
        ({"groups": ["sudo", "web"]}, {"allowgroups": "sudo"}, True),
        ({"users": ["alice"]}, {"allowgroups": "sudo", "allowusers": "alice@192.0.2.0/24"}, True),
        ({"users": ["alice"]}, {"allowgroups": "sudo", "allowusers": "alice bob"}, False),
        ({"network": ["192.0.2.0/24"]}, {"allowgroups": "sudo", "allowusers": "alice"}, False),
        (
            {"network": ["192.0.2.0/24"]},
            {"allowgroups": "sudo", "allowusers": "alice@192.0.2.0/24"},
            True,
        ),
    ],
)
def test_fewer_than_may_come_is_right_too(
    tmp_path: Path, body: dict[str, list[str]], told: Effective, holds: bool
) -> None:
    ctx = host(tmp_path, {**SETTINGS, **told}, {})
    assert all(finding.ok is not False for finding in allow(**body).observe(ctx)) is holds


@pytest.mark.parametrize("release", RELEASES)
def test_which_keys_are_good(release: str) -> None:
    weak = [weakness(parse_authorized_keys(line)[0]) for line in keys(release)]
    assert "2048 bits" in weak[0] and "ecdsa" in weak[1]
    assert weak[2:] == ["", ""]
    bound = parse_authorized_keys(f'command="/bin/true" {keys(release)[2]}')[0]
    assert "bound to one command" in weakness(bound)


def test_what_is_given_must_be_one_good_public_key() -> None:
    assert given_problem(keys()[2]) == ""
    assert "never leaves its machine" in given_problem("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert "one line" in given_problem("hello")
    assert "one line" in given_problem("\n".join(keys()[2:]))
    assert "2048 bits" in given_problem(keys()[0])
    with pytest.raises(StepError, match="key: expected one line"):
        AdminKey.parse("ssh.admin-key", {"key": "nonsense"})


@given(st.text())
def test_any_text_given(text: str) -> None:
    given_problem(text)


def test_weak_keys_are_named(tmp_path: Path) -> None:
    ctx = host(tmp_path, SETTINGS, {"alice": [keys()[0], keys()[2]]})
    (found,) = AdminKey.parse("ssh.admin-key", {}).observe(ctx)
    assert found.ok and "alice@laptop" in found.running and "alice@old" in found.note
    ctx = host(tmp_path / "b", SETTINGS, {"alice": [keys()[1]]})
    (found,) = AdminKey.parse("ssh.admin-key", {}).observe(ctx)
    assert found.ok is False and "ecdsa" in found.note
    assert "ssh-keygen -t ed25519" in AdminKey.parse("x.y", {}).plan(ctx).refusals[0]


def added(ctx: Context, user: str) -> tuple[list[str], WriteFile, tuple[Any, ...]]:
    planned = AdminKey.parse("x.y", {"user": user, "key": keys()[2]}).plan(ctx)
    commands = [" ".join(one.argv) for one in planned.changes if isinstance(one, RunCommand)]
    (file,) = (one for one in planned.changes if isinstance(one, WriteFile))
    return commands, file, planned.roots


def test_a_key_is_added_below_the_others(tmp_path: Path) -> None:
    ctx = host(tmp_path, SETTINGS, {"alice": [keys()[3]]})
    commands, file, roots = added(ctx, "alice")
    assert commands == []
    assert file.content.decode().splitlines() == [keys()[3], keys()[2]]
    assert (file.mode, file.uid, file.gid, file.force_state) == (0o600, 1000, 1000, True)
    assert [root.path for root in roots] == ["/home/alice/.ssh"]


def test_a_directory_is_made_for_the_first_key(tmp_path: Path) -> None:
    ctx = host(tmp_path, SETTINGS, {})
    ctx.host.put("/home/bob", FileState(kind="dir", mode=0o755, uid=1001, gid=1001))
    commands, file, _ = added(ctx, "bob")
    assert commands == ["install -d -m 0700 -o 1001 -g 1001 -- /home/bob/.ssh"]
    assert file.path == "/home/bob/.ssh/authorized_keys"
    # The rehearsal must not take what is about to be made for missing.
    assert "is missing" in loose(ctx, file.path, ctx.facts.get(ACCOUNTS)["bob"])
    assert loose(ctx, file.path, ctx.facts.get(ACCOUNTS)["bob"], coming=True) == ""


def test_a_file_that_is_gone_hides_nothing(tmp_path: Path) -> None:
    ctx = host(tmp_path, SETTINGS, {"alice": [keys()[2]]})
    resource = AdminKey.parse("x.y", {"user": "alice", "key": "/root/alice.pub"})
    found = resource.observe(ctx)
    assert [one.ok for one in found if one.applicable] == [True]
    assert "/root/alice.pub" in found[-1].note
    ctx.host.write_file("/root/alice.pub", PRIVATE)
    assert "never leaves its machine" in resource.observe(ctx)[-1].note


def test_whoever_is_not_there_gets_no_key(tmp_path: Path) -> None:
    ctx = host(tmp_path, SETTINGS, {})
    planned = AdminKey.parse("x.y", {"user": "zoe", "key": keys()[2]}).plan(ctx)
    assert "zoe does not exist" in planned.refusals[0]
