"""Rules that others added to a chain which a step made: they stay, or a person is asked."""

from __future__ import annotations

import pytest

from snapshots.captured import Captured
from snapshots.chains import rules_of_others
from snapshots.decision import Decision, Kept
from snapshots.inverse import Contents
from snapshots.inversion import Inversion
from snapshots.invert import invert
from snapshots.model import (
    UNRESOLVED,
    Delta,
    Item,
    Resolution,
    Resolutions,
    TransactionRecord,
    ValueItem,
)

TABLE, INPUT, USER = "ip filter", "ip filter INPUT", "ip filter ufw-user-input"
MADE: dict[str, str] = {
    TABLE: "iptables",
    INPUT: "policy DROP\n-A INPUT -j ufw-user-input",
    USER: "-A ufw-user-input -p tcp --dport 22 -j ACCEPT",
}
MINE = "-A INPUT -s 203.0.113.9/32 -j DROP"
OPENED = "-A ufw-user-input -p tcp --dport 8080 -j ACCEPT"


def undo(
    now: dict[str, str | None],
    resolutions: Resolutions = UNRESOLVED,
    packages: tuple[str, ...] = ("ufw",),
    made: dict[str, str] = MADE,
) -> Inversion:
    """`now`: what is otherwise than the step made it; `packages`: what came with the step."""
    there = {key: value for key, value in {**made, **now}.items() if value is not None}
    installed = ValueItem("1;manual")
    current: Captured = {
        "files": {},
        "firewall": {key: ValueItem(value) for key, value in there.items()},
        "packages": dict.fromkeys(packages, installed),
    }
    deltas = [Delta("firewall", key, None, ValueItem(value)) for key, value in made.items()]
    deltas += [Delta("packages", name, None, installed) for name in packages]
    record = TransactionRecord(
        id="1", kind="apply", steps=("one",), title="", status="committed", started=""
    )
    return invert(
        record, deltas, [], current, Contents(lambda _: b""), kept=Kept(), resolutions=resolutions
    )


def of(inversion: Inversion, key: str) -> Decision:
    return next(one for one in inversion.decisions if one.delta.key == key)


def added(key: str, rule: str) -> dict[str, str | None]:
    return {key: f"{MADE[key]}\n{rule}"}


def test_an_undo_right_after_the_step_asks_nothing() -> None:
    inversion = undo({})
    assert {one.how for one in inversion.decisions} == {"restore"}
    assert inversion.target()["firewall"] == {}


def test_a_rule_added_since_stays_in_a_chain_of_the_kernel() -> None:
    inversion = undo(added(INPUT, MINE))
    assert inversion.conflicts == []
    assert of(inversion, INPUT).how == "merge" and "stay" in of(inversion, INPUT).note
    assert of(inversion, TABLE).how == "already"
    assert inversion.target()["firewall"] == {
        TABLE: ValueItem("iptables"),
        INPUT: ValueItem(f"policy ACCEPT\n{MINE}"),
    }


def test_a_rule_is_asked_about_where_the_program_of_the_packet_filter_goes() -> None:
    now = added(INPUT, MINE)
    inversion = undo(now, packages=("ufw", "iptables"))
    assert inversion.conflicts == [INPUT]
    decision = of(inversion, INPUT)
    assert set(decision.cannot) == {"keep-current", "merge"}
    assert "apt-mark manual iptables" in decision.cannot["merge"]
    assert decision.clashes[0].found == ValueItem(f"{MADE[INPUT]}\n{MINE}")
    for choice in ("keep-current", "merge"):
        assert undo(now, Resolutions(choice), ("iptables",)).conflicts == [INPUT]
    given_up = undo(now, Resolutions("restore"), ("iptables",))
    assert given_up.conflicts == [] and given_up.chosen == {INPUT: "restore"}
    assert given_up.target()["firewall"] == {}


def test_a_rule_of_ufw_itself_is_asked_about() -> None:
    """Once ufw's own rules are gone nothing leads to it: it would be there, but not in force."""
    inversion = undo(added(USER, OPENED))
    assert inversion.conflicts == [USER]
    assert "not be in force" in of(inversion, USER).cannot["keep-current"]
    assert undo(added(USER, OPENED), Resolutions("restore")).target()["firewall"] == {}


