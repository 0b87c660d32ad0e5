"""A captured state and how two of them differ. Pure: nothing here asks the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import eq

from host.base import LARGEST_READ_BYTES, FileState
from snapshots.model import Delta, DomainName, FileItem, Item, ValueItem

Captured = dict[DomainName, dict[str, Item]]
"""Everything of every kind, by key. What is not there is absent."""

CHANGING = "changing"
"""The value of a unit on its way from one state to another: never a difference."""

WITHOUT_FILE = "without-file"
"""The value of a unit that systemd still calls active although its file is gone and nothing of it
runs (ufw's, once it was purged): no difference to one that is active, and nobody can start it
again."""

TRIGGERED = frozenset({"triggers-awaited", "triggers-pending"})
"""What dpkg says of a package that works already while a trigger is still to be run, which the next
apt or dpkg does: never a difference to one that is installed."""

_LOCKS = {
    "kernel.unprivileged_bpf_disabled": "1",
    "kernel.modules_disabled": "1",
    "kernel.kexec_load_disabled": "1",
    "kernel.yama.ptrace_scope": "3",
}
_ONLY_LESS = ("kernel.kexec_load_limit_panic", "kernel.kexec_load_limit_reboot")
"""How often; -1 is without a limit."""


def is_locked(key: str, item: Item | None) -> bool:
    """Whether the kernel lets nobody set `key` back from this value before the next boot.

    Documentation/admin-guide/sysctl/kernel.rst and LSM/Yama.rst of the kernel.
    """
    if not isinstance(item, ValueItem):
        return False
    return item.value == _LOCKS.get(key) or (key in _ONLY_LESS and item.value != "-1")


REPOSITORIES = ("/etc/.git", "/etc/.hg", "/etc/.bzr", "/etc/_darcs")
"""Where etckeeper keeps the history of /etc: never captured, since a history goes forward only."""


def is_of_history(path: str) -> bool:
    """Whether it lies in one of the `REPOSITORIES`."""
    return any(f"{path}/".startswith(f"{one}/") for one in REPOSITORIES)


VOLATILE_FILES = frozenset(
    {
        "/etc/resolv.conf",
        "/etc/adjtime",
        "/etc/mtab",
        "/etc/machine-id",
        "/etc/fake-hwclock.data",
        "/etc/cups/subscriptions.conf",
        "/etc/cups/subscriptions.conf.O",
        "/etc/cups/printers.conf.O",
        "/etc/.pwd.lock",
        "/etc/.etckeeper",
    }
)
"""Rewritten by daemons (DHCP, the clock, CUPS, etckeeper) or a boot; ours only if a change names
them."""


def same(left: Item | None, right: Item | None) -> bool:
    """Equal in everything that counts: not times, nor sizes where no content was captured."""
    if left is None or right is None:
        return left is right
    if isinstance(left, FileItem) and isinstance(right, FileItem):
        return same_state(left.state, right.state)
    return left == right


def same_state(a: FileState, b: FileState) -> bool:
    if a.kind != b.kind or a.mode != b.mode or a.uid != b.uid or a.gid != b.gid:
        return False
    if a.flags != b.flags or a.target != b.target or a.rdev != b.rdev or a.xattrs != b.xattrs:
        return False
    if (a.is_too_large and b.sha256) or (b.is_too_large and a.sha256):
        return False
    # A tree captured without content has no hash on either side; nothing can be said about it.
    return not (a.sha256 and b.sha256) or a.sha256 == b.sha256


def differences(
    before: Mapping[DomainName, Mapping[str, Item]],
    after: Mapping[DomainName, Mapping[str, Item]],
    *,
    named: Iterable[str] = (),
    loose: Iterable[str] = (),
) -> list[Delta]:
    """All of `each_difference`."""
    return list(each_difference(before, after, named=named, loose=loose))


def each_difference(
    before: Mapping[DomainName, Mapping[str, Item]],
    after: Mapping[DomainName, Mapping[str, Item]],
    *,
    named: Iterable[str] = (),
    loose: Iterable[str] = (),
) -> Iterator[Delta]:
    """What changed on the way from `before` to `after`, sorted by kind and key.

    Left out: volatile files unless `named`, units on their way, kernel keys that came or went
    with a module or an interface, and entries that came or went below a `loose` root: one that
    was captured without content (nothing could bring them back, and no change of ours makes or
    removes any).
    """
    named = frozenset(named)
    loose = tuple(f"{root.rstrip('/')}/" for root in loose)
    for domain in sorted(before.keys() | after.keys()):
        old, new = before.get(domain, {}), after.get(domain, {})
        if domain == "mariadb" and not (old and new):
            continue  # it was not asked both times: no server is without any account
        for key in _unlike(old, new):
            left, right = old.get(key), new.get(key)
            if _counts(domain, key, left, right, named, loose):
                yield Delta(domain, key, left, right)


def only_changes(deltas: Iterable[Delta]) -> Iterator[Delta]:
    """Without what a window only tells of: there nothing changed from its start to its end."""
    return (delta for delta in deltas if not same(delta.before, delta.after))


def _unlike(old: Mapping[str, Item], new: Mapping[str, Item]) -> list[str]:
    """The keys at which two captures of one kind differ, sorted."""
    # Mostly nothing came or went; a union of 50,000 paths would cost 5 MB then.
    if len(old) == len(new) and all(map(eq, old, new)):
        rows: Iterable[tuple[str, Item | None, Item | None]]
        rows = zip(old, old.values(), new.values(), strict=True)
    else:
        keys = old.keys() if old.keys() == new.keys() else old.keys() | new.keys()
        rows = ((key, old.get(key), new.get(key)) for key in keys)
    # Of a large tree many entries in a row share both their states.
    last_left = last_right = None
    alike = True
    found = []
    for key, left, right in rows:
        if left is not last_left or right is not last_right:
            alike = left is right or same(left, right)
            last_left, last_right = left, right
        if not alike:
            found.append(key)
    found.sort()
    return found


def _counts(
    domain: DomainName,
    key: str,
    left: Item | None,
    right: Item | None,
    named: frozenset[str],
    loose: tuple[str, ...],
) -> bool:
    sides = (left, right)
    match domain:
        case "files":
            if key in VOLATILE_FILES and key not in named:
                return False
            return None not in sides or not key.startswith(loose)
        case "units":
            if ValueItem(WITHOUT_FILE) in sides and ValueItem("active") in sides:
                return False
            return ValueItem(CHANGING) not in sides
        case "packages":
            return not is_trigger_only(left, right)
        case "kernel":
            return None not in sides
        case _:
            return True


def is_trigger_only(left: Item | None, right: Item | None) -> bool:
    """Whether two states of a package differ at most in a trigger that is still to be run."""
    return _without_triggers(left) == _without_triggers(right)


def _without_triggers(item: Item | None) -> list[str]:
    value = item.value if isinstance(item, ValueItem) else ""
    return [word for word in value.split(";") if word not in TRIGGERED]


def is_metadata_only(item: Item | None) -> bool:
    """A regular file of a tree that was captured without content."""
    return isinstance(item, FileItem) and item.state.kind == "file" and not item.state.sha256


def is_too_large(item: Item | None) -> bool:
    """A file whose content is kept nowhere, whatever becomes of it."""
    return isinstance(item, FileItem) and item.state.is_too_large


def loses_content(now: Item | None, target: Item | None) -> bool:
    """Whether what stands there would be gone for good."""
    return is_too_large(now) and not is_metadata_only(target)


TOO_LARGE = f"larger than {LARGEST_READ_BYTES // 1024**2} MiB"


def wanted(deltas: Iterable[Delta]) -> dict[DomainName, dict[str, Item | None]]:
    """The `before` sides, by kind: what a domain is asked to restore."""
    found: dict[DomainName, dict[str, Item | None]] = {}
    for delta in deltas:
        found.setdefault(delta.domain, {})[delta.key] = delta.before
    return found
