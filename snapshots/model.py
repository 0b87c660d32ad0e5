"""The terms of the second floor: changes, activations, restore points and transactions as data."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import msgspec

from host.base import FileState, HostError, TreeRule
from host.rotation import Rotation


class SnapshotError(HostError):
    """A restore point, transaction or the state directory is not what it must be."""


class Busy(SnapshotError):
    """Another harden-tui (or dpkg) holds the host; the message names the holder."""


class Unwritable(SnapshotError):
    """The state directory cannot be written; its cause is the `OSError`."""


class Conflict(SnapshotError):
    """An undo would overwrite what somebody changed since; nothing was touched."""


class WriteFile(msgspec.Struct, frozen=True, tag="write", kw_only=True):
    """Create or replace a regular file.

    `mode`, `uid`, `gid` apply to a new file; an existing one keeps its own unless `force_state`,
    with which it still keeps its flags and attributes (`snapshots.overwriting`).
    `secret` content appears in no preview, log or restore point.
    """

    path: str
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    force_state: bool = False
    secret: bool = False


class RemoveFile(msgspec.Struct, frozen=True, tag="remove"):
    """Remove a file or symbolic link."""

    path: str


class MakeLink(msgspec.Struct, frozen=True, tag="link"):
    """Make `path` a symbolic link to `target`, replacing a link that was there."""

    path: str
    target: str


class SealTree(msgspec.Struct, frozen=True, tag="tree"):
    """Give a whole tree owners, modes and flags; content is never touched."""

    root: str
    rules: tuple[TreeRule, ...]
    entries: int = 0
    """How many entries the preview found to differ (information, not part of the fingerprint)."""


class RunCommand(msgspec.Struct, frozen=True, tag="command", kw_only=True):
    """Run a program of the host that makes the change (a2enmod, ufw, systemctl, sysctl …).

    `why` is one short sentence for the preview. Its lines are shown while it works. `stdin` is the
    way for a secret: it is handed over in memory, and appears in no preview, fingerprint, log,
    journal or restore point.
    """

    argv: tuple[str, ...]
    why: str
    timeout_s: float = 120.0
    env: dict[str, str] = {}
    stdin: bytes = b""


class RunSql(msgspec.Struct, frozen=True, tag="sql", kw_only=True):
    """Have the MariaDB of this host carry out statements, as root; none may hold a secret.

    `why` is one short sentence for the preview, `diff` what of accounts and grants goes and comes.
    Whatever it changes must be among the step's roots (`snapshots.domains.mariadb.ACCOUNTS`).
    """

    sql: tuple[str, ...]
    why: str
    diff: str = ""
    timeout_s: float = 60.0


class RotatePassword(msgspec.Struct, frozen=True, tag="rotate-password"):
    """Give an application's database account a new password everywhere at once.

    It is generated where the change is made: no plan ever holds it. The configuration file, the
    accounts and the tenants' rows (`mariadb_cells.rows`) must be among the step's roots.
    """

    rotation: Rotation


MEASURED = "/var/lib/harden-tui/measured"
"""What steps measured once and show until it runs out, a file each; captured like other files."""


class TestRestore(msgspec.Struct, frozen=True, tag="test-restore"):
    """Restore a dump of `database` beside it, compare the two, and keep the answer in `path`."""

    __test__: ClassVar[bool] = False  # pytest takes the name for a test's

    database: str
    path: str


class InstallPackages(msgspec.Struct, frozen=True, tag="install"):
    """Install packages from the host's own sources, without recommendations.

    `brings` is what apt's own simulation says will come, as "name version" (information; what
    comes may be less when an earlier step of the same run brought it already).
    """

    packages: tuple[str, ...]
    brings: tuple[str, ...] = ()


Change = (
    WriteFile
    | RemoveFile
    | MakeLink
    | SealTree
    | RunCommand
    | RunSql
    | TestRestore
    | RotatePassword
    | InstallPackages
)


def secret_path(change: Change) -> str:
    """The file into which a change writes a secret, or ""."""
    if isinstance(change, RotatePassword):
        return change.rotation.config
    return change.path if isinstance(change, WriteFile) and change.secret else ""


class Validation(msgspec.Struct, frozen=True):
    """A program that says whether the merged configuration is sound; exit status 0 means yes.

    Run after the changes and before anything is reloaded; also after an undo restored files.
    Skipped where the program is not installed (an undo may have purged it). With `quiet` only a
    failure's last lines are shown: some programs print all they know when they are asked.
    """

    argv: tuple[str, ...]
    timeout_s: float = 30.0
    quiet: bool = False


class Activation(msgspec.Struct, frozen=True):
    """What makes a running daemon take the new configuration.

    `how`: "reload" | "restart" (through systemctl, only if the unit is active), "daemon-reload",
    or "command" with `argv`. After it the unit must be active still two seconds later.
    """

    how: Literal["reload", "restart", "daemon-reload", "command"]
    unit: str = ""
    argv: tuple[str, ...] = ()
    settle_s: float = 2.0


class Root(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tree outside /etc that a step changes. Without `content` only metadata is captured.

    `without` are directories below one with content (absolute) that are not gone into: what an
    application writes by itself.
    """

    path: str
    content: bool = False
    without: tuple[str, ...] = ()


