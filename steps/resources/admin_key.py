"""Keys of administrators: long enough, in the right place, and sshd accepts the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.login import ACCOUNTS, Account, AuthorizedKey, parse_authorized_keys
from host.facts.sshd import SSHD_EFFECTIVE
from snapshots.model import Change, RunCommand, WriteFile
from steps.file_roots import roots_of_file
from steps.guard_keys import key_paths, loose
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

ADMINISTRATORS = "sudo"
SMALLEST_RSA_BITS = 4096
_GOOD_TYPES = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com")
_EXPECTED = f"an Ed25519 key, or RSA of {SMALLEST_RSA_BITS} bits or more"
_MAKE_ONE = "`ssh-keygen -t ed25519` on their own machine makes one"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: str = ""
    key: str = ""


class AdminKey(Resource):
    """`admin-key: {user: alice, key: "ssh-ed25519 AAAA… alice@laptop"}`.

    `key` is a line as in authorized_keys, or the path of a file of this host that holds it; without
    one nothing is added, and every member of group sudo is looked at.
    """

    kind: ClassVar[str] = "admin-key"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.user = body.user.strip()
        self.key = body.key.strip()

    @classmethod
    def parse(cls, step_id: str, body: Any) -> AdminKey:
        given = cls(step_id, msgspec.convert(body, _Body))
        if given.key and not given.key.startswith("/"):
            problem = given_problem(given.key)
            if problem:
                raise StepError(f"key: {problem}")
        return given

    def facts(self) -> tuple[Fact[Any], ...]:
        return (ACCOUNTS, SSHD_EFFECTIVE)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = [self._finding(ctx, account) for account in self._administrators(ctx)]
        if not findings:
            findings.append(
                Finding(
                    resource="account",
                    setting="administrators",
                    expected=f"a member of group {ADMINISTRATORS} with a shell",
                    running="none",
                    persistent="none",
                    origin="/etc/group",
                    ok=False,
                )
            )
        if self.key:
            findings.append(self._given(ctx))
        return findings

    def plan(self, ctx: Context) -> Planned:
        if not self.key:
            lacking = [f for f in self.observe(ctx) if f.ok is False]
            return Planned(refusals=tuple(_nothing_to_add(finding) for finding in lacking))
        line = self._line(ctx)
        account = ctx.facts.get(ACCOUNTS).get(self.user)
        if account is None or not account.has_shell:
            what = "has no shell to log in with" if account else "does not exist on this host"
            return Planned(
                refusals=(
                    f"The account {self.user or '(none named)'} {what}; nothing was changed. Name"
                    f" the administrator with --set {self.step_id}.user=NAME, then apply again.",
                )
            )
        return self._install(ctx, account, line)

    def _install(self, ctx: Context, account: Account, line: str) -> Planned:
        path = next(iter(key_paths(account, ctx.facts.get(SSHD_EFFECTIVE))), "")
        if not path:
            return Planned(
                refusals=(
                    "AuthorizedKeysFile is none, so sshd reads no file of keys; nothing was"
                    " changed. Add the key where AuthorizedKeysCommand finds it.",
                )
            )
        text = _text(ctx, path)
        there = text is not None and _has(text, line)
        folder = path.rpartition("/")[0]
        if there and not loose(ctx, path, account):
            return Planned(claims=(("files", path),))
        in_home = path.startswith(f"{account.home}/")
        state = ctx.host.state(account.home)
        if in_home and (state is None or state.kind != "dir"):
            return Planned(
                refusals=(
                    f"{account.home}, the home of {account.name}, is no directory; nothing was"
                    f" changed. `mkhomedir_helper {account.name}` makes it.",
                )
            )
        above = loose(ctx, account.home, account) if in_home else ""
        if above:
            return Planned(
                refusals=(
                    f"{above}; nothing was changed. Put that right (`chmod go-w {account.home}`),"
                    " then apply again.",
                )
            )
        uid, gid = (account.uid, account.gid) if in_home else (0, 0)
        changes: list[Change] = []
        if in_home and folder != account.home:
            changes += _directory(ctx, account, folder)
        before = text or ""
        if before and not before.endswith("\n"):
            before += "\n"
        content = (before if there else f"{before}{line}\n").encode("utf-8", "surrogateescape")
        changes.append(
            WriteFile(
                path=path,
                content=content,
                mode=0o600 if in_home else 0o644,
                uid=uid,
                gid=gid,
                force_state=True,
            )
        )
        roots = roots_of_file(ctx.host, folder) if not path.startswith("/etc/") else ()
        return Planned(changes=tuple(changes), roots=roots)

    def _administrators(self, ctx: Context) -> list[Account]:
        accounts = ctx.facts.get(ACCOUNTS).values()
        present = {self.user, ctx.session.user}
        return [
            account
            for account in accounts
            if account.uid != 0
            and account.has_shell
            and (ADMINISTRATORS in account.groups or account.name in present)
        ]

    def _finding(self, ctx: Context, account: Account) -> Finding:
        settings = ctx.facts.get(SSHD_EFFECTIVE)
        good: list[str] = []
        weak: list[str] = []
        problems: list[str] = []
        origin = ""
        for path in key_paths(account, settings):
            keys = parse_authorized_keys(_text(ctx, path) or "")
            if not keys:
                continue
            origin = origin or path
            strict = settings.get("strictmodes", "yes") == "yes"
            problem = loose(ctx, path, account) if strict else ""
            if problem:
                problems.append(problem)
                continue
            good += [named(key) for key in keys if not weakness(key)]
            weak += [f"{named(key)}: {weakness(key)}" for key in keys if weakness(key)]
        running = ", ".join(good) or "none"
        asked = settings.get("authorizedkeyscommand", "none")
        notes = [*problems, *(f"weak: {one}" for one in weak)]
        ok: bool | None = bool(good)
        if not good and asked != "none":
            ok = None
            notes.append(f"keys also come from {asked.split()[0]}, which is not asked here")
        return Finding(
            resource="key",
            setting=account.name,
            expected=_EXPECTED,
            running=running,
            persistent=running,
            origin=origin,
            ok=ok,
            note="; ".join(notes),
        )

    def _given(self, ctx: Context) -> Finding:
        try:
            line = self._line(ctx)
        except FactUnavailable as error:
            return Finding(
                resource="key",
                setting=f"{self.user or '(no user named)'}: the given key",
                expected="there",
                note=str(error),
                applicable=False,
            )
        account = ctx.facts.get(ACCOUNTS).get(self.user)
        paths = list(key_paths(account, ctx.facts.get(SSHD_EFFECTIVE))) if account else []
        holding = [path for path in paths if _has(_text(ctx, path) or "", line)]
        problem = loose(ctx, holding[0], account) if holding else ""
        value = (problem or "there") if holding else "absent"
        return Finding(
            resource="key",
            setting=f"{self.user or '(no user named)'}: the given key",
            expected=named(parse_authorized_keys(line)[0]),
            running=value,
            persistent=value,
            origin=(holding or paths or [""])[0],
            ok=bool(holding) and not problem,
        )

    def _line(self, ctx: Context) -> str:
        """The given key as it stands in authorized_keys. Raises `FactUnavailable`."""
        if not self.key.startswith("/"):
            return self.key
        try:
            text = ctx.host.read_bytes(self.key, limit_bytes=64 * 1024).decode("utf-8", "replace")
        except HostError as error:
            raise FactUnavailable(f"the given key cannot be read: {error}") from None
        problem = given_problem(text)
        if problem:
            raise FactUnavailable(f"{self.key}: {problem}")
        return text.strip()


def given_problem(text: str) -> str:
    """Why `text` cannot be an administrator's key; empty if it can."""
    if "PRIVATE KEY" in text:
        return "this is a private key; it never leaves its machine. Give the one in the .pub file"
    keys = parse_authorized_keys(text)
    if len(keys) != 1 or len(text.strip().splitlines()) != 1:
        return "expected one line such as in id_ed25519.pub (ssh-ed25519 AAAA… name)"
    weak = weakness(keys[0])
    return f"{named(keys[0])} is not accepted here: {weak}; {_MAKE_ONE}" if weak else ""


