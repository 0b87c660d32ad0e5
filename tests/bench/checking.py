"""A whole check against the two auditors that Debian ships."""

from __future__ import annotations

from statistics import median

from steps.catalog_load import built_in
from tests.bench.figures import Row, at_most, faster, in_turn
from tests.bench.hosts import BenchHost, give

CHECK = ("harden-tui", "check", "--checklist", "i-doit", "--format", "json")
CONTENT = "/srv/ssg-debian12-ds.xml"
PROFILE = "xccdf_org.ssgproject.content_profile_anssi_bp28_enhanced"


def measure(host: BenchHost, rounds: int) -> list[Row]:
    """Three programs on one host, in turn."""
    host.add("lynis", "openscap-scanner", "openscap-common")
    # Only trixie's package has the content for Debian 12, which is the newest there is.
    give(host, "trixie", "ssg-debian", "ssg-debian12-ds.xml", CONTENT)

    def ours() -> float:
        return host.seconds(*CHECK, ok=(1,))

    def lynis() -> float:
        return host.seconds("lynis", "audit", "system", "--quick", "--no-colors")

    def oscap() -> float:
        # 2: some rule fails, which is what an audit finds
        return host.seconds("oscap", "xccdf", "eval", "--profile", PROFILE, CONTENT, ok=(0, 2))

    _, checklists = built_in()
    steps = len(checklists["i-doit"].choices)
    ours()
    mine, their_lynis, their_oscap = in_turn(rounds, ours, lynis, oscap)
    return [
        at_most(f"check of the {steps} steps for i-doit", median(mine), "s", 1.5),
        faster("… against lynis audit system --quick", mine, their_lynis, 30),
        faster("… against oscap xccdf eval, ANSSI enhanced", mine, their_oscap),
    ]