class FileItem(msgspec.Struct, frozen=True, tag="file", gc=False):
    state: FileState


class ValueItem(msgspec.Struct, frozen=True, tag="value", gc=False):
    """Any other kind of state: a short text per key (a sysctl value, "active", a version …)."""

    value: str


Item = FileItem | ValueItem
DomainName = Literal["files", "units", "packages", "kernel", "firewall", "mariadb"]


EXISTS: Final = "exists "
"""Before the key of a claim: the thing must be there, whatever is in it. Whoever made it leaves it;
whoever only changed it may take that back."""


Key = tuple[DomainName, str]
"""One thing on the host: a file's path, a unit's name, and so on."""


class Delta(msgspec.Struct, frozen=True, gc=False):
    """One thing that a transaction changed. `None` means absent.

    `key` is a path for files, a unit name, a package name, a sysctl key, or
    "family table chain" for the firewall, a table and its key for MariaDB's accounts.
    """

    domain: DomainName
    key: str
    before: Item | None
    after: Item | None


Resolution = Literal["keep-current", "restore", "merge"]
"""What becomes of a conflict: what stands now stays, what was before comes back, or both as far as
they can be told apart, with what stands now where they cannot."""

RESOLUTIONS: Final[tuple[Resolution, ...]] = ("keep-current", "restore", "merge")


class Resolutions(msgspec.Struct, frozen=True):
    """What a person chose: for every conflict, and for single things by key, which count first."""

    everything: Resolution | None = None
    single: dict[str, Resolution] = {}

    def of(self, key: str, *, named: bool = False) -> Resolution | None:
        """The choice for one thing; `None` where there is none. With `named` only one that was
        made for it by name counts."""
        return self.single.get(key, None if named else self.everything)


UNRESOLVED: Final = Resolutions()
"""Nobody chose anything: what is in conflict is shown, and nothing is touched."""


TransactionStatus = Literal[
    "open", "pending", "committed", "rolled-back", "undone", "needs-person", "under-way"
]
"""`pending`: made and proved, and taken back unless a person confirms it in time. `under-way`: an
update window that is open; whatever changes meanwhile belongs to it."""

UNFINISHED: Final[frozenset[TransactionStatus]] = frozenset(
    {"open", "pending", "needs-person", "under-way"}
)
"""What may still be gone back from. What differs is known at its end only, as a rule."""


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a site answered: its HTTP status (0: nothing), and how old the page said it was
    (Last-Modified in seconds since 1970, 0: it did not)."""

    status: int
    modified_s: float = 0.0


class Worked(msgspec.Struct, frozen=True):
    """Ports that listened ("tcp 0.0.0.0 80") and what each site answered at one moment."""

    ports: tuple[str, ...] = ()
    sites: dict[str, Answered] = {}


class TransactionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as history shows it. Times are ISO 8601 UTC with microseconds.

    `drift` put back, or merged, what somebody else had changed. `window` is an update window: what
    an administrator changed from its first restore point to its second.
    """

    id: str
    kind: Literal["apply", "rollback", "drift", "window"]
    steps: tuple[str, ...]
    title: str
    status: TransactionStatus
    started: str
    ended: str = ""
    user: str = ""
    undoes: str = ""
    undid: Literal["", "apply", "drift", "window"] = ""
    """Of an undo: the kind of what it undid, where that was kept."""
    undone_by: str = ""
    reason: str = ""
    validations: tuple[Validation, ...] = ()
    activations: tuple[Activation, ...] = ()
    packages: tuple[str, ...] = ()
    """Packages the steps declared (what later needs them keeps them when they are undone)."""
    roots: tuple[Root, ...] = ()
    claims: tuple[tuple[DomainName, str], ...] = ()
    """Things (domain, key) its steps rely on, changed by it or found right: an earlier transaction
    that is undone hands them over instead of taking them back."""
    resolved: dict[str, Resolution] = {}
    """Of an undo: what was chosen for each thing that was in conflict."""
    rebased: tuple[str, ...] = ()
    """Of an undo: the later transactions whose lists of differences it replaced."""
    worked: Worked | None = None
    """What worked before it: its undo must not lose that, but may lose what came only since."""
    pid: int = 0
    mounted: tuple[str, ...] | None = None
    """Where something was mounted in what was captured; `None` where that is not known."""
    journaled: int = 0
    """How many lines its journal had when it ended; 0 where that is not known."""
    until: str = ""
    """Of a window that was closed: the id of the last transaction then. Clocks are set back, ids
    are not."""

    @property
    def at_end(self) -> tuple[str, bool]:
        """When it ended, among all beginnings and ends: the id of the last transaction then, and
        whether that was one in it."""
        return self.until or self.id, self.until not in ("", self.id)

    def holds(self, other: TransactionRecord) -> bool:
        """Whether it is a window in which the other was made."""
        return self.id < other.id <= self.until

    @property
    def is_of_steps(self) -> bool:
        """Whether it is what its steps do. What settled drift, and its undo, only concern them."""
        return bool(self.steps) and not {self.kind, self.undid} & {"drift", "window"}

    @property
    def in_force(self) -> bool:
        """Whether it changed the host, counts, and can be undone."""
        return self.kind != "rollback" and self.status == "committed"


