"""Parsers of what accounts, PAM and sudo are configured with, on real files of both releases."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.facts import login_defs, pam_files, pwquality
from host.facts.local_accounts import parse_local_accounts
from host.facts.login_defs import parse_login_defs
from host.facts.pam_files import parse_pam, with_arguments
from host.facts.pwquality import Pwquality, in_order, parse_pwquality
from host.facts.shell_umask import parse_umasks
from host.facts.sudo_defaults import parse_defaults, parse_matching, read_sudoers
from host.facts.useradd_defaults import parse_inactive
from steps.resources.umask import effective
from tests.unit.given import RELEASES, recorded

LINES = st.text(alphabet='ab=:#\\ \t\n[]"!,@>Defaults-0x7useryptpam_', max_size=200)


@pytest.mark.parametrize("release", RELEASES)
def test_accounts_with_their_lines(release: str) -> None:
    passwd = recorded(release, "accounts/passwd")
    accounts = parse_local_accounts(passwd, recorded(release, "accounts/shadow"))
    assert accounts["alice"].password == "usable"
    assert accounts["root"].origin == "/etc/passwd:1"
    assert accounts["root"].password_origin == "/etc/shadow:1"
    assert accounts["www-data"].password == "locked"
    assert (accounts["alice"].uid, accounts["alice"].maximum_days) == (1000, 99999)
    number = int(accounts["alice"].origin.rpartition(":")[2])
    assert passwd.splitlines()[number - 1].startswith("alice:")


@pytest.mark.parametrize(
    ("passwd", "shadow", "state"),
    [
        ("x", "", "empty"),
        ("x", "!", "locked"),
        ("x", "!$y$j9T$a$b", "locked"),
        ("x", "*", "locked"),
        ("x", "$y$j9T$a$b", "usable"),
        ("", "$y$j9T$a$b", "empty"),
        ("ab12", "", "usable"),
    ],
)
def test_whether_a_password_works(passwd: str, shadow: str, state: str) -> None:
    found = parse_local_accounts(
        f"joe:{passwd}:1000:1000::/home/joe:/bin/sh\n", f"joe:{shadow}:20000:0:99999:7:::\n"
    )
    assert found["joe"].password == state


def test_an_account_without_a_line_in_shadow_has_no_password_that_works() -> None:
    assert parse_local_accounts("joe:x:1:1::/:/bin/sh", "")["joe"].password == "locked"


@pytest.mark.parametrize("release", RELEASES)
def test_the_line_of_pam_unix_is_edited_as_pam_auth_update_writes_it(release: str) -> None:
    text = recorded(release, "accounts/common-auth")
    line = next(one for one in parse_pam("common-auth", text) if one.module == "pam_unix.so")
    assert (line.type, line.arguments) == ("auth", ("nullok",))
    new = pam_files.edited(text, line, with_arguments(line.arguments, ["nullok"], {}))
    changed = [(a, b) for a, b in zip(text.split("\n"), new.split("\n"), strict=True) if a != b]
    assert changed == [
        (
            "auth\t[success=1 default=ignore]\tpam_unix.so nullok",
            "auth\t[success=1 default=ignore]\tpam_unix.so ",
        )
    ]


def test_a_value_of_a_module_is_replaced_where_it_stands() -> None:
    words = ("obscure", "rounds=5", "yescrypt", "rounds=6")
    assert with_arguments(words, [], {"rounds": "7"}) == ["obscure", "rounds=7", "yescrypt"]


def test_lines_of_pam_that_go_on_and_that_are_none() -> None:
    text = (
        "# x\n@include common-auth\nauth required \\\n  pam_unix.so \\\n  nullok # y\n\n"
        "-session optional pam_a.so\n"
    )
    lines = parse_pam("f", text)
    assert [(one.number, one.module, one.arguments, one.is_split) for one in lines] == [
        (3, "pam_unix.so", ("nullok",), True),
        (7, "pam_a.so", (), False),
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_login_defs_are_changed_in_place_and_the_rest_stays(release: str) -> None:
    text = recorded(release, "accounts/login.defs")
    defs = parse_login_defs(text)
    assert defs.number("UID_MIN", 0) == 1000
    new = login_defs.edited(defs, {"PASS_MAX_DAYS": "365", "SHA_CRYPT_MIN_ROUNDS": "65536"})
    assert parse_login_defs(new).value("PASS_MAX_DAYS") == "365"
    assert new.endswith("SHA_CRYPT_MIN_ROUNDS\t65536\n")
    differs = [a for a in new.splitlines() if a not in text.splitlines()]
    assert len(differs) == 2


@pytest.mark.parametrize("release", RELEASES)
def test_the_umask_of_a_stock_debian(release: str) -> None:
    lines = parse_pam("common-session", recorded(release, "accounts/common-session"))
    mask, _ = effective(lines, parse_login_defs(recorded(release, "accounts/login.defs")))
    assert mask == {"bookworm": None, "trixie": 0o002}[release]


@pytest.mark.parametrize(
    ("arguments", "defs", "mask"),
    [
        ("umask=0027", "", 0o027),
        ("umask=0027", "USERGROUPS_ENAB yes\n", 0o007),
        ("nousergroups umask=0027", "USERGROUPS_ENAB yes\n", 0o027),
        ("usergroups umask=0027", "", 0o007),
        ("", "UMASK 077\n", 0o077),
        ("umask=zz", "", None),
    ],
)
def test_what_decides_about_a_umask(arguments: str, defs: str, mask: int | None) -> None:
    lines = parse_pam("s", f"session optional pam_umask.so {arguments}\n")
    assert effective(lines, parse_login_defs(defs))[0] == mask


def test_the_last_file_of_pwquality_counts() -> None:
    texts = {
        path: {"50-a.conf": "minlen = 20\n", "60-b.conf": "minlen=10\nenforce_for_root\n"}.get(
            path.rpartition("/")[2], "# minlen = 8\nminlen = 17 # so\n"
        )
        for path in in_order(["60-b.conf", "50-a.conf", "README"])
    }
    quality = Pwquality(texts)
    deciding = quality.deciding("minlen")
    assert deciding is not None
    assert (deciding.value, deciding.origin) == ("17", "/etc/security/pwquality.conf:2")
    root = quality.deciding("enforce_for_root")
    assert root is not None and root.value == "yes"
    text = texts[deciding.file]
    assert "minlen = 15" in pwquality.with_value(text, deciding, "15")


@pytest.mark.parametrize("release", RELEASES)
def test_what_sudo_says_of_itself(release: str) -> None:
    holding = parse_matching(recorded(release, "accounts/sudo-root.txt"))
    assert holding is not None
    assert holding["use_pty"] == ""
    assert holding["secure_path"] == (
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )
    head = "Matching Defaults entries for root on h:\n"
    later = f"{head}    use_pty, logfile=/a\\:b, !use_pty, logfile=/c\n"
    assert parse_matching(later) == {"logfile": "/c"}
    assert parse_matching("User root is not allowed to run sudo on h.\n") is None


@pytest.mark.parametrize("release", RELEASES)
def test_the_lines_of_sudoers_in_the_order_sudo_reads_them(release: str) -> None:
    texts = {
        "/etc/sudoers": recorded(release, "accounts/sudoers") + "Defaults !use_pty\n",
        "/etc/sudoers.d/10-log": "Defaults logfile=/var/log/a\\,b, !env_reset\n",
        "/etc/sudoers.d/README.x": "Defaults use_pty\n",
    }
    lines, read = read_sudoers(texts.get, lambda place: ["README.x", "10-log"])
    assert "/etc/sudoers.d/README.x" not in read
    ptys = [(line.negated, line.origin) for line in lines if line.key == "use_pty"]
    assert [negated for negated, _ in ptys] == [False, True]
    log = next(line for line in lines if line.key == "logfile")
    assert (log.value, log.origin) == ("/var/log/a,b", "/etc/sudoers.d/10-log:1")
    last = next(line for line in lines if line.negated and line.key == "use_pty")
    assert lines.index(log) < lines.index(last)


def test_settings_of_sudo_that_hold_for_some_only() -> None:
    found = parse_defaults('Defaults:alice,bob !use_pty, logfile="/var/log/x y"', "f:1")
    assert [(one.key, one.value, one.negated, one.bound) for one in found] == [
        ("use_pty", "", True, ":alice,bob"),
        ("logfile", "/var/log/x y", False, ":alice,bob"),
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_when_new_accounts_are_closed(release: str) -> None:
    text = recorded(release, "accounts/useradd")
    assert parse_inactive(text)[0] == -1
    days, origin = parse_inactive(text + "INACTIVE=45\n")
    assert (days, origin) == (45, f"/etc/default/useradd:{len(text.splitlines()) + 1}")


def test_umasks_of_shells() -> None:
    text = "# umask 022\nif true; then\n\tumask 0002 # so\nfi\numask 027\numask -S\n"
    assert parse_umasks("/p", text) == [("/p:3", 0o002), ("/p:5", 0o027)]


@settings(max_examples=150, deadline=None)
@given(LINES, LINES)
def test_no_text_makes_a_parser_fail(one: str, other: str) -> None:
    parse_local_accounts(one, other)
    for line in parse_pam("f", one):
        if not line.is_split:
            again = pam_files.edited(one, line, ["x=1"])
            assert len(again.split("\n")) == len(one.split("\n"))
    defs = parse_login_defs(one)
    defs.number("a", 1)
    assert parse_login_defs(login_defs.edited(defs, {"UMASK": "027"})).value("UMASK") == "027"
    parse_pwquality("f", one)
    parse_matching(one)
    parse_inactive(one)
    parse_umasks("f", one)
    read_sudoers(lambda path: one, lambda place: [re.sub(r"\W", "", other)[:8] or "a"])