def test_a_chain_that_a_rule_of_others_leads_to_keeps_what_they_added() -> None:
    leads = "-A INPUT -i eth1 -j ufw-user-input"
    inversion = undo({**added(INPUT, leads), **added(USER, OPENED)})
    assert inversion.conflicts == []
    left = inversion.target()["firewall"]
    assert left[USER] == ValueItem(OPENED)
    assert left[INPUT] == ValueItem(f"policy ACCEPT\n{leads}")


def test_a_rule_that_leads_to_a_chain_that_goes_cannot_stay() -> None:
    inversion = undo(added(INPUT, "-A INPUT -i eth1 -g ufw-user-input"))
    assert inversion.conflicts == [INPUT]
    assert "ufw-user-input, which goes" in of(inversion, INPUT).cannot["merge"]


def test_a_rule_in_place_of_another_is_asked_about_and_can_be_merged() -> None:
    now: dict[str, str | None] = {INPUT: f"policy DROP\n{MINE}"}
    assert undo(now).conflicts == [INPUT]
    merged = undo(now, Resolutions("merge"))
    assert of(merged, INPUT).chosen == "merge"
    assert merged.target()["firewall"][INPUT] == ValueItem(f"policy ACCEPT\n{MINE}")
    kept = undo(now, Resolutions("keep-current"))
    assert of(kept, INPUT).how == "kept"
    assert kept.target()["firewall"][INPUT] == ValueItem(f"policy DROP\n{MINE}")


@pytest.mark.parametrize("choice", ["keep-current", "merge"])
def test_what_only_one_way_cannot_do_is_refused_for_that_way(choice: Resolution) -> None:
    now: dict[str, str | None] = {INPUT: MADE[INPUT].replace("DROP", "ACCEPT"), USER: OPENED}
    inversion = undo(now, Resolutions(choice))
    assert inversion.conflicts == [USER]


def test_a_chain_of_nft_is_asked_about() -> None:
    chain = "inet site input"
    made = {"inet site": "nft", chain: "\tchain input {\n\t\ttype filter hook input\n\t}"}
    dropping = made[chain].replace("\n\t}", "\n\t\tdrop\n\t}")
    now: dict[str, str | None] = {chain: dropping}
    inversion = undo(now, made=made)
    assert inversion.conflicts == [chain]
    assert set(of(inversion, chain).cannot) == {"merge"}
    assert undo(now, Resolutions("keep-current"), made=made).target()["firewall"] == {
        "inet site": ValueItem("nft"),
        chain: ValueItem(dropping),
    }
    assert undo(now, packages=("nftables",), made=made).conflicts == [chain]


def value(text: str) -> Item:
    return ValueItem(text)


@pytest.mark.parametrize(
    ("now", "rest", "is_sure"),
    [
        ("policy DROP\n-A I -j b\n-A I -j a", None, True),
        ("policy DROP\n-A I -j a", None, True),
        ("policy ACCEPT\n-A I -j a\n-A I -j b", None, True),
        ("policy DROP\n-A I -j a\n-A I -j a\n-A I -j b", "policy ACCEPT\n-A I -j a", True),
        ("policy DROP\n-A I -j a\n-A I -j c", "policy ACCEPT\n-A I -j c", False),
        ("policy DROP\n-A I -j c\n-A I -j a\n-A I -j b", "policy ACCEPT\n-A I -j c", True),
    ],
)
def test_what_is_left_of_a_chain(now: str, rest: str | None, is_sure: bool) -> None:
    made = value("policy DROP\n-A I -j a\n-A I -j b")
    assert rules_of_others(made, value(now)) == (rest and value(rest), is_sure)


def test_a_policy_that_others_set_stays() -> None:
    made, now = value("policy ACCEPT"), value("policy DROP\n-A FORWARD -j DOCKER-USER")
    assert rules_of_others(made, now) == (now, True)