Told = Literal["all", "pruned", "taken-back", "not-yet"]
"""What the differences of a transaction tell. "all": what it touched, nothing where there are none.
Otherwise there are none to tell: they were pruned, it went back before it was at its end, or it is
not there yet."""


class Side(msgspec.Struct, frozen=True):
    """One of the three sides of a conflict, as text for a person."""

    label: str
    text: str


UndoHow = Literal[
    "restore", "merge", "handed-over", "already", "regenerated", "conflict", "kept", "left"
]


class UndoItem(msgspec.Struct, frozen=True, kw_only=True):
    """What an undo will do to one thing.

    `how`: "restore" (nothing else changed it), "merge" (three ways, clean), "handed-over" (a later
    transaction still needs its value; that one inherits the undo), "already" (it is so already),
    "regenerated" (package tools make it anew), "conflict" (nobody chose yet), "kept" (a person
    chose that it stays, here or by a mark of apt), or "left" (somebody put it into a directory that
    came with packages). `later` are the steps it is handed over to.

    Of what is or was in conflict: `chosen` (empty: nothing yet), `sides` (before, now, after, and
    what a later step found where the change is older than that step), the same as two diffs
    (`did`: before to after, `since`: what was changed since; `found_by`: the later steps that found
    it so, none where it stands now), and in `cannot` why a resolution is not possible here.
    `damaged`: what of its kept content cannot be had although the undo needs it. That is a conflict
    too, for which only a choice by name counts.
    """

    domain: DomainName
    key: str
    how: UndoHow
    diff: str = ""
    note: str = ""
    later: tuple[str, ...] = ()
    chosen: Resolution | Literal[""] = ""
    sides: tuple[Side, ...] = ()
    did: str = ""
    since: str = ""
    found_by: tuple[str, ...] = ()
    cannot: dict[Resolution, str] = {}
    damaged: str = ""


class UndoPlan(msgspec.Struct, frozen=True, kw_only=True):
    transaction: str
    steps: tuple[str, ...]
    items: tuple[UndoItem, ...]
    commands: tuple[str, ...]
    """The commands an undo will run besides (purge, daemon-reload, reload …), as typed."""
    fingerprint: str
    cannot: str = ""
    """Why it cannot be done now, whatever is chosen, in sentences: packages that do not fit, or
    something kept that is missing. Of an undo after another that is not known yet."""
    title: str = ""
    """What is undone, where it is no step."""
    left_out: str = ""
    """Why it is left out where everything is to be undone: something that its undo needs is
    damaged. In sentences; the plan says nothing else then."""
    stays: str = ""
    """Which files stay because somebody may have put them there, in a sentence."""

    @property
    def name(self) -> str:
        """As a person knows it."""
        return self.title or ", ".join(self.steps) or self.transaction

    @property
    def conflicts(self) -> tuple[UndoItem, ...]:
        """What nobody chose anything for yet, or what cannot be done."""
        return tuple(item for item in self.items if item.how == "conflict")

    @property
    def disputed(self) -> tuple[UndoItem, ...]:
        """What is in conflict or was until a person chose."""
        return tuple(item for item in self.items if item.sides)

    @property
    def later(self) -> tuple[str, ...]:
        """The later steps that something is handed over to."""
        return tuple(dict.fromkeys(name for item in self.items for name in item.later))
