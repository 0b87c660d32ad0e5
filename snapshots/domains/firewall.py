"""The packet filter: what the kernel enforces, not what a configuration file says.

Keys are "family table" (that it exists, and who speaks its language: `iptables`, `nft` or
`unknown`) and "family table chain" (policy and rules; sets and the like as "kind:name").
What exists is asked of the kernel itself, so that a host without iptables and nft is captured
too. Tables of the older `iptables-legacy` are not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from host.base import FirewallTable, Host, HostError
from snapshots.domains import firewall_iptables as iptables
from snapshots.domains import firewall_nft as nft
from snapshots.domains.base import Domain, Scope
from snapshots.model import DomainName, Item, ValueItem
from snapshots.progress import Progress

UNKNOWN = "unknown"


class _Wanted(msgspec.Struct):
    """What shall become of one table. `existence` is `None` where it must not exist."""

    mentioned: bool = False
    existence: str | None = None
    parts: dict[str, str | None] = {}

    @property
    def must_go(self) -> bool:
        return self.mentioned and self.existence is None


class Firewall(Domain):
    name: ClassVar[DomainName] = "firewall"

    def capture(self, host: Host, scope: Scope) -> dict[str, Item]:
        """Every table, chain and set. Without a program to read a table it is `unknown`.

        fail2ban's tables, chains, jumps and bans are left out; so are tables of iptables that
        hold nothing and that no program on the host manages. Raises `HostError`.
        """
        items: dict[str, Item] = {}
        tables = host.firewall_tables()
        saved = _saved(host, tables)
        for table in tables:
            prefix = f"{table.family} {table.name}"
            if table.name.startswith("f2b-") or _left_behind(host, table):
                continue
            chains = saved.get((table.family, table.name))
            if chains is not None:
                own = iptables.without_fail2ban(chains)
                if own:
                    items[prefix] = ValueItem("iptables")
                for name, chain in own.items():
                    items[f"{prefix} {name}"] = ValueItem(chain.to_text())
                continue
            listed = _listed(host, table.family, table.name, "--stateless")
            if listed is None:
                items[prefix] = ValueItem(UNKNOWN)
                continue
            items[prefix] = ValueItem("\n".join(["nft", *listed.head]))
            for name, block in listed.blocks.items():
                items[f"{prefix} {name}"] = ValueItem(nft.steady(block))
        return items

    def restore(self, host: Host, wanted: Mapping[str, Item | None], progress: Progress) -> None:
        """See `Domain.restore`. Each table changes in one step; what others added stays.

        Also deletes what nobody manages any more: fail2ban's table once fail2ban is gone, and
        empty tables of iptables once iptables is gone. Call it with nothing wanted for that.
        """
        now = {(table.family, table.name): table for table in host.firewall_tables()}
        for (family, name), want in _by_table(wanted).items():
            if want.mentioned and want.existence == UNKNOWN:
                continue
            _restore_table(host, now.get((family, name)), family, name, want, progress)
        for table in host.firewall_tables():
            orphan = table.name.startswith("f2b-") and not _fail2ban(host)
            if orphan or _left_behind(host, table):
                _delete(host, table.family, table.name, progress)
        self._prove(host, wanted)

    def _prove(self, host: Host, wanted: Mapping[str, Item | None]) -> None:
        """Raise `HostError` for the first key that did not become what was wanted."""
        now = self.capture(host, Scope()) if wanted else {}
        for key, item in wanted.items():
            got = now.get(key)
            if item == got or item == ValueItem(UNKNOWN):
                continue
            if stays_for_others(item, got):
                continue
            raise HostError(
                f"the firewall's {key!r} did not become what it was; the other chains did: "
                f"compare `nft list ruleset` with the restore point"
            )


def stays_for_others(wanted: Item | None, now: Item | None) -> bool:
    """Whether a table or built-in chain that should be gone is as good as gone.

    It must stay where chains that others added since need it; it lets everything else pass.
    """
    return (
        wanted is None
        and isinstance(now, ValueItem)
        and now.value.startswith(("iptables", "nft", "policy ACCEPT"))
    )


def _by_table(wanted: Mapping[str, Item | None]) -> dict[tuple[str, str], _Wanted]:
    tables: dict[tuple[str, str], _Wanted] = {}
    for key, item in wanted.items():
        family, name, *part = key.split(" ", 2)
        want = tables.setdefault((family, name), _Wanted(parts={}))
        value = item.value if isinstance(item, ValueItem) else None
        if part:
            want.parts[part[0]] = value
        else:
            want.mentioned, want.existence = True, value
    return tables


def _restore_table(
    host: Host,
    table: FirewallTable | None,
    family: str,
    name: str,
    want: _Wanted,
    progress: Progress,
) -> None:
    if table is None and want.must_go:
        return
    kept = set(table.chains) - want.parts.keys() if table is not None else set()
    kept |= {part for part, value in want.parts.items() if value is not None}
    if not _fail2ban(host):
        kept = {chain for chain in kept if not chain.startswith("f2b-")}
    if want.must_go and table is not None and (table.inert or not kept):
        _delete(host, family, name, progress)
        return
    language = (want.existence or "").split("\n", 1)[0]
    chains = _saved(host, (table,)).get((family, name)) if table is not None else None
    if language == "iptables" or (not language and chains is not None):
        _restore_iptables(host, family, name, chains or {}, want, progress)
    else:
        _restore_nft(host, family, name, want, existed=table is not None, progress=progress)


def _restore_iptables(
    host: Host,
    family: str,
    name: str,
    now: iptables.Chains,
    want: _Wanted,
    progress: Progress,
) -> None:
    wanted = {
        chain: None if text is None else iptables.Chain.from_text(text)
        for chain, text in want.parts.items()
    }
    then = iptables.target(now, wanted, fail2ban=_fail2ban(host))
    if want.must_go and all(chain.inert for chain in then.values()):
        _delete(host, family, name, progress)
        return
    if then == now:
        return
    program = f"{iptables.FAMILIES[family]}-restore"
    _load(
        host,
        [program, "--noflush", "--wait=10"],
        iptables.script(name, now, then),
        f"{family} {name}",
        progress,
    )


def _restore_nft(
    host: Host, family: str, name: str, want: _Wanted, *, existed: bool, progress: Progress
) -> None:
    full: nft.Table | None = nft.Table()
    stateless: nft.Table | None = nft.Table()
    if existed:
        full = _listed(host, family, name)
        stateless = _listed(host, family, name, "--stateless")
    if full is None or stateless is None:
        raise HostError(
            f"the firewall table {family} {name} could not be put back: no program that can read "
            f"it is installed; it is as it was. Install nftables, then roll back again"
        )
    head = tuple(want.existence.split("\n")[1:]) if want.existence is not None else None
    then = nft.target(full, stateless, head, want.parts)
    if want.must_go and not then.blocks:
        _delete(host, family, name, progress)
        return
    if existed and then == full:
        return
    _load(host, ["nft", "-f", "-"], nft.script(family, name, then), f"{family} {name}", progress)


def _load(host: Host, argv: list[str], script: str, table: str, progress: Progress) -> None:
    progress.command(" ".join(argv))
    if host.which(argv[0]) is None:
        raise HostError(
            f"the firewall table {table} could not be put back: `{argv[0]}` is not installed; "
            f"the table is as it was. Install it, then roll back again"
        )
    host.run(argv, stdin=script.encode(), on_line=progress.output)


def _delete(host: Host, family: str, name: str, progress: Progress) -> None:
    progress.command(f"nft delete table {family} {name}")
    host.delete_firewall_table(family, name)


def _saved(host: Host, tables: tuple[FirewallTable, ...]) -> dict[tuple[str, str], iptables.Chains]:
    """The tables that iptables can express, by family and name."""
    found: dict[tuple[str, str], iptables.Chains] = {}
    for family, program in iptables.FAMILIES.items():
        names = {t.name for t in tables if t.family == family} & set(iptables.BUILT_IN_TABLES)
        if not names or host.which(f"{program}-save") is None:
            continue
        for name in sorted(names):
            done = host.run([f"{program}-save", "-t", name], ok=None)
            for table, chains in iptables.parse(done.stdout).items() if done.ok else ():
                found[family, table] = chains
    return found


def _listed(host: Host, family: str, name: str, *options: str) -> nft.Table | None:
    """A table in nft's words; `None` without nft, or where nft cannot load it again."""
    if host.which("nft") is None:
        return None
    return nft.parse(host.run(["nft", *options, "list", "table", family, name]).stdout)


def _left_behind(host: Host, table: FirewallTable) -> bool:
    """A table of iptables that holds nothing, on a host where no program manages it any more."""
    program = iptables.FAMILIES.get(table.family)
    return (
        program is not None
        and table.inert
        and table.name in iptables.BUILT_IN_TABLES
        and host.which(f"{program}-save") is None
    )


def _fail2ban(host: Host) -> bool:
    return host.which("fail2ban-server") is not None
