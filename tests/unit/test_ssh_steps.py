"""The steps about sshd that are more than a list of options."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import Port
from host.facts.sshd import Daemon, parse_effective
from steps.expectation import Expectation
from steps.resources.ssh_forwarding import SshForwarding, _in_use
from steps.resources.sshd import _value, satisfied
from steps.resources.sshd_draft import draft
from tests.unit.given import RELEASES, SSHD, context, recorded
from tests.unit.test_sshd_facts import MAIN, tree_of

INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
OURS = "/etc/ssh/sshd_config.d/00-harden-tui-ssh-allow.conf"


@pytest.mark.parametrize("release", RELEASES)
def test_disable_forwarding_counts_before_what_sshd_prints(release: str) -> None:
    """sshd -T goes on printing allowtcpforwarding yes beside it."""
    told = parse_effective(recorded(release, "sshd/T.txt"))
    assert told["allowtcpforwarding"] == "yes"
    off = {**told, "disableforwarding": "yes"}
    tree = tree_of({MAIN: "DisableForwarding yes\n"})
    wanted = SshForwarding.parse("x.y", {"tcp": "no"}).wanted
    held = {
        option: satisfied(option, expectation, _value(off, tree, option) or "")
        for option, expectation in wanted.items()
    }
    assert held["AllowTcpForwarding"] and held["X11Forwarding"] and held["DisableForwarding"]
    assert not held["TCPKeepAlive"]
    some = tree_of({MAIN: "DisableForwarding yes\nMatch User bob\nDisableForwarding no\n"})
    assert _value(off, some, "AllowTcpForwarding") == "yes"


def test_tunnels_that_are_wanted_are_not_disabled() -> None:
    wanted = SshForwarding.parse("x.y", {"tcp": "local"}).wanted
    assert wanted["DisableForwarding"].target == "no"
    assert wanted["AllowTcpForwarding"].target == "local"
    assert wanted["X11Forwarding"].target == "no"


def test_what_is_forwarded_now_is_said(tmp_path: Path) -> None:
    tunnel = Port(protocol="tcp", address="127.0.0.1", port=6010, process="sshd-session")
    settings = {"port": "22"}
    daemon = Daemon(state="running")
    ctx = context(
        tmp_path, ports=(SSHD, tunnel), sshd_daemon=daemon, sshd_effective=settings
    )  # fmt: skip
    (note,) = _in_use(ctx)
    assert "127.0.0.1:6010" in note and ":22" not in note
    quiet = context(tmp_path / "b", ports=(SSHD,), sshd_daemon=daemon, sshd_effective=settings)
    assert _in_use(quiet) == []


def test_a_list_of_nothing_but() -> None:
    ciphers = Expectation(only=["c", "a", "b"], ordered=True)
    assert ciphers.satisfied_by("c,a,b")
    assert ciphers.satisfied_by("c,b")
    assert not ciphers.satisfied_by("a,c")
    assert not ciphers.satisfied_by("c,d")
    assert not ciphers.satisfied_by("")
    assert ciphers.target == "c,a,b"
    assert Expectation(only=["sudo", "web"], set="sudo web").target == "sudo web"
    assert Expectation(only=["a", "b"]).satisfied_by("b a")


def drafted(files: dict[str, str]) -> dict[str, str]:
    tree = tree_of(files)
    return draft(
        "ssh.allow",
        tree,
        lambda overlay: tree_of({**files, **{p: t for p, t in overlay.items() if t is not None}}),
        globally={"AllowGroups": "sudo"},
        in_match={},
        keep={},
    )


def test_lines_that_would_add_to_a_list_become_comments() -> None:
    other = "/etc/ssh/sshd_config.d/10-site.conf"
    files = {
        MAIN: INCLUDE + "AllowGroups staff\nMatch User bob\n AllowGroups bob\n",
        other: "UsePAM yes\nAllowGroups adm\n",
    }
    edits = drafted(files)
    assert edits[OURS].endswith("AllowGroups sudo\n")
    assert edits[MAIN] == INCLUDE + "#AllowGroups staff\nMatch User bob\n AllowGroups bob\n"
    assert edits[other] == "UsePAM yes\n#AllowGroups adm\n"
    after = tree_of({**files, **edits})
    assert [line.value for line in after.of("AllowGroups") if not line.match] == ["sudo"]


def test_without_an_include_the_first_line_says_it_and_the_others_nothing() -> None:
    files = {MAIN: "AllowGroups staff\nUsePAM yes\nAllowGroups adm\n"}
    assert drafted(files) == {MAIN: "AllowGroups sudo\nUsePAM yes\n#AllowGroups adm\n"}


def test_what_sshd_keeps_silent_about() -> None:
    assert _value({}, tree_of({MAIN: ""}), "DebianBanner") == "yes"
    assert _value({}, tree_of({MAIN: "DebianBanner No\n"}), "DebianBanner") == "no"
    assert _value({"debianbanner": "yes"}, tree_of({MAIN: ""}), "DebianBanner") == "yes"
    assert _value({}, tree_of({MAIN: ""}), "AllowGroups") == ""
    assert _value({}, tree_of({MAIN: ""}), "NoSuchOption") is None
