"""The figure of `make fidelity`: counted right, and never 100 % by counting nothing."""

from __future__ import annotations

from tests.fidelity.left_out import left_out, read_besides
from tests.fidelity.outcome import Outcome, as_text, beside, is_complete, page, summary
from tests.hosts.fingerprint import (
    KEPT_FLAGS,
    NOT_THE_HOSTS_UNITS,
    SELF_CHANGING_SYSCTLS,
    differences,
)
from tests.hosts.leftovers import BY_NAME, NOT_THE_HOSTS
from tests.hosts.trials import all_trials

SAME = Outcome(suite="trixie", step="ssh.limits", changed=3)
LEFT = Outcome(
    suite="trixie", step="firewall.ufw", changed=9, left=("names /a: None -> x", "ports b|c")
)
UNKNOWN = Outcome(suite="trixie", step="app.tree", problem="the host did not boot")
LOOKS = Outcome(suite="trixie", step="minimal.ports", only_looks=True)
NOT_HERE = Outcome(suite="trixie", step="audit.auditd", unmeasured="it is a container")


def test_the_figure() -> None:
    assert is_complete([SAME, SAME])
    assert summary([SAME, SAME]).endswith("100 %")
    for outcomes in ([], [SAME, LEFT], [SAME, UNKNOWN]):
        assert not is_complete(outcomes)
    assert summary([SAME, LEFT, UNKNOWN, SAME]) == (
        "2 of 4 measured steps came back identical: 50 %"
    )
    assert summary([SAME] * 299 + [LEFT]).endswith(" 99 %")


def test_what_was_not_measured_is_told_beside_the_figure() -> None:
    assert not is_complete([LOOKS, NOT_HERE])
    outcomes = [SAME, LOOKS, NOT_HERE]
    assert is_complete(outcomes)
    assert summary(outcomes) == "1 of 1 measured steps came back identical: 100 %"
    other = Outcome(suite="bookworm", step="audit.auditd", unmeasured="it is a container")
    assert beside([SAME, other, NOT_HERE]) == [
        "Not measured: audit.auditd (bookworm, trixie), because it is a container"
    ]
    told = page({}, outcomes, {}, {}, {})
    assert "\nNot measured: audit.auditd (trixie), because it is a container.\n" in told
    assert "| audit.auditd | not known: it is a container | not measured here |" in told


def test_every_difference_is_printed() -> None:
    text = as_text([SAME, LEFT, UNKNOWN])
    assert "names /a: None -> x and 1 more" in text and "ports b|c" in text
    assert "NOT MEASURED" in text and "the host did not boot" in text


def test_the_page_names_what_is_left_out() -> None:
    text = page(
        {"Date": "today"},
        [SAME, LEFT],
        {"Names": {"`/var/log/x`": "a log", "`/var/log/y`": "a log"}, "Units": {}},
        {"`/home`": "accounts.homes"},
        {"firewall.ufw": ["log lines"]},
    )
    assert "| trixie | firewall.ufw | names /a: None -> x and 1 more | different |" in text
    assert "\nNames:\n\n- a log: `/var/log/x`, `/var/log/y`\n\nUnits:\n\n- nothing\n" in text
    assert "- `/home`: accounts.homes" in text
    assert "- `firewall.ufw`: log lines." in text
    assert "1 of 2 measured steps came back identical: 50 %" in text


def test_everything_that_is_left_out_is_named() -> None:
    told = page({}, [SAME], left_out(), read_besides(), {})
    every: list[str] = [*BY_NAME, *SELF_CHANGING_SYSCTLS, *NOT_THE_HOSTS_UNITS]
    every += [f"/{name}" for name in NOT_THE_HOSTS]
    every += [pattern for trial in all_trials().values() for pattern in trial.stays]
    assert [name for name in every if f"`{name}`" not in told] == []
    assert f"{KEPT_FLAGS:#x}" in told


def test_what_stays_is_matched_whole() -> None:
    before = {"files": {"/srv/a": "1", "/srv/ab": "1", "/etc/srv/a": "1"}}
    after = {"files": dict.fromkeys(before["files"], "2")}
    assert differences(before, after, {r"/srv/a": "said"}) == [
        "files /etc/srv/a: 1 -> 2",
        "files /srv/ab: 1 -> 2",
    ]
