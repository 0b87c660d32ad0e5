"""The packages that an undo brings and takes away, and those that apt brings with them."""

from __future__ import annotations

from collections.abc import Mapping

from snapshots import fitting
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.decision import Decision
from snapshots.domains.packages import Package
from snapshots.inversion import Inversion
from snapshots.model import Delta, ValueItem

ALONG = "what comes back needs it; it comes from the host's sources, marked as automatic"


def coming(inversion: Inversion) -> dict[str, str]:
    """The packages the undo installs, with their versions."""
    found = {}
    for decision in inversion.decisions:
        if decision.delta.domain == "packages" and decision.changes:
            now, goal = Package.of(inversion.now(decision.delta)), Package.of(decision.target)
            if goal is not None and (now is None or goal.version != now.version):
                found[decision.delta.key] = goal.version
    return found


def leaving(inversion: Inversion, current: Captured) -> dict[str, str]:
    """The packages the undo takes away, with their present versions."""
    found = {}
    for decision in inversion.decisions:
        if decision.delta.domain == "packages" and decision.changes:
            now = Package.of(current["packages"].get(decision.delta.key))
            goal = Package.of(decision.target)
            if now is not None and (goal is None or goal.version != now.version):
                found[decision.delta.key] = now.version
    return found


NFT = "nftables"


def leaves_tables_unread(inversion: Inversion, current: Captured) -> str:
    """Why `nftables`, which goes, has to stay, in sentences; "" where it may go.

    A table of somebody else could be read, saved and put back by nothing any more.
    """
    if NFT not in leaving(inversion, current) or NFT in coming(inversion):
        return ""
    then = inversion.target("firewall").get("firewall", {})
    tables = sorted(
        key
        for key, item in then.items()
        if key.count(" ") == 1 and isinstance(item, ValueItem) and item.value.startswith("nft")
    )
    if not tables:
        return ""
    return (
        f"nftables came with it and would go, and nothing could read the table {tables[0]} any"
        " more, which somebody else made; nothing was touched. Keep nftables (`apt-mark hold"
        f" nftables`) or delete the table (`nft delete table {tables[0]}`), then undo again."
    )


def take_along(
    keeper: Keeper,
    inversion: Inversion,
    current: Captured,
    earlier: Mapping[str, str] | None = None,
) -> str:
    """Decide for what apt installs with the packages that come back; why it cannot, or "".

    Else it would be taken for a stranger's and purged again, under those that need it. `earlier`:
    what undos planned before this one bring, so that apt takes it for there.
    """
    mine = coming(inversion)
    if not mine:
        return ""
    going = leaving(inversion, current)
    together = {name: v for name, v in (earlier or {}).items() if name not in going}
    fit = fitting.fit(keeper.host, keeper.debs, {**together, **mine}, going.keys())
    for name, version in sorted(fit.besides.items()):
        now = current["packages"].get(name)
        there = Package.of(now)
        if there is not None and there.version == version:
            continue  # an undo planned before this one brings it
        goal = Package(version, there.mark, there.flags) if there else Package(version, "auto")
        delta = Delta("packages", name, goal.item(), now)
        inversion.decisions.append(Decision(delta, "restore", goal.item(), ALONG))
        inversion.besides[name] = version
    return fit.why
