"""sshd's own answers, recorded on both releases, and its configuration read as it reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.facts.sshd import (
    Daemon,
    fits,
    parse_arguments,
    parse_default_options,
    parse_effective,
    parse_origins,
    parse_properties,
    said,
)
from host.facts.sshd_tree import Tree, inserted_line, parse_tree, replaced_line, split_line

RECORDED = Path(__file__).parent / "recorded"
CLOUD_INIT = "/etc/ssh/sshd_config.d/50-cloud-init.conf"
MAIN = "/etc/ssh/sshd_config"

suites = pytest.mark.parametrize("suite", ["bookworm", "trixie"])


def tree_of(files: dict[str, str]) -> Tree:
    """The configuration made of `files` (path to text)."""

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return parse_tree(MAIN, read, lambda pattern: [path for path in files if fits(path, pattern)])


def recorded(suite: str, name: str) -> str:
    return (RECORDED / suite / "sshd" / name).read_text(encoding="utf-8")


@suites
def test_effective_settings(suite: str) -> None:
    settings = parse_effective(recorded(suite, "T.txt"))
    assert settings["passwordauthentication"] == "yes"
    assert settings["permitrootlogin"] == "without-password"
    assert settings["maxstartups"] == "10:30:100"
    assert settings["acceptenv"].startswith("LANG LC_*")
    assert settings["authorizedkeysfile"] == ".ssh/authorized_keys .ssh/authorized_keys2"


@suites
def test_our_reading_agrees_with_sshd_about_every_origin(suite: str) -> None:
    """What sshd says it set, and from which line, is what the tree says decides."""
    origins = parse_origins(recorded(suite, "ddd-T.txt"))
    tree = tree_of(
        {MAIN: recorded(suite, "sshd_config"), CLOUD_INIT: "PasswordAuthentication yes\n"}
    )
    assert origins["passwordauthentication"] == f"{CLOUD_INIT}:1"
    ours: dict[str, str] = {}
    for directive in tree.directives:
        if not directive.match and directive.option != "include":
            ours.setdefault(directive.option, directive.origin)
    assert ours == origins


@suites
def test_a_match_block_is_an_override_with_its_line(suite: str) -> None:
    tree = tree_of({MAIN: recorded(suite, "sshd_config")})
    (override,) = tree.overrides("PasswordAuthentication")
    last = len(recorded(suite, "sshd_config").splitlines())
    assert (override.match, override.value, override.line) == ("User bob", "yes", last)


@suites
def test_the_daemon_s_command_line(suite: str) -> None:
    service, socket = parse_properties(recorded(suite, "systemctl-show.txt"))
    assert (service["ActiveState"], socket["ActiveState"]) == ("active", "inactive")
    assert parse_arguments(service["ExecStart"], "") == ()
    assert parse_arguments(service["ExecStart"], "-p 2222 -o 'MaxAuthTries 2' -4") == (
        "-p", "2222", "-o", "MaxAuthTries 2", "-4",
    )  # fmt: skip


def test_options_of_the_defaults_file() -> None:
    text = '# Options to pass to sshd\nSSHD_OPTS=\nSSHD_OPTS="-o PasswordAuthentication=yes" # x\n'
    assert parse_default_options(text) == "-o PasswordAuthentication=yes"
    daemon = Daemon(state="running", arguments=parse_arguments("", "-f/srv/sshd -oPort=3"))
    assert (daemon.main_file, daemon.options) == ("/srv/sshd", ("-o", "Port=3"))


def test_what_sshd_complains_of_is_its_first_sentence() -> None:
    stderr = (
        "debug1: reading\n/etc/ssh/sshd_config: line 3: Bad configuration option: Nonsense\n"
        "/etc/ssh/sshd_config: terminating, 1 bad configuration options\n"
    )
    assert said(stderr) == "/etc/ssh/sshd_config: line 3: Bad configuration option: Nonsense"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PermitRootLogin no", ("permitrootlogin", "no")),
        ("\tpermitrootlogin=no", ("permitrootlogin", "no")),
        ("PermitRootLogin = no  # never", ("permitrootlogin", "no")),
        ('Banner "/etc/is#sue"', ("banner", '"/etc/is#sue"')),
        ("ChallengeResponseAuthentication yes", ("kbdinteractiveauthentication", "yes")),
        ("# PermitRootLogin no", None),
        ("   ", None),
    ],
)
def test_lines(line: str, expected: tuple[str, str] | None) -> None:
    assert split_line(line) == expected


def test_a_match_in_an_included_file_ends_with_that_file() -> None:
    """Tried with both daemons: what follows the Include is for everyone again."""
    tree = tree_of(
        {
            MAIN: "Include /etc/ssh/sshd_config.d/*.conf\nMaxSessions 5\n"
            "Match User carol\nInclude extra\n MaxAuthTries 2\n",
            "/etc/ssh/sshd_config.d/10-m.conf": "Match User bob\nMaxSessions 7\n",
            "/etc/ssh/extra": "Match Address 192.0.2.4\nMaxAuthTries 4\n",
        }
    )
    deciding = tree.deciding("MaxSessions")
    assert deciding is not None and deciding.origin == f"{MAIN}:2"
    assert [(d.match, d.value) for d in tree.overrides("MaxAuthTries")] == [
        ("User carol and Address 192.0.2.4", "4"),
        ("User carol", "2"),
    ]


def test_a_replaced_line_keeps_its_place_and_the_rest() -> None:
    text = "Match User bob\n\tPermitRootLogin=yes # why\r\nX yes"
    assert replaced_line(text, 2, "no") == "Match User bob\n\tPermitRootLogin no\r\nX yes"


def test_an_inserted_line_is_never_inside_a_trailing_match() -> None:
    assert inserted_line(
        "#PermitRootLogin yes\nUsePAM yes\nMatch all\n", "PermitRootLogin", "no"
    ) == ("#PermitRootLogin yes\nPermitRootLogin no\nUsePAM yes\nMatch all\n")
    assert inserted_line("UsePAM yes\nMatch User b\n#MaxSessions 3\n", "MaxSessions", "2") == (
        "UsePAM yes\nMaxSessions 2\nMatch User b\n#MaxSessions 3\n"
    )
    assert inserted_line("UsePAM yes", "MaxSessions", "2") == "UsePAM yes\nMaxSessions 2\n"


def test_an_sshd_that_its_socket_started_must_not_be_reloaded() -> None:
    assert Daemon(state="running").refresh == "reload"
    assert Daemon(state="running", by_socket=True).refresh == "restart"
