"""The whole checklist applied from the screen, over SSH, on a real host; and some of it undone."""

from __future__ import annotations

import json

import pytest

from tests.hosts.answers import wrong
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, TWELVE, furnish, harden, statuses
from tests.hosts.screen import Screen

CHECKLIST = "/etc/harden-tui/checklists.d/twelve.yaml"


def _twelve(host: LabHost) -> None:
    """A checklist of the site: one step of every kind."""
    tree = "{owner: www-data:www-data, writable: [log, imports, temp, upload]}"
    steps = [f"  - {{id: {step}, set: {tree}}}" if step == "app.tree" else f"  - {step}"
             for step in TWELVE]  # fmt: skip
    head = ["name: twelve", "title: Twelve steps", "description: For this test.", "steps:"]
    host.write(CHECKLIST, "\n".join([*head, *steps]) + "\n")


def _apply_chosen(screen: Screen, step: str) -> None:
    """Go to the next open step, which must be `step`, and apply it."""
    screen.wait(rf"▸ ✗ open +{step}")
    screen.keys("a")
    # The diff or the commands are in sight when it asks.
    screen.wait(rf"Apply: {step}[\s\S]*(\+\+\+|\$ )[\s\S]*\[ Cancel \]", 60)
    screen.keys("Right")
    if "type the word apply" in screen.text():  # what can lock out, or cannot come back
        screen.type("apply")
    screen.keys("Enter")
    _ended(screen, step, f"Applied and proved: {step}")
    screen.wait(rf"✓ pass +{step}")


def _ended(screen: Screen, step: str, words: str) -> None:
    """Until it ended well; what is guarded is confirmed from the second terminal meanwhile."""
    screen.wait(rf"{words}|Kept: (undo of )?{step}", 240)
    if "Kept:" in screen.text():
        screen.keys("Enter")
        screen.wait(words)
    screen.keys("Escape")


@pytest.mark.parametrize(("columns", "rows"), [(80, 24)])
def test_the_whole_checklist_from_the_screen(host: LabHost, columns: int, rows: int) -> None:
    furnish(host)
    _twelve(host)
    first = fingerprint(host, APP)
    with Screen(host, "harden-tui --checklist twelve", columns, rows) as screen:
        screen.wait("0 of 12 done", 60)
        for number, step in enumerate(TWELVE, 1):
            _apply_chosen(screen, step)
            screen.wait(f"{number} of 12 done")
            screen.keys("n")
        assert {step: wrong(host, step) for step in TWELVE if wrong(host, step)} == {}
        assert host.can_log_in()

        screen.keys("3")
        screen.wait("12 transactions")
        screen.keys("1", "Home")
        screen.wait("▸ ✓ pass +ssh.root-login")
        screen.keys("u")
        screen.wait(r"[\s\S]*\[ Cancel \]")
        screen.keys("Right", "Enter")
        _ended(screen, "ssh.root-login", "Undone: ssh.root-login")
        screen.wait("▸ ✗ open +ssh.root-login")
        screen.keys("q")
        screen.wait("the program ended with 0")
    assert wrong(host, "ssh.root-login") != []
    again = statuses(host, *TWELVE)
    assert [step for step in TWELVE if again[step] != "pass"] == ["ssh.root-login"]
    harden(host, "rollback", "--all", "--yes")
    assert differences(first, fingerprint(host, APP)) == []


def test_closed_line_and_the_next_start(host: LabHost) -> None:
    """The terminal is torn away while a change runs; the next screen says how it ended."""
    furnish(host)
    _twelve(host)
    with Screen(host, "harden-tui --checklist twelve") as screen:
        screen.wait("0 of 12 done", 60)
        screen.keys("/")
        screen.type("ufw")
        screen.keys("Enter")
        screen.wait("▸ ✗ open +firewall.ufw")
        screen.keys("a")
        screen.wait(r"Apply: firewall.ufw[\s\S]*\$ [\s\S]*\[ Cancel \]", 60)
        screen.keys("Right")
        screen.type("apply")
        screen.keys("Enter")
        screen.wait(r"^Apply firewall.ufw [\s\S]*(✓ |\$ )", 60)
    host.run("sh", "-c", "for i in $(seq 600); do pgrep -f '[t]ui/worker.py' >/dev/null"
                         " || break; sleep 0.2; done")  # fmt: skip
    records = json.loads(harden(host, "history", "list", "--format", "json").stdout)["transactions"]
    assert [record["status"] for record in records] == ["committed"]
    with Screen(host, "harden-tui --checklist twelve", 120, 40) as screen:
        screen.wait("finished while away: done", 60)
        screen.keys("q")
