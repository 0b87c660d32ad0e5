"""Where a setting is written so that it wins: drop-in, deciding line, or main file."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from steps.expectation import Expectation
from steps.resource import StepError
from steps.resources.sshd import Sshd, satisfied
from steps.resources.sshd_draft import draft, drop_in_path, kept_settings
from tests.unit.test_sshd_facts import MAIN, tree_of

STEP = "ssh.key-only"
OURS = "/etc/ssh/sshd_config.d/00-harden-tui-ssh-key-only.conf"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"


def drafted(
    files: dict[str, str],
    globally: Mapping[str, str],
    in_match: Mapping[tuple[str, int], str] | None = None,
) -> dict[str, str]:
    """`draft` on a configuration made of `files`."""
    tree = tree_of(files)
    return draft(
        STEP,
        tree,
        lambda overlay: tree_of({**files, **{p: t for p, t in overlay.items() if t is not None}}),
        globally=globally,
        in_match=in_match or {},
        keep=kept_settings(tree, STEP),
    )


def after(files: dict[str, str], edits: dict[str, str], option: str) -> str:
    """The value that decides once the edits are made."""
    deciding = tree_of({**files, **edits}).deciding(option)
    return deciding.value if deciding else ""


def test_the_drop_in_beats_cloud_init() -> None:
    files = {
        MAIN: INCLUDE,
        "/etc/ssh/sshd_config.d/50-cloud-init.conf": "PasswordAuthentication yes\n",
    }
    edits = drafted(files, {"PasswordAuthentication": "no"})
    assert list(edits) == [OURS] == [drop_in_path(STEP)]
    assert after(files, edits, "PasswordAuthentication") == "no"


@pytest.mark.parametrize(
    ("files", "edited"),
    [
        (
            {MAIN: INCLUDE, "/etc/ssh/sshd_config.d/00-aaa.conf": "PasswordAuthentication yes\n"},
            "/etc/ssh/sshd_config.d/00-aaa.conf",
        ),
        ({MAIN: "PasswordAuthentication yes\n" + INCLUDE}, MAIN),
        ({MAIN: "UsePAM yes\nPasswordAuthentication yes\n"}, MAIN),
        ({MAIN: "UsePAM yes\nMatch User bob\nX11Forwarding no\n"}, MAIN),
        ({MAIN: "UsePAM yes\nMatch User bob\n" + INCLUDE}, MAIN),
    ],
)
def test_where_a_drop_in_loses_the_deciding_line_is_edited(
    files: dict[str, str], edited: str
) -> None:
    edits = drafted(files, {"PasswordAuthentication": "no"})
    assert list(edits) == [edited]
    assert after(files, edits, "PasswordAuthentication") == "no"


def test_match_lines_are_edited_in_place() -> None:
    files = {MAIN: INCLUDE + "Match User bob\n  PasswordAuthentication yes\n  MaxSessions 3\n"}
    edits = drafted(files, {"PasswordAuthentication": "no"}, {(MAIN, 3): "no"})
    assert edits[MAIN] == INCLUDE + "Match User bob\n  PasswordAuthentication no\n  MaxSessions 3\n"
    assert after(files, edits, "PasswordAuthentication") == "no"


def test_what_the_drop_in_decided_before_stays_in_it() -> None:
    files = {MAIN: INCLUDE, OURS: "PasswordAuthentication no\n"}
    edits = drafted(files, {"KbdInteractiveAuthentication": "no"})
    assert after(files, edits, "PasswordAuthentication") == "no"
    assert after(files, edits, "KbdInteractiveAuthentication") == "no"


@pytest.mark.parametrize(
    ("value", "good"),
    [("10:30:60", True), ("5:50:20", True), ("10:30:100", False), ("10:10:60", False), ("9", True)],
)
def test_stricter_start_limits_are_left_alone(value: str, good: bool) -> None:
    assert satisfied("MaxStartups", Expectation.of({"is": "10:30:60"}), value) is good


def test_without_password_is_the_old_name_of_prohibit_password() -> None:
    wanted = Expectation.of({"one-of": ["no", "without-password"]})
    assert satisfied("PermitRootLogin", wanted, "prohibit-password")
    assert not satisfied("PermitRootLogin", wanted, "yes")


@pytest.mark.parametrize("body", [{}, [], {"Permit Root": "no"}, None])
def test_a_bad_body_is_refused(body: object) -> None:
    with pytest.raises(StepError):
        Sshd.parse("ssh.x", body)