def weakness(key: AuthorizedKey) -> str:
    """What is wrong with a key for an administrator; empty if nothing."""
    if "cert-authority" in key.options:
        return "it is an authority that signs others"
    if "command" in key.options:
        return "it is bound to one command"
    if key.type == "ssh-rsa" and key.bits < SMALLEST_RSA_BITS:
        return f"{key.bits} bits are fewer than {SMALLEST_RSA_BITS}"
    if key.type != "ssh-rsa" and key.type not in _GOOD_TYPES:
        return f"{key.type} is not used here"
    return ""


def named(key: AuthorizedKey) -> str:
    """ "ssh-ed25519 SHA256:… (alice@laptop)"."""
    bits = f" {key.bits}" if key.bits else ""
    comment = "".join(one for one in key.comment if one.isprintable())
    return f"{key.type}{bits} {key.fingerprint}" + (f" ({comment})" if comment else "")


def _has(text: str, line: str) -> bool:
    wanted = parse_authorized_keys(line)[0]
    return any(key.public == wanted.public for key in parse_authorized_keys(text))


def _directory(ctx: Context, account: Account, folder: str) -> Sequence[Change]:
    """What makes the directory of the keys the account's own, and closed to others."""
    state = ctx.host.state(folder)
    closed = state is not None and state.kind == "dir" and not state.mode & 0o077
    if state is not None and closed and state.uid == account.uid:
        return ()
    owner = ("-o", str(account.uid), "-g", str(account.gid))
    return (
        RunCommand(
            argv=("install", "-d", "-m", "0700", *owner, "--", folder),
            why=f"make {folder} a directory of {account.name} alone",
        ),
    )


def _nothing_to_add(finding: Finding) -> str:
    if finding.resource == "account":
        return (
            f"No account with a shell is in group {ADMINISTRATORS}, so there is no administrator"
            " whose key could be looked at; nothing was changed. Make one: `adduser NAME`,"
            f" `adduser NAME {ADMINISTRATORS}`."
        )
    why = f" ({finding.note})" if finding.note else ""
    return (
        f"{finding.setting} has no key that is long enough{why}; nothing was changed. {_MAKE_ONE};"
        f" then apply again with --set ssh.admin-key.user={finding.setting} and --set"
        " ssh.admin-key.key=, which takes the line of the .pub file or the path of a copy here."
    )


def _text(ctx: Context, path: str) -> str | None:
    try:
        return ctx.host.read_bytes(path).decode("utf-8", "surrogateescape")
    except HostError:
        return None
